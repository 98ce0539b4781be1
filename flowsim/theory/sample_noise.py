r"""The noise of a sample's gradient at w = r v, by quadrature over the law of |x_1|.

With s(z) = 1/(1 + exp(z)), one sample's gradient has across v the variance V(r) in each of d - 1 components,

    V(r) = E[ x_2^2 s(r|x_1|)^2 ] = E[ |x_1| T(r|x_1|) ]/r ~ c (2 log 2 - 1)/r,    T(z) = int_0^z s(y)^2 dy

for every law: that of x_2 given x_1 = u enters by E[x_2^2; |x_1| = u] = int_u^oo x f(x) dx, whose value at 0 is 2c.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from flowsim import arguments
from flowsim.problem import Law, PopulationRisk, Radial, Sphere
from flowsim.problem.kernel import OCTAVE
from flowsim.problem.marginal import LOWEST
from flowsim.theory.states import population_risk

Array = Float[np.ndarray, "..."]

_NEGLIGIBLE = 2.0**-60
"""Part of an average below which an octave of the law of |x| is left out."""

_SMALLEST = 2.0**-30
"""|x_1|/|x|, or where small margins count r|x_1|, from which on its law is summed: the average of its square is rounding below."""


@dataclass(frozen=True, eq=False)
class GradientNoise:
    """Variances of one sample's gradient at w = r v, a component along v and one across; those of a mean of n are smaller by n.

    along: E[x_1^2 s(r|x_1|)^2] - h(r)^2.  across: V(r) = E[x_2^2 s(r|x_1|)^2].  dim: d. Made by `gradient_noise`.

    >>> import flowsim as fs
    >>> noise = fs.theory.gradient_noise(fs.PopulationRisk(fs.Gaussian(dim=3)), norm=10.0)
    >>> f"{float(noise.along):.6f} {float(noise.across):.6f} {float(noise.deviation(1000)):.6f}"
    '0.000084 0.015348 0.005548'
    """

    along: Array
    across: Array
    dim: int

    def deviation(self, samples: Any) -> Array:
        """sqrt((along + (d-1) across)/n): the root mean square of |grad L_n - grad L| over sets of n samples.

        samples: n, whole, 1 or more; broadcasts against the norms.

        >>> import flowsim as fs
        >>> noise = fs.theory.gradient_noise(fs.PopulationRisk(fs.Sphere(dim=2)), norm=1.0)
        >>> bool(abs(noise.deviation(100) / noise.deviation(10000) - 10.0) < 1e-12)
        True
        """
        n = arguments.whole("samples", samples, low=1)
        return np.asarray(np.sqrt((self.along + (self.dim - 1) * self.across) / n))


def gradient_noise(risk: Any, norm: Any) -> GradientNoise:
    """E[x_1^2 s^2] - h^2 along v and V(r) = E[x_2^2 s^2] across it, s = 1/(1 + exp(r|x_1|)): the noise of one sample's gradient at w = r v.

    By quadrature over the law of |x_1| alone, relative error below 1e-12; finite also where E|x|^2 is not.

    risk: a `PopulationRisk` without label noise.  norm: r, 1e-100 to 1e100, any shape, which is that of the variances.
    Returns `GradientNoise`.

    ValueError where one is not what it must be. Source: derivations/sample_noise.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> noise = fs.theory.gradient_noise(risk, norm=[1e-6, 1.0, 1e3])
    >>> noise.across.round(6).tolist()
    [0.25, 0.118522, 0.000154]
    """
    r, law = arguments.reals("norm", norm, low=1e-100, high=1e100), noise_free(risk).law
    return GradientNoise(np.asarray(_average(law, _square_layer, 2.0, r) / r - risk.growth(r) ** 2), across_variance(law, r), law.dim)


def noise_free(risk: Any) -> PopulationRisk:
    """``risk``, if its labels are clean."""
    if population_risk(risk).label_noise > 0.0:
        raise ValueError(f"`risk` must be free of label noise, but has {risk.label_noise:.6g}: there a sample's noise is another one")
    return risk


def _square_integral(z: np.ndarray) -> np.ndarray:
    """T(z) = int_0^z s^2 = log(2/(1 + exp(-z))) - tanh(z/2)/2, without cancellation."""
    return -np.log1p(0.5 * np.expm1(-z)) - 0.5 * np.tanh(0.5 * z)


def _square_layer(z: np.ndarray) -> np.ndarray:
    """z s(z)^2."""
    return z * expit(-z) ** 2


def across_variance(law: Law, r: Array) -> Array:
    """V(r) = E[x_2^2 s(r|x_1|)^2]."""
    return np.asarray(_average(law, _square_integral, 0.0, r) / r)


@lru_cache(maxsize=32)
def _nodes(law: Law) -> tuple[np.ndarray, np.ndarray, float]:
    """Octaves of nodes x and weights with E[x g(x)] = sum of weights g(x), x = |x_1| (|x| of a `Radial`), and E[x; beyond them]."""
    weights = law._weights()
    octave = np.arange(LOWEST, LOWEST + weights.tilted.shape[0])[:, None]
    # not normalised is as good as normalised: laws hand over weights of mass 1
    return np.ldexp(OCTAVE, octave), np.ldexp(weights.tilted * OCTAVE, np.minimum(octave, 0)), weights.mean_beyond


def _average(law: Law, g: Callable[[np.ndarray], np.ndarray], decay: float, r: Array) -> Array:
    """E[|x_1| g(r|x_1|)] at each r; g(z) goes like z at small z, and at large z no slower than z^-decay once averaged over a sphere."""
    points, mean, beyond = _nodes(law)
    sizes, limit = np.abs(mean).sum(axis=1), float(g(np.array([1e300]))[0]) * beyond
    found = np.empty(r.size)
    for i, scale in enumerate(r.flat):
        with np.errstate(under="ignore", over="ignore"):
            # z beyond the double range is in the limits of g
            z = np.clip(float(scale) * points, 1e-300, 1e300)
            bounds = sizes * np.minimum(z[:, -1], z[:, 0] ** -decay)
            keep = bounds > _NEGLIGIBLE * bounds.max()
            if isinstance(law, Radial):
                inner, far = _on_sphere(law.dim, g, decay, z[keep]), float(_nodes(Sphere(law.dim))[1].sum())
            else:
                inner, far = g(z[keep]), 1.0
            found[i] = (mean[keep] * inner).sum() + limit * far
    return found.reshape(r.shape)


def _on_sphere(dim: int, g: Callable[[np.ndarray], np.ndarray], decay: float, y: np.ndarray) -> np.ndarray:
    """E[|u_1| g(y|u_1|)] at each y, u uniform on the unit sphere of R^dim."""
    points, mean, _ = _nodes(Sphere(dim))
    keep = (points[:, 0] > _SMALLEST / (max(float(y.max()), 1.0) if decay else 1.0)) & (points[:, 0] < 1.0)
    nodes, weights = points[keep].ravel(), mean[keep].ravel()
    return np.stack([g(row[:, None] * nodes) @ weights for row in y])
