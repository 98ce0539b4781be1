"""Starts: moments within their error bars, orthogonality and balance to rounding, and torch's own laws where torch is installed."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.layers.network import Layers
from flowsim.layers.starts import (
    STARTS,
    balanced,
    balanced_rank_one,
    gaussian,
    he,
    identity,
    orthogonal,
    pytorch_default,
    unit_vectors,
    xavier,
)

DRAWN = {name: start for name, start in STARTS.items() if name not in ("balanced_rank_one", "orthogonal")}
VARIANCES = {
    "gaussian": lambda columns, rows: 1.0 / columns,
    "he": lambda columns, rows: 2.0 / columns,
    "xavier": lambda columns, rows: 2.0 / (columns + rows),
    "pytorch_default": lambda columns, rows: 1.0 / (3.0 * columns),
}
WIDTHS = [7, 4]


def entries(start: Callable[..., Layers], seeds: range = range(1500)) -> list[np.ndarray]:
    """The matrices' entries, (B, n_j, n_(j-1)) each, at d = 5."""
    return list(start(5, 3, WIDTHS, seeds=seeds).matrices)


@pytest.mark.parametrize("name", DRAWN)
def test_entries_have_the_variance_of_their_law(name: str) -> None:
    """Mean, variance and correlation of neighbours in 1500 networks, within 5 standard errors."""
    for matrix in entries(DRAWN[name]):
        variance = VARIANCES[name](matrix.shape[2], matrix.shape[1])
        x = matrix / np.sqrt(variance)
        for moment, true in ((x, 0.0), (x**2, 1.0), (x[:, :, 1:] * x[:, :, :-1], 0.0)):
            if moment.size:
                assert abs(moment.mean() - true) < 5.0 * moment.std() / np.sqrt(moment.size)


@pytest.mark.parametrize("name", DRAWN)
def test_entries_are_distributed_as_their_law(name: str) -> None:
    """Kolmogorov and Smirnov's test: p above 1e-4 for each matrix; at fixed seeds it cannot fail by chance."""
    for matrix in entries(DRAWN[name], range(300)):
        deviation = np.sqrt(VARIANCES[name](matrix.shape[2], matrix.shape[1]))
        half = np.sqrt(3.0) * deviation
        law = stats.norm(0.0, deviation) if name in ("gaussian", "he") else stats.uniform(-half, 2.0 * half)
        assert stats.kstest(matrix.ravel(), law.cdf).pvalue > 1e-4


@pytest.mark.parametrize("scale", [1.0, 3.0, 1e-3])
def test_orthogonal_layers_are_orthonormal_up_to_scale(scale: float) -> None:
    for matrix in orthogonal(40, 4, [60, 60, 20], scale=scale, seeds=range(3)).matrices:
        rows, columns = matrix.shape[1:]
        square = matrix @ np.swapaxes(matrix, 1, 2) if rows <= columns else np.swapaxes(matrix, 1, 2) @ matrix
        assert np.abs(square / scale**2 - np.eye(min(rows, columns))).max() < 1e-14


def test_orthogonal_layers_are_uniform() -> None:
    """Of a Haar matrix every entry has mean 0 and n x^2 mean 1, also on the diagonal, where a QR factor alone has another mean."""
    for matrix in orthogonal(4, 2, 4, seeds=range(1500)).matrices:
        diagonal = np.diagonal(matrix, axis1=1, axis2=2).ravel()
        assert abs(diagonal.mean()) < 5.0 * diagonal.std() / np.sqrt(diagonal.size)
        squares = 4.0 * diagonal**2
        assert abs(squares.mean() - 1.0) < 5.0 * squares.std() / np.sqrt(squares.size)
    square = orthogonal(4, 2, 4, seeds=range(1500)).matrices[0]
    determinants = np.linalg.det(square)
    assert abs(determinants.mean()) < 5.0 / np.sqrt(determinants.size)


@pytest.mark.parametrize("width", [1, 6, [3, 8, 2]])
@pytest.mark.parametrize("length", [1.0, 1e-8, 250.0])
def test_balanced_layers_multiply_to_w_and_are_balanced(width: int | list[int], length: float) -> None:
    w = np.random.default_rng(0).normal(size=(5, 3))
    w *= length / np.linalg.norm(w, axis=-1, keepdims=True)
    layers = balanced(w, 4, width, seeds=np.arange(5))
    assert np.abs(layers.end_to_end - w).max() < 1e-14 * length
    for matrix, difference in zip(layers.matrices, layers.imbalances, strict=False):
        square = length**0.5
        assert np.abs(difference).max() < 1e-14 * square
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=(1, 2)), length**0.25, rtol=1e-14)
        assert (np.linalg.svd(matrix, compute_uv=False)[:, 1:] < 1e-14 * length**0.25).all()


