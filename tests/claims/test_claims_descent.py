"""Descent beside the flow: what its claims are measured with, and the settings they do and do not speak of."""

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims import Setting, Verdict, judge
from flowsim.claims.descent.gaps import at_zero, claims, orders_of
from flowsim.claims.descent.layer_map import descend_layers, end_to_end_step, layer_map, multiplier, rank_one_layers, signed_multiplier
from flowsim.claims.descent.modified_field import difference_weights
from flowsim.claims.units import risks_of, step_size_for, tail_correction, unit_norm, unit_step_size, with_power_tails
from flowsim.dynamics.modified import series_weights
from flowsim.theory import sharpness

CLAIMS = {claim.name: claim for claim in claims()}
SINGULAR, LOGARITHMIC = fs.Radial(3, stats.gamma(0.5)), fs.Radial(2, stats.expon())


def verdict(name: str, control: bool = False, **setting: object) -> Verdict:
    return judge(CLAIMS[name], Setting(**setting), control)


# --- the law's own units ---


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_unit_step_size_has_sharpness_one_at_the_unit_norm_but_for_the_growth(depth: int) -> None:
    for law in (fs.Gaussian(3), fs.Sphere(5, 1e-3)):
        risk = fs.PopulationRisk(law)
        norm = unit_norm(risk)
        # E|x_1| = 2 c
        assert norm * 2.0 * risk.pull == pytest.approx(1.0)
        found = sharpness(risk, depth, unit_step_size(risk, depth), norm)
        assert found == pytest.approx(float(risk.drag(norm)) / risk.pull, rel=1e-12)
        far = step_size_for(risk, depth, 2.5, 1e6)
        assert sharpness(risk, depth, far, 1e6 * norm) == pytest.approx(2.5, rel=1e-6)


def test_a_longer_measurement_takes_the_six_laws_and_the_users_come_first() -> None:
    assert [r.law for r in risks_of(Setting(), fs.Gaussian(2))] == [fs.Gaussian(2)]
    assert len(risks_of(Setting(thorough=True), fs.Gaussian(2))) == 6
    assert [r.law for r in risks_of(Setting(laws=fs.Sphere(7), thorough=True), fs.Gaussian(2))] == [fs.Sphere(7)]


def test_a_growth_with_a_logarithm_has_no_power_tail() -> None:
    risks = [fs.PopulationRisk(law) for law in (fs.Gaussian(2), LOGARITHMIC)]
    assert with_power_tails(risks) == (risks[0],)
    with pytest.raises(ValueError, match=r"speaks of growth with a power tail, and that of Radial.* falls off with a logarithm"):
        with_power_tails(risks[1:])


def test_the_distance_of_the_growth_from_its_tail_is_its_next_order() -> None:
    risk = fs.PopulationRisk(fs.Laplace(2))
    tail, r = risk.tail, 1e4
    assert tail_correction(risk, r) == pytest.approx(abs(tail.next_coefficient / tail.constant) / r, rel=1e-3)


# --- layers of matrices ---


def test_the_layers_gradient_is_the_slope_of_the_risk() -> None:
    """By differences of the risk itself in every entry of every layer, of any matrices."""
    rng, risk = np.random.default_rng(0), fs.PopulationRisk(fs.Sphere(3))
    v = np.array([0.0, 0.6, 0.8])
    layers = [rng.standard_normal(shape) for shape in ((2, 3), (3, 2), (1, 3))]

    def value(parts: list[np.ndarray]) -> float:
        w = np.linalg.multi_dot(parts[::-1])[0]
        start = fs.Start.from_vectors(w, v)
        return float(risk.value(start.norm, start.angle))

    stepped = descend_layers(risk, v, layers, 1.0)
    for j, layer in enumerate(layers):
        for place in np.ndindex(*layer.shape):
            nearby = []
            for shift in (-1e-5, 1e-5):
                parts = [x.copy() for x in layers]
                parts[j][place] += shift
                nearby.append(value(parts))
            slope = (nearby[1] - nearby[0]) / 2e-5
            assert layer[place] - stepped[j][place] == pytest.approx(slope, abs=1e-8)


def test_rank_one_layers_have_the_product_they_are_made_for() -> None:
    rng = np.random.default_rng(1)
    units = [u / np.linalg.norm(u) for u in rng.standard_normal((3, 2))]
    z = np.array([0.3, -1.0, 2.0])
    layers = rank_one_layers(-0.7, z, units)
    assert [layer.shape for layer in layers] == [(2, 3), (2, 2), (2, 2), (1, 2)]
    np.testing.assert_allclose(np.linalg.multi_dot(layers[::-1])[0], (-0.7) ** 3 * z, rtol=1e-14)
    np.testing.assert_array_equal(rank_one_layers(1.0, z, [])[0], z[None])


