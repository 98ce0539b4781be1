"""The hard-margin separator of a finite sample, to which its logistic gradient flow turns in the end (Soudry et al. 2018)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import nnls

from flowsim import arguments
from flowsim.samples.dataset import DataSet

ACCURACY = 1e-10
"""What the conditions of optimality may be missed by, relative to the margin; or by `ROUNDING` |x|/margin, where that is more."""

ROUNDING = 2e-15
"""Of <u, x_i>, relative to |x_i|, with room for a few operations."""

ROUNDS = 10_000
"""Working sets; some ten are enough, and no set is seen twice but by rounding."""

THINNEST = 1e-12
"""Least margin, relative to the largest |x_i|, that is told from none: rounding of <u, x_i> is 1e-16 of |x_i|."""


@dataclass(frozen=True, eq=False)
class MaxMargin:
    """The direction u, |u| = 1, with the largest margin min_i y_i <u, x_i>. Made by `max_margin` and `separator`.

    direction: u, (d,).  margin: the largest one.  support: indices of the samples that hold it, (k,).
    residual: of the conditions of optimality, relative: by how much the margin on other samples falls short, on the support differs, or u
    is not a sum of the support's y_i x_i with positive weights.
    weights: of the support in the point of the hull nearest to 0: margin u = sum_i weights_i y_i x_i, positive, of sum 1, (k,).

    >>> import flowsim as fs
    >>> found = fs.samples.max_margin(fs.samples.DataSet([[1.0, 2.0], [1.0, -2.0], [3.0, 0.0]], v=[1.0, 0.0]))
    >>> abs(found.direction).round(12).tolist(), round(found.margin, 12), found.support.tolist(), found.residual < 1e-10
    ([1.0, 0.0], 1.0, [0, 1], True)
    >>> found.weights.round(12).tolist()
    [0.5, 0.5]
    """

    direction: Float[np.ndarray, "dim"]
    margin: float
    support: Int[np.ndarray, "support"]
    residual: float
    weights: Float[np.ndarray, "support"]


def max_margin(data: Any) -> MaxMargin:
    """u = p/|p| with p the point nearest to 0 in the hull of the y_i x_i; the margin is |p|.

    The dual, least |u|^2 with y_i <u, x_i> >= 1, by non-negative least squares (Lawson, Hanson 1974, chapter 23) on a working set of
    samples, which grows by those that come out below the margin until there are none; then once more with equality on the support.

    data: a DataSet, or what has ``.points``, y_i x_i, (n, d) with d 1 or more. Returns a `MaxMargin`, exact to 1e-10 of the margin where
    this is above 1e-5 of the largest |x_i|, and to rounding below. ValueError where no direction separates its labels.

    >>> import numpy as np, flowsim as fs
    >>> data = fs.samples.draw(fs.Gaussian(dim=2), n=200, seed=3)
    >>> found = fs.samples.max_margin(data)
    >>> found.margin >= data.margin, bool(np.isclose((data.points @ found.direction).min(), found.margin, rtol=1e-10))
    (True, True)
    """
    points = getattr(data, "points", None)
    if points is None:
        raise ValueError(f"`data` must be a DataSet, such as flowsim.samples.draw(law, n=1000), or have `.points`, but is {data!r}")
    return _found(points, data.v if isinstance(data, DataSet) else None, "data")


def separator(points: Any, guess: Any = None) -> MaxMargin:
    """The u, |u| = 1, of the largest min_i <u, p_i>: `max_margin` of points whose labels are in them, p_i = y_i x_i.

    points: (n, d), n and d 1 or more.  guess: (d,), a direction near u, which saves time and changes nothing else; default the mean point.
    Returns a `MaxMargin`. ValueError where one is not what it must be, and where no direction has a positive margin.

    >>> from flowsim.samples.max_margin import separator
    >>> found = separator([[3.0, 4.0], [30.0, 45.0]])
    >>> found.direction.round(12).tolist(), round(found.margin, 12), found.support.tolist()
    ([0.6, 0.8], 5.0, [0])
    """
    return _found(points, guess, "points")


def _found(points: Any, guess: Any, name: str) -> MaxMargin:
    """The separator of points that a refusal calls ``name``."""
    points = arguments.reals(name, points)
    if points.ndim != 2:
        raise ValueError(f"`{name}` must be points of shape (n, d), but has shape {points.shape}")
    largest = float(np.linalg.norm(points, axis=1).max())
    if not largest > 0.0:
        raise _not_separable(name)
    points = points / largest
    direction = points.mean(axis=0) if guess is None else arguments.reals("guess", guess)
    if direction.shape != points.shape[1:]:
        raise ValueError(f"`guess` must have shape ({points.shape[1]},), but has shape {direction.shape}")
    u, support, weights = _separator(points, points @ direction, name)
    margin, values = 1.0 / float(np.linalg.norm(u)), points @ u
    dual = float(np.linalg.norm(weights @ points[support] - u) * margin)
    residual = float(max(1.0 - values.min(), np.abs(values[support] - 1.0).max(), dual))
    if residual > _allowed(margin):
        raise ValueError(
            f"`{name}` must be separable well enough for its separator to be found to {_allowed(margin):.1e}, but it was to {residual:.1e}"
        )
    return MaxMargin(u * margin, margin * largest, support, residual, weights * margin**2)


def _allowed(margin: float) -> float:
    """What the conditions of optimality may be missed by, where the largest |x_i| is 1."""
    return max(ACCURACY, ROUNDING / margin)


def _separator(points: np.ndarray, guess: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, the indices of its support, and their multipliers, on a working set that begins with the least of ``guess``, (n,)."""
    more = 4 * points.shape[1] + 8
    # a good guess saves time; the separator is the same from any
    work = np.argsort(guess)[:more]
    for _ in range(ROUNDS):
        u, weights = _nearest(points[work], name)
        values = points @ u
        low = np.flatnonzero(values < 1.0 - 0.1 * _allowed(1.0 / float(np.linalg.norm(u))))
        fresh = np.setdiff1d(low, work)
        held = weights > 0.0
        # |u| grows with every sample that comes in
        if fresh.size == 0:
            order = np.argsort(work[held])
            return u, work[held][order], weights[held][order]
        work = np.concatenate([work[held], fresh[np.argsort(values[fresh])[:more]]])
    raise ValueError(f"`{name}` must be separable well enough for its separator to be found in {ROUNDS} working sets, but it was not")


