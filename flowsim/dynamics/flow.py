"""Gradient flow of a linear network of any depth to any time, by diffrax or SciPy, in logarithmic coordinates and time.

The independent variable is tau = log(1 + t/t0), linear in t for a while and logarithmic after, with t0 a hundredth of the field's own
time at the start. A start on theta = 0 or pi stays on its ray and is integrated there exactly as elsewhere, in one coordinate.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from os import cpu_count
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.integrate import BDF, DOP853, LSODA, OdeSolver, Radau

from flowsim import arguments
from flowsim.dynamics.network import Batch, Network, flow_field, make_batch
from flowsim.dynamics.progress import Progress
from flowsim.dynamics.trajectory import Trajectory, versions
from flowsim.problem import Start
from flowsim.problem.plane import log_sin

Array = Float[np.ndarray, "..."]

METHODS: dict[str, Callable[..., OdeSolver]] = {"Radau": Radau, "BDF": BDF, "LSODA": LSODA, "DOP853": DOP853}
MAX_STEPS = 20_000
LOCAL = 0.01
"""The solver's local tolerance over the accuracy asked for; measured over laws, depths and starts (benchmarks/accuracy.py)."""
RELATIVE = 0.03
"""Relative over absolute local tolerance: it matters only where log r itself is huge, on the way into the saddle."""
_CHUNKS = (1, 8, 64, 1024)


@dataclass(frozen=True)
class SciPy:
    """The solver of this name in `scipy.integrate`, to integrate a flow by a second engine.

    method: "Radau", "BDF", "LSODA" or "DOP853"; ValueError for another.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> run = fs.gradient_flow(risk, fs.Start(), [1e6], solver=fs.SciPy("Radau"))
    >>> round(float(run.log_tan_half_angle[-1]), 3)
    -4783.136
    """

    method: str = "DOP853"

    def __post_init__(self) -> None:
        arguments.one_of("method", self.method, METHODS)


Solver = diffrax.AbstractSolver | SciPy

SOLVERS: dict[str, Callable[[], Solver]] = {
    "dopri8": diffrax.Dopri8,
    "dopri5": diffrax.Dopri5,
    "tsit5": diffrax.Tsit5,
    "kvaerno3": diffrax.Kvaerno3,
    "kvaerno4": diffrax.Kvaerno4,
    "kvaerno5": diffrax.Kvaerno5,
    **{name.lower(): (lambda name=name: SciPy(name)) for name in METHODS},
}
"""Solvers by name, for the command line."""

_DEFAULT = diffrax.Dopri8()


class _Task(NamedTuple):
    """One element as the solver sees it. t0: the linear leg.  tau: save times, (T,).

    y: start, (2,), in the solver's coordinates: N = 1: (asinh(q/unit), asinh(ell)); N >= 2: (log r, asinh(s)). All become straight lines in
    tau, so late steps are long, and their absolute errors are the relative ones of r and s.
    """

    network: Network
    y: Any
    unit: Any
    t0: Any
    tau: Any


def _rate(tau: Any, y: Any, args: tuple[Any, _Task]) -> Any:
    """dy/dtau = (t + t0) dy/dt, t + t0 = t0 exp(tau), in the solver's coordinates."""
    tables, task = args
    one_layer = task.network.depth == 1.0
    # sinh and cosh of both from one exponential each; their absolute errors are what counts
    up = jnp.exp(jnp.stack([jnp.where(one_layer, y[0], 0.0), y[1]]))
    down = 1.0 / up
    sinh, cosh = 0.5 * (up - down), 0.5 * (up + down)
    first = jnp.where(one_layer, task.unit * sinh[0], y[0])
    rates = flow_field(tables, task.network, jnp.stack([first, sinh[1]])) * (task.t0 * jnp.exp(tau))
    return rates / jnp.stack([jnp.where(one_layer, task.unit * cosh[0], 1.0), cosh[1]])


_jit_rate = jax.jit(_rate)


@eqx.filter_jit
def _solve_one(tables: Any, task: _Task, solver: Any, tolerance: Any, max_steps: int) -> tuple[Any, Any, Any]:
    """One flow: states (T, 2), result code and steps used."""
    end = task.tau[-1]
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_rate),
        solver,
        t0=0.0,
        t1=end,
        dt0=jnp.minimum(0.02, end),
        y0=task.y,
        args=(tables, task),
        saveat=diffrax.SaveAt(ts=task.tau),
        stepsize_controller=diffrax.PIDController(rtol=RELATIVE * tolerance, atol=tolerance),
        max_steps=max_steps,
        adjoint=diffrax.ForwardMode(),
        throw=False,
    )
    ok = solution.result == diffrax.RESULTS.successful
    capped = solution.result == diffrax.RESULTS.max_steps_reached
    return solution.ys, jnp.where(ok, 0, jnp.where(capped, 1, 2)), solution.stats["num_steps"]


