"""Test error of a two-layer leaky ReLU network on a mixture, exact along one direction and drawn across it."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from flowsim import arguments
from flowsim.finite.neurons import Array

DRAWS = 512
"""Lines on which the error is exact. Where the network's boundary is a plane they all say the same, and one is enough."""

ROUNDING = 1e-13
"""Of the sum of all |w_j|^2: less than that across the network's normal is none."""


class NeuronError(NamedTuple):
    """A test error, and how well it is known.

    error: P(y f(x) < 0).  standard_error: from the spread over lines: 0 where the boundary is a plane and the noise Gaussian.

    >>> import numpy as np
    >>> from flowsim.finite.neuron_error import neuron_test_error
    >>> signs = np.array([1.0, -1.0]) / np.sqrt(2.0)
    >>> found = neuron_test_error([[1.0, 0.0], [-0.5, 0.0]], signs, slope=0.5, signal=2.0)
    >>> round(found.error, 6), found.standard_error < 1e-15
    (0.02275, True)
    """

    error: float
    standard_error: float


def neuron_test_error(
    weights: Any, signs: Any, slope: float, signal: float, noise: str = "gaussian", df: float | None = None, seed: int = 0
) -> NeuronError:
    """P(y f(x) < 0), x = y mu + z, f(x) = sum_j a_j phi(<w_j, x>), mu = signal e_1, for spherical noise z.

    f sees x through m numbers <w_j, x>. Along u = sum_j a_j w_j, the network's own normal, z is Gaussian given the rest of it, and f is
    linear between the points where some <w_j, x> changes its sign: the probability along such a line is a sum of Phi. What is across u,
    and of Student's noise the size that all coordinates share, is drawn: `DRAWS` lines. The error is smooth, however small it is.

    weights: w_j, (m, d).  signs: a_j, (m,).  slope: gamma in (0, 1].  signal: |mu|, zero or positive.  noise: "gaussian" or "student", as
    in `mixture`.  df: of "student".  seed: of the lines; whole, zero or more.

    ValueError where one is not what it must be.

    >>> import numpy as np
    >>> from flowsim.finite.mixtures import mixture
    >>> from flowsim.finite.neuron_error import neuron_test_error
    >>> weights = np.array([[1.0, 0.3], [0.5, -0.9], [-1.0, 0.2], [-0.2, -0.4]])
    >>> signs = np.array([0.5, 0.5, -0.5, -0.5])
    >>> found = neuron_test_error(weights, signs, slope=0.1, signal=1.0)
    >>> data = mixture(200_000, dim=2, signal=1.0, seed=1)
    >>> h = data.x @ weights.T
    >>> drawn = float((data.y * (np.maximum(h, 0.1 * h) @ signs) < 0.0).mean())
    >>> bool(abs(found.error - drawn) < 5 * np.hypot(found.standard_error, np.sqrt(drawn / data.size)))
    True
    """
    w, a = arguments.reals("weights", weights), arguments.reals("signs", signs)
    if w.ndim != 2:
        raise ValueError(f"`weights` must have shape (neurons, dim), but has shape {w.shape}")
    if a.shape != w.shape[:1]:
        raise ValueError(f"`signs` must have shape ({len(w)},), but has shape {a.shape}")
    gamma, mu = arguments.real("slope", slope, low=0.0, high=1.0), arguments.real("signal", signal, low=0.0)
    kind = arguments.one_of("noise", noise, ("gaussian", "student"))
    tail = arguments.real("df", df, low=2.0, strict=True) if kind == "student" else None
    return error_on_lines(w @ w.T, mu * w[:, 0], a, gamma, tail, int(arguments.whole("seed", seed, low=0)))


def error_on_lines(gram: Array, means: Array, signs: Array, slope: float, df: float | None, seed: int) -> NeuronError:
    """By the law of h_j = <w_j, y x> alone. gram: <w_j, w_k>, (m, m).  means: <w_j, mu>, (m,).  df: None of Gaussian noise."""
    generator = np.random.default_rng(seed)
    size = float(np.sqrt(signs @ gram @ signs))
    along = gram @ signs / size if size > 0.0 else np.zeros(signs.size)
    values, vectors = np.linalg.eigh(gram - np.outer(along, along))
    spread = np.sqrt(np.where(values > ROUNDING * np.trace(gram), values, 0.0))
    across = generator.standard_normal((DRAWS, signs.size)) @ (vectors * spread).T
    # h/g = <w, mu>/g + Gaussian, g the size that Student's noise shares
    shared = np.ones(DRAWS) if df is None else np.sqrt((df - 2.0) / generator.chisquare(df, DRAWS))
    h = means / shared[:, None] + across
    # y f(y v) is sum_j a_j phi(h_j) for y = 1, and sum_j a_j min(h_j, gamma h_j) for y = -1
    each = 0.5 * (_below(h, along, signs, 1.0, slope) + _below(h, along, signs, slope, 1.0))
    return NeuronError(float(each.mean()), float(each.std() / np.sqrt(DRAWS)))


def _below(h: Array, along: Array, signs: Array, above_zero: float, below_zero: float) -> Array:
    """P(sum_j a_j psi(h_j + b_j s) < 0) over s ~ N(0, 1), psi of slope ``above_zero`` or ``below_zero``: (k, m) and (m,) -> (k,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = np.sort(np.where(along != 0.0, -h / along, 0.0), axis=1)
    ends = np.full((len(h), 1), np.inf)
    low, high = np.hstack([-ends, kinks]), np.hstack([kinks, ends])
    middle = np.hstack([kinks[:, :1] - 1.0, 0.5 * (kinks[:, 1:] + kinks[:, :-1]), kinks[:, -1:] + 1.0])
    slopes = signs * np.where(h[:, None, :] + middle[:, :, None] * along > 0.0, above_zero, below_zero)
    constant, linear = (slopes * h[:, None, :]).sum(axis=2), slopes @ along
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.where(linear != 0.0, -constant / linear, np.where(constant < 0.0, np.inf, -np.inf))
    low = np.where(linear < 0.0, np.maximum(low, root), low)
    high = np.where(linear < 0.0, high, np.minimum(high, root))
    # from the nearer tail: no small probability is the difference of two near 1
    inside = np.where(low > 0.0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    return np.where(high > low, inside, 0.0).sum(axis=1)
