"""Networks in the subspaces they never leave: full and reduced have one velocity, and a rank-one network has width 1."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import flowsim as fs
from flowsim.layers.network import Layers
from flowsim.layers.reduction import Reduced, reduce

EPS = float(np.finfo(float).eps)
TILTED = np.array([0.6, -0.3, 0.2, 0.7, 0.1])
AXIS = np.eye(5)[2]
LAW = fs.Gaussian(dim=5)


def normal(widths: Sequence[int], count: int = 3, seed: int = 0) -> Layers:
    """Networks (count,) of normal entries with these widths, the input's first."""
    rng = np.random.default_rng(seed)
    shapes = list(zip([*widths[1:], 1], widths, strict=True))
    return Layers([rng.normal(size=(count, *shape)) / np.sqrt(shape[1]) for shape in shapes])


def rank_one(widths: Sequence[int], sizes: Sequence[float], directions: np.ndarray, seed: int = 0) -> Layers:
    """W_j = sizes_j u_(j+1) u_j^T, u_1 the given directions (B, d), the others random."""
    rng = np.random.default_rng(seed)
    units = [directions]
    for width in widths[1:]:
        draws = rng.normal(size=(len(directions), width))
        units.append(draws / np.linalg.norm(draws, axis=-1, keepdims=True))
    units.append(np.ones((len(directions), 1)))
    pairs = zip(sizes, units[1:], units[:-1], strict=True)
    return Layers([size * left[..., :, None] * right[..., None, :] for size, left, right in pairs])


def inner(reduced: Reduced, p: np.ndarray, across: np.ndarray, upper: Sequence[np.ndarray]) -> Layers:
    """The reduced networks as networks of their own, with the first axis of the input along v."""
    return Layers([np.concatenate([p[..., None], across], axis=-1), *upper])


def velocity(risk: fs.PopulationRisk, layers: Layers, gradient: np.ndarray) -> list[np.ndarray]:
    """-dL/dW_j = -(W_N ... W_(j+1))^T grad L^T (W_(j-1) ... W_1)^T, product by product."""
    rates = []
    for j in range(layers.depth):
        left = np.ones((*layers.shape, 1, 1))
        for matrix in layers.matrices[:j:-1]:
            left = left @ matrix
        right = gradient[..., None]
        for matrix in layers.matrices[:j]:
            right = matrix @ right
        rates.append(-np.swapaxes(left, -1, -2) @ np.swapaxes(right, -1, -2))
    return rates


def of_reduced(reduced: Reduced) -> Layers:
    return inner(reduced, reduced.p, reduced.across, reduced.upper)


