"""Gradient flow of the matrices on the population's risk, by diffrax or SciPy, in logarithmic time, from record to record.

The directions across v relax at the rate D|a|^2, over and over in the time that the norm takes to grow, so the flow is stiff: explicit
solvers take steps in proportion to t, implicit ones to log t.
"""

from os import PathLike
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from flowsim import arguments
from flowsim.dynamics import SciPy
from flowsim.dynamics.flow import METHODS, Solver, check_solver, check_times
from flowsim.dynamics.trajectory import versions
from flowsim.layers.chord import RelaxationChord
from flowsim.layers.field import Coordinates, Law, field, push, rows_above
from flowsim.layers.legs import STATUS_OF, outcome, pick
from flowsim.layers.population import Population, from_state, prepare, to_state
from flowsim.layers.recording import MINUTE, Engine, Reading, Setup, State, follow
from flowsim.layers.run import LayerRun

MAX_STEPS = 100_000
SHORT = 1000.0
"""Relaxations of q in one leg up to which the explicit solver is ahead: two hundred of its steps, and fifty implicit ones."""
STEP = 0.1
"""A typical step of an implicit solver in tau."""
FACTOR = 4.0
"""By how much t grows in a leg, at most."""
LIFT, FALL = 1e6, 15.0
"""|unit| at the beginning of a leg, and relaxations in which it falls from there by as much, which is as far as a leg lets it."""


class Solved(NamedTuple):
    """The solver's coordinates: q = exp(log_q) unit, log_q fixed at the beginning of a leg. Idle where the first layer is narrow.

    unit has the length `LIFT` then, so that a tolerance of absolute size, far below it, holds q relatively while it falls, and still lets a
    part of it pass through zero. upper: None where there is one layer: diffrax takes no empty tuple.
    """

    p: Any
    across: Any
    scale: Any
    unit: Any
    upper: tuple[Any, ...] | None


def _entered(y: Coordinates) -> tuple[Solved, Any]:
    """The solver's coordinates, and log_q."""
    size = jnp.sqrt(jnp.sum(y.q**2))
    # where w is on the ray and Q is not zero, q leaves from the rounding of Q^T a
    least = 1e-16 * jnp.sqrt(jnp.sum(y.across**2) * jnp.sum(rows_above(y.upper)[0] ** 2))
    size = jnp.maximum(size, least)
    log_q = jnp.log(jnp.where(size > 0.0, size, 1.0) / LIFT)
    return Solved(y.p, y.across, y.scale, y.q * jnp.exp(-log_q), y.upper or None), log_q


def _left(z: Solved, log_q: Any) -> Coordinates:
    return Coordinates(z.p, z.across, z.scale, jnp.exp(log_q) * z.unit, z.upper or ())


def _rate(tau: Any, z: Solved, args: tuple[Law, Any, Any]) -> Solved:
    """dz/dtau = (t + t0) dz/dt, t + t0 = t0 exp(tau)."""
    law, t0, log_q = args
    dy = field(law, _left(z, log_q))
    rates = Solved(dy.p, dy.across, dy.scale, dy.q * jnp.exp(-log_q), dy.upper or None)
    return jax.tree.map(lambda x: x * (t0 * jnp.exp(tau)), rates)


class _Leg(NamedTuple):
    """A part of the way from one record to the next, of B networks or one. t0: (B,).  begin, end: in tau.  dt: first step to try."""

    y: Coordinates
    t0: Any
    begin: Any
    end: Any
    dt: Any


def _solve_one(law: Law, leg: _Leg, solver: Any, tolerance: Any, max_steps: int) -> tuple[Any, Any, Any]:
    """The coordinates at the end, a result code, and the first step to try next."""
    z, log_q = _entered(leg.y)
    speed = leg.t0 * jnp.exp(leg.begin) * relaxation(law, leg.y)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_rate),
        solver,
        t0=leg.begin,
        t1=leg.end,
        dt0=jnp.minimum(leg.dt, leg.end - leg.begin),
        y0=z,
        args=(law, leg.t0, log_q),
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=0.1 * tolerance, norm=lambda error: largest_rms(error, speed)),
        max_steps=max_steps,
        adjoint=diffrax.ForwardMode(),
        throw=False,
    )
    return _left(jax.tree.map(lambda x: x[-1], solution.ys), log_q), *outcome(solution, leg.begin, leg.end, leg.dt)


