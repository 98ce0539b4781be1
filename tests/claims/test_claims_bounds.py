"""The claims about Theorems 1 and 5: which starts show a misprint, how near a bound is to the flow, and of what they do not speak."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims.claim import Claim, judge
from flowsim.claims.settings import Case, Setting, risk_of, turning
from flowsim.claims.theorems import bounds as room
from flowsim.theory import State, Theorem1

CLAIMS = {claim.name: claim for claim in room.claims()}
OF_ONE = [name for name in CLAIMS if "theorem-1" in name]
OF_FIVE = [name for name in CLAIMS if "theorem-5" in name]
CIRCLE = Setting(laws=fs.Sphere(2), depths=(1, 4))


@pytest.mark.parametrize(
    ("norm", "phase"), [(1.0, room.first_phase), (5.0, room.second_phase)], ids=["alpha at w(0) = (0.6, -0.8)", "A2 at r(0) = 5"]
)
def test_each_printed_constant_of_theorem_5_fails_at_the_start_that_is_told_of_it(norm: float, phase: Any) -> None:
    case, run = next(pair for pair in CIRCLE.cases((4,), low=3) if pair[0].depth == 4 and float(pair[0].start.norm) == norm)
    mask = phase(case, run)
    time, s = run.time[mask], run.log_tan_half_angle[mask]
    assert room.margin(room.theorem_5_printed(case), time, s).min() < -1e-3
    assert room.margin(room.theorem_5(case), time, s).min() > 0.0


@pytest.mark.parametrize("name", [name for name in CLAIMS if "as-printed" in name])
def test_a_misprint_names_a_start_that_shows_it(name: str) -> None:
    finding = judge(CLAIMS[name], CIRCLE).finding
    assert finding.verdict == "violated"
    assert "N = " in finding.worst
    assert "theta(0) = " in finding.worst
    assert finding.numbers["broken"] > 0
    assert finding.numbers["advance"] < 1.0


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_come_out_as_expected_and_controls_do_not_on_the_circle_alone(name: str) -> None:
    claim = CLAIMS[name]
    assert judge(claim, CIRCLE).finding.verdict == claim.expected
    assert judge(claim, CIRCLE, control=True).finding.verdict == {"holds": "violated", "violated": "holds"}[claim.expected]


@pytest.mark.parametrize(
    "setting",
    [
        Setting(laws=fs.Radial(3, stats.gamma(0.5)), depths=(1, 3)),
        Setting(laws=fs.Radial(2, stats.expon()), depths=(1, 7)),
        Setting(laws=fs.StudentT(3, 2.5), depths=(1, 100), seed=3),
    ],
    ids=["singular", "logarithmic tail", "depth 100"],
)
def test_claims_come_out_as_expected_at_other_laws_depths_and_seeds(setting: Setting) -> None:
    for claim in CLAIMS.values():
        verdict = judge(claim, setting)
        assert verdict.as_expected, (claim.name, verdict.finding)
        assert verdict.measured or "only where" in verdict.finding.measured


def test_flows_that_have_not_turned_are_counted_and_left_out() -> None:
    finding = judge(CLAIMS["theorem-5-first-phase-as-derived"], Setting(laws=fs.Sphere(2), depths=(100,))).finding
    assert finding.verdict == "holds"
    assert finding.numbers["left out"] > 0
    assert "flows left out, whose norm falls to the last record" in finding.measured


@pytest.mark.parametrize(
    ("names", "setting", "reason"),
    [
        (OF_ONE, Setting(laws=fs.Sphere(2), depths=4), "speaks of N = 1, and not of N = 4"),
        (OF_FIVE, Setting(laws=fs.Sphere(2), depths=(1, 2)), "speaks of N >= 3, and not of N = 1, 2"),
        (["theorem-5-first-phase-as-printed"], Setting(laws=fs.Sphere(2, 0.3), depths=3), r"only where c0 (N-2) > 1"),
    ],
)
def test_claims_do_not_speak_of_everything(names: list[str], setting: Setting, reason: str) -> None:
    for name in names:
        finding = judge(CLAIMS[name], setting).finding
        assert finding.verdict == "outside", name
        assert reason in finding.measured


def test_where_the_printed_alpha_is_the_smaller_one_it_is_not_broken() -> None:
    """So that "outside" is the truth there and no excuse."""
    law = fs.Sphere(2, 0.3)
    case, run = next(pair for pair in Setting(laws=law, depths=3).cases((3,), low=3) if float(pair[0].start.norm) == 1.0)
    mask = room.first_phase(case, run)
    assert np.pi * risk_of(law).pull < 1.0
    assert room.margin(room.theorem_5_printed(case), run.time[mask], run.log_tan_half_angle[mask]).min() > 0.0


def test_margin_and_advance_are_what_they_say() -> None:
    case = Case(risk_of(fs.Sphere(2)), 1, fs.Start(0.05, 0.5))
    bound, begin = room.theorem_1(case), State.of(case.start)
    time = np.array([1.0, 5.0])
    exponent = bound.exponent(time)
    np.testing.assert_allclose(room.margin(bound, time, -0.5 * (exponent - 0.2)), -0.2 / np.maximum(np.abs(exponent - 0.2), 1.0), rtol=1e-9)
    gained = exponent + 2.0 * begin.log_tan_half_angle
    s = begin.log_tan_half_angle - 0.5 * 1.25 * gained
    np.testing.assert_allclose(room.advance(bound, begin, time, s), 1.25, rtol=1e-12)
    upper = room.theorem_5_upper(replace(case, depth=3))
    gained = upper.exponent(time) + 2.0 * begin.log_tan_half_angle
    np.testing.assert_allclose(room.advance(upper, begin, time, begin.log_tan_half_angle - 0.4 * gained), 1.25, rtol=1e-12)


def test_the_control_of_theorem_1_is_continuous_and_gains_more_in_either_phase() -> None:
    case = Case(risk_of(fs.Sphere(2)), 1, fs.Start(1.0, 2.5))
    turn = State(*turning(case))
    right, wrong = room.theorem_1(case), room.Theorem1More(case.risk, State.of(case.start), turn, more=1.1)
    assert isinstance(right, Theorem1)
    times = np.array([0.5 * turn.time, turn.time + 2.0])
    begin = -2.0 * np.array([float(case.start.log_tan_half_angle), turn.log_tan_half_angle])
    np.testing.assert_allclose(wrong.exponent(times) - begin, 1.1 * (right.exponent(times) - begin), rtol=1e-12)
    assert float(wrong.exponent(0.0)) == float(right.exponent(0.0))
    assert float(wrong.exponent(turn.time)) == pytest.approx(-2.0 * turn.log_tan_half_angle, rel=1e-12)


def test_the_picture_shows_the_worst_flow_beside_the_bound() -> None:
    picture = judge(CLAIMS["theorem-1-as-printed-read-under-the-root"], CIRCLE).finding.picture
    assert picture is not None
    assert len(picture.curves) <= 6
    assert picture.curves[0].y.min() < 1.0
    assert [curve.role for curve in picture.curves].count("limit") == 1


def claims_with(name: str, **wrong: Any) -> Claim:
    return replace(CLAIMS[name], **wrong)


def test_a_bound_that_is_nan_does_not_hold() -> None:
    class Nowhere(Theorem1):
        def _second(self, elapsed: Any) -> Any:
            return elapsed * np.nan

    def nowhere(case: Case) -> Theorem1:
        return Nowhere(case.risk, State.of(case.start), State(*turning(case)))

    assert judge(claims_with("theorem-1-lower-bound", theory=nowhere), CIRCLE).finding.verdict != "holds"
