"""A linear network as its matrices: x -> W_N ... W_1 x with one output, one of them or a batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.theory import imbalances

Array = Float[np.ndarray, "..."]

DEEPEST = 100


@dataclass(frozen=True, eq=False)
class Layers:
    r"""w = (W_N ... W_1)^T, W_1 of shape (n_1, d), W_j of shape (n_j, n_(j-1)), W_N of shape (1, n_(N-1)).

    matrices: W_1, ..., W_N, each (..., n_j, n_(j-1)) with the same leading shape, which is the batch's.

    ValueError where they are not finite or do not multiply to one row.

    >>> import numpy as np, flowsim as fs
    >>> network = fs.Layers([[[2.0, 0.0], [0.0, 1.0]], [[3.0, 4.0]]])
    >>> network.depth, network.dim, network.widths, network.shape, network.end_to_end.tolist()
    (2, 2, (2,), (), [6.0, 4.0])
    >>> network.imbalances[0].tolist()
    [[-5.0, -12.0], [-12.0, -15.0]]
    """

    matrices: Any

    def __post_init__(self) -> None:
        if isinstance(self.matrices, (str, bytes)) or not hasattr(self.matrices, "__len__") or not 1 <= len(self.matrices) <= DEEPEST:
            raise ValueError(f"`matrices` must be a sequence of 1 to {DEEPEST} matrices W_1, ..., W_N, but is {self.matrices!r}")
        given = tuple(arguments.reals(f"matrices[{j}]", matrix) for j, matrix in enumerate(self.matrices))
        for j, matrix in enumerate(given):
            if matrix.ndim < 2 or matrix.shape[:-2] != given[0].shape[:-2]:
                raise ValueError(f"`matrices[{j}]` must have shape {given[0].shape[:-2]} + (rows, columns), but has shape {matrix.shape}")
            if j and matrix.shape[-1] != given[j - 1].shape[-2]:
                raise ValueError(
                    f"`matrices[{j}]` must have {given[j - 1].shape[-2]} columns, the rows of the one before, but has shape {matrix.shape}"
                )
        if given[-1].shape[-2] != 1:
            raise ValueError(f"`matrices[{len(given) - 1}]`, the last, must have one row, but has shape {given[-1].shape}")
        if given[0].shape[-1] < 2:
            raise ValueError(f"`matrices[0]` must have at least 2 columns, the dimension of x, but has shape {given[0].shape}")
        object.__setattr__(self, "matrices", given)

    @property
    def depth(self) -> int:
        """N."""
        return len(self.matrices)

    @property
    def dim(self) -> int:
        """d, the dimension of x."""
        return self.matrices[0].shape[-1]

    @property
    def widths(self) -> tuple[int, ...]:
        """n_1, ..., n_(N-1), of the hidden layers."""
        return tuple(matrix.shape[-2] for matrix in self.matrices[:-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch's shape; () for a single network."""
        return self.matrices[0].shape[:-2]

    @property
    def end_to_end(self) -> Array:
        """w = (W_N ... W_1)^T, (..., d)."""
        row = self.matrices[-1]
        for matrix in self.matrices[-2::-1]:
            row = row @ matrix
        return row[..., 0, :]

    @property
    def imbalances(self) -> tuple[Array, ...]:
        """W_j W_j^T - W_(j+1)^T W_(j+1), j = 1, ..., N-1: (..., n_j, n_j) each. The flow keeps them; 0 where balanced."""
        return tuple(imbalances(self.matrices)) if self.depth > 1 else ()

    def __getitem__(self, index: Any) -> "Layers":
        """The networks at ``index`` of the batch."""
        if not self.shape:
            raise ValueError("a single network has no batch to index")
        return Layers([matrix[index] for matrix in self.matrices])


def unit_teacher(v: Any, dim: int) -> Array:
    """v/|v|, (dim,); the first axis where ``v`` is None."""
    teacher = np.eye(dim)[0] if v is None else arguments.reals("v", v)
    if teacher.shape != (dim,) or not np.linalg.norm(teacher) > 0:
        raise ValueError(f"`v` must be a nonzero vector of shape ({dim},), but is {teacher!r}")
    return np.asarray(teacher / np.linalg.norm(teacher))
