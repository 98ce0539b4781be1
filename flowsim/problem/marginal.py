r"""Laws as weights on octaves: sum over k, b of W[k, b] G(2^k OCTAVE[b]) = E G(R) for G analytic in a strip of log R.

A log-density on (0, inf) is split at the powers of two. On each octave the rule is interpolatory,
W[k, b] = integral of p(R) L_b(R) dR with L_b the Lagrange basis of `kernel.OCTAVE`; the integrals are done by
Gauss-Legendre in log R, bisected wherever the two halves disagree with the whole (kinks, jumps, singular ends).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flowsim.problem.kernel import NODES, OCTAVE, octave_basis

LOWEST, HIGHEST = -1000, 1000
"""Octaves that are summed; what lies beyond is closed by its power law."""

LogDensity = Callable[[np.ndarray], np.ndarray]

_OCTAVES = np.arange(LOWEST, HIGHEST + 1)
_TILT = np.maximum(_OCTAVES, 0)
_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(24)
_BISECTIONS = 60
_MOST_PANELS = 50_000


@dataclass(frozen=True)
class OctaveWeights:
    """E G(R) as a sum over octaves k = LOWEST .. HIGHEST.

    tilted: weights times 2^max(k, 0), shape (octaves, NODES); so neither a power law at 0 nor one at infinity underflows.
    mass_below: P(R < 2^LOWEST).
    mean_beyond: E[R; R > 2^(HIGHEST + 1)].
    """

    tilted: np.ndarray
    mass_below: float
    mean_beyond: float

    @property
    def mass(self) -> float:
        return float(np.ldexp(self.tilted.sum(axis=1), -_TILT).sum() + self.mass_below)

    @property
    def mean(self) -> float:
        return float(np.ldexp(self.tilted @ OCTAVE, _OCTAVES - _TILT).sum() + self.mean_beyond)

    @property
    def second_moment(self) -> float:
        """E R^2; inf where it diverges."""
        terms = np.ldexp(self.tilted @ OCTAVE**2, np.minimum(2 * _OCTAVES - _TILT, 1000))
        return float(terms.sum() + geometric_rest(terms, float(terms.sum()))) if np.isfinite(terms).all() else np.inf

    def normalised(self) -> "OctaveWeights":
        mass = self.mass
        return OctaveWeights(self.tilted / mass, self.mass_below / mass, self.mean_beyond / mass)

    def active(self) -> slice:
        """The octaves k that matter to some average at some r: within 2^-62 of the rest where they count most.

        At R = 2^k that is in the mean beside everything; in E[R^2; R < 1/r], beside smaller R, at 1/r = 2^k; and in
        E[1/R; R > 1/r], beside larger R, at 1/r = 2^k.
        """
        with np.errstate(divide="ignore"):
            log_mass = np.log2(np.abs(self.tilted).sum(axis=1)) - _TILT
        square, inverse = log_mass + 2 * _OCTAVES, log_mass - _OCTAVES
        keep = square > np.maximum.accumulate(square) - 62
        keep &= inverse > np.maximum.accumulate(inverse[::-1])[::-1] - 62
        keep |= log_mass + _OCTAVES > (log_mass + _OCTAVES).max() - 62
        live = np.flatnonzero(keep)
        return slice(int(live[0]), int(live[-1]) + 1)


def _tolerance(scale: np.ndarray) -> np.ndarray:
    """What whole and halves of an octave may differ by: the logarithms summed in `_panels` round to their size times eps."""
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = np.abs(_OCTAVES) + np.maximum(-np.log(scale), 0.0)
        # masses near the end of the double range are subnormal, hence rough, and matter to nothing
        return np.where(scale < 1e-280, np.inf, scale * (2e-15 + 1e-15 * largest))


def _panels(log_density: LogDensity, octave: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Tilted interpolatory weights of the panels 2^octave [2^left, 2^right], 0 <= left < right <= 1."""
    half = 0.5 * (right - left)
    m = np.exp2(0.5 * (left + right)[:, None] + half[:, None] * _GAUSS)
    points = np.ldexp(m, octave[:, None])
    with np.errstate(all="ignore"):
        log_mass = log_density(points) + np.log(points) + (np.log(2.0) * np.maximum(octave, 0))[:, None]
        mass = np.exp(log_mass) * (half[:, None] * np.log(2.0)) * _GAUSS_WEIGHTS
    mass = np.where(np.isfinite(mass), mass, 0.0)
    return np.einsum("pg,pgb->pb", mass, octave_basis(m), optimize=True)


