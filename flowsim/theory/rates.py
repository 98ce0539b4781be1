r"""The late flow: powers of time for the norm, the direction and the risk, with their next orders.

Late in the flow 1 - cos theta is exponentially small, so with h(r) = K r^-(1+a) (1 - b r^-q + ...), c the pull and N the depth,

    r' = N r^(2-2/N) h(r),    s' = -c r^(1-2/N)

and time and direction are integrals over the norm, m = a + 2/N:

    t + t_0 = (1/(N K)) [ r^m/m + b r^(m-q)/(m-q) + ... ],    -s + s_0 = (c/(N K)) [ r^(1+a)/(1+a) + b r^(1+a-q)/(1+a-q) + ... ]

with log r in place of r^p/p at p = 0. Inverted at R = (N m K t)^(1/m) this is what `Rates` returns. The constants t_0 and s_0 belong to
the start. In a tail, q = 2 where the density of |x_1| is smooth at 0 (then b is called beta), q = 1 where it has a slope there (Laplace).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.problem.law import Tail
from flowsim.theory.states import population_risk, single_depth

Array = Float[np.ndarray, "..."]

DEEPEST = 100


@dataclass(frozen=True)
class Rates:
    r"""r ~ R, -s ~ (c/(N K)) R^(1+a)/(1+a), L ~ K/(a R^a), each a constant times a power of t, with R = ((aN+2) K t)^(N/(aN+2)).

    depth: N.  pull: c.  tail: K, a and the next term of h. Made by `rates`.

    The methods take ``order``: 1 for the leading order, 2 for the next one too. Times are positive and late; of any shape, which is the
    result's. Where time is so early that the next order swallows the leading one, norm and risk are nan.

    The next order is a law of the tail only where it comes before the start's own shift of time, t -> t + t_0. That is so for q < m, and at
    q = m up to a constant of the start: depths 1 and 2 where q = 2, any depth where q = 1. Elsewhere ``order=2`` raises ValueError.

    Source: derivations/asymptotics.py.

    >>> import flowsim as fs
    >>> rates = fs.theory.rates(fs.PopulationRisk(fs.Gaussian(dim=2)), depth=3)
    >>> rates.norm_exponent, rates.direction_exponent, rates.risk_exponent, rates.has_next_order
    (0.6, 1.2, 0.6, False)
    >>> [round(x, 6) for x in (rates.norm_constant, rates.direction_constant, rates.risk_constant)]
    [2.039939, 0.421633, 0.321693]
    """

    depth: int
    pull: float
    tail: Tail

    @property
    def norm_exponent(self) -> float:
        """N/(aN+2): the norm grows like t to this power."""
        return self.depth / self._spread

    @property
    def norm_constant(self) -> float:
        """((aN+2) K)^(N/(aN+2)): r ~ norm_constant t^norm_exponent."""
        return (self._spread * self.tail.constant) ** self.norm_exponent

    @property
    def direction_exponent(self) -> float:
        """N(1+a)/(aN+2), from 2/3 at N = 1 towards 2 for a = 1."""
        return self.depth * (1.0 + self.tail.exponent) / self._spread

    @property
    def direction_constant(self) -> float:
        """c (aN+2)/(N(1+a)) ((aN+2) K)^((N-2)/(aN+2)): -s ~ direction_constant t^direction_exponent."""
        power = (self._spread * self.tail.constant) ** ((self.depth - 2) / self._spread)
        return self.pull / self.direction_exponent * power

    @property
    def risk_exponent(self) -> float:
        """aN/(aN+2): the risk falls like t to minus this power."""
        return self.tail.exponent * self.norm_exponent

    @property
    def risk_constant(self) -> float:
        """(K/a) norm_constant^-a: L ~ risk_constant t^-risk_exponent."""
        return self.tail.constant / self.tail.exponent * self.norm_constant**-self.tail.exponent

    @property
    def has_next_order(self) -> bool:
        """Whether ``order=2`` is a law of the tail, free of the start."""
        known = np.isfinite(self._correction)
        at_two_layers = self.depth == 2 and self._gap == self._time_power
        return bool(known and (self._gap < self._time_power or at_two_layers))

    def norm(self, t: Any, order: Any = 1) -> Array:
        """r = R, with the next order R - b/(m-q) R^(1-q).

        So N = 1: R - beta/R. With a slope at 0: R - b N/2. At N = 2 = q it is r^2 = 4 K t - beta log(4 K t) + const, where const depends on
        the start and is left out.

        t: positive times.  order: 1 or 2; ValueError for 2 where the start's shift of time comes first.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> rates, flow = fs.theory.rates(risk, depth=1), fs.gradient_flow(risk, fs.Start(), [1e9])
        >>> [f"{abs(float(rates.norm(1e9, order) / flow.norm[-1]) - 1.0):.0e}" for order in (1, 2)]
        ['2e-06', '2e-09']
        """
        time, order = _times(t), self._order(order)
        leading = np.asarray(self.norm_constant * time**self.norm_exponent)
        if order == 1:
            return leading
        b, q, m = self._correction, self._gap, self._time_power
        if q < m:
            return _positive(leading - b / (m - q) * leading ** (1.0 - q))
        squared = leading**2
        return np.asarray(np.sqrt(_positive(squared - b * np.log(squared))))

    def log_tan_half_angle(self, t: Any, order: Any = 1) -> Array:
        """s = -(c/(N K)) R^(1+a)/(1+a); with the next order -(c/(N K)) [ R^(1+a)/(1+a) - (1-2/N) b/(m-q) R^(1+a-q)/(1+a-q) ].

        log R in place of R^p/p at p = 0. So N = 1: -(c/K) [ R^2/2 + beta log R ]; N = 2: -c t, as it must be. A constant of the start is
        left out. -inf where s is beyond the double range.

        t, order: as in `norm`.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> round(float(fs.theory.rates(risk, depth=2).log_tan_half_angle(1e6) / risk.pull), 6)
        -1000000.0
        """
        time, order = _times(t), self._order(order)
        with np.errstate(over="ignore"):
            leading = np.asarray(-self.direction_constant * time**self.direction_exponent)
        if order == 1 or self.depth == 2:
            return leading
        b, q, m = self._correction, self._gap, self._time_power
        weight = self.pull / (self.depth * self.tail.constant) * (1.0 - 2.0 / self.depth) * b / (m - q)
        return np.asarray(leading + weight * _primitive(self.norm(time), 1.0 + self.tail.exponent - q))

    def risk(self, t: Any, order: Any = 1) -> Array:
        """L = (K/a) R^-a; with the next order (K/a) R^-a [ 1 + a b (1/(m-q) - 1/(a+q)) R^-q ].

        So N = 1: K/R + 2 K beta/(3 R^3), or K/R again with a slope at 0. At N = 2 = q it is K/r, r the norm with its next order.

        t, order: as in `norm`.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> rates, flow = fs.theory.rates(risk, depth=3), fs.gradient_flow(risk, fs.Start(), [1e12], depth=3)
        >>> round(float(rates.risk(1e12) / flow.risk[-1]), 6)
        1.0
        """
        k, a, b, q, m = self.tail.constant, self.tail.exponent, self._correction, self._gap, self._time_power
        if self._order(order) == 2 and q < m:
            leading = self.norm(t)
            return _positive(k / a * leading**-a * (1.0 + a * b * (1.0 / (m - q) - 1.0 / (a + q)) * leading**-q))
        return np.asarray(k / a * self.norm(t, order) ** -a)

    def time_free(self, r: Any, order: Any = 2) -> Array:
        """-s = (c/(N K)) [ r^(1+a)/(1+a) + b r^(1+a-q)/(1+a-q) ] + const, without the constant, which is the start's.

        log r in place of r^p/p at p = 0, so where the density is smooth: -s = (c/N) [ r^2/(2K) + (beta/K) log r ] + const + o(1). Where it
        has a slope at 0 the tail's next term gives only b r, and what is left grows like log r.

        r: norms, positive; any shape, which is the result's.
        order: 1 keeps the first term alone; 2 raises ValueError for laws whose next term is not a power. Both hold at every depth.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> rates, flow = fs.theory.rates(risk, depth=1), fs.gradient_flow(risk, fs.Start(), [1e3, 1e4, 1e5, 1e6])
        >>> (rates.time_free(flow.norm) + flow.log_tan_half_angle).round(3).tolist()
        [-0.432, -0.423, -0.421, -0.42]
        """
        norm = arguments.reals("r", r, low=0.0, strict=True)
        order = int(arguments.whole("order", order, low=1, high=2))
        p = 1.0 + self.tail.exponent
        with np.errstate(over="ignore"):
            total = norm**p / p
        if order == 2:
            self._need_next_term()
            total = total + self._correction * _primitive(norm, p - self._gap)
        return np.asarray(self.pull / (self.depth * self.tail.constant) * total)

    @property
    def _spread(self) -> float:
        """aN + 2."""
        return self.tail.exponent * self.depth + 2.0

    @property
    def _time_power(self) -> float:
        """m = a + 2/N: the time to grow to r goes like r^m."""
        return self.tail.exponent + 2.0 / self.depth

    @property
    def _gap(self) -> float:
        """q: the next term of h is smaller by r^-q."""
        return self.tail.next_power - 1.0 - self.tail.exponent

    @property
    def _correction(self) -> float:
        """b in h = K r^-(1+a) (1 - b r^-q)."""
        return -self.tail.next_coefficient / self.tail.constant

    def _order(self, order: Any) -> int:
        value = int(arguments.whole("order", order, low=1, high=2))
        if value == 2:
            self._need_next_term()
            if not self.has_next_order:
                raise ValueError(
                    f"`order` must be 1 at depth {self.depth}, but is 2: a shift of time, which depends on the start, comes first"
                )
        return value

    def _need_next_term(self) -> None:
        if not np.isfinite(self._correction):
            raise ValueError("`order` must be 1 for this law, but is 2: the next term of its growth at large norm is not known as a power")


@dataclass(frozen=True)
class NoisyRates:
    """Where labels are flipped the norm stays finite: r -> r*, s ~ -p r*^(1-2/N) t, L -> L(r*, theta = 0), p = c (1 - 2 eps).

    norm_limit: r*, with h(r*) = 2 eps c.
    direction_rate: p r*^(1-2/N), so that -s ~ direction_rate t: the angle falls like exp(-direction_rate t).
    norm_rate: -N r*^(2-2/N) h'(r*): once aligned, r - r* falls like exp(-norm_rate t).
    risk_limit: L(r*, 0), the least risk there is.

    Made by `noisy_rates`. Source: derived here, from r' = N r^(2-2/N) (h(r) - c + p cos theta) and s' = -p r^(1-2/N).

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1)
    >>> fs.theory.noisy_rates(risk, depth=2).norm_limit == risk.minimiser_norm
    True
    """

    norm_limit: float
    direction_rate: float
    norm_rate: float
    risk_limit: float

    def log_tan_half_angle(self, t: Any) -> Array:
        """s = -p r*^(1-2/N) t, up to a constant of the start.

        t: positive times of any shape.

        >>> import flowsim as fs
        >>> rates = fs.theory.noisy_rates(fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1), depth=3)
        >>> float((rates.log_tan_half_angle(100.0) / rates.direction_rate).round(9))
        -100.0
        """
        return np.asarray(-self.direction_rate * _times(t))


def rates(risk: Any, depth: Any) -> Rates:
    """r ~ constant t^(N/(aN+2)), -s ~ constant t^(N(1+a)/(aN+2)): what the flow of a network of ``depth`` layers settles into on this risk.

    From any start off the ray theta = pi. For smooth laws a = 1: the direction's exponents are 2/3, 1, 6/5, ... -> 2.

    risk: a `PopulationRisk`.  depth: N, whole, 1 to 100. Returns `Rates`.

    Raises ValueError for a risk with label noise (see `noisy_rates`), for a law whose growth has no power tail (a logarithm stands there),
    and for a depth that is not one. Source: derivations/asymptotics.py; exponents and constants derived here, not in the paper.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> [round(fs.theory.rates(risk, depth).direction_exponent, 6) for depth in (1, 2, 3, 100)]
    [0.666667, 1.0, 1.2, 1.960784]
    """
    layers = single_depth(depth, high=DEEPEST)
    if population_risk(risk).label_noise > 0.0:
        raise ValueError(f"`risk` must be free of label noise, but has {risk.label_noise:.6g}: its norm converges, see noisy_rates")
    if not np.isfinite(risk.tail.constant):
        raise ValueError(f"`risk` must have a growth with a power tail, but that of {risk.label()} falls off with a logarithm")
    return Rates(layers, risk.pull, risk.tail)


def noisy_rates(risk: Any, depth: Any) -> NoisyRates:
    """r -> r*, s ~ -c (1 - 2 eps) r*^(1-2/N) t: limits and rates of the flow of ``depth`` layers on a risk with flipped labels.

    risk: a `PopulationRisk` with label noise.  depth: N, whole, 1 to 100. Returns `NoisyRates`.

    Raises ValueError for a risk without label noise and for a depth that is not one. Source: derivations/label_noise.py.

    >>> import flowsim as fs
    >>> rates = fs.theory.noisy_rates(fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1), depth=1)
    >>> round(rates.norm_limit, 6), round(rates.direction_rate, 6), round(rates.norm_rate, 6), round(rates.risk_limit, 6)
    (2.304624, 0.138484, 0.047152, 0.427027)
    """
    layers = single_depth(depth, high=DEEPEST)
    if population_risk(risk).label_noise == 0.0:
        raise ValueError("`risk` must have label noise, but has none: its norm grows without end, see rates")
    r = risk.minimiser_norm
    return NoisyRates(
        norm_limit=r,
        direction_rate=risk.signal * r ** (1.0 - 2.0 / layers),
        norm_rate=layers * r ** (2.0 - 2.0 / layers) * float(risk.curvature(r)),
        risk_limit=float(risk.value(r, 0.0)),
    )


def _times(t: Any) -> Array:
    return arguments.reals("t", t, low=0.0, strict=True)


def _positive(values: Any) -> Array:
    """nan where not positive: there the next order exceeds the leading one."""
    return np.where(values > 0.0, values, np.nan)


def _primitive(r: Any, p: float) -> Array:
    """r^p/p, and log r at p = 0."""
    return np.asarray(np.log(r) if p == 0.0 else r**p / p)
