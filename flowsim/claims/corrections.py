"""In which terms the late flow approaches its powers of time: known from the tail of the law, and measured on the run itself.

Once aligned, with h = K r^-(1+a) (1 + sum of b_q r^-q), the flow is r' = N r^(2-2/N) h, s' = -c r^(1-2/N). So

    t + t_0 = (r^m/(N K m)) (1 + sum of .. r^-q),  m = a + 2/N,      s_0 - s = (c r^(1+a)/(N K (1+a))) (1 + sum of .. r^-q)

with r^-q log r where q is m, or 1 + a. Products of r^-q, of 1/t, of 1/s and of log(r)/t, log(r)/s are therefore all that separates
log r, log -s, log L and their slopes in log t from straight lines. Here they are built from the norm, the time and the direction that were
recorded; only the powers q, and where a logarithm stands, come from the law.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf

import numpy as np
from jaxtyping import Float

from flowsim.dynamics import Trajectory
from flowsim.problem import Law, PopulationRisk, Radial

FARTHEST = 4.5
"""The powers q that are looked at: later ones are far below any tolerance, or sums of earlier ones."""
NEAR = 0.4
"""Two powers nearer than this have large and opposite coefficients; what counts is r^-q (r^d - 1)/d, d their distance."""
HELD = 3e-11
"""How far from r*, relatively, the flow may hold a norm at rest: it stops where h is within 1e-11 of its value there."""
ALIGNED = 1e-2
"""Of the solver's tolerance: what c (1 - cos theta) may still be of h in a late record."""


@dataclass(frozen=True)
class Gaps:
    """The powers by which the terms of h fall below the first, K r^-(1+a).

    powers: q, those that are not sums of smaller ones.  pairs: (q, d), a power q with another at q - d so near that a logarithm is formed.
    """

    powers: tuple[float, ...]
    pairs: tuple[tuple[float, float], ...]

    @property
    def sums(self) -> tuple[float, ...]:
        """Every power that products of them reach, up to `FARTHEST`."""
        return _sums(self.powers)


def tail_gaps(law: Law) -> Gaps:
    """The powers of u in the density of |x_1| near 0, less the first: h turns u^e into r^-(2+e).

    x_1 = |x| times a coordinate of the unit sphere, whose density is even. So u^0, u^2, ... stand beside u^(alpha-1+k b), k = 0, 1, ...,
    where the density of |x| is u^(alpha-1) (1 + .. u^b + ...); a logarithm where one of either kind agree.
    """
    alpha, step = _density_near_zero(law)
    further = [k * step for k in range(1, int(FARTHEST / step) + 2)] if step < inf else []
    edge = [alpha - 1.0 + more for more in (0.0, *further)] if alpha < inf else []
    even = [0.0, 2.0, 4.0]
    first = min(edge + even)
    edge, even = ([e - first for e in of if 1e-6 < e - first < FARTHEST] for of in (edge, even))
    powers: list[float] = []
    for q in sorted(edge + even):
        if not any(abs(q - reached) < 1e-3 for reached in _sums(powers)):
            powers.append(q)
    pairs = tuple((q, q - other) for q in even for other in edge if abs(q - other) < NEAR)
    return Gaps(tuple(powers) or (2.0,), pairs)


def _sums(powers: Sequence[float]) -> tuple[float, ...]:
    reached = {0.0}
    for q in powers:
        reached = {total + k * q for total in reached for k in range(int((FARTHEST - total) / q) + 1)}
    return tuple(sorted(reached - {0.0}))


def _density_near_zero(law: Law) -> tuple[float, float]:
    """alpha and b of a density u^(alpha-1) (1 + .. u^b + ...) of |x|; inf where there is no such power, or no further one."""
    if not isinstance(law, Radial):
        if law.tail.exponent < 1.0:
            return law.tail.exponent, 1.0
        return (2.0, 1.0) if law.tail.next_power == 3.0 else (inf, inf)
    if law.radius.support()[0] > 0.0:
        return inf, inf
    with np.errstate(all="ignore"):
        far = np.asarray(law.radius.logpdf(np.array([1e-60, 1e-50])), dtype=float)
        alpha = 1.0 + float(far[1] - far[0]) / np.log(1e10)
        if not alpha < 2.0 * FARTHEST:
            return inf, inf
        u = 10.0 ** np.arange(-12, 0)
        rest = np.abs(law.radius.logpdf(u) - far[1] - (alpha - 1.0) * (np.log(u) - np.log(1e-50)))
    seen = np.flatnonzero(rest[:-1] > 1e-7)
    step = round(float(np.log10(rest[seen[0] + 1] / rest[seen[0]])), 4) if seen.size else inf
    return round(float(alpha), 9), step if step > 0.0 else inf


