r"""A law seen along one direction: h, A, c - h and -h' as tables over the whole double range.

    h(r) = E[|x_1| / (1 + exp(r|x_1|))],   A(r) = E log(1 + exp(-r|x_1|)),   D(r) = (c - h(r))/r,   c = E|x_1|/2

Built in two stages. First the averages of `kernel.py` at 18 Chebyshev points in each octave of r, as correlations of the
octave weights with the kernel; further than ``NEAR`` octaves from the scale of the law only at whole octaves, where log-log
interpolation is exact to rounding because the functions have reached their power laws. Then the tables of `table.py`.
A single table serves h and D: it holds D below ``split`` (where h is near c) and h above (where h is small), so
neither is ever the difference of nearly equal numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from flowsim.problem import table
from flowsim.problem.kernel import NODES, OCTAVE, octave_basis, point_kernel
from flowsim.problem.marginal import HIGHEST, LOWEST, OctaveWeights

NEAR = 64
"""Octaves on either side of the law's own scale that are sampled at all 18 points."""

_FIRST, _LAST = -1022, 1023
_STENCIL = np.arange(-4, 6)

Kernel = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Profile:
    """h, A, D = (c - h)/r and -h' of one law; the same shapes for every law.

    pull: c = E|x_1|/2.
    split: the r below which ``force`` holds D and from which on it holds h.
    force, aligned_table, curvature_table: tables of shape (table.ROWS, table.DEGREE + 1).
    """

    pull: float
    split: float
    force: np.ndarray
    aligned_table: np.ndarray
    curvature_table: np.ndarray

    def growth(self, r: np.ndarray) -> np.ndarray:
        """h(r); relative error below 1e-13."""
        value = table.evaluate(self.force, r)
        return np.where(r < self.split, self.pull - r * value, value)

    def drag_ratio(self, r: np.ndarray) -> np.ndarray:
        """D(r) = (c - h(r))/r; relative error below 1e-13, finite limit at r = 0 where E|x|^2 is finite."""
        value = table.evaluate(self.force, r)
        above = r >= self.split
        return np.where(above, (self.pull - value) / np.where(above, r, 1.0), value)

    def aligned(self, r: np.ndarray) -> np.ndarray:
        """A(r); relative error below 1e-13."""
        return table.evaluate(self.aligned_table, r)

    def curvature(self, r: np.ndarray) -> np.ndarray:
        """-h'(r) = E[|x_1|^2 s(1-s)], s = 1/(1 + exp(r|x_1|)); relative error below 1e-13."""
        return table.evaluate(self.curvature_table, r)

    def as_kernel(self, z: np.ndarray) -> np.ndarray:
        """(h, c - h, A, -z h')(z): what `build_profile` takes to mix this law over its scale."""
        drag = z * self.drag_ratio(z)
        return np.stack([self.growth(z), drag, self.aligned(z), z * self.curvature(z)])


def _scale_octave(weights: OctaveWeights) -> int:
    """The octave of 1/R at which the bulk of R sits, as the centre of the near zone in r."""
    k = np.arange(LOWEST, HIGHEST + 1)
    size = np.abs(weights.tilted).sum(axis=1)
    with np.errstate(divide="ignore"):
        log_mass = np.log2(size) - np.maximum(k, 0)
    return -int(k[np.argmax(log_mass)])


def _correlate(weights: OctaveWeights, kernel: Kernel, octaves: np.ndarray, mantissas: np.ndarray) -> np.ndarray:
    """(h, c - h, A, -r h') at r = 2^e m for consecutive octaves e and mantissas m: shape (4, octaves, mantissas)."""
    active = weights.active()
    k = np.arange(LOWEST, HIGHEST + 1)[active]
    mass = np.ldexp(weights.tilted[active], -np.maximum(k, 0)[:, None])
    mean = np.ldexp(weights.tilted[active] * OCTAVE, np.minimum(k, 0)[:, None])
    reach = np.clip(np.arange(octaves[0] + k[0], octaves[-1] + k[-1] + 1), -1020, 1020)
    # outside the double range the kernel has long reached its limits, hence the clip
    values = kernel(np.ldexp(mantissas[:, None] * OCTAVE, reach[:, None, None]))
    out = np.zeros((4, octaves.size, mantissas.size))
    for f, measure in enumerate((mean, mean, mass, mean)):
        for a in range(mantissas.size):
            for b in range(NODES):
                out[f, :, a] += np.correlate(values[f, :, a, b], measure[:, b])
    out[1] += 0.5 * weights.mean_beyond
    out[2] += weights.mass_below * np.log(2.0)
    return out


