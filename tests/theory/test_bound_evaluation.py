"""How the bounds evaluate, what they refuse, Theorem 2, and what the room imports."""

import subprocess
import sys
from math import cos, log, pi, tan
from types import ModuleType

import numpy as np
import pytest

import flowsim as fs
from flowsim import theory
from flowsim.theory import (
    Lemma4,
    State,
    Theorem1,
    Theorem5,
    Theorem5Upper,
    descent_cosine_bound,
    descent_cosine_bound_kept,
    norm_floor,
    two_layer_direction,
)

# --- Theorem 2 ---


def descend(risk, angle, step_sizes):
    """cos theta after each step of gradient descent on w in the plane, v = (1, 0)."""
    w, v, cosines = np.array([np.cos(angle), np.sin(angle)]), np.array([1.0, 0.0]), [cos(angle)]
    for step_size in step_sizes:
        w = w - step_size * risk.gradient(w, v)
        cosines.append(w[0] / np.hypot(*w))
    return np.array(cosines)


@pytest.mark.parametrize("size", [1e-3, 0.1, 1.0])
@pytest.mark.parametrize("angle", [1.7, 2.5, 3.1])
def test_theorem_2_holds_while_the_angle_is_obtuse(risk, size, angle):
    steps = size * (1.0 + np.sin(np.arange(2000)) ** 2)
    cosines = descend(risk("circle"), angle, steps)
    obtuse = np.concatenate([[True], np.cumprod(cosines[:-1] < 0.0).astype(bool)])
    bound = descent_cosine_bound(risk("circle"), (0.0, 1.0, log(tan(angle / 2.0))), steps)
    assert bound.shape == cosines.shape
    assert obtuse.sum() >= 2
    assert (cosines >= bound - 1e-12)[obtuse].all()
    assert bound[0] == pytest.approx(cos(angle), rel=1e-12)


def test_theorem_2_sums_by_hand(risk):
    c0, start = pi * risk("gaussian").pull, (0.0, 2.0, 1.0)
    cosine = 1.0 - 2.0 / (1.0 + np.exp(-2.0))
    a = (2.0 / c0) ** 2
    total = 0.1 / np.sqrt(a + 0.01) + 0.3 / np.sqrt(a + 0.01 + 0.09)
    expected = 1.0 - (1.0 - cosine) * np.exp(-(1.0 + cosine) / pi * total)
    assert descent_cosine_bound(risk("gaussian"), start, [0.1, 0.3])[-1] == pytest.approx(expected, rel=1e-13)


def test_theorem_3_sums_by_hand(risk):
    c0, start = pi * risk("gaussian").pull, (0.0, 2.0, 1.0)
    cosine = 1.0 - 2.0 / (1.0 + np.exp(-2.0))
    a, c = (2.0 / c0) ** 2, 0.6 / c0**2
    total = 0.1 / np.sqrt(a + 0.01 + 0.1 * c) + 0.3 / np.sqrt(a + 0.01 + 0.09 + 0.4 * c)
    expected = 1.0 - (1.0 - cosine) * np.exp(-(1.0 + cosine) / pi * 3.0 / 4.0 * total)
    assert descent_cosine_bound_kept(risk("gaussian"), start, [0.1, 0.3], 3.0)[-1] == pytest.approx(expected, rel=1e-13)


def test_theorem_3_refuses_a_condition_without_margin(risk):
    with pytest.raises(ValueError, match="`margin` must be positive and finite, but is 0"):
        descent_cosine_bound_kept(risk("gaussian"), (0.0, 1.0, 1.0), [0.1], 0.0)


# --- evaluation ---


