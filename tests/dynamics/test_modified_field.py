"""The modified field: its series, its time-one flow against single steps, its coordinates, rays and rests."""

from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import flowsim as fs
from flowsim.dynamics import modified
from flowsim.dynamics.modified import ORDER, PAIRS, series_weights
from flowsim.dynamics.network import DescentState, descent_step, make_batch

MIDDLE = [1.1, -0.4, np.log(0.8)]
"""(a, q, m) of a run on its way past the origin."""


@pytest.fixture(autouse=True)
def _doubles():
    with jax.enable_x64(True):
        yield


def network(risk, depth, ray=0.0):
    batch = make_batch(risk, fs.Start(1.0, 1.0), depth)
    one = jax.tree.map(lambda x: jnp.asarray(x[0]), batch.network._replace(depth=batch.network.depth.astype(np.int64)))
    return batch.tables, one._replace(ray=jnp.asarray(ray))


_field, _increment, _step = (jax.jit(f) for f in (modified.modified_field, modified.increment, descent_step))


def point(depth, a, q, m):
    return np.array([a if depth > 1 else 1.0, q, m])


def field(problem, eta, at, order=ORDER):
    weights = np.zeros(ORDER)
    weights[:order] = series_weights(order)[0]
    rates, side = _field(*problem, eta, np.asarray(at), weights)
    return np.asarray(rates)[0], float(side)


def one_step(problem, eta, at):
    """(a, q, m) after one step of the map itself."""
    start = DescentState(at[0], at[1], np.exp(at[2]), np.int64(0), -2.0, 0.0, 0.0)
    a, q, mantissa, *_ = _step(*problem, eta, 0.0, start)
    return np.array([float(a), float(q), np.log(abs(float(mantissa)))])


def test_two_differences_weigh_three_halves_and_minus_one_half():
    weights, last = series_weights(2)
    np.testing.assert_allclose(weights, [1.5, -0.5], rtol=1e-15)
    np.testing.assert_allclose(last, [0.5, -0.5], rtol=1e-15)


@pytest.mark.parametrize("order", range(1, 8))
def test_the_series_differentiates_polynomials_up_to_its_order(order):
    weights, last = series_weights(order)
    x = np.arange(order + 1.0)
    for power in range(order + 3):
        steps = np.diff((x + 1.0) ** power)
        truth = float(power)
        if power <= order:
            assert weights @ steps == pytest.approx(truth, abs=1e-9)
        if power == order + 1:
            assert abs(weights @ steps - truth) > 0.5, "one order more than it should"
        # its last term is -(-D)^order/order
        difference = sum((-1.0) ** (order - j) * comb(order, j) * (j + 1.0) ** power for j in range(order + 1))
        assert last @ steps == pytest.approx((-1.0) ** (order + 1) * difference / order, abs=1e-8)


