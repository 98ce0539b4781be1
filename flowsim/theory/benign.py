r"""Benign overfitting of a mixture x = y mu + z, E z z^T = I in d dimensions, by a network that fits all of its n labels.

Let the samples be nearly orthogonal, |z_i|^2 ~ d, so that every one is a support vector, and w = sum_i lambda_i y_i x_i the linear
predictor of the network's limit, with slope gamma and as many neurons of either sign. By symmetry there are two multipliers, lambda_c of
the samples whose label is clean and lambda_f of the share eps that was flipped, and every margin is 1:

    1 = s d lambda_c + g |mu|^2 A,   1 = s d lambda_f - g |mu|^2 A,   A = n [(1 - eps) lambda_c - eps lambda_f],

s = (1 + gamma^2)/2 for a sample on itself, g = (1 + gamma)^2/4 the mean over both classes. With e = 1 - 2 eps, rho = n |mu|^2/d and
rho' = rho g/s this gives g |mu|^2 A = e rho'/(1 + rho'), and of w the part A mu along mu and n [(1 - eps) lambda_c^2 + eps lambda_f^2] d
for the square of the part across it:

    cos^2(w, mu) = R/(1 + R),   R = rho e^2/(e^2 + (1 - e^2)(1 + rho')^2),   test error = Phi(-|mu| sqrt(R/(1 + R))).

Without label noise R = rho, and gamma is gone. The error leaves chance at n |mu|^4 = d, where |mu| sqrt(rho) = 1; far beyond n |mu|^2 = d,
where rho = 1, it is the best there is, Phi(-|mu|). With label noise rho = 1 parts benign from harmful: beyond, R falls again like
(e^2/(1 - e^2)) (s/g)^2/rho, and the error tends to Phi(-sqrt(d/n) (s/g) e/sqrt(1 - e^2)), which no signal makes smaller and which grows
with n.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from flowsim import arguments

Array = Float[np.ndarray, "..."]


class BenignBoundaries(NamedTuple):
    """|mu| at which the test error of a fitted mixture changes its behaviour, by number of samples. Made by `benign_boundaries`.

    chance: (d/n)^(1/4).  noise_radius: (d/n)^(1/2).

    >>> import flowsim as fs
    >>> fs.theory.benign_boundaries(samples=16, dim=256).noise_radius.tolist()
    4.0
    """

    chance: Array
    noise_radius: Array


def benign_boundaries(samples: Any, dim: Any) -> BenignBoundaries:
    """n |mu|^4 = |Sigma| Tr Sigma, where the error leaves chance, and n |mu|^2 = Tr Sigma, the noise radius; here Sigma = I, so both are d.

    samples, dim: n and d, whole, 1 or more; they broadcast. Below n = d the first |mu| is the smaller one.

    ValueError where one is not what it must be. Source: the module's docstring; orders as in Hashimoto 2025 (arXiv 2505.16204).

    >>> import flowsim as fs
    >>> [at.tolist() for at in fs.theory.benign_boundaries(samples=[16, 256], dim=256)]
    [[2.0, 1.0], [4.0, 1.0]]
    """
    n, d = _sizes(samples, dim)
    ratio = d / n
    return BenignBoundaries(ratio**0.25, ratio**0.5)


def benign_error(samples: Any, signal: Any, dim: Any, label_noise: Any = 0.0, slope: Any = 1.0) -> Array:
    """Phi(-|mu| sqrt(R/(1 + R))), R = rho e^2/(e^2 + (1 - e^2)(1 + rho')^2): test error, on clean labels, where all samples are support.

    rho = n |mu|^2/d, rho' = rho (1 + gamma)^2/(2 (1 + gamma^2)), e = 1 - 2 eps. Leading order in n/d and 1/n, for Gaussian noise.

    samples, dim: n and d, whole, 1 or more.  signal: |mu|, zero or positive.  label_noise: eps in [0, 1/2).
    slope: gamma in (0, 1], 1 of a linear predictor; it counts only where there is label noise. All broadcast.

    ValueError where one is not what it must be. Source: the module's docstring.

    >>> import flowsim as fs
    >>> fs.theory.benign_error(samples=100, signal=[0.0, 2.0, 4.0], dim=400).round(5).tolist()
    [0.5, 0.07865, 0.00017]
    >>> fs.theory.benign_error(samples=100, signal=[4.0, 40.0, 400.0], dim=400, label_noise=0.1).round(5).tolist()
    [0.03345, 0.00398, 0.00383]
    """
    n, d = _sizes(samples, dim)
    mu = arguments.reals("signal", signal, low=0.0)
    eps, gamma = _noise_and_slope(label_noise, slope)
    _broadcast(samples=n, signal=mu, dim=d, label_noise=eps, slope=gamma)
    e = (1.0 - 2.0 * eps) ** 2
    rho = n * mu**2 / d
    ratio = rho * e / (e + (1.0 - e) * (1.0 + rho * _coupling(gamma)) ** 2)
    return np.asarray(ndtr(-mu * np.sqrt(ratio / (1.0 + ratio))))


def harmful_samples(signal: Any, dim: Any, label_noise: Any, slope: Any = 1.0) -> Array:
    """n* = (d/|mu|^2) (s/g)/(2 sqrt(eps (1 - eps))): from there on more samples make the test error of a network that fits them larger.

    R is largest at rho' = 1/sqrt(1 - e^2): a noise radius n |mu|^2 = d, times what tends to 1 for labels of pure noise, and to inf for
    clean ones, of which more are never worse.

    signal: |mu|, positive.  dim: d, whole, 1 or more.  label_noise: eps in (0, 1/2).  slope: gamma in (0, 1]. All broadcast.

    ValueError where one is not what it must be. Source: the module's docstring.

    >>> import flowsim as fs
    >>> fs.theory.harmful_samples(signal=[2.5, 5.0], dim=1000, label_noise=0.1).round(3).tolist()
    [266.667, 66.667]
    >>> fs.theory.benign_error(samples=[50, 67, 100], signal=5.0, dim=1000, label_noise=0.1).round(5).tolist()
    [0.00664, 0.00621, 0.00709]
    """
    mu = arguments.reals("signal", signal, low=0.0, strict=True)
    d = arguments.whole("dim", dim, low=1).astype(float)
    eps, gamma = _noise_and_slope(label_noise, slope)
    if (eps == 0.0).any():
        raise ValueError("`label_noise` must be above 0, for more samples with clean labels are never worse, but is 0")
    _broadcast(signal=mu, dim=d, label_noise=eps, slope=gamma)
    return np.asarray(d / mu**2 / _coupling(gamma) / (2.0 * np.sqrt(eps * (1.0 - eps))))


def _coupling(gamma: Array) -> Array:
    """g/s = rho'/rho."""
    return np.asarray((1.0 + gamma) ** 2 / (2.0 * (1.0 + gamma**2)))


def _noise_and_slope(label_noise: Any, slope: Any) -> tuple[Array, Array]:
    eps, gamma = arguments.reals("label_noise", label_noise), arguments.reals("slope", slope)
    for name, value, good, words in (
        ("label_noise", eps, (eps >= 0.0) & (eps < 0.5), "[0, 0.5)"),
        ("slope", gamma, (gamma > 0.0) & (gamma <= 1.0), "(0, 1]"),
    ):
        if not good.all():
            raise ValueError(f"`{name}` must be in {words}, but is {value[~good].flat[0]:.6g}")
    return eps, gamma


def _broadcast(**arrays: np.ndarray) -> None:
    """ValueError unless they go together."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        *names, last = (f"`{name}`" for name in arrays)
        shapes = " and ".join(str(array.shape) for array in arrays.values())
        raise ValueError(f"{', '.join(names)} and {last} must broadcast, but have shapes {shapes}") from None


def _sizes(samples: Any, dim: Any) -> tuple[np.ndarray, np.ndarray]:
    n, d = arguments.whole("samples", samples, low=1), arguments.whole("dim", dim, low=1)
    _broadcast(samples=n, dim=d)
    return n.astype(float), d.astype(float)
