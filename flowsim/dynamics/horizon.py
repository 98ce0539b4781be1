r"""Gradient descent to any number of steps: exact steps where the run moves fast, the modified field where it moves slowly.

The modified field of `modified.py` is integrated by Dormand and Prince's pair of orders 8 and 7 in tau = log(1 + (k - k0)/T), each step
ending on a whole k; where the solver's own steps would cover too few descent steps to be worth it (the start, the surroundings of
sigma = 1, where log|1 - sigma| is singular, and bursts at the edge of stability), steps are taken one by one.

Every run is followed twice, in the same steps: as it is, and as its shadow, whose step size is larger by a few roundings, and which uses
the solver's lower order and one difference less. What has become of their distance estimates the error: it has been through the same
dynamics. Once a run and its shadow have gone apart, no digits are claimed any more, and the shadow is dropped.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from threading import Event
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from flowsim.dynamics import exact
from flowsim.dynamics.modified import LASTS, ORDER, PAIRS, increment, modified_field, smooth_rate, to_point, to_smooth
from flowsim.dynamics.network import SETTLED, SHIFT_BITS, Batch, Network, burst_after
from flowsim.dynamics.progress import Progress
from flowsim.dynamics.trajectory import Coverage

MAX_EXACT = 10**8
TOLERANCE = 1e-12
"""Of the solver in one step, in log|w| and in s relative to max(|s|, 1)."""
FIRST_BLOCK_ONE, FIRST_BLOCK_MANY, LARGEST_BLOCK = 4096, 256, 1 << 20
WORTH_ONE, WORTH_MANY = 500, 64
"""Descent steps that cost about as much as one of the solver's, for a single run and in a batch."""
GRID_ONE, GRID_MANY = 64, 16
"""Solver steps in one call, for a single run and in a batch, whose runs wait for the slowest before they are sorted anew."""
SAFETY, AFTER_BURST = 8.0, 1000.0
"""Estimated error over the largest distance to the shadow so far; after a burst, rounding grows along the orbit in its own ways."""
ROUNDING = 1e-12
"""Of the few hundred operations between a state and a record, and of the tables' own joints."""
NO_DIGITS = 1e-2
"""Estimates above this are given as inf, for good."""
_NUDGE = 64 * np.finfo(float).eps

_TABLEAU = diffrax.Dopri8.tableau
# the last stage serves only interpolation, which is not used
_STAGES = len(_TABLEAU.b_sol) - 1
_A = np.zeros((_STAGES, _STAGES))
for _i, _row in enumerate(_TABLEAU.a_lower[: _STAGES - 1]):
    _A[_i + 1, : _i + 1] = _row
_C = np.concatenate([[0.0], np.asarray(_TABLEAU.c)[: _STAGES - 1]])
_B = np.asarray(_TABLEAU.b_sol)[:_STAGES]
_B_ERROR = np.asarray(_TABLEAU.b_error)[:_STAGES]
_B_PAIR = np.stack([_B, _B - _B_ERROR])

RUNNING, ARRIVED, FAST, FULL = -1, 0, 1, 2
"""How a stretch of the solver ended: at its goal, where single steps are better, or with its grid full."""


class _Clock(NamedTuple):
    """tau = log(1 + (k - start)/scale), and the unit of q for N = 1; each (B,)."""

    start: Any
    scale: Any
    unit: Any


class _Stretch(NamedTuple):
    """Grid points a stretch of the solver passed: k (G, B), y (G, 3, L, B), odd (G, B); how many (B,) and how it ended (B,)."""

    clock: _Clock
    k: Any
    y: Any
    odd: Any
    count: Any
    code: Any
    burst: Any


def _differences(now: Any) -> Any:
    """How many are likely to be needed ``now`` steps after the clock's zero: the J-th leaves about (3/now)^(J-1) of a decade's way.

    A guess that saves time: the last one's size is measured, and refuses the step where it was too few.
    """
    needed = 1.0 + jnp.ceil(12.5 / jnp.maximum(jnp.log10(now / 3.0), 0.1))
    return jnp.clip(needed.max(), 2.0, float(ORDER)).astype(jnp.int32)


