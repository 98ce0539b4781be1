r"""The bounds of the paper on the flow's direction and norm, with printed and derived constants told apart.

All bounds on the direction read cos theta >= 1 - 2/(exp(E) + 1), that is E(t) <= -2 s(t) with s = log tan(theta/2); here they are
E itself, which does not overflow. c0 = pi c, c the pull. The paper's 0.6 is 2 * 0.3, and 0.3 is above r h(r) <= 0.2785.

Source: Lin, Sun, Zhang, Faster Directional Convergence of Linear Neural Networks under Spherically Symmetric Data (NeurIPS 2021,
submitted version); the derived constants: derivations/bounds.py.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from scipy.special import lambertw

from flowsim import arguments
from flowsim.problem.plane import one_minus_cos
from flowsim.theory.states import checked_phases, checked_state, noise_free_risk, population_risk, single_depth

Array = Float[np.ndarray, "..."]

SIX_TENTHS = 0.6
"""The paper's bound on (r^2)' at N = 1, and on (r^(2/N))' at any depth: 2 r h(r) is at most 2 W(1/e) = 0.5569 whatever the law of |x_1|,
and 0.4656 for spherically symmetric laws, attained by the circle (claim growth-bound-in-the-plane)."""

GROWTH_CONSTANT_PRINTED = 0.2785
"""W(1/e) as the paper prints it, rounded up."""

GROWTH_CONSTANT = float(lambertw(np.exp(-1.0)).real)
"""W(1/e) = 0.27846..., the largest value of z/(1 + exp(z))."""


def growth_bound(r: Any, variant: Any = "as_derived") -> Array:
    """h(r) <= W(1/e)/r for every law.

    r: norms, positive; any shape, which is the result's.
    variant: "as_derived", the sharp constant W(1/e) = 0.27846..., or "as_printed", 0.2785.

    ValueError where one is not what it must be. Source: the paper's Lemma 1; derivations/smoothness.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Sphere(dim=100))
    >>> float(risk.growth(10.0)) < float(fs.theory.growth_bound(10.0))
    True
    """
    constants = {"as_derived": GROWTH_CONSTANT, "as_printed": GROWTH_CONSTANT_PRINTED}
    constant = constants[arguments.one_of("variant", variant, constants)]
    return np.asarray(constant / arguments.reals("r", r, low=0.0, strict=True))


class DirectionBound(ABC):
    """A bound E(t) on -2 s(t) along the flow from ``start``. Fields are checked when the bound is made; times when it is asked.

    start: the `State` it starts from.  sense: "at least" where E <= -2 s, "at most" where E >= -2 s.

    >>> import flowsim as fs
    >>> issubclass(fs.theory.Theorem1, fs.theory.DirectionBound), fs.theory.Theorem5Upper.sense
    (True, 'at most')
    """

    start: Any
    sense: ClassVar[str] = "at least"

    @abstractmethod
    def _exponent(self, t: Array) -> Any:
        """E at checked times."""

    def exponent(self, t: Any) -> Array:
        """E(t), a bound on -2 s(t).

        t: times from start.time on, any shape, which is the result's; earlier ones raise ValueError.

        >>> import flowsim as fs
        >>> risk, start = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(norm=1.0, angle=1.0)
        >>> bound = fs.theory.Theorem1(risk, fs.theory.State.of(start))
        >>> flow = fs.gradient_flow(risk, start, [1.0, 1e6])
        >>> bool((bound.exponent(flow.time) <= -2.0 * flow.log_tan_half_angle).all())
        True
        """
        return np.asarray(self._exponent(arguments.reals("t", t, low=self.start.time)))

    def log_tan_half_angle(self, t: Any) -> Array:
        """-E/2: s is at most this where the sense is "at least".

        t: as in `exponent`.

        >>> import flowsim as fs
        >>> bound = fs.theory.Theorem1(fs.PopulationRisk(fs.Gaussian(dim=2)), (0.0, 1.0, -1.0))
        >>> round(float(bound.log_tan_half_angle(0.0)), 12)
        -1.0
        """
        return np.asarray(-0.5 * self.exponent(t))

    def one_minus_cos(self, t: Any) -> Array:
        """2/(exp(E) + 1), the bound on 1 - cos theta; 0 where exp(E) overflows.

        t: as in `exponent`.

        >>> import flowsim as fs
        >>> bound = fs.theory.Theorem1(fs.PopulationRisk(fs.Gaussian(dim=2)), (0.0, 1.0, -1.0))
        >>> bound.one_minus_cos([0.0, 10.0, 1e9]).round(6).tolist()
        [0.238406, 0.003394, 0.0]
        """
        return np.asarray(one_minus_cos(self.log_tan_half_angle(t)))


@dataclass(frozen=True)
class _TwoPhases(DirectionBound):
    """What Theorems 1 and 5 share: one bound up to the turning time T, another from there; start and turning become `State`s."""

    risk: Any
    start: Any
    turning: Any = None

    def _check(self) -> None:
        start, turning = checked_phases(noise_free_risk(self.risk), self.start, self.turning)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "turning", turning)

    def _exponent(self, t: Array) -> Any:
        first = self._first(np.minimum(t, self.turning.time) - self.start.time)
        second = self._second(np.maximum(t - self.turning.time, 0.0))
        return np.where(t < self.turning.time, first, second)

    @abstractmethod
    def _first(self, elapsed: Any) -> Any:
        """E at time start.time + elapsed <= T."""

    @abstractmethod
    def _second(self, elapsed: Any) -> Any:
        """E at time T + elapsed."""


@dataclass(frozen=True)
class Theorem1(_TwoPhases):
    """N = 1. t <= T: E = A1 t + B1.  t >= T: E = A2 sqrt(t - T + C2) + B2.

    A1 = 2 c0/(pi r(0)), B1 = -2 s(0), C2 = r(T)^2/0.6, B2 = -2 s(T) - 4 c0 r(T)/(0.6 pi), A2 = 4 c0/(pi sqrt(0.6)).

    risk: a `PopulationRisk` without label noise.
    start: (t, r, s) where the bound starts, `State` or a triple; the t of the formulas counts from there. A later state of a run
        restarts the bound, as the paper's figure 1 does.
    turning: (T, r(T), s(T)) where the norm stops falling; may be left out where it grows from the start on.
    variant: "as_derived", or "misread", which takes A2 for 4 c0/sqrt(0.6 pi), as the printed line can be read. That bound is false.

    Raises ValueError where an argument is not what it must be. Source: the paper's Theorem 1; derivations/bounds.py.

    >>> import flowsim as fs, flowsim.dynamics
    >>> risk, start = fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start.from_vectors([0.6, -0.8], [0.0, 1.0])
    >>> turn = flowsim.dynamics.turning_point(risk, start, depth=1)
    >>> bound = fs.theory.Theorem1(risk, fs.theory.State.of(start), turn)
    >>> round(bound.first_slope, 6), round(bound.second_factor, 6), float(bound.exponent(1e6).round(3))
    (0.63662, 1.643745, 1643.138)
    """

    variant: Any = "as_derived"

    def __post_init__(self) -> None:
        self._check()
        arguments.one_of("variant", self.variant, ("as_derived", "misread"))

    @property
    def first_slope(self) -> float:
        """A1 = 2 c0/(pi r(0)) = 2 c/r(0)."""
        return 2.0 * self.risk.pull / self.start.norm

    @property
    def second_factor(self) -> float:
        """A2, per square root of time."""
        c0 = pi * self.risk.pull
        return 4.0 * c0 / (sqrt(SIX_TENTHS * pi) if self.variant == "misread" else pi * sqrt(SIX_TENTHS))

    def _first(self, elapsed: Any) -> Any:
        return self.first_slope * elapsed - 2.0 * self.start.log_tan_half_angle

    def _second(self, elapsed: Any) -> Any:
        turn = self.turning
        offset = turn.norm**2 / SIX_TENTHS
        constant = -2.0 * turn.log_tan_half_angle - 4.0 * self.risk.pull * turn.norm / SIX_TENTHS
        return self.second_factor * np.sqrt(elapsed + offset) + constant


@dataclass(frozen=True)
class Theorem5(_TwoPhases):
    """N > 2. t <= T: E = log C1 + alpha log(A1 t/B1 + 1).  t >= T: E = A2 (t - T) + B2.

    A1 = (N-2) c0, B1 = r(0)^(2/N-1), C1 = (1 + cos theta(0))/(1 - cos theta(0)) = exp(-2 s(0)), B2 = -2 s(T).

    depth: N, 3 or more (two layers: see `two_layer_direction`).
    risk, start, turning: as in `Theorem1`.
    variant: "as_derived" has alpha = 2/(pi (N-2)) and A2 = 2 c0 r(T)^(1-2/N)/pi; "as_printed" has alpha = 2 c0/pi and
        A2 = 2 c0 r(T)^(2-2/N)/pi, both of which fail on some starts.

    Raises ValueError where an argument is not what it must be. Source: the paper's Theorem 5; derivations/bounds.py.

    >>> import flowsim as fs
    >>> risk, state = fs.PopulationRisk(fs.Sphere(dim=2)), fs.theory.State.of(fs.Start(norm=0.1, angle=0.5))
    >>> derived, printed = (fs.theory.Theorem5(risk, state, depth=4, variant=name) for name in ("as_derived", "as_printed"))
    >>> [round(x, 6) for x in (derived.first_power, printed.first_power, derived.second_slope, printed.second_slope)]
    [0.31831, 0.63662, 0.201317, 0.020132]
    """

    depth: Any = 3
    variant: Any = "as_derived"

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", single_depth(self.depth, low=3))
        self._check()
        arguments.one_of("variant", self.variant, ("as_derived", "as_printed"))

    @property
    def first_power(self) -> float:
        """alpha."""
        return 2.0 * self.risk.pull if self.variant == "as_printed" else 2.0 / (pi * (self.depth - 2))

    @property
    def second_slope(self) -> float:
        """A2."""
        printed = self.variant == "as_printed"
        return 2.0 * self.risk.pull * self.turning.norm ** ((2.0 if printed else 1.0) - 2.0 / self.depth)

    def _first(self, elapsed: Any) -> Any:
        rate = (self.depth - 2) * pi * self.risk.pull * self.start.norm ** (1.0 - 2.0 / self.depth)
        return self.first_power * np.log1p(rate * elapsed) - 2.0 * self.start.log_tan_half_angle

    def _second(self, elapsed: Any) -> Any:
        return self.second_slope * elapsed - 2.0 * self.turning.log_tan_half_angle


@dataclass(frozen=True)
class Theorem5Upper(DirectionBound):
    """N > 2, from above: -2 s <= E = F [ (0.6 t + D)^(N/2) - D^(N/2) ] - 2 s(0), D = r(0)^(2/N), F = 4 c0/(0.6 N pi).

    risk, start, depth: as in `Theorem5`.

    E is inf where the power overflows. ValueError as in `Theorem5`. Source: the paper's Theorem 5; derivations/bounds.py.

    >>> import flowsim as fs
    >>> risk, start = fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start(norm=0.1, angle=0.5)
    >>> bound, flow = fs.theory.Theorem5Upper(risk, fs.theory.State.of(start), depth=4), fs.gradient_flow(risk, start, [10.0], depth=4)
    >>> bool(bound.exponent(10.0) >= -2.0 * flow.log_tan_half_angle[-1])
    True
    """

    risk: Any
    start: Any
    depth: Any = 3
    sense: ClassVar[str] = "at most"

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", single_depth(self.depth, low=3))
        noise_free_risk(self.risk)
        object.__setattr__(self, "start", checked_state("start", self.start))

    def _exponent(self, t: Array) -> Any:
        factor = 4.0 * self.risk.pull / (SIX_TENTHS * self.depth)
        ratio = SIX_TENTHS * (t - self.start.time) / self.start.norm ** (2.0 / self.depth)
        with np.errstate(over="ignore"):
            # D^(N/2) = r(0); expm1 keeps early times, where the two powers nearly agree
            grown = self.start.norm * np.expm1(0.5 * self.depth * np.log1p(ratio))
        return factor * grown - 2.0 * self.start.log_tan_half_angle


@dataclass(frozen=True)
class Lemma4:
    """N > 2: (r(0)^(2/N) + 0.6 t)^(N/2) >= r(t) >= (r(0)^(2/N-1) + (N-2) k t)^(-N/(N-2)).

    risk, start, depth: as in `Theorem5`.
    variant: k = c0 "as_printed", k = 2 c0/pi "as_derived", which is smaller; both bounds are right.

    ValueError as in `Theorem5`. Source: the paper's Lemma 4; derivations/bounds.py.

    >>> import flowsim as fs
    >>> risk, start = fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start(norm=1.0, angle=3.0)
    >>> bound, flow = fs.theory.Lemma4(risk, fs.theory.State.of(start), depth=4), fs.gradient_flow(risk, start, [10.0], depth=4)
    >>> bool(bound.lower(10.0) <= flow.norm[-1] <= bound.upper(10.0))
    True
    """

    risk: Any
    start: Any
    depth: Any = 3
    variant: Any = "as_derived"

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", single_depth(self.depth, low=3))
        noise_free_risk(self.risk)
        object.__setattr__(self, "start", checked_state("start", self.start))
        arguments.one_of("variant", self.variant, ("as_derived", "as_printed"))

    def upper(self, t: Any) -> Array:
        """(r(0)^(2/N) + 0.6 t)^(N/2): the ceiling of the norm; inf where it overflows.

        t: times from start.time on, any shape, which is the result's; earlier ones raise ValueError.

        >>> import flowsim as fs
        >>> bound = fs.theory.Lemma4(fs.PopulationRisk(fs.Sphere(dim=2)), (0.0, 1.0, 0.0), depth=4)
        >>> bound.upper([0.0, 10.0]).round(6).tolist()
        [1.0, 49.0]
        """
        elapsed = arguments.reals("t", t, low=self.start.time) - self.start.time
        with np.errstate(over="ignore"):
            return np.asarray((self.start.norm ** (2.0 / self.depth) + SIX_TENTHS * elapsed) ** (0.5 * self.depth))

    def lower(self, t: Any) -> Array:
        """(r(0)^(2/N-1) + (N-2) k t)^(-N/(N-2)): the floor of the norm.

        t: as in `upper`.

        >>> import flowsim as fs
        >>> bound = fs.theory.Lemma4(fs.PopulationRisk(fs.Sphere(dim=2)), (0.0, 1.0, 0.0), depth=4)
        >>> bound.lower([0.0, 10.0]).round(6).tolist()
        [1.0, 0.005303]
        """
        elapsed = arguments.reals("t", t, low=self.start.time) - self.start.time
        speed = self.risk.pull * (pi if self.variant == "as_printed" else 2.0)
        base = self.start.norm ** (2.0 / self.depth - 1.0)
        return np.asarray((base + (self.depth - 2) * speed * elapsed) ** (-self.depth / (self.depth - 2)))


def norm_floor(start: Any, depth: Any) -> float:
    """r(t) >= r(0) ((1 + cos theta(0))/2)^N = r(0) (1 + exp(2 s(0)))^-N, at every time and depth.

    start: `State` or triple (t, r, s).  depth: N, whole.

    ValueError where one is not what it must be. Source: derivations/bounds.py; not in the paper.

    >>> import flowsim as fs
    >>> fs.theory.norm_floor((0.0, 1.0, 0.0), depth=2)
    0.25
    """
    state = checked_state("start", start)
    layers = single_depth(depth)
    return float(state.norm * np.exp(-layers * np.logaddexp(0.0, 2.0 * state.log_tan_half_angle)))


def two_layer_direction(risk: Any, start: Any, t: Any) -> Array:
    """N = 2, exactly: s(t) = s(0) - c t, with label noise c (1 - 2 eps) in place of c.

    risk: a `PopulationRisk`.  start: `State` or triple (t, r, s).  t: times from the start's on, any shape, which is the result's.

    ValueError where one is not what it must be. It stands in the place of Theorem 5, which does not cover two layers.
    Source: derivations/deep_flow.py.

    >>> import flowsim as fs
    >>> fs.theory.two_layer_direction(fs.PopulationRisk(fs.Laplace(dim=2)), (0.0, 1.0, -1.0), [0.0, 100.0]).round(9).tolist()
    [-1.0, -51.0]
    """
    pull = population_risk(risk).signal
    state = checked_state("start", start)
    elapsed = arguments.reals("t", t, low=state.time) - state.time
    return np.asarray(state.log_tan_half_angle - pull * elapsed)
