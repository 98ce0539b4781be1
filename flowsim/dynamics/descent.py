"""Gradient descent on the layers, step by step and exactly: any depth, any sequence of step sizes, signs and underflow handled."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from threading import Event
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from flowsim import arguments
from flowsim.dynamics.network import SHIFT_BITS, Batch, DescentState, Network, descent_step, make_batch
from flowsim.dynamics.progress import Progress
from flowsim.dynamics.trajectory import Trajectory, versions
from flowsim.problem import Start
from flowsim.problem.plane import log_sin

Array = Float[np.ndarray, "..."]

METHODS = ("exact",)
RECORDS = 200
_WIDTHS = (64, 512, 2048)
_STEPS_A_CALL = 1 << 22
_LARGEST, _SMALLEST = 300.0, -690.0


@dataclass(frozen=True, eq=False)
class Schedule:
    """Step sizes eta_0, eta_1, ... of one run, shape (K,), all positive; it allows up to K steps.

    An array given as ``step_size`` itself makes a batch of runs, one constant step size each.
    """

    sizes: Any

    def __post_init__(self) -> None:
        sizes = arguments.reals("sizes", self.sizes, low=0.0, strict=True)
        if sizes.ndim != 1:
            raise ValueError(f"`sizes` must be one-dimensional, but has shape {sizes.shape}")
        object.__setattr__(self, "sizes", sizes)


@jax.jit
def _advance_one(tables: Any, network: Network, eta: Any, sizes: Any, packed: Any, first: Any, count: Any) -> Any:
    """``count`` steps of one run from step ``first``. packed: (a, parallel, mantissa, shift).

    The state is one vector, so that the compiler sees a loop small enough to become a single native loop: 10 to 20 times faster.
    """

    def body(k: Any, x: Any) -> Any:
        state = DescentState(x[0], x[1], x[2], x[3].astype(jnp.int64))
        new = descent_step(tables, network, eta * sizes[jnp.minimum(k, sizes.shape[0] - 1)], state)
        return jnp.stack([new.a, new.parallel, new.mantissa, new.shift.astype(jnp.float64)])

    return lax.fori_loop(first, first + count, body, packed)


@jax.jit
def _advance_many(tables: Any, network: Network, eta: Any, sizes: Any, packed: Any, first: Any, count: Any) -> Any:
    """``count`` steps of a batch. packed: (4, B)."""

    def body(k: Any, state: DescentState) -> DescentState:
        def isolate(part: Callable[[], Any]) -> Any:
            # always taken; the compiler fuses nothing across a branch, which halves the time of a step
            return lax.cond(k >= 0, part, lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(part)))

        return descent_step(tables, network, eta * sizes[jnp.minimum(k, sizes.shape[0] - 1)], state, isolate)

    start = DescentState(packed[0], packed[1], packed[2], packed[3].astype(jnp.int64))
    end = lax.fori_loop(first, first + count, body, start)
    return jnp.stack([end.a, end.parallel, end.mantissa, end.shift.astype(jnp.float64)])


def gradient_descent(
    risk: Any,
    start: Start,
    step_size: Any,
    steps: Any,
    depth: Any = 1,
    method: str = "exact",
) -> Trajectory:
    r"""W_j <- W_j - eta grad_{W_j} L from the balanced rank-one start with |W_j| = r^(1/N); at any width the map on (a, z) is

        z <- z - eta a^(N-1) G,   a <- a - eta a^(N-2) <G, z>,   G = grad L(w),  w = a^(N-1) z.

    risk: a PopulationRisk, or a sequence of them.  start: a Start.  depth: N in 1..100.
    step_size: eta > 0, or an array of them. The shapes of these four broadcast to one batch.
        A `Schedule` holds the step sizes eta_k of successive steps instead, for every run of the batch.
    steps: a whole number k >= 0: about 200 records, evenly spaced in log k, the last step always among them;
        or a strictly increasing array of the steps to record.
    method: "exact": every step is taken.

    Returns a Trajectory with ``step``, ``time`` = sum of the step sizes so far (eta k) and ``side``. Status "overflow" where the iterates
    leave the double range (later records nan), "saddle" where w falls below exp(-690). Raises ValueError on bad input.
    Source: derivations/deep_flow.py for the reduction; Lin, Sun, Zhang 2021, section 4.
    """
    arguments.one_of("method", method, METHODS)
    schedule = step_size if isinstance(step_size, Schedule) else None
    eta = np.ones(()) if schedule else arguments.reals("step_size", step_size, low=0.0, strict=True)
    record = _records(steps)
    if schedule and record[-1] > schedule.sizes.size:
        raise ValueError(f"`steps` must be at most {schedule.sizes.size}, the length of the schedule, but is {record[-1]}")
    batch = make_batch(risk, start, depth, eta)
    etas = np.broadcast_to(eta, batch.shape).ravel()
    sizes = schedule.sizes if schedule else np.ones(1)
    log_norm, s, side, status = _run(batch, etas, sizes, record)
    clock = np.concatenate([[0.0], np.cumsum(sizes)])[record] if schedule else record.astype(float)
    shape = batch.shape
    config = {
        "function": "gradient_descent",
        "method": method,
        **({"schedule": sizes.tolist()} if schedule else {}),
        "exact_steps": int(record[-1]),
        "versions": versions(),
    }
    full = (*shape, record.size)
    return Trajectory(
        "descent",
        (etas[:, None] * clock).reshape(full),
        record,
        log_norm.reshape(full),
        s.reshape(full),
        side.reshape(full),
        status.reshape(shape),
        batch.network.depth.astype(np.int64).reshape(shape),
        batch.risk_grid,
        start.broadcast(shape),
        None if schedule else etas.reshape(shape),
        config,
    )


def _records(steps: Any) -> np.ndarray:
    asked = arguments.whole("steps", steps, low=0)
    if asked.ndim > 1:
        raise ValueError(f"`steps` must be a number or one-dimensional, but has shape {asked.shape}")
    return arguments.increasing("steps", asked) if asked.ndim else log_steps(int(asked))


def log_steps(last: int, count: int = RECORDS) -> np.ndarray:
    """0, 1, ..., last: at most ``count`` whole numbers, evenly spaced in log k once they can be."""
    if last <= 1:
        return np.arange(last + 1, dtype=np.int64)
    spaced = np.round(np.geomspace(1.0, float(last), count - 1)).astype(np.int64)
    return np.unique(np.concatenate([[0], np.minimum(spaced, last), [last]]))


def _pack(batch: Batch) -> np.ndarray:
    """The start as (a, parallel, mantissa, shift), (4, B)."""
    depth, ray = batch.network.depth, batch.network.ray
    log_layer = batch.log_norm / depth
    s = np.where(ray == 0.0, batch.s, 0.0)
    cos = np.where(ray == 0.0, -np.tanh(s), ray)
    z = np.exp(log_layer)
    log2_perp = (log_layer + log_sin(s)) / np.log(2.0)
    shift = np.maximum(np.floor(-log2_perp / SHIFT_BITS), 0.0)
    mantissa = np.where(ray == 0.0, np.exp2(log2_perp + SHIFT_BITS * shift), 0.0)
    return np.stack([np.where(depth > 1, z, 1.0), z * cos, mantissa, np.where(ray == 0.0, shift, 0.0)])


def _unpack(packed: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log |w|, s and the side of v on which w is, from (4, B)."""
    a, parallel, mantissa, shift = packed
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        log_perp = np.log(np.abs(mantissa)) - SHIFT_BITS * np.log(2.0) * shift
        size = np.abs(parallel)
        z = np.hypot(size, np.exp(log_perp))
        sign_u = np.where((depth > 1) & (depth % 2 == 0), np.sign(a), 1.0)
        log_norm = np.log(z) + np.where(depth > 1, (depth - 1) * np.log(np.abs(a)), 0.0)
        ahead = np.where(sign_u * parallel >= 0.0, 1.0, -1.0)
        s = ahead * (log_perp - np.log(z + size))
    bad = ~np.isfinite(a) | ~np.isfinite(parallel) | np.isnan(mantissa) | (log_norm > _LARGEST)
    return np.where(bad, np.nan, log_norm), np.where(bad, np.nan, s), np.where(bad, np.nan, sign_u * np.sign(mantissa))


