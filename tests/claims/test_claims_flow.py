"""The claims about the flow: other laws, depths and seeds, of what they do not speak, and the witnesses they are held against."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims.claim import Claim, judge
from flowsim.claims.flow import end_to_end as flow
from flowsim.claims.flow import exact, norms, paths, rays, two_phases
from flowsim.claims.problem.lemma_1 import plane_constant
from flowsim.claims.settings import Case, OutOfScope, Setting, risk_of
from flowsim.problem.plane import one_minus_cos

CLAIMS: dict[str, Claim] = {claim.name: claim for room in (flow, two_phases, norms, exact, rays) for claim in room.claims()}
CIRCLE = risk_of(fs.Sphere(2))
SETTINGS = {
    "singular, 7 layers": Setting(laws=fs.Radial(3, stats.gamma(0.5)), depths=7, seed=2),
    "logarithmic tail, 2 layers": Setting(laws=fs.Radial(2, stats.expon()), depths=2, seed=5),
    "no second moment, 100 layers": Setting(laws=fs.StudentT(3, 1.5), depths=100),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_claims_come_out_as_expected_at_other_laws_depths_and_seeds(setting: Setting) -> None:
    for claim in CLAIMS.values():
        verdict = judge(claim, setting)
        assert verdict.as_expected, (claim.name, verdict.finding)


@pytest.mark.parametrize(
    ("name", "depths", "reason"),
    [
        ("lemma-4-floor-as-derived", [1, 2], "speaks of N >= 3, and not of N = 1, 2"),
        ("lemma-4-ceiling", [2], "speaks of N >= 3, and not of N = 2"),
        ("two-layer-exact-law", [3], "speaks of N = 2, and not of N = 3"),
        ("unbalanced-two-layers", [1], "speaks of N = 2, and not of N = 1"),
    ],
)
def test_a_claim_says_of_which_depths_it_does_not_speak(name: str, depths: list[int], reason: str) -> None:
    with pytest.raises(OutOfScope, match=reason):
        CLAIMS[name].measure(Setting(laws=fs.Sphere(2), depths=depths), CLAIMS[name].theory)


def test_starts_of_which_none_turns_in_time_leave_nothing_to_bound() -> None:
    near_the_saddle = Case(CIRCLE, 100, fs.Start(1.0, 3.1))
    run = fs.gradient_flow(CIRCLE, near_the_saddle.start, fs.log_times(1e-3, 1e12, 64), 100)
    assert two_phases.turning_time(near_the_saddle, run) == np.inf
    assert two_phases.turning_bound(near_the_saddle) == np.inf


def test_the_witness_in_cartesian_coordinates_agrees_when_its_equation_is_right() -> None:
    """So the control of equation 7 is refuted for its wrong term, and not for the way in which it is integrated."""
    setting = Setting(laws=fs.Sphere(2), depths=(1, 3))

    def other(*given: Any) -> np.ndarray:
        return paths.cartesian_path(*given, field=paths.end_to_end_field)

    assert flow._measure_end_to_end(setting, other).verdict == "holds"


def test_matrices_stay_balanced_and_single_ones_follow_the_predictor() -> None:
    v, w, times = np.array([0.0, 1.0]), np.array([0.6, -0.8]), np.linspace(0.5, 2.0, 4)
    single = paths.matrix_path(CIRCLE, [w[None, :]], v, times)
    cartesian = paths.cartesian_path(CIRCLE, w, v, 1, times, paths.end_to_end_field)
    np.testing.assert_allclose([paths.product(layers) for layers in single], cartesian, rtol=1e-9)
    layers = paths.rank_one_layers(w, 3, 2)
    np.testing.assert_allclose(paths.product(layers), w, rtol=1e-14)
    for first, second in pairwise(layers):
        np.testing.assert_allclose(second.T @ second, first @ first.T, atol=1e-15)
    for at in paths.matrix_path(CIRCLE, layers, v, times):
        for first, second in pairwise(at):
            np.testing.assert_allclose(second.T @ second, first @ first.T, atol=1e-10)


def test_differences_are_exact_on_polynomials_of_fourth_degree() -> None:
    step = 0.3
    t = 0.7 + step * paths.STENCIL
    values = np.array([t**4 - t**3, 2.0 * t**2 - t])
    np.testing.assert_allclose(paths.slope(values, step), [4.0 * 0.7**3 - 3.0 * 0.7**2, 4.0 * 0.7 - 1.0], rtol=1e-12)
    np.testing.assert_allclose(paths.bend(values, step), [12.0 * 0.7**2 - 6.0 * 0.7, 4.0], rtol=1e-12)


def test_differences_are_of_fourth_order() -> None:
    steps = np.array([0.2, 0.1, 0.05])
    for difference, exact_value in ((paths.slope, np.exp(0.7)), (paths.bend, np.exp(0.7))):
        errors = [abs(float(difference(np.exp(0.7 + step * paths.STENCIL), step)) - exact_value) for step in steps]
        orders = np.diff(np.log(errors)) / np.diff(np.log(steps))
        np.testing.assert_allclose(orders, 4.0, atol=0.05)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize(("norm", "angle"), [(0.01, 2.8), (2.0, 1.7), (30.0, 3.1)])
def test_the_bound_on_the_turning_time_is_kept_and_is_zero_where_the_norm_grows(depth: int, norm: float, angle: float) -> None:
    falling = Case(CIRCLE, depth, fs.Start(norm, angle))
    run = fs.gradient_flow(CIRCLE, falling.start, fs.log_times(1e-3, 1e12, 64), depth)
    end = two_phases.turning_time(falling, run)
    assert 0.0 < end <= two_phases.turning_bound(falling)
    assert two_phases.turning_bound(Case(CIRCLE, depth, fs.Start(0.01, 0.3))) == 0.0


def test_the_bound_on_the_turning_time_is_reached_by_two_layers_near_the_saddle() -> None:
    """There h hardly changes while the norm falls, and s' = -c at any norm."""
    case = Case(CIRCLE, 2, fs.Start(1e-4, 3.0))
    run = fs.gradient_flow(CIRCLE, case.start, fs.log_times(1e-3, 1e12, 64), 2)
    assert two_phases.turning_time(case, run) == pytest.approx(two_phases.turning_bound(case), rel=1e-3)


