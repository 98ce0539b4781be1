r"""What a gradient in w does to the matrices, in JAX, without a matrix that is not one of theirs.

    grad_{W_j} L = s_j u_(j-1)^T,   s_j = (W_N ... W_(j+1))^T,   u_j = W_j ... W_1 grad L(w)

The rows s_j come down from the output, the vectors u_j go up from the input, and their outer products are all of it: as many operations
as the matrices have entries, a few times over, however many samples grad L(w) is a mean of.
"""

from typing import Any

import jax.numpy as jnp

Matrices = tuple[Any, ...]


def end_to_end(matrices: Matrices) -> Any:
    """w = (W_N ... W_1)^T, (d,)."""
    row = matrices[-1][0]
    for matrix in reversed(matrices[:-1]):
        row = row @ matrix
    return row


def layer_gradients(matrices: Matrices, gradient: Any) -> Matrices:
    """grad_{W_j} L for each j, from grad L(w), (d,)."""
    rows = [jnp.ones(1)]
    for matrix in reversed(matrices[1:]):
        rows.append(rows[-1] @ matrix)
    below, out = gradient, []
    for matrix, row in zip(matrices, reversed(rows), strict=True):
        out.append(jnp.outer(row, below))
        below = matrix @ below
    return tuple(out)
