"""The sums of Theorems 2 and 3 and their orders: against sums by hand, mpmath's zeta and integrals, and the table of the orders."""

from itertools import pairwise
from math import log, pi, sqrt

import mpmath as mp
import numpy as np
import pytest

from flowsim import theory
from flowsim.theory import (
    GeometricSteps,
    PowerSteps,
    SettledSteps,
    State,
    Theorem1,
    descent_cosine_bound,
    descent_exponent,
    descent_exponent_kept,
    step_sum,
    step_sum_ceilings,
    step_sum_order,
    step_sum_range,
)

A, C, ETA = 0.7, 0.6, 0.4
POWERS = [PowerSteps(ETA, p) for p in (3.0, 1.0, 0.3, 0.0, -0.25, -0.5, -0.75, -1.0, -1.5)]
every_power = pytest.mark.parametrize("steps", POWERS, ids=str)
every = pytest.mark.parametrize("steps", [*POWERS, GeometricSteps(ETA, 1.3)], ids=str)
both = pytest.mark.parametrize("drift", [0.0, C])


# --- the sum itself ---


@both
def test_the_sum_is_the_one_by_hand(drift):
    sizes, expected, total = [0.3, 2.0, 0.01, 5.0], [0.0], 0.0
    for k, eta in enumerate(sizes):
        v = A + sum(x**2 + drift * x for x in sizes[: k + 1])
        total += eta / sqrt(v)
        expected.append(total)
    np.testing.assert_allclose(step_sum(sizes, A, drift), expected, rtol=1e-14)


def test_step_sizes_are_those_that_are_said():
    np.testing.assert_allclose(PowerSteps(2.0, -0.5).sizes(4), [2.0, 2.0 / sqrt(2.0), 2.0 / sqrt(3.0), 1.0], rtol=1e-15)
    np.testing.assert_allclose(GeometricSteps(2.0, 3.0).sizes(3), [2.0, 6.0, 18.0], rtol=1e-15)
    assert GeometricSteps(1.0, 10.0).sizes(400)[-1] == np.inf


def test_a_sum_in_other_units_is_the_same():
    sizes, unit = PowerSteps(ETA, 0.3).sizes(50), 37.0
    np.testing.assert_allclose(step_sum(unit * sizes, unit**2 * A, unit * C), step_sum(sizes, A, C), rtol=1e-13)


# --- the orders ---

S_MINUS = {
    1.5: lambda n: 2.0 * sqrt(4.0 * n),
    0.0: lambda n: 2.0 * sqrt(n),
    -0.25: lambda n: 2.0 * sqrt(0.5 * n),
    -0.5: lambda n: 2.0 * sqrt(n / log(n)),
    -0.75: lambda n: ETA * n**0.25 / (0.25 * sqrt(A + ETA**2 * float(mp.zeta(1.5)))),
    -1.0: lambda n: ETA * log(n) / sqrt(A + ETA**2 * pi**2 / 6.0),
}
S_PLUS = {
    1.5: lambda n: 2.0 * sqrt(4.0 * n),
    0.2: lambda n: 2.0 * sqrt(1.4 * n),
    0.0: lambda n: 2.0 * sqrt(n * ETA / (ETA + C)),
    -0.25: lambda n: 2.0 * sqrt(ETA * n**0.75 / (C * 0.75)),
    -0.5: lambda n: 2.0 * sqrt(ETA * n**0.5 / (C * 0.5)),
    -0.75: lambda n: 2.0 * sqrt(ETA * n**0.25 / (C * 0.25)),
    -1.0: lambda n: 2.0 * sqrt(ETA * log(n) / C),
}


@pytest.mark.parametrize(("drift", "table"), [(0.0, S_MINUS), (C, S_PLUS)], ids=["Remark 1", "Remark 2"])
def test_the_leading_orders_are_those_of_the_table(drift, table):
    for p, expected in table.items():
        order = step_sum_order(PowerSteps(ETA, p), A, drift)
        for n in (10.0, 1e6, 1e300):
            assert float(order.leading(n)) == pytest.approx(expected(n), rel=1e-13), p


@both
@pytest.mark.parametrize("q", [1.001, 2.0, 50.0])
def test_geometric_steps_give_a_multiple_of_the_number_of_steps(drift, q):
    order = step_sum_order(GeometricSteps(ETA, q), A, drift)
    assert float(order.leading(1e4)) == pytest.approx(1e4 * sqrt(1.0 - q**-2), rel=1e-13)
    count = int(min(300.0 / log(q), 100_000))
    total = step_sum(GeometricSteps(ETA, q).sizes(count), A, drift)
    late = count // 2
    assert (total[-1] - total[late]) / (count - late) == pytest.approx(sqrt(1.0 - q**-2), rel=float(order.next_order(late)))
    assert float(order.next_order(count)) < 1e-3 * (1000.0 if count < 1000 else 1.0)


