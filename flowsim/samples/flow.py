"""Gradient flow of the matrices on the empirical risk of a finite sample, by diffrax or SciPy, in logarithmic time, from record to record.

The direction relaxes at the rate c/r while many samples lie in the sigmoid layer, and at a rate of order 1/(gamma^2 t) once only those that
hold the margin gamma are felt, both fast beside the norm's own 1/t: late flows are stiff. With n samples gamma is of order 1/n, so that an
explicit solver takes of the order of n^2 steps a decade, and an implicit one as many at any n.
"""

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
import numpy as np
import optimistix

from flowsim import arguments
from flowsim.dynamics import SciPy
from flowsim.dynamics.flow import METHODS, Solver, check_solver, check_times
from flowsim.dynamics.trajectory import versions
from flowsim.layers.legs import STATUS_OF, outcome, pick
from flowsim.layers.network import Layers
from flowsim.layers.recording import MINUTE, Engine, Reading, Setup, State, follow
from flowsim.layers.run import LayerRun
from flowsim.samples.chain import Matrices, end_to_end, layer_gradients
from flowsim.samples.dataset import DataSet
from flowsim.samples.empirical import gradient
from flowsim.samples.max_margin import max_margin
from flowsim.samples.networks import Networks, matrices_of, named, on_data

MAX_STEPS = 100_000
SHORT = 3e4
"""Steps that stability asks of an explicit solver, roughly, up to which it is the default: a second's at a thousand samples. Implicit ones
take seconds to compile."""
DENSE = 160
"""Entries of the matrices up to which an implicit solver holds its Jacobian as a matrix."""
KRYLOV = 12
FIRST_STEP = 0.02
"""In tau = log(1 + t/t0)."""


class _Leg(NamedTuple):
    """From one record to the next. t0, begin, end, dt: of each network, (B,); in tau but for t0. dt: the first step to try."""

    matrices: Matrices
    t0: Any
    begin: Any
    end: Any
    dt: Any


def _rate(tau: Any, matrices: Matrices, args: tuple[Any, Any]) -> Matrices:
    """dW/dtau = -(t + t0) grad_W, t + t0 = t0 exp(tau)."""
    points, t0 = args
    pushes = layer_gradients(matrices, gradient(points, end_to_end(matrices)))
    return tuple(-t0 * jnp.exp(tau) * push for push in pushes)


def _solve(points: Any, leg: _Leg, solver: Any, tolerance: Any, scale: Any, max_steps: int) -> tuple[Any, Any, Any]:
    """The matrices at the end, a result code, and the first step to try next."""
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_rate),
        solver,
        t0=leg.begin,
        t1=leg.end,
        dt0=jnp.minimum(leg.dt, leg.end - leg.begin),
        y0=leg.matrices,
        args=(points, leg.t0),
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance * scale),
        max_steps=max_steps,
        adjoint=diffrax.ForwardMode(),
        throw=False,
    )
    ys: Any = solution.ys
    last = tuple(matrix[-1] for matrix in ys)
    return last, *outcome(solution, leg.begin, leg.end, leg.dt)


@eqx.filter_jit
def _solve_many(points: Any, legs: _Leg, solver: Any, tolerance: Any, scale: Any, max_steps: int) -> tuple[Any, Any, Any]:
    return jax.vmap(lambda leg: _solve(points, leg, solver, tolerance, scale, max_steps))(legs)