@eqx.filter_jit
def _solve_many(tables: Any, tasks: _Task, solver: Any, tolerance: Any, max_steps: int) -> tuple[Any, Any, Any]:
    """A batch of flows: states (B, T, 2), result codes (B,) and steps used (B,)."""
    return jax.vmap(lambda task: _solve_one(tables, task, solver, tolerance, max_steps))(tasks)


def gradient_flow(
    risk: Any,
    start: Start,
    times: Any,
    depth: Any = 1,
    solver: Solver | str | None = None,
    rtol: float = 1e-10,
    max_steps: int = MAX_STEPS,
    verify: bool = False,
) -> Trajectory:
    r"""w' = -r^(2-2/N) (grad L + (N-1) <grad L, w/r> w/r): the end-to-end flow of N balanced layers.

    risk: a PopulationRisk, or a sequence of them.  start: a Start.  depth: N in 1..100. Their shapes broadcast to one batch.
    times: (T,), zero or positive, strictly increasing; a single time is taken as (1,).
    solver: any diffrax solver, ``SciPy("Radau" | "BDF" | "LSODA" | "DOP853")``, or a name in `SOLVERS`.
        Default Dopri8. With label noise the norm relaxes to r* and is held there once within 1e-11, so nothing stays stiff.
    rtol: relative accuracy aimed at in the norm and in s, 1e-12 to 1e-3; the default keeps both within 1e-9 to t = 1e12.
    max_steps: of the solver, for each element.
    verify: solve again with the other engine at rtol/10; ``config["verification"]`` then holds the largest relative gaps.

    Returns a `Trajectory`; a run that fails has a status, and nan where it did not get. Raises ValueError on bad input.
    Source: Lin, Sun, Zhang 2021, equation 7; derivations/deep_flow.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> flow = fs.gradient_flow(risk, fs.Start(norm=1.0, angle=1.5), [1e3, 1e6], depth=[[1], [2]])
    >>> flow.log_tan_half_angle.round(2).tolist()
    [[[-51.57, -4783.14]], [[-399.01, -398942.35]]]
    """
    save = check_times(times)
    tolerance = arguments.real("rtol", rtol, low=1e-12, high=1e-3)
    cap = int(arguments.whole("max_steps", max_steps, low=1))
    batch = make_batch(risk, start, depth)
    chosen = check_solver(solver)
    result = _run(batch, save, chosen, tolerance, cap)
    config = {
        "function": "gradient_flow",
        "solver": repr(chosen) if isinstance(chosen, SciPy) else f"diffrax.{type(chosen).__name__}",
        "rtol": tolerance,
        "max_steps": cap,
        "solver_steps": result.steps.tolist(),
        "versions": versions(),
    }
    if verify:
        config["verification"] = _verify(batch, save, result, chosen, tolerance, cap)
    shape = batch.shape
    return Trajectory(
        "flow",
        save,
        None,
        result.log_norm.reshape(*shape, save.size),
        result.s.reshape(*shape, save.size),
        None,
        result.status.reshape(shape),
        batch.network.depth.astype(np.int64).reshape(shape),
        batch.risk_grid,
        start.broadcast(shape),
        None,
        config,
    )


def check_times(times: Any) -> Array:
    save = np.atleast_1d(arguments.reals("times", times, low=0.0))
    if save.ndim != 1:
        raise ValueError(f"`times` must be one-dimensional, but has shape {save.shape}")
    return arguments.increasing("times", save)


def check_solver(solver: Any) -> Solver:
    if solver is None:
        return _DEFAULT
    if isinstance(solver, str):
        return SOLVERS[arguments.one_of("solver", solver.lower(), SOLVERS)]()
    if isinstance(solver, (diffrax.AbstractAdaptiveSolver, SciPy)):
        return solver
    if isinstance(solver, diffrax.AbstractSolver):
        raise ValueError(f"`solver` must choose its own steps (a diffrax.AbstractAdaptiveSolver), but is {type(solver).__name__}")
    raise ValueError(f"`solver` must be a diffrax solver, flowsim.SciPy(method) or one of {', '.join(SOLVERS)}, but is {solver!r}")