@every
@both
def test_sums_are_as_near_to_their_order_as_the_next_one_allows(steps, drift):
    order, total = step_sum_order(steps, A, drift), step_sum(steps.sizes(2**17 if isinstance(steps, PowerSteps) else 1024), A, drift)
    told, m = 0, (total.size - 1) // 2
    while m >= 64:
        size = float(order.next_order(m))
        if size < 0.1:
            off = abs(float(total[2 * m] - total[m]) / float(order.between(m, 2 * m)) - 1.0)
            assert off < size * (1.0 + 4.0 * size) + 1e-12 * total[2 * m] / float(order.between(m, 2 * m)), m
            told += 1
        m //= 2
    assert told >= 1


@every_power
@both
def test_the_next_order_is_not_much_larger_than_what_is_left_out(steps, drift):
    """It is a bound that can fail: at the last step it is within a factor 40 of the gap, mostly within 4."""
    order, total = step_sum_order(steps, A, drift), step_sum(steps.sizes(2**17), A, drift)
    m = 2**16
    off = abs(float(total[2 * m] - total[m]) / float(order.between(m, 2 * m)) - 1.0)
    assert float(order.next_order(m)) < 40.0 * off


@pytest.mark.parametrize(("p", "drift"), [(1.0, 0.0), (1.0, C), (0.0, C), (0.5, 0.0), (2.0, C)])
def test_the_next_order_is_half_the_rest_of_what_is_under_the_root(p, drift):
    sizes = PowerSteps(ETA, p).sizes(2000)
    root, order = A + np.sum(sizes**2 + drift * sizes), step_sum_order(PowerSteps(ETA, p), A, drift)
    # term = g m^(e-1) = eta m^p/sqrt(main part)
    main = (ETA * 2000.0 ** (p + 1.0 - order.power) / order.factor) ** 2
    expected = 0.5 * (root / main - 1.0) + (1.0 + abs(order.power - 1.0)) / 2000.0
    assert float(order.next_order(2000.0)) == pytest.approx(expected, rel=2e-3)


@every
@both
def test_a_constant_two_per_cent_off_is_seen_by_the_sums(steps, drift):
    if float(step_sum_order(steps, A, drift).next_order(2**16)) > 0.01 and isinstance(steps, PowerSteps):
        steps = PowerSteps(0.02 if steps.power < 0 else 50.0, steps.power)
    order = step_sum_order(steps, A, drift)
    count = 2**17 if isinstance(steps, PowerSteps) else 1024
    m = count // 2
    total = step_sum(steps.sizes(count), A, drift)
    found = float(total[count] - total[m]) / float(order.between(m, count))
    assert abs(found / 1.02 - 1.0) > float(order.next_order(m))


@pytest.mark.parametrize("p", [-0.5, -1.0])
def test_with_a_logarithm_the_order_is_its_integral(p):
    order = step_sum_order(PowerSteps(ETA, p), A, 0.0 if p == -0.5 else C)
    assert order.shift is not None
    shift = mp.euler + (A / ETA**2 if p == -0.5 else (A + mp.zeta(2) * ETA**2) / (C * ETA))
    assert order.shift == pytest.approx(float(shift), rel=1e-14)
    factor = 1.0 if p == -0.5 else sqrt(ETA / C)

    def term(m):
        return factor * m**p / mp.sqrt(mp.log(m) + shift)

    expected = float(mp.quad(term, [7, 70, 700, 7000]))
    assert float(order.between(7.0, 7000.0)) == pytest.approx(expected, rel=1e-12)


@both
@pytest.mark.parametrize("p", [-1.1, -1.5, -4.0])
def test_a_sum_that_converges_has_a_rest_and_no_leading_order(drift, p):
    order = step_sum_order(PowerSteps(ETA, p), A, drift)
    assert order.converges
    limit = A + ETA**2 * mp.zeta(-2 * p) + drift * ETA * mp.zeta(-p)
    assert float(order.between(100.0, np.inf)) == pytest.approx(float(ETA * 100.0 ** (1 + p) / (-(1 + p) * mp.sqrt(limit))), rel=1e-12)
    with pytest.raises(ValueError, match="`leading` must be asked of a sum that grows, but this one converges, its rest like n"):
        order.leading(10.0)