def relative(got: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> float:
    """The largest error of a matrix relative to its largest entry."""
    return max(float((np.abs(a - b).max(axis=(-2, -1)) / np.abs(b).max(axis=(-2, -1))).max()) for a, b in zip(got, true, strict=True))


NETWORKS = {
    "depth 1": lambda: normal([5]),
    "depth 2": lambda: normal([5, 3]),
    "narrow, wide, narrow": lambda: normal([5, 2, 9, 3]),
    "wide": lambda: normal([5, 30, 30]),
    "rank one": lambda: rank_one([5, 7, 4], [1.0, 1.0, 1.0], np.random.default_rng(1).normal(size=(3, 5))),
    "sizes far apart": lambda: rank_one([5, 7, 4], [1e-30, 1e20, 3.0], np.random.default_rng(1).normal(size=(3, 5))),
    "few inputs": lambda: Layers([m @ np.diag([1.0, 1.0, 0, 0, 0]) if j == 0 else m for j, m in enumerate(normal([5, 12, 3]).matrices)]),
    "mixed ranks": lambda: Layers(
        [
            np.concatenate(pair)
            for pair in zip(normal([5, 4, 6]).matrices, rank_one([5, 4, 6], [2.0, 0.1, 1.0], TILTED[None]).matrices, strict=True)
        ]
    ),
    "zeros": lambda: Layers([np.zeros((2, 3, 5)), np.zeros((2, 1, 3))]),
}


@pytest.mark.parametrize("v", [TILTED, AXIS], ids=["tilted", "axis"])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
def test_what_is_reduced_expands_to_what_it_was(make: Callable[[], Layers], v: np.ndarray) -> None:
    layers = make()
    reduced = reduce(layers, v)
    again = reduced.expand(reduced.p, reduced.across, reduced.upper)
    for matrix, back in zip(layers.matrices, again.matrices, strict=True):
        assert np.abs(back - matrix).max() <= 1e-14 * np.abs(matrix).max()
    for basis in reduced.hidden:
        assert np.abs(np.swapaxes(basis, -1, -2) @ basis - np.eye(basis.shape[-1])).max() < 1e-14
    whole = np.concatenate([np.broadcast_to(v / np.linalg.norm(v), (len(reduced.p), 5))[..., None], reduced.inputs], axis=-1)
    assert np.abs(np.swapaxes(whole, -1, -2) @ whole - np.eye(whole.shape[-1])).max() < 1e-14


@pytest.mark.parametrize("v", [TILTED, AXIS], ids=["tilted", "axis"])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
def test_predictor_and_imbalances_are_the_same(make: Callable[[], Layers], v: np.ndarray) -> None:
    """To the rounding of the products of norms, the error of a product of matrices in any order."""
    layers = make()
    reduced = reduce(layers, v)
    small = of_reduced(reduced)
    norms = [np.linalg.norm(m, axis=(-2, -1)) for m in layers.matrices]
    unit = v / np.linalg.norm(v)
    w = small.end_to_end[:, :1] * unit + (reduced.inputs @ small.end_to_end[:, 1:, None])[..., 0]
    assert (np.abs(w - layers.end_to_end).max(axis=-1) <= 30 * EPS * np.prod(norms, axis=0)).all()
    for j, (ours, true) in enumerate(zip(small.imbalances, layers.imbalances, strict=True)):
        gap = np.abs(np.linalg.norm(ours, axis=(-2, -1)) - np.linalg.norm(true, axis=(-2, -1)))
        assert (gap <= 30 * EPS * (norms[j] ** 2 + norms[j + 1] ** 2)).all()


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("v", [TILTED, AXIS], ids=["tilted", "axis"])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("sizes far apart", "zeros")])
def test_the_velocity_stays_in_the_subspaces(name: str, v: np.ndarray, noise: float) -> None:
    """The gradient of the full matrices, against that of the reduced ones put back: what the reduction rests on."""
    risk = fs.PopulationRisk(LAW, noise)
    layers = NETWORKS[name]()
    reduced = reduce(layers, v)
    full = velocity(risk, layers, risk.gradient(layers.end_to_end, v))
    small = of_reduced(reduced)
    w = small.end_to_end
    gradient = risk.drag_ratio(np.linalg.norm(w, axis=-1))[:, None] * w - risk.signal * np.eye(w.shape[-1])[0]
    first, *upper = velocity(risk, small, gradient)
    back = reduced.expand(first[..., 0], first[..., 1:], upper)
    assert relative(back.matrices, full) < 1e-13
    # a step of a size that matters stays in the same spaces
    moved = Layers([m + 0.5 * rate for m, rate in zip(layers.matrices, full, strict=True)])
    after = Layers([m + 0.5 * rate for m, rate in zip(small.matrices, [first, *upper], strict=True)])
    put_back = reduced.expand(after.matrices[0][..., 0], after.matrices[0][..., 1:], after.matrices[1:])
    assert relative(put_back.matrices, moved.matrices) < 1e-13


@pytest.mark.parametrize("width", [1, 2, 3, 5, 50, 100])
@pytest.mark.parametrize("sizes", [[1.0, 1.0, 1.0], [0.3, 5.0, 2.0], [1e-200, 1e100, 1e3]], ids=["balanced", "unbalanced", "far apart"])
@pytest.mark.parametrize("v", [TILTED, AXIS], ids=["tilted", "axis"])
def test_rank_one_of_any_width_is_of_width_1(width: int, sizes: list[float], v: np.ndarray) -> None:
    rng = np.random.default_rng(width)
    directions = rng.normal(size=(40 if width < 10 else 1, 5))
    reduced = reduce(rank_one([5, width, width], sizes, directions, seed=width), v)
    assert reduced.p.shape == (len(directions), 1)
    assert reduced.across.shape == (len(directions), 1, 1)
    assert [m.shape[1:] for m in reduced.upper] == [(1, 1), (1, 1)]
    unit = v / np.linalg.norm(v)
    lengths = np.linalg.norm(directions, axis=-1)
    np.testing.assert_allclose(np.hypot(reduced.p[:, 0], reduced.across[:, 0, 0]), sizes[0] * lengths, rtol=1e-14)
    np.testing.assert_allclose(np.abs(reduced.p[:, 0]), sizes[0] * np.abs(directions @ unit), rtol=1e-12)


