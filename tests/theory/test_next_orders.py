"""The next orders of the late flow, and the law without time, against an independent integration."""

import dataclasses

import numpy as np
import pytest

from flowsim.theory import rates

SMOOTH = ["gaussian", "circle", "student"]
every_law = pytest.mark.parametrize("name", [*SMOOTH, "flat", "laplace", "half"])
smooth_law = pytest.mark.parametrize("name", SMOOTH)
every_depth = pytest.mark.parametrize("depth", [1, 2, 3, 5])

START = (1.0, 0.3)


def with_next_coefficient(found, factor):
    """The same rates with the next term of the tail scaled: -1 is the wrong sign of beta."""
    return dataclasses.replace(found, tail=dataclasses.replace(found.tail, next_coefficient=factor * found.tail.next_coefficient))


# --- next order, density smooth at 0 ---


@smooth_law
def test_one_layer_is_off_by_a_shift_of_time_after_the_next_order(flow, risk, slope, name):
    found, times = rates(risk(name), 1), np.geomspace(1e4, 1e9, 6)
    norm, _ = flow(name, 1, *START).at(times)
    leading, next_order = found.norm(times), found.norm(times, order=2)
    left = norm - next_order
    assert slope(leading, left) == pytest.approx(-2.0, abs=0.1), left
    assert slope(leading, norm - with_next_coefficient(found, -1.0).norm(times, order=2)) == pytest.approx(-1.0, abs=0.1)
    assert abs((norm - with_next_coefficient(found, 1.05).norm(times, order=2))[-1]) > 10.0 * abs(left[-1])


@smooth_law
def test_the_square_of_the_two_layer_norm_is_off_by_a_constant_after_the_next_order(flow, risk, name):
    found, times = rates(risk(name), 2), np.array([1e4, 1e6, 1e8])
    norm, _ = flow(name, 2, *START).at(times)

    def drift(of):
        return np.ptp(norm**2 - of.norm(times, order=2) ** 2)

    beta = -found.tail.next_coefficient / found.tail.constant
    assert drift(found) < 5e-3 * abs(beta)
    assert drift(with_next_coefficient(found, -1.0)) == pytest.approx(2.0 * abs(beta) * np.log(1e4), rel=1e-2)
    assert drift(with_next_coefficient(found, 1.05)) > 10.0 * drift(found)


def test_the_constant_of_the_two_layer_norm_depends_on_the_start(flow, risk):
    found, time = rates(risk("gaussian"), 2), 1e8
    offsets = [flow("gaussian", 2, *start).at(time)[0] ** 2 - found.norm(time, order=2) ** 2 for start in (START, (3.0, 0.3), (1.0, -2.0))]
    assert np.ptp(offsets) > 0.5


@smooth_law
def test_the_direction_of_one_layer_is_off_by_a_constant_after_the_next_order(flow, risk, name):
    found, times = rates(risk(name), 1), np.array([1e7, 1e9, 1e11])
    _, s = flow(name, 1, *START).at(times)

    def drift(of):
        return np.ptp(s - of.log_tan_half_angle(times, order=2))

    # -s gains (c beta/K) log R, R = (3 K t)^(1/3)
    gained = abs(found.tail.next_coefficient) * found.pull / found.tail.constant**2 * np.log(1e4) / 3.0
    assert drift(found) < 0.02 * gained
    assert drift(with_next_coefficient(found, -1.0)) == pytest.approx(2.0 * gained, rel=0.02)
    assert np.ptp(s - found.log_tan_half_angle(times)) == pytest.approx(gained, rel=0.02)


@smooth_law
def test_the_risk_of_one_layer_gains_an_order(flow, risk, slope, name):
    found, times = rates(risk(name), 1), np.geomspace(1e4, 1e8, 5)
    truth = risk(name).aligned(flow(name, 1, *START).at(times)[0])
    leading = found.norm(times)
    assert slope(leading, truth - found.risk(times)) == pytest.approx(-3.0, abs=0.1)
    assert slope(leading, truth - found.risk(times, order=2)) == pytest.approx(-4.0, abs=0.15)
    assert slope(leading, truth - with_next_coefficient(found, -1.0).risk(times, order=2)) == pytest.approx(-3.0, abs=0.1)


def test_the_risk_of_two_layers_improves_at_the_next_order(flow, risk, slope):
    found, times = rates(risk("gaussian"), 2), np.array([1e8, 1e10])
    truth = risk("gaussian").aligned(flow("gaussian", 2, *START).at(times)[0])
    gap = np.abs(truth / found.risk(times, order=2) - 1.0)
    assert (gap < 0.2 * np.abs(truth / found.risk(times) - 1.0)).all()
    assert slope(found.norm(times), gap) == pytest.approx(-2.0, abs=0.02)


@every_law
def test_two_layers_turn_at_the_constant_rate_of_the_pull(flow, risk, name):
    found, times = rates(risk(name), 2), np.array([1.0, 1e3, 1e6])
    np.testing.assert_allclose(flow(name, 2, *START).at(times)[1] - 0.3, found.log_tan_half_angle(times), rtol=1e-9)
    np.testing.assert_allclose(found.log_tan_half_angle(times), -risk(name).pull * times, rtol=1e-14)