@pytest.mark.parametrize(("p", "diverges"), [(2.0, True), (-0.5, True), (-1.0, True), (-1.001, False), (-3.0, False)])
def test_sums_grow_without_bound_exactly_where_the_step_sizes_add_up_to_infinity(p, diverges):
    for drift in (0.0, C):
        assert step_sum_order(PowerSteps(ETA, p), A, drift).converges is not diverges


def test_step_sizes_whose_averages_settle():
    for drift in (0.0, C):
        order = step_sum_order(SettledSteps(1.1, 2.02), A, drift)
        assert float(order.leading(1e6)) == pytest.approx(2e3 * 1.1 / sqrt(2.02 + drift * 1.1), rel=1e-13)
        assert np.isnan(order.next_order(1e6))
        total = step_sum(np.tile([0.2, 2.0], 50_000), A, drift)
        assert total[-1] - total[50_000] == pytest.approx(float(order.between(5e4, 1e5)), rel=1e-4)
    constant = step_sum_order(SettledSteps(0.4, 0.4**2), A, C)
    assert constant.factor == pytest.approx(step_sum_order(PowerSteps(0.4, 0.0), A, C).factor, rel=1e-14)


# --- what bounds them ---


@both
def test_ceilings_are_above_and_nearly_reached(drift):
    draw = np.random.default_rng(5)
    for sizes in (PowerSteps(0.004, 0.0).sizes(40_000), GeometricSteps(50.0, 200.0).sizes(50), 10.0 ** draw.uniform(-3, 3, 5000)):
        total, bound = step_sum(sizes, A, drift), step_sum_ceilings(sizes, A, drift)
        for ceiling in bound:
            assert ceiling[0] == 0.0
            assert (total <= ceiling * (1.0 + 1e-12)).all()
    slow, fast = (step_sum_ceilings(x, A, C) for x in (PowerSteps(0.004, 0.0).sizes(40_000), GeometricSteps(50.0, 200.0).sizes(50)))
    assert step_sum(PowerSteps(0.004, 0.0).sizes(40_000), A, C)[-1] / slow.time[-1] > 0.99
    assert step_sum(GeometricSteps(50.0, 200.0).sizes(50), A, C)[-1] / fast.steps[-1] > 0.999
    root = GeometricSteps(0.01, 1.002).sizes(20_000)
    assert step_sum(root, A, 0.0)[-1] / step_sum_ceilings(root, A, 0.0).squares[-1] > 0.95


