"""What imbalances do, against matrices: random ones, and flows of them integrated by SciPy."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.stats
from scipy.integrate import solve_ivp
from scipy.special import expit

import flowsim as fs
from flowsim.theory import (
    GenericDirection,
    alignment_bound,
    generic_direction,
    generic_direction_exponent,
    imbalance_step,
    imbalances,
    layer_ratio,
    rank_one_excess_bound,
    unbalanced_two_layer_direction,
)

RISK = fs.PopulationRisk(fs.Gaussian(dim=3))
LATE = 3e7


def random_layers(rng, depth, width=3, dim=3, batch=(), scale=1.0):
    shapes = [(width, dim), *[(width, width)] * (depth - 2), (1, width)]
    return [scale * rng.standard_normal((*batch, *shape)) / np.sqrt(shape[1]) for shape in shapes]


def singular(matrix):
    """(U, values, V) with the columns of U and V the singular vectors."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return left, values, np.swapaxes(right, -1, -2)


# --- flows of matrices, v = e_1 ---


@dataclass(frozen=True)
class Run:
    """times (T,), layers [(T, m_j, m_{j-1})], norm r (T,), and the part of w/r across v (T, d-1), which is evolved, not subtracted."""

    times: np.ndarray
    layers: list[np.ndarray]
    norm: np.ndarray
    across: np.ndarray