def test_a_step_against_its_phase_is_counted() -> None:
    setting = Setting(laws=fs.Sphere(2), depths=1)
    early = two_phases._measure_two_phases(setting, lambda case, run: two_phases.turning_time(case, run) / 1.2)
    assert early.verdict == "violated"
    assert early.numbers["broken"] > 0
    assert "theta(0) = " in early.worst
    assert judge(CLAIMS["lemma-2-two-phases"], setting).finding.numbers["broken"] == 0


def test_the_ceiling_of_the_plane_is_reached_and_the_printed_one_is_not() -> None:
    setting = Setting(laws=fs.Sphere(2), depths=3)
    for constant, verdict in ((2.0 * plane_constant(), "holds"), (2.0 * plane_constant() * 0.9999, "violated"), (0.6, "holds")):
        assert norms._measure_ceiling(setting, norms.ceiling(constant)).verdict == verdict
    printed = judge(CLAIMS["lemma-4-ceiling"], setting).finding
    again = norms._measure_ceiling(setting, norms.ceiling(0.6)).numbers
    assert printed.numbers.keys() == again.keys()
    for name, values in again.items():
        # the distance is a difference, whose last digits depend on how sums are split
        assert printed.numbers[name] == (pytest.approx(values, rel=1e-9) if isinstance(values, dict) else values), name


def test_a_bound_that_is_nan_does_not_hold() -> None:
    setting = Setting(laws=fs.Sphere(2), depths=3)
    for measure in (norms._measure_ceiling, norms._measure_floor):
        assert measure(setting, lambda case, t: np.where(t > 1.0, np.nan, 0.0)).verdict == "violated"


