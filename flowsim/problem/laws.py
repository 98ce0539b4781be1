"""The spherically symmetric laws: Gaussian, sphere, ball, Student t, Laplace, and any law of scipy.stats for |x|."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, gamma, inf, isinf, lgamma, log, nan, pi, sqrt
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from scipy.special import betaln

from flowsim import arguments
from flowsim.problem.kernel import OCTAVE
from flowsim.problem.law import Law, Tail, check_dim, check_positive, dirichlet_eta, smooth_tail
from flowsim.problem.marginal import (
    LOWEST,
    OctaveWeights,
    continue_power_tail,
    geometric_rest,
    weights_of_density,
    weights_of_points,
)
from flowsim.problem.profile import Kernel, Profile, build_profile


@dataclass(frozen=True)
class Gaussian(Law):
    """x ~ N(0, scale^2 I): f(u) = sqrt(2/pi)/scale exp(-u^2/(2 scale^2)), c = scale/sqrt(2 pi).

    dim: d, whole, 2 or more; h and c do not depend on it.  scale: standard deviation of a coordinate, 1e-100 to 1e100.

    ValueError where one is not what it must be. Source: derivations/laws.py.

    >>> import flowsim as fs
    >>> round(fs.Gaussian(dim=2, scale=1.0).profile.pull, 6)
    0.398942
    """

    dim: int = 2
    scale: float = 1.0
    name: ClassVar[str] = "gaussian"
    _parameters: ClassVar[tuple[str, ...]] = ("dim", "scale")

    def __post_init__(self) -> None:
        check_dim(self)
        check_positive(self, "scale")

    def _weights(self) -> OctaveWeights:
        norm = log(2.0 / pi) / 2.0 - log(self.scale)
        return weights_of_density(lambda u: norm - 0.5 * (u / self.scale) ** 2).normalised()

    def _norms(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return self.scale * np.sqrt(generator.chisquare(self.dim, n))

    @property
    def second_moment(self) -> float:
        return self.scale**2

    @cached_property
    def tail(self) -> Tail:
        at_zero = sqrt(2.0 / pi) / self.scale
        return smooth_tail(at_zero, 0.0, -at_zero / self.scale**2)


def _sphere_at_zero(dim: int) -> float:
    """Density of |u_1| at 0 for u uniform on the unit sphere of R^dim."""
    # Gamma(d/2)/(sqrt(pi) Gamma((d-1)/2)) without the difference of two large logarithms
    return 2.0 * exp(-betaln((dim - 1) / 2.0, 0.5))


def _sphere_weights(dim: int, radius: float) -> OctaveWeights:
    """|u_1| has density prop. to (1 - u^2)^((dim-3)/2) on (0, 1); with u = sin(phi) the upper half is smooth even for dim = 2."""
    log_norm = log(_sphere_at_zero(dim))
    lower = weights_of_density(lambda u: log_norm - log(radius) + 0.5 * (dim - 3) * np.log1p(-((u / radius) ** 2)), (0.0, 0.5 * radius))
    t, w = np.polynomial.legendre.leggauss(80)
    phi = pi / 3.0 + t * pi / 6.0
    mass = np.exp(log_norm + (dim - 2) * np.log(np.cos(phi))) * w * pi / 6.0
    upper = weights_of_points(radius * np.sin(phi), mass)
    return OctaveWeights(lower.tilted + upper.tilted, lower.mass_below, 0.0).normalised()


@dataclass(frozen=True)
class Sphere(Law):
    """x uniform on the sphere of this radius: f(u) prop. to (1 - u^2/radius^2)^((dim-3)/2).

    dim: d, whole, 2 or more; 2 is the circle of the paper's figure 1.  radius: |x|, 1e-100 to 1e100.

    ValueError where one is not what it must be. Source: derivations/laws.py.

    >>> import flowsim as fs
    >>> round(fs.Sphere(dim=2, radius=1.0).profile.pull, 6)
    0.31831
    """

    dim: int = 2
    radius: float = 1.0
    name: ClassVar[str] = "sphere"
    _parameters: ClassVar[tuple[str, ...]] = ("dim", "radius")

    def __post_init__(self) -> None:
        check_dim(self)
        check_positive(self, "radius")

    def _weights(self) -> OctaveWeights:
        return _sphere_weights(self.dim, self.radius)

    def _norms(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return np.full(n, self.radius)

    @property
    def second_moment(self) -> float:
        return self.radius**2 / self.dim

    @cached_property
    def tail(self) -> Tail:
        at_zero = _sphere_at_zero(self.dim) / self.radius
        return smooth_tail(at_zero, 0.0, -at_zero * (self.dim - 3) / self.radius**2)


@dataclass(frozen=True)
class Ball(Law):
    """x uniform in the ball of this radius; x_1 has the law it has on the sphere of R^(dim+2).

    dim: d, whole, 2 or more.  radius: of the ball, 1e-100 to 1e100.

    ValueError where one is not what it must be. Source: derivations/laws.py.

    >>> import flowsim as fs
    >>> fs.Ball(dim=2).profile.pull == fs.Sphere(dim=4).profile.pull
    True
    """

    dim: int = 2
    radius: float = 1.0
    name: ClassVar[str] = "ball"
    _parameters: ClassVar[tuple[str, ...]] = ("dim", "radius")

    def __post_init__(self) -> None:
        check_dim(self)
        check_positive(self, "radius")

    def _weights(self) -> OctaveWeights:
        return _sphere_weights(self.dim + 2, self.radius)

    def _norms(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return self.radius * generator.random(n) ** (1.0 / self.dim)

    @property
    def second_moment(self) -> float:
        return self.radius**2 / (self.dim + 2)

    @cached_property
    def tail(self) -> Tail:
        return Sphere(self.dim + 2, self.radius).tail


@dataclass(frozen=True)
class StudentT(Law):
    """x = scale g sqrt(df/chi2_df), g standard normal: every coordinate is scale times a Student t; E|x| needs df > 1.

    dim: d, whole, 2 or more.  df: degrees of freedom, above 1.  scale: 1e-100 to 1e100.

    ValueError where one is not what it must be. Source: derivations/laws.py.

    >>> import flowsim as fs
    >>> law = fs.StudentT(dim=2, df=1.5)
    >>> law.second_moment, round(law.profile.pull, 6)
    (inf, 1.022205)
    """

    dim: int = 2
    df: float = 5.0
    scale: float = 1.0
    name: ClassVar[str] = "student-t"
    _parameters: ClassVar[tuple[str, ...]] = ("dim", "df", "scale")

    def __post_init__(self) -> None:
        check_dim(self)
        check_positive(self, "df", "scale")
        if self.df <= 1.0:
            raise ValueError(f"`df` of StudentT must be above 1 for E|x| to be finite, but is {self.df:.6g}")

    def _weights(self) -> OctaveWeights:
        df, log_scale = self.df, log(self.scale)
        norm = log(2.0) - betaln(df / 2.0, 0.5) - 0.5 * log(df) - log_scale

        def log_density(u: np.ndarray) -> np.ndarray:
            return norm - 0.5 * (df + 1) * np.logaddexp(0.0, 2.0 * (np.log(u) - log_scale) - log(df))

        return weights_of_density(log_density).normalised()

    def _norms(self, generator: np.random.Generator, n: int) -> np.ndarray:
        gaussian = np.sqrt(generator.chisquare(self.dim, n))
        return self.scale * gaussian * np.sqrt(self.df / generator.chisquare(self.df, n))

    @property
    def second_moment(self) -> float:
        return self.scale**2 * self.df / (self.df - 2.0) if self.df > 2.0 else inf

    @cached_property
    def tail(self) -> Tail:
        df = self.df
        at_zero = 2.0 * exp(-betaln(df / 2.0, 0.5)) / (sqrt(df) * self.scale)
        return smooth_tail(at_zero, 0.0, -at_zero * (df + 1) / (df * self.scale**2))


@dataclass(frozen=True)
class Laplace(Law):
    """x = scale sqrt(2 E) g, E exponential, g standard normal: every coordinate has density exp(-|x_1|/scale)/(2 scale), c = scale/2.

    dim: d, whole, 2 or more.  scale: 1e-100 to 1e100. The density has a kink at 0, so h has a term in r^-3, which smooth laws lack.

    ValueError where one is not what it must be. Source: derivations/laws.py, derivations/closed_forms.py.

    >>> import flowsim as fs
    >>> law = fs.Laplace(dim=2, scale=1.0)
    >>> round(law.profile.pull, 12), law.tail.next_power
    (0.5, 3.0)
    """

    dim: int = 2
    scale: float = 1.0
    name: ClassVar[str] = "laplace"
    _parameters: ClassVar[tuple[str, ...]] = ("dim", "scale")

    def __post_init__(self) -> None:
        check_dim(self)
        check_positive(self, "scale")

    def _weights(self) -> OctaveWeights:
        return weights_of_density(lambda u: -u / self.scale - log(self.scale)).normalised()

    def _norms(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return self.scale * np.sqrt(2.0 * generator.exponential(size=n) * generator.chisquare(self.dim, n))

    @property
    def second_moment(self) -> float:
        return 2.0 * self.scale**2

    @cached_property
    def tail(self) -> Tail:
        return smooth_tail(1.0 / self.scale, -1.0 / self.scale**2, 0.0)


@lru_cache(maxsize=64)
def _unit_sphere_profile(dim: int) -> Profile:
    return build_profile(_sphere_weights(dim, 1.0))


@dataclass(frozen=True)
class Radial(Law):
    """x = R u, u uniform on the unit sphere, R = |x| by any positive continuous law of scipy.stats (frozen).

    h(r) = E[R h_S(r R)] with h_S of the unit sphere. A density of R that is singular or positive at 0 changes the tail of h.

    dim: d, whole, 2 or more.  radius: the law of |x|, such as ``scipy.stats.gamma(3.0)``; its density's accuracy is the profile's.

    ValueError where one is not what it must be: a support below 0, a density that does not integrate to 1, an infinite mean.
    Source: derivations/laws.py.

    >>> import flowsim as fs
    >>> from scipy import stats
    >>> law = fs.Radial(3, stats.gamma(0.5))
    >>> print(law.label(), round(law.profile.pull, 6), round(law.tail.exponent, 6))
    Radial(dim=3, gamma(0.5)) 0.125 0.5
    """

    dim: int = 2
    radius: Any = None
    name: ClassVar[str] = "radial"
    _parameters: ClassVar[tuple[str, ...]] = ("dim",)

    def __post_init__(self) -> None:
        check_dim(self)
        refusal = f"`radius` must be a frozen continuous law of scipy.stats, such as scipy.stats.gamma(3.0), but is {self.radius!r}"
        if not all(hasattr(self.radius, part) for part in ("dist", "args", "kwds", "logpdf", "support", "rvs")):
            raise ValueError(refusal)
        try:
            low, high = (float(end) for end in self.radius.support())
            self.radius.logpdf(np.ones(2))
        except (TypeError, ValueError, AttributeError):
            # a family without its parameters, a discrete law, or arrays of parameters
            raise ValueError(refusal) from None
        if not low >= 0.0 or not high > low:
            raise ValueError(f"`radius` must be a positive law, but its support is [{low:g}, {high:g}]")
        mass = self._radius_weights.mass
        if not abs(mass - 1.0) < 1e-9:
            raise ValueError(f"`radius` must have a density that integrates to 1; the integral found is {mass:.12g}")
        if isinf(self._radius_weights.mean):
            raise ValueError("`radius` must have a finite mean, but E|x| diverges for it")

    @cached_property
    def _radius_weights(self) -> OctaveWeights:
        low, high = self.radius.support()
        return weights_of_density(continue_power_tail(self.radius.logpdf), (float(low), float(high)))

    def _weights(self) -> OctaveWeights:
        return self._radius_weights.normalised()

    def _kernel(self) -> Kernel:
        return _unit_sphere_profile(self.dim).as_kernel

    def _norms(self, generator: np.random.Generator, n: int) -> np.ndarray:
        return np.asarray(self.radius.rvs(size=n, random_state=generator), dtype=float)

    @property
    def second_moment(self) -> float:
        return self._radius_weights.normalised().second_moment / self.dim

    @cached_property
    def tail(self) -> Tail:
        exponent, constant = self._law_at_zero()
        if exponent > 1.0 + 1e-6:
            at_zero = _sphere_at_zero(self.dim) * self._inverse_moment(1)
            second = -_sphere_at_zero(self.dim) * (self.dim - 3) * self._inverse_moment(3) if exponent > 3.0 + 1e-6 else nan
            return smooth_tail(at_zero, 0.0, second)
        if exponent > 1.0 - 1e-6:
            return Tail(nan, 1.0)
        # P(R |u_1| < t) ~ constant t^a E[|u_1|^-a]
        a = exponent
        moment = exp(lgamma(self.dim / 2) - lgamma((self.dim - a) / 2)) * gamma((1 - a) / 2) / sqrt(pi)
        return Tail(constant * moment * a * gamma(a + 1) * dirichlet_eta(a + 1), a)

    def _law_at_zero(self) -> tuple[float, float]:
        """(a, C) with P(R < t) ~ C t^a as t -> 0, read off octaves far below the bulk; a = inf where the support ends above 0."""
        if self.radius.support()[0] > 0.0:
            return inf, 0.0
        k = np.arange(LOWEST, 0)
        masses = self._radius_weights.tilted[: k.size].sum(axis=1)
        good = np.flatnonzero((masses > 1e-290) & (k > -1000))
        if good.size == 0 or good[0] >= k.size - 21:
            return inf, 0.0
        i = int(good[0])
        a = float(np.log2(masses[i + 20] / masses[i]) / 20.0)
        # steeper than the power that its mass belongs to: it falls faster than any, as a lognormal law does
        if -a * k[i] > 1050.0:
            return inf, 0.0
        return a, float(masses[i] / (2.0 ** (a * k[i]) * (2.0**a - 1.0)))

    def _inverse_moment(self, power: int) -> float:
        """E[R^-power], with the geometric rest below the octaves that are summed."""
        weights = self._radius_weights.normalised()
        k = np.arange(LOWEST, LOWEST + weights.tilted.shape[0])
        mass, exponent = np.frexp(weights.tilted @ OCTAVE ** float(-power))
        size = np.abs(weights.tilted).sum(axis=1)
        live = int(np.flatnonzero(size > 1e-290)[0])
        terms = np.ldexp(mass, np.maximum(exponent - np.maximum(k, 0) - power * k, -1080))[live:]
        rest = geometric_rest(terms[::-1], float(terms.sum())) if self.radius.support()[0] == 0.0 else 0.0
        return float(terms.sum() + rest)

    def config(self) -> dict[str, Any]:
        frozen = self.radius
        radius = {"name": frozen.dist.name, "args": [float(a) for a in frozen.args], "kwds": dict(frozen.kwds)}
        return {"law": self.name, "dim": self.dim, "radius": radius}

    def label(self) -> str:
        inside = ", ".join([*(f"{a:g}" for a in self.radius.args), *(f"{k}={v:g}" for k, v in self.radius.kwds.items())])
        return f"Radial(dim={self.dim}, {self.radius.dist.name}({inside}))"


LAWS: dict[str, type[Law]] = {law.name: law for law in (Gaussian, Sphere, Ball, StudentT, Laplace, Radial)}
"""Every kind of law by its ``name``."""


def law_from_config(config: dict[str, Any]) -> Law:
    """The law that ``config()`` described; ValueError where the name is unknown."""
    given = dict(config)
    name = arguments.one_of("law", given.pop("law", None), LAWS)
    if name == Radial.name:
        radius = given.pop("radius")
        family = getattr(stats, radius["name"], None)
        if not isinstance(family, stats.rv_continuous):
            raise ValueError(f"the law of the radius must be one of scipy.stats, but is {radius['name']!r}")
        given["radius"] = family(*radius.get("args", []), **radius.get("kwds", {}))
    return LAWS[name](**given)
