"""Gradient flow of a homogeneous network on finite data, in a clock that never ends: log t is what runs, and log L what is followed."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from flowsim import arguments
from flowsim.dynamics import SciPy
from flowsim.dynamics.flow import SOLVERS, check_solver
from flowsim.dynamics.progress import Progress
from flowsim.finite.activations import ROUNDING
from flowsim.finite.field import Problem, State, Unravel, place, rates
from flowsim.finite.network import Network
from flowsim.finite.reading import problem_of
from flowsim.finite.recording import Records, Setup
from flowsim.finite.run import HomogeneousRun
from flowsim.layers.legs import STATUS_OF, outcome

MAX_STEPS = 1_000_000
EXPLICIT = 100_000
"""Steps of a run after which an explicit solver gives way to an implicit one: some seconds of a small network."""
DENSE = 400
"""Weights up to which an implicit solver, whose Jacobian is a dense matrix, is worth trying."""
FIRST_STEP = 1e-3
ORIGIN = 0.01
"""t0, in units of |W|/|grad L| at the start."""
PATH_SHARE = 0.01
"""Of the accuracy of the direction: what is asked of the length of its path."""


class _Leg(NamedTuple):
    """From one record to the next. begin, end: in lambda.  dt: the first step to try."""

    state: State
    begin: Any
    end: Any
    dt: Any
    log_t0: Any


class _System(NamedTuple):
    """What is followed, as static parts of a program."""

    network: Network
    unravel: Unravel
    loss: str
    rounding: float


def _size(error: State) -> Any:
    """Of an error, in units of the tolerance: of log |W|, of u as a vector, and of its path.

    A step so long that its stages leave the double range is infinitely wrong: of nan the step size would be nan for ever.
    """
    turned = jnp.sqrt(jnp.sum(error.direction**2))
    size = jnp.maximum(jnp.maximum(jnp.abs(error.log_norm), turned), PATH_SHARE * jnp.abs(error.path))
    return jnp.where(jnp.isnan(size), jnp.inf, size)


@eqx.filter_jit
def _advance(system: _System, problem: Problem, leg: _Leg, solver: Any, tolerance: Any, max_steps: int) -> tuple[State, Any, Any, Any]:
    """The state at the end, a result code, the first step to try next, and the number of steps."""

    def rate(lam: Any, state: State, args: Any) -> State:
        return rates(system.network, system.unravel, problem, system.loss, system.rounding, lam, leg.log_t0, state)

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        solver,
        t0=leg.begin,
        t1=leg.end,
        dt0=jnp.minimum(leg.dt, leg.end - leg.begin),
        y0=leg.state,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=0.0, atol=tolerance, norm=_size),
        max_steps=max_steps,
        adjoint=diffrax.ForwardMode(),
        throw=False,
    )
    ended: State = jax.tree.map(lambda leaf: leaf[-1], solution.ys)
    # u keeps its length but for the solver's error
    unit = ended._replace(direction=ended.direction / jnp.linalg.norm(ended.direction))
    return unit, *outcome(solution, leg.begin, leg.end, leg.dt), solution.stats["num_steps"]


def homogeneous_flow(
    network: Any,
    data: Any,
    start: Any,
    log_times: Any,
    loss: str = "exponential",
    solver: Any = None,
    rtol: Any = 1e-11,
    max_steps: Any = MAX_STEPS,
    rounding: Any = ROUNDING,
    check: bool = True,
) -> HomogeneousRun:
    r"""dW/dt = -grad L(W), L = (1/n) sum_i l(y_i f(W; x_i)), from t = 0, recorded at log t: to log t = 1e5 and further.

    Followed in log(1 + t/t0), as (log |W|, W/|W|), by the gradient of log L (`flowsim.finite.field`), so that nothing underflows.

    network: a `Network`.  data: a `TrainingSet`, or a `flowsim.samples.DataSet`.
    start: W(0), a pytree of arrays, such as ``network.start(seed)``.
    log_times: (T,), log t of the records, increasing strictly; `log_log_times` makes some.
    loss: "exponential", exp(-q), or "logistic", log(1 + exp(-q)).
    solver: an adaptive diffrax solver, or the name of one in `flowsim.dynamics.SOLVERS`; default: Dopri8, and Kvaerno5 where that takes
        more than 100 000 steps, there are 400 weights or fewer, and the activation has no kink.
    rtol: accuracy of a step, in log |W| and, as a vector, in W/|W|: 1e-13 to 1e-3. Margins are felt through |W|^p times their differences.
    max_steps: of the solver, from one record to the next.
    rounding: delta, half the width of a rounded kink as the cosine of an angle, 0 to 0.1: see `flowsim.finite.activations`. With 0 a kink
        is crossed by rejected steps, and a flow that has to slide along one ends with "step_cap".
    check: whether it is checked that the network is homogeneous of the order it says; without, any function is followed.

    Returns a `HomogeneousRun`; Ctrl-C ends it with what was reached. ValueError where an argument is not what it must be.
    Source: Lyu, Li 2019 (https://arxiv.org/abs/1906.05890); Ji, Telgarsky 2020 (https://arxiv.org/abs/2006.06657).

    >>> import flowsim as fs
    >>> data = fs.finite.mixture(n=20, dim=4, signal=2.0, seed=1)
    >>> network = fs.finite.relu_network(dim=4, widths=[6])
    >>> run = fs.finite.homogeneous_flow(network, data, network.start(seed=1), [0.0, 1e2, 1e4])
    >>> run.status, bool(abs(run.log_loss[-1] / -1e4 - 1.0) < 0.01), bool((run.smoothed_margin[1:] > 0.0).all())
    ('ok', True, True)
    """
    setup = Setup(network, data, start, loss, rounding, check)
    times = check_log_times(log_times)
    log_t0 = origin(setup)
    follower = Follower(setup, setup.state(), log_t0, solver, rtol, max_steps)
    records, status = Records(setup, times.size), "ok"
    with Progress("records", times.size) as progress:
        try:
            for lam in np.logaddexp(times - log_t0, 0.0).tolist():
                status = follower.to(lam)
                if status != "ok":
                    break
                records.keep(follower.state)
                progress.advance(1)
        except KeyboardInterrupt:
            status = "stopped"
    return records.run("homogeneous-flow", times, None, status, {"function": "homogeneous_flow", **follower.config()})


_place = eqx.filter_jit(place)


def origin(setup: Setup) -> float:
    """log t0, in units of the time in which the start moves by its own length. ValueError where it does not move."""
    with jax.enable_x64(True):
        here = _place(setup.network, setup.unravel, problem_of(setup.data), setup.loss, jnp.asarray(setup.flat), setup.rounding)
        size, log_loss = float(jnp.linalg.norm(here.descent)), float(here.log_loss)
    if not (size > 0.0 and np.isfinite(size) and np.isfinite(log_loss)):
        raise ValueError(f"`start` must have a gradient that is finite and not 0, but |grad log L| is {size:g} there")
    return float(np.log(ORIGIN * np.linalg.norm(setup.flat) / size)) - log_loss


class Follower:
    """Takes a state from one lambda to the next."""

    def __init__(self, setup: Setup, state: State, log_t0: float, solver: Any, rtol: Any, max_steps: Any) -> None:
        self.state = state
        self._tolerance = arguments.real("rtol", rtol, low=1e-13, high=1e-3)
        self._cap = int(arguments.whole("max_steps", max_steps, low=1))
        self._named = None if solver is None else _solver(solver)
        self._system = _System(setup.network, setup.unravel, setup.loss, setup.rounding)
        self._problem, self._log_t0 = problem_of(setup.data), log_t0
        self._now, self._dt, self._taken, self._stiff = 0.0, FIRST_STEP, 0, False
        # a kink that is crossed is unstable while it is, and an implicit solver takes tiny steps in it
        self._may_be_stiff = setup.flat.size <= DENSE and not setup.network.kinked

    def to(self, lam: float) -> str:
        """Goes there; the status. The state stands where it was unless that is "ok"."""
        if lam <= self._now:
            return "ok"
        explicit = self._named is None and not self._stiff
        gives_way = explicit and self._may_be_stiff and self._cap > EXPLICIT
        solver = self._named or (diffrax.Dopri8() if explicit else diffrax.Kvaerno5())
        leg = _Leg(self.state, np.asarray(self._now), np.asarray(lam), np.asarray(self._dt), np.asarray(self._log_t0))
        with jax.enable_x64(True):
            cap, begun = EXPLICIT if gives_way else self._cap, jax.tree.map(jnp.asarray, leg)
            # as an array, for one program to serve every tolerance
            state, code, dt, taken = _advance(self._system, self._problem, begun, solver, jnp.asarray(self._tolerance), cap)
            self._taken += int(taken)
            moved = jax.tree.map(np.asarray, state)
        status = str(STATUS_OF[int(code)])
        # the next leg, or this one again
        self._stiff |= gives_way and self._taken >= EXPLICIT
        if status == "step_cap" and gives_way:
            return self.to(lam)
        if status == "ok" and not all(np.isfinite(leaf).all() for leaf in moved):
            status = "overflow"
        if status == "ok":
            self.state, self._now, self._dt = moved, lam, float(dt)
        return status

    def config(self) -> dict[str, Any]:
        """What it takes to follow again, and how it went."""
        name = type(self._named).__name__ if self._named else "Dopri8, then Kvaerno5" if self._stiff else "Dopri8"
        return {"solver": f"diffrax.{name}", "rtol": self._tolerance, "max_steps": self._cap, "solver_steps": self._taken}


def _solver(given: Any) -> Any:
    made = check_solver(given)
    if isinstance(made, SciPy):
        own = [name for name, kind in SOLVERS.items() if not isinstance(kind(), SciPy)]
        raise ValueError(f"`solver` must be one of {', '.join(own)}, or a diffrax solver, but is {given!r}")
    return made


def check_log_times(log_times: Any) -> np.ndarray:
    """(T,), increasing strictly."""
    times = np.atleast_1d(arguments.reals("log_times", log_times))
    if times.ndim != 1:
        raise ValueError(f"`log_times` must have shape (T,), but has {times.shape}")
    return arguments.increasing("log_times", times)


def log_log_times(last: Any = 1e4, count: Any = 60, first: Any = -3.0) -> np.ndarray:
    """log t at ``count`` records, evenly spaced in arcsinh(log t): in t while log t is below 1, and in log log t far out.

    last: log t of the last, above first.  count: whole, 2 or more.  first: log t of the first.

    >>> import flowsim as fs
    >>> fs.finite.log_log_times(1e4, count=4, first=0.0).round(1).tolist()
    [0.0, 13.6, 368.4, 10000.0]
    """
    low = arguments.real("first", first)
    high = arguments.real("last", last, low=low, strict=True)
    return np.sinh(np.linspace(np.arcsinh(low), np.arcsinh(high), int(arguments.whole("count", count, low=2))))