def test_one_layer_steps_alike_by_both_maps_and_deeper_ones_do_not() -> None:
    z, gradient = np.array([0.8, 0.5]), np.array([0.2, -0.1])
    for depth in (1, 2, 4):
        a = float(np.linalg.norm(z)) if depth > 1 else 1.0
        right, wrong = (step(a, z, gradient, 0.3, depth) for step in (layer_map, end_to_end_step))
        products = [x[0] ** (depth - 1) * x[1] for x in (right, wrong)]
        assert bool(np.abs(products[0] - products[1]).max() < 1e-15) is (depth == 1)
        # they part at eta^2
        products = [x[0] ** (depth - 1) * x[1] for x in (step(a, z, gradient, 1e-5, depth) for step in (layer_map, end_to_end_step))]
        assert np.abs(products[0] - products[1]).max() < 1e-9


def test_the_sign_of_the_power_matters_only_where_it_is_negative() -> None:
    risk, z = fs.PopulationRisk(fs.Sphere(3)), np.array([0.3, 0.4, 0.1])
    for depth, a, same in ((2, 0.7, True), (2, -0.7, False), (3, -0.7, True), (4, -0.7, False)):
        found = [f(risk, a, z, 0.5, depth) for f in (multiplier, signed_multiplier)]
        assert (found[0] == found[1]) is same
        assert found[0] < 1.0


# --- orders and series ---


def test_an_extrapolated_order_sees_through_the_next_order_and_tells_what_it_leaves() -> None:
    eta = 2.0 ** -np.arange(9.0, 15.0)
    for order, next_order in ((1.0, 4.0), (2.0, -4.0), (1.0, 1000.0)):
        gap = -3.0 * eta**order * (1.0 + next_order * eta)
        found, left = at_zero(orders_of(eta, gap))
        assert abs(found - order) < left
        assert left < 1e-6 * (next_order / 4.0) ** 2
    assert abs(at_zero(orders_of(eta, eta**1.01))[0] - 1.0) > 0.009


def test_weights_from_coefficients_are_those_of_the_series() -> None:
    for order in (1, 2, 3, 5):
        logarithm = [(-1.0) ** n / (n + 1) for n in range(order)]
        np.testing.assert_allclose(difference_weights(np.array(logarithm)), series_weights(order)[0], rtol=1e-13)
    assert abs(difference_weights(np.array([1.0, -0.5, 0.334])) - series_weights(3)[0]).max() > 5e-4


# --- other laws, depths and seeds ---


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("descent-on-layers-of-matrices", {"depths": [7], "seed": 3}),
        ("descent-across-v", {"laws": SINGULAR, "seed": 4}),
        ("descent-unbalances-the-layers", {"laws": fs.StudentT(3, 2.5), "depths": [2, 30]}),
        ("descent-gap-first-order", {"laws": fs.Gaussian(2, 1000.0), "depths": [2]}),
        ("descent-gap-constant", {"laws": LOGARITHMIC, "depths": [7]}),
        ("modified-flow-gap-second-order", {"laws": SINGULAR, "depths": [2]}),
        ("difference-series-order", {"laws": fs.Sphere(5, 1e-3), "depths": [100]}),
        ("far-horizon-error-estimate", {"laws": SINGULAR, "depths": [3], "seed": 2}),
    ],
)
def test_the_claim_holds_at_other_laws_depths_and_seeds(name: str, setting: dict[str, object]) -> None:
    found = verdict(name, **setting)
    assert found.finding.verdict == "holds", found.finding


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("descent-unbalances-the-layers", {"depths": 1}, "speaks of N >= 2, and not of N = 1"),
        ("figure-1-descent", {"depths": [2, 3]}, "speaks of figure 1, that is of N = 1 and 4, and not of N = 2, 3"),
        ("figure-1-descent", {"laws": fs.Gaussian(2)}, "speaks of figure 1, that is of Sphere"),
    ],
)
def test_what_a_statement_does_not_speak_of_is_outside_with_the_reason(name: str, setting: dict[str, object], reason: str) -> None:
    found = verdict(name, **setting)
    assert found.finding.verdict == "outside"
    assert reason in found.finding.measured


def test_the_figures_descent_is_measured_at_the_depth_asked_for() -> None:
    found = verdict("figure-1-descent", depths=[2, 4])
    assert found.finding.verdict == "holds"
    assert {name.split(",")[0] for name in found.finding.numbers} == {"N = 4"}


def test_the_picture_of_the_gap_holds_the_gaps_and_a_line_of_the_order() -> None:
    picture = verdict("descent-gap-first-order", laws=fs.Gaussian(2, 1000.0), depths=[2]).finding.picture
    assert picture is not None
    measured, predicted = (next(c for c in picture.curves if c.role == role) for role in ("measured", "predicted"))
    assert picture.x_log
    assert picture.y_log
    np.testing.assert_allclose(measured.y, predicted.y, rtol=0.02)
    np.testing.assert_allclose(np.diff(np.log(predicted.y)) / np.diff(np.log(predicted.x)), 1.0, rtol=1e-12)


def test_a_random_number_of_the_seed_decides_the_matrices() -> None:
    gaps = [verdict("descent-on-layers-of-matrices", laws=fs.Sphere(3), depths=[2], seed=seed).finding.numbers for seed in (0, 0, 1)]
    assert gaps[0] == gaps[1] != gaps[2]
