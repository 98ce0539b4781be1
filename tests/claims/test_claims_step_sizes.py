"""The claims about Theorems 2, 3 and 4: their quantities against steps by hand, other laws and seeds, and of what they do not speak."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims.claim import judge
from flowsim.claims.settings import Setting, risk_of
from flowsim.claims.theorems import bounded_steps, step_sizes
from flowsim.dynamics import Schedule, gradient_descent

CLAIMS = {claim.name: claim for claim in (*step_sizes.claims(), *bounded_steps.claims()) if "theorem" in claim.name}
CIRCLE = Setting(laws=fs.Sphere(2))


def by_hand(risk: fs.PopulationRisk, start: tuple[float, float], sizes: Any) -> np.ndarray:
    """w after each step, (K+1, 2), v = (1, 0)."""
    w, v = start[0] * np.array([np.cos(start[1]), np.sin(start[1])]), np.array([1.0, 0.0])
    path = [w]
    for eta in sizes:
        w = w - eta * risk.gradient(w, v)
        path.append(w)
    return np.array(path)


@pytest.mark.parametrize("sizes", [[0.5, 0.1, 3.0, 8.0], [20.0, 0.2, 0.2]], ids=["growing", "thrown over v"])
def test_the_margin_of_theorem_3_is_the_largest_delta_of_its_condition(sizes: list[float]) -> None:
    risk, start = risk_of(fs.Gaussian(2)), (1.3, 1.2)
    run = gradient_descent(risk, fs.Start(*start), Schedule(np.array(sizes)), np.arange(len(sizes) + 1), 1)
    w = by_hand(risk, start, sizes)
    norm = np.linalg.norm(w, axis=1)
    cos = w[:, 0] / norm
    deltas = [(norm[n + 1] + w[n] @ w[n + 1] / norm[n]) / (risk.pull * sizes[n] * cos[n]) - 1.0 for n in range(len(sizes)) if cos[n] > 0.0]
    assert step_sizes.kept_margin(risk, np.array(sizes), run) == pytest.approx(min(deltas), rel=1e-9)


def test_where_the_angle_is_obtuse_the_condition_is_no_restriction() -> None:
    sizes = np.full(3, 1e-3)
    run = gradient_descent(risk_of(fs.Sphere(2)), fs.Start(1.0, 3.0), Schedule(sizes), np.arange(4), 1)
    assert step_sizes.kept_margin(risk_of(fs.Sphere(2)), sizes, run) == np.inf


def test_the_gain_is_minus_the_log_of_what_is_left_of_one_minus_cosine() -> None:
    descent = next(d for d in step_sizes.descents(CIRCLE) if "constant, eta_0 = 0.3" in d.name)
    w = by_hand(descent.risk, (descent.start.norm, float(descent.run.start.angle)), descent.sizes[:30])
    left = 1.0 - w[:, 0] / np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(descent.gain[:31], -np.log(left / left[0]), rtol=1e-8, atol=1e-12)


def test_runs_are_in_units_of_the_law() -> None:
    """Twice the size of x: half the norms and a quarter of the step sizes, and the same gains."""
    one, two = (list(step_sizes.descents(Setting(laws=fs.Sphere(2, radius)))) for radius in (1.0, 2.0))
    for a, b in zip(one[::20], two[::20], strict=True):
        assert b.start.norm == pytest.approx(0.5 * a.start.norm, rel=1e-9)
        np.testing.assert_allclose(b.sizes, 0.25 * a.sizes, rtol=1e-9)
        np.testing.assert_allclose(b.gain[:20], a.gain[:20], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_come_out_as_expected_and_controls_do_not_on_the_circle_alone(name: str) -> None:
    claim = CLAIMS[name]
    assert judge(claim, CIRCLE).finding.verdict == "holds"
    assert judge(claim, CIRCLE, control=True).finding.verdict == "violated"


@pytest.mark.parametrize(
    "setting",
    [
        Setting(laws=fs.Radial(3, stats.gamma(0.5)), seed=1),
        Setting(laws=fs.StudentT(3, 2.5), seed=2),
        Setting(laws=fs.Sphere(3, 0.01), seed=3),
        Setting(laws=fs.Gaussian(5), depths=(1, 4), seed=4),
    ],
    ids=["singular", "heavy tail", "small", "Gaussian"],
)
def test_claims_come_out_as_expected_at_other_laws_and_seeds(setting: Setting) -> None:
    for claim in CLAIMS.values():
        verdict = judge(claim, setting)
        assert verdict.finding.verdict == "holds", (claim.name, verdict.finding)


@pytest.mark.parametrize("name", CLAIMS)
def test_deeper_networks_are_outside(name: str) -> None:
    finding = judge(CLAIMS[name], Setting(laws=fs.Sphere(2), depths=3)).finding
    assert finding.verdict == "outside"
    assert "speaks of N = 1, and not of N = 3" in finding.measured


def test_a_law_without_a_power_tail_has_no_rate_and_is_outside() -> None:
    finding = judge(CLAIMS["theorem-4-rate"], Setting(laws=fs.Radial(2, stats.expon()))).finding
    assert finding.verdict == "outside"
    assert "speaks of laws whose growth has a power tail" in finding.measured
    assert judge(CLAIMS["theorem-4-bounded-step-sizes"], Setting(laws=fs.Radial(2, stats.expon()))).finding.verdict == "holds"


def test_late_descent_is_the_descent_late() -> None:
    risk, sizes = risk_of(fs.Gaussian(2)), np.full(2000, 0.7)
    norm = 200.0
    run = gradient_descent(risk, fs.Start(norm, 1e-3), Schedule(sizes), [0, 2000], 1)
    last, change = bounded_steps.late_descent(risk, norm, sizes)
    assert last == pytest.approx(float(run.norm[-1]), rel=1e-6)
    assert change == pytest.approx(float(np.diff(run.log_tan_half_angle)[0]), rel=1e-3)


def test_the_findings_say_how_far_the_proof_is_from_the_run() -> None:
    numbers = judge(CLAIMS["theorem-3-any-step-sizes"], CIRCLE).finding.numbers
    assert numbers["proven exponent"] == pytest.approx(0.5, abs=0.02)
    assert numbers["measured exponent"] == pytest.approx(2.0 / 3.0, abs=0.02)
    assert numbers["measured"] > 2.0 * numbers["proven"]
    assert numbers["outside"] > 0


@pytest.mark.parametrize("name", CLAIMS)
def test_pictures_have_what_was_measured_and_what_was_expected(name: str) -> None:
    picture = judge(CLAIMS[name], CIRCLE).finding.picture
    assert picture is not None
    roles = [curve.role for curve in picture.curves]
    assert "measured" in roles
    assert "limit" in roles or "predicted" in roles
    assert len(roles) <= 8
    assert all(np.isfinite(curve.y).all() for curve in picture.curves)