def sample_flow(
    data: Any,
    start: Any,
    times: Any,
    solver: Solver | str | None = None,
    rtol: float = 1e-8,
    max_steps: int = MAX_STEPS,
    observe: Sequence[str] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    resume: LayerRun | None = None,
    checkpoint_every: float = MINUTE,
) -> LayerRun:
    r"""W_j' = -grad_{W_j} L_n(W_N ... W_1), L_n the mean loss over the data set: what descent on it becomes at small steps.

    data: a DataSet with a law, whose population risk is the run's own ``risk``.
    start: `Layers`, one network or a batch, all on these data.
    times: (T,), zero or positive, strictly increasing; a single time is taken as (1,).
    solver: any adaptive diffrax solver, ``SciPy("Radau" | "BDF" | "LSODA" | "DOP853")``, or a name in `flowsim.dynamics.SOLVERS`. Default:
        Dopri8 where few samples or a near horizon keep the flow from being stiff, Kvaerno5 elsewhere; ``config["solver"]`` says which.
    rtol: relative tolerance of the solver's steps, 1e-12 to 1e-3.
    max_steps: of the solver, from one record to the next.
    observe: names out of `flowsim.layers.OBSERVABLES` to record beside norm and direction; default: the layers' norms, and risk, error rate
        and smallest margin on the data.
    checkpoint: a file to which the unfinished run is written.  checkpoint_every: seconds from one such writing to the next.
    resume: an unfinished run of the same arguments, loaded from such a file or interrupted, to go on with, bit for bit.

    Returns a `LayerRun`. s is nan where theta or pi - theta is below 1e-15, with the status "floor" if it ends there. Raises ValueError on
    bad input. Source for where it goes: Soudry et al. 2018.

    >>> import flowsim as fs
    >>> data = fs.samples.draw(fs.Gaussian(dim=2), n=20, seed=0)
    >>> start = fs.layers.balanced([0.6, -0.8], depth=2)
    >>> run = fs.samples.sample_flow(data, start, [1.0, 100.0], solver="dop853")
    >>> run.config["solver"], run.observed["empirical_error_rate"].tolist()
    ("SciPy(method='DOP853')", [0.2, 0.0])
    """
    save = check_times(times)
    tolerance = arguments.real("rtol", rtol, low=1e-12, high=1e-3)
    cap = int(arguments.whole("max_steps", max_steps, low=1))
    networks = on_data(data, start, observe)
    taken = _default(data, networks, float(save[-1])) if solver is None else check_solver(solver)
    config = {
        "function": "sample_flow",
        "data": data.config(),
        "solver": repr(taken) if isinstance(taken, SciPy) else f"diffrax.{type(taken).__name__}",
        "rtol": tolerance,
        "max_steps": cap,
        "observe": list(networks.names),
        "versions": versions(),
    }
    setup = Setup("sample-flow", save, None, networks.problem, networks.v, start, config)
    return follow(setup, _engine(data, networks, save, taken, tolerance, cap), checkpoint, resume, checkpoint_every)


def _pace(data: DataSet, networks: Networks) -> np.ndarray:
    """c_n times the mean square of a layer: how fast each network moves at its start, (B,)."""
    pull = 0.5 * float(np.linalg.norm(data.points.mean(axis=0)))
    squares = sum(np.sum(matrix**2, axis=(-2, -1)) for matrix in networks.start.matrices) / networks.start.depth
    return np.maximum(pull, 1e-300) * np.maximum(1.0, squares)


def _default(data: DataSet, networks: Networks, last: float) -> Solver:
    """Explicit where c_n t, or (|x|/gamma)^2 log t once the margin gamma is all that is felt, is small."""
    far = last * float(_pace(data, networks).max())
    if far < SHORT:
        return diffrax.Dopri8()
    try:
        thin = float(np.linalg.norm(data.x, axis=1).max()) / max_margin(data).margin
    except ValueError:
        # no margin, and a minimiser whose curvature stays
        return diffrax.Kvaerno5()
    return diffrax.Dopri8() if thin**2 * np.log1p(far) < SHORT else diffrax.Kvaerno5()


def _fitted(solver: Any, entries: int, tolerance: float) -> Any:
    """An implicit solver with the linear algebra that suits the size of the network."""
    if not isinstance(solver, diffrax.AbstractImplicitSolver) or entries <= DENSE:
        return solver
    linear = lineax.GMRES(rtol=1e-3, atol=1e-3 * tolerance, restart=KRYLOV, stagnation_iters=KRYLOV, max_steps=20)
    finder = diffrax.with_stepsize_controller_tols(optimistix.Newton)(linear_solver=linear)
    return eqx.tree_at(lambda made: made.root_finder, solver, finder)


