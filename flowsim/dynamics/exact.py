"""Gradient descent one step after the other: the compiled loops, and the state they carry, packed in one array.

packed: (a, z_parallel, mantissa, shift, burst, a_rest, parallel_rest) along the first axis; see `network.DescentState`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from threading import Event
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from flowsim.dynamics.network import SHIFT_BITS, UNALIGNED, Batch, DescentState, Network, descent_step
from flowsim.dynamics.progress import Progress
from flowsim.dynamics.trajectory import Coverage
from flowsim.problem.plane import log_sin

STATE = 7
BURST = 4
WIDTHS = (64, 512, 2048)
_STEPS_A_CALL = 1 << 22
TARGETS = 64
"""Records of a single run in one call."""
LARGEST, SMALLEST = 300.0, -690.0
"""log |w| between which the iterates have all their digits."""


def _unpacked(x: Any) -> DescentState:
    return DescentState(x[0], x[1], x[2], x[3].astype(jnp.int64), x[4], x[5], x[6])


def _packed(state: DescentState) -> Any:
    return jnp.stack([x.astype(jnp.float64) for x in state])


@jax.jit
def advance_one(tables: Any, network: Network, eta: Any, sizes: Any, packed: Any, first: Any, targets: Any) -> Any:
    """One run from step ``first`` to each of ``targets``, (TARGETS,), not falling. packed: (STATE,). Result: (TARGETS, STATE).

    The state is one vector, so that the compiler sees a loop small enough to become a single native loop: 10 to 20 times faster.
    """

    def body(k: Any, x: Any) -> Any:
        size = eta * sizes[jnp.minimum(k, sizes.shape[0] - 1)]
        return _packed(descent_step(tables, network, size, k.astype(jnp.float64), _unpacked(x)))

    def to_target(carry: tuple[Any, Any], target: Any) -> tuple[tuple[Any, Any], Any]:
        k, x = carry
        x = lax.fori_loop(k, target, body, x)
        return (target, x), x

    return lax.scan(to_target, (first, packed), targets)[1]


def _isolated(always: Any) -> Callable[[Callable[[], Any]], Any]:
    """The compiler fuses nothing across a branch, always taken here, which halves the time of a batch's step."""

    def isolate(part: Callable[[], Any]) -> Any:
        return lax.cond(always, part, lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(part)))

    return isolate


@jax.jit
def _advance_many(tables: Any, network: Network, eta: Any, sizes: Any, packed: Any, first: Any, count: Any) -> Any:
    """``count`` steps of a batch in step. packed: (STATE, B)."""

    def body(k: Any, state: DescentState) -> DescentState:
        size = eta * sizes[jnp.minimum(k, sizes.shape[0] - 1)]
        return descent_step(tables, network, size, k.astype(jnp.float64), state, _isolated(k >= 0))

    return _packed(lax.fori_loop(first, first + count, body, _unpacked(packed)))


@jax.jit
def advance_each(tables: Any, network: Network, eta: Any, packed: Any, first: Any, last: Any) -> Any:
    """Each run of a batch from its own step to its own. packed: (STATE, B); first, last: (B,)."""

    def body(i: Any, state: DescentState) -> DescentState:
        k = first + i
        new = descent_step(tables, network, eta, k.astype(jnp.float64), state, _isolated(i >= 0))
        return DescentState(*(jnp.where(k < last, x, y) for x, y in zip(new, state, strict=True)))

    return _packed(lax.fori_loop(0, jnp.max(last - first), body, _unpacked(packed)))


def pack(batch: Batch) -> np.ndarray:
    """The start, (STATE, B)."""
    depth, ray = batch.network.depth, batch.network.ray
    log_layer = batch.log_norm / depth
    s = np.where(ray == 0.0, batch.s, 0.0)
    cos = np.where(ray == 0.0, -np.tanh(s), ray)
    z = np.exp(log_layer)
    mantissa, shift = split_log((log_layer + log_sin(s)) / np.log(2.0))
    off_ray = ray == 0.0
    burst, rest = np.full(z.shape, float(UNALIGNED)), np.zeros(z.shape)
    perp = np.where(off_ray, mantissa, 0.0), np.where(off_ray, shift, 0.0)
    return np.stack([np.where(depth > 1, z, 1.0), z * cos, *perp, burst, rest, rest])