class _Result(NamedTuple):
    """log_norm and s: (B, T).  status: (B,) names.  steps: (B,)."""

    log_norm: np.ndarray
    s: np.ndarray
    status: np.ndarray
    steps: np.ndarray


def _run(batch: Batch, save: Array, solver: Solver, tolerance: float, cap: int) -> _Result:
    tasks = _tasks(batch, save)
    if isinstance(solver, SciPy):
        states, codes, steps = _run_scipy(batch, tasks, solver, tolerance, cap)
    else:
        states, codes, steps = _run_diffrax(batch, tasks, solver, tolerance, cap)
    status = np.array(["ok", "step_cap", "solver_failed", "stopped"])[codes]
    log_norm, s = _to_result(batch.network, tasks.unit, states)
    falling = (batch.network.ray == -1.0) & (batch.network.depth > 1.0) & (codes == 0) & (save[-1] > 0)
    return _Result(log_norm, s, np.where(falling, "saddle", status), steps)


def _tasks(batch: Batch, save: Array) -> _Task:
    """All elements as the solver sees them, stacked."""
    network, r, s = batch.network, np.exp(batch.log_norm), batch.s
    one = network.depth == 1.0
    on_ray = network.ray != 0.0
    finite = np.where(on_ray, 0.0, s)
    cos = np.where(on_ray, network.ray, -np.tanh(finite))
    # N = 1: q in units of the least norm to be expected on the way past the origin, so that its error stays relative to r
    unit = np.where(one, r * np.where(on_ray, 1e-3, np.clip(np.exp(-2.0 * np.maximum(finite, 0.0)), 1e-12, 1.0)), 1.0)
    first = np.where(one, np.arcsinh(r * cos / unit), batch.log_norm)
    second = np.where(one & ~on_ray, batch.log_norm + log_sin(finite), finite)
    turning = np.exp(batch.log_norm * (1.0 - 2.0 / network.depth))
    t0 = 0.01 / (turning * network.pull * (2.0 * network.depth + 1.0))
    tau = np.log1p(save / t0[:, None])
    return _Task(network, np.stack([first, np.arcsinh(second)], axis=-1), unit, t0, tau)


