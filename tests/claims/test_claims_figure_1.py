"""The claims about the paper's figure 1: its numbers, SGD against matrices, the size of its fluctuations, and other laws and depths."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import flowsim as fs
from flowsim.claims import figure_1 as room
from flowsim.claims.claim import judge
from flowsim.claims.figure_1 import bounds, curves, runs, samples
from flowsim.claims.settings import Setting
from flowsim.theory.paper import FIGURE_1

CLAIMS = {claim.name: claim for claim in room.claims()}
SURE = [name for name in CLAIMS if name != "figure-1-sgd"]


@pytest.mark.parametrize("name", SURE)
def test_claims_come_out_as_expected_and_controls_do_not(name: str) -> None:
    claim = CLAIMS[name]
    assert judge(claim).finding.verdict == "holds"
    assert judge(claim, control=True).finding.verdict == "violated"


def test_sgd_comes_out_as_expected_and_its_control_does_not() -> None:
    setting = Setting(depths=1, seed=3)
    assert judge(CLAIMS["figure-1-sgd"], setting).finding.verdict == "holds"
    finding = judge(CLAIMS["figure-1-sgd"], setting, control=True).finding
    assert finding.verdict == "violated"
    assert finding.numbers["deviations"] > samples.DEVIATIONS


# --- the curves ---


@pytest.mark.parametrize("depth", FIGURE_1.depths)
def test_the_curves_are_those_of_the_figure(depth: int) -> None:
    flow, descent = runs.drawn(depth)
    for curve in (flow, descent):
        assert float(curve.run.norm[0]) == pytest.approx(1.0, rel=1e-12)
        assert np.cos(float(curve.run.angle[0])) == pytest.approx(-0.8, rel=1e-12)
        assert curve.run.time[-1] == pytest.approx(30.0, rel=1e-12)
        begin, again = curve.starts(depth)
        assert begin.time == 0.0
        assert again.time == pytest.approx({1: 5.0, 4: 18.0}[depth], abs=1e-9)
    assert descent.turn.time == pytest.approx(flow.turn.time, abs=5e-3)
    assert float(np.min(flow.run.norm)) == pytest.approx(flow.turn.norm, rel=1e-9)


@pytest.mark.parametrize("depth", [1, 4, 7])
def test_the_speeds_are_those_of_the_flow(depth: int) -> None:
    risk, start = fs.PopulationRisk(fs.Gaussian(3)), fs.Start(0.8, 2.2)
    times = np.array([0.0, 0.5, 0.5 + 1e-4])
    run = fs.gradient_flow(risk, start, times, depth, rtol=1e-12)
    found = [np.diff(x)[1] / 1e-4 for x in (run.log_tan_half_angle, run.norm, run.risk)]
    middle = [0.5 * (x[1:2] + x[2:]) for x in (run.norm, run.one_minus_cos)]
    predicted = curves.speeds(risk, *middle, depth)
    for a, b in zip(found, predicted, strict=False):
        assert float(a) == pytest.approx(float(b[0]), rel=1e-6)


def crossing(time: Any, lag: Any) -> float:
    return curves._crossing(np.array(time, dtype=float), np.array(lag, dtype=float))


def test_a_crossing_is_the_only_one_from_behind_to_ahead() -> None:
    assert crossing([0, 1, 2, 3], [0, 1, 2, -2]) == pytest.approx(2.5)
    assert crossing([0, 1, 2, 3, 4], [0, 1e-16, 1, 3, -1]) == pytest.approx(3.75)
    assert np.isnan(crossing([0, 1, 2], [0, 1, 2]))
    assert np.isnan(crossing([0, 1, 2, 3, 4], [0, 1, -1, 1, -1]))
    assert np.isnan(crossing([0, 1, 2], [0, -1, 2]))


def test_the_deeper_network_is_ahead_from_24_on() -> None:
    numbers = judge(CLAIMS["figure-1-deeper-network-overtakes"]).finding.numbers
    flows = [fs.gradient_flow(FIGURE_1.risk, FIGURE_1.start, [24.0, 24.3], n).log_tan_half_angle for n in (1, 4)]
    assert flows[0][0] < flows[1][0]
    assert flows[0][1] > flows[1][1]
    assert 24.0 < numbers["flow"]["crossing"] < 24.3


def test_started_anew_with_a_norm_that_is_too_large_the_bound_gains_nothing() -> None:
    for depth in FIGURE_1.depths:
        curve = runs.drawn(depth)[0]
        first, second = curve.starts(depth)
        assumed = bounds._assumed_norm(depth, second, curve.turn)
        times = np.array([second.time, 25.0, 30.0])
        lead = bounds.bound_of(depth, assumed, None).exponent(times) - bounds.bound_of(depth, first, curve.turn).exponent(times)
        np.testing.assert_allclose(lead, lead[0], rtol=1e-9)
        assert assumed.norm > second.norm if depth == 1 else assumed.norm < second.norm


# --- SGD ---


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_sgd_is_that_of_the_matrices(depth: int) -> None:
    """Layers of width 3 and their gradients on the same batches, in double precision."""
    steps, eta, batch = 40, FIGURE_1.step_size, FIGURE_1.batch
    found = samples.sgd(np.random.default_rng(9), (depth,), steps, steps)[depth]
    phi = np.random.default_rng(9).random((steps, batch), dtype=np.float32).astype(float)
    angle = float(FIGURE_1.start.angle)
    first = np.array([np.cos(angle), np.sin(angle)])
    unit = np.array([0.6, 0.0, 0.8])
    layers = [first[None, :]] if depth == 1 else [np.outer(unit, first), *[np.outer(unit, unit)] * (depth - 2), unit[None, :]]
    for row in phi * np.pi:
        x = np.stack([np.sin(row), np.cos(row)], axis=-1)
        below = [np.eye(2)]
        for layer in layers:
            below.append(layer @ below[-1])
        w = below[-1][0]
        g = -np.mean(x / (1.0 + np.exp(x @ w))[:, None], axis=0)
        above, moved = np.eye(1), []
        for j in range(depth - 1, -1, -1):
            moved.insert(0, layers[j] - eta * above.T @ g[None, :] @ below[j].T)
            above = above @ layers[j]
        layers = moved
    product = np.eye(2)
    for layer in layers:
        product = layer @ product
    a, *z = found[-1]
    np.testing.assert_allclose(a ** (depth - 1) * np.array(z), product[0], rtol=1e-6)


def test_what_is_observed_is_angle_and_log_norm() -> None:
    states = np.array([[1.2, 0.5, -0.3], [0.9, -0.4, 0.1]])
    seen = samples.observed(states, 4)
    w = states[:, :1] ** 3 * states[:, 1:]
    np.testing.assert_allclose(seen[:, 0], np.arctan2(w[:, 1], w[:, 0]), rtol=1e-13)
    np.testing.assert_allclose(seen[:, 1], np.log(np.linalg.norm(w, axis=1)), rtol=1e-13)


def test_the_noise_of_one_sample_is_the_gradients_covariance() -> None:
    states = np.array([[1.0, 0.7, 0.4]])
    x = fs.Sphere(2).sample(1, 400_000)
    x *= np.sign(x[:, :1])
    gradients = -x / (1.0 + np.exp(x @ states[0, 1:]))[:, None]
    np.testing.assert_allclose(samples._noise(states, 1)[0][1:, 1:], np.cov(gradients.T), rtol=2e-2, atol=2e-4)
    field = samples._field(states, 1)[0]
    np.testing.assert_allclose(field[1:], -gradients.mean(axis=0), atol=3e-3)
    np.testing.assert_allclose(samples._noise(states, 1)[0][0], 0.0)


def test_the_predicted_fluctuations_are_those_of_many_short_runs() -> None:
    """Thirty runs of a thousand steps: their spread to 5 deviations of its own error."""
    count, record = 30, 1
    for depth in FIGURE_1.depths:
        expected = samples.band(depth)
        of_runs = [samples.sgd(np.random.default_rng(k), (depth,), 1000, 1000)[depth] for k in range(count)]
        seen = np.array([samples.observed(states, depth)[1] for states in of_runs])
        scaled = (seen - expected.mean[record]) / expected.deviation[record]
        assert np.abs(scaled.mean(axis=0)).max() < 5.0 / np.sqrt(count)
        assert np.abs(scaled.std(axis=0) - 1.0).max() < 5.0 / np.sqrt(2.0 * count)


def test_deviations_of_the_wrong_size_are_seen() -> None:
    def tight(depth: int) -> samples.Band:
        right = samples.band(depth)
        return samples.Band(right.mean, right.deviation / 5.0)

    def loose(depth: int) -> samples.Band:
        right = samples.band(depth)
        return samples.Band(right.mean, right.deviation * 30.0)

    for wrong in (tight, loose):
        assert judge(replace(CLAIMS["figure-1-sgd"], theory=wrong), Setting(depths=1)).finding.verdict == "violated"


# --- what the claims do not speak of ---


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize(
    ("setting", "reason"),
    [(Setting(laws=fs.Gaussian(2)), "figure 1 is of x uniform on the circle"), (Setting(depths=(2, 3)), "figure 1 is of N = 1 and N = 4")],
    ids=["another law", "another depth"],
)
def test_other_laws_and_depths_are_outside(name: str, setting: Setting, reason: str) -> None:
    finding = judge(CLAIMS[name], setting).finding
    assert finding.verdict == "outside"
    assert reason in finding.measured


def test_one_depth_of_the_figure_is_measured_alone_but_not_beside_the_other() -> None:
    setting = Setting(laws=(fs.Gaussian(2), fs.Sphere(2)), depths=(4, 9))
    assert judge(CLAIMS["figure-1-bounds"], setting).finding.verdict == "holds"
    assert "N = 1" not in str(judge(CLAIMS["figure-1-bounds"], setting).finding.numbers)
    finding = judge(CLAIMS["figure-1-deeper-network-overtakes"], setting).finding
    assert finding.verdict == "outside"
    assert "compares N = 1 with N = 4" in finding.measured


@pytest.mark.parametrize("name", SURE)
def test_pictures_have_what_was_measured(name: str) -> None:
    picture = judge(CLAIMS[name]).finding.picture
    assert picture is not None
    assert "measured" in [curve.role for curve in picture.curves]
    assert len(picture.curves) <= 6
    assert all(np.isfinite(curve.y).all() for curve in picture.curves)
