"""What a spherically symmetric law of x in R^d is to the rest: its profile, the tail of its growth, its second moment, samples."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from math import log, nan
from typing import Any, ClassVar

import numpy as np
from scipy.special import zeta

from flowsim import arguments
from flowsim.problem.kernel import point_kernel
from flowsim.problem.marginal import OctaveWeights
from flowsim.problem.profile import Kernel, Profile, build_profile


def dirichlet_eta(s: float) -> float:
    """etaD(s) = sum over n >= 1 of (-1)^(n-1) n^-s = (1 - 2^(1-s)) zeta(s)."""
    return log(2.0) if s == 1.0 else float((1.0 - 2.0 ** (1.0 - s)) * zeta(s))


@dataclass(frozen=True)
class Tail:
    """h(r) ~ constant r^-(1 + exponent) + next_coefficient r^-next_power at large r.

    If P(|x_1| < u) ~ C u^a then exponent = a and constant = C a Gamma(a+1) etaD(a+1); with a = 1 and density f of |x_1| it is
    K = f(0) pi^2/12. A coefficient that does not exist (a logarithm stands there, or the law is not smooth enough) is nan.

    constant: K.  exponent: a.  next_coefficient, next_power: of the next term. Source: derivations/growth.py.

    >>> import flowsim as fs
    >>> tail = fs.Laplace(dim=2, scale=1.0).tail
    >>> round(tail.constant, 6), tail.exponent, round(tail.next_coefficient, 6), tail.next_power
    (0.822467, 1.0, -1.803085, 3.0)
    """

    constant: float
    exponent: float = 1.0
    next_coefficient: float = nan
    next_power: float = 4.0


def smooth_tail(density_at_zero: float, slope: float, second: float) -> Tail:
    """Tail from the density f of |x_1| at 0: h = sum over n of (n+1) etaD(n+2) f^(n)(0) r^-(n+2)."""
    constant = dirichlet_eta(2.0) * density_at_zero
    if slope != 0.0:
        return Tail(constant, 1.0, 2.0 * dirichlet_eta(3.0) * slope, 3.0)
    return Tail(constant, 1.0, 3.0 * dirichlet_eta(4.0) * second, 4.0)


class Law(ABC):
    """A spherically symmetric law of x in R^dim with E|x| finite and P(x = 0) = 0: one density f of |x_1| says all that the risk needs.

    name: what files and the command line call the kind of law.  dim: d, whole, 2 or more.

    >>> import flowsim as fs
    >>> law = fs.Gaussian(dim=3, scale=2.0)
    >>> isinstance(law, fs.Law), law.second_moment, law.tail.exponent
    (True, 4.0, 1.0)
    >>> round(law.profile.pull, 6)
    0.797885
    """

    name: ClassVar[str]
    dim: int

    @abstractmethod
    def _weights(self) -> OctaveWeights:
        """The law of |x_1|, or of |x| where ``_kernel`` is the unit sphere's."""

    def _kernel(self) -> Kernel:
        return point_kernel

    @abstractmethod
    def _norms(self, generator: np.random.Generator, n: int) -> np.ndarray:
        """n samples of |x|."""

    @cached_property
    @abstractmethod
    def tail(self) -> Tail:
        """How h falls off at large r."""

    @cached_property
    def profile(self) -> Profile:
        """h, A, c - h and -h' of this law as tables."""
        return build_profile(self._weights(), self._kernel())

    @property
    @abstractmethod
    def second_moment(self) -> float:
        """E[x_1^2], the eigenvalue of the covariance; inf where it diverges."""

    def sample(self, seed: Any, n: int) -> np.ndarray:
        """n independent samples of x, (n, dim).

        seed: an int, a numpy Generator or SeedSequence, or a JAX key; the same seed gives the same samples.  n: whole, 1 or more.

        ValueError where one is not what it must be.

        >>> import flowsim as fs
        >>> x = fs.Sphere(dim=3, radius=2.0).sample(seed=0, n=4)
        >>> x.shape, float((x**2).sum(axis=1).round(12).max())
        ((4, 3), 4.0)
        """
        count = int(arguments.whole("n", n, low=1))
        generator = _generator(seed)
        direction = generator.standard_normal((count, self.dim))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return self._norms(generator, count)[:, None] * direction

    def config(self) -> dict[str, Any]:
        """What makes this law again, JSON: its name under "law", and its parameters.

        >>> import flowsim as fs
        >>> fs.StudentT(dim=2, df=3.0).config()
        {'law': 'student-t', 'dim': 2, 'df': 3.0, 'scale': 1.0}
        """
        return {"law": self.name, **{k: v for k, v in self.__dict__.items() if k in self._parameters}}

    _parameters: ClassVar[tuple[str, ...]] = ("dim",)

    def label(self) -> str:
        """A short name with parameters, for legends and tables.

        >>> import flowsim as fs
        >>> fs.StudentT(dim=2, df=3.0).label()
        'StudentT(dim=2, df=3, scale=1)'
        """
        inside = ", ".join(f"{k}={v:g}" for k, v in self.config().items() if k != "law")
        return f"{type(self).__name__}({inside})"


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if hasattr(seed, "dtype") and hasattr(seed, "devices"):
        import jax
        import jax.numpy as jnp

        key = jax.random.key_data(seed) if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key) else seed
        return np.random.default_rng(np.asarray(key).ravel().tolist())
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(f"`seed` must be a whole number, a numpy Generator or a JAX key, but is {seed!r}") from None


def check_dim(law: Any) -> None:
    object.__setattr__(law, "dim", int(arguments.whole("dim", law.dim, low=2)))


def check_positive(law: Any, *names: str) -> None:
    for name in names:
        value = arguments.real(name, getattr(law, name), low=0.0, strict=True)
        if not 1e-100 <= value <= 1e100:
            raise ValueError(f"`{name}` must be in [1e-100, 1e+100], but is {value:.6g}")
        object.__setattr__(law, name, value)
