"""The bounds, printed and derived, against a solved flow."""

from functools import cache

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from derivations import derive, symbols


def named(name, **assumptions):
    return sp.Symbol(name, **(assumptions or {"positive": True}))


@cache
def _flow(growth, depth, norm, cosine):
    """The flow on the unit sphere in R^3 (c0 = pi/4) in (log r, s), with the time T of the least norm."""

    def rates(_, state):
        r, s = np.exp(state[0]), state[1]
        deviation = 2 / (1 + np.exp(-2 * s))
        speed = depth * r ** (1 - 2 / depth) * (growth(r) - 0.25 * deviation)
        return [speed, -0.25 * r ** (1 - 2 / depth)]

    times = np.concatenate([[0], np.geomspace(1e-4, 60, 600)])
    start = [np.log(norm), np.log(np.tan(np.arccos(cosine) / 2))]
    solved = solve_ivp(rates, (0, 60), start, t_eval=times, rtol=1e-11, atol=1e-11, method="DOP853", dense_output=True)
    turn = solved.t[int(np.argmin(solved.y[0]))]
    return solved.t, np.exp(solved.y[0]), solved.y[1], float(turn), solved.sol


def _bound(key, **values):
    expression = derive("bounds").results[key]
    later = [symbol for symbol in expression.free_symbols if symbol.name in ("t", "tau")]
    fixed = {symbol: values[symbol.name] for symbol in expression.free_symbols if symbol not in later}
    return np.vectorize(sp.lambdify(later, expression.subs(fixed), modules="numpy"))


SLACK = 1e-8


def _second_phase(growth, depth, norm, cosine):
    times, _, s, turn, solution = _flow(growth, depth, norm, cosine)
    at = times >= turn
    log_norm, s_turn = solution(turn)
    known = {"c_0": np.pi / 4, "N": depth, "r_T": np.exp(log_norm), "s_T": s_turn}
    return times[at] - turn, -2 * s[at], known


def test_theorem_1_holds_with_the_derived_constant_and_fails_with_the_misread_one(sphere3):
    later, truth, known = _second_phase(sphere3.growth, 1, 2.0, -0.5)
    exponent = _bound("theorem_1_second_exponent", **known)(later)
    assert np.all(exponent <= truth + SLACK)
    misread = _bound("theorem_1_a2_misread", c_0=np.pi / 4)() * np.sqrt(later + known["r_T"] ** 2 / 0.6)
    offset = _bound("theorem_1_b2", **known)()
    assert misread[0] + offset > truth[0] + 0.1
    times, _, s, turn, _ = _flow(sphere3.growth, 1, 2.0, -0.5)
    assert turn > 0.1
    at = times <= turn
    first = _bound("theorem_1_first_exponent", c_0=np.pi / 4, r_0=2.0, s_0=s[0])(times[at])
    assert np.all(first <= -2 * s[at] + SLACK)


@pytest.mark.parametrize(("norm", "cosine"), [(1.0, -0.8), (5.0, 0.9), (0.3, 0.2)])
@pytest.mark.parametrize("depth", [3, 4, 6])
def test_lemma_4_the_floor_and_the_upper_bound_hold(depth, norm, cosine, sphere3):
    times, norms, s, _, _ = _flow(sphere3.growth, depth, norm, cosine)
    known = {"c_0": np.pi / 4, "N": depth, "r_0": norm, "s_0": s[0], "chi": cosine}
    lower, sharp, upper = (_bound(f"lemma_4_{side}", **known)(times) for side in ("lower", "lower_sharp", "upper"))
    assert np.all(lower <= sharp * (1 + SLACK))
    assert np.all(sharp <= norms * (1 + SLACK))
    assert np.all(norms <= upper * (1 + SLACK))
    assert np.all(norms >= _bound("norm_floor", **known)() * (1 - SLACK))
    assert np.all(-2 * s <= _bound("theorem_5_upper_exponent", **known)(times) + SLACK)


def test_theorem_5_first_phase_holds_as_derived_and_fails_as_printed(sphere3):
    times, _, s, turn, _ = _flow(sphere3.growth, 4, 1.0, -0.8)
    known = {"c_0": np.pi / 4, "N": 4, "r_0": 1.0, "chi": -0.8}
    at = (times <= turn) & (times > 0)
    assert at.sum() > 100
    derived, printed = (_bound(f"theorem_5_first_exponent_{version}", **known)(times[at]) for version in ("derived", "printed"))
    assert np.all(derived <= -2 * s[at] + SLACK)
    assert np.all(printed[:20] > -2 * s[at][:20])
    ratio = _bound("theorem_5_alpha_slope_ratio", **known)()
    slopes = (printed[0] + 2 * s[0]) / (-2 * s[at][0] + 2 * s[0])
    assert slopes == pytest.approx(ratio, rel=1e-3)


def test_theorem_5_second_phase_holds_as_derived_and_fails_as_printed(sphere3):
    later, truth, known = _second_phase(sphere3.growth, 4, 5.0, 0.9)
    assert known["r_T"] > derive("bounds").results["norm_floor"].subs({named("r_0"): 5, named("chi", real=True): 0.9, symbols.N: 4})
    derived, printed = (_bound(f"theorem_5_second_exponent_{version}", **known)(later) for version in ("derived", "printed"))
    assert np.all(derived <= truth + SLACK)
    assert printed[5] > truth[5] + SLACK