def relaxation(law: Law, y: Coordinates) -> Any:
    """D |a|^2, the rate at which q relaxes."""
    now = push(law, y)
    return now.ratio * jnp.sum(now.above[0] ** 2)


def largest_rms(error: Solved, speed: Any) -> Any:
    """The largest root mean square over the arrays of a state: q is few numbers beside many thousands, and as important.

    Where q relaxes many times in a step, the stages' rates are known to the rounding of f times that number, and the solver's estimate of
    q's error is that rounding; q itself, held by the relaxation, is as many times better.
    """
    held = 1.0 / (1.0 + STEP * speed)
    kept = error._replace(unit=error.unit * held)
    return jnp.max(jnp.stack([jnp.sqrt(jnp.mean(leaf * leaf)) for leaf in jax.tree.leaves(kept)]))


@eqx.filter_jit
def _solve_many(law: Law, leg: _Leg, solver: Any, tolerance: Any, max_steps: int) -> tuple[Any, Any, Any]:
    if leg.t0.shape[0] == 1:
        alone = _solve_one(law, jax.tree.map(lambda x: x[0], leg), solver, tolerance, max_steps)
        return jax.tree.map(lambda x: x[None], alone)
    return jax.vmap(lambda one: _solve_one(law, one, solver, tolerance, max_steps))(leg)


@jax.jit
def _enter(y: Coordinates) -> tuple[Solved, Any]:
    return jax.vmap(_entered)(y)


@jax.jit
def _leave(z: Solved, log_q: Any) -> Coordinates:
    return jax.vmap(_left)(z, log_q)


def layer_flow(
    risk: Any,
    start: Any,
    times: Any,
    v: Any = None,
    solver: Solver | str | None = None,
    rtol: float = 1e-9,
    observe: Any = None,
    max_steps: int = MAX_STEPS,
    checkpoint: str | PathLike[str] | None = None,
    resume: LayerRun | None = None,
    checkpoint_every: float = MINUTE,
) -> LayerRun:
    r"""W_j' = -grad_{W_j} L(W_N ... W_1): the gradient flow of N matrices of any widths, balanced or not.

    risk: a PopulationRisk.  start: `Layers`, one network or a batch.
    times: (T,), zero or positive, strictly increasing; a single time is taken as (1,).
    v: (d,), the teacher; only its direction counts. Default: the first axis.
    solver: any adaptive diffrax solver, ``SciPy("Radau" | "BDF" | "LSODA" | "DOP853")``, or a name in `flowsim.dynamics.SOLVERS`.
        Default: Dopri8, and Kvaerno5 from where the flow is stiff.
    rtol: relative tolerance of the solver's steps, 1e-12 to 1e-3, in every matrix and in the part of w across v. Far out the direction of
        a generic network hangs on differences of the layers that are r^(2/N) times smaller than these, and is known as much less well.
    observe: names out of `flowsim.layers.OBSERVABLES` to record beside norm and direction; default: all that need no samples, but for
        the sharpness.
    max_steps: of the solver, from one record to the next.
    checkpoint: a file to which the unfinished run is written.  checkpoint_every: seconds from one such writing to the next.
    resume: an unfinished run of the same arguments, loaded from such a file or interrupted, to go on with, bit for bit.

    Returns a `LayerRun`. Status "floor" where the direction fell below what the rounding of the layers lets through; networks whose layers
    have rank one (balanced or not) run reduced to one hidden unit, where nothing rounds it. Raises ValueError on bad input.
    Source: Lin, Sun, Zhang 2021, section 3; derivations/generic_direction.py for the coordinates.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> start = fs.layers.balanced([0.6, -0.8], depth=2, width=5)
    >>> run = fs.layer_flow(risk, start, [1.0, 100.0], v=[0.0, 1.0])
    >>> plane = fs.gradient_flow(risk, fs.Start.from_vectors([0.6, -0.8], [0.0, 1.0]), [1.0, 100.0], depth=2)
    >>> bool(abs(run.log_tan_half_angle / plane.log_tan_half_angle - 1.0).max() < 1e-8)
    True
    """
    save = check_times(times)
    tolerance = arguments.real("rtol", rtol, low=1e-12, high=1e-3)
    cap = int(arguments.whole("max_steps", max_steps, low=1))
    population = prepare(risk, start, v, observe)
    chosen = Auto() if solver is None else check_solver(solver)
    config = {
        "function": "layer_flow",
        "solver": _name(chosen),
        "rtol": tolerance,
        "max_steps": cap,
        "observe": list(population.names),
        "versions": versions(),
    }
    engine = _engine(population, save, chosen, tolerance, cap)
    setup = Setup("flow", save, None, risk, population.v, start, config)
    return follow(setup, engine, checkpoint, resume, checkpoint_every)