def _solver_step(tables: Any, network: Network, step_size: Any, clock: _Clock, k: Any, y: Any, n: Any, order: Any) -> tuple[Any, Any, Any]:
    """y at step k + n, the error committed (relative to the coordinates' scale, (B,)), and the side of 1 of sigma, nan if it changed."""
    a, c, b_pair, b_error = (jnp.asarray(x) for x in (_A, _C, _B_PAIR, _B_ERROR))
    lanes = y.shape[1]
    weights, ends = jnp.asarray(PAIRS)[order - 1, :, :lanes, None], jnp.asarray(LASTS)[order - 1]
    now = (k - clock.start).astype(jnp.float64) + clock.scale
    dtau = jnp.log1p(n / now)

    def stage(j: Any, carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        slopes, omitted, side = carry
        at = y + dtau * (a[j][:, None, None, None] * slopes).sum(axis=0)
        point = to_point(network, clock.unit, at)
        rates, sides = modified_field(tables, network, step_size, point, weights, ends, order)
        both = smooth_rate(network, clock.unit, at, point, rates) * (now * jnp.exp(c[j] * dtau))
        here = sides[0]
        last = jnp.abs(both[1, :, 0])
        return slopes.at[j].set(both[0]), jnp.maximum(omitted, last), jnp.where((j == 0) | (side == here), here, jnp.nan)

    begin = (jnp.zeros((_STAGES, *y.shape)), jnp.zeros((3, *n.shape)), jnp.zeros(n.shape))
    slopes, omitted, side = lax.fori_loop(0, _STAGES, stage, begin)
    new = y + dtau * jnp.einsum("ls,sclb->clb", b_pair[:lanes], slopes)
    committed = jnp.abs(dtau * jnp.tensordot(b_error, slopes[:, :, 0], 1)) + omitted * dtau
    return new, jnp.max(committed, axis=0), side


@jax.jit
def _cover(tables: Any, network: Network, step_size: Any, point: Any, burst: Any, first: Any, last: Any, worth: Any) -> _Stretch:
    """The modified flow from step ``first`` towards step ``last``, both (B,). point: (3, L, B)."""
    grid = GRID_ONE if first.size == 1 else GRID_MANY
    perp = jnp.where(network.ray == 0.0, jnp.exp(point[2, 0]), 0.0)
    q = point[1, 0]
    z = jnp.hypot(q, perp)
    # q in units of the least norm to be expected on the way past the origin, so that its error stays relative to r
    passing = jnp.where(q < 0.0, jnp.clip((perp / (z - q)) ** 2, 1e-12, 1.0), 1.0)
    unit = z * jnp.where(network.ray == 0.0, passing, 1e-3)
    y = to_smooth(network, unit, point)
    begin = increment(tables, network, step_size, point)
    pace = jnp.abs(smooth_rate(network, unit, y, point, begin.change))[:, 0].max(axis=0)
    clock = _Clock(first, 1.0 / jnp.clip(pace, 1e-18, 1.0), unit)
    size = first.shape
    dtau = jnp.full(size, 0.1)

    def ending(k: Any, dtau: Any, count: Any) -> Any:
        reach = ((k - clock.start).astype(jnp.float64) + clock.scale) * jnp.expm1(dtau)
        slow = ~(reach >= jnp.minimum(worth, (last - k).astype(jnp.float64)))
        return jnp.where(k >= last, ARRIVED, jnp.where(slow, FAST, jnp.where(count >= grid - 1, FULL, RUNNING)))

    def body(carry: Any) -> Any:
        k, y, odd, dtau, count, code, burst, ks, ys, odds, refused = carry
        now = (k - clock.start).astype(jnp.float64) + clock.scale
        want = jnp.floor(jnp.minimum(now * jnp.expm1(dtau), 4e18))
        n = jnp.clip(want.astype(jnp.int64), 1, jnp.maximum(last - k, 1))
        running = code == RUNNING
        order = jnp.where(refused, ORDER, _differences(jnp.where(running, now, jnp.inf)))
        new, committed, side = _solver_step(tables, network, step_size, clock, k, y, n.astype(jnp.float64), order)
        off = committed / TOLERANCE
        off = jnp.where(jnp.isnan(side) | ~jnp.isfinite(new[:, 0]).all(axis=0) | ~jnp.isfinite(off), jnp.inf, off)
        accept = running & (off <= 1.0)
        tried = jnp.log1p(n / now)
        proposed = tried * jnp.clip(0.9 * off ** (-0.125), 0.2, 5.0)
        proposed = jnp.where(accept & (n < want), jnp.maximum(dtau, proposed), proposed)
        k = jnp.where(accept, k + n, k)
        y = jnp.where(accept, new, y)
        odd = jnp.where(accept & (side > 0.0) & (n % 2 == 1), ~odd, odd)
        count = count + accept
        here = increment(tables, network, step_size[0], to_point(network, clock.unit, y[:, 0]))
        burst = jnp.where(
            accept, burst_after(burst, k.astype(jnp.float64), network.ray == 0.0, here.sigma, here.misaligned, here.growth), burst
        )
        at, lane = count, jnp.arange(k.size)
        ks, ys, odds = ks.at[at, lane].set(k), ys.at[at, :, :, lane].set(y.transpose(2, 0, 1)), odds.at[at, lane].set(odd)
        dtau = jnp.where(running, proposed, dtau)
        code = jnp.where(running, ending(k, dtau, count), code)
        return k, y, odd, dtau, count, code, burst, ks, ys, odds, (running & ~accept).any()

    odd = jnp.zeros(size, dtype=bool)
    count = jnp.zeros(size, dtype=jnp.int64)
    ks = jnp.zeros((grid, *size), dtype=jnp.int64).at[0].set(first)
    ys = jnp.zeros((grid, *y.shape)).at[0].set(y)
    odds = jnp.zeros((grid, *size), dtype=bool)
    carry = (first, y, odd, dtau, count, ending(first, dtau, count), burst, ks, ys, odds, jnp.asarray(False))
    end = lax.while_loop(lambda c: (c[5] == RUNNING).any(), body, carry)
    return _Stretch(clock, end[7], end[8], end[9], end[4], end[5], end[6])


@jax.jit
def _between(tables: Any, network: Network, step_size: Any, clock: _Clock, k: Any, y: Any, n: Any) -> tuple[Any, Any]:
    """(a, q, m) at k + n, (3, L, R), by one solver step from the grid points k, y: (R,), (3, L, R); and the side of sigma."""
    order = _differences((k - clock.start).astype(jnp.float64) + clock.scale)
    new, _, side = _solver_step(tables, network, step_size, clock, k, y, n, order)
    return to_point(network, clock.unit, new), side


_points = jax.jit(to_point)


class _Signs(NamedTuple):
    """What (a, q, m) does not hold: signs of a and of z_perp, and of q where a was turned positive at even depth; each (L, B)."""

    a: np.ndarray
    parallel: np.ndarray
    perp: np.ndarray


def _to_point(packed: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, _Signs]:
    """Packed states (STATE, L, B) with a made positive: (a, z) -> (-a, -z) at even depth and a -> -a at odd depth leave w as it is."""
    a, parallel, mantissa, shift, _, a_rest, parallel_rest = packed
    a, parallel = a + a_rest, parallel + parallel_rest
    turned = (a < 0.0) & (depth > 1)
    flip = np.where(turned & (depth % 2 == 0), -1.0, 1.0)
    with np.errstate(divide="ignore"):
        log_perp = np.log(np.abs(mantissa)) - SHIFT_BITS * np.log(2.0) * shift
    return np.stack([np.abs(a), flip * parallel, log_perp]), _Signs(np.where(turned, -1.0, 1.0), flip, np.sign(mantissa))


def _to_packed(point: np.ndarray, signs: _Signs, odd: np.ndarray, burst: np.ndarray) -> np.ndarray:
    """The inverse; ``odd``: whether z_perp has changed its sign on the way."""
    mantissa, shift = exact.split_log(point[2] / np.log(2.0))
    idle = signs.perp == 0.0
    perp = np.where(idle, 0.0, signs.perp * mantissa * np.where(odd, -1.0, 1.0))
    shift, nothing = np.where(idle, 0.0, shift), np.zeros(())
    return np.stack(np.broadcast_arrays(point[0] * signs.a, point[1] * signs.parallel, perp, shift, burst, nothing, nothing))


class _Chunk:
    """Runs followed together, each at its own step: packed states (STATE, L, B), L = 2 with their shadows or 1 without.

    ended: why a run was given up before its last record: "range", "cap" or "burst".
    """

    def __init__(self, batch: Batch, etas: np.ndarray, index: np.ndarray, record: np.ndarray, rules: "Rules") -> None:
        self.tables = batch.tables
        self.network = jax.tree.map(lambda x: x[index], batch.network._replace(depth=batch.network.depth.astype(np.int64)))
        self.record, self.rules, size = record, rules, index.size
        self.worth, self.first_block = (WORTH_ONE, FIRST_BLOCK_ONE) if size == 1 else (WORTH_MANY, FIRST_BLOCK_MANY)
        start = exact.pack(batch)[:, index]
        shadow = start.copy()
        shadow[2] *= 1.0 + _NUDGE
        self.state = np.stack([start, shadow] if rules.estimate else [start], axis=1)
        # a shadow's steps are longer by a few roundings: no rounding can join it to its run again
        self.eta = etas[index] * np.array([[1.0], [1.0 + _NUDGE]])[: self.state.shape[1]]
        self.k, self.next = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        self.block = np.full(size, self.first_block)
        self.exact, self.ended = np.zeros(size, dtype=np.int64), np.full(size, "", dtype="U5")
        self.out = np.full((record.size, *self.state.shape), np.nan)
        self.exact_at = np.zeros((record.size, size))
        self.lost = np.full(size, np.iinfo(np.int64).max)
        self._keep(np.arange(size))

    def _keep(self, index: np.ndarray) -> None:
        """Record the runs that stand on their next recorded step."""
        there = index[(self.next[index] < self.record.size)]
        there = there[self.record[self.next[there]] == self.k[there]]
        self.out[self.next[there], :, :, there] = self.state[:, :, there].transpose(2, 0, 1)
        self.exact_at[self.next[there], there] = self.exact[there]
        self.next[there] += 1

    def follow(self, stop: Event) -> Iterator[float]:
        """To the last record of every run; yields the decades of k gained, in the mean over the runs."""
        last = int(self.record[-1])
        covering = np.zeros(self.k.size, dtype=bool)
        before = np.log10(self.k + 1.0)
        while not stop.is_set():
            self.leave()
            self._rejoin()
            if self.rules.stop_at_burst:
                self._end(self.state[exact.BURST, 0] >= 0.0, "burst")
            open_ = (self.k < last) & (self.ended == "")
            if not open_.any():
                return
            few = last - self.k <= 20 * self.worth
            ready = open_ & covering & ~few
            if ready.any():
                covering[:] &= ~ready
                covering[self._cover(np.flatnonzero(ready))] = True
            else:
                spent = open_ & (self.exact >= self.rules.max_exact_steps)
                self._end(spent, "cap")
                self._take(np.flatnonzero(open_ & ~spent), np.where(few, last - self.k, self.block))
                covering[open_] = True
            now = np.log10(self.k + 1.0)
            yield float((now - before).mean())
            before = now

    def leave(self) -> None:
        """Give up the runs whose numbers have left the double range."""
        self._end(~self._in_range(), "range")

    def _rejoin(self) -> None:
        """Runs that have gone apart from their shadows for good have no digits left: from there the shadow is the run itself."""
        if self.state.shape[1] == 1:
            return
        with np.errstate(all="ignore"):
            at = exact.unpack(self.state, self.network.depth)
            norm = np.abs(np.expm1(at.log_norm[1] - at.log_norm[0]))
            s = np.where(at.s[0] == at.s[1], 0.0, np.abs(at.s[1] - at.s[0]) / np.maximum(np.abs(at.s[0]), 1.0))
        apart = ~(np.maximum(norm, s) * np.where(self.state[exact.BURST, 0] >= 0.0, AFTER_BURST, SAFETY) <= NO_DIGITS)
        apart &= self.lost > self.k
        self.lost[apart] = self.k[apart]
        gone = self.lost <= self.k
        self.state[:, 1, gone] = self.state[:, 0, gone]

    def _end(self, which: np.ndarray, reason: str) -> None:
        self.ended[which & (self.ended == "")] = reason

    def _in_range(self) -> np.ndarray:
        """Runs whose numbers have all their digits."""
        a, parallel, mantissa, shift = self.state[:4, 0]
        with np.errstate(all="ignore"):
            z = np.hypot(parallel, np.where(shift == 0.0, mantissa, 0.0))
            log_norm = np.log(z) + (self.network.depth - 1) * np.log(np.abs(a))
            return (log_norm > exact.SMALLEST) & (log_norm < exact.LARGEST)

    def _part(self, index: np.ndarray) -> tuple[np.ndarray, Network, np.ndarray]:
        """The index padded to a width that is compiled, with its networks and step sizes."""
        width = next((w for w in (1, *exact.WIDTHS) if w >= index.size), exact.WIDTHS[-1])
        padded = np.concatenate([index, np.repeat(index[-1:], width - index.size)])
        return padded, jax.tree.map(lambda x: x[padded], self.network), self.eta[:, padded]

    def _take(self, index: np.ndarray, block: np.ndarray) -> None:
        """Up to ``block`` exact steps of each of these runs, ending early on its records."""
        if index.size == 0:
            return
        goal = np.minimum(self.k[index] + block[index], self.record[-1])
        goal = np.minimum(goal, self.k[index] + np.maximum(self.rules.max_exact_steps - self.exact[index], 0))
        if self.k.size == 1:
            self._take_one(int(goal[0]))
            return
        while (short := self.k[index] < goal).any():
            some, ends = index[short], goal[short]
            ends = np.minimum(ends, self.record[self.next[some]])
            part, network, eta = self._part(some)
            ends_padded = np.concatenate([ends, np.repeat(ends[-1:], part.size - some.size)])
            lanes = self.state.shape[1]
            network, first, last = jax.tree.map(lambda x: np.tile(x, lanes), (network, self.k[part], ends_padded))  # noqa: B023
            with jax.enable_x64(True):
                state = exact.advance_each(self.tables, network, eta.ravel(), self.state[:, :, part].reshape(exact.STATE, -1), first, last)
            self.state[:, :, some] = np.asarray(state).reshape(exact.STATE, lanes, -1)[:, :, : some.size]
            self.exact[some] += ends - self.k[some]
            self.k[some] = ends
            self._keep(some)

    def _take_one(self, goal: int) -> None:
        network = jax.tree.map(lambda x: x[0], self.network)
        while self.k[0] < goal:
            at, done = int(self.k[0]), int(self.next[0])
            passed = self.record[done : done + exact.TARGETS]
            passed = passed[passed <= goal]
            end = int(passed[-1]) if passed.size == exact.TARGETS else goal
            targets = np.concatenate([passed, np.full(exact.TARGETS - passed.size, end)])
            lanes = []
            for lane in range(self.state.shape[1]):
                with jax.enable_x64(True):
                    state = self.state[:, lane, 0]
                    lanes.append(np.asarray(exact.advance_one(self.tables, network, self.eta[lane, 0], np.ones(1), state, at, targets)))
            # all or nothing: an interruption may come between a run and its shadow
            reached = np.stack(lanes, axis=-1)
            self.out[done : done + passed.size, :, :, 0] = reached[: passed.size]
            self.state[:, :, 0] = reached[-1]
            self.exact_at[done : done + passed.size, 0] = self.exact[0] + passed - at
            self.exact[0] += end - at
            self.k[0], self.next[0] = end, done + passed.size

    def _cover(self, index: np.ndarray) -> np.ndarray:
        """Let the modified field carry these runs as far as it is worth; the ones to go on with at once."""
        part, network, eta = self._part(index)
        point, signs = _to_point(self.state[:, :, part], network.depth)
        # a step with sigma = 1 leaves no part across v, and whatever layers it leaves
        off_ray = (network.ray == 0.0) & (signs.perp != 0.0).all(axis=0)
        network = network._replace(ray=np.where(off_ray, 0.0, np.sign(point[1, 0]) * np.where(network.ray == 0.0, 2.0, 1.0)))
        burst = self.state[exact.BURST, 0, part]
        first, last = self.k[part], np.full(part.size, self.record[-1])
        # the padding repeats a run that is already there; it need not be followed again
        last[index.size :] = first[index.size :]
        with jax.enable_x64(True):
            stretch = _cover(self.tables, network, eta, point, burst, first, last, np.asarray(float(self.worth)))
            stretch = jax.tree.map(np.asarray, stretch)
            self._keep_between(index, part, network, eta, stretch, signs)
            lanes = np.arange(part.size)
            end = stretch.count
            point = np.asarray(_points(network, stretch.clock.unit, stretch.y[end, :, :, lanes].transpose(1, 2, 0)))
        packed = _to_packed(point, signs, stretch.odd[end, lanes], stretch.burst)
        size = index.size
        moved = stretch.k[end, lanes][:size] - self.k[index]
        went = moved > 0
        self.state[:, :, index[went]] = packed[:, :, :size][:, :, went]
        self.k[index] += moved
        self.block[index] = np.where(moved > 8 * self.worth, self.first_block, np.minimum(2 * self.block[index], LARGEST_BLOCK))
        return index[stretch.code[:size] == FULL]

    def _keep_between(
        self, index: np.ndarray, part: np.ndarray, network: Network, eta: np.ndarray, stretch: _Stretch, signs: _Signs
    ) -> None:
        """Record what the stretch passed: one solver step from the grid point before each record."""
        which, rows, points = [], [], []
        for lane, run in enumerate(index):
            grid = stretch.k[: stretch.count[lane] + 1, lane]
            last = int(np.searchsorted(self.record, grid[-1], side="right"))
            passed = np.arange(int(self.next[run]), last)
            which.append(np.full(passed.size, lane))
            rows.append(passed)
            points.append(np.searchsorted(grid, self.record[passed], side="left") - 1)
            self.exact_at[passed, run] = self.exact[run]
            self.next[run] = max(last, int(self.next[run]))
        lanes, row, point = np.concatenate(which), np.concatenate(rows), np.maximum(np.concatenate(points), 0)
        # the last piece is padded: small pieces where there are few records
        piece = exact.WIDTHS[0] if lanes.size < exact.WIDTHS[1] else exact.WIDTHS[1]
        for i in range(0, lanes.size, piece):
            some = slice(i, i + piece)
            self._interpolate(part, network, eta, stretch, signs, lanes[some], row[some], point[some])

    def _interpolate(
        self,
        part: np.ndarray,
        network: Network,
        eta: np.ndarray,
        stretch: _Stretch,
        signs: _Signs,
        lane: np.ndarray,
        row: np.ndarray,
        left: np.ndarray,
    ) -> None:
        size = lane.size
        width = next(w for w in exact.WIDTHS if w >= size)
        pad = lambda x: np.concatenate([x, np.repeat(x[-1:], width - size)])  # noqa: E731
        lane, row, left = pad(lane), pad(row), pad(left)
        k = stretch.k[left, lane]
        y = stretch.y[left, :, :, lane].transpose(1, 2, 0)
        clock = _Clock(*(x[lane] for x in stretch.clock))
        n = self.record[row] - k
        point, side = _between(self.tables, jax.tree.map(lambda x: x[lane], network), eta[:, lane], clock, k, y, n.astype(np.float64))
        odd = stretch.odd[left, lane] ^ ((np.asarray(side) > 0.0) & (n % 2 == 1))
        signs = _Signs(*(x[:, lane] for x in signs))
        packed = _to_packed(np.asarray(point), signs, odd, np.full(width, np.nan))
        self.out[row[:size], :, :, part[lane[:size]]] = packed[:, :, :size].transpose(2, 0, 1)


@dataclass(frozen=True)
class Rules:
    """max_exact_steps: of each run.  stop_at_burst: records after a run's first burst are nan.  estimate: whether to estimate errors."""

    max_exact_steps: int = MAX_EXACT
    stop_at_burst: bool = False
    estimate: bool = True


def follow(batch: Batch, etas: np.ndarray, record: np.ndarray, rules: Rules) -> exact.Followed:
    """Runs with constant step sizes etas (B,) at the steps ``record``, (T,)."""
    size = etas.size
    order = np.lexsort((etas, batch.network.depth))
    width = exact.WIDTHS[-1]
    chunks = [_Chunk(batch, etas, order[i : i + width], record, rules) for i in range(0, size, width)]
    stop = Event()

    def run(chunk: _Chunk, progress: Progress) -> None:
        for gained in chunk.follow(stop):
            progress.advance(gained * chunk.k.size / size)

    with Progress("descent", np.log10(record[-1] + 1.0), "decade of k") as progress:
        try:
            if len(chunks) == 1:
                run(chunks[0], progress)
            else:
                with ThreadPoolExecutor(cpu_count() or 1) as pool:
                    try:
                        list(pool.map(lambda chunk: run(chunk, progress), chunks))
                    except KeyboardInterrupt:
                        stop.set()
        except KeyboardInterrupt:
            pass
    for chunk in chunks:
        chunk.leave()
    back = np.argsort(order)
    join = lambda name: np.concatenate([getattr(chunk, name) for chunk in chunks], axis=-1)[..., back]  # noqa: E731
    return _result(batch, record, join("out"), join("state"), join("k"), join("exact"), join("exact_at"), join("ended"), join("lost"))


def _result(
    batch: Batch,
    record: np.ndarray,
    out: np.ndarray,
    state: np.ndarray,
    k: np.ndarray,
    taken: np.ndarray,
    taken_at: np.ndarray,
    ended: np.ndarray,
    lost: np.ndarray,
) -> exact.Followed:
    first_burst = np.maximum(state[exact.BURST, 0], -1.0).astype(np.int64)
    # a block of steps may have gone on beyond the burst that it ended at
    out.transpose(0, 3, 1, 2)[(record[:, None] > first_burst) & (ended == "burst")] = np.nan
    every = exact.unpack(out.transpose(1, 2, 0, 3), batch.network.depth)
    main, shadow = (exact.Records(*(x[i].T for x in every)) for i in (0, -1))
    errors = (np.full(main.s.shape, np.nan),) * 2
    if state.shape[1] == 2:
        errors = _errors(record, main, shadow, first_burst, taken_at.T, lost, batch.network)
    status = exact.endings(main, state[:, 0], first_burst, (k < record[-1]) & (ended == ""))
    status = np.where(ended == "cap", "step_cap", np.where(ended == "burst", "burst", status))
    return exact.Followed(main, status, Coverage(taken, k - taken, first_burst, *errors))


def _errors(
    record: np.ndarray,
    main: exact.Records,
    shadow: exact.Records,
    first_burst: np.ndarray,
    taken: np.ndarray,
    lost_at: np.ndarray,
    network: Network,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimated errors of |w| and s, each (B, T). taken: exact steps so far, (B, T).  lost_at: k."""
    depth, noisy = network.depth, network.pull > network.signal
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.where(shadow.s == main.s, 0.0, np.abs(shadow.s - main.s))
        gaps = np.abs(np.expm1(shadow.log_norm - main.log_norm)), apart
        # of two orbits that come together again for a while, the distance they had is the better estimate
        gaps = [np.fmax.accumulate(np.where(np.isnan(gap), 0.0, gap), axis=1) for gap in gaps]
        unstable = (first_burst[:, None] >= 0) & (record >= first_burst[:, None])
        safety = np.where(unstable, AFTER_BURST, SAFETY)
        noise = (
            ROUNDING * np.maximum(depth[:, None] / 5.0, 1.0)
            + 2e-16 * np.sqrt(taken)
            + np.where(noisy[:, None] & (record > taken), 3.0 * SETTLED, 0.0)
        )
        norm_error = safety * gaps[0] + noise
        direction_error = safety * gaps[1] / np.where(np.isinf(main.s), 1.0, np.maximum(np.abs(main.s), 1.0)) + noise
    lost = np.maximum.accumulate(np.maximum(norm_error, direction_error) > NO_DIGITS, axis=1) | (record >= lost_at[:, None])
    missing = np.isnan(main.s)
    norm_error, direction_error = (np.where(missing, np.nan, np.where(lost, np.inf, x)) for x in (norm_error, direction_error))
    return norm_error, direction_error
