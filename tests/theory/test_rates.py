"""The leading orders of the late flow against an independent integration of the flow to t = 1e12."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

import flowsim as fs
from flowsim.theory import noisy_rates, rates

NAMES = ["gaussian", "circle", "flat", "laplace", "student", "half"]
DEPTHS = [1, 2, 3, 5]
every_law = pytest.mark.parametrize("name", NAMES)
every_depth = pytest.mark.parametrize("depth", DEPTHS)

START = (1.0, 0.3)
LATE = np.array([1e8, 1e10, 1e12])


def shortfall(tail, depth):
    """The power of R by which the leading order of the norm errs: that of the tail's next term or of the start's shift of time."""
    gap = 0.5 if tail.exponent == 0.5 else tail.next_power - 2.0
    return min(gap, tail.exponent + 2.0 / depth)


# --- leading order ---


@every_law
@every_depth
def test_norm_direction_and_risk_approach_the_leading_order(flow, risk, name, depth):
    found, (norm, s) = rates(risk(name), depth), flow(name, depth, *START).at(LATE)
    slack = 5e-3 if name in ("laplace", "half") else 2e-6
    for measured, predicted in (
        (norm, found.norm(LATE)),
        (s, found.log_tan_half_angle(LATE)),
        (risk(name).aligned(norm), found.risk(LATE)),
    ):
        gap = np.abs(measured / predicted - 1.0)
        assert gap[-1] < 2.0 * slack, gap
        assert gap[-1] < gap[0] or gap[0] < 1e-9, gap


@every_law
@every_depth
def test_the_error_of_the_leading_norm_falls_with_the_next_power(flow, risk, slope, name, depth):
    found, times = rates(risk(name), depth), np.geomspace(1e6, 1e9, 4)
    gap = flow(name, depth, *START).at(times)[0] / found.norm(times) - 1.0
    expected = -shortfall(found.tail, depth) if name != "flat" else -(1.0 + 2.0 / depth)
    measured = slope(found.norm(times), gap)
    # at N = 2 a logarithm multiplies the power, and the slope is slow to settle
    assert measured == pytest.approx(expected, abs=0.25 if depth == 2 else 0.15), (measured, gap)


@every_law
@every_depth
def test_the_exponents_are_the_slopes_of_the_flow(flow, risk, slope, name, depth):
    found, path = rates(risk(name), depth), flow(name, depth, *START)
    times = np.array([1e11, 1e12])
    norm, s = path.at(times)
    for measured, exponent in (
        (norm, found.norm_exponent),
        (s, found.direction_exponent),
        (risk(name).aligned(norm), -found.risk_exponent),
    ):
        assert slope(times, measured) == pytest.approx(exponent, abs=2e-3)


@pytest.mark.parametrize("attribute", ["pull", "constant", "exponent"])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_wrong_pull_or_tail_misses_the_flow(flow, risk, attribute, depth):
    found, (norm, s) = rates(risk("gaussian"), depth), flow("gaussian", depth, *START).at(LATE)
    if attribute == "pull":
        wrong = dataclasses.replace(found, pull=found.pull * 1.001)
    else:
        wrong = dataclasses.replace(found, tail=dataclasses.replace(found.tail, **{attribute: getattr(found.tail, attribute) * 1.001}))
    norm_gap = abs(norm[-1] / wrong.norm(LATE)[-1] - 1.0)
    direction_gap = abs(s[-1] / wrong.log_tan_half_angle(LATE)[-1] - 1.0)
    assert max(norm_gap, direction_gap) > 1e-4
    if depth == 3 and attribute != "pull":
        assert norm_gap > 1e-4


@every_law
@every_depth
def test_the_leading_order_is_the_constant_times_the_power(risk, name, depth):
    found, times = rates(risk(name), depth), np.array([1e-3, 1.0, 1e12])
    np.testing.assert_allclose(found.norm(times), found.norm_constant * times**found.norm_exponent, rtol=1e-13)
    np.testing.assert_allclose(-found.log_tan_half_angle(times), found.direction_constant * times**found.direction_exponent, rtol=1e-13)
    np.testing.assert_allclose(found.risk(times), found.risk_constant * times**-found.risk_exponent, rtol=1e-13)


def test_the_exponents_of_the_direction_go_from_two_thirds_to_two(risk):
    found = [rates(risk("gaussian"), depth).direction_exponent for depth in (1, 2, 3, 100)]
    np.testing.assert_allclose(found, [2 / 3, 1.0, 6 / 5, 200 / 102], rtol=1e-15)


# --- the integration behind these tests ---


@pytest.mark.parametrize("depth", [1, 3])
def test_two_integrators_agree(flow, depth):
    times = np.geomspace(1e-2, 1e10, 13)
    one = flow("circle", depth, *START).at(times)
    other = flow("circle", depth, *START, method="LSODA").at(times)
    np.testing.assert_allclose(one[0], other[0], rtol=1e-9)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-9, atol=1e-9)


# --- label noise ---


@every_depth
def test_with_label_noise_the_norm_converges_and_the_angle_decays_at_a_rate(flow, risk, depth):
    noisy = risk("gaussian", 0.2)
    found, path = noisy_rates(noisy, depth), flow("gaussian", depth, *START, last=1e3, label_noise=0.2)
    times = np.array([500.0, 1000.0])
    norm, s = path.at(times)
    np.testing.assert_allclose(norm, found.norm_limit, rtol=1e-9)
    np.testing.assert_allclose(np.diff(s), np.diff(found.log_tan_half_angle(times)), rtol=1e-9)
    np.testing.assert_allclose(noisy.value(norm, 0.0), found.risk_limit, rtol=1e-12)
    assert noisy.value(found.norm_limit * 1.01, 0.0) > found.risk_limit < noisy.value(found.norm_limit * 0.99, 0.0)


@every_depth
def test_with_label_noise_the_aligned_norm_relaxes_at_its_rate(flow, risk, depth):
    found = noisy_rates(risk("gaussian", 0.2), depth)
    path = flow("gaussian", depth, 1.2 * found.norm_limit, -300.0, last=300.0, label_noise=0.2)
    times = np.array([10.0, 12.0]) / found.norm_rate
    gap = path.at(times)[0] - found.norm_limit
    assert -np.log(gap[1] / gap[0]) / np.diff(times)[0] == pytest.approx(found.norm_rate, rel=1e-4)


# --- refusals and shapes ---


@pytest.mark.parametrize("depth", [0, 101, 1.5, "two", True, [1, 2], np.nan])
def test_a_depth_that_is_none_is_refused(risk, depth):
    with pytest.raises(ValueError, match=r"`depth` must be a (single )?whole number"):
        rates(risk("gaussian"), depth)
    with pytest.raises(ValueError, match=r"`depth` must be a (single )?whole number"):
        noisy_rates(risk("gaussian", 0.1), depth)


def test_risks_of_the_wrong_kind_are_refused(risk):
    with pytest.raises(ValueError, match=r"`risk` must be free of label noise, but has 0.1.*noisy_rates"):
        rates(risk("gaussian", 0.1), 1)
    with pytest.raises(ValueError, match=r"`risk` must have label noise, but has none.*see rates"):
        noisy_rates(risk("gaussian"), 1)
    with pytest.raises(ValueError, match=r"`risk` must be a flowsim.PopulationRisk, but is 'gaussian'"):
        rates("gaussian", 1)
    with pytest.raises(ValueError, match=r"must have a growth with a power tail, but that of Radial.* falls off with a logarithm"):
        rates(fs.PopulationRisk(fs.Radial(3, scipy.stats.gamma(1.0))), 1)


@pytest.mark.parametrize("method", ["norm", "log_tan_half_angle", "risk"])
@pytest.mark.parametrize("t", [0.0, -1.0, np.nan, np.inf, [1.0, -2.0], "late", []])
def test_times_must_be_positive(risk, method, t):
    with pytest.raises(ValueError, match="`t` must"):
        getattr(rates(risk("gaussian"), 1), method)(t)


@pytest.mark.parametrize("method", ["norm", "log_tan_half_angle", "risk", "time_free"])
@pytest.mark.parametrize("order", [0, 3, 1.5, None])
def test_orders_are_one_or_two(risk, method, order):
    with pytest.raises(ValueError, match="`order` must be a whole number from 1 to 2"):
        getattr(rates(risk("gaussian"), 1), method)(1.0, order=order)


@pytest.mark.parametrize("method", ["norm", "log_tan_half_angle", "risk"])
def test_next_orders_that_belong_to_the_start_are_refused(risk, method):
    for name, depth, reason in (
        ("gaussian", 3, "at depth 3, but is 2: a shift of time"),
        ("half", 1, "for this law, but is 2: the next term"),
    ):
        found = rates(risk(name), depth)
        assert not found.has_next_order
        with pytest.raises(ValueError, match=f"`order` must be 1 {reason}"):
            getattr(found, method)(1e6, order=2)


def test_the_law_without_time_needs_the_next_term_and_a_norm(risk):
    with pytest.raises(ValueError, match="`order` must be 1 for this law, but is 2"):
        rates(risk("half"), 3).time_free(10.0)
    with pytest.raises(ValueError, match="`r` must be positive and finite, but is 0"):
        rates(risk("gaussian"), 3).time_free(0.0)


def test_where_the_next_order_is_known(risk):
    known = {name: [depth for depth in (1, 2, 3, 100) if rates(risk(name), depth).has_next_order] for name in NAMES}
    assert known == {
        "gaussian": [1, 2],
        "circle": [1, 2],
        "flat": [1, 2],
        "laplace": [1, 2, 3, 100],
        "student": [1, 2],
        "half": [],
    }


def test_shapes_are_kept_and_extremes_do_not_warn(risk):
    for depth in (1, 2, 100):
        found = rates(risk("gaussian"), depth)
        times = np.array([[1e-300, 1.0, 1e300]])
        assert found.norm(times).shape == found.risk(times).shape == found.log_tan_half_angle(times).shape == (1, 3)
        assert found.norm(1.0).shape == found.time_free(1.0).shape == ()
        assert np.isfinite(found.norm(times)).all()
        assert np.isposinf(found.time_free(1e300))
    assert np.isneginf(rates(risk("gaussian"), 100).log_tan_half_angle(1e300))
    assert np.isnan(rates(risk("gaussian"), 1).norm(1e-3, order=2))
    assert np.isnan(rates(risk("student"), 2).norm(2.0, order=2))


def test_units_of_length_and_time_do_not_matter():
    # x -> k x with w -> w/k turns the flow at depth N into itself at t k^(2/N)
    k, depth, t = 3.0, 3, 1e5
    one, other = (rates(fs.PopulationRisk(fs.Gaussian(2, scale)), depth) for scale in (1.0, k))
    stretched = t * k ** (2.0 / depth)
    assert float(one.norm(stretched)) == pytest.approx(k * float(other.norm(t)), rel=1e-12)
    assert float(one.log_tan_half_angle(stretched)) == pytest.approx(float(other.log_tan_half_angle(t)), rel=1e-12)
    assert float(one.risk(stretched)) == pytest.approx(float(other.risk(t)), rel=1e-12)
