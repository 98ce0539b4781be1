r"""The four functions of one real variable from which every profile is averaged, on a grid of octaves.

For a point mass |x_1| = R and z = r R,

    h = R s(z),   c - h = (R/2) tanh(z/2),   A = log(1 + exp(-z)),   -r h' = R z s(z) (1 - s(z)),   s(z) = 1/(1 + exp(z)),

so with k(z) = (s, tanh(z/2)/2, log(1 + exp(-z)), z s (1-s)) the averages over a law are correlations in log R of k with the law's mean
measure R P(dR) (for A: with P(dR)). A mixture over the scale of another law has that law's functions as its k.

All four are analytic in |Im log z| < pi/2. An octave has half-width log(2)/2 in log z, so its Bernstein ellipse has parameter 9.2 and
interpolation in ``NODES`` Chebyshev points errs by about 9.2^-NODES, below double precision. Derived in `derivations/growth.py`.
"""

import numpy as np
from scipy.special import expit

NODES = 18

_T = np.cos(np.pi * (np.arange(NODES)[::-1] + 0.5) / NODES)
OCTAVE = np.exp2((_T + 1.0) / 2.0)
"""The interpolation nodes of the octave [1, 2): Chebyshev points in log2."""

_BARYCENTRIC = (-1.0) ** np.arange(NODES) * np.sin(np.pi * (np.arange(NODES) + 0.5) / NODES)


def octave_basis(m: np.ndarray) -> np.ndarray:
    """Lagrange basis on ``OCTAVE`` (polynomials in log2) at mantissas m in [1, 2]: shape m.shape + (NODES,)."""
    t = 2.0 * np.log2(np.asarray(m, dtype=float)) - 1.0
    gap = t[..., None] - _T
    hit = np.abs(gap) < 1e-15
    ratio = _BARYCENTRIC / np.where(hit, 1.0, gap)
    basis = ratio / ratio.sum(axis=-1, keepdims=True)
    return np.where(hit.any(axis=-1, keepdims=True), hit.astype(float), basis)


def point_kernel(z: np.ndarray) -> np.ndarray:
    """k(z) at z > 0, the four functions along a new first axis."""
    s = expit(-z)
    with np.errstate(under="ignore"):
        return np.stack([s, 0.5 * np.tanh(0.5 * z), np.log1p(np.exp(-z)), z * s * expit(z)])