def test_two_layers_with_flipped_labels_are_among_those_measured() -> None:
    finding = judge(CLAIMS["two-layer-exact-law"], Setting(laws=fs.Sphere(2))).finding
    noisy = [name for name in finding.numbers if "label_noise=0.1" in name]
    assert len(noisy) == 1

    def clean(risk: fs.PopulationRisk, start: Any, t: np.ndarray) -> np.ndarray:
        return exact.two_layer_direction(fs.PopulationRisk(risk.law), start, t)

    wrong = exact._measure_two_layers(Setting(laws=fs.Sphere(2)), clean)
    assert wrong.verdict == "violated"
    assert wrong.worst == noisy[0]


def test_the_orbit_slope_is_the_ratio_of_the_rates() -> None:
    norm, s = 0.7, -0.4
    rates = flow.flow_velocity(CIRCLE, norm, 2.0 * np.arctan(np.exp(s)), 3)
    given = exact.orbit_slope(CIRCLE, float(np.log(norm)), s, 3)
    assert given == pytest.approx(float(rates.log_tan_half_angle / rates.log_norm), rel=1e-12)
    assert float(one_minus_cos(np.array(s))) == pytest.approx(1.0 - np.cos(2.0 * np.arctan(np.exp(s))), rel=1e-13)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_speed_on_the_rays_is_that_of_the_predictor(depth: int) -> None:
    q = np.array([-2.0, -0.3, 0.5, 4.0])
    for value, found in zip(q, rays.ray_speed(CIRCLE, q, depth), strict=True):
        w = np.array([value, 0.0])
        expected = paths.end_to_end_field(CIRCLE, w, np.array([1.0, 0.0]), depth)
        assert found == pytest.approx(expected[0], rel=1e-12)
        assert abs(expected[1]) < 1e-15


def test_a_run_that_leaves_its_ray_or_does_not_cross_is_no_finite_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(laws=fs.Sphere(2), depths=1)
    true_run = rays._ray_run

    def shifted(risk: Any, depth: int, angle: float) -> Any:
        return true_run(risk, depth, 0.0 if angle > 0.0 else angle)

    monkeypatch.setattr(rays, "_ray_run", shifted)
    finding = rays._measure_pi_ray(setting, rays.ray_speed)
    assert finding.verdict == "violated"
    assert "goes elsewhere: Sphere(dim=2, radius=1), N = 1" in finding.measured


def test_unbalanced_layers_refuse_a_wrong_imbalance() -> None:
    wrong = exact.unbalanced()._replace(conserved=lambda length, a: length**2 - 1.001 * a**2)
    finding = exact._measure_unbalanced(Setting(laws=fs.Sphere(2)), wrong)
    assert finding.verdict == "violated"
    assert "imbalance" in finding.worst


def test_rates_in_the_plane_are_measured_with_noise_too() -> None:
    finding = judge(CLAIMS["rates-in-the-plane"], Setting(laws=fs.Sphere(2), depths=2)).finding
    assert any("label_noise" in name for name in finding.numbers)

    def clean(risk: fs.PopulationRisk, norm: Any, angle: Any, depth: int) -> Any:
        return flow.flow_velocity(replace(risk, label_noise=0.0), norm, angle, depth)

    wrong = flow._measure_plane_rates(Setting(laws=fs.Sphere(2), depths=2), clean)
    assert wrong.verdict == "violated"
    assert "label_noise" in wrong.worst


@pytest.mark.parametrize("name", ["lemma-2-two-phases", "lemma-2-turning-time", "norm-floor", "ray-at-pi", "orbits-at-every-depth"])
def test_pictures_show_the_flow_beside_what_is_said_of_it(name: str) -> None:
    picture = judge(CLAIMS[name], Setting(laws=fs.Sphere(2), depths=(1, 3))).finding.picture
    assert picture is not None
    assert "measured" in {curve.role for curve in picture.curves}
    assert {"limit", "predicted"} & {curve.role for curve in picture.curves}
    assert all(np.isfinite(curve.y).any() for curve in picture.curves)