def test_bounds_evaluate_far_beyond_the_cosine(risk):
    bound = Theorem5(risk("gaussian"), (0.0, 2.0, -3.0), depth=4)
    times = np.array([[1.0, 1e6], [1e100, 1e300]])
    assert bound.exponent(times).shape == (2, 2)
    assert np.isfinite(bound.exponent(times)).all()
    np.testing.assert_allclose(bound.log_tan_half_angle(times), -0.5 * bound.exponent(times))
    assert bound.one_minus_cos(1.0) == pytest.approx(2.0 / (np.exp(float(bound.exponent(1.0))) + 1.0), rel=1e-13)
    assert bound.one_minus_cos(1e300) == 0.0
    upper = Theorem5Upper(risk("gaussian"), (0.0, 2.0, -3.0), depth=100)
    assert upper.sense == "at most"
    assert np.isposinf(upper.exponent(1e200))
    assert upper.exponent(0.0) == 6.0
    assert np.isposinf(Lemma4(risk("gaussian"), (0.0, 2.0, -3.0), depth=100).upper(1e200))


def test_the_phases_meet_at_the_turning_time(risk):
    turning = (2.0, 0.5, -1.0)
    bound = Theorem1(risk("gaussian"), (0.0, 1.0, 2.0), turning)
    np.testing.assert_allclose(bound.exponent(2.0), 2.0, rtol=1e-14)
    np.testing.assert_allclose(bound.exponent(np.nextafter(2.0, 0.0)), -4.0 + 2.0 * bound.first_slope, rtol=1e-14)
    assert bound.start == State(0.0, 1.0, 2.0)
    assert bound.turning == State(*turning)


def test_states_are_made_from_starts():
    state = State.of(fs.Start(norm=2.0, angle=1.0), time=3.0)
    assert state == (3.0, 2.0, pytest.approx(log(tan(0.5)), rel=1e-15))
    assert state.one_minus_cos == pytest.approx(1.0 - cos(1.0), rel=1e-14)
    assert State(0.0, 1.0, 1e4).one_minus_cos == 2.0
    assert State(0.0, 1.0, -1e4).one_minus_cos == 0.0
    with pytest.raises(ValueError, match=r"`start` must be a single one, but has shape \(2,\)"):
        State.of(fs.Start(norm=[1.0, 2.0], angle=1.0))


# --- refusals ---

GROWING = (0.0, 0.1, -3.0)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ((0.0, -1.0, 0.0), "`start.norm` must be positive and finite, but is -1"),
        ((np.nan, 1.0, 0.0), "`start.time` must be finite"),
        ((0.0, 1.0, -np.inf), "`start.log_tan_half_angle` must be finite"),
        ((0.0, 1.0), r"`start` must be three numbers \(time, norm, log tan\(theta/2\)\)"),
        (3.0, "`start` must be three numbers"),
        ((0.0, "one", 0.0), "`start.norm` must be a number"),
    ],
)
def test_states_that_are_none_are_refused(risk, start, reason):
    makers = [
        lambda: Theorem1(risk("gaussian"), start),
        lambda: Theorem5(risk("gaussian"), start),
        lambda: Theorem5Upper(risk("gaussian"), start),
        lambda: Lemma4(risk("gaussian"), start),
        lambda: norm_floor(start, 1),
        lambda: two_layer_direction(risk("gaussian"), start, 1.0),
        lambda: descent_cosine_bound(risk("gaussian"), start, [1.0]),
    ]
    for maker in makers:
        with pytest.raises(ValueError, match=reason):
            maker()


def test_a_turning_point_must_be_one(risk):
    falling = (0.0, 1.0, 1.1)
    with pytest.raises(ValueError, match="`turning` must be given, because the norm falls at `start`"):
        Theorem1(risk("circle"), falling)
    with pytest.raises(ValueError, match="`turning` must be a state in which the norm has stopped falling"):
        Theorem5(risk("circle"), falling, (1.0, 1.0, 1.1))
    with pytest.raises(ValueError, match="`turning` must not come before `start` at time 0, but is at time -1"):
        Theorem1(risk("circle"), GROWING, (-1.0, 0.1, -3.0))
    assert Theorem1(risk("circle"), GROWING).turning.time == 0.0