def test_the_shadow_has_one_difference_less():
    np.testing.assert_allclose(PAIRS[-1, :, 0], series_weights(ORDER)[0], rtol=1e-14)
    np.testing.assert_allclose(PAIRS[-1, :, 1], [*series_weights(ORDER - 1)[0], 0.0], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_an_increment_is_what_one_step_adds(risk_of, depth, noise):
    rng = np.random.default_rng(depth)
    problem = network(risk_of("sphere3", noise), depth)
    for _ in range(60):
        # a wide range of states and step sizes, sigma on both sides of 1
        at = point(depth, np.exp(rng.uniform(-1, 1)), np.sinh(rng.uniform(-2, 2)), rng.uniform(-3, 1.5))
        eta = float(np.exp(rng.uniform(-2, 3)))
        change = np.asarray(_increment(*problem, eta, at).change)
        # the sums round at the size of the terms
        np.testing.assert_allclose(at + change, one_step(problem, eta, at), rtol=1e-13, atol=1e-13 * (1.0 + np.abs(at).max()))


def test_an_increment_is_the_gradients(risk_of):
    risk, eta = risk_of("gaussian", 0.1), 0.7
    for depth in (1, 2, 4):
        a, q, m = point(depth, *MIDDLE)
        w = a ** (depth - 1) * np.array([q, np.exp(m)])
        gradient = risk.gradient(w, np.array([1.0, 0.0]))
        change = np.asarray(_increment(*network(risk, depth), eta, np.array([a, q, m])).change)
        step = -eta * a ** (depth - 1) * gradient
        expected = [-eta * a ** (depth - 2) * (gradient @ [q, np.exp(m)]) * (depth > 1), step[0], np.log(abs(1 + step[1] / np.exp(m)))]
        np.testing.assert_allclose(change, expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("order", range(2, ORDER + 1))
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_time_one_flow_of_the_series_misses_one_step_by_its_next_order(gaussian, depth, order):
    problem, start = network(gaussian, depth), point(depth, *MIDDLE)
    # above the noise of 1e-15, below where the order after the next is as large
    etas = np.geomspace(0.04, 0.2, 6) / depth
    gaps = []
    for eta in etas:
        flow = solve_ivp(lambda _, y: field(problem, eta, y, order)[0], (0.0, 1.0), start, method="DOP853", rtol=3e-14, atol=1e-16)  # noqa: B023
        gaps.append(np.linalg.norm(flow.y[:, -1] - one_step(problem, eta, start)))
    # log gap = const + slope log eta + (next order) eta
    columns = np.stack([np.ones(etas.size), np.log(etas), etas], axis=1)
    slope = np.linalg.lstsq(columns, np.log(gaps), rcond=None)[0][1]
    assert slope == pytest.approx(order + 1, abs=0.15), (slope, gaps)


def test_five_orders_leave_a_slow_step_with_all_its_digits(gaussian):
    for depth in (1, 2, 4):
        problem, start = network(gaussian, depth), point(depth, 6.0, 5.0, -30.0)
        eta = 0.002 if depth == 4 else 0.05
        flow = solve_ivp(lambda _, y: field(problem, eta, y)[0], (0.0, 1.0), start, method="DOP853", rtol=3e-14, atol=1e-16)  # noqa: B023
        np.testing.assert_allclose(flow.y[:, -1] - start, one_step(problem, eta, start) - start, rtol=1e-10, atol=2e-14)


def test_the_side_of_one_of_sigma_is_told_unless_it_changes(gaussian):
    told = []
    for depth in (1, 2, 3):
        problem, start = network(gaussian, depth), point(depth, 1.0, 0.4, -1.0)
        unit = float(_increment(*problem, 1.0, start).sigma)
        for eta in np.linspace(0.8, 1.5, 15) / unit:
            above, at = set(), start
            for _ in range(ORDER):
                step = _increment(*problem, eta, at)
                above.add(bool(step.sigma > 1.0))
                at = at + np.asarray(step.change)
            expected = np.nan if len(above) == 2 else 1.0 if True in above else -1.0
            np.testing.assert_equal(field(problem, eta, start)[1], expected)
            told.append(expected)
    assert {str(x) for x in told} == {"-1.0", "1.0", "nan"}


def states(depth, count=400, seed=5):
    """(a, q, m), (3, count): near both rays and far from them, m down to -1e12."""
    rng = np.random.default_rng(seed)
    a = np.exp(rng.uniform(-20, 20, count)) if depth > 1 else np.ones(count)
    q = np.sinh(rng.uniform(-12, 12, count)) * np.exp(rng.uniform(-5, 5, count))
    m = np.where(rng.random(count) < 0.5, rng.uniform(-30, 8, count), -np.exp(rng.uniform(0, 27, count)))
    return np.stack([a, q, m])


@pytest.mark.parametrize("depth", [1, 3])
def test_smooth_coordinates_are_undone(gaussian, depth):
    _, one = network(gaussian, depth)
    at, unit = states(depth), np.exp(np.random.default_rng(6).uniform(-9, 9, 400))
    back = np.asarray(modified.to_point(one, unit, modified.to_smooth(one, unit, at)))
    np.testing.assert_allclose(back[0], at[0], rtol=1e-14)
    # the coordinates lie within 40 and round there
    assert (np.abs(back[1] - at[1]) <= 1e-13 * np.hypot(at[1], np.exp(at[2]))).all()
    np.testing.assert_allclose(back[2], at[2], rtol=3e-14, atol=1e-13)


@pytest.mark.parametrize("depth", [1, 3])
def test_smooth_rates_are_the_derivative_of_the_coordinates(gaussian, depth):
    _, one = network(gaussian, depth)
    at = states(depth)[..., None]
    # the derivative of exp(m) by jax needs z_perp^2 in the doubles
    at[2] = np.maximum(at[2], -300.0)
    rng = np.random.default_rng(7)
    unit = np.exp(rng.uniform(-3, 3, (400, 1)))
    rate = rng.standard_normal(at.shape) * np.stack([at[0] * (depth > 1), np.hypot(at[1], np.exp(at[2])), np.ones((400, 1))])
    y, truth = jax.jvp(lambda x: modified.to_smooth(one, unit, x), (jnp.asarray(at),), (jnp.asarray(rate),))
    found = np.asarray(modified.smooth_rate(one, unit, y, at, rate))
    # the third is divided by sqrt(1 + m^2) or sqrt(1 + s^2)
    scale = np.stack([np.ones((400, 1)), np.ones((400, 1)), 1.0 / np.cosh(np.asarray(y)[2])])
    assert (np.abs(found - np.asarray(truth)) <= 1e-12 * scale * (1.0 + np.abs(rate[2]))).all()


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("depth", [2, 3, 6])
def test_layers_on_a_ray_stay_equal_to_the_last_bit(gaussian, depth, side):
    problem = network(gaussian, depth, side)
    rates, told = field(problem, 0.3, [1.3, side * 1.3, -7.0])
    assert rates[1] == side * rates[0]
    assert rates[2] == 0.0
    assert told == -1.0
    assert np.sign(rates[0]) == side
    _, one = problem
    back = np.asarray(modified.to_point(one, 1.0, modified.to_smooth(one, 1.0, np.array([1.3, side * 1.3, -7.0]))))
    assert back[1] == side * back[0]
    np.testing.assert_allclose(back[:2], [1.3, side * 1.3], rtol=1e-15)


def test_layers_out_of_balance_on_a_ray_go_their_own_ways(gaussian):
    # where a step with sigma = 1 left them: eta u g each, of |z| and of a
    rates = np.asarray(_increment(*network(gaussian, 3, 2.0), 0.3, np.array([1.5, 0.7, 0.0])).change)
    growth = float(gaussian.growth(1.5**2 * 0.7))
    np.testing.assert_allclose(rates, [0.3 * 1.5 * 0.7 * growth, 0.3 * 1.5**2 * growth, 0.0], rtol=1e-11)


def test_one_layer_crosses_the_origin_on_the_opposite_ray(gaussian):
    c, eta = float(gaussian.pull), 1e-3
    for q in (-0.5, -1e-4, 1e-9, 0.5):
        problem = network(gaussian, 1, np.sign(q))
        rates, _ = field(problem, eta, [1.0, q, 0.0])
        step = lambda x: eta * (c - np.sign(x) * float(gaussian.drag(abs(x))))  # noqa: E731
        np.testing.assert_allclose(np.asarray(_increment(*problem, eta, np.array([1.0, q, 0.0])).change), [0.0, step(q), 0.0], rtol=1e-12)
        # D - D^2/2 is what is left at this step size
        after = q + step(q)
        expected = 1.5 * step(q) - 0.5 * step(after)
        assert rates[1] == pytest.approx(expected, rel=1e-6), q
        assert rates[0] == rates[2] == 0.0


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_minimiser_of_noisy_labels_is_at_rest_and_its_neighbours_are_not(risk_of, depth):
    risk = risk_of("gaussian", 0.1)
    r = float(risk.minimiser_norm)
    for off, moves in ((0.0, False), (1e-6, True), (-1e-6, True)):
        layer = (r * (1.0 + off)) ** (1.0 / depth)
        change = np.asarray(_increment(*network(risk, depth), 0.5, point(depth, layer, layer, -200.0)).change)
        assert (change[1] != 0.0) == moves, (off, change)
        assert np.sign(change[1]) == -np.sign(off)
        assert depth == 1 or np.sign(change[0]) == -np.sign(off)
        # the direction goes on
        sigma = 0.5 * layer ** (2 * (depth - 1)) * float(risk.drag_ratio(r * (1.0 + off)))
        assert change[2] == pytest.approx(np.log(abs(1.0 - sigma)), rel=1e-9)
