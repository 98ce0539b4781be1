r"""Where descent parts from the flow: the sharpness across v, the edge of stability sigma = 2, and the first burst beyond it.

Descent on balanced layers multiplies the part of w across v by 1 - sigma in every step; c is the pull, h the growth, N the depth:

    sigma = eta (c - h(r)) r^(1-2/N)

An aligned run climbs along v, dr = eta N r^(2-2/N) h(r) in a step, and sums over its steps are integrals over r here: an error of about
one step. With label noise eps it ends at the minimiser, h(r*) = 2 eps c. How two layers go on at the edge: `two_layer_edge`.

>>> import flowsim as fs
>>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
>>> [round(fs.theory.thresholds.edge(risk, depth, step_size=0.5).norm, 1) for depth in (1, 3, 6)]
[inf, 1008.0, 31.8]
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, log, log1p
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import quad
from scipy.optimize import root_scalar
from scipy.special import digamma

from flowsim import arguments
from flowsim.problem import PopulationRisk
from flowsim.theory.rates import DEEPEST
from flowsim.theory.states import population_risk, single_depth

Array = Float[np.ndarray, "..."]

EDGE = 2.0
"""The sharpness above which the part of w across v grows."""

LOG_NORMS = (-140.0 * log(10.0), 140.0 * log(10.0))
"""log r between which a run is followed: there h, which falls like r^-2, is in the double range."""


def sharpness(risk: Any, depth: Any, step_size: Any, norm: Any) -> Array:
    """sigma = eta (c - h(r)) r^(1-2/N) of balanced layers: a step of descent multiplies the part of w across v by 1 - sigma.

    risk: a `PopulationRisk`, with or without label noise: it does not matter here.  depth: N, whole, 1 to 100.  step_size: eta > 0.
    norm: r > 0. Arrays broadcast, and the result has their shape.

    ValueError where an argument is not what it must be. Source: derivations/edge_of_stability.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> fs.theory.sharpness(risk, depth=[1, 2, 3], step_size=0.5, norm=100.0).round(6).tolist()
    [0.001994, 0.199438, 0.925711]
    """
    layers = arguments.whole("depth", depth, low=1, high=DEEPEST)
    eta, r = (arguments.reals(name, value, low=0.0, strict=True) for name, value in (("step_size", step_size), ("norm", norm)))
    try:
        np.broadcast_shapes(layers.shape, eta.shape, r.shape)
    except ValueError:
        shapes = f"{layers.shape}, {eta.shape} and {r.shape}"
        raise ValueError(f"`depth`, `step_size` and `norm` must broadcast, but have shapes {shapes}") from None
    # at N = 1 the power is 1/r, which (c - h)/r has without overflow
    one, deep = population_risk(risk).drag_ratio(r), risk.drag(r) * r ** np.maximum(1.0 - 2.0 / layers, 0.0)
    return np.asarray(eta * np.where(layers == 1, one, deep))


@dataclass(frozen=True)
class LabelNoiseStability:
    """The curvatures of the risk in the layers at the balanced minimiser, h(r*) = 2 eps c; descent is stable for eta lambda < 2.

    norm: r*.
    direction: c (1 - 2 eps) r*^(1-2/N), the curvature across v.
    radial: N r*^(2-2/N) (-h'(r*)), the curvature along the norm.

    Above 2/direction and from N = 2 on, exact runs leave it: they overflow, or drive the layers apart until they rest at the same w with
    unequal layers, flatter across v. Made by `label_noise_stability`.

    >>> import flowsim as fs
    >>> stability = fs.theory.label_noise_stability(fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1), depth=2)
    >>> round(stability.critical_step_size, 6), round(stability.oscillating_step_size, 6), stability.radial_first
    (6.266571, 4.601229, False)
    """

    norm: float
    direction: float
    radial: float

    @property
    def critical_step_size(self) -> float:
        """2/max(direction, radial): the minimiser is stable below, unstable above."""
        return EDGE / max(self.direction, self.radial)

    @property
    def oscillating_step_size(self) -> float:
        """1/radial: above it the norm overshoots r* in every step; below 2/radial it does so by less and less."""
        return 1.0 / self.radial

    @property
    def radial_first(self) -> bool:
        """Whether it is the norm that loses stability at the critical step size, and not the direction."""
        return self.radial > self.direction


def label_noise_stability(risk: Any, depth: Any) -> LabelNoiseStability:
    """eta lambda < 2: the stability of the minimiser that a risk with flipped labels has.

    risk: a `PopulationRisk` with label noise.  depth: N, whole, 1 to 100. Returns `LabelNoiseStability`.

    ValueError where an argument is not what it must be. Source: derived here, from the descent map linearised at w = r* v.

    >>> import flowsim as fs
    >>> stability = fs.theory.label_noise_stability(fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1), depth=3)
    >>> round(stability.direction, 6), round(stability.radial, 6)
    (0.421567, 0.43061)
    """
    layers = single_depth(depth, high=DEEPEST)
    if population_risk(risk).label_noise == 0.0:
        raise ValueError("`risk` must have label noise, but has none: its norm grows without end, see critical_step_size")
    r = risk.minimiser_norm
    radial = layers * r ** (2.0 - 2.0 / layers) * float(risk.curvature(r))
    return LabelNoiseStability(r, risk.signal * r ** (1.0 - 2.0 / layers), radial)


def critical_step_size(risk: Any, depth: Any) -> float:
    """The step size above which an aligned, growing run ends at the edge: inf at N = 1, 2/c at N = 2, 0 from N = 3 on.

    With label noise the run ends at a minimiser, and this is the step size above which that is unstable: see `label_noise_stability`.

    risk: a `PopulationRisk`.  depth: N, whole, 1 to 100.

    ValueError where an argument is not what it must be. Source: derivations/edge_of_stability.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
    >>> [round(fs.theory.critical_step_size(risk, depth), 9) for depth in (1, 2, 3)]
    [inf, 4.0, 0.0]
    """
    layers = single_depth(depth, high=DEEPEST)
    if population_risk(risk).label_noise > 0.0:
        return label_noise_stability(risk, layers).critical_step_size
    return {1: inf, 2: EDGE / risk.pull}.get(layers, 0.0)


@dataclass(frozen=True)
class Edge:
    """Where a balanced, aligned run reaches sigma = 2; all inf where it never does. Made by `edge`.

    norm: r at the edge.
    step: the step by the exact growth.
    step_leading: norm^m/(m N K eta), m = a + 2/N, the step by the growth's tail K r^(-1-a) alone, for large norms; nan where the tail is
        no power.

    >>> import flowsim as fs
    >>> fs.theory.edge(fs.PopulationRisk(fs.Gaussian(dim=2)), depth=1, step_size=0.5)
    Edge(norm=inf, step=inf, step_leading=inf)
    """

    norm: float
    step: float
    step_leading: float


def edge(risk: Any, depth: Any, step_size: Any, start_norm: Any = 1.0) -> Edge:
    """sigma(r) = 2, at the step k = (1/eta) int dr / (N r^(2-2/N) h(r)) from the start's norm on.

    From N = 3 on it is reached for every step size, at N = 2 for eta c > 2, and never at N = 1, where sigma falls as r grows.

    risk: a `PopulationRisk` without label noise.  depth: N, whole, 1 to 100.  step_size: eta > 0.
    start_norm: r at k = 0; the step is 0 where that is beyond the edge. Returns `Edge`.

    Raises ValueError where an argument is not what it must be, or the edge is at a norm outside [1e-140, 1e+140].
    Source: derivations/edge_of_stability.py.

    >>> import flowsim as fs
    >>> edge = fs.theory.edge(fs.PopulationRisk(fs.Gaussian(dim=2)), depth=3, step_size=0.5)
    >>> print(f"norm {edge.norm:.1f}, step {edge.step:.0f}; by the tail alone {edge.step_leading:.0f}")
    norm 1008.0, step 61775; by the tail alone 61767
    """
    layers = single_depth(depth, high=DEEPEST)
    climb, begin = _Climb.checked(risk, layers, step_size), _log_norm(start_norm)
    if layers == 1 or (layers == 2 and climb.step_size * risk.pull <= EDGE):
        return Edge(inf, inf, inf)
    end = climb.log_norm_at(EDGE)
    step = climb.integral(climb.steps, begin, end) if begin < end else 0.0
    return Edge(exp(end), step, climb.leading_step(exp(end)))


@dataclass(frozen=True)
class FirstBurst:
    """Where the direction error, which falls until sigma = 2, has grown back to where it began. Made by `first_burst`.

    sigma, norm, step: by the growth's tail K r^(-1-a) alone, for large norms. sigma depends on N and a only, and
        norm = (sigma/(eta c))^(N/(N-2)), step = norm^m/(m N K eta), m = a + 2/N; the step is nan where the tail is no power.
    sigma_refined, norm_refined, step_refined: by the exact growth, from the start's norm on.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> [round(fs.theory.first_burst(risk, depth, step_size=0.5).sigma, 4) for depth in (3, 4, 6)]
    [2.5116, 2.9136, 3.389]
    """

    sigma: float
    norm: float
    step: float
    sigma_refined: float
    norm_refined: float
    step_refined: float


def first_burst(risk: Any, depth: Any, step_size: Any, start_norm: Any = 1.0) -> FirstBurst:
    r"""int_0^sigma log|1 - x| x^p dx = 0, p = (aN+2)/(N-2) - 1, which is 4/(N-2) for a = 1: a delayed loss of stability.

    The part of w across v goes like exp(sum over k of log|1 - sigma_k|) and is back where the sum is 0. Refined, without a tail:

        int_{r(0)}^r log|1 - sigma(r)| dr / (N r^(2-2/N) h(r)) = 0

    Both are laws of a run that starts aligned and balanced. A large angle at the start leaves the layers unequal, |z|^2 - a^2 = C, which
    changes sigma by the order of C r^(-2/N).

    risk: a `PopulationRisk` without label noise.  depth: N, whole, 3 to 100.  step_size: eta > 0.
    start_norm: r at k = 0; where that is beyond the edge the refined burst is there, at step 0. Returns `FirstBurst`.

    Raises ValueError where an argument is not what it must be, or the edge is at a norm outside [1e-140, 1e+140].
    Source: derivations/edge_of_stability.py, formal.

    >>> import flowsim as fs
    >>> burst = fs.theory.first_burst(fs.PopulationRisk(fs.Gaussian(dim=2)), depth=3, step_size=0.5)
    >>> print(f"sigma {burst.sigma:.4f}, step {burst.step:.0f}; from norm 1: {burst.step_refined:.0f}")
    sigma 2.5116, step 192925; from norm 1: 192944
    """
    layers = single_depth(depth, low=3, high=DEEPEST)
    climb = _Climb.checked(risk, layers, step_size)
    begin, end = _log_norm(start_norm), climb.log_norm_at(EDGE)
    sigma = _burst_sharpness((risk.tail.exponent * layers + 2.0) / (layers - 2.0) - 1.0)
    norm = (sigma / (climb.step_size * risk.pull)) ** (layers / (layers - 2.0))
    back = begin if begin >= end else climb.regained(begin, end)
    steps = 0.0 if begin >= end else climb.integral(climb.steps, begin, back)
    return FirstBurst(sigma, norm, climb.leading_step(norm), climb.sigma(back), exp(back), steps)


def _burst_sharpness(p: float) -> float:
    """The root of int_0^sigma log|1 - x| x^p dx, p > -1: 2.51 for three layers (p = 4), 4.59 as N grows (p -> 0)."""
    # int_0^1 = -H_(p+1)/(p+1), H the harmonic number
    below = -float(digamma(p + 2.0) + np.euler_gamma) / (p + 1.0)
    total = lambda x: below + quad(lambda y: y**p, 1.0, x, weight="alg-loga", wvar=(0, 0))[0]  # noqa: E731
    # the root falls as p grows; at p = -1, where the integral is -Li_2(sigma), it is 12.6
    return _root(total, EDGE, 13.0)


@dataclass(frozen=True)
class _Climb:
    """An aligned run of balanced layers, in u = log r."""

    risk: PopulationRisk
    depth: int
    step_size: float

    @classmethod
    def checked(cls, risk: Any, depth: int, step_size: Any) -> "_Climb":
        if population_risk(risk).label_noise > 0.0:
            where = "its run ends at the minimiser, see label_noise_stability"
            raise ValueError(f"`risk` must be free of label noise, but has {risk.label_noise:.6g}: {where}")
        return cls(risk, depth, arguments.real("step_size", step_size, low=0.0, strict=True))

    def sigma(self, u: float) -> float:
        return float(sharpness(self.risk, self.depth, self.step_size, exp(u)))

    def steps(self, u: float) -> float:
        """dk/du = r^(2/N-1)/(eta N h)."""
        return exp(u * (2.0 / self.depth - 1.0)) / (self.step_size * self.depth * float(self.risk.growth(exp(u))))

    def leading_step(self, norm: float) -> float:
        """r^m/(m N K eta), m = a + 2/N, for the tail alone."""
        m = self.risk.tail.exponent + 2.0 / self.depth
        return norm**m / (m * self.depth * self.risk.tail.constant * self.step_size)

    def log_norm_at(self, sigma: float) -> float:
        """log r where the sharpness, which grows with r from N = 2 on, is ``sigma``."""
        # in logarithms: at the smallest norms sigma itself may underflow
        scale, power = log(self.step_size / sigma), 1.0 - 2.0 / self.depth
        gap = lambda u: scale + log(float(self.risk.drag(exp(u)))) + power * u  # noqa: E731
        low, high = LOG_NORMS
        if not gap(low) < 0.0 < gap(high):
            size = "large" if gap(low) >= 0.0 else "small"
            raise ValueError(f"`step_size` must have its edge at a norm in [1e-140, 1e+140], but {self.step_size:.6g} is too {size}")
        return _root(gap, low, high)

    def regained(self, begin: float, end: float) -> float:
        """log r where int log|1 - sigma| dk from ``begin``, which falls up to the edge at ``end``, is 0 again."""
        gain = lambda u: _log_multiplier(self.sigma(u)) * self.steps(u)  # noqa: E731
        # the integral converges fast with the singularity at sigma = 1 as an end point
        one = max(begin, self.log_norm_at(1.0))
        fallen = self.integral(gain, begin, one) + self.integral(gain, one, end)
        risen = lambda u: fallen + self.integral(gain, end, u)  # noqa: E731
        high = end + 1.0
        while risen(high) < 0.0:
            high += 1.0
        return _root(risen, end, high)

    @staticmethod
    def integral(f: Callable[[float], float], low: float, high: float) -> float:
        return float(quad(f, low, high, epsabs=0.0, epsrel=1e-11, limit=400)[0])


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    return float(root_scalar(f, bracket=(low, high), method="brentq", xtol=1e-14).root)


def _log_multiplier(sigma: float) -> float:
    """log|1 - sigma|, to full precision where sigma is small, and finite where it is rounded to 1."""
    return log1p(-sigma) if sigma < 1.0 else log(max(sigma - 1.0, 1e-17))


def _log_norm(start_norm: Any) -> float:
    return log(arguments.real("start_norm", start_norm, low=0.0, strict=True))