@lru_cache(maxsize=64)
def onset_norm(risk: PopulationRisk) -> float:
    """The norm from which on h is near its power law.

    There a correction b r^-q, of the size seen further out, would be 1, and from there on what separates h from its power law falls at
    least like r^(-q/2).
    """
    a, q = risk.tail.exponent, tail_gaps(risk.law).powers[0]
    r = np.geomspace(1e-3, 1e15, 400) * risk.tail.constant ** (1.0 / a)
    bend = np.abs(r * risk.curvature(r) / risk.growth(r) - (1.0 + a))
    shown = bend > 1e-9
    with np.errstate(divide="ignore", invalid="ignore"):
        falls = np.gradient(np.log(bend), np.log(r)) < -0.5 * q
    settled = int(np.flatnonzero(shown & (~falls | (bend > 0.5)))[-1])
    # b r^-q bends the logarithm of h by q b r^-q
    scale = (r * (bend * max(1.0, 1.0 / q)) ** (1.0 / q))[settled:][shown[settled:]]
    return float(max(scale.max(), r[settled]))


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms whose products correct the leading order, at the late records of a run.

    names: one each.  size: (terms, late), 1 where the asymptotics set in, falling.  slope: (terms, late), d log size / d log t.
    late: indices of the records.  predicted: (late,), the size of the correction.
    expansion: (late,), what has to be small for the terms to be all there is: that, and `onset_norm` over the norm.
    """

    names: tuple[str, ...]
    size: Float[np.ndarray, "terms late"]
    slope: Float[np.ndarray, "terms late"]
    late: np.ndarray
    predicted: Float[np.ndarray, "late"]
    expansion: Float[np.ndarray, "late"]


def correction_terms(run: Trajectory, quantity: str, tolerance: float) -> Terms | None:
    """The terms of a single flow without label noise; None where it is not late at its last record.

    Late is a record from which on the norm has doubled since its least value and passed `onset_norm`, and the direction no longer acts on
    it. The first such time measures t_0 and the direction there s_0.
    """
    risk, depth = run.problem, int(run.depth)
    norm, time, s = run.norm, run.time, run.log_tan_half_angle
    gaps, scale = tail_gaps(risk.law), onset_norm(risk)
    least = min(float(norm.min()), float(run.start.norm))
    aligned = risk.pull * run.one_minus_cos <= ALIGNED * tolerance * risk.growth(norm)
    late = _from_then_on(aligned & (norm >= max(2.0 * least, scale)) & (time > 0.0))
    if late.size == 0:
        return None
    with_s = quantity == "direction"
    rise = run.local_exponent("norm")[late]
    build = _Builder(norm[late] / scale, rise, gaps)
    for q in gaps.powers:
        build.add(f"r^-{q:g}", build.ratio**-q, -q * rise)
    for q, d in gaps.pairs:
        build.add_logarithm(f"r^-{q:g} log r", build.ratio**-q, -q * rise, d)
    onset = float(time[late[0]])
    build.add_with_logarithms("1/t", onset / time[late], -np.ones(late.size), risk.tail.exponent + 2.0 / depth)
    if with_s:
        initial = max(abs(float(s[late[0]])), abs(float(run.start.log_tan_half_angle)), 1.0)
        build.add_with_logarithms("1/s", initial / -s[late], -run.local_exponent("direction")[late], 1.0 + risk.tail.exponent)
    return build.done(late)


def resting_terms(run: Trajectory, tolerance: float) -> Terms | None:
    """The terms of the direction of a single flow with label noise, once its norm rests at r*: 1/t and 1/s; None where it never does."""
    s = run.log_tan_half_angle
    near = np.abs(run.log_norm - np.log(run.problem.minimiser_norm)) <= max(0.1 * tolerance, HELD)
    late = _from_then_on(near & (run.time > 0.0) & (s < -1.0))
    if late.size == 0:
        return None
    onset = float(run.time[late[0]])
    initial = max(abs(float(s[late[0]])), abs(float(run.start.log_tan_half_angle)), 1.0)
    build = _Builder(np.full(late.size, inf), np.zeros(late.size), Gaps((), ()))
    build.add("1/t", onset / run.time[late], -np.ones(late.size))
    build.add("1/s", initial / -s[late], -run.local_exponent("direction")[late])
    return build.done(late)


def _from_then_on(good: np.ndarray) -> np.ndarray:
    """Indices from which on ``good`` stays true."""
    bad = np.flatnonzero(~good)
    return np.arange(bad[-1] + 1 if bad.size else 0, good.size)


class _Builder:
    """Collects terms. ratio: the norm over `onset_norm`; rise: d log r / d log t."""

    def __init__(self, ratio: np.ndarray, rise: np.ndarray, gaps: Gaps) -> None:
        self.ratio, self.rise, self.gaps = ratio, rise, gaps
        self.names: list[str] = []
        self.sizes: list[np.ndarray] = []
        self.slopes: list[np.ndarray] = []

    def add(self, name: str, size: np.ndarray, slope: np.ndarray) -> None:
        self.names.append(name)
        self.sizes.append(size)
        self.slopes.append(slope)

    def add_logarithm(self, name: str, size: np.ndarray, slope: np.ndarray, distance: float, power: int = 0) -> None:
        """size (r^d - 1)/d (log r)^power, log r in the place of the quotient at d = 0; r in units of `onset_norm`, past it."""
        log = np.log(self.ratio)
        quotient = np.expm1(distance * log) / distance if abs(distance) > 1e-6 else log
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = slope + (np.exp(distance * log) / quotient + power / log) * self.rise
        good = log > 0.0
        self.add(name, np.where(good, size * quotient * log**power, size), np.where(good, slope, 0.0))

    def add_with_logarithms(self, name: str, size: np.ndarray, slope: np.ndarray, place: float) -> None:
        """A term that r^-q at q = place becomes one with, and their logarithm wherever a sum of the gaps comes near that."""
        self.add(name, size, slope)
        first_pair = min((q for q, _ in self.gaps.pairs), default=inf)
        for q in self.gaps.sums:
            if abs(place - q) < NEAR:
                # each factor with a logarithm of its own adds one
                for power in range(1 + min(int((q + NEAR) / first_pair), 3)):
                    shown = f"log^{power + 1}(r)" if power else "log(r)"
                    self.add_logarithm(name.replace("1", shown, 1), size, slope, place - q, power)

    def done(self, late: np.ndarray) -> Terms:
        size = np.array(self.sizes)
        largest = size.max(axis=0)
        return Terms(tuple(self.names), size, np.array(self.slopes), late, largest, np.maximum(largest, 1.0 / self.ratio))
