r"""What is read off the matrices of a network on the population's risk: norms, imbalance, alignment, sharpness.

The sharpness is the largest eigenvalue of the Hessian of L(W_N ... W_1) in all entries. With b_j = W_N ... W_(j+1), a row, and
a_j = W_j ... W_1 grad L the gradient is dL/dW_j = b_j^T a_(j-1)^T. Along D = (D_1, ..., D_N) it changes by

    db_j^T a_(j-1)^T + b_j^T da_(j-1)^T,    db_N = 0,               db_(j-1) = db_j W_j + b_j D_j,
                                            da_0 = hess L db_0^T,   da_j = W_j da_(j-1) + D_j a_(j-1),

so that the Hessian sees only D_j = b_j^T x_j^T/|b_j| + y_j a_(j-1)^T/|a_(j-1)|, y_j orthogonal to b_j. On these sum_j (n_j + n_(j-1))
numbers it is applied at the cost of two products of a matrix and a vector a layer. The largest eigenvalue is among these: where only one
W_j moves the Hessian is that of a convex function, so the largest is not negative, and what is not seen has 0.

Aligned and balanced of rank one, w = r v, with kappa = -<v, grad L> = c (1 - 2 eps) - (c - h):

    sharpness = r^(1-2/N) max( c - h,  N r (-h') - (N-1) kappa,  kappa where N >= 2 )

turning W_1 across v, along the layers' common size, and turning or sizing two layers against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.layers.network import Layers
from flowsim.problem import PopulationRisk

Array = Float[np.ndarray, "..."]

DEFAULT = ("layer_norm", "spectral_norm", "imbalance", "imbalance_drift", "alignment")
KNOWN = (*DEFAULT, "sharpness")

DENSE = 128
"""Up to this many numbers the Hessian is written out, for a whole batch at once; beyond, it is Lanczos, network by network."""
CONVERGED = 1e-8
"""Of Lanczos: |H x - lambda x|/|lambda|, which bounds the relative error of lambda."""
PRODUCTS = 300
"""Of Lanczos, before it is given up."""


def observe(
    names: Sequence[str], layers: Layers, start: Layers, problem: PopulationRisk, v: Float[np.ndarray, "d"]
) -> dict[str, Float[np.ndarray, "B ..."]]:
    """The observables of these names, of networks of shape (B,): (B, N) a layer, (B, N-1) a pair of layers, or (B,).

    names: out of `KNOWN`; ValueError for another.  start: (B,), what "imbalance_drift" is counted from.
    problem, v: the risk whose "sharpness" is meant, and its teacher.

    "alignment" is of one choice of singular vectors where the largest singular value is multiple, and nan for a layer of zeros.
    "sharpness" is nan where Lanczos does not converge.
    """
    for name in names:
        arguments.one_of("observe", name, KNOWN)
    found = {}
    if "layer_norm" in names:
        found["layer_norm"] = np.stack([np.linalg.norm(matrix, axis=(-2, -1)) for matrix in layers.matrices], axis=-1)
    if "alignment" in names:
        found["spectral_norm"], found["alignment"] = _singular(layers)
    elif "spectral_norm" in names:
        found["spectral_norm"] = np.stack([np.linalg.svd(m, compute_uv=False)[..., 0] for m in layers.matrices], axis=-1)
    if "imbalance" in names:
        found["imbalance"] = _per_pair(layers, layers.imbalances)
    if "imbalance_drift" in names:
        found["imbalance_drift"] = _per_pair(layers, _drifts(layers, start))
    if "sharpness" in names:
        w = layers.end_to_end
        found["sharpness"] = sharpness(layers, problem.gradient(w, v), problem.hessian(w, v))
    return {name: found[name] for name in names}


def _per_pair(layers: Layers, squares: Sequence[Array]) -> Float[np.ndarray, "B pairs"]:
    norms = [np.linalg.norm(square, axis=(-2, -1)) for square in squares]
    return np.stack(norms, axis=-1) if norms else np.zeros((*layers.shape, 0))


def _drifts(layers: Layers, start: Layers) -> list[Array]:
    """What W_j W_j^T - W_(j+1)^T W_(j+1) has changed by: with E = W - S, W W^T - S S^T = E W^T + S E^T, exact in the limit of a small E."""
    moved = [now - then for now, then in zip(layers.matrices, start.matrices, strict=True)]
    drifts = []
    for j in range(layers.depth - 1):
        (below, old_below, step_below), (above, old_above, step_above) = (
            (layers.matrices[i], start.matrices[i], moved[i]) for i in (j, j + 1)
        )
        left = step_below @ _transposed(below) + old_below @ _transposed(step_below)
        drifts.append(left - _transposed(step_above) @ above - _transposed(old_above) @ step_above)
    return drifts


def _singular(layers: Layers) -> tuple[Float[np.ndarray, "B N"], Float[np.ndarray, "B pairs"]]:
    """Largest singular values, and |<v_(j+1), u_j>|."""
    values, lefts, rights = [], [], []
    for matrix in layers.matrices:
        left, value, right = np.linalg.svd(matrix, full_matrices=False)
        values.append(value[:, 0])
        lefts.append(np.where(value[:, :1] > 0.0, left[:, :, 0], np.nan))
        rights.append(np.where(value[:, :1] > 0.0, right[:, 0, :], np.nan))
    cosines = [np.abs((right * left).sum(axis=-1)) for right, left in zip(rights[1:], lefts[:-1], strict=True)]
    return np.stack(values, axis=-1), np.stack(cosines, axis=-1) if cosines else np.zeros((*layers.shape, 0))


def sharpness(layers: Layers, gradient: Float[np.ndarray, "B d"], hessian: Float[np.ndarray, "B d d"]) -> Float[np.ndarray, "B"]:
    """The largest eigenvalue of the Hessian in the matrices' entries of any convex L(w), (B,); nan where Lanczos does not converge.

    gradient, hessian: of L in w, at the networks' predictors.
    """
    curvature = _Curvature.of(layers, gradient, hessian)
    if curvature.size <= DENSE:
        units = np.broadcast_to(np.eye(curvature.size), (len(gradient), curvature.size, curvature.size))
        return np.linalg.eigvalsh(curvature.times(units))[:, -1]
    return np.array([_lanczos(_Curvature.of(layers[b : b + 1], gradient[b : b + 1], hessian[b : b + 1])) for b in range(len(gradient))])


@dataclass(frozen=True)
class _Curvature:
    """The Hessian in the numbers (x_1, y_1, ..., x_N, y_N) of the D_j it sees.

    rows: |b_j|, (B, 1, 1), and b_j^T/|b_j|, (B, n_j, 1), or 0 where b_j is.  columns: |a_(j-1)|, and a_(j-1), (B, n_(j-1), 1).
    Where b_j or a_(j-1) is 0, x_j or y_j is not seen.
    """

    matrices: tuple[Array, ...]
    hessian: Array
    rows: tuple[tuple[Array, Array], ...]
    columns: tuple[tuple[Array, Array], ...]

    @classmethod
    def of(cls, layers: Layers, gradient: Array, hessian: Array) -> "_Curvature":
        rows, columns = [np.ones((len(gradient), 1, 1))], [gradient[..., None]]
        for matrix in layers.matrices[:0:-1]:
            rows.append(_transposed(matrix) @ rows[-1])
        for matrix in layers.matrices[:-1]:
            columns.append(matrix @ columns[-1])
        lengths = [np.linalg.norm(row, axis=1, keepdims=True) for row in rows]
        return cls(
            layers.matrices,
            hessian,
            tuple((length, row / np.where(length > 0.0, length, 1.0)) for length, row in zip(lengths[::-1], rows[::-1], strict=True)),
            tuple((np.linalg.norm(column, axis=1, keepdims=True), column) for column in columns),
        )

    @property
    def size(self) -> int:
        """sum_j (n_j + n_(j-1))."""
        return sum(sum(matrix.shape[-2:]) for matrix in self.matrices)

    def times(self, numbers: Float[np.ndarray, "B M K"]) -> Float[np.ndarray, "B M K"]:
        """The Hessian's product with K directions at once."""
        ends = np.cumsum([length for matrix in self.matrices for length in (matrix.shape[-1], matrix.shape[-2])])[:-1]
        parts = np.split(numbers, ends, axis=1)
        xs, ys = parts[::2], [_across(unit, y) for (_, unit), y in zip(self.rows, parts[1::2], strict=True)]
        down = [np.zeros_like(ys[-1])]
        for matrix, x, (length, _) in zip(self.matrices[::-1], xs[::-1], self.rows[::-1], strict=True):
            down.append(_transposed(matrix) @ down[-1] + length * x)
        up, out = self.hessian @ down[-1], []
        for matrix, x, y, (length, unit), (size, column), moved in zip(
            self.matrices, xs, ys, self.rows, self.columns, down[-2::-1], strict=True
        ):
            out += [column * (_transposed(unit) @ moved) + length * up, size * _across(unit, moved)]
            up = matrix @ up + unit * (_transposed(column) @ x) + size * y
        return np.concatenate(out, axis=1)


