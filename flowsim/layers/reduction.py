r"""Networks of matrices in the subspaces that they never leave: a rank-one network of any width becomes one of width 1, exactly.

With b_j = W_N ... W_(j+1), a row, and A_j = W_j ... W_1 the gradient is dL/dW_j = b_j^T (A_(j-1) grad L)^T. Hence a flow or a descent keeps

    the hidden space j in    U_j = span(columns of W_j, rows of W_(j+1)),
    the input space in       U_0 = span(v, rows of W_1)                      (grad L lies in span(v, w), and w in the rows of W_1),

and in orthonormal bases of these it is a flow or a descent of the same form, for the dynamics is equivariant under
W_j -> O_j^T W_j O_(j-1) with O_0 v = v. The input's coordinates along v and across it are held apart: the part across can fall below the
rounding of the whole, and is then still good to its last digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim.layers.network import Layers, unit_teacher

Array = Float[np.ndarray, "..."]

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Reduced:
    r"""B networks in bases of their own: W_1 = O_1 (p v^T + across V^T), W_j = O_j upper_j O_(j-1)^T, O_N = (1).

    p: (B, k_1).  across: (B, k_1, m), m = k_0 - 1.  upper: for j = 2, ..., N, (B, k_j, k_(j-1)) each; the last, W_N, has one row.
    v: (d,), of unit length.  inputs: V, (B, d, m), with orthonormal columns that are orthogonal to v.
    hidden: O_1, ..., O_N, (B, n_j, k_j) each, with orthonormal columns.

    The k_j are those of the network of the batch that needs most. The entries of another along its surplus directions are 0, and stay 0: a
    direction that no layer reads or writes has no gradient.
    """

    p: Float[np.ndarray, "B k"]
    across: Float[np.ndarray, "B k m"]
    upper: tuple[Float[np.ndarray, "B _ _"], ...]
    v: Float[np.ndarray, "d"]
    inputs: Float[np.ndarray, "B d m"]
    hidden: tuple[Float[np.ndarray, "B _ _"], ...]

    def expand(self, p: Array, across: Array, upper: Sequence[Array]) -> Layers:
        """The networks (B,) with these coordinates, which have the shapes of those held here."""
        first = self.hidden[0] @ (p[..., None] * self.v + across @ _transposed(self.inputs))
        rest = (high @ matrix @ _transposed(low) for high, matrix, low in zip(self.hidden[1:], upper, self.hidden[:-1], strict=True))
        return Layers([first, *rest])


def reduce(layers: Layers, v: Any) -> Reduced:
    r"""The batch (B,) of networks in the smallest spaces that hold all of their run.

    layers: of shape (B,).  v: (d,), not 0; only its direction counts.

    What spans a space is divided by its own size, so that a layer much smaller than its neighbour counts like it, and a direction belongs
    to the space where its singular value then is above max(16, rows, columns) eps. A matrix of lower rank, rounded, stays below that: by
    the backward error of its singular values, and 16 eps leave room for a small one that is the result of a few operations. W_1 v and
    W_1 across v have sizes of their own only where v is an axis, and they are columns of W_1; otherwise both carry the rounding of W_1,
    whose size it then is.
    """
    v = unit_teacher(v, layers.dim)
    size, first = layers.shape[0], layers.matrices[0]
    complement = _complement(v)
    along, across = first @ v, first @ complement
    if np.count_nonzero(v) == 1:
        inside, reads = _scaled(across), np.concatenate([_scaled(along[..., None]), _scaled(across)], axis=-1)
    else:
        inside, reads = across / _size(first), _scaled(first)
    hidden, used = [], []
    for above in layers.matrices[1:]:
        basis, own = _span(np.concatenate([reads, _scaled(_transposed(above))], axis=-1))
        hidden.append(basis)
        used.append(own)
        reads = _scaled(above)
    hidden.append(np.ones((size, 1, 1)))
    used.append(np.ones((size, 1), dtype=bool))
    inputs, of_inputs = _span(_transposed(inside))
    p = _transposed(hidden[0]) @ along[..., None]
    upper = (_masked(used[j], _transposed(hidden[j]) @ layers.matrices[j] @ hidden[j - 1], used[j - 1]) for j in range(1, layers.depth))
    return Reduced(
        np.where(used[0], p[..., 0], 0.0),
        _masked(used[0], _transposed(hidden[0]) @ across @ inputs, of_inputs),
        tuple(upper),
        v,
        complement @ inputs,
        tuple(hidden),
    )


def _span(blocks: Float[np.ndarray, "B n c"]) -> tuple[Float[np.ndarray, "B n k"], np.ndarray]:
    """Orthonormal bases of the columns' spaces, k >= 1 the largest dimension, and which columns, (B, k), are a network's own.

    The identity where the space is everything: nothing is turned without need.
    """
    left, values, _ = np.linalg.svd(blocks, full_matrices=False)
    rank = np.count_nonzero(values > max(16, *blocks.shape[1:]) * EPS, axis=-1)
    k, n = max(1, int(rank.max())), blocks.shape[1]
    basis = left[..., :k]
    if k == n:
        basis = np.where((rank == n)[:, None, None], np.eye(n), basis)
    return basis, np.arange(k) < rank[:, None]


def _complement(v: Float[np.ndarray, "d"]) -> Float[np.ndarray, "d m"]:
    """Orthonormal columns across v: where a reflection takes v to its largest entry's axis, the images of the other axes."""
    largest = int(np.abs(v).argmax())
    normal = v.copy()
    normal[largest] += np.copysign(1.0, v[largest])
    normal /= np.linalg.norm(normal)
    return np.delete(np.eye(v.size) - 2.0 * np.outer(normal, normal), largest, axis=1)


def _size(matrix: Float[np.ndarray, "B _ _"]) -> Float[np.ndarray, "B 1 1"]:
    """The Frobenius norm, without overflow; 1 for a matrix of zeros."""
    largest = np.abs(matrix).max(axis=(-2, -1), keepdims=True)
    largest = np.where(largest > 0.0, largest, 1.0)
    norm = np.linalg.norm(matrix / largest, axis=(-2, -1), keepdims=True)
    return np.where(norm > 0.0, largest * norm, 1.0)


def _scaled(matrix: Float[np.ndarray, "B _ _"]) -> Float[np.ndarray, "B _ _"]:
    return matrix / _size(matrix)


def _masked(rows: np.ndarray, matrix: Float[np.ndarray, "B _ _"], columns: np.ndarray) -> Float[np.ndarray, "B _ _"]:
    return np.where(rows[:, :, None] & columns[:, None, :], matrix, 0.0)


def _transposed(matrix: Float[np.ndarray, "B _ _"]) -> Float[np.ndarray, "B _ _"]:
    return np.swapaxes(matrix, -1, -2)
