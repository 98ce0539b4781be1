"""flowsim's predictions for the late flow held against the derived ones."""

import numpy as np
import pytest
import scipy.stats
import sympy as sp

import flowsim as fs
from derivations import derive, symbols
from flowsim.theory.rates import noisy_rates, rates

SMOOTH = {
    "gaussian": fs.Gaussian(dim=3, scale=1.7),
    "circle": fs.Sphere(dim=2, radius=0.6),
    "student": fs.StudentT(dim=2, df=4.5, scale=0.8),
}
TIMES = np.array([1e5, 1e8, 1e12])
depths = pytest.mark.parametrize("depth", [1, 2, 3, 6])
smooth_laws = pytest.mark.parametrize("name", SMOOTH)


def derived(key, risk, depth, **values):
    """A derived law of the late flow at this risk and depth, as numbers at the array in `values`."""
    formula = derive("asymptotics").results[key]
    ratio = risk.tail.next_coefficient / risk.tail.constant
    known = {
        "K": risk.tail.constant,
        "K_a": risk.tail.constant,
        "a": risk.tail.exponent,
        "c": risk.pull,
        "N": depth,
        "beta": -ratio if risk.tail.next_power == 4 else np.nan,
        "gamma": ratio if risk.tail.next_power == 3 else 0.0,
    }
    (argument, at) = values.popitem()
    fixed = {symbol: known[symbol.name] for symbol in formula.free_symbols if symbol.name != argument}
    (variable,) = (symbol for symbol in formula.free_symbols if symbol.name == argument)
    return sp.lambdify([variable], formula.subs(fixed), modules="numpy")(at)


@depths
@smooth_laws
def test_exponents_and_constants_are_the_derived_ones(name, depth):
    risk = fs.PopulationRisk(SMOOTH[name])
    found = rates(risk, depth)
    results = derive("asymptotics").results
    for attribute in ("norm_exponent", "direction_exponent", "norm_constant", "direction_constant"):
        formula = results[attribute]
        values = {"K": risk.tail.constant, "c": risk.pull, "N": depth}
        expected = float(formula.subs({symbol: values[symbol.name] for symbol in formula.free_symbols}))
        assert getattr(found, attribute) == pytest.approx(expected, rel=1e-12), attribute


@depths
@smooth_laws
def test_the_leading_orders_are_the_derived_ones(name, depth):
    risk = fs.PopulationRisk(SMOOTH[name])
    found = rates(risk, depth)
    np.testing.assert_allclose(found.norm(TIMES), derived("norm", risk, depth, t=TIMES), rtol=1e-12)
    np.testing.assert_allclose(found.risk(TIMES), derived("risk", risk, depth, t=TIMES), rtol=1e-12)
    predicted = derived("minus_log_tan_half_angle", risk, depth, t=TIMES)
    np.testing.assert_allclose(-found.log_tan_half_angle(TIMES), predicted, rtol=1e-12)


@depths
@pytest.mark.parametrize("shape", [0.4, 0.8])
def test_the_leading_orders_for_a_power_tail_are_the_derived_ones(shape, depth):
    risk = fs.PopulationRisk(fs.Radial(dim=3, radius=scipy.stats.gamma(shape)))
    assert risk.tail.exponent == pytest.approx(shape, rel=1e-6)
    found = rates(risk, depth)
    for measured, key in (
        (found.norm(TIMES), "norm_power_tail"),
        (found.risk(TIMES), "risk_power_tail"),
        (-found.log_tan_half_angle(TIMES), "minus_log_tan_half_angle_power_tail"),
    ):
        np.testing.assert_allclose(measured, derived(key, risk, depth, t=TIMES), rtol=1e-11, err_msg=key)


