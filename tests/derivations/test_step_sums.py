"""The derived orders against the sums themselves, flowsim held against what is derived, and altered formulas refused."""

import sys
import types
from importlib import import_module
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from derivations import StepFailed, derive
from derivations import step_sums as derived
from flowsim.theory import GeometricSteps, PowerSteps, SettledSteps, step_sum, step_sum_ceilings, step_sum_order, step_sum_range

A, C, ETA = 0.7, 0.6, 0.4
VALUES = {derived.offset: A, derived.drift: C, derived.eta: ETA}


def value(key, **more):
    """A result of the derivation as a number; more: values by the names of symbols."""
    formula = derive("step_sums").results[key]
    named = {symbol: more[symbol.name] for symbol in formula.free_symbols if symbol.name in more}
    return float(sp.N(formula.subs({**VALUES, **named}), 30))


# --- the sums follow the derived orders ---


def sums(sizes, drift):
    """S_n term by term, by a loop that shares nothing with flowsim."""
    under, total, out = A, 0.0, [0.0]
    for eta in sizes:
        under += eta * eta + drift * eta
        total += eta / sqrt(under)
        out.append(total)
    return out


@pytest.mark.parametrize(
    ("key", "p", "drift"),
    [
        ("squares_lead", 1.0, 0.0),
        ("squares_lead", -0.1, 0.0),
        ("squares_lead", 2.0, C),
        ("constant_steps", 0.0, C),
        ("constant_leads", -0.75, 0.0),
        ("constant_log", -1.0, 0.0),
        ("constant_leads", -1.5, 0.0),
        ("constant_leads_with_drift", -1.5, C),
        ("drift_leads", -0.25, C),
    ],
)
def test_sums_grow_as_derived(key, p, drift):
    first = 0.02 if key == "drift_leads" else ETA
    sizes = first * np.arange(1.0, 200_001.0) ** p
    total = sums(sizes, drift)
    orders = [value(key, n=n, p=p, eta=first) for n in (100_000, 200_000)]
    assert (total[200_000] - total[100_000]) / (orders[1] - orders[0]) == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize(("key", "p", "drift"), [("squares_log", -0.5, 0.0), ("drift_log", -1.0, C)])
def test_sums_with_a_logarithm_grow_as_derived(key, p, drift):
    shift = np.euler_gamma + (A / ETA**2 if p == -0.5 else (A + np.pi**2 / 6 * ETA**2) / (C * ETA))
    total = sums(ETA * np.arange(1.0, 20_001.0) ** p, drift)
    orders = [value(key, n=n, b=shift) for n in (10_000, 20_000)]
    assert (total[20_000] - total[10_000]) / (orders[1] - orders[0]) == pytest.approx(1.0, abs=1e-4)


def test_geometric_and_alternating_sums_grow_as_derived():
    total = sums(ETA * 1.5 ** np.arange(200.0), C)
    assert total[200] - total[100] == pytest.approx(100 * value("geometric", n=1, q=1.5), rel=1e-9)
    total = sums(np.tile([0.2, 2.0], 50_000), C)
    orders = [value("settled", n=n, m_1=1.1, m_2=2.02) for n in (50_000, 100_000)]
    assert total[100_000] - total[50_000] == pytest.approx(orders[1] - orders[0], rel=1e-4)


# --- flowsim says the same ---


@pytest.mark.parametrize(
    ("key", "p", "drift"),
    [
        ("squares_lead", 1.7, 0.0),
        ("squares_lead", -0.3, 0.0),
        ("squares_lead", 0.2, C),
        ("constant_steps", 0.0, C),
        ("drift_leads", -0.6, C),
        ("constant_leads", -0.8, 0.0),
        ("constant_log", -1.0, 0.0),
        ("squares_log_leading", -0.5, 0.0),
    ],
)
def test_the_leading_orders_are_the_derived_ones(key, p, drift):
    order = step_sum_order(PowerSteps(ETA, p), A, drift)
    assert float(order.leading(1e5)) == pytest.approx(value(key, n=10**5, p=p), rel=1e-12)


@pytest.mark.parametrize(("key", "p", "drift"), [("squares_log", -0.5, 0.0), ("drift_log", -1.0, C)])
def test_orders_with_a_logarithm_are_the_derived_ones(key, p, drift):
    order = step_sum_order(PowerSteps(ETA, p), A, drift)
    expected = value(key, n=5000, b=order.shift) - value(key, n=50, b=order.shift)
    assert float(order.between(50.0, 5000.0)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("key", "drift"), [("constant_leads", 0.0), ("constant_leads_with_drift", C)])
def test_the_rest_of_a_sum_that_converges_is_the_derived_one(key, drift):
    order = step_sum_order(PowerSteps(ETA, -1.4), A, drift)
    assert float(order.between(300.0, np.inf)) == pytest.approx(-value(key, n=300, p=-1.4), rel=1e-12)


