"""flowsim's bounds held against the derived ones, constant by constant and as functions of time."""

import numpy as np
import pytest
import sympy as sp

import flowsim as fs
from derivations import derive
from flowsim.theory import bounds

RISK = fs.PopulationRisk(fs.StudentT(dim=4, df=5.0, scale=1.4))
NORM_AT_TURN = 1.6


@pytest.fixture(scope="module")
def phases():
    """A start, and a later state where the norm is stationary: h = c (1 - cos theta)."""
    s_turn = -0.5 * np.log(2 * RISK.pull / float(RISK.growth(NORM_AT_TURN)) - 1)
    return (0.0, 2.1, s_turn + 1.2), (1.5, NORM_AT_TURN, float(s_turn))


def derived(key, phases, depth=1, **times):
    """A result of the derivation of the bounds at these phases."""
    start, turn = phases
    known = {
        "c_0": np.pi * RISK.pull,
        "N": depth,
        "r_0": start[1],
        "s_0": start[2],
        "r_T": turn[1],
        "s_T": turn[2],
        "chi": -np.tanh(start[2]),  # cos theta = (1 - e^(2s))/(1 + e^(2s))
        **times,
    }
    formula = derive("bounds").results[key]
    symbols = sorted(formula.free_symbols, key=str)
    return sp.lambdify(symbols, formula, modules="numpy")(*[known[symbol.name] for symbol in symbols])


EARLY, LATE = np.array([0.0, 0.2, 0.7, 1.49]), np.array([0.0, 0.3, 20.0, 1e6])


def test_theorem_1_is_the_derived_bound(phases):
    found = bounds.Theorem1(RISK, *phases)
    assert found.first_slope == pytest.approx(derived("theorem_1_a1", phases), rel=1e-12)
    assert found.second_factor == pytest.approx(derived("theorem_1_a2_derived", phases), rel=1e-12)
    np.testing.assert_allclose(found.exponent(EARLY), derived("theorem_1_first_exponent", phases, t=EARLY), rtol=1e-12)
    later = derived("theorem_1_second_exponent", phases, tau=LATE)
    np.testing.assert_allclose(found.exponent(LATE + phases[1][0]), later, rtol=1e-11)


def test_theorem_1_misread_is_the_derived_misreading(phases):
    found = bounds.Theorem1(RISK, *phases, variant="misread")
    assert found.second_factor == pytest.approx(derived("theorem_1_a2_misread", phases), rel=1e-12)


@pytest.mark.parametrize("depth", [3, 4, 9])
@pytest.mark.parametrize("version", ["derived", "printed"])
def test_theorem_5_is_the_bound_of_either_version(phases, depth, version):
    found = bounds.Theorem5(RISK, *phases, depth=depth, variant=f"as_{version}")
    assert found.first_power == pytest.approx(derived(f"theorem_5_alpha_{version}", phases, depth), rel=1e-12)
    assert found.second_slope == pytest.approx(derived(f"theorem_5_a2_{version}", phases, depth), rel=1e-12)
    first = derived(f"theorem_5_first_exponent_{version}", phases, depth, t=EARLY)
    np.testing.assert_allclose(found.exponent(EARLY), first, rtol=1e-11)
    later = derived(f"theorem_5_second_exponent_{version}", phases, depth, tau=LATE)
    np.testing.assert_allclose(found.exponent(LATE + phases[1][0]), later, rtol=1e-11)


@pytest.mark.parametrize("depth", [3, 4, 9])
def test_the_upper_bound_is_the_derived_one(phases, depth):
    found = bounds.Theorem5Upper(RISK, phases[0], depth=depth)
    predicted = derived("theorem_5_upper_exponent", phases, depth, t=LATE)
    np.testing.assert_allclose(found.exponent(LATE), predicted, rtol=1e-11)


@pytest.mark.parametrize("depth", [3, 4, 9])
def test_lemma_4_is_the_derived_pair_of_bounds(phases, depth):
    for variant, key in (("as_printed", "lemma_4_lower"), ("as_derived", "lemma_4_lower_sharp")):
        found = bounds.Lemma4(RISK, phases[0], depth=depth, variant=variant)
        np.testing.assert_allclose(found.lower(LATE), derived(key, phases, depth, t=LATE), rtol=1e-12)
        np.testing.assert_allclose(found.upper(LATE), derived("lemma_4_upper", phases, depth, t=LATE), rtol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_floor_of_the_norm_is_the_derived_one(phases, depth):
    assert bounds.norm_floor(phases[0], depth) == pytest.approx(derived("norm_floor", phases, depth), rel=1e-12)


def test_the_bound_on_the_growth_has_the_derived_and_the_printed_constant():
    results = derive("smoothness").results
    assert float(bounds.growth_bound(2.0)) == pytest.approx(float(results["growth_times_norm_bound"]) / 2, rel=1e-14)
    printed = float(bounds.growth_bound(2.0, variant="as_printed"))
    assert printed == pytest.approx(float(results["growth_times_norm_bound_printed"]) / 2, rel=1e-14)
