r"""What keeps the layers together: W_j W_j^T - W_{j+1}^T W_{j+1} is conserved, so growing layers become rank one and line up.

With the imbalances B_j = W_j W_j^T - W_{j+1}^T W_{j+1}, j = 1 .. N-1, of layers W_1 .. W_N, the last of one row,

    |W_k|_F^2 - |W_{k+1}|_F^2 = tr B_k,    |W_k|^2 >= |W_{k+1}|^2 + lambda_min(B_k)

(|W| the largest singular value). Along the flow all B_j stay what they are at the start; a step of descent moves them by eta^2. Bounds
from a start therefore hold at every time of its flow, whatever the risk.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments

Array = Float[np.ndarray, "..."]


def checked_layers(matrices: Any) -> list[np.ndarray]:
    """W_1 .. W_N as arrays (..., m_j, m_{j-1}), if they can be multiplied and the last has one row."""
    if isinstance(matrices, (str, bytes, dict)) or not isinstance(matrices, Sequence) or len(matrices) < 2:
        raise ValueError(f"`matrices` must be a sequence of two or more matrices W_1 .. W_N, but is {type(matrices).__name__}")
    layers = [arguments.reals("matrices", matrix) for matrix in matrices]
    shapes = [layer.shape for layer in layers]
    chain = all(len(shape) >= 2 for shape in shapes) and all(
        above[-1] == below[-2] and above[:-2] == below[:-2] for below, above in pairwise(shapes)
    )
    if not chain or shapes[-1][-2] != 1:
        listed = ", ".join(map(str, shapes))
        raise ValueError(f"`matrices` must have shapes (..., m_1, d), (..., m_2, m_1), .. (..., 1, m_(N-1)), but have {listed}")
    return layers


def _transposed(matrix: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrix, -1, -2)


def imbalances(matrices: Any) -> list[Array]:
    """B_j = W_j W_j^T - W_{j+1}^T W_{j+1}, j = 1 .. N-1: symmetric, and conserved by the flow.

    matrices: W_1 (..., m_1, d), W_2 (..., m_2, m_1), .. W_N (..., 1, m_(N-1)), N of 2 or more; leading axes are a batch.
    Returns N - 1 arrays (..., m_j, m_j).

    ValueError where the matrices do not fit each other. Source: derivations/imbalance.py.

    >>> import flowsim as fs
    >>> (b,) = fs.theory.imbalances([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]])
    >>> b.tolist()
    [[3.0, -1.0], [-1.0, 0.0]]
    """
    layers = checked_layers(matrices)
    return [below @ _transposed(below) - _transposed(above) @ above for below, above in pairwise(layers)]


def imbalance_step(matrices: Any, gradient: Any, step_size: Any) -> list[Array]:
    """eta^2 (G_j G_j^T - G_{j+1}^T G_{j+1}): what one step of descent adds to each imbalance B_j, exactly.

    G_j = (W_N..W_{j+1})^T g^T (W_{j-1}..W_1)^T is the gradient in W_j. Over the 1/eta steps of a unit of time B drifts by the order of eta.

    matrices: as in `imbalances`, before the step.  gradient: g = grad L(w) at w = (W_N..W_1)^T, (..., d).  step_size: eta > 0, one number.

    ValueError where one is not what it must be. Source: derivations/imbalance.py.

    >>> import flowsim as fs
    >>> (change,) = fs.theory.imbalance_step([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], gradient=[1.0, 0.0], step_size=0.1)
    >>> change.round(12).tolist()
    [[-0.03, 0.01], [0.01, 0.01]]
    """
    layers, g = checked_layers(matrices), arguments.reals("gradient", gradient)
    eta = arguments.real("step_size", step_size, low=0.0, strict=True)
    wanted = (*layers[0].shape[:-2], layers[0].shape[-1])
    if g.shape != wanted:
        raise ValueError(f"`gradient` must have shape {wanted}, but has shape {g.shape}")
    slopes = []
    for j in range(len(layers)):
        below = reduce(lambda vector, layer: layer @ vector, layers[:j], g[..., None])
        above = reduce(lambda row, layer: row @ layer, layers[:j:-1], np.ones((*wanted[:-1], 1, 1)))
        slopes.append(_transposed(above) @ _transposed(below))
    return [eta**2 * (lower @ _transposed(lower) - _transposed(upper) @ upper) for lower, upper in pairwise(slopes)]


def rank_one_excess_bound(matrices: Any) -> Array:
    """|W_k|_F^2 - |W_k|^2 <= D_k = sum over j from k to N-1 of (tr B_j - lambda_min(B_j)): how far each layer can be from rank one.

    B_j are the imbalances, |W| is the largest singular value. Holds along the whole flow, the right-hand side being conserved; equality is
    attained. Ji and Telgarsky 2019 have one D for all layers and the spectral norm of B_j in place of -lambda_min: D_k is never larger.

    matrices: as in `imbalances`, at any time of the flow, such as its start.
    Returns D_1 .. D_N, (..., N); D_N = 0, the last layer being one row.

    ValueError where the matrices do not fit each other. Source: derivations/imbalance.py.

    >>> import flowsim as fs
    >>> fs.theory.rank_one_excess_bound([[[3.0, 0.0], [0.0, 2.0]], [[2.5, 0.0]]]).tolist()
    [4.0, 0.0]
    """
    found = imbalances(matrices)
    terms = np.stack([np.trace(b, axis1=-2, axis2=-1) - np.linalg.eigvalsh(b)[..., 0] for b in found], axis=-1)
    above = np.cumsum(terms[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([above, np.zeros((*above.shape[:-1], 1))], axis=-1)


def alignment_bound(matrices: Any, singular_values: Any) -> Array:
    r"""<v_{k+1}, u_k>^2 >= 1 - min( e/(S - D_k), (e/(2 (S - e - D_k)))^2 ), S = |W_k|^2, e = lambda_max(B_k) - lambda_min(B_k).

    u_k is the left singular vector of W_k to its largest singular value |W_k|, v_{k+1} the right one of W_{k+1}; D_k is
    `rank_one_excess_bound`. The first bound is that of Ji and Telgarsky 2019 with these constants and falls like 1/S; the second, from the
    residual of v_{k+1} as an eigenvector of W_k W_k^T, falls like 1/S^2, as 1 - <v, u>^2 does in generic runs.

    matrices: as in `imbalances`, at any time of the flow, such as its start.
    singular_values: |W_1| .. |W_{N-1}| at the time in question, positive, (..., N-1), broadcast against the batch of ``matrices``.
    Returns bounds for k = 1 .. N-1, (..., N-1); 0 where the layer is still too small for one.

    ValueError where one is not what it must be. Source: derivations/imbalance.py.

    >>> import flowsim as fs
    >>> start = [[[3.0, 0.0], [0.0, 1.0]], [[2.0, 1.0]]]
    >>> fs.theory.alignment_bound(start, [[3.0], [5.0], [100.0]]).round(6).ravel().tolist()
    [0.0, 0.93836, 1.0]
    """
    found = imbalances(matrices)
    square = arguments.reals("singular_values", singular_values, low=0.0, strict=True) ** 2
    if square.ndim == 0 or square.shape[-1] != len(found):
        raise ValueError(f"`singular_values` must have shape (..., {len(found)}), one for each of W_1 .. W_{len(found)}: {square.shape}")
    ends = [np.linalg.eigvalsh(b) for b in found]
    spread = np.stack([values[..., -1] - values[..., 0] for values in ends], axis=-1)
    gap = square - rank_one_excess_bound(matrices)[..., :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(gap > 0.0, spread / gap, 1.0)
        second = np.where(gap > spread, (0.5 * spread / (gap - spread)) ** 2, 1.0)
    return np.asarray(1.0 - np.minimum(1.0, np.minimum(first, second)))