def test_balanced_keeps_entries_far_apart() -> None:
    layers = balanced([1.0, 1e-250, -3e-300], 3, 4)
    np.testing.assert_allclose(layers.end_to_end, [1.0, 1e-250, -3e-300], rtol=1e-14)
    np.testing.assert_allclose(balanced([3e200, 4e200], 2, 3).end_to_end, [3e200, 4e200], rtol=1e-14)


def test_seeds_broadcast_with_predictors() -> None:
    w = np.random.default_rng(0).normal(size=(2, 1, 3))
    assert balanced(w, 2, 5, seeds=[0, 1, 2, 3]).shape == (2, 4)
    assert balanced(w, 2, 5).shape == (2, 1)
    assert balanced(w[0, 0], 2, 5, seeds=[3, 4]).shape == (2,)
    with pytest.raises(ValueError, match=r"`seeds` must broadcast with the leading shape of `w`, \(2,\), but has shape \(3,\)"):
        balanced(w[:, 0], 2, 5, seeds=[0, 1, 2])


def test_directions_and_hidden_vectors_are_uniform() -> None:
    """Of a uniform unit vector in R^n: mean 0, n x^2 of mean 1, with error bars; in the direction of w and in a hidden layer."""
    layers = balanced_rank_one(3, 2, 4, norm=2.0, seeds=range(2000))
    for unit in (layers.end_to_end / 2.0, layers.matrices[1][:, 0] / np.sqrt(2.0)):
        squares = unit.shape[1] * unit**2
        assert (np.abs(unit.mean(axis=0)) < 5.0 * unit.std(axis=0) / np.sqrt(len(unit))).all()
        assert (np.abs(squares.mean(axis=0) - 1.0) < 5.0 * squares.std(axis=0) / np.sqrt(len(unit))).all()


def test_unit_vectors_are_the_paper_s_start() -> None:
    """Figure 1: w(0) = (0.6, -0.8), every layer of norm 1; the length of w does not matter."""
    layers = unit_vectors([0.6, -0.8], 4, [5, 6, 7], seeds=[1, 2])
    np.testing.assert_allclose(layers.end_to_end, np.broadcast_to([0.6, -0.8], (2, 2)), rtol=1e-14)
    assert all(np.allclose(np.linalg.norm(matrix, axis=(1, 2)), 1.0, rtol=1e-14) for matrix in layers.matrices)
    longer = unit_vectors([6.0, -8.0], 4, [5, 6, 7], seeds=[1, 2])
    assert all(np.allclose(a, b, rtol=1e-15) for a, b in zip(layers.matrices, longer.matrices, strict=True))
    at_width_1 = [matrix.tolist() for matrix in unit_vectors([0.6, -0.8], 2).matrices]
    np.testing.assert_allclose(at_width_1[0], [[0.6, -0.8]], rtol=1e-15)
    assert at_width_1[1] == [[1.0]]


def test_identity_is_the_first_axis() -> None:
    layers = identity(3, 3, [5, 2], scale=2.0)
    assert [matrix.shape for matrix in layers.matrices] == [(5, 3), (2, 5), (1, 2)]
    assert layers.end_to_end.tolist() == [8.0, 0.0, 0.0]
    assert all((matrix == 2.0 * np.eye(*matrix.shape)).all() for matrix in layers.matrices)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_a_seed_gives_the_same_network_in_any_batch(start: Callable[..., Layers]) -> None:
    alone, batch, grid = start(3, 3, 4, seeds=7), start(3, 3, 4, seeds=[5, 7]), start(3, 3, 4, seeds=[[7], [8]])
    assert (alone.shape, batch.shape, grid.shape) == ((), (2,), (2, 1))
    for one, two, three in zip(alone.matrices, batch.matrices, grid.matrices, strict=True):
        assert np.array_equal(one, two[1])
        assert np.array_equal(one, three[0, 0])
        assert not np.array_equal(two[0], two[1])
    later = start(3, 3, [4, 6], seeds=7)
    assert np.array_equal(alone.matrices[0], later.matrices[0])


def test_layers_and_seeds_are_independent() -> None:
    """The correlation of two layers' entries, and of neighbouring seeds', over 1500 networks, within 5 standard errors."""
    first, second, _ = gaussian(4, 3, 4, seeds=range(1500)).matrices
    for left, right in ((first, second), (first[1:], first[:-1]), (first[1:], second[:-1])):
        products = 4.0 * left * right
        assert abs(products.mean()) < 5.0 * products.std() / np.sqrt(products.size)


