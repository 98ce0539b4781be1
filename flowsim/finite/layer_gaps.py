"""How far layers are from rank one, and from each other's singular directions."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def rank_gap(layers: Sequence[np.ndarray]) -> list[float]:
    """sigma_2/sigma_1 of each layer; nan where it holds no numbers."""
    if not all(np.isfinite(layer).all() for layer in layers):
        return [np.nan] * len(layers)
    sigmas = [np.linalg.svd(layer, compute_uv=False) for layer in layers]
    return [float(sigma[1] / sigma[0]) if sigma.size > 1 else 0.0 for sigma in sigmas]


def layer_alignment_gap(layers: Sequence[np.ndarray]) -> list[float]:
    """1 - |<u_j, v_(j+1)>| of each pair, top left singular vector of a layer and top right one of the next; nan where there is none."""
    if not all(np.isfinite(layer).all() for layer in layers):
        return [np.nan] * (len(layers) - 1)
    ends = [(u[:, 0], vh[0]) for u, _, vh in (np.linalg.svd(layer, full_matrices=False) for layer in layers)]
    out = []
    for (left, _), (_, right) in pairwise(ends):
        # |a - b|^2/2 of unit vectors of one sense, without cancellation
        sense = 1.0 if left @ right >= 0.0 else -1.0
        out.append(0.5 * float(np.sum((left - sense * right) ** 2)))
    return out