def _engine(data: DataSet, networks: Networks, save: np.ndarray, solver: Solver, tolerance: float, cap: int) -> Engine:
    """The state: the matrices, the time, the solver's next step, and a result code for each network."""
    t0 = 0.01 / _pace(data, networks)
    # absolute errors count beside the start's entries where these are small
    scale = 0.1 * min(1.0, min(float(np.sqrt(np.mean(matrix**2))) for matrix in networks.start.matrices) or 1.0)
    with jax.enable_x64(True):
        points = jnp.asarray(data.points)
    leg_of: Callable[[_Leg], tuple[Any, Any, Any]]
    if isinstance(solver, SciPy):
        leg_of = partial(_scipy_legs, points, method=solver.method, tolerance=tolerance, scale=scale, cap=cap)
    else:
        fitted = _fitted(solver, networks.entries, tolerance)
        leg_of = lambda legs: _solve_many(points, legs, fitted, np.asarray(tolerance), np.asarray(scale), cap)  # noqa: E731

    def begin() -> State:
        size = networks.size
        state = {"dt": np.full(size, FIRST_STEP), "code": np.zeros(size, dtype=np.int64), "now": np.zeros(())}
        state = {**named(networks.start.matrices), **state}
        return state if save[0] == 0.0 else move(state, float(save[0]))

    def move(state: State, until: float) -> State:
        if until == float(state["now"]):
            return state
        before, code = matrices_of(state), np.asarray(state["code"])
        begin_, end = (np.log1p(np.asarray(t) / t0) for t in (float(state["now"]), until))
        with jax.enable_x64(True):
            legs = jax.tree.map(jnp.asarray, _Leg(before, t0, begin_, end, state["dt"]))
            after, found, dt = leg_of(legs)
        # a network that failed stays where it was
        good = (code == 0) & (np.asarray(found) == 0)
        kept = pick(good, tuple(after), before)
        codes = np.where(code == 0, np.asarray(found), code)
        return {**named(kept), "dt": np.asarray(dt), "code": codes.astype(np.int64), "now": np.asarray(until)}

    def read(state: State) -> Reading:
        return networks.read(state, STATUS_OF[np.asarray(state["code"])])

    return Engine(begin, lambda state, k: (move(state, float(save[k])), True), read, lambda state: Layers(list(matrices_of(state))))


@jax.jit
def _flat_rate(tau: Any, flat: Any, shapes: Matrices, args: tuple[Any, Any]) -> Any:
    return _flattened(_rate(tau, _matrices(flat, shapes), args))


@jax.jit
def _flat_jacobian(tau: Any, flat: Any, shapes: Matrices, args: tuple[Any, Any]) -> Any:
    return jax.jacfwd(lambda y: _flattened(_rate(tau, _matrices(y, shapes), args)))(flat)


def _flattened(matrices: Matrices) -> Any:
    return jnp.concatenate([matrix.ravel() for matrix in matrices])


def _matrices(flat: Any, shapes: Matrices) -> Matrices:
    """The numbers of ``flat`` in the shapes of other matrices."""
    cuts = np.cumsum([matrix.size for matrix in shapes])[:-1]
    return tuple(part.reshape(matrix.shape) for part, matrix in zip(jnp.split(flat, cuts), shapes, strict=True))


def _scipy_legs(points: Any, legs: _Leg, method: str, tolerance: float, scale: float, cap: int) -> tuple[Any, Any, Any]:
    """The same legs by SciPy, network after network."""
    size = legs.t0.shape[0]
    codes, ends = np.zeros(size, dtype=np.int64), []
    for i in range(size):
        shapes, args = tuple(matrix[i] for matrix in legs.matrices), (points, legs.t0[i])
        given: dict[str, Any] = {}
        if method != "DOP853":
            given["jac"] = lambda tau, y, shapes=shapes, args=args: np.asarray(_flat_jacobian(tau, y, shapes, args))
        stepper = METHODS[method](
            lambda tau, y, shapes=shapes, args=args: np.asarray(_flat_rate(tau, y, shapes, args)),
            float(legs.begin[i]),
            np.asarray(_flattened(shapes)),
            float(legs.end[i]),
            # below 100 eps SciPy warns and raises rtol itself
            rtol=max(tolerance, 2.3e-14),
            atol=tolerance * scale,
            **given,
        )
        steps = 0
        while stepper.status == "running" and steps < cap:
            stepper.step()
            steps += 1
        codes[i] = {"finished": 0, "running": 1, "failed": 2}[stepper.status]
        ends.append(_matrices(jnp.asarray(stepper.y), shapes))
    return tuple(np.stack([np.asarray(one[j]) for one in ends]) for j in range(len(legs.matrices))), codes, legs.dt
