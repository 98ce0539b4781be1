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
    Source: derivations/growth.py.
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
    """A spherically symmetric law of x in R^dim with E|x| finite and P(x = 0) = 0."""

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
        """n independent samples of x, shape (n, dim).

        seed: an int, a numpy Generator or SeedSequence, or a JAX key.
        """
        count = int(arguments.whole("n", n, low=1))
        generator = _generator(seed)
        direction = generator.standard_normal((count, self.dim))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return self._norms(generator, count)[:, None] * direction

    def config(self) -> dict[str, Any]:
        """What `law_from_config` needs to build this law again."""
        return {"law": self.name, **{k: v for k, v in self.__dict__.items() if k in self._parameters}}

    _parameters: ClassVar[tuple[str, ...]] = ("dim",)

    def label(self) -> str:
        """A short name with parameters, for legends and tables."""
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
