"""What claims are measured over: the user's laws, depths and seed in the place of a claim's own."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.claims.settings import ANGLES, NORMS, RANDOM_STARTS, OutOfScope, Setting, six_laws, turning
from flowsim.dynamics import turning_point


def test_the_claims_own_laws_and_depths_unless_others_are_asked_for() -> None:
    own, asked = Setting(), Setting(laws=fs.Gaussian(5), depths=[7, 3, 3])
    assert own.laws_or() == six_laws()
    assert own.laws_or(fs.Sphere(3)) == (fs.Sphere(3),)
    assert own.depths_or((1, 2)) == (1, 2)
    assert asked.laws_or(fs.Sphere(3)) == (fs.Gaussian(5),)
    assert [risk.law for risk in asked.risks_or()] == [fs.Gaussian(5)]
    assert asked.depths_or((1, 2)) == (3, 7)
    assert asked.depths_or((3, 4), low=4) == (7,)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(1, 1, "speaks of N = 1, and not of N = 3, 7"), (8, 100, "speaks of N >= 8, and"), (4, 6, "speaks of N = 4 to 6, and")],
)
def test_depths_of_which_a_statement_does_not_speak_are_out_of_scope(low: int, high: int, said: str) -> None:
    with pytest.raises(OutOfScope, match=said):
        Setting(depths=(3, 7)).depths_or((low,), low, high)


def test_starts_are_the_fixed_ones_and_two_of_the_seed() -> None:
    one, two = Setting(seed=1), Setting(seed=2)
    assert one.start_pairs[: len(NORMS)] == tuple(zip(NORMS, ANGLES, strict=True))
    assert len(one.start_pairs) == len(NORMS) + RANDOM_STARTS
    assert one.start_pairs == Setting(seed=1).start_pairs
    assert one.start_pairs[-1] != two.start_pairs[-1]
    assert one.starts.shape == (8,)


def test_streams_of_one_seed_differ_and_repeat() -> None:
    draw = [Setting(seed=1).generator(k).standard_normal() for k in (5, 5, 6)]
    assert draw[0] == draw[1] != draw[2]


def test_flows_are_solved_once_and_cases_name_theirs() -> None:
    setting = Setting(laws=(fs.Gaussian(2), fs.Sphere(3)), depths=(2, 4))
    assert setting.flows() is Setting(laws=[fs.Gaussian(2), fs.Sphere(3)], depths=[4, 2]).flows()
    cases = setting.cases((3, 4, 5), low=3)
    assert len(cases) == 2 * 8
    case, run = cases[9]
    assert (case.risk.law, case.depth) == (fs.Sphere(3), 4)
    assert str(case).startswith("Sphere(dim=3, radius=1), N = 4, |w(0)| = 0.3, theta(0) = 0.5")
    alone = fs.gradient_flow(case.risk, case.start, run.time, 4)
    np.testing.assert_allclose(run.log_norm, alone.log_norm, rtol=1e-8, atol=1e-8)
    assert turning(case) == turning_point(case.risk, case.start, 4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"laws": "gaussian"}, "`laws` must be a law or a sequence of laws, such as flowsim.Gaussian"),
        ({"laws": []}, "`laws` must hold at least one law"),
        ({"depths": [0]}, "`depths` must be a whole number from 1 to 100, but is 0"),
        ({"depths": [1.5]}, "`depths` must be a whole number from 1 to 100"),
        ({"seed": -1}, "`seed` must be a whole number, 0 or more, but is -1"),
    ],
)
def test_bad_settings_are_refused_by_name(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Setting(**wrong)
