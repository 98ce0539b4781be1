"""What is read off the matrices, against formulas that form every product and every entry of the Hessian."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

import flowsim as fs
from flowsim.layers import observables
from flowsim.layers.network import Layers
from flowsim.layers.observables import DEFAULT, KNOWN, observe, sharpness
from flowsim.layers.run import OBSERVABLES
from flowsim.layers.starts import balanced, gaussian

LAW = fs.Gaussian(dim=4)
RISK = fs.PopulationRisk(LAW)
NOISY = fs.PopulationRisk(LAW, 0.15)
V = np.array([1.0, 2.0, -1.0, 0.5]) / 2.5
SHAPES = {"depth 1": (1, 1), "width 1": (3, 1), "depth 2": (2, 3), "narrow": (3, [2, 3]), "depth 4": (4, [3, 1, 2])}


def moved(layers: Layers, vector: np.ndarray) -> list[np.ndarray]:
    """The matrices of a single network plus the entries of a vector, which may be complex."""
    ends = np.cumsum([matrix.size for matrix in layers.matrices])[:-1]
    return [matrix + part.reshape(matrix.shape) for matrix, part in zip(layers.matrices, np.split(vector, ends), strict=True)]


def product(matrices: Sequence[np.ndarray], size: int) -> np.ndarray:
    """The last one times ... times the first, (., size); I where there is none."""
    result = np.eye(size)
    for matrix in matrices:
        result = matrix @ result
    return result


def entries(matrices: Sequence[np.ndarray], gradient: np.ndarray) -> np.ndarray:
    """All entries of dL/dW_j = (W_N ... W_(j+1))^T grad L^T (W_(j-1) ... W_1)^T."""
    parts = []
    for j, matrix in enumerate(matrices):
        left = product(matrices[j + 1 :], matrix.shape[0])
        parts.append((left.T @ gradient[None, :] @ product(matrices[:j], matrices[0].shape[1]).T).ravel())
    return np.concatenate(parts)


def full_hessian(layers: Layers, gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """In all entries, column by column, of the quadratic with this gradient and Hessian at w, to rounding: by complex steps."""
    w, size = layers.end_to_end, sum(matrix.size for matrix in layers.matrices)
    columns = []
    for unit in np.eye(size):
        matrices = moved(layers, 1e-30j * unit)
        there = gradient + hessian @ (product(matrices, layers.dim)[0] - w)
        columns.append(entries(matrices, there).imag / 1e-30)
    return np.array(columns)


def largest(layers: Layers, risk: fs.PopulationRisk) -> float:
    w = layers.end_to_end
    return float(np.linalg.eigvalsh(full_hessian(layers, risk.gradient(w, V), risk.hessian(w, V)))[-1])


def observed(name: str, layers: Layers, start: Layers | None = None, risk: fs.PopulationRisk = RISK) -> np.ndarray:
    return observe([name], layers, start or layers, risk, V)[name]


@pytest.mark.parametrize("risk", [RISK, NOISY], ids=["clean", "noisy"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_sharpness_is_the_largest_eigenvalue_of_the_whole_hessian(
    method: str, shape: tuple, risk: fs.PopulationRisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method == "lanczos":
        monkeypatch.setattr(observables, "DENSE", 0)
    layers = gaussian(4, *shape, scale=1.5, seeds=range(4))
    true = [largest(layers[b], risk) for b in range(4)]
    np.testing.assert_allclose(observed("sharpness", layers, risk=risk), true, rtol=1e-12 if method == "dense" else 1e-8)


def test_the_whole_hessian_is_that_of_the_risk() -> None:
    """The witness's quadratic against central differences of the risk's own gradient, whose error is some 1e-9 at this step."""
    layers = gaussian(4, 3, 2, seeds=1)
    w, step = layers.end_to_end, 1e-5
    true = []
    for unit in np.eye(sum(matrix.size for matrix in layers.matrices)):
        ahead, back = (moved(layers, sign * step * unit) for sign in (1.0, -1.0))
        rise = [entries(m, RISK.gradient(product(m, 4)[0], V)) for m in (ahead, back)]
        true.append((rise[0] - rise[1]) / (2.0 * step))
    np.testing.assert_allclose(full_hessian(layers, RISK.gradient(w, V), RISK.hessian(w, V)), true, atol=1e-8)


@pytest.mark.parametrize("risk", [RISK, NOISY], ids=["clean", "noisy"])
@pytest.mark.parametrize("width", [1, 5, 40])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_sharpness_of_the_balanced_aligned_state(depth: int, width: int, risk: fs.PopulationRisk) -> None:
    """r^(1-2/N) max( c - h, N r (-h') - (N-1) kappa, kappa where N >= 2 ): at the radii each of the three is the largest somewhere."""
    r = np.array([0.05, 0.5, 1.0, 2.0, 4.0, 30.0])
    kappa = risk.signal - risk.drag(r)
    terms = [risk.drag(r), depth * r * risk.curvature(r) - (depth - 1) * kappa, kappa if depth > 1 else np.zeros(r.size)]
    layers = balanced(r[:, None] * V / np.linalg.norm(V), depth, width, seeds=3)
    got = observed("sharpness", layers, risk=risk)
    np.testing.assert_allclose(got, r ** (1.0 - 2.0 / depth) * np.max(terms, axis=0), rtol=1e-8)


def test_lanczos_and_the_written_out_hessian_agree_on_a_wide_network(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = gaussian(4, 3, 45, seeds=[0])
    w = layers.end_to_end
    given = layers, RISK.gradient(w, V), RISK.hessian(w, V)
    by_lanczos = sharpness(*given)
    monkeypatch.setattr(observables, "DENSE", 10**6)
    np.testing.assert_allclose(by_lanczos, sharpness(*given), rtol=1e-8)


def test_lanczos_that_does_not_converge_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single layer has the Hessian of L itself: here one with a known, crowded spectrum, of whose end 20 products tell too little."""
    single = gaussian(150, 1, seeds=[0]), np.zeros((1, 150)), np.diag(np.linspace(0.5, 3.0, 150))[None]
    np.testing.assert_allclose(sharpness(*single), [3.0], rtol=1e-8)
    monkeypatch.setattr(observables, "PRODUCTS", 20)
    assert np.isnan(sharpness(*single)).all()


@pytest.mark.parametrize("width", [2, 60])
def test_sharpness_at_the_saddle(width: int) -> None:
    """All layers 0: 0 from depth 3 on. At depth 2 the Hessian is [[0, g], [g^T, 0]], of eigenvalues +-|g| = +-c."""
    zeros = [Layers([np.zeros((1, *m.shape)) for m in gaussian(4, depth, width).matrices]) for depth in (2, 3)]
    np.testing.assert_allclose([observed("sharpness", layers)[0] for layers in zeros], [RISK.pull, 0.0], rtol=1e-8)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_norms_and_imbalance_matrix_by_matrix(shape: tuple) -> None:
    layers = gaussian(4, *shape, seeds=range(3))
    found = observe(("layer_norm", "spectral_norm", "imbalance"), layers, layers, RISK, V)
    assert found["layer_norm"].shape == found["spectral_norm"].shape == (3, layers.depth)
    assert found["imbalance"].shape == (3, layers.depth - 1)
    for b in range(3):
        matrices = layers[b].matrices
        for j, matrix in enumerate(matrices):
            np.testing.assert_allclose(found["layer_norm"][b, j], np.sqrt(np.trace(matrix @ matrix.T)), rtol=1e-13)
            np.testing.assert_allclose(found["spectral_norm"][b, j], np.sqrt(np.linalg.eigvalsh(matrix @ matrix.T)[-1]), rtol=1e-13)
        for j, (below, above) in enumerate(pairwise(matrices)):
            np.testing.assert_allclose(found["imbalance"][b, j], np.linalg.norm(below @ below.T - above.T @ above), rtol=1e-13)


def test_alignment_is_the_cosine_of_the_leading_vectors_of_the_two_squares() -> None:
    layers = gaussian(4, 3, [5, 3], seeds=range(3))
    cosines = observed("alignment", layers)
    for b in range(3):
        matrices = layers[b].matrices
        for j, (below, above) in enumerate(pairwise(matrices)):
            u, v = np.linalg.eigh(below @ below.T)[1][:, -1], np.linalg.eigh(above.T @ above)[1][:, -1]
            np.testing.assert_allclose(cosines[b, j], abs(u @ v), rtol=1e-10)
    assert (np.abs(observed("alignment", balanced(V, 4, [6, 3, 5], seeds=[0, 1])) - 1.0) < 1e-14).all()


def test_alignment_of_a_layer_of_zeros_is_nan() -> None:
    layers = gaussian(4, 3, 2, seeds=[0])
    layers = Layers([layers.matrices[0], 0.0 * layers.matrices[1], layers.matrices[2]])
    assert np.isnan(observed("alignment", layers)).all()


def test_drift_of_the_imbalance_keeps_its_digits() -> None:
    """Matrices moved by 1e-9 of themselves, in 64 bits of mantissa; as a difference of two imbalances only seven digits are left."""
    start = gaussian(4, 3, [5, 3], seeds=range(2))
    change = gaussian(4, 3, [5, 3], seeds=range(2, 4))
    layers = Layers([matrix + 1e-9 * step for matrix, step in zip(start.matrices, change.matrices, strict=True)])
    assert (observed("imbalance_drift", start) == 0.0).all()
    got = observed("imbalance_drift", layers, start)
    for j in range(2):

        def imbalance(network: Layers, j: int = j) -> np.ndarray:
            below, above = (network.matrices[i].astype(np.longdouble) for i in (j, j + 1))
            return np.einsum("bij,bkj->bik", below, below) - np.einsum("bji,bjk->bik", above, above)

        true = np.sqrt(((imbalance(layers) - imbalance(start)) ** 2).sum(axis=(1, 2)))
        np.testing.assert_allclose(got[:, j], true.astype(float), rtol=1e-9)


def test_drift_of_the_imbalance_of_another_network_is_the_difference() -> None:
    start, layers = gaussian(4, 3, [5, 3], seeds=range(2)), gaussian(4, 3, [5, 3], seeds=range(2, 4))
    differences = [now - then for now, then in zip(layers.imbalances, start.imbalances, strict=True)]
    true = np.stack([np.linalg.norm(difference, axis=(1, 2)) for difference in differences], axis=-1)
    np.testing.assert_allclose(observed("imbalance_drift", layers, start), true, rtol=1e-12)


def test_names() -> None:
    layers = gaussian(4, 2, 3, seeds=range(2))
    assert set(KNOWN) <= set(OBSERVABLES)
    assert tuple(observe(KNOWN, layers, layers, RISK, V)) == KNOWN
    assert set(KNOWN) - set(DEFAULT) == {"sharpness"}
    with pytest.raises(ValueError, match=r"`observe` must be one of .* but is 'sharpnes'; did you mean 'sharpness'"):
        observe(["sharpnes"], layers, layers, RISK, V)
