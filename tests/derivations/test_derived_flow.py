"""The derived flow against finite differences of matrices, and its late form against all of h."""

from functools import cache

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from derivations import derive, symbols


def named(name, **assumptions):
    return sp.Symbol(name, **(assumptions or {"positive": True}))


def number(expression, **values):
    """The expression's value at working precision, symbols given by name."""
    chosen = {symbol: values[symbol.name] for symbol in expression.free_symbols}
    return mp.mpf(sp.N(expression.subs(chosen), mp.mp.dps))


GAUSSIAN_K = float(mp.sqrt(2 / mp.pi) * mp.pi**2 / 12)
GAUSSIAN_BETA = float(7 * mp.pi**2 / 20)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_rates_are_those_of_the_matrices(depth, sphere3):
    rng, c = np.random.default_rng(depth), 0.25
    v = np.array([1.0, 0.0])
    size = 1.3
    units = [q / np.linalg.norm(q) for q in rng.normal(size=(depth, 2))]
    layers = [size * np.outer(units[j + 1], units[j]) for j in range(depth - 1)] + [size * units[-1][None, :]]

    def end_to_end(matrices):
        product = np.eye(2)
        for matrix in matrices:
            product = matrix @ product
        return product[0]

    def risk(matrices):
        w = end_to_end(matrices)
        r = np.linalg.norm(w)
        return sphere3.aligned(r) + c * (r - v @ w)

    step, moved = 1e-6, []
    for j, layer in enumerate(layers):
        velocity = np.zeros_like(layer)
        for index in np.ndindex(layer.shape):
            shift = np.zeros_like(layer)
            shift[index] = step
            up, down = ([*layers[:j], layer + sign * shift, *layers[j + 1 :]] for sign in (1, -1))
            velocity[index] = -(risk(up) - risk(down)) / (2 * step)
        moved.append(velocity)
    before, after = (end_to_end([m + sign * step * g for m, g in zip(layers, moved, strict=True)]) for sign in (-1, 1))

    def coordinates(w):
        angle = np.arctan2(abs(w[1]), w[0])
        r = np.linalg.norm(w)
        return np.array([r, angle, np.log(np.tan(angle / 2)), w[0], np.log(abs(w[1]))])

    measured = (coordinates(after) - coordinates(before)) / (2 * step)
    w = end_to_end(layers)
    arguments = (symbols.r, symbols.theta, symbols.c, symbols.N)
    keys = ("norm_rate", "angle_rate", "log_tan_half_angle_rate", "parallel_rate", "log_perp_rate")
    flow = derive("deep_flow")
    at = (np.linalg.norm(w), coordinates(w)[1], c, depth)
    predicted = [flow.function(key, *arguments, functions={"h": sphere3.growth})(*at) for key in keys]
    assert predicted == pytest.approx(measured, rel=1e-6, abs=1e-8)
    if depth == 1:
        single = derive("one_layer_flow")
        assert [single.function(key, *arguments, functions={"h": sphere3.growth})(*at) for key in keys] == pytest.approx(predicted)


@cache
def _nodes(gaussian_growth, low, high):
    """Gauss-Legendre nodes in log r with h of the Gaussian at them."""
    points, weights = np.polynomial.legendre.leggauss(60)
    logs = (np.log(high) - np.log(low)) / 2 * points + (np.log(high) + np.log(low)) / 2
    norms = np.exp(logs)
    with mp.workdps(25):
        growth = np.array([float(gaussian_growth(r)) for r in norms])
    return norms, weights * (np.log(high) - np.log(low)) / 2, growth


def gaussian_time(gaussian_growth, low, high, depth):
    """Time the late flow takes from the norm `low` to `high`, with all of h."""
    norms, weights, growth = _nodes(gaussian_growth, low, high)
    return float(np.sum(weights * norms / (depth * norms ** (2 - 2 / depth) * growth)))


@pytest.mark.parametrize(("depth", "key"), [(1, "one_layer_norm"), (2, "two_layer_norm_squared")])
def test_the_next_order_of_the_norm_has_the_derived_sign_and_size(depth, key, gaussian_growth):
    expression = derive("asymptotics").results[key]
    beta = named("beta", real=True)

    def norm(time, value):
        found = float(expression.subs({symbols.t: time, symbols.K: GAUSSIAN_K, beta: value}))
        return found if depth == 1 else np.sqrt(found)

    def defect(value):
        """Change between two late times of (time the true flow takes) - (time the expansion says)."""
        times = (2.0e5, 2.0e7)
        early, late = (norm(time, value) for time in times)
        taken = gaussian_time(gaussian_growth, early, late, depth)
        return (taken - (times[1] - times[0])) * GAUSSIAN_K / GAUSSIAN_BETA

    spread = {1: (3 * GAUSSIAN_K) ** (1 / 3) * (2e7 ** (1 / 3) - 2e5 ** (1 / 3)), 2: np.log(100.0) / 4}[depth]
    assert abs(defect(GAUSSIAN_BETA)) < 0.02 * spread
    assert defect(0.0) == pytest.approx(spread, rel=0.05)
    assert defect(-GAUSSIAN_BETA) == pytest.approx(2 * spread, rel=0.05)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_law_without_time_holds_up_to_the_inverse_square_of_the_norm(depth, gaussian_growth):
    expression = derive("asymptotics").results["minus_s_of_norm"]
    values = {
        symbols.N: depth,
        symbols.K: GAUSSIAN_K,
        symbols.c: 0.4,
        named("beta", real=True): GAUSSIAN_BETA,
    }
    law = sp.lambdify(symbols.r, expression.subs(values))
    low, high = 60.0, 600.0
    _, weights, growth = _nodes(gaussian_growth, low, high)
    truth = float(np.sum(weights * 0.4 / (depth * growth)))
    assert truth - (law(high) - law(low)) == pytest.approx(0, abs=3 * GAUSSIAN_BETA**2 / low**2)
    without_beta = 0.4 / depth * (high**2 - low**2) / (2 * GAUSSIAN_K)
    assert abs(truth - without_beta) > 1


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_a_kinked_density_shifts_norm_and_direction_at_every_depth(depth):
    results = derive("asymptotics").results
    with mp.workdps(30):
        laplace = sp.lambdify(symbols.r, derive("closed_forms").results["laplace_growth"].subs(named("b"), 1), modules="mpmath")
        constant = mp.pi**2 / 12
        kink = float(number(derive("laws").results["laplace_cubic_coefficient"], b=1) / constant)
        reached, panels = 2000, [1, 10, 100, 1000, 2000]
        time = float(mp.quad(lambda r: 1 / (depth * r ** mp.mpf(2 - 2 / depth) * laplace(r)), panels))
        turned = float(mp.quad(lambda r: 0.5 / (depth * r * laplace(r)), panels))  # c = b/2
    values = {symbols.K: float(constant), symbols.t: time, symbols.N: depth, symbols.c: 0.5}
    predicted = {value: float(results["norm_with_kink"].subs({**values, named("gamma", real=True): value})) for value in (kink, 0.0)}
    # The start's time shift comes next and dies out as r^(-2/depth).
    assert predicted[kink] == pytest.approx(reached, abs=0.05 * abs(predicted[0.0] - reached))
    assert abs(predicted[0.0] - reached) > 0.5
    bend = float(results["kink_coefficient_of_minus_s_over_norm"].subs({**values, named("gamma", real=True): kink}))
    leading = float(results["minus_log_tan_half_angle"].subs(values))
    assert turned - leading == pytest.approx(bend * predicted[0.0], abs=0.03 * 2000)
    if depth != 2:
        assert abs(turned - leading) > 0.1 * 2000