def _lanczos(curvature: _Curvature) -> float:
    """Of one network, (1,). Every vector is kept orthogonal to all before it, and the first is always the same: so is the number."""
    from scipy.linalg import eigh_tridiagonal

    times = lambda x: curvature.times(x.reshape(1, -1, 1)).ravel()  # noqa: E731
    # the Hessian's own image of a random vector has no part that it does not see
    ahead = times(np.random.default_rng(0).normal(size=curvature.size))
    if not ahead.any():
        return 0.0
    basis, diagonal, beside = np.zeros((PRODUCTS, curvature.size)), np.zeros(PRODUCTS), np.zeros(PRODUCTS)
    for k in range(PRODUCTS):
        basis[k] = ahead / np.linalg.norm(ahead)
        ahead = times(basis[k])
        diagonal[k] = basis[k] @ ahead
        for _ in range(2):
            ahead = ahead - (basis[: k + 1] @ ahead) @ basis[: k + 1]
        beside[k] = np.linalg.norm(ahead)
        value, vector = eigh_tridiagonal(diagonal[: k + 1], beside[:k], select="i", select_range=(k, k))
        if beside[k] * abs(vector[k, 0]) <= CONVERGED * abs(value[0]):
            return float(value[0])
    return float("nan")


def _across(unit: Array, y: Array) -> Array:
    """y without its part along a unit vector; y where that is 0."""
    return y - unit * (_transposed(unit) @ y)


def _transposed(matrix: Array) -> Array:
    return np.swapaxes(matrix, -1, -2)