def _continue_power_laws(logs: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """Rows of log2 values at consecutive octaves, continued along their last slope where they underflow or the sums end."""
    out = logs.copy()
    for row in out:
        good = np.flatnonzero((row > -960.0) & (np.abs(octaves) <= 930))
        first, last = good[0], good[-1]
        row[:first] = row[first] + (row[first + 1] - row[first]) * (np.arange(first) - first)
        row[last + 1 :] = row[last] + (row[last] - row[last - 1]) * np.arange(1, row.size - last)
    return out


def _far(logs: np.ndarray, first_octave: int, wanted: np.ndarray) -> np.ndarray:
    """log2 of functions at 2^e ``table.MANTISSAS``, e in wanted, from their log2 at whole octaves: shape (4, wanted, mantissas)."""
    log2m = np.log2(table.MANTISSAS)
    basis = np.ones((log2m.size, _STENCIL.size))
    for i, node in enumerate(_STENCIL):
        for other in np.delete(_STENCIL, i):
            basis[:, i] *= (log2m - other) / (node - other)
    windows = sliding_window_view(logs, _STENCIL.size, axis=1)
    return windows[:, wanted - first_octave + _STENCIL[0]] @ basis.T


def build_profile(weights: OctaveWeights, kernel: Kernel = point_kernel) -> Profile:
    """The profile of x_1 = R X, R with the given octave weights and X with the given kernel.

    ``point_kernel``: X = 1, so R is |x_1| itself. ``Profile.as_kernel`` of the unit sphere: R is |x|.
    """
    centre = _scale_octave(weights)
    near = np.arange(max(centre - NEAR, _FIRST), min(centre + NEAR, _LAST) + 1)
    every = np.arange(_FIRST - 6, _LAST + 7)
    octaves = np.arange(_FIRST, _LAST + 1)
    r = np.ldexp(table.MANTISSAS, octaves[:, None])
    samples = np.empty((4, octaves.size, table.MANTISSAS.size))
    samples[:, near - _FIRST] = _correlate(weights, kernel, near, OCTAVE) @ octave_basis(table.MANTISSAS).T
    with np.errstate(divide="ignore"):
        logs = _continue_power_laws(np.log2(_correlate(weights, kernel, every, np.ones(1))[:, :, 0]), every)
    far = np.setdiff1d(octaves, near)
    log_far = _far(logs, every[0], far)
    with np.errstate(under="ignore"):
        samples[:, far - _FIRST] = np.exp2(log_far)
        growth, drag, aligned, curvature = samples
        # D and -h' divide by r: in logarithms where the quotient's parts may be subnormal
        ratio, bend = drag / r, curvature / r
        log_r = np.log2(r[far - _FIRST])
        ratio[far - _FIRST] = np.exp2(log_far[1] - log_r)
        bend[far - _FIRST] = np.exp2(log_far[3] - log_r)
    below = np.flatnonzero(growth.min(axis=1) > drag.max(axis=1))
    split = int(below[-1]) + 1
    force = np.where(np.arange(octaves.size)[:, None] < split, ratio, growth)
    return Profile(
        pull=0.5 * weights.mean * float(2.0 * kernel(np.array([2.0**400]))[1, 0]),
        split=float(np.ldexp(1.0, split + _FIRST)),
        force=table.fill(force),
        aligned_table=table.fill(aligned),
        curvature_table=table.fill(bend),
    )