@pytest.mark.parametrize("depth", [0, 1, 2, 2.5, None, [3, 4]])
def test_bounds_of_deep_networks_refuse_shallow_ones(risk, depth):
    for kind in (Theorem5, Theorem5Upper, Lemma4):
        with pytest.raises(ValueError, match=r"`depth` must be a (single )?whole number"):
            kind(risk("gaussian"), GROWING, depth=depth)


def test_the_floor_of_the_norm_refuses_a_depth_of_zero_or_several():
    with pytest.raises(ValueError, match="`depth` must be a whole number, 1 or more, but is 0"):
        norm_floor(GROWING, 0)
    with pytest.raises(ValueError, match="`depth` must be a single whole number"):
        norm_floor(GROWING, [1, 2])


def test_times_before_the_start_are_refused(risk):
    here = (5.0, 0.1, -3.0)
    evaluations = [
        Theorem1(risk("gaussian"), here).exponent,
        Theorem5(risk("gaussian"), here).one_minus_cos,
        Theorem5Upper(risk("gaussian"), here).log_tan_half_angle,
        Lemma4(risk("gaussian"), here).lower,
        Lemma4(risk("gaussian"), here).upper,
        lambda t: two_layer_direction(risk("gaussian"), here, t),
    ]
    for evaluate in evaluations:
        with pytest.raises(ValueError, match="`t` must be at least 5 and finite, but is 4"):
            evaluate([6.0, 4.0])


def test_variants_and_risks_are_checked(risk):
    with pytest.raises(ValueError, match=r"`variant` must be one of as_derived, misread, but is 'misred'; did you mean 'misread'"):
        Theorem1(risk("gaussian"), GROWING, variant="misred")
    for kind in (Theorem5, Lemma4):
        with pytest.raises(ValueError, match=r"`variant` must be one of as_derived, as_printed"):
            kind(risk("gaussian"), GROWING, variant="printed")
    with pytest.raises(ValueError, match=r"`variant` must be one of"):
        theory.growth_bound(1.0, "sharp")
    for kind in (Theorem1, Theorem5, Theorem5Upper, Lemma4):
        with pytest.raises(ValueError, match=r"`risk` must be free of label noise for the paper's bounds, but has 0.1"):
            kind(risk("gaussian", 0.1), GROWING)
        with pytest.raises(ValueError, match=r"`risk` must be a flowsim.PopulationRisk, but is 'gaussian'"):
            kind("gaussian", GROWING)
    with pytest.raises(ValueError, match=r"`risk` must be a flowsim.PopulationRisk"):
        two_layer_direction("gaussian", GROWING, 1.0)


def test_theorem_2_refuses_acute_starts_and_bad_steps(risk):
    with pytest.raises(ValueError, match=r"`start` must have cos theta < 0 for Theorem 2, but has 0.99"):
        descent_cosine_bound(risk("gaussian"), GROWING, [0.1])
    with pytest.raises(ValueError, match="`step_sizes` must be positive and finite, but is 0"):
        descent_cosine_bound(risk("gaussian"), (0.0, 1.0, 1.0), [0.1, 0.0])
    with pytest.raises(ValueError, match=r"`step_sizes` must have shape \(n,\), but has shape \(\)"):
        descent_cosine_bound(risk("gaussian"), (0.0, 1.0, 1.0), 0.1)


# --- the room ---


def test_the_registry_is_fetched_when_asked_for(monkeypatch):
    stand_in = ModuleType("flowsim.claims")
    vars(stand_in)["registry"] = lambda: ["a claim"]
    monkeypatch.setitem(sys.modules, "flowsim.claims", stand_in)
    assert theory.claims() == ["a claim"]


def test_theory_imports_nothing_to_its_right():
    script = "import sys, flowsim.theory; print(*[m for m in sys.modules if m.startswith('flowsim.') or m in ('jax', 'sympy')])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[1] for name in loaded if name.startswith("flowsim.")} == {"arguments", "problem", "theory"}
    assert not {"jax", "sympy"} & set(loaded)