@cache
def flow(depth, seed=1, width=3) -> Run:
    """Gradient flow of Gaussian matrices in the first column p of W_1, the rest Q, the upper layers, and q = Q^T (W_N..W_2)^T."""
    start = random_layers(np.random.default_rng(seed), depth, width)
    shapes = [(width,), (width, 2), *(layer.shape for layer in start[1:]), (2,)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def parts(y):
        return [part.reshape(shape) for part, shape in zip(np.split(y, ends[:-1]), shapes, strict=True)]

    def velocity(u, y):
        p, rest, *upper, q = parts(y)
        above = [np.ones(1)]  # (W_N..W_{j+1})^T, from j = N down to 1
        for layer in reversed(upper):
            above.append(layer.T @ above[-1])
        lead = above[-1]
        along = lead @ p
        r = np.hypot(along, np.linalg.norm(q))
        h = float(RISK.growth(r))
        drag = (RISK.pull - h) / r
        push = h + (RISK.pull - h) * (q @ q) / (r * (r + along)) if along > 0 else RISK.pull - drag * along
        below = [push * p - drag * rest @ q]  # -W_{j-1}..W_1 grad L
        rates = []
        for j, layer in enumerate(upper):
            rates.append(np.outer(above[len(upper) - 1 - j], below[-1]))
            below.append(layer @ below[-1])
        lead_rate = np.zeros(1)
        for j in reversed(range(len(upper))):
            top = above[len(upper) - 1 - j]
            lead_rate = (upper[j].T @ lead_rate if j + 1 < len(upper) else 0.0) + (top @ top) * below[j]
        changes = [push * lead, -drag * np.outer(lead, q), *rates, -drag * (lead @ lead) * q + rest.T @ lead_rate]
        return np.concatenate([change.ravel() for change in changes]) * 0.01 * np.exp(u)

    lead = np.ones(1)
    for layer in reversed(start[1:]):
        lead = layer.T @ lead
    begin = [start[0][:, 0], start[0][:, 1:], *start[1:], start[0][:, 1:].T @ lead]
    clock = np.log1p(np.geomspace(1.0, LATE, 31) / 0.01)
    run = solve_ivp(velocity, (0.0, clock[-1]), np.concatenate([b.ravel() for b in begin]), "BDF", np.r_[0.0, clock], rtol=1e-9, atol=1e-16)
    assert run.success
    rows = [parts(y) for y in run.y.T]
    columns = [np.array([row[i] for row in rows]) for i in range(len(shapes))]
    p, rest, *upper, q = columns
    first = np.concatenate([p[..., None], rest], axis=-1)
    end = np.ones((len(rows), 1, 1))
    for layer in reversed(upper):
        end = end @ layer
    norm = np.hypot((end @ p[..., None])[:, 0, 0], np.linalg.norm(q, axis=-1))
    return Run(0.01 * np.expm1(run.t), [first, *upper], norm, q / norm[:, None])


V = np.array([1.0, 0.0, 0.0])
depths = pytest.mark.parametrize("depth", [2, 3, 4])


# --- imbalances ---


@depths
def test_imbalances_are_conserved_by_the_flow_of_matrices(depth):
    run = flow(depth)
    for b in imbalances(run.layers):
        # the integrator's rtol 1e-9 on layers that grow by up to 100
        assert np.abs(b - b[0]).max() < 1e-7 * np.abs(run.layers[0]).max() ** 2
        assert np.abs(b[0]).max() > 0.1


@depths
def test_a_step_of_descent_moves_them_as_said(depth):
    rng = np.random.default_rng(depth)
    layers = random_layers(rng, depth, width=4, batch=(5,))
    w = layers[0]
    for layer in layers[1:]:
        w = layer @ w
    gradient, eta = RISK.gradient(w[..., 0, :], V), 0.3
    moved = []
    for j, layer in enumerate(layers):
        # the gradient in W_j by differences of <g, w>, which is linear in W_j: exact up to rounding
        slope = np.zeros_like(layer)
        for i, k in np.ndindex(*layer.shape[-2:]):
            unit = np.zeros_like(layer)
            unit[..., i, k] = 1.0
            product = np.eye(3)
            for m, other in enumerate(layers):
                product = (unit if m == j else other) @ product
            slope[..., i, k] = (product[..., 0, :] * gradient).sum(axis=-1)
        moved.append(layer - eta * slope)
    for before, after, change in zip(imbalances(layers), imbalances(moved), imbalance_step(layers, gradient, eta), strict=True):
        np.testing.assert_allclose(after - before, change, atol=1e-14)
        assert np.abs(change).max() > 1e-3


def test_a_batch_is_its_members():
    batch = random_layers(np.random.default_rng(0), 4, batch=(3, 2))
    one = [layer[2, 1] for layer in batch]
    np.testing.assert_array_equal(rank_one_excess_bound(batch)[2, 1], rank_one_excess_bound(one))
    np.testing.assert_array_equal(alignment_bound(batch, [9.0, 8.0, 7.0])[2, 1], alignment_bound(one, [9.0, 8.0, 7.0]))
    for many, single in zip(imbalances(batch), imbalances(one), strict=True):
        np.testing.assert_array_equal(many[2, 1], single)


# --- bounds ---


def excesses(layers):
    values = [singular(layer)[1] for layer in layers]
    return np.stack([(v[..., 1:] ** 2).sum(axis=-1) for v in values], axis=-1)


def overlaps(layers):
    pairs = pairwise(layers)
    return np.stack([(singular(low)[0][..., 0] * singular(up)[2][..., 0]).sum(axis=-1) ** 2 for low, up in pairs], axis=-1)


def tops(layers):
    return np.stack([singular(layer)[1][..., 0] for layer in layers[:-1]], axis=-1)


@depths
@pytest.mark.parametrize("shift", [0.0, 3.0, 30.0])
def test_both_bounds_hold_on_random_matrices(depth, shift):
    layers = random_layers(np.random.default_rng(depth), depth, dim=5, batch=(2000,))
    for layer in layers:
        layer[..., 0, 0] += shift
    allowed, found = rank_one_excess_bound(layers), excesses(layers)
    assert (found <= allowed + 1e-12 * np.abs(allowed) + 1e-12).all()
    bound = alignment_bound(layers, tops(layers))
    assert (overlaps(layers) >= bound - 1e-12).all()
    assert ((bound >= 0.0) & (bound <= 1.0)).all()
    if shift == 30.0:
        assert (bound > 0.5).mean() > 0.9
        assert (found[:, -2] > 0.5 * allowed[:, -2]).any()


@depths
def test_both_bounds_hold_along_the_flow_from_its_start_alone(depth):
    run = flow(depth)
    start = [layer[0] for layer in run.layers]
    assert (excesses(run.layers) <= rank_one_excess_bound(start) + 1e-6).all()
    bound = alignment_bound(start, tops(run.layers))
    missed = 1.0 - overlaps(run.layers)
    assert (missed <= 1.0 - bound + 1e-9).all()
    # both fall like |W|^-4, or t^(-4/(N+2)): over the last 4.5 decades of time they stay within a constant of each other
    late = run.times > 1e3
    assert (1.0 - bound[-1] < 1e-2).all()
    slope = np.polyfit(np.log(tops(run.layers)[late, 0]), np.log(1.0 - bound[late, 0]), 1)[0]
    assert slope == pytest.approx(-4.0, abs=0.5)


def test_the_bound_on_the_excess_is_attained():
    layers = [np.diag([3.0, 2.0, 1.0]), np.array([[2.9, 0.0, 0.0]])]
    assert rank_one_excess_bound(layers).tolist() == pytest.approx([5.0, 0.0])
    assert excesses(layers)[0] == pytest.approx(5.0)


def test_the_second_bound_on_the_alignment_is_attained_as_layers_grow():
    size, b = 1e4, 1.0
    square = np.array([[size, b], [b, 2.0 * b**2 / size]])
    layers = [np.linalg.cholesky(square), np.array([[np.sqrt(size), 0.0]])]
    missed = np.linalg.eigh(square)[1][1, 1] ** 2
    assert missed / (1.0 - alignment_bound(layers, tops(layers))[0]) == pytest.approx(1.0, abs=1e-3)


def test_the_bound_is_no_larger_than_with_spectral_norms_and_one_constant_for_all_layers():
    layers = random_layers(np.random.default_rng(3), 5, batch=(300,))
    squares = np.stack([(layer**2).sum(axis=(-2, -1)) for layer in layers], axis=-1)
    printed = squares.max(axis=-1) - squares[:, -1] + sum(np.linalg.norm(b, 2, axis=(-2, -1)) for b in imbalances(layers))
    assert (rank_one_excess_bound(layers) <= printed[:, None] + 1e-12).all()


# --- two rank-one layers ---


def two_layers(risk, imbalance, times):
    """s + c t of w = a z from r = 1, theta = 1: SciPy in (log r, s), a and |z| from r and the imbalance by their definition."""

    def velocity(t, y):
        r = np.exp(y[0])
        lower = 0.5 * (np.sqrt(imbalance**2 + 4.0 * r**2) - imbalance)  # a^2
        h, gap = float(risk.growth(r)), 2.0 * expit(2.0 * (y[1] - risk.pull * t))
        return [(2.0 * lower + imbalance) / r * (h - risk.pull * gap), risk.pull * (1.0 - lower / r)]

    run = solve_ivp(velocity, (0.0, times[-1]), [0.0, np.log(np.tan(0.5))], "LSODA", times, rtol=1e-11, atol=1e-12)
    assert run.success
    return run.y[1]


@pytest.mark.parametrize("imbalance", [-3.0, 2.0])
@pytest.mark.parametrize("law", [fs.Gaussian(dim=2), fs.Laplace(dim=2)])
def test_the_imbalance_moves_the_direction_by_its_square_root_of_time(law, imbalance):
    risk, times = fs.PopulationRisk(law), np.geomspace(1e4, 1e8, 9)
    found = two_layers(risk, imbalance, times)
    predicted = [unbalanced_two_layer_direction(risk, imbalance, times, order) + risk.pull * times for order in (1, 2)]
    left = [np.ptp((found - p)[4:]) for p in predicted]
    leading = np.ptp(predicted[0][4:])
    assert left[0] < 0.02 * leading
    # the logarithm's own share of those two decades, and that it is right to a twentieth: the other sign is off by twice its size
    logarithm = np.ptp((predicted[1] - predicted[0])[4:])
    assert left[0] == pytest.approx(logarithm, rel=0.05)
    assert left[1] < 0.05 * logarithm


def test_the_drift_for_a_power_tail_has_its_power():
    risk, times = fs.PopulationRisk(fs.Radial(3, scipy.stats.gamma(0.5))), np.geomspace(1e8, 1e10, 5)
    found = two_layers(risk, 1.0, times)
    predicted = unbalanced_two_layer_direction(risk, 1.0, times) + risk.pull * times
    np.testing.assert_allclose(np.diff(found) / np.diff(predicted), 1.0, rtol=0.01)
    with pytest.raises(ValueError, match="`order` must be 1 for this law"):
        unbalanced_two_layer_direction(risk, 1.0, times, order=2)


def test_the_ratio_of_the_layers_keeps_the_imbalance_at_all_sizes():
    delta = np.array([-1e8, -2.0, 0.0, 1e-9, 1e8])[:, None]
    norm = np.array([1e-6, 1.0, 1e9])
    ratio = layer_ratio(delta, norm)
    np.testing.assert_allclose(ratio * layer_ratio(-delta, norm), 1.0, rtol=1e-15)
    np.testing.assert_allclose(norm / ratio - norm * ratio, np.broadcast_to(delta, ratio.shape), rtol=1e-12, atol=4e-16 * norm.max())


# --- generic layers ---


def settled(run, i=-1) -> Any:
    return generic_direction(RISK, [layer[i] for layer in run.layers], V)


@depths
def test_the_direction_of_generic_layers_is_the_predicted_vector(depth):
    run, best = flow(depth), 1 if depth == 2 else 2
    assert (settled(run).leading[0], settled(run).depth) == (0.0, depth)

    def miss(i, order):
        """Relative error of the vector q/r predicted from the layers at that moment."""
        return np.linalg.norm(settled(run, i).across(run.norm[i], order)[1:] - run.across[i]) / np.linalg.norm(run.across[i])

    assert miss(-1, best) < {2: 1e-4, 3: 4e-4, 4: 2.5e-3}[depth]
    # what is left is smaller by r^(-2/N), and without the second term by the r^(-1/N) of it
    late = range(-14, 0)
    slope = np.polyfit(np.log(run.norm[late]), np.log([miss(i, best) for i in late]), 1)[0]
    assert slope == pytest.approx(-2.0 / depth, abs=0.05)
    if depth > 2:
        assert miss(-1, 1) > 5.0 * miss(-1, 2)


@depths
def test_the_direction_of_generic_layers_is_a_power_of_time(depth):
    run = flow(depth)
    angles = np.linalg.norm(run.across, axis=-1)
    slope = np.log(angles[-1] / angles[-5]) / np.log(run.times[-1] / run.times[-5])
    assert generic_direction_exponent(RISK, depth) == pytest.approx((2 * depth + 3) / (depth + 2))
    assert -slope == pytest.approx(generic_direction_exponent(RISK, depth), abs=0.01)
    found = settled(run)
    assert float(found.angle_at(run.times[-1])) == pytest.approx(angles[-1], rel={2: 0.01, 3: 0.03, 4: 0.08}[depth], abs=0.0)


def test_the_law_in_time_is_the_law_in_the_norm_at_the_leading_norm():
    for law in (fs.Laplace(dim=3), fs.Radial(3, scipy.stats.gamma(0.5))):
        risk = fs.PopulationRisk(law)
        for depth in (2, 5):
            found = GenericDirection(risk, depth, np.array([0.0, 0.3, -0.1]), np.full(3, np.nan))
            at = 1e40  # where h is its tail to rounding
            assert float(found.angle_at(at)) == pytest.approx(float(found.angle(fs.theory.rates(risk, depth).norm(at))), rel=1e-9, abs=0.0)


def test_the_prediction_turns_with_the_teacher():
    layers = [layer[-1] for layer in flow(3).layers]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    turned = generic_direction(RISK, [layers[0] @ turn, *layers[1:]], 2.5 * V @ turn)
    expected = settled(flow(3))
    # the components along v cancel in size |W_1|^3 times rounding
    np.testing.assert_allclose(turned.leading, expected.leading @ turn, atol=1e-9)
    np.testing.assert_allclose(turned.second, expected.second @ turn, atol=1e-9)


# --- refusals ---


@pytest.mark.parametrize("kind", ["width one", "rank one", "balanced"])
def test_layers_whose_direction_is_exponential_are_refused(kind):
    rng = np.random.default_rng(4)
    z, unit = rng.standard_normal(3), rng.standard_normal(4)
    unit /= np.linalg.norm(unit)
    layers = {
        "width one": [z[None, :], np.array([[1.3]]), np.array([[0.4]])],
        "rank one": [np.outer(unit, z), 1.3 * np.outer(unit, unit), 0.4 * unit[None, :]],
        "balanced": [np.outer(unit, z), np.linalg.norm(z) * np.outer(unit, unit), np.linalg.norm(z) * unit[None, :]],
    }[kind]
    with pytest.raises(ValueError, match=r"`matrices` must be generic, but Q\^T P B u is 0"):
        generic_direction(RISK, layers, V)


def test_matrices_that_do_not_fit_are_refused():
    good = random_layers(np.random.default_rng(0), 3)
    for bad in (good[:2], good[::-1], [good[0], good[2].T, good[2]], [good[0][None], *good[1:]], [good[0][0], *good[1:]]):
        with pytest.raises(ValueError, match=r"`matrices` must have shapes \(..., m_1, d\), .*, but have"):
            imbalances(bad)
    for bad in (good[:1], good[0], 3.0, "abc"):
        with pytest.raises(ValueError, match=r"`matrices` must be a sequence of two or more matrices"):
            rank_one_excess_bound(bad)
    with pytest.raises(ValueError, match="`matrices` must be finite, but is nan"):
        imbalances([good[0] * np.nan, *good[1:]])
    with pytest.raises(ValueError, match=r"`matrices` must begin with a W_1 of 2 columns, the law's dimension, but has shape \(3, 3\)"):
        generic_direction(fs.PopulationRisk(fs.Gaussian(dim=2)), good, [1.0, 0.0])
    with pytest.raises(ValueError, match="`matrices` must be of a late moment, but W_1 v is 0"):
        generic_direction(RISK, [good[0] * [0.0, 1.0, 1.0], *good[1:]], V)


def test_other_arguments_are_refused_by_name():
    good = random_layers(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match=r"`gradient` must have shape \(3,\), but has shape \(2,\)"):
        imbalance_step(good, [1.0, 2.0], 0.1)
    with pytest.raises(ValueError, match="`step_size` must be positive and finite, but is 0"):
        imbalance_step(good, V, 0.0)
    with pytest.raises(ValueError, match=r"`singular_values` must have shape \(..., 2\)"):
        alignment_bound(good, 3.0)
    with pytest.raises(ValueError, match="`singular_values` must be positive and finite, but is -1"):
        alignment_bound(good, [1.0, -1.0])
    with pytest.raises(ValueError, match=r"`v` must be a nonzero vector of shape \(3,\)"):
        generic_direction(RISK, good, [1.0, 0.0])
    with pytest.raises(ValueError, match="`norm` must be positive and finite, but is 0"):
        layer_ratio(1.0, 0.0)
    for call in (layer_ratio, lambda d, t: unbalanced_two_layer_direction(RISK, d, t)):
        with pytest.raises(ValueError, match=r"must broadcast, but have shapes \(2,\) and \(3,\)"):
            call([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="`depth` must be a whole number from 2 to 100, but is 1"):
        generic_direction_exponent(RISK, 1)
    found = GenericDirection(RISK, 2, np.array([0.0, 0.3, 0.0]), np.full(3, np.nan))
    with pytest.raises(ValueError, match="`order` must be 1 at depth 2, but is 2"):
        found.across(10.0, order=2)
    with pytest.raises(ValueError, match="`t` must be positive and finite, but is 0"):
        found.angle_at(0.0)


@pytest.mark.parametrize(
    ("risk", "words"),
    [
        (fs.PopulationRisk(fs.Gaussian(dim=3), label_noise=0.1), "`risk` must be free of label noise, but has 0.1"),
        (fs.PopulationRisk(fs.Radial(3, scipy.stats.gamma(1.0))), "`risk` must have a growth with a power tail"),
        (1.0, "`risk` must be a flowsim.PopulationRisk, but is 1.0"),
    ],
)
def test_risks_without_the_laws_are_refused(risk, words):
    layers = random_layers(np.random.default_rng(0), 2)
    for call in (
        lambda: generic_direction(risk, layers, V),
        lambda: generic_direction_exponent(risk, 2),
        lambda: unbalanced_two_layer_direction(risk, 1.0, 1.0),
    ):
        with pytest.raises(ValueError, match=words):
            call()