def split_log(log2_perp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """mantissa and shift with log2(mantissa) - SHIFT_BITS shift = log2_perp; 0, 0 for -inf."""
    finite = np.where(log2_perp == -np.inf, 0.0, log2_perp)
    shift = np.maximum(np.floor(-finite / SHIFT_BITS), 0.0)
    return np.where(log2_perp == -np.inf, 0.0, np.exp2(finite + SHIFT_BITS * shift)), shift


class Records(NamedTuple):
    """log |w|, s, the side of v on which w is, and log |a|; one shape."""

    log_norm: np.ndarray
    s: np.ndarray
    side: np.ndarray
    log_layer: np.ndarray


def unpack(packed: np.ndarray, depth: np.ndarray) -> Records:
    """From (STATE, ..., B); nan where the iterates left the double range, upwards or downwards."""
    a, parallel, mantissa, shift, _, a_rest, parallel_rest = packed
    a, parallel = a + a_rest, parallel + parallel_rest
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        log_perp = np.log(np.abs(mantissa)) - SHIFT_BITS * np.log(2.0) * shift
        size = np.abs(parallel)
        z = np.hypot(size, np.exp(log_perp))
        sign_u = np.where((depth > 1) & (depth % 2 == 0), np.sign(a), 1.0)
        log_layer = np.where(depth > 1, np.log(np.abs(a)), 0.0)
        log_norm = np.log(z) + np.where(depth > 1, (depth - 1) * log_layer, 0.0)
        ahead = np.where(sign_u * parallel >= 0.0, 1.0, -1.0)
        s = ahead * (log_perp - np.log(z + size))
    bad = ~np.isfinite(a) | ~np.isfinite(parallel) | np.isnan(mantissa) | (log_norm > LARGEST) | (log_norm < SMALLEST)
    return Records(*(np.where(bad, np.nan, x) for x in (log_norm, s, sign_u * np.sign(mantissa), log_layer)))


class Followed(NamedTuple):
    """records: each (B, T).  status: (B,) names.  coverage: of flat shape."""

    records: Records
    status: np.ndarray
    coverage: Coverage


def endings(records: Records, last: np.ndarray, first_burst: np.ndarray, stopped: np.ndarray) -> np.ndarray:
    """Status names (B,) of records (B, T). last: (STATE, B), where the runs are now.  stopped: which were interrupted."""
    a, parallel = np.abs(last[0]), np.abs(last[1])
    # without overflow, the only way to lose the last record other than by interruption is down
    fallen = np.isfinite(a) & np.isfinite(parallel) & (a <= 1.0) & (parallel <= 1.0)
    reached = np.where(first_burst >= 0, "burst", "ok")
    return np.where(stopped, "stopped", np.where(np.isnan(records.log_norm[:, -1]), np.where(fallen, "saddle", "overflow"), reached))


def follow(batch: Batch, etas: np.ndarray, sizes: np.ndarray, record: np.ndarray) -> Followed:
    """Every step of every run. etas: (B,).  sizes: their common factors at successive steps, the last one repeated.  record: (T,)."""
    states = _run(batch, etas, sizes, record)
    records = Records(*(x.T for x in unpack(states.transpose(1, 0, 2), batch.network.depth)))
    stopped = np.isnan(states[-1]).all(axis=0)
    first_burst = bursts(states[:, BURST])
    taken = np.where(np.isnan(states).all(axis=1), 0, record[:, None]).max(axis=0)
    unknown = np.full(records.s.shape, np.nan)
    coverage = Coverage(taken, np.zeros_like(taken), first_burst, unknown, unknown)
    return Followed(records, endings(records, states[-1], first_burst, stopped), coverage)


def bursts(marks: np.ndarray) -> np.ndarray:
    """The first burst's step, (B,), or -1, from ``DescentState.burst`` at the records, (T, B)."""
    return np.maximum(np.where(np.isnan(marks), UNALIGNED, marks).max(axis=0), -1.0).astype(np.int64)


def _run(batch: Batch, etas: np.ndarray, sizes: np.ndarray, record: np.ndarray) -> np.ndarray:
    """Packed states at the recorded steps, (T, STATE, B), nan where not reached."""
    size = etas.size
    network = batch.network._replace(depth=batch.network.depth.astype(np.int64))
    packed = pack(batch)
    states = np.full((record.size, STATE, size), np.nan)
    padded = np.ones(1 << (sizes.size - 1).bit_length())
    padded[: sizes.size] = sizes
    if size == 1:
        return _run_one(batch.tables, jax.tree.map(lambda x: x[0], network), etas[0], padded, packed[:, 0], record)[:, :, None]
    width = next((w for w in WIDTHS if w >= size), WIDTHS[-1])
    parts = [np.arange(i, min(i + width, size)) for i in range(0, size, width)]
    stop = Event()

    def advance(part: np.ndarray, progress: Progress) -> None:
        index = np.concatenate([part, np.repeat(part[-1:], width - part.size)])
        with jax.enable_x64(True):
            fixed = jax.tree.map(lambda x: jnp.asarray(x[..., index]), (network, etas))
            table, state = jnp.asarray(padded), jnp.asarray(packed[:, index])
            at = 0
            for i, target in enumerate(record):
                while at < target:
                    if stop.is_set():
                        return
                    count = min(int(target) - at, max(_STEPS_A_CALL // width, 1))
                    state = _advance_many(batch.tables, *fixed, table, state, jnp.asarray(at), jnp.asarray(count))
                    if count * width > _STEPS_A_CALL // 64:
                        state.block_until_ready()
                        progress.advance(np.log10((at + count + 1) / (at + 1)) * part.size / size)
                    at += count
                states[i][:, part] = np.asarray(state)[:, : part.size]

    with Progress("descent", np.log10(record[-1] + 1.0), "decade of k") as progress, ThreadPoolExecutor(cpu_count() or 1) as pool:
        try:
            list(pool.map(lambda part: advance(part, progress), parts))
        except KeyboardInterrupt:
            stop.set()
    return states


def _run_one(tables: Any, network: Network, eta: Any, sizes: np.ndarray, packed: np.ndarray, record: np.ndarray) -> np.ndarray:
    """(T, STATE) of a single run."""
    states = np.full((record.size, STATE), np.nan)
    done, at = 0, 0
    with Progress("descent", np.log10(record[-1] + 1.0), "decade of k") as progress, jax.enable_x64(True):
        try:
            while done < record.size:
                end = min(at + _STEPS_A_CALL, int(record[-1]))
                passed = record[done : done + TARGETS]
                passed = passed[passed <= end]
                end = int(passed[-1]) if passed.size == TARGETS else end
                targets = np.concatenate([passed, np.full(TARGETS - passed.size, end)])
                reached = np.asarray(advance_one(tables, network, eta, sizes, packed, at, targets))
                states[done : done + passed.size] = reached[: passed.size]
                progress.advance(np.log10((end + 1) / (at + 1)))
                packed, at, done = reached[-1], end, done + passed.size
        except KeyboardInterrupt:
            pass
    return states