class Auto(NamedTuple):
    """Dopri8 as long as q relaxes at most `SHORT` times in a leg, and Kvaerno5 where it does more often."""

    explicit: Any = diffrax.Dopri8()
    implicit: Any = diffrax.Kvaerno5()


@jax.jit
def _relaxations(law: Law, y: Coordinates) -> Any:
    return jax.vmap(lambda one: relaxation(law, one))(y)


def _fitted(solver: Any) -> Any:
    """An implicit solver with the root finder that knows what is stiff here, unless it was given another."""
    if not isinstance(solver, diffrax.AbstractImplicitSolver) or not eqx.tree_equal(solver.root_finder, type(solver)().root_finder):
        return solver
    return eqx.tree_at(lambda made: made.root_finder, solver, diffrax.with_stepsize_controller_tols(RelaxationChord)())


def _name(solver: Any) -> str:
    if isinstance(solver, Auto):
        return "auto: diffrax.Dopri8, diffrax.Kvaerno5 where stiff"
    return repr(solver) if isinstance(solver, SciPy) else f"diffrax.{type(solver).__name__}"


def _engine(population: Population, save: np.ndarray, solver: Any, tolerance: float, cap: int) -> Engine:
    """The state: coordinates, t0, dt and a result code for each network."""
    first = population.coordinates()
    sizes = sum(np.sum(matrix**2, axis=(-2, -1)) for matrix in population.start.matrices) / population.start.depth
    t0 = 0.01 / (population.risk.pull * np.maximum(sizes, 1.0))
    law = population.law
    explicit, implicit = (solver.explicit, _fitted(solver.implicit)) if isinstance(solver, Auto) else (_fitted(solver),) * 2

    def begin() -> State:
        size = population.size
        state: State = {**to_state(first), "dt": np.full(size, 0.02), "code": np.zeros(size, dtype=np.int64), "now": np.zeros(())}
        there = save[0] == 0.0
        while not there:
            state, there = advance(state, 0)
        return state

    def advance(state: State, record: int) -> tuple[State, bool]:
        now, target, y = float(state["now"]), float(save[record]), from_state(state)
        until, held = _next(law, y, now, min(target, FACTOR * max(now, float(t0.min()))))
        start, end = (np.log1p(t / t0) for t in (now, until))
        # a run that failed goes no further
        ahead = _Leg(y, t0, start, np.where(np.asarray(state["code"]) == 0, end, start), state["dt"])
        if isinstance(solver, SciPy):
            moved, code, dt = _scipy_leg(law, ahead, solver, tolerance, cap)
        else:
            taken = implicit if held else explicit
            with jax.enable_x64(True):
                moved, code, dt = _solve_many(law, jax.tree.map(jnp.asarray, ahead), taken, jnp.asarray(tolerance), cap)
        good = (np.asarray(state["code"]) == 0) & (np.asarray(code) == 0)
        kept = pick(good, moved, y)
        codes = np.where(np.asarray(state["code"]) == 0, np.asarray(code), state["code"])
        return {**to_state(kept), "dt": np.asarray(dt), "code": codes, "now": np.asarray(until)}, until == target

    def read(state: State) -> Reading:
        return population.read(from_state(state), STATUS_OF[np.asarray(state["code"])])

    return Engine(begin, advance, read, lambda state: population.layers(from_state(state)))


