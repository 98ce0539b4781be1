"""Where descent of a two-layer leaky ReLU network turns in the end: a quadratic programme for two vectors, one for each sign of a_j."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from flowsim import arguments
from flowsim.finite.training_set import TrainingSet, training_set_of
from flowsim.samples.max_margin import separator

Array = Float[np.ndarray, "..."]

ROUNDING = 1e-12
"""Of the cosines between w_+ or w_- and the samples: what is nearer to 0 is on both sides of the kink."""


@dataclass(frozen=True, eq=False)
class LeakyLimit:
    """The network f(x) = [m_+ phi(<w_+, x>) - m_- phi(<w_-, x>)]/sqrt(m), phi(z) = max(z, gamma z). Made by `leaky_limit`.

    positive, negative: w_+ and w_-, (d,) each.  margin: the normalised one, 1/|W| with |W|^2 = m_+ |w_+|^2 + m_- |w_-|^2, for the
    smallest constraint is 1.  support: indices of the samples whose constraint is an equality with a multiplier, (k,).
    multipliers: lambda_i >= 0, (n,), of the constraints in min |W|^2/2; 0 off the support.
    residual: of the conditions of optimality on the data themselves, relative: by how much a constraint falls short, one on the support
    differs from 1, or w_+ or w_- from its sum over the support, relative to both together.
    activation: min over i of y_i <w_+, x_i>/(|w_+| |x_i|) and -y_i <w_-, x_i>/(|w_-| |x_i|). Where it is zero or positive, every neuron
    is on the side of every sample that the constraints suppose, and they say y_i f(x_i) >= 1; else they need not.
    slope: gamma.  neurons: (m_+, m_-).

    >>> import flowsim as fs
    >>> from flowsim.finite.limits import leaky_limit
    >>> data = fs.samples.DataSet([[1.0, 2.0], [1.0, -2.0], [-3.0, 0.0]], v=[1.0, 0.0])
    >>> limit = leaky_limit(data, slope=0.5, positive=2, negative=2)
    >>> limit.positive.round(12).tolist(), limit.negative.round(12).tolist(), limit.support.tolist()
    ([0.8, 0.0], [-0.4, 0.0], [0, 1])
    >>> limit.predictor.round(12).tolist(), limit.output(data.x).round(12).tolist(), limit.active
    ([2.4, 0.0], [1.0, 1.0, -2.4], True)
    """

    positive: Float[np.ndarray, "dim"]
    negative: Float[np.ndarray, "dim"]
    margin: float
    support: Int[np.ndarray, "support"]
    multipliers: Float[np.ndarray, "n"]
    residual: float
    activation: float
    slope: float
    neurons: tuple[int, int]

    @cached_property
    def predictor(self) -> Float[np.ndarray, "dim"]:
        """u = m_+ w_+ - m_- w_-, (d,): sign f(x) = sign <u, x> for every x, with no condition on data or vectors but gamma > 0.

        phi is increasing and phi(c z) = c phi(z) for c > 0, so f(x) > 0 says phi(m_+ <w_+, x>) > phi(m_- <w_-, x>), which says
        m_+ <w_+, x> > m_- <w_-, x>; and likewise for = and <. The boundary is the plane <u, x> = 0. f itself is not linear: gamma |<u, x>|
        <= sqrt(m) |f(x)| <= |<u, x>|, with equality on the right where both neurons are active, on the left where neither is.
        """
        return self.neurons[0] * self.positive - self.neurons[1] * self.negative

    @property
    def active(self) -> bool:
        """Whether the constraints are those of the network: ``activation`` is zero or positive, but for rounding."""
        return self.activation >= -ROUNDING

    def output(self, x: Any) -> Array:
        """f(x) itself, with its kinks.

        x: (..., d). Returns (...). ValueError where it has another shape.

        >>> import flowsim as fs
        >>> from flowsim.finite.limits import leaky_limit
        >>> limit = leaky_limit(fs.samples.DataSet([[1.0, 0.0], [-1.0, 0.0]], v=[1.0, 0.0]), 0.1, positive=1, negative=1)
        >>> limit.output([[2.0, 7.0], [-2.0, 0.0]]).round(12).tolist()
        [2.0, -2.0]
        """
        inputs = arguments.reals("x", x)
        if inputs.shape[-1:] != self.positive.shape:
            raise ValueError(f"`x` must have shape (..., {self.positive.size}), but has shape {inputs.shape}")
        plus, minus = (np.maximum(inputs @ w, self.slope * (inputs @ w)) for w in (self.positive, self.negative))
        return np.asarray((self.neurons[0] * plus - self.neurons[1] * minus) / np.sqrt(sum(self.neurons)))


def leaky_limit(data: Any, slope: float, positive: int, negative: int) -> LeakyLimit:
    """min m_+ |w_+|^2 + m_- |w_-|^2 subject to y_i [m_+ z_i^+ <w_+, x_i> - m_- z_i^- <w_-, x_i>]/sqrt(m) >= 1, m = m_+ + m_-.

    z_i^+ = 1 if y_i = 1 else gamma, z_i^- = 1 if y_i = -1 else gamma: the slopes of neurons with a_j = 1/sqrt(m) and -1/sqrt(m) that are
    active on x_i if and only if a_j y_i > 0. In q = (sqrt(m_+) w_+, sqrt(m_-) w_-) it is min |q|^2 with <q, p_i> >= 1 for the points
    p_i = y_i (sqrt(m_+) z_i^+ x_i, -sqrt(m_-) z_i^- x_i)/sqrt(m): their hard-margin separator, by `separator`. Hence
    w_+ = sum_i lambda_i y_i z_i^+ x_i/sqrt(m) and w_- = -sum_i lambda_i y_i z_i^- x_i/sqrt(m), lambda_i >= 0, and only one (w_+, w_-).

    It exists where the samples of each label lie in an open half space through 0, which is less than being separable where gamma < 1: for
    a = m_+ w_+ - gamma m_- w_- and b = gamma m_+ w_+ - m_- w_- may be any vectors, and the constraints are <a, x_i> >= sqrt(m) for
    y_i = 1 and <b, x_i> <= -sqrt(m) for y_i = -1. That descent goes there needs more, see `conditions`; ``active`` of the limit says
    whether its own signs are those that were supposed.

    data: a TrainingSet or DataSet.  slope: gamma, in (0, 1].  positive, negative: m_+ and m_-, numbers of neurons with a_j > 0 and a_j < 0,
    whole, 1 or more.

    Returns a `LeakyLimit`. ValueError where one is not what it must be, and where the constraints cannot hold.

    Source: Hashimoto, Directional convergence, benign overfitting of gradient descent in leaky ReLU two-layer neural networks, 2025
    (arXiv 2505.16204); the half spaces are ours.

    >>> import numpy as np
    >>> from flowsim.finite.limits import leaky_limit
    >>> from flowsim.finite.mixtures import mixture
    >>> data = mixture(20, dim=100, signal=3.0, seed=0)
    >>> limit = leaky_limit(data, slope=0.1, positive=5, negative=3)
    >>> limit.active, bool((data.y * limit.output(data.x)).min().round(9) == 1.0), limit.residual < 1e-10
    (True, True, True)
    """
    training = training_set_of(data)
    gamma, counts = _network(slope, positive, negative)
    slopes = _slopes(training.y, gamma)
    sizes = np.sqrt(np.array(counts, dtype=float) / sum(counts)) * np.array([1.0, -1.0])
    # w_+ and w_- lie in the span of the points: as many coordinates as points are enough
    basis, coordinates = _in_their_span(training.points)
    stacked = np.concatenate([size * z[:, None] * coordinates for size, z in zip(sizes, slopes, strict=True)], axis=1)
    try:
        found = separator(stacked)
    except ValueError as error:
        raise ValueError(f"`data` must have the samples of each label inside a half space for the constraints to hold: {error}") from error
    halves = found.direction.reshape(2, -1) / found.margin / np.sqrt(counts)[:, None]
    plus, minus = halves if basis is None else halves @ basis.T
    multipliers = np.zeros(training.size)
    multipliers[found.support] = found.weights / found.margin**2
    residual = _residual(training, slopes, counts, (plus, minus), multipliers, found.support)
    return LeakyLimit(
        plus, minus, found.margin, found.support, multipliers, residual, _activation(training.points, plus, minus), gamma, counts
    )


@dataclass(frozen=True)
class Conditions:
    """What the data are like, of what the theorems on the limit ask for. Made by `conditions`.

    least_correlation: min over i, k of <y_i x_i, y_k x_k>.
    overlap: o = max over i of sum_{k != i} |<x_i, x_k>|/|x_i|^2; inf where a point is 0.
    spread: max_i |x_i|^2/min_i |x_i|^2; inf where a point is 0.

    >>> from flowsim.finite.limits import conditions
    >>> from flowsim.finite.training_set import TrainingSet
    >>> conditions(TrainingSet([[4.0, 0.0], [0.0, -2.0], [1.0, 3.0]], [1, -1, 1]))
    Conditions(least_correlation=0.0, overlap=1.5, spread=4.0)
    """

    least_correlation: float
    overlap: float
    spread: float

    @property
    def positively_correlated(self) -> bool:
        """Whether all <y_i x_i, y_k x_k> >= 0. Then the limit is active: y_k <w_+, x_k> is a sum of terms that are zero or positive.

        >>> from flowsim.finite.limits import Conditions
        >>> Conditions(0.5, 3.0, 2.0).positively_correlated, Conditions(-0.5, 3.0, 2.0).positively_correlated
        (True, False)
        """
        return self.least_correlation >= 0.0

    def nearly_orthogonal(self, slope: float, positive: int, negative: int) -> bool:
        """Whether spread o (1 + gamma) <= gamma (g - o), g = (min(m_+, m_-) + gamma^2 max(m_+, m_-))/m. Then the limit is active, too.

        Ours, and sufficient only. With g_ik = (m_+ z_i^+ z_k^+ + m_- z_i^- z_k^-)/m, all in (0, 1] and g_ii >= g, the constraint of k is
        y_k sum_i lambda_i g_ik y_i <x_i, x_k> >= 1, an equality where lambda_k is largest: lambda_max |x_k|^2 (g - o) <= 1 there. So the
        terms of others are r = spread o/(g - o) or less for every k, hence lambda_k |x_k|^2 >= 1 - r, and both y_k <w_+, x_k> sqrt(m) and
        -y_k <w_-, x_k> sqrt(m) are at least gamma (1 - r) - r. It is about the limit's signs, not about descent.

        slope, positive, negative: as in `leaky_limit`; ValueError where one is not what it must be.

        >>> from flowsim.finite.limits import Conditions
        >>> Conditions(-0.01, 0.01, 1.1).nearly_orthogonal(0.5, 4, 4), Conditions(-0.01, 0.3, 1.1).nearly_orthogonal(0.5, 4, 4)
        (True, False)
        """
        gamma, counts = _network(slope, positive, negative)
        least = (min(counts) + gamma**2 * max(counts)) / sum(counts)
        return bool(self.overlap < least and self.spread * self.overlap * (1.0 + gamma) <= gamma * (least - self.overlap))


def conditions(data: Any) -> Conditions:
    """The correlations and overlaps of the points, from which two sufficient conditions for the signs that `leaky_limit` supposes.

    data: a TrainingSet or DataSet; ValueError where it is neither.

    >>> from flowsim.finite.limits import conditions
    >>> from flowsim.finite.mixtures import mixture
    >>> strong, weak = conditions(mixture(10, dim=20, signal=20.0)), conditions(mixture(10, dim=20, signal=0.5))
    >>> strong.positively_correlated, weak.positively_correlated
    (True, False)
    """
    points = training_set_of(data).points
    gram = points @ points.T
    squares = gram.diagonal().copy()
    if not squares.min() > 0.0:
        return Conditions(float(gram.min()), np.inf, np.inf)
    others = np.abs(gram).sum(axis=1) - squares
    # a rest of rounding is none
    others = np.maximum(others, 0.0)
    return Conditions(float(gram.min()), float((others / squares).max()), float(squares.max() / squares.min()))


def _network(slope: Any, positive: Any, negative: Any) -> tuple[float, tuple[int, int]]:
    gamma = arguments.real("slope", slope, low=0.0, high=1.0)
    if gamma == 0.0:
        raise ValueError("`slope` must be in (0, 1], but is 0: a ReLU's limit is another")
    plus, minus = (int(arguments.whole(name, count, low=1)) for name, count in (("positive", positive), ("negative", negative)))
    return gamma, (plus, minus)


def _slopes(y: np.ndarray, gamma: float) -> np.ndarray:
    """z^+ and z^-, (2, n)."""
    return np.where(np.stack([y > 0.0, y < 0.0]), 1.0, gamma)


def _in_their_span(points: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """An orthonormal basis of the points' span, (d, n), and their coordinates in it, (n, n); or no basis, where n >= d."""
    if points.shape[0] >= points.shape[1]:
        return None, points
    basis, triangle = np.linalg.qr(points.T)
    return basis, np.ascontiguousarray(triangle.T)


def _residual(
    data: TrainingSet,
    slopes: np.ndarray,
    counts: tuple[int, int],
    pair: tuple[np.ndarray, np.ndarray],
    multipliers: np.ndarray,
    support: np.ndarray,
) -> float:
    root, misses = np.sqrt(sum(counts)), []
    size = np.linalg.norm(pair)
    constraints = np.zeros(data.size)
    for sign, count, z, w in zip((1.0, -1.0), counts, slopes, pair, strict=True):
        constraints += sign * count * z * (data.points @ w) / root
        misses.append(np.linalg.norm(sign * (multipliers * z) @ data.points / root - w) / size)
    return float(max(1.0 - constraints.min(), np.abs(constraints[support] - 1.0).max(), *misses))


def _activation(points: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> float:
    sizes = np.linalg.norm(points, axis=1)
    # one of the two may be 0, and is on both sides of all samples then
    cosines = [sign * (points @ w) / (sizes * (np.linalg.norm(w) or 1.0)) for sign, w in ((1.0, plus), (-1.0, minus))]
    return float(np.min(cosines))