def _adaptive(log_density: LogDensity, support: tuple[float, float]) -> np.ndarray:
    weights = np.zeros((_OCTAVES.size, NODES))
    with np.errstate(divide="ignore"):
        left = np.clip(np.log2(support[0]) - _OCTAVES, 0.0, 1.0)
        right = np.clip(np.log2(support[1]) - _OCTAVES, 0.0, 1.0)
    live = right > left
    octave, left, right = _OCTAVES[live], left[live], right[live]
    coarse = _panels(log_density, octave, left, right)
    scale = np.zeros(_OCTAVES.size)
    scale[octave - LOWEST] = np.abs(coarse).sum(axis=1)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (left + right)
        first = _panels(log_density, octave, left, middle)
        second = _panels(log_density, octave, middle, right)
        fine = first + second
        np.maximum.at(scale, octave - LOWEST, np.abs(fine).sum(axis=1))
        done = np.abs(fine - coarse).max(axis=1) <= _tolerance(scale)[octave - LOWEST]
        np.add.at(weights, octave[done] - LOWEST, fine[done])
        if done.all():
            return weights
        todo = ~done
        octave = np.concatenate([octave[todo], octave[todo]])
        coarse = np.concatenate([first[todo], second[todo]])
        left, right = (
            np.concatenate([left[todo], middle[todo]]),
            np.concatenate([middle[todo], right[todo]]),
        )
        if octave.size > _MOST_PANELS:
            raise ValueError(f"`radius` has a density too rough to integrate: over {_MOST_PANELS} pieces in an octave-wise bisection")
    np.add.at(weights, octave - LOWEST, coarse)
    return weights


def geometric_rest(terms: np.ndarray, total: float) -> float:
    """Sum of the terms that would follow the last one if they go on in the same ratio; inf where they do not fall."""
    last, previous = float(terms[-1]), float(terms[-2])
    if last <= 1e-18 * total:
        return 0.0
    ratio = last / previous
    return last * ratio / (1.0 - ratio) if ratio < 1.0 - 1e-9 else np.inf


def weights_of_density(log_density: LogDensity, support: tuple[float, float] = (0.0, np.inf)) -> OctaveWeights:
    """Octave weights of a log-density on its support, not normalised; octaves that hold an end are cut there.

    A tail so heavy that the mean diverges shows as ``mean_beyond = inf``.
    """
    tilted = _adaptive(log_density, support)
    masses = np.ldexp(tilted.sum(axis=1), -_TILT)
    means = np.ldexp(tilted @ OCTAVE, _OCTAVES - _TILT)
    below = geometric_rest(masses[:2][::-1], masses.sum()) if support[0] == 0.0 else 0.0
    beyond = geometric_rest(means, means.sum()) if np.isinf(support[1]) else 0.0
    return OctaveWeights(tilted, below, beyond)


def continue_power_tail(log_density: LogDensity) -> LogDensity:
    """The log-density, continued as a power law in R from where exp of it would underflow (many are written as log(pdf))."""
    octaves = np.arange(0, HIGHEST + 1)
    with np.errstate(all="ignore"):
        values = np.asarray(log_density(np.ldexp(1.0, octaves)), dtype=float)
    good = np.flatnonzero(values > -640.0)
    if good.size < 60 or good[-1] == octaves[-1]:
        return log_density
    edge = int(good[-1])
    slope = (values[edge] - values[edge - 20]) / (20.0 * np.log(2.0))
    if slope < -50.0:
        return log_density

    def continued(r: np.ndarray) -> np.ndarray:
        beyond = r > np.ldexp(1.0, edge)
        return np.where(beyond, values[edge] + slope * np.log(np.ldexp(r, -edge)), log_density(np.where(beyond, 1.0, r)))

    return continued


def weights_of_points(points: np.ndarray, mass: np.ndarray) -> OctaveWeights:
    """Octave weights of point masses at points > 0."""
    mantissa, exponent = np.frexp(points)
    tilted = np.zeros((_OCTAVES.size, NODES))
    octave = exponent - 1
    scaled = np.ldexp(np.asarray(mass, dtype=float), np.maximum(octave, 0))
    np.add.at(tilted, octave - LOWEST, scaled[:, None] * octave_basis(2.0 * mantissa))
    return OctaveWeights(tilted, 0.0, 0.0)
