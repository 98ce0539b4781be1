r"""Means over a law by quadrature in R^d itself: the witness beside flowsim's tables, which know only the density of |x_1|.

A law, or its projection on the plane of v and w, is a mixture of uniform laws on spheres. In that plane, with theta the angle of w,

    x = rho (cos phi, sin phi),   phi = theta - pi/2 + delta,   y <w, x> = r rho sin(delta) where <v, x> > 0,  delta in (-theta, pi - theta)

The other half of the plane, x -> -x, has the same margins. Panels end where the margin is one of a few values, so that a loss's bend
around margin 0, or its kink, lies in panels of its own width at any r rho.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from scipy.special import betaln, k0e

from flowsim.claims.settings import OutOfScope
from flowsim.problem import Ball, Gaussian, Laplace, Law, Radial, Sphere, StudentT

SIGMOID = (1.0, 4.0, 12.0, 22.0, 40.0)
"""Margins where the panels of a function of log(1 + exp(-z)) end: its poles are at i pi."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_ROUNDS = 45
_LIGHT = 40.0
"""exp(-40) of the mean is left out of a law, and exp(-60) of the mass."""
_DEGREE = 16
"""Chebyshev points on an octave of rho; a function of log(1 + exp(-rho)) has a Bernstein ellipse of parameter 9.2 there."""