def _to_result(network: Network, unit: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log r and s from the solver's states, (B, T, 2); what was not reached is nan."""
    reached = np.isfinite(states).all(axis=-1)
    first, second = (np.where(reached, states[..., i], np.nan) for i in (0, 1))
    one, ray = network.depth[:, None] == 1.0, network.ray[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        q, ell = np.sinh(np.where(one, first, 0.0)) * unit[:, None], np.sinh(second)
        z = np.where(ray == 0.0, np.exp(np.where(one, ell, 0.0)), 0.0)
        r = np.hypot(q, z)
        s_one = np.sign(q) * (ell - np.log(r + np.abs(q)))
        s_one = np.where(ray == 0.0, s_one, np.where(q < 0.0, np.inf, -np.inf))
        s_one = np.where(np.isnan(q), np.nan, np.where((q == 0.0) & (ray == 0.0), 0.0, s_one))
        s_deep = np.where(ray == 0.0, ell, np.where(np.isnan(first), np.nan, -np.inf * ray))
        return np.where(one, np.log(r), first), np.where(one, s_one, s_deep)


def _run_diffrax(batch: Batch, tasks: _Task, solver: Any, tolerance: float, cap: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chunks of few fixed sizes, elements of alike cost together, on as many threads as there are cores."""
    size, count = tasks.unit.size, tasks.tau.shape[1]
    padded = _padded(count)
    tau = np.concatenate([tasks.tau, np.repeat(tasks.tau[:, -1:], padded - count, axis=1)], axis=1)
    tasks = tasks._replace(tau=tau)
    states, codes, steps = np.full((size, count, 2), np.nan), np.full(size, 3), np.zeros(size, dtype=np.int64)
    # a chunk waits for its slowest element: depth decides most of the number of steps, then how obtuse the start is
    order = np.lexsort((batch.s, batch.network.depth))
    width = next((c for c in _CHUNKS if c >= size), _CHUNKS[-1])
    chunks = [order[i : i + width] for i in range(0, size, width)]

    def solve(chunk: np.ndarray) -> None:
        index = np.concatenate([chunk, np.repeat(chunk[-1:], width - chunk.size)])
        with jax.enable_x64(True):
            solve_them = _solve_one if size == 1 else _solve_many
            part = jax.tree.map(lambda x: x[0] if size == 1 else x[index], tasks)
            ys, code, used = solve_them(batch.tables, part, solver, np.asarray(LOCAL * tolerance), cap)
        states[chunk] = np.asarray(ys).reshape(width, -1, 2)[: chunk.size, :count]
        codes[chunk] = np.asarray(code).reshape(-1)[: chunk.size]
        steps[chunk] = np.asarray(used).reshape(-1)[: chunk.size]

    if len(chunks) == 1:
        with suppress(KeyboardInterrupt):
            solve(chunks[0])
        return states, codes, steps
    with Progress("flows", size) as progress, ThreadPoolExecutor(cpu_count() or 1) as pool:
        try:
            for chunk, _ in zip(chunks, pool.map(solve, chunks), strict=True):
                progress.advance(chunk.size)
        except KeyboardInterrupt:
            pool.shutdown(wait=True, cancel_futures=True)
    return states, codes, steps


def _padded(count: int) -> int:
    """Numbers of save times are rounded up so that few shapes are compiled."""
    return max(8, 1 << (count - 1).bit_length())


def _run_scipy(batch: Batch, tasks: _Task, solver: SciPy, tolerance: float, cap: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size, count = tasks.tau.shape
    states, codes, steps = np.full((size, count, 2), np.nan), np.full(size, 3), np.zeros(size, dtype=np.int64)
    with Progress("flows", float(tasks.tau[:, -1].sum()) / np.log(10.0), "decade of t") as progress:
        try:
            for i in range(size):
                task = jax.tree.map(lambda x, i=i: x[i], tasks)
                states[i], codes[i], steps[i] = _one_scipy(batch.tables, task, solver, LOCAL * tolerance, cap, progress)
        except KeyboardInterrupt:
            pass
    return states, codes, steps


def _one_scipy(tables: Any, task: _Task, solver: SciPy, tolerance: float, cap: int, progress: Progress) -> tuple[np.ndarray, int, int]:
    """Step by step, so that what was reached is kept when the solver fails or runs out of steps."""
    out = np.full((task.tau.size, 2), np.nan)
    out[task.tau == 0.0] = task.y
    end, steps = float(task.tau[-1]), 0
    if end == 0.0:
        return out, 0, 0
    with jax.enable_x64(True):
        args = (tables, jax.tree.map(jnp.asarray, task))
        # below 100 eps SciPy warns and raises rtol itself
        rtol = max(RELATIVE * tolerance, 2.3e-14)
        stepper = METHODS[solver.method](lambda tau, y: np.asarray(_jit_rate(tau, y, args)), 0.0, task.y, end, rtol=rtol, atol=tolerance)
        while stepper.status == "running" and steps < cap:
            before = stepper.t
            stepper.step()
            steps += 1
            if stepper.status == "failed":
                break
            passed = (task.tau > before) & (task.tau <= stepper.t)
            if passed.any():
                out[passed] = stepper.dense_output()(task.tau[passed]).T
            progress.advance((stepper.t - before) / np.log(10.0))
    code = {"finished": 0, "running": 1, "failed": 2}[stepper.status]
    return out, code, steps


def _verify(batch: Batch, save: Array, result: _Result, solver: Solver, tolerance: float, cap: int) -> dict[str, Any]:
    """The largest gaps to the other engine at a tenth of the tolerance."""
    finer = max(tolerance / 10.0, 1e-12)
    other: Solver = diffrax.Dopri8() if isinstance(solver, SciPy) else SciPy("DOP853")
    second = _run(batch, save, other, finer, 4 * cap)
    with np.errstate(invalid="ignore", divide="ignore"):
        norm_gap = np.abs(np.expm1(result.log_norm - second.log_norm))
        s_gap = np.where(result.s == second.s, 0.0, np.abs(result.s - second.s) / np.maximum(np.abs(second.s), 1.0))
    return {
        "engine": repr(other) if isinstance(other, SciPy) else f"diffrax.{type(other).__name__}",
        "rtol": finer,
        "norm_gap": float(np.nanmax(norm_gap)),
        "log_tan_half_angle_gap": float(np.nanmax(s_gap)),
        "unreached": int(np.isnan(norm_gap).sum()),
    }