def _not_separable(name: str) -> ValueError:
    return ValueError(f"`{name}` must be separable by a direction, but no direction has a positive margin on all its labels")


def _nearest(points: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The shortest u with <u, p_i> >= 1, and its multipliers: u = sum_i alpha_i p_i, alpha >= 0."""
    scale = 1.0
    for _ in range(60):
        # |scale u| near 1 is where the residual tells u best
        rows = np.vstack([points.T / scale, np.ones(len(points))])
        alpha, _ = nnls(rows, np.append(np.zeros(points.shape[1]), 1.0), maxiter=30 * len(points) + 100)
        residual = np.append(np.zeros(points.shape[1]), 1.0) - rows @ alpha
        # of points that are opposite, the sum may be 0 to the last bit
        if residual[-1] > 1e-14 and residual[:-1].any():
            found = 1.0 / float(np.linalg.norm(residual[:-1] / (residual[-1] * scale)))
            if 0.5 < found / scale < 2.0:
                return _polished(points, alpha)
            scale = found
        else:
            scale *= 1e-3
        if scale < THINNEST:
            break
    raise _not_separable(name)


def _polished(points: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """With equality on the support: u = P^+ 1, a sum of its rows with multipliers that are positive again, but for rounding."""
    held = alpha > 0.0
    u = np.linalg.lstsq(points[held], np.ones(int(held.sum())), rcond=1e-13)[0]
    out = np.zeros(len(points))
    out[held] = np.maximum(np.linalg.lstsq(points[held].T, u, rcond=1e-13)[0], 0.0)
    return u, out