def panels(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights on the panels (left, right), (P,) each, to (P, 16)."""
    half = 0.5 * (right - left)[:, None]
    return 0.5 * (right + left)[:, None] + half * _NODES, half * _WEIGHTS


@dataclass(frozen=True, eq=False)
class Shells:
    """A mixture of uniform laws on the spheres of R^dim of these radii, (S,), with these masses, (S,).

    dim: that of the law, or 2 for the projection of x on a plane.
    """

    radius: np.ndarray
    mass: np.ndarray
    dim: int

    @cached_property
    def rings(self) -> "Shells":
        """The projection on a plane: of a unit vector it is sin(psi) long, of density (dim-2) sin(psi) cos(psi)^(dim-3).

        Where it has many radii it is interpolated to fewer, which suits integrands that are analytic in log rho.
        """
        if self.dim == 2:
            return self
        levels = 20 + int(np.log2(self.dim) / 2.0)
        edges = 0.5 * np.pi * np.concatenate([[0.0], 2.0 ** np.arange(-levels, 1.0)])
        psi, weight = (part.ravel() for part in panels(edges[:-1], edges[1:]))
        weight = weight * (self.dim - 2) * np.sin(psi) * np.cos(psi) ** (self.dim - 3)
        return _fewer(np.outer(self.radius, np.sin(psi)).ravel(), np.outer(self.mass, weight).ravel())

    @cached_property
    def pull(self) -> float:
        """c = E|x_1|/2."""
        u, weight = self.coordinate(0.0)
        return 0.5 * float((u * weight).sum())

    @property
    def mean_ring(self) -> float:
        """c0 = E rho, of the projection on a plane."""
        return float((self.rings.mass * self.rings.radius).sum())

    def coordinate(self, norm: float, margins: tuple[float, ...] = SIGMOID) -> tuple[np.ndarray, np.ndarray]:
        """|x_1| and its weights, flat: panels end where norm |x_1| is one of the margins. |x_1| = R sin(delta), of density cos^(dim-2)."""
        reach = np.arcsin(np.minimum(np.array([1.0, 2.0, 4.0, 8.0]) / np.sqrt(self.dim), 1.0))
        reach = np.broadcast_to(reach, (self.radius.size, reach.size))
        shell, delta, weight = _between(np.concatenate([_ends(norm * self.radius, margins), reach], axis=1), 0.0, 0.5 * np.pi)
        density = np.exp((self.dim - 2) * np.log(np.cos(delta)) - betaln(0.5 * (self.dim - 1), 0.5)) * 2.0
        return self.radius[shell] * np.sin(delta), self.mass[shell] * weight * density


class HalfPlane(NamedTuple):
    """Where <v, x> > 0, twice the mass; flat.

    along, across: x along v, and along the normal to v towards w.  margin: y <w, x>.  beside: x along the normal to w away from v.
    """

    along: np.ndarray
    across: np.ndarray
    margin: np.ndarray
    beside: np.ndarray
    weight: np.ndarray

    def mean(self, values: np.ndarray) -> float:
        """E of a function of x that x -> -x, y -> -y leaves alone, by its values here."""
        return float((self.weight * values).sum())


def half_plane(rings: Shells, norm: float, angle: float, margins: tuple[float, ...] = SIGMOID) -> HalfPlane:
    """Nodes for means of functions of y <w, x>, |w| = norm, at ``angle`` in [0, pi] to v; panels end where |margin| is one of these."""
    ends, quarter = _ends(norm * rings.radius, margins), 0.5 * np.pi
    # delta or -delta itself, and from a right angle on pi - delta or pi + delta, which alone is exact where the margin vanishes again
    parts = (
        (1.0, False, 0.0, min(quarter, np.pi - angle)),
        (1.0, True, angle, quarter),
        (-1.0, False, 0.0, min(quarter, angle)),
        (-1.0, True, np.pi - angle, quarter),
    )
    pieces = []
    for sign, turned, low, high in parts:
        if low < high:
            ring, size, weight = _between(ends, low, high)
            radius = rings.radius[ring]
            phi = angle - quarter + sign * (np.pi - size if turned else size)
            seen, beside = sign * radius * np.sin(size), (radius if turned else -radius) * np.cos(size)
            pieces.append((radius * np.cos(phi), radius * np.sin(phi), norm * seen, beside, rings.mass[ring] * weight / np.pi))
    return HalfPlane(*(np.concatenate(part) for part in zip(*pieces, strict=True)))


def _ends(size: np.ndarray, margins: tuple[float, ...]) -> np.ndarray:
    """delta in [0, pi/2] where size sin(delta) is each margin, (S, M); pi/2 where it is never."""
    return np.arcsin(np.minimum(np.asarray(margins) / np.maximum(size[:, None], 1e-300), 1.0))


def _between(cuts: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of the row, node and weight of the panels on (low, high) that ``cuts``, (S, M), part; flat, without empty panels."""
    zeros = np.zeros((cuts.shape[0], 1))
    edges = np.concatenate([zeros + low, np.sort(np.clip(cuts, low, high), axis=1), zeros + high], axis=1)
    row, column = np.nonzero(np.diff(edges, axis=1) > 0.0)
    node, weight = panels(edges[row, column], edges[row, column + 1])
    return np.repeat(row, _NODES.size), node.ravel(), weight.ravel()


def _fewer(radius: np.ndarray, mass: np.ndarray) -> Shells:
    """Rings at Chebyshev points of the octaves of rho, with the masses that interpolation between them gives."""
    exponent, place = np.divmod(np.log2(radius), 1.0)
    octaves, index = np.unique(exponent.astype(int), return_inverse=True)
    if octaves.size * _DEGREE >= radius.size:
        return Shells(radius, mass, 2)
    points = np.cos(np.pi * (np.arange(_DEGREE) + 0.5) / _DEGREE)
    basis = chebvander(points, _DEGREE - 1) * np.where(np.arange(_DEGREE) == 0, 1.0, 2.0) / _DEGREE
    moments = np.zeros((octaves.size, _DEGREE))
    np.add.at(moments, index, mass[:, None] * chebvander(2.0 * place - 1.0, _DEGREE - 1))
    return Shells(np.exp2(octaves[:, None] + 0.5 * (points + 1.0)).ravel(), (moments @ basis.T).ravel(), 2)


@lru_cache(maxsize=64)
def shells_of(law: Law) -> Shells:
    """The law as `Shells`, from its density in the plane or that of |x|. OutOfScope where that is not known or cannot be integrated."""
    if isinstance(law, Sphere):
        return Shells(np.array([law.radius]), np.ones(1), law.dim)
    if isinstance(law, Ball):
        top = np.log(law.radius)
        return _mixture(lambda u: np.log(law.dim) + law.dim * (u - top), top - 60.0 / law.dim, top, law.dim)
    if isinstance(law, Radial):
        return _radial(law)
    kind = next((kind for kind in _IN_THE_PLANE if isinstance(law, kind)), None)
    if kind is not None:
        log_density, reach = _IN_THE_PLANE[kind]
        unit = np.log(law.scale)  # type: ignore[attr-defined]
        return _mixture(lambda u: 2.0 * (u - unit) + log_density(law, np.exp(u - unit)), unit - 30.0, unit + reach(law), 2)
    raise OutOfScope(f"is held against a quadrature over |x|, and the density of {law.label()} is not known to it")


def _student(law: Any, u: np.ndarray) -> np.ndarray:
    return -0.5 * (law.df + 2.0) * np.logaddexp(0.0, 2.0 * np.log(u) - np.log(law.df))


_IN_THE_PLANE: dict[type[Law], tuple[Callable[[Any, np.ndarray], np.ndarray], Callable[[Any], float]]] = {
    # log p(rho)/rho in units of the scale, and log rho beyond which less than exp(-40) of the mean lies
    Gaussian: (lambda _, u: -0.5 * u**2, lambda _: 2.3),
    StudentT: (_student, lambda law: min(3.0 + _LIGHT / (law.df - 1.0), 600.0)),
    Laplace: (lambda _, u: np.log(k0e(u)) - u, lambda _: 3.8),
}


def _radial(law: Radial) -> Shells:
    low, high = (float(end) for end in law.radius.support())
    octaves = np.log(2.0) * np.arange(-450.0, 850.0)
    with np.errstate(all="ignore"):
        logs = np.asarray(law.radius.logpdf(np.exp(octaves)), dtype=float) + octaves
    # where the mass below, and the mean beyond, is less than exp(-40), as far as doubles go
    inside = np.isfinite(logs) & (logs > -_LIGHT) | np.isfinite(logs) & (octaves > 0.0) & (logs + octaves > -_LIGHT)
    if not inside.any():
        inside = np.isfinite(logs)
    bottom = np.log(low) if low > 0.0 else octaves[np.flatnonzero(inside)[0]] - 1.0
    top = np.log(high) if np.isfinite(high) else octaves[np.flatnonzero(inside)[-1]] + 1.0

    def log_density(u: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(law.radius.logpdf(np.exp(u)), dtype=float) + u

    return _mixture(log_density, bottom, top, law.dim)


def _mixture(log_density: Callable[[np.ndarray], np.ndarray], low: float, high: float, dim: int) -> Shells:
    """Shells of a density in u = log R on (low, high): panels bisected until mass and mean no longer change."""

    def on(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, weight = panels(left, right)
        mass = np.exp(log_density(u)) * weight
        mass = np.where(np.isfinite(mass), mass, 0.0)
        return u, mass, np.stack([mass.sum(axis=-1), (mass * np.exp(u - high)).sum(axis=-1)], axis=-1)

    edges = np.linspace(low, high, int(np.ceil(high - low)) + 1)
    sums = on(edges[:-1], edges[1:])[2]
    mean = float(sums[:, 1].sum())
    # far out every integrand is a power law times a density that is one, too
    near = int(np.argmax(sums[:, 0])) + 25
    edges = np.concatenate([edges[:near], edges[near:-1:8], edges[-1:]])
    left, right = edges[:-1], edges[1:]
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    u, mass, sums = on(left, right)
    rounds = 0
    while left.size and rounds < _ROUNDS:
        middle = 0.5 * (left + right)
        first, second = on(left, middle), on(middle, right)
        done = (np.abs(first[2] + second[2] - sums) / np.array([1.0, mean])).max(axis=1) < 1e-15
        kept.append((u[done].ravel(), mass[done].ravel()))
        left, right = np.concatenate([left[~done], middle[~done]]), np.concatenate([middle[~done], right[~done]])
        u, mass, sums = (np.concatenate([a[~done], b[~done]]) for a, b in zip(first, second, strict=True))
        rounds += 1
    kept.append((u.ravel(), mass.ravel()))
    u, mass = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    total = float(mass.sum())
    if not abs(total - 1.0) < 1e-9:
        raise OutOfScope(f"is held against a quadrature over |x|, which finds a total mass of {total:.9g}")
    heavy = mass * (1.0 + np.exp(u - high) / mean) > 1e-21
    return Shells(np.exp(u[heavy]), mass[heavy] / total, dim)