def _next(law: Law, y: Coordinates, now: float, until: float) -> tuple[float, bool]:
    """The end of the leg that begins at ``now``, ``until`` at the latest, and whether q is held in it; decided from the state alone.

    As long as q may still fall exponentially, a leg is short enough for it to fall by few orders. Where it relaxes more than `SHORT` times,
    it has long come to where it is fed.
    """
    if y.p.shape[1] == 1:
        return until, False
    with jax.enable_x64(True):
        rate = float(np.max(np.asarray(_relaxations(law, jax.tree.map(jnp.asarray, y)))))
    if rate * (until - now) > SHORT:
        return until, True
    return min(until, now + FALL / rate) if rate > 0.0 else until, False


_jit_rate = jax.jit(_rate)


def _scipy_leg(law: Law, leg: _Leg, solver: SciPy, tolerance: float, cap: int) -> tuple[Coordinates, np.ndarray, np.ndarray]:
    """The same leg by SciPy, network after network."""
    t0, begin, end = np.asarray(leg.t0), np.asarray(leg.begin), np.asarray(leg.end)
    codes = np.zeros(t0.size, dtype=np.int64)
    with jax.enable_x64(True):
        y = jax.tree.map(jnp.asarray, leg.y)
        z, log_q = _enter(y)
        leaves, tree = jax.tree.flatten(jax.tree.map(np.asarray, z))
        moved = [np.array(leaf) for leaf in leaves]
        loose = 1.0 + STEP * t0 * np.exp(begin) * np.asarray(_relaxations(law, y))
        for i in np.flatnonzero(end > begin).tolist():
            shapes = [leaf[i].shape for leaf in leaves]
            cuts = np.cumsum([leaf[i].size for leaf in leaves])[:-1]

            def unravel(flat: np.ndarray, shapes: Any = shapes, cuts: Any = cuts) -> Any:
                return jax.tree.unflatten(tree, [part.reshape(shape) for part, shape in zip(np.split(flat, cuts), shapes, strict=True)])

            def rate(tau: float, flat: np.ndarray, i: int = i, unravel: Any = unravel) -> np.ndarray:
                rates = _jit_rate(jnp.asarray(tau), jax.tree.map(jnp.asarray, unravel(flat)), (law, jnp.asarray(t0[i]), log_q[i]))
                return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(rates)])

            first = np.concatenate([np.asarray(leaf[i]).ravel() for leaf in leaves])
            # as in `largest_rms`
            ones = jax.tree.map(lambda leaf, i=i: np.ones(leaf[i].shape), z)
            weights = ones._replace(unit=np.full(z.unit[i].shape, loose[i]))
            absolute = 0.1 * tolerance * np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(weights)])
            # below 100 eps SciPy warns and raises rtol itself
            stepper = METHODS[solver.method](rate, float(begin[i]), first, float(end[i]), rtol=max(tolerance, 2.3e-14), atol=absolute)
            steps = 0
            while stepper.status == "running" and steps < cap:
                stepper.step()
                steps += 1
            codes[i] = {"finished": 0, "running": 1, "failed": 2}[stepper.status]
            if codes[i] == 0:
                for leaf, part in zip(moved, jax.tree.leaves(unravel(stepper.y)), strict=True):
                    leaf[i] = part
        ended = _leave(jax.tree.map(jnp.asarray, jax.tree.unflatten(tree, moved)), log_q)
    return jax.tree.map(np.asarray, ended), codes, np.full(t0.size, 0.02)