# --- next order, density with a slope at 0 ---


@every_depth
def test_a_slope_of_the_density_adds_a_constant_to_the_norm_at_every_depth(flow, risk, slope, depth):
    found, times = rates(risk("laplace"), depth), np.geomspace(1e7, 1e9, 3)
    norm, _ = flow("laplace", depth, *START).at(times)
    leading, left = found.norm(times), norm - found.norm(times, order=2)
    gamma = found.tail.next_coefficient / found.tail.constant
    np.testing.assert_allclose(found.norm(times, order=2) - leading, 0.5 * gamma * depth, rtol=1e-5)
    # what is left: the tail's next term, R^-1, or the shift of time, R^(-2/N)
    assert slope(leading, left) == pytest.approx(-min(1.0, 2.0 / depth), abs=0.15), left
    assert abs(left[-1]) < 0.02 * abs(gamma)
    wrong = norm - with_next_coefficient(found, -1.0).norm(times, order=2)
    assert wrong[-1] == pytest.approx(gamma * depth, rel=0.02)


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_a_slope_of_the_density_adds_a_multiple_of_the_norm_to_the_direction(flow, risk, depth):
    found, times = rates(risk("laplace"), depth), np.array([1e9, 1e11])
    _, s = flow("laplace", depth, *START).at(times)
    excess = s - found.log_tan_half_angle(times)
    correction = found.log_tan_half_angle(times, order=2) - found.log_tan_half_angle(times)
    gap = np.abs(excess / correction - 1.0)
    assert gap[-1] < 0.02, gap
    assert gap[-1] < 0.5 * gap[0], gap


def test_a_slope_of_the_density_leaves_the_risk_of_one_layer_as_it_is(flow, risk, slope):
    found, times = rates(risk("laplace"), 1), np.array([1e6, 1e8, 1e10])
    np.testing.assert_allclose(found.risk(times, order=2), found.risk(times), rtol=1e-14)
    truth = risk("laplace").aligned(flow("laplace", 1, *START).at(times)[0])
    assert slope(found.norm(times), truth / found.risk(times) - 1.0) == pytest.approx(-2.0, abs=0.1)


def test_a_slope_of_the_density_enters_the_risk_of_three_layers(flow, risk, slope):
    found, times = rates(risk("laplace"), 3), np.array([1e6, 1e8])
    truth = risk("laplace").aligned(flow("laplace", 3, *START).at(times)[0])
    assert slope(found.norm(times), truth / found.risk(times) - 1.0) == pytest.approx(-1.0, abs=0.03)
    assert slope(found.norm(times), truth / found.risk(times, order=2) - 1.0) == pytest.approx(-5.0 / 3.0, abs=0.05)


# --- the law without time ---


@pytest.mark.parametrize("name", [*SMOOTH, "flat"])
@every_depth
def test_direction_and_norm_obey_the_law_without_time_at_every_depth(flow, risk, name, depth):
    found, times = rates(risk(name), depth), np.geomspace(1e2, 1e6, 5)
    norm, s = flow(name, depth, *START).at(times)
    norm, s = norm[norm > 30.0], s[norm > 30.0]
    assert norm.size > 1

    def drift(of):
        return np.ptp(-s - of.time_free(norm))

    spread = abs(found.tail.next_coefficient) * found.pull / found.tail.constant**2 / depth * np.log(norm[-1] / norm[0])
    assert drift(found) < 5e-3 + 0.01 * spread
    if name != "flat":
        assert drift(with_next_coefficient(found, -1.0)) == pytest.approx(2.0 * spread, rel=0.02)
        assert np.ptp(-s - found.time_free(norm, order=1)) == pytest.approx(spread, rel=0.02)


@every_depth
def test_the_law_without_time_is_off_by_a_logarithm_where_the_density_has_a_slope(flow, risk, slope, depth):
    found, times = rates(risk("laplace"), depth), np.geomspace(1e3, 1e7, 9)
    norm, s = flow("laplace", depth, *START).at(times)
    left = np.diff(-s - found.time_free(norm)) / np.diff(np.log(norm))
    # (c/(N K)) (gamma^2 - coefficient of r^-4 over K); Laplace of scale b: h = sum of (n+1) etaD(n+2) (-1)^n b^-(n+1) r^-(n+2)
    eta3, eta4, k, b = 0.9015426773696957, 7.0 * np.pi**4 / 720.0, np.pi**2 / 12.0, 0.7
    expected = found.pull / (depth * k / b) * ((2.0 * eta3 / k) ** 2 - 3.0 * eta4 / k) / b**2
    assert left[-1] == pytest.approx(expected, rel=0.03), left


@every_depth
def test_half_a_power_at_the_origin_changes_the_law_without_time(flow, risk, slope, depth):
    found, times = rates(risk("half"), depth), np.array([1e9, 1e11])
    norm, s = flow("half", depth, *START).at(times)
    gap = -s / found.time_free(norm, order=1) - 1.0
    assert slope(norm, gap) == pytest.approx(-0.5, abs=0.05)
