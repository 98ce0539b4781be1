"""The claims about layers of matrices: their starts, their fits and their witnesses, and of what they do not speak."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims.layers import alignment, exceptions, generic, imbalance, late_exponents, plane, runs, sharpness, two_layers
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import OutOfScope, Setting, risk_of
from flowsim.theory import generic_direction, imbalances, rank_one_excess_bound

GAUSSIAN = risk_of(fs.Gaussian(3))


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_the_teacher_has_unit_length_and_lies_along_no_axis(dim: int) -> None:
    v = runs.teacher(dim)
    assert np.linalg.norm(v) == pytest.approx(1.0, rel=1e-15)
    assert (np.abs(v) > 0.1).all()


def test_a_seed_is_the_same_network_in_any_batch() -> None:
    kinds = ("gaussian", "he")
    batch = runs.drawn(kinds, 3, 3, range(8, 16))
    assert batch.shape == (8,)
    for seed in (8, 13):
        alone = fs.layers.STARTS[kinds[seed % 2]](3, 3, runs.WIDTH, seeds=seed)
        for ours, theirs in zip(batch[seed - 8].matrices, alone.matrices, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    joined = runs.joined([batch, alone])
    assert joined.shape == (9,)
    np.testing.assert_array_equal(joined.matrices[1][8], alone.matrices[1])


@pytest.mark.parametrize("dim", [2, 3, 5])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_start_near_the_bound_on_the_excess_nearly_attains_it(dim: int, depth: int) -> None:
    start = runs.excess_start(dim, depth)
    bound = rank_one_excess_bound(start.matrices)
    for k, matrix in enumerate(start.matrices[:-1]):
        values = np.linalg.svd(matrix, compute_uv=False)
        assert (0.98 if dim == 2 else 0.999) < (np.sum(values**2) - values[0] ** 2) / bound[k] < 1.0
    assert np.linalg.matrix_rank(start.matrices[0]) == min(dim, runs.WIDTH)


@pytest.mark.parametrize("depth", [2, 3])
def test_the_start_near_the_bound_on_the_angle_has_its_imbalance_at_half_a_right_angle(depth: int) -> None:
    start = runs.aligned_start(3, depth)
    first, *above = start.imbalances
    values = np.linalg.eigvalsh(first)
    p = start.matrices[0] @ runs.teacher(3)
    u = p / np.linalg.norm(p)
    across = first @ u - u * (u @ first @ u)
    np.testing.assert_allclose(values[[0, -1]], [-0.05, 0.05], rtol=0.05)
    assert np.linalg.norm(across) == pytest.approx((values[-1] - values[0]) / 2.0, rel=5e-3)
    assert all(np.abs(b).max() < 1e-15 for b in above)


def test_rank_one_networks_are_balanced_where_nothing_multiplies_them() -> None:
    for spread, balanced in ((0.0, True), (1.0, False)):
        batch = runs.rank_one_batch(3, 3, 4, seed=1, spread=spread)
        assert all((np.linalg.matrix_rank(matrix) == 1).all() for matrix in batch.matrices)
        assert all((np.abs(b).max(axis=(-2, -1)) < 1e-14).all() == balanced for b in batch.imbalances)


POWERS = [
    (fs.Gaussian(3), 2, [1.0, 2.0, 3.0, 4.0, 5.0]),
    (fs.Gaussian(3), 3, [1 / 3, 2 / 3, 1.0, 4 / 3, 5 / 3]),
    (fs.Laplace(2), 4, [0.25, 0.5, 0.75, 1.0, 1.25]),
    (fs.Radial(3, stats.gamma(0.5)), 2, [0.5, 1.0, 1.5, 2.0, 2.5]),
]


@pytest.mark.parametrize(("law", "depth", "powers"), POWERS)
def test_corrections_go_in_the_powers_of_the_layers_and_of_the_tail(law: fs.Law, depth: int, powers: list[float]) -> None:
    np.testing.assert_allclose(late_exponents.correction_powers(risk_of(law), depth), powers, rtol=1e-8)


TIME = 10.0 ** np.linspace(5.0, 8.0, 19)
NORM = 1.3 * TIME**0.6


def _power_law(exponent: float, size: float) -> np.ndarray:
    """log of C t^-p times a series in r^(-1/3) that does not end."""
    return 0.7 - exponent * np.log(TIME) + np.log1p(size * NORM ** (-1 / 3) / (1.0 - 0.5 * NORM ** (-1 / 3)))


@pytest.mark.parametrize("size", [-0.8, 0.5, 5.0])
def test_a_fitted_exponent_is_right_to_within_its_error(size: float) -> None:
    powers = [k / 3 for k in range(1, 6)]
    found = late_exponents.late_exponent(TIME, NORM, _power_law(1.8, size), powers)
    assert abs(found.value - 1.8) < found.error < 1e-2
    bare = -np.polyfit(np.log(TIME), _power_law(1.8, size), 1)[0]
    assert abs(found.value - 1.8) < 0.02 * abs(bare - 1.8)


def test_the_error_of_an_exponent_covers_noise() -> None:
    # three standard deviations of 200 draws of noise alone; what the corrections are moved by comes on top, so 1 is not reached
    powers = [k / 3 for k in range(1, 6)]
    noise = 1e-6 * np.random.default_rng(0).normal(size=(200, TIME.size))
    found = [late_exponents.late_exponent(TIME, NORM, _power_law(1.8, 0.5) + one, powers) for one in noise]
    shares = [abs(value - 1.8) / error for value, error in found]
    assert max(shares) < 1.0
    assert float(np.median(shares)) > 0.02


def test_a_direction_that_passes_near_zero_tells_no_exponent() -> None:
    powers = [k / 3 for k in range(1, 6)]
    dip = _power_law(1.8, 0.5) + np.log(np.abs(1.0 - (1e6 / TIME) ** 0.3) + 1e-3)
    assert late_exponents.late_exponent(TIME, NORM, dip, powers).error > late_exponents.TOLD
    assert late_exponents.late_exponent(TIME, NORM, np.where(TIME > 1e7, np.nan, dip), powers).error == np.inf


def _layer_run(log_norm: np.ndarray, s: np.ndarray, last: fs.Layers, time: np.ndarray) -> fs.LayerRun:
    status = np.full(len(s), "ok", dtype="<U16")
    return fs.LayerRun("flow", time, None, log_norm, s, status, GAUSSIAN, runs.teacher(3), last, last)


def _run(exponents: list[float]) -> fs.LayerRun:
    s = np.array([_power_law(p, 0.5) for p in exponents])
    return _layer_run(np.tile(np.log(NORM), (len(s), 1)), s, fs.layers.gaussian(3, 2, 3, seeds=range(len(s))), TIME)


def test_seeds_are_held_to_the_prediction_but_for_a_twentieth() -> None:
    powers = np.arange(1, 6) / 3
    told = late_exponents.Told.of([_run([1.8] * 19 + [2.0])], powers)
    assert told.seeds == told.value.size == 20
    assert told.median.value == pytest.approx(1.8, abs=1e-5)
    assert told.outside(1.8) == 1
    assert told.off(1.8) < 1.0
    assert told.off(1.81) > 1.0
    assert late_exponents.Told.of([_run([1.8] * 18 + [2.0] * 2)], powers).off(1.8) > 1.0
    assert late_exponents.Told.of([_run([1.8, 1.9] * 8)], powers).spread == pytest.approx(0.05, rel=1e-3)


def test_too_few_seeds_that_tell_an_exponent_are_no_measurement() -> None:
    run = _run([1.8] * 8)
    run.log_tan_half_angle[:3, -1] = np.nan
    with pytest.raises(RuntimeError, match="only 5 of 8 seeds tell an exponent"):
        late_exponents.Told.of([run], np.arange(1, 6) / 3)


def test_an_exponent_is_consistent_contradicted_and_said_with_its_error() -> None:
    told = {"N = 3": late_exponents.Told.of([_run([1.8] * 16)], np.arange(1, 6) / 3)}
    for predicted, verdict in ((1.8, "consistent"), (1.801, "contradicted")):
        sketch = Sketch("t", "p")
        late_exponents.draw_exponents(sketch, [_run([1.8] * 16)], "N", predicted)
        finding = late_exponents.exponents_finding(told, {"N = 3": predicted}, "p", sketch)
        assert finding.verdict == verdict
        assert "16 of 16 seeds" in finding.measured


def test_orthogonal_starts_have_the_generic_exponent_of_two_layers_and_a_larger_one_beyond() -> None:
    exponents = [generic.symmetric_exponent(GAUSSIAN, depth) for depth in (2, 3, 4)]
    np.testing.assert_allclose(exponents, [7 / 4, 2.0, 13 / 6], rtol=1e-14)
    start = fs.layers.orthogonal(3, 4, 3, seeds=2)
    sizes = [np.abs(b).max() for b in start.imbalances]
    assert max(sizes[:2]) < 1e-14 < 0.1 < sizes[2]


@pytest.mark.parametrize("depth", [2, 3])
def test_ratios_are_one_where_the_direction_is_theorys_and_move_with_it(depth: int) -> None:
    late = fs.layers.gaussian(3, depth, 3, seeds=range(8))
    grown = [30.0 * np.outer(np.ones(m.shape[-2]), np.ones(m.shape[-1])) / np.sqrt(m.shape[-2] * m.shape[-1]) + m for m in late.matrices]
    law = generic_direction(GAUSSIAN, grown, runs.teacher(3))

    def run_at(norm: float) -> fs.LayerRun:
        angle = law.angle(np.full(8, norm), 1 if depth == 2 else 2)
        return _layer_run(np.full((8, 1), np.log(norm)), np.log(np.tan(0.5 * angle))[:, None], fs.Layers(grown), np.array([1e8]))

    found = generic.ratios([run_at(1e5), run_at(1e5)], generic_direction)
    np.testing.assert_allclose(found.value, np.ones(16), rtol=1e-11)
    np.testing.assert_allclose(generic.ratios([run_at(1e5)], generic.longer(1.01)).value, np.full(8, 1.0 / 1.01), rtol=1e-11)
    # the next order falls like r^(-2/N), and that in r^(-1/N) beside it
    falls = generic.ratios([run_at(16e5)], generic_direction).allowed / found.allowed[:8]
    assert (falls < 1.2 * 16.0 ** (-2.0 / depth)).all()
    assert (falls > 0.5 * 16.0 ** (-2.0 / depth)).all()


def test_what_is_kept_is_told_from_what_is_nearly_kept() -> None:
    start = fs.layers.gaussian(3, 3, (2, 4), seeds=range(3))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    turned = fs.Layers([turn @ start.matrices[0], start.matrices[1] @ turn.T, start.matrices[2]])
    for ours, theirs in zip(imbalance.weighted(1.0)(start.matrices), imbalances(start.matrices), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-15)
    assert (imbalance.moved(imbalances, start, start) == 0.0).all()
    assert (imbalance.moved(imbalances, start, turned) > 1e-3).all()


@pytest.mark.parametrize("depth", [2, 3])
def test_the_descent_in_numpy_follows_differences_of_the_risk(depth: int) -> None:
    start = fs.layers.gaussian(3, depth, 2, seeds=4)
    v, step = runs.teacher(3), 1e-5

    def risk_at(matrices: Any) -> float:
        w = fs.Layers(matrices).end_to_end
        norm = float(np.linalg.norm(w))
        return float(GAUSSIAN.value(norm, np.arccos(w @ v / norm)))

    path, gradients = imbalance.descent_path(GAUSSIAN, start, 0.1, 2)
    np.testing.assert_allclose(gradients[0], GAUSSIAN.gradient(start.end_to_end, v), rtol=1e-14)
    for j, matrix in enumerate(start.matrices):
        for index in np.ndindex(matrix.shape):
            moved = [[m.copy() for m in start.matrices] for _ in range(2)]
            moved[0][j][index] += step
            moved[1][j][index] -= step
            slope = (risk_at(moved[0]) - risk_at(moved[1])) / (2.0 * step)
            assert (path[j][1] - path[j][0])[index] == pytest.approx(-0.1 * slope, abs=1e-9)


def test_the_leading_drift_of_a_short_time_is_that_time_times_its_rate() -> None:
    start = fs.layers.gaussian(3, 2, 3, seeds=1)
    rate = fs.theory.imbalance_step(start.matrices, GAUSSIAN.gradient(start.end_to_end, runs.teacher(3)), 1.0)[0].ravel()
    for time in (1e-3, 1e-4):
        found = imbalance.leading_drift(GAUSSIAN, start, time, fs.theory.imbalance_step)
        np.testing.assert_allclose(found, time * rate, rtol=20.0 * time, atol=5.0 * time**2)


def test_a_share_above_one_or_nan_breaks_a_bound() -> None:
    for share, verdict, broken in ((0.99, "holds", 0), (1.01, "violated", 1), (np.nan, "violated", 1)):
        sketch = Sketch("t", "share")
        sketch.measured([1.0, 2.0], [0.5, 0.5])
        finding = alignment.bound_finding({"a": np.array([0.5, share]), "b": np.array([0.1, 0.2])}, "", "it is", "none", sketch)
        assert (finding.verdict, finding.numbers["broken"], finding.worst) == (verdict, broken, "a")
    start = runs.aligned_start(3, 2)
    top = np.array([3.0])
    left = [1.0 - bound for bound in (fs.theory.alignment_bound(start.matrices, top), alignment.less_allowed(0.9)(start.matrices, top))]
    np.testing.assert_allclose(left[1], 0.9 * left[0], rtol=1e-10)


def test_gaps_from_the_plane_are_of_the_right_predictors_and_leave_out_what_is_below_rounding() -> None:
    s, log_norm = np.array([[-1.0, -10.0], [-2.0, -20.0], [-3.0, -30.0]]), np.zeros((3, 2))
    moved = s[1:] + np.array([[0.0, 1e-6], [1e-7, np.nan]])
    found = plane.apart(plane.Path(log_norm[1:] + 1e-8, moved, None, slice(1, None)), log_norm, s)
    np.testing.assert_allclose(found.norm, [1e-8, 1e-8], rtol=1e-7)
    np.testing.assert_allclose(found.direction, [1e-7 / 3.0, 5e-8], rtol=1e-6)
    assert found.largest == pytest.approx(5e-8, rel=1e-6)
    assert np.isnan(plane.Apart(np.array([np.nan, 0.0]), np.zeros(2)).largest)


def _hessian(risk: fs.PopulationRisk, network: fs.Layers, v: np.ndarray) -> np.ndarray:
    """By differences of the gradient in the entries, itself written out by the product rule."""
    shapes = [matrix.shape for matrix in network.matrices]
    cuts = np.cumsum([rows * columns for rows, columns in shapes])[:-1]

    def slope(flat: np.ndarray) -> np.ndarray:
        layers = [part.reshape(shape) for part, shape in zip(np.split(flat, cuts), shapes, strict=True)]
        gradient, parts = risk.gradient(fs.Layers(layers).end_to_end, v), []
        for j in range(len(layers)):
            above, below = np.ones((1, 1)), np.eye(3)
            for layer in layers[:j]:
                below = layer @ below
            for layer in layers[:j:-1]:
                above = above @ layer
            parts.append((above.T @ gradient[None, :] @ below.T).ravel())
        return np.concatenate(parts)

    at = np.concatenate([matrix.ravel() for matrix in network.matrices])
    step = 1e-5 * np.eye(at.size)
    return np.array([(slope(at + e) - slope(at - e)) / 2e-5 for e in step])


@pytest.mark.parametrize(("depth", "norm"), [(2, 0.3), (2, 8.0), (3, 0.3), (3, 2.5), (12, 2.8)])
def test_the_sharpness_of_aligned_layers_is_the_largest_eigenvalue_of_the_differences(depth: int, norm: float) -> None:
    v = runs.teacher(3)
    network = fs.layers.balanced(norm * v, depth, 2, seeds=1)
    largest = float(np.linalg.eigvalsh(_hessian(GAUSSIAN, network, v))[-1])
    assert float(sharpness.aligned_sharpness(GAUSSIAN, np.array([norm]), depth)[0]) == pytest.approx(largest, rel=1e-6)


def test_each_of_the_three_sharpnesses_is_the_largest_at_some_start() -> None:
    seen = sharpness.seen_sharpness(GAUSSIAN, 16, 0)
    kappa = GAUSSIAN.growth(seen.norm)
    terms = [GAUSSIAN.drag(seen.norm), 16 * seen.norm * GAUSSIAN.curvature(seen.norm) - 15 * kappa, kappa]
    assert set(np.argmax(terms, axis=0)) == {0, 1, 2}
    assert np.isnan(seen.scaled).all()


OUTSIDE = [
    (two_layers, 0, Setting(depths=3), "speaks of N = 2, and not of N = 3"),
    (generic, 0, Setting(depths=1), "speaks of N = 2 to 8, and not of N = 1"),
    (generic, 2, Setting(depths=2), "speaks of N = 3 to 8, and not of N = 2"),
    (generic, 1, Setting(laws=fs.Radial(2, stats.expon()), depths=2), "falls off with a logarithm"),
    (exceptions, 0, Setting(laws=fs.Radial(2, stats.expon()), depths=2), "falls off with a logarithm"),
    (imbalance, 1, Setting(depths=[9, 10]), "and not of N = 9, 10"),
    (plane, 0, Setting(depths=1), "and not of N = 1"),
    (sharpness, 0, Setting(depths=100), "and not of N = 100"),
]


@pytest.mark.parametrize(("room", "index", "setting", "reason"), OUTSIDE)
def test_a_claim_says_of_what_it_does_not_speak(room: Any, index: int, setting: Setting, reason: str) -> None:
    claim = room.claims()[index]
    with pytest.raises(OutOfScope, match=reason):
        claim.measure(setting, claim.theory)


def test_cases_are_64_seeds_of_each_depth_in_a_thorough_run() -> None:
    own = generic.cases_of(Setting())
    assert [(depth, seeds) for _, depth, seeds in own] == [(2, 64), (3, 16), (4, 16), (2, 8)]
    thorough = generic.cases_of(Setting(thorough=True))
    assert {seeds for _, _, seeds in thorough} == {64}
    assert len(thorough) == 15
    assert len(generic.cases_of(replace(Setting(), laws=fs.Sphere(3), depths=3))) == 1