def test_geometric_settled_and_bounded_steps_are_the_derived_ones():
    order = step_sum_order(GeometricSteps(ETA, 1.7), A, C)
    assert float(order.leading(9.0)) == pytest.approx(value("geometric", n=9, q=1.7), rel=1e-13)
    # the derived rest has both signs, flowsim's is its size; at n = 40 the first part is all of it
    assert float(order.next_order(40.0)) - 1.0 / 40.0 == pytest.approx(0.5 * value("geometric_rest", n=40, q=1.7), rel=1e-6)
    settled = step_sum_order(SettledSteps(1.3, 2.5), A, C)
    assert float(settled.leading(77.0)) == pytest.approx(value("settled", n=77, m_1=1.3, m_2=2.5), rel=1e-13)
    bound = step_sum_range(0.3, 1.2, 50.0, A, C)
    assert float(bound.floor) == pytest.approx(value("range_floor", n=50, eta_low=0.3, v=1.2**2 + C * 1.2), rel=1e-12)
    assert float(bound.ceiling) == pytest.approx(value("range_ceiling", n=50, eta_high=1.2, v=0.3**2 + C * 0.3), rel=1e-12)


def test_the_ceilings_are_the_derived_ones():
    sizes = np.array([0.2, 1.0, 0.5])
    bound = step_sum_ceilings(sizes, A, C)
    assert bound.squares[-1] == pytest.approx(value("ceiling_squares", n=3, Q=float(np.sum(sizes**2))), rel=1e-13)
    assert bound.time[-1] == pytest.approx(value("ceiling_time", t_n=1.7), rel=1e-13)
    assert (step_sum(sizes, A, C) <= np.minimum(bound.squares, bound.time)).all()


def test_the_steps_to_acute_solve_their_equation():
    enough = value("steps_to_acute", chi=-0.8)
    assert 0.2 / np.pi * 2.0 * sqrt(enough) == pytest.approx(log(1.8), rel=1e-12)
    assert value("theorem_3_over_theorem_1", chi=-0.8) == pytest.approx(0.1, rel=1e-12)


# --- altered formulas ---

ALTERED = [
    ("power", "sp.expand(-power * (power - 1) * _x**2 / 12)", "sp.expand(-power * (power - 1) * _x**2 / 6)"),
    ("zeta", "sp.zeta(-power) - sp.zeta(-power, 21)", "sp.zeta(-power) - sp.zeta(-power, 20)"),
    ("squares", "(2 * sp.sqrt((2 * p + 1) * n)).subs(above)", "(2 * sp.sqrt((2 * p + 2) * n)).subs(above)"),
    ("constant", "2 * sp.sqrt(n * eta / (eta + drift))", "2 * sp.sqrt(n * eta / (eta + 2 * drift))"),
    ("dawson", "sp.sqrt(sp.pi) / 2 * sp.exp", "sp.sqrt(sp.pi) / 3 * sp.exp"),
    ("drift", "(2 * sp.sqrt(eta * n ** (1 + p) / (drift * (1 + p)))).subs(above)", "(2 * sp.sqrt(eta * n ** (1 + p) / drift)).subs(above)"),
    ("slow logarithm", "2 * sp.sqrt(eta / drift) * sp.sqrt(log)", "sp.sqrt(eta / drift) * sp.sqrt(log)"),
    ("geometric", "(offset * (q**2 - 1) / eta**2 - 1 - drift", "(offset * (q**2 - 1) / eta**2 - 2 - drift"),
    ("settled", "2 * mean * sp.sqrt(n / both)", "2 * sp.sqrt(mean_square * n / both)"),
    ("floor", "sp.sqrt(offset + (n + 1) * speed) - sp.sqrt(offset + speed)", "sp.sqrt(offset + n * speed) - sp.sqrt(offset)"),
    ("logarithm", "_x / (1 + _x) ** 2,", "2 * _x / (1 + _x) ** 2,"),
    ("time", "(2 / drift * (tall - low))", "(1 / drift * (tall - low))"),
    ("theorem 1", "(1 + cosine) / sp.pi * argument.results", "(1 + cosine) / 3 * argument.results"),
]


@pytest.mark.parametrize(("old", "new"), [pytest.param(old, new, id=what) for what, old, new in ALTERED])
def test_an_altered_formula_is_refused(old, new, monkeypatch):
    source = Path(import_module("derivations.step_sums").__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1
    altered = types.ModuleType("altered_step_sums")
    monkeypatch.setitem(sys.modules, altered.__name__, altered)
    exec(compile(source.replace(old, new), altered.__name__, "exec"), altered.__dict__)
    with pytest.raises(StepFailed):
        altered.derive()
