r"""The orders of the sums in Theorems 2 and 3: Remarks 1 and 2, derived here.

    S_n = sum over k < n of eta_k/sqrt(V_k),    V_k = A + sum over i <= k of (eta_i^2 + C eta_i)

A = r(0)^2/c0^2; C = 0 in Theorem 2, whose sum is S-_n, and 0.6/c0^2 in Theorem 3, S+_n.

With eta_k = eta (k+1)^p the largest part of V decides;

    sum over j <= m of j^q = m^(q+1)/(q+1) + m^q/2 + zeta(-q) + O(m^(q-1)),    at q = -1 log m + gamma + 1/(2m) + O(m^-2):

        S-_n                                          S+_n
    p > -1/2        2 sqrt((2p+1) n)                  p > 0         2 sqrt((2p+1) n)
    p = -1/2        2 sqrt(n/log n)                   p = 0         2 sqrt(n eta/(eta + C))
    -1 < p < -1/2   eta n^(1+p)/((1+p) sqrt(Q))       -1 < p < 0    2 sqrt(eta n^(1+p)/(C (1+p)))
    p = -1          eta log(n)/sqrt(Q)                p = -1        2 sqrt(eta log(n)/C)
    p < -1          converges                         p < -1        converges

with Q = A + eta^2 zeta(-2p). Geometric steps eta q^k, q > 1, give n sqrt(1 - q^-2) in both, and step sizes whose averages settle,
mean eta_k -> m1 and mean eta_k^2 -> m2, give 2 sqrt(n) m1/sqrt(m2 + C m1). No step sizes give more than n. S_n grows without bound exactly
where the sum of the step sizes does.

Source: derivations/step_sums.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import dawsn, zeta

from flowsim import arguments

Array = Float[np.ndarray, "..."]

LARGEST = 1e150
"""The largest step size whose square, summed, stays in the double range."""

STEEPEST = 100.0


@dataclass(frozen=True)
class PowerSteps:
    """eta_k = first (k+1)^power, k = 0, 1, ...

    first: eta > 0.  power: p in [-100, 100]; 0 for constant step sizes. ValueError where one is not.

    >>> import flowsim as fs
    >>> fs.theory.PowerSteps(first=0.5, power=-0.5)
    PowerSteps(first=0.5, power=-0.5)
    """

    first: Any = 1.0
    power: Any = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", arguments.real("first", self.first, low=0.0, strict=True))
        object.__setattr__(self, "power", arguments.real("power", self.power, low=-STEEPEST, high=STEEPEST))

    def sizes(self, count: Any) -> Array:
        """eta_0, eta_1, ...: the first step sizes, (count,).

        count: how many, whole, 1 or more; ValueError where it is not.

        >>> import flowsim as fs
        >>> fs.theory.PowerSteps(first=0.5, power=-1.0).sizes(4).round(6).tolist()
        [0.5, 0.25, 0.166667, 0.125]
        """
        return self.first * np.arange(1.0, int(arguments.whole("count", count, low=1)) + 1.0) ** self.power


@dataclass(frozen=True)
class GeometricSteps:
    """eta_k = first ratio^k, k = 0, 1, ...

    first: eta > 0.  ratio: q > 1. ValueError where one is not.

    >>> import flowsim as fs
    >>> fs.theory.GeometricSteps(first=0.5, ratio=2.0)
    GeometricSteps(first=0.5, ratio=2.0)
    """

    first: Any = 1.0
    ratio: Any = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", arguments.real("first", self.first, low=0.0, strict=True))
        object.__setattr__(self, "ratio", arguments.real("ratio", self.ratio, low=1.0, strict=True))

    def sizes(self, count: Any) -> Array:
        """eta_0, eta_1, ...: the first step sizes, (count,); inf beyond the double range.

        count: how many, whole, 1 or more; ValueError where it is not.

        >>> import flowsim as fs
        >>> fs.theory.GeometricSteps(first=0.5, ratio=2.0).sizes(4).tolist()
        [0.5, 1.0, 2.0, 4.0]
        """
        with np.errstate(over="ignore"):
            return self.first * self.ratio ** np.arange(float(arguments.whole("count", count, low=1)))


@dataclass(frozen=True)
class SettledSteps:
    """Step sizes in [low, high], 0 < low, whose averages settle.

    mean: of eta_k, the limit of its averages, positive.  mean_square: of eta_k^2, at least mean^2. ValueError where one is not.

    >>> import flowsim as fs
    >>> fs.theory.SettledSteps(mean=1.0, mean_square=1.25)
    SettledSteps(mean=1.0, mean_square=1.25)
    """

    mean: Any
    mean_square: Any

    def __post_init__(self) -> None:
        mean = arguments.real("mean", self.mean, low=0.0, strict=True)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "mean_square", arguments.real("mean_square", self.mean_square, low=mean**2))


@dataclass(frozen=True)
class StepSumOrder:
    """The terms of S_n are g m^(e-1), or g m^(e-1)/sqrt(log m + b), to leading order, m = k+1. Made by `step_sum_order`.

    factor: g.  power: e, 0 where S_n grows like a logarithm or its root, negative where it converges.
    shift: b where there is a logarithm under the root, None elsewhere.

    >>> import flowsim as fs
    >>> order = fs.theory.step_sum_order(fs.theory.PowerSteps(first=1.0, power=0.0), offset=1.0)
    >>> order.factor, order.power, order.shift, order.converges
    (1.0, 0.5, None, False)
    """

    factor: float
    power: float
    shift: float | None = None
    _rest: Callable[[Array], Any] = field(default=lambda m: np.full_like(m, np.nan), repr=False, compare=False)

    @property
    def converges(self) -> bool:
        """Whether S_n stays bounded: then the theorem proves no convergence of the direction."""
        return self.power < 0.0

    def leading(self, n: Any) -> Array:
        """S_n to leading order: (g/e) n^e, g log n at e = 0; with the logarithm (g/e) n^e/sqrt(log n), 2 g sqrt(log n) at e = 0.

        n: above 1; any shape, which is the result's. ValueError where S_n converges: see `between`.

        >>> import flowsim as fs
        >>> fs.theory.step_sum_order(fs.theory.PowerSteps(), offset=1.0).leading([1e2, 1e4]).tolist()
        [20.0, 200.0]
        """
        steps = arguments.reals("n", n, low=1.0, strict=True)
        if self.converges:
            raise ValueError(f"`leading` must be asked of a sum that grows, but this one converges, its rest like n^{self.power:.6g}")
        root = 1.0 if self.shift is None else np.sqrt(np.log(steps))
        if self.power == 0.0:
            return np.asarray(self.factor * (np.log(steps) if self.shift is None else 2.0 * root))
        return np.asarray(self.factor / self.power * steps**self.power / root)

    def between(self, m: Any, n: Any) -> Array:
        """S_n - S_m to leading order, the integral of the term from m to n, in which b is kept.

        m, n: 1 <= m < n; shapes that broadcast. n = inf gives the rest of a sum that converges. ValueError where they are not in order.

        >>> import flowsim as fs
        >>> order, sums = fs.theory.step_sum_order(fs.theory.PowerSteps(), offset=1.0), fs.theory.step_sum([1.0] * 10_000, offset=1.0)
        >>> round(float(order.between(1e2, 1e4)), 2), round(float(sums[10_000] - sums[100]), 2)
        (180.0, 179.87)
        """
        first = arguments.reals("m", m, low=1.0)
        last = np.asarray(n, dtype=float)
        if not (last > first).all():
            raise ValueError(f"`n` must be above `m` = {first}, but is {n!r}")
        if not np.isfinite(last).all() and not self.converges:
            raise ValueError("`n` must be finite for a sum that grows, but is inf")
        return np.asarray(self._primitive(last) - self._primitive(first))

    def next_order(self, n: Any) -> Array:
        """Relative size, at step n, of what the leading term leaves out: half that of V's rest, and the sum's beside its integral.

        n: 1 or more; any shape, which is the result's. nan for `SettledSteps`: averages do not tell how fast they settle.

        >>> import flowsim as fs
        >>> fs.theory.step_sum_order(fs.theory.PowerSteps(), offset=1.0).next_order([1e2, 1e4]).round(6).tolist()
        [0.02, 0.0002]
        """
        steps = arguments.reals("n", n, low=1.0)
        return np.asarray(0.5 * self._rest(steps) + (1.0 + abs(self.power - 1.0)) / steps)

    def _primitive(self, m: Array) -> Array:
        if self.shift is None:
            return np.asarray(self.factor * (np.log(m) if self.power == 0.0 else m**self.power / self.power))
        root = np.sqrt(np.log(m) + self.shift)
        if self.power == 0.0:
            return np.asarray(2.0 * self.factor * root)
        # D, Dawson's function: the integral of m^(e-1)/sqrt(log m + b) is 2 m^e D(sqrt(e (log m + b)))/sqrt(e)
        return np.asarray(self.factor * 2.0 * m**self.power * dawsn(sqrt(self.power) * root) / sqrt(self.power))


def step_sum(step_sizes: Any, offset: Any, drift: Any = 0.0) -> Array:
    """S_n = sum over k < n of eta_k/sqrt(A + sum over i <= k of (eta_i^2 + C eta_i)): S_0, S_1, ..., S_K, (K+1,).

    step_sizes: eta_k, (K,), in (0, 1e150].  offset: A > 0.  drift: C >= 0; 0 for Theorem 2.

    ValueError on bad input. Source: the paper's Theorems 2 and 3.

    >>> import flowsim as fs
    >>> fs.theory.step_sum([1.0, 1.0, 1.0], offset=3.0).round(6).tolist()
    [0.0, 0.5, 0.947214, 1.355462]
    """
    eta, squares, times = _cumulated(step_sizes)
    a, c = _constants(offset, drift)
    return np.concatenate([[0.0], np.cumsum(eta / np.sqrt(a + squares + c * times))])


class StepSumCeilings(NamedTuple):
    """What no S_n exceeds. Made by `step_sum_ceilings`.

    steps: n, (K+1,).  squares: sqrt(n log(1 + sum eta_i^2/A)), (K+1,).
    time: (2/C) (sqrt(A + C t_n) - sqrt(A)), t_n the sum of the step sizes, or t_n/sqrt(A) where C = 0, (K+1,).

    >>> import flowsim as fs
    >>> [ceiling.round(4).tolist() for ceiling in fs.theory.step_sum_ceilings([1.0, 1.0], offset=1.0)]
    [[0.0, 1.0, 2.0], [0.0, 0.8326, 1.4823], [0.0, 1.0, 2.0]]
    """

    steps: Array
    squares: Array
    time: Array


def step_sum_ceilings(step_sizes: Any, offset: Any, drift: Any = 0.0) -> StepSumCeilings:
    """S_n <= n, S_n <= sqrt(n log(1 + sum eta_i^2/A)), S_n <= (2/C) (sqrt(A + C t_n) - sqrt(A)), t_n the sum of the step sizes.

    By the first no step sizes prove more than exp(-b n), by the second none that grow like a power of k prove more than
    exp(-b sqrt(n log n)); by the third Theorem 3 proves no more than Theorem 1 does at the time t_n.

    step_sizes, offset, drift: as in `step_sum`. Returns `StepSumCeilings`. ValueError on bad input. Source: derivations/step_sums.py.

    >>> import flowsim as fs
    >>> sizes = [1.0, 2.0, 4.0]
    >>> sums, ceilings = fs.theory.step_sum(sizes, 1.0, 0.5), fs.theory.step_sum_ceilings(sizes, 1.0, 0.5)
    >>> bool((sums <= ceilings.time).all())
    True
    """
    eta, squares, times = _cumulated(step_sizes)
    a, c = _constants(offset, drift)
    n, t = np.arange(eta.size + 1.0), np.concatenate([[0.0], times])
    by_squares = np.sqrt(n * np.log1p(np.concatenate([[0.0], squares]) / a))
    # the difference of the roots, free of cancellation; at C = 0 its limit
    return StepSumCeilings(n, by_squares, 2.0 * t / (np.sqrt(a + c * t) + np.sqrt(a)))


class StepSumRange(NamedTuple):
    """S_n of step sizes anywhere in [low, high], of the order sqrt(n). Made by `step_sum_range`.

    floor: at most S_n.  ceiling: at least S_n. Both in the shape of n.

    >>> import flowsim as fs
    >>> between = fs.theory.step_sum_range(low=0.5, high=1.0, n=100, offset=1.0)
    >>> round(float(between.floor), 4), round(float(between.ceiling), 4)
    (8.6853, 32.7922)
    """

    floor: Array
    ceiling: Array


def step_sum_range(low: Any, high: Any, n: Any, offset: Any, drift: Any = 0.0) -> StepSumRange:
    """(2 low/v+) (sqrt(A + (n+1) v+) - sqrt(A + v+)) <= S_n <= (2 high/v-) (sqrt(A + n v-) - sqrt(A)), v = eta^2 + C eta at high and low.

    low, high: 0 < low <= high.  n: numbers of steps, any shape, which is the results'.  offset: A > 0.  drift: C >= 0.

    Returns `StepSumRange`. ValueError on bad input. Source: derivations/step_sums.py.

    >>> import flowsim as fs
    >>> between = fs.theory.step_sum_range(low=0.5, high=1.0, n=2, offset=1.0)
    >>> bool(between.floor <= fs.theory.step_sum([0.5, 1.0], offset=1.0)[2] <= between.ceiling)
    True
    """
    least = arguments.real("low", low, low=0.0, strict=True)
    most = arguments.real("high", high, low=least)
    steps = arguments.reals("n", n, low=0.0)
    a, c = _constants(offset, drift)
    slow, fast = least**2 + c * least, most**2 + c * most
    # each difference of roots free of cancellation
    floor = 2.0 * least * steps / (np.sqrt(a + (steps + 1.0) * fast) + np.sqrt(a + fast))
    return StepSumRange(np.asarray(floor), np.asarray(2.0 * most * steps / (np.sqrt(a + steps * slow) + np.sqrt(a))))


def step_sum_order(steps: Any, offset: Any, drift: Any = 0.0) -> StepSumOrder:
    """S_n ~ (g/e) n^e, or the like with logarithms: the order of the sum for these step sizes, as the table of this module says.

    steps: `PowerSteps`, `GeometricSteps` or `SettledSteps`.  offset: A > 0.  drift: C >= 0; 0 for Theorem 2.

    Returns `StepSumOrder`. ValueError on bad input. Source: the paper's Remarks 1 and 2; derivations/step_sums.py.

    >>> import flowsim as fs
    >>> [fs.theory.step_sum_order(fs.theory.PowerSteps(power=p), offset=1.0).converges for p in (0.0, -1.0, -2.0)]
    [False, False, True]
    """
    a, c = _constants(offset, drift)
    if isinstance(steps, PowerSteps):
        return _order_of_powers(steps.first, steps.power, a, c)
    if isinstance(steps, GeometricSteps):
        return _order_of_geometric(steps.first, steps.ratio, a, c)
    if isinstance(steps, SettledSteps):
        return StepSumOrder(steps.mean / sqrt(steps.mean_square + c * steps.mean), 0.5)
    raise ValueError(f"`steps` must be PowerSteps, GeometricSteps or SettledSteps, but is {steps!r}")


def _order_of_powers(eta: float, p: float, a: float, c: float) -> StepSumOrder:
    # V(m) = sum of coefficient m^exponent, and logarithm log m
    parts: dict[float, float] = {0.0: a}
    logarithm = 0.0

    def add(exponent: float, coefficient: float) -> None:
        parts[exponent] = parts.get(exponent, 0.0) + coefficient

    for weight, q in ((eta**2, 2.0 * p), (c * eta, p)):
        if weight == 0.0:
            continue
        add(q, 0.5 * weight)
        if q == -1.0:
            logarithm += weight
            add(0.0, weight * np.euler_gamma)
        else:
            add(q + 1.0, weight / (q + 1.0))
            add(0.0, weight * float(zeta(-q)))
    # a q below -1 falls to its limit, which is in the constant
    top = max(exponent for exponent in parts if exponent >= 0.0)
    if top == 0.0 and logarithm > 0.0:
        shift = parts.pop(0.0) / logarithm
        return StepSumOrder(eta / sqrt(logarithm), 1.0 + p, shift, lambda m: _size(parts, 0.0, m) / (logarithm * (np.log(m) + shift)))
    main = parts.pop(top)
    # (2p+1) - top is exactly 0 where the squares lead
    power = 0.5 * (1.0 + ((2.0 * p + 1.0) - top))
    return StepSumOrder(eta / sqrt(main), power, None, lambda m: (_size(parts, top, m) + logarithm * np.log(m) * m**-top) / main)


def _size(parts: dict[float, float], top: float, m: Array) -> Array:
    """Sum of |coefficient| m^(exponent - top)."""
    sizes = [abs(coefficient) * m ** (exponent - top) for exponent, coefficient in parts.items()]
    return np.asarray(np.sum(sizes, axis=0) + np.zeros_like(m))


def _order_of_geometric(eta: float, q: float, a: float, c: float) -> StepSumOrder:
    # V = eta^2 (q^(2m) - 1)/(q^2 - 1) + C eta (q^m - 1)/(q - 1) + A
    unit = (q - 1.0) * (q + 1.0)
    constant = abs(a * unit / eta**2 - 1.0 - c * (q + 1.0) / eta)
    return StepSumOrder(sqrt(unit) / q, 1.0, None, lambda m: c * (q + 1.0) / eta * q**-m + constant * q ** (-2.0 * m))


def _cumulated(step_sizes: Any) -> tuple[Array, Array, Array]:
    """eta_k, the sums of eta_i^2 and of eta_i over i <= k, (K,) each."""
    eta = arguments.reals("step_sizes", step_sizes, low=0.0, strict=True)
    if eta.ndim != 1:
        raise ValueError(f"`step_sizes` must have shape (n,), but has shape {eta.shape}")
    if eta.max() > LARGEST:
        raise ValueError(f"`step_sizes` must be at most {LARGEST:g}, but is {eta.max():.6g}")
    return eta, np.cumsum(eta**2), np.cumsum(eta)


def _constants(offset: Any, drift: Any) -> tuple[float, float]:
    return arguments.real("offset", offset, low=0.0, strict=True), arguments.real("drift", drift, low=0.0)