@pytest.mark.parametrize("angle", [1e-3, 1e-9, 1e-13])
def test_rank_one_near_a_tilted_ray_is_still_of_width_1(angle: float) -> None:
    """The part across v then carries the rounding of W_1: it must not look like a second direction."""
    unit = TILTED / np.linalg.norm(TILTED)
    other = np.cross(unit[:3], [1.0, 2.0, 3.0])
    other = np.array([*other, 0.0, 0.0]) / np.linalg.norm(other)
    layers = rank_one([5, 20, 20], [2.0, 1.0, 1.0], (unit + angle * other)[None])
    reduced = reduce(layers, TILTED)
    assert reduced.across.shape == (1, 1, 1)
    np.testing.assert_allclose(abs(reduced.across[0, 0, 0]), 2.0 * angle, atol=20 * EPS)


def test_a_direction_below_rounding_is_kept_where_v_is_an_axis() -> None:
    direction = np.array([[1e-40, 2e-40, 1.0, 0.0, -2e-40]])
    reduced = reduce(rank_one([5, 20, 20], [2.0, 1.0, 1.0], direction), AXIS)
    assert reduced.across.shape == (1, 1, 1)
    np.testing.assert_allclose(abs(reduced.across[0, 0, 0]), 6e-40, rtol=1e-14)


def test_columns_far_below_rounding_span_hidden_directions_of_their_own() -> None:
    """v an axis, the rest of W_1 at 1e-30 of it and in general position: none of it is lost."""
    layers = normal([5, 4])
    small = np.where(np.arange(5) == 2, 1.0, 1e-30)
    layers = Layers([layers.matrices[0] * small, layers.matrices[1]])
    reduced = reduce(layers, AXIS)
    back = reduced.expand(reduced.p, reduced.across, reduced.upper)
    assert (np.abs(back.matrices[0] - layers.matrices[0]) <= 1e-14 * small).all()


@pytest.mark.parametrize("v", [TILTED, AXIS], ids=["tilted", "axis"])
def test_on_the_ray_the_part_across_is_exactly_zero(v: np.ndarray) -> None:
    reduced = reduce(rank_one([5, 8], [1.0, 1.0], np.stack([v, -v])), v)
    assert reduced.across.shape == (2, 1, 1)
    assert (reduced.across == 0.0).all()


def test_nothing_is_turned_where_nothing_can_be_reduced() -> None:
    layers = normal([5, 4, 3])
    reduced = reduce(layers, AXIS)
    assert all(np.array_equal(basis, np.broadcast_to(np.eye(basis.shape[1]), basis.shape)) for basis in reduced.hidden)
    assert np.array_equal(reduced.p, layers.matrices[0][:, :, 2])
    assert all(np.array_equal(ours, true) for ours, true in zip(reduced.upper, layers.matrices[1:], strict=True))


def test_few_inputs_need_few_dimensions() -> None:
    """Rows of W_1 in a plane, v outside: 3 input dimensions, and of 12 units those of 2 columns of W_1 and 3 rows of W_2."""
    reduced = reduce(NETWORKS["few inputs"](), AXIS)
    assert reduced.across.shape == (3, 5, 2)
    assert [m.shape[1:] for m in reduced.upper] == [(3, 5), (1, 3)]


def test_a_network_of_less_rank_than_its_batch_has_zeros_in_the_surplus() -> None:
    reduced = reduce(NETWORKS["mixed ranks"](), AXIS)
    assert np.count_nonzero(reduced.p[3]) == 1
    assert np.count_nonzero(reduced.across[3]) == 1
    assert [np.count_nonzero(matrix[3]) for matrix in reduced.upper] == [1, 1]


def test_a_network_is_reduced_alike_alone_and_in_a_batch() -> None:
    layers = normal([5, 12, 3])
    together, alone = reduce(layers, TILTED), reduce(layers[1:2], TILTED)
    assert np.array_equal(together.across[1], alone.across[0])
    assert np.array_equal(together.upper[0][1], alone.upper[0][0])


@pytest.mark.parametrize("v", [np.zeros(5), np.ones(4)])
def test_a_teacher_of_another_shape_is_refused(v: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"`v` must be a nonzero vector of shape \(5,\)"):
        reduce(normal([5, 3]), v)