def test_ceilings_by_hand():
    bound = step_sum_ceilings([0.5, 2.0], A, C)
    np.testing.assert_allclose(bound.steps, [0.0, 1.0, 2.0])
    np.testing.assert_allclose(bound.squares, [0.0, sqrt(log(1.0 + 0.25 / A)), sqrt(2.0 * log(1.0 + 4.25 / A))], rtol=1e-14)
    np.testing.assert_allclose(bound.time, [2.0 / C * (sqrt(A + C * t) - sqrt(A)) for t in (0.0, 0.5, 2.5)], rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(step_sum_ceilings([0.5, 2.0], A).time, [0.0, 0.5 / sqrt(A), 2.5 / sqrt(A)], rtol=1e-14)


@both
def test_the_range_holds_for_every_sequence_and_is_reached_by_constant_ones(drift):
    n = np.arange(20_001.0)
    draw = np.random.default_rng(6)
    for sizes in (draw.uniform(0.5, 2.0, 20_000), np.where(n[1:] < 500, 2.0, 0.5), np.where(n[1:] < 10_000, 0.5, 2.0)):
        total, bound = step_sum(sizes, A, drift), step_sum_range(0.5, 2.0, n, A, drift)
        assert (bound.floor <= total * (1.0 + 1e-12)).all()
        assert (total <= bound.ceiling * (1.0 + 1e-12)).all()
    total, bound = step_sum(np.full(20_000, 0.5), A, drift), step_sum_range(0.5, 0.5, n, A, drift)
    assert bound.floor[-1] / total[-1] > 0.99
    assert bound.ceiling[-1] / total[-1] < 1.01
    speed = 0.25 + drift * 0.5
    nine = step_sum_range(0.5, 0.5, 9.0, A, drift)
    assert float(nine.ceiling) == pytest.approx(1.0 / speed * (sqrt(A + 9 * speed) - sqrt(A)), rel=1e-13)
    assert float(nine.floor) == pytest.approx(1.0 / speed * (sqrt(A + 10 * speed) - sqrt(A + speed)), rel=1e-13)


# --- what they prove ---


def test_the_exponents_do_not_saturate_where_the_cosine_does(risk):
    start, sizes = State(0.0, 1.0, 0.5), np.full(200_000, 3.0)
    exponent, cosine = descent_exponent(risk("circle"), start, sizes), descent_cosine_bound(risk("circle"), start, sizes)
    # B = (1 + cos theta(0))/pi and S-_n ~ 2 sqrt(n)
    assert exponent[-1] == pytest.approx((2.0 - start.one_minus_cos) / pi * 2.0 * sqrt(200_000), rel=2e-3)
    assert cosine[-1] == 1.0
    assert (np.diff(exponent) > 0.0).all()


def test_vanishing_steps_prove_half_of_one_plus_cosine_times_theorem_1(risk):
    circle, start, eta, count = risk("gaussian"), (0.0, 1.3, -2.0), 1e-4, 50_000
    cos = -np.tanh(-2.0)
    proven = descent_exponent_kept(circle, start, np.full(count, eta), 1e12)[-1]
    flow = Theorem1(circle, start)
    gained = float(flow.exponent(eta * count)) - float(flow.exponent(0.0))
    assert proven / gained == pytest.approx((1.0 + cos) / 2.0, rel=1e-3)


def test_constant_steps_of_any_size_turn_an_obtuse_start_acute_after_as_many_steps_as_remark_1_says(risk):
    s, eta = 0.8, 1e6
    start = State(0.0, 1.0, s)
    b, needed = (2.0 - start.one_minus_cos) / pi, log(start.one_minus_cos)
    exponent = descent_exponent(risk("circle"), start, np.full(4000, eta))
    first = int(np.flatnonzero(exponent >= needed)[0])
    # S-_n = 2 sqrt(n) + zeta(1/2) + ...
    assert first == pytest.approx(((needed / b - float(mp.zeta(0.5))) / 2.0) ** 2, abs=1.5)


# --- what is refused ---


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: PowerSteps(0.0, 1.0), "`first` must be positive and finite, but is 0"),
        (lambda: PowerSteps(1.0, 101.0), r"`power` must be in \[-100, 100\], but is 101"),
        (lambda: PowerSteps(1.0, 1.0).sizes(0), "`count` must be a whole number, 1 or more, but is 0"),
        (lambda: GeometricSteps(1.0, 1.0), "`ratio` must be above 1 and finite, but is 1"),
        (lambda: SettledSteps(1.0, 0.9), "`mean_square` must be at least 1 and finite, but is 0.9"),
        (lambda: step_sum([1.0, -1.0], A), "`step_sizes` must be positive and finite, but is -1"),
        (lambda: step_sum([[1.0]], A), r"`step_sizes` must have shape \(n,\), but has shape \(1, 1\)"),
        (lambda: step_sum([1e200], A), r"`step_sizes` must be at most 1e\+150, but is 1e\+200"),
        (lambda: step_sum([1.0], 0.0), "`offset` must be positive and finite, but is 0"),
        (lambda: step_sum_ceilings([1.0], A, -1.0), "`drift` must be zero or positive, and finite, but is -1"),
        (lambda: step_sum_order(PowerSteps(), A, np.nan), "`drift` must be zero or positive, and finite, but is nan"),
        (lambda: step_sum_order(0.1, A), "`steps` must be PowerSteps, GeometricSteps or SettledSteps, but is 0.1"),
        (lambda: step_sum_order(PowerSteps(), A).leading(1.0), "`n` must be above 1 and finite, but is 1"),
        (lambda: step_sum_order(PowerSteps(), A).next_order(0.5), "`n` must be at least 1 and finite, but is 0.5"),
        (lambda: step_sum_order(PowerSteps(), A).between(5.0, 5.0), "`n` must be above `m`"),
        (lambda: step_sum_order(PowerSteps(), A).between(5.0, np.inf), "`n` must be finite for a sum that grows"),
        (lambda: step_sum_range(2.0, 1.0, 3.0, A), "`high` must be at least 2 and finite, but is 1"),
    ],
)
def test_bad_input_is_refused(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()


def test_orders_broadcast_and_are_smooth_in_the_exponent_away_from_the_changes():
    order = step_sum_order(PowerSteps(ETA, 0.5), A, C)
    assert order.leading([[10.0, 1e3], [1e5, 1e7]]).shape == (2, 2)
    assert order.between([2.0, 3.0], 10.0).shape == (2,)
    factors = [step_sum_order(PowerSteps(ETA, p), A).factor for p in np.linspace(0.0, 1.0, 11)]
    assert all(0.0 < b - a < 0.1 for a, b in pairwise(factors))
    assert theory.step_sum_order(PowerSteps(ETA, 0.0), A).factor == 1.0