@pytest.mark.parametrize("start", [gaussian, orthogonal], ids=["gaussian", "orthogonal"])
def test_scale_multiplies_each_layer(start: Callable[..., Layers]) -> None:
    plain, scaled = start(3, 3, 4, seeds=2), start(3, 3, 4, scale=10.0, seeds=2)
    assert all(np.allclose(10.0 * a, b, rtol=1e-15) for a, b in zip(plain.matrices, scaled.matrices, strict=True))


@pytest.mark.parametrize("start", [*STARTS.values(), identity], ids=[*STARTS, "identity"])
def test_depth_1_is_a_row_whatever_the_width(start: Callable[..., Layers]) -> None:
    assert [matrix.shape for matrix in start(3, 1, 4).matrices] == [(1, 3)]
    assert [matrix.shape for matrix in start(3, 1, []).matrices] == [(1, 3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 1}, "`dim` must be a whole number, 2 or more, but is 1"),
        ({"depth": 0}, "`depth` must be a whole number from 1 to 100, but is 0"),
        ({"depth": 101}, "`depth` must be a whole number from 1 to 100, but is 101"),
        ({"width": 0}, "`width` must be a whole number, 1 or more, but is 0"),
        ({"width": [2, 3, 4]}, r"`width` must be one number, or 2 of them, one a hidden layer, but has shape \(3,\)"),
        ({"width": []}, r"`width` must be one number, or 2 of them, one a hidden layer, but has shape \(0,\)"),
        ({"width": 2.5}, "`width` must be a whole number, 1 or more, but is 2.5"),
        ({"seeds": -1}, "`seeds` must be a whole number, 0 or more, but is -1"),
        ({"seeds": []}, "`seeds` must hold at least one number, but is empty"),
        ({"scale": 0.0}, "`scale` must be positive and finite, but is 0"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gaussian(**{"dim": 3, "depth": 3, "width": 2, **arguments})


def test_bad_predictors_and_norms_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`w` must have shape \(..., d\) with d at least 2, but has shape \(1,\)"):
        balanced([1.0], 2)
    with pytest.raises(ValueError, match="`w` must be nonzero, for its direction is a layer's, but is 0"):
        unit_vectors([[1.0, 0.0], [0.0, 0.0]], 2)
    with pytest.raises(ValueError, match="`norm` must be positive and finite, but is -1"):
        balanced_rank_one(3, 2, norm=-1.0)
    for start in (orthogonal, identity):
        with pytest.raises(ValueError, match="`scale` must be positive and finite, but is -1"):
            start(3, 2, 4, scale=-1.0)


def test_laws_are_those_of_torch() -> None:
    """Against torch's own initialisers, 2000 draws each: a two-sample Kolmogorov-Smirnov p above 1e-4, and the same bounds."""
    torch = pytest.importorskip("torch", reason="torch is in the extra `bench`")
    from torch.nn import init

    rows, columns = 40, 50
    torch.manual_seed(0)
    linear = torch.nn.Linear(columns, rows, bias=False, dtype=torch.float64)
    theirs = {"pytorch_default": linear.weight.detach().numpy()}
    for name, fill in (("xavier", init.xavier_uniform_), ("he", lambda w: init.kaiming_normal_(w, nonlinearity="relu"))):
        theirs[name] = fill(torch.empty(rows, columns, dtype=torch.float64)).numpy()
    ours = {"pytorch_default": pytorch_default, "xavier": xavier, "he": he}
    for name, sample in theirs.items():
        matrix = ours[name](columns, 2, rows, seeds=1).matrices[0]
        assert matrix.shape == sample.shape
        assert stats.ks_2samp(matrix.ravel(), sample.ravel()).pvalue > 1e-4
        if name != "he":
            bound = np.sqrt(6.0 / (rows + columns)) if name == "xavier" else np.sqrt(1.0 / columns)
            for drawn in (matrix, sample):
                assert 0.99 * bound < np.abs(drawn).max() <= bound
    square = init.orthogonal_(torch.empty(rows, columns, dtype=torch.float64)).numpy()
    mine = orthogonal(columns, 2, rows, seeds=1).matrices[0]
    assert np.abs(square @ square.T - mine @ mine.T).max() < 1e-13


def test_names_lead_to_starts() -> None:
    assert all(getattr(fs.layers, name).__name__ == start.__name__ == name for name, start in STARTS.items())
