r"""A law seen along one direction: h, A, c - h and -h' as tables over the whole double range.

    h(r) = E[|x_1| / (1 + exp(r|x_1|))],   A(r) = E log(1 + exp(-r|x_1|)),   D(r) = (c - h(r))/r,   c = E|x_1|/2

Built in two stages. First the averages of `kernel.py` at all whole octaves of r, as correlations of the octave weights with the kernel,
and at 18 Chebyshev points within each octave where they are no power laws; elsewhere log-log interpolation between whole octaves is exact
to rounding. Then the tables of `table.py`.
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

COMMON = 42
"""Octaves of r on either side of 1 that are always sampled at all 18 points: 1e-12 to 1e12, where logarithms would cost a digit."""

MARGIN = 8
"""Octaves on either side of those where the functions are no power laws that are sampled at all 18 points too."""

_FIRST, _LAST = -1022, 1023
_STENCIL = np.arange(-4, 6)
_SUBNORMAL = -960.0
"""log2 below which sums begin to lose digits to subnormal terms."""
_COMPLETE = HIGHEST - 70
"""Octaves of r up to which the sums hold every octave of R that matters, for tails as slow as R^-1.5."""

Kernel = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Profile:
    """h, A, D = (c - h)/r and -h' of one law, over the whole double range; the same shapes for every law.

    pull: c = E|x_1|/2.
    split: the r below which ``force`` holds D and from which on it holds h.
    force, aligned_table, curvature_table: tables of shape (table.ROWS, table.DEGREE + 1).

    Made by a law, as its ``profile``; `PopulationRisk` gives the same functions and checks its arguments.

    >>> import flowsim as fs
    >>> profile = fs.Laplace(dim=2).profile
    >>> f"{float(profile.growth(1e-9)):.9f} {float(profile.growth(1e9)):.6e} {float(profile.growth(1e150)):.6e}"
    '0.500000000 8.224670e-19 8.224670e-301'
    """

    pull: float
    split: float
    force: np.ndarray
    aligned_table: np.ndarray
    curvature_table: np.ndarray

    def growth(self, r: np.ndarray | float) -> np.ndarray:
        """h(r) = E[|x_1| / (1 + exp(r|x_1|))]; relative error below 1e-13.

        r: zero or positive, any shape, which is the result's. Not checked here, nor in the functions below.

        >>> import flowsim as fs
        >>> profile = fs.Laplace(dim=2).profile
        >>> round(float(profile.growth(1.0)), 12)
        0.177532966576
        """
        value = table.evaluate(self.force, r)
        return np.asarray(np.where(r < self.split, self.pull - r * value, value))

    def drag_ratio(self, r: np.ndarray | float) -> np.ndarray:
        """D(r) = (c - h(r))/r; relative error below 1e-13, finite limit at r = 0 where E|x|^2 is finite.

        r: as in `growth`.

        >>> import flowsim as fs
        >>> profile = fs.Laplace(dim=2).profile
        >>> round(float(profile.drag_ratio(0.0)), 12)
        0.5
        """
        value = table.evaluate(self.force, r)
        above = r >= self.split
        return np.asarray(np.where(above, (self.pull - value) / np.where(above, r, 1.0), value))

    def aligned(self, r: np.ndarray | float) -> np.ndarray:
        """A(r) = E log(1 + exp(-r|x_1|)); relative error below 1e-13.

        r: as in `growth`.

        >>> import flowsim as fs
        >>> float(fs.Laplace(dim=2).profile.aligned(0.0).round(12))
        0.69314718056
        """
        return table.evaluate(self.aligned_table, r)

    def curvature(self, r: np.ndarray | float) -> np.ndarray:
        """-h'(r) = E[|x_1|^2 s(1-s)], s = 1/(1 + exp(r|x_1|)); relative error below 1e-13.

        r: as in `growth`.

        >>> import flowsim as fs
        >>> float(fs.Laplace(dim=2).profile.curvature(0.0).round(12))
        0.5
        """
        return table.evaluate(self.curvature_table, r)

    def as_kernel(self, z: np.ndarray) -> np.ndarray:
        """(h, c - h, A, -z h')(z), (4, ...): what `build_profile` takes to mix this law over its scale.

        z: zero or positive, any shape.

        >>> import numpy as np, flowsim as fs
        >>> fs.Laplace(dim=2).profile.as_kernel(np.array(0.0)).round(12).tolist()
        [0.5, 0.0, 0.69314718056, 0.0]
        """
        drag = z * self.drag_ratio(z)
        return np.stack([self.growth(z), drag, self.aligned(z), z * self.curvature(z)])


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
    """Rows of log2 F at octaves e, continued as F = C 2^(b e) |e|^g where they underflow or the sums end.

    b and g from the slopes at the last good octave and at half of it; g is 0 for a power law, 1 where a logarithm stands.
    """
    out = logs.copy()
    for row in out:
        good = np.flatnonzero((row > _SUBNORMAL) & (np.abs(octaves) <= _COMPLETE))
        for edge, inward in ((int(good[-1]), -1), (int(good[0]), 1)):
            rest = np.arange(edge + 1, row.size) if inward < 0 else np.arange(edge)
            e1 = int(octaves[edge])
            half = int(np.searchsorted(octaves, e1 // 2)) if abs(e1) > 300 else edge + 20 * inward
            e2 = int(octaves[half])
            first, second = (float(row[k] - row[k + inward]) * -inward for k in (edge, half))
            # the difference quotient of log2|e| over one octave
            log_first, log_second = (float(np.log2(abs(e)) - np.log2(abs(e + inward))) * -inward for e in (e1, e2))
            g = (first - second) / (log_first - log_second) if abs(e1) > 300 else 0.0
            g = g if abs(g) > 1e-3 else 0.0
            b = first - g * log_first
            row[rest] = row[edge] + b * (octaves[rest] - e1) + g * (np.log2(np.abs(octaves[rest])) - np.log2(abs(e1)))
    return out


def _bending(logs: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """The octaves around which some row is no power law: there log-log interpolation from whole octaves would show.

    Each value is held against interpolation from its neighbours at twice the spacing, which errs far more than at one.
    """
    reach = 2 * np.array([-4, -3, -2, -1, 1, 2, 3, 4])
    basis = _lagrange(reach, np.zeros(1))[0]
    window = sliding_window_view(logs, 17, axis=1)[:, :, reach + 8]
    miss = np.abs(window @ basis - logs[:, 8:-8]).max(axis=0)
    centre = octaves[8:-8]
    bent = centre[miss > 1e-12 + 4e-15 * np.abs(logs[:, 8:-8]).max(axis=0)]
    return bent if bent.size else np.array([0])


def _lagrange(nodes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Lagrange basis polynomials on ``nodes`` at ``points``: shape (points, nodes)."""
    basis = np.ones((points.size, nodes.size))
    for i, node in enumerate(nodes):
        for other in np.delete(nodes, i):
            basis[:, i] *= (points - other) / (node - other)
    return basis


def _far(logs: np.ndarray, first_octave: int, wanted: np.ndarray) -> np.ndarray:
    """log2 of functions at 2^e ``table.MANTISSAS``, e in wanted, from their log2 at whole octaves: shape (4, wanted, mantissas)."""
    basis = _lagrange(_STENCIL, np.log2(table.MANTISSAS))
    windows = sliding_window_view(logs, _STENCIL.size, axis=1)
    return windows[:, wanted - first_octave + _STENCIL[0]] @ basis.T


def build_profile(weights: OctaveWeights, kernel: Kernel = point_kernel) -> Profile:
    """The profile of x_1 = R X, R with the given octave weights and X with the given kernel.

    ``point_kernel``: X = 1, so R is |x_1| itself. ``Profile.as_kernel`` of the unit sphere: R is |x|.
    """
    every = np.arange(_FIRST - 16, _LAST + 17)
    octaves = np.arange(_FIRST, _LAST + 1)
    r = np.ldexp(table.MANTISSAS, octaves[:, None])
    with np.errstate(divide="ignore"):
        logs = _continue_power_laws(np.log2(_correlate(weights, kernel, every, np.ones(1))[:, :, 0]), every)
    bent = _bending(logs, every)
    near = octaves[np.isin(octaves, bent[:, None] + np.arange(-MARGIN, MARGIN + 1)) | (np.abs(octaves) <= COMMON)]
    samples = np.empty((4, octaves.size, table.MANTISSAS.size))
    for run in np.split(near, np.flatnonzero(np.diff(near) > 1) + 1):
        samples[:, run - _FIRST] = _correlate(weights, kernel, run, OCTAVE) @ octave_basis(table.MANTISSAS).T
    far = np.setdiff1d(octaves, near)
    log_far = _far(logs, int(every[0]), far)
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
        # c of X itself is the kernel's c - h at large argument
        pull=weights.mean * float(kernel(np.array([2.0**400]))[1, 0]),
        split=float(np.ldexp(1.0, split + _FIRST)),
        force=table.fill(force),
        aligned_table=table.fill(aligned),
        curvature_table=table.fill(bend),
    )