def _run(batch: Batch, etas: np.ndarray, sizes: np.ndarray, record: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """log |w|, s, side, each (B, T), and the status names (B,)."""
    size = etas.size
    network = batch.network._replace(depth=batch.network.depth.astype(np.int64))
    packed = _pack(batch)
    states = np.full((record.size, 4, size), np.nan)
    padded = np.ones(1 << (sizes.size - 1).bit_length())
    padded[: sizes.size] = sizes
    width = 1 if size == 1 else next((w for w in _WIDTHS if w >= size), _WIDTHS[-1])
    parts = [np.arange(i, min(i + width, size)) for i in range(0, size, width)]
    stop = Event()

    def advance(part: np.ndarray, progress: Progress) -> None:
        index = np.concatenate([part, np.repeat(part[-1:], width - part.size)])
        take = (lambda x: x[index[0]]) if size == 1 else (lambda x: x[..., index])
        step = _advance_one if size == 1 else _advance_many
        with jax.enable_x64(True):
            fixed = jax.tree.map(lambda x: jnp.asarray(take(x)), (network, etas))
            table, state = jnp.asarray(padded), jnp.asarray(packed[:, index[0]] if size == 1 else packed[:, index])
            at = 0
            for i, target in enumerate(record):
                while at < target:
                    if stop.is_set():
                        return
                    count = min(int(target) - at, max(_STEPS_A_CALL // width, 1))
                    state = step(batch.tables, *fixed, table, state, jnp.asarray(at), jnp.asarray(count))
                    if count * width > _STEPS_A_CALL // 64:
                        state.block_until_ready()
                        progress.advance(np.log10((at + count + 1) / (at + 1)) * part.size / size)
                    at += count
                states[i][:, part] = np.asarray(state).reshape(4, -1)[:, : part.size]

    with Progress("descent", np.log10(record[-1] + 1.0), "decade of k") as progress:
        try:
            if len(parts) == 1:
                advance(parts[0], progress)
            else:
                with ThreadPoolExecutor(cpu_count() or 1) as pool:
                    try:
                        list(pool.map(lambda part: advance(part, progress), parts))
                    except KeyboardInterrupt:
                        stop.set()
        except KeyboardInterrupt:
            pass
    log_norm, s, side = _unpack(states.transpose(1, 0, 2), network.depth)
    unreached = np.isnan(states[-1, 0]) & np.isnan(states[-1]).all(axis=0)
    ended = np.isnan(log_norm[-1])
    with np.errstate(invalid="ignore"):
        fallen = np.nanmin(np.where(np.isnan(log_norm), np.inf, log_norm), axis=0) < _SMALLEST
    status = np.where(fallen, "saddle", np.where(ended, np.where(unreached, "stopped", "overflow"), "ok"))
    return log_norm.T, s.T, side.T, status