@smooth_laws
def test_the_next_orders_of_one_layer_are_the_derived_ones(name):
    risk = fs.PopulationRisk(SMOOTH[name])
    found = rates(risk, 1)
    np.testing.assert_allclose(found.norm(TIMES, order=2), derived("one_layer_norm", risk, 1, t=TIMES), rtol=1e-12)
    np.testing.assert_allclose(found.risk(TIMES, order=2), derived("one_layer_risk", risk, 1, t=TIMES), rtol=1e-12)
    # The logarithm's argument is R here and R^3 there: the same, since -s is known up to a constant only.
    measured = -found.log_tan_half_angle(TIMES, order=2)
    predicted = derived("one_layer_minus_log_tan_half_angle", risk, 1, t=TIMES)
    np.testing.assert_allclose(np.diff(measured), np.diff(predicted), rtol=1e-12)
    leading = derived("minus_log_tan_half_angle", risk, 1, t=TIMES)
    np.testing.assert_allclose(np.diff(measured - leading), np.diff(predicted - leading), rtol=1e-4)


@smooth_laws
def test_the_next_order_of_two_layers_is_the_derived_one(name):
    risk = fs.PopulationRisk(SMOOTH[name])
    found = rates(risk, 2)
    squared = derived("two_layer_norm_squared", risk, 2, t=TIMES)
    np.testing.assert_allclose(found.norm(TIMES, order=2) ** 2, squared, rtol=1e-12)
    assert np.all(np.abs(squared / found.norm(TIMES) ** 2 - 1)[0] > 1e-9)
    np.testing.assert_allclose(
        -found.log_tan_half_angle(TIMES, order=2),
        derived("two_layer_minus_log_tan_half_angle", risk, 2, t=TIMES),
        rtol=1e-12,
    )


@depths
def test_the_next_order_for_a_kinked_density_is_the_derived_one(depth):
    risk = fs.PopulationRisk(fs.Laplace(dim=2, scale=0.7))
    found = rates(risk, depth)
    predicted = derived("norm_with_kink", risk, depth, t=TIMES)
    np.testing.assert_allclose(found.norm(TIMES, order=2), predicted, rtol=1e-12)
    np.testing.assert_allclose(found.risk(TIMES, order=2), derived("risk_with_kink", risk, depth, t=TIMES), rtol=1e-12)
    bend = derive("asymptotics").results["kink_coefficient_of_minus_s_over_norm"]
    ratio = risk.tail.next_coefficient / risk.tail.constant
    values = {"c": risk.pull, "K": risk.tail.constant, "N": depth, "gamma": ratio}
    slope = float(bend.subs({symbol: values[symbol.name] for symbol in bend.free_symbols}))
    excess = -found.log_tan_half_angle(TIMES, order=2) + found.log_tan_half_angle(TIMES)
    np.testing.assert_allclose(excess[0], slope * found.norm(TIMES)[0], rtol=1e-5, atol=1e-9)


@depths
@smooth_laws
def test_the_law_without_time_is_the_derived_one(name, depth):
    risk, norms = fs.PopulationRisk(SMOOTH[name]), np.array([10.0, 300.0, 1e4])
    measured = rates(risk, depth).time_free(norms)
    np.testing.assert_allclose(measured, derived("minus_s_of_norm", risk, depth, r=norms), rtol=1e-12)


@depths
def test_noisy_labels_stop_the_norm_as_derived(depth):
    noise = 0.1
    risk = fs.PopulationRisk(SMOOTH["gaussian"], label_noise=noise)
    found, label_noise = noisy_rates(risk, depth), derive("label_noise")
    epsilon = sp.Symbol("epsilon", positive=True)
    arguments = (symbols.r, symbols.theta, symbols.c, symbols.N, epsilon)
    at = (found.norm_limit, 0.0, risk.pull, depth, noise)
    functions = {"h": risk.growth, "A": risk.aligned, "kappa": risk.curvature}

    def value(key):
        return float(label_noise.function(key, *arguments, functions=functions)(*at))

    assert value("minimiser_condition") == pytest.approx(0, abs=1e-12 * risk.pull)
    assert found.direction_rate == pytest.approx(-value("log_tan_half_angle_rate"), rel=1e-12)
    assert found.norm_rate == pytest.approx(value("norm_relaxation_rate"), rel=1e-10)
    assert found.risk_limit == pytest.approx(value("risk"), rel=1e-12)
