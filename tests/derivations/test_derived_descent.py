"""The derived descent against matrices, integrations and step-by-step runs; and that altered formulas are refused."""

import itertools
import math
import sys
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import sympy as sp

from derivations import StepFailed, derive, symbols
from derivations.edge_of_stability import delayed_burst_sigma

MAP = ("next_layer", "next_parallel", "next_perp")


def step_of(depth, growth, pull, eta, noise):
    """(a, z_par, z_perp) -> the next, by the derived map."""
    values = {symbols.N: depth, symbols.c: pull, sp.Symbol("eta", positive=True): eta, sp.Symbol("epsilon", positive=True): noise}
    state = (sp.Symbol("a", real=True, nonzero=True), *sp.symbols("z_par z_perp", real=True))
    known = derive("descent").results
    parts = [sp.lambdify([*state, "h_r"], known[key].subs(values).replace(symbols.h, lambda _: sp.Symbol("h_r"))) for key in MAP]

    def step(a, along, across):
        h = growth(abs(a) ** (depth - 1) * np.hypot(along, across))
        return np.array([part(a, along, across, h) for part in parts])

    return step


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_the_map_is_the_descent_on_matrices_of_any_width(depth, sign, sphere3):
    rng, c, eta, noise, v = np.random.default_rng(depth), 0.25, 0.7, 0.1, np.array([1.0, 0.0])
    z, a = rng.normal(size=2), sign * 1.2
    u = rng.normal(size=4)
    u /= np.linalg.norm(u)
    layers = [np.outer(u, z), *[a * np.outer(u, u)] * (depth - 2), a * u[None, :]]

    def end_to_end(matrices):
        product = np.eye(matrices[0].shape[1])
        for matrix in matrices:
            product = matrix @ product
        return product

    w = end_to_end(layers)[0]
    r = np.linalg.norm(w)
    gradient = (c - sphere3.growth(r)) * w / r - c * (1 - 2 * noise) * v
    moved = []
    for j, layer in enumerate(layers):
        above = np.eye(1) if j == depth - 1 else end_to_end(layers[j + 1 :])
        below = np.eye(2) if j == 0 else end_to_end(layers[:j])
        moved.append(layer - eta * above.T @ gradient[None, :] @ below.T)
    size, *first = step_of(depth, sphere3.growth, c, eta, noise)(a, *z)
    np.testing.assert_allclose(moved[0], np.outer(u, first), rtol=1e-13, atol=1e-14)
    for layer in moved[1:-1]:
        np.testing.assert_allclose(layer, size * np.outer(u, u), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(moved[-1], size * u[None, :], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("coefficients", [None, (0, 0, 1), (0, 1, 0)])
def test_the_flow_of_the_modified_field_passes_through_the_step_up_to_the_fourth_order(coefficients):
    y = sp.Symbol("y")
    field, eta = sp.cos(y) + y**2 / 3, sp.Symbol("eta", positive=True)
    first, second = sp.diff(field, y), sp.diff(field, y, 2)
    modified = derive("modified_equation").results["modified_field"].subs({"g": field, "g_1": first, "g_2": second})
    if coefficients:  # a coefficient of the last term off by 1/2 costs one order
        modified += eta**2 * (coefficients[1] * first**2 * field + coefficients[2] * second * field**2) / 2
    rate = sp.lambdify((y, eta), modified)
    sizes, errors, start = 0.2 / 2.0 ** np.arange(5), [], 0.4
    for size in sizes:
        run = scipy.integrate.solve_ivp(lambda _, x, size=size: rate(x, size), (0, size), [start], method="DOP853", rtol=1e-13, atol=1e-14)
        errors.append(abs(run.y[0, -1] - start - size * float(field.subs(y, start))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(3 if coefficients else 4, abs=0.15), errors


def test_the_gap_of_descent_to_flow_is_the_derived_one_to_first_order():
    gap = sp.lambdify(("g", "g_0"), derive("modified_equation").results["scalar_gap"])
    late = 7.0
    flow = (1 + 3 * late) ** (1 / 3)
    predicted, found = gap(flow**-2, 1.0), []
    for eta in (0.01, 0.005, 0.0025):
        y = 1.0
        for _ in range(round(late / eta)):
            y += eta / y**2
        found.append((y - flow) / eta - predicted)
    assert abs(found[-1]) < 1e-3 * predicted
    ratios = [a / b for a, b in itertools.pairwise(found)]
    assert ratios == pytest.approx([2, 2], abs=0.1)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_multipliers_at_the_noisy_minimiser_are_those_of_the_map(depth, sphere3):
    c, noise, eta = 0.25, 0.1, 0.3
    low, high = 0.1, 100.0
    for _ in range(100):
        norm = (low + high) / 2
        low, high = (norm, high) if sphere3.growth(norm) > 2 * noise * c else (low, norm)
    curvature = (sphere3.growth(norm * (1 - 1e-5)) - sphere3.growth(norm * (1 + 1e-5))) / (2e-5 * norm)
    step, size, small = step_of(depth, sphere3.growth, c, eta, noise), norm ** (1 / depth), 1e-5
    rest = np.array([size, size, 0.0])
    np.testing.assert_allclose(step(*rest), rest, rtol=1e-12, atol=1e-14)
    slopes = np.array([(step(*(rest + small * e)) - step(*(rest - small * e))) / (2 * small) for e in np.eye(3)]).T
    values = {
        symbols.N: depth,
        symbols.c: c,
        symbols.r: norm,
        sp.Symbol("eta", positive=True): eta,
        sp.Symbol("epsilon", positive=True): noise,
    }
    known = derive("descent").results
    radial, across, largest = (
        float(known[key].replace(symbols.kappa, lambda _: sp.Float(curvature)).subs(values))
        for key in ("radial_multiplier", "direction_multiplier", "largest_step_size")
    )
    assert sorted(np.linalg.eigvals(slopes).real) == pytest.approx(sorted([radial, across, 1.0]), rel=1e-6)
    assert largest == pytest.approx(2 * eta / max(1 - radial, 1 - across), rel=1e-12)


def test_bursts_of_two_layers_grow_with_the_derived_exponent_about_the_derived_mean():
    pull, tail, ratio = 0.4, 0.65, 0.5  # eta c = 4
    values = {symbols.c: pull, symbols.K: tail, sp.Symbol("a", positive=True): 1, sp.Symbol("eta", positive=True): 2 / (ratio * pull)}
    known, k, m = derive("two_layer_edge").results, sp.Symbol("k", positive=True), sp.Symbol("m", positive=True)
    angle, norm = (sp.lambdify(k, known[key].subs(values)) for key in ("angle_rms_squared", "norm_to_one_plus_a"))
    exponent = float(known["burst_exponent"].subs({m: ratio**-2, sp.Symbol("a", positive=True): 1}))
    first, last, eta = 2000, 2**18, 2 / (ratio * pull)
    r = math.sqrt(norm(first))
    a, q, p = math.sqrt(r * ratio), math.sqrt(r / ratio), math.sqrt(r / ratio * 60 * angle(first))
    # the map itself, nearly aligned, with h = K/r^2
    peaks, mean, largest, bound = [], 0.0, 0.0, 2**12
    for step in range(first, last + 1):
        square = p * p / (q * q)
        largest, mean = max(largest, square), mean + square / angle(step) if step > last // 2 else 0.0
        if step == bound:
            peaks.append(math.sqrt(largest))
            largest, bound = 0.0, 2 * bound
        z = q * math.sqrt(1 + square)
        h, cos = tail / (a * z) ** 2, q / z
        gap = p * p / (z * (z + q))
        sigma = eta * a * (pull - h) / z
        a, q, p = a + eta * z * (h - pull * gap), q + eta * a * (pull * gap + h * cos), p * (1 - sigma)
    slope = np.polyfit(np.log(2.0) * np.arange(len(peaks)), np.log(peaks), 1)[0]
    assert slope == pytest.approx(exponent, abs=0.02), peaks
    assert mean / (last - last // 2) == pytest.approx(1, abs=0.1)
    assert (a * q) ** 2 == pytest.approx(norm(last), rel=0.03)


@pytest.mark.parametrize(("depth", "tail"), [(3, 1), (4, 1), (6, 1), (5, 0.5), (20, 1)])
def test_the_logarithm_sums_to_zero_at_the_delayed_burst(depth, tail):
    power = (tail * depth + 2) / (depth - 2) - 1
    sigma = float(delayed_burst_sigma(depth, tail))
    parts = [scipy.integrate.quad(lambda x: math.log(abs(1 - x)) * x**power, *ends)[0] for ends in ((0, 1), (1, 2), (2, sigma))]
    assert sum(parts) == pytest.approx(0, abs=1e-9)
    assert parts[0] < 0 < parts[2]
    if tail == 1 and depth <= 6 and depth != 5:
        condition = derive("edge_of_stability").results[f"first_burst_condition_{depth}"]
        assert float(condition.subs(sp.Symbol("Sigma", positive=True), delayed_burst_sigma(depth))) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(("arguments", "name"), [((2,), "depth"), ((4, 0), "tail_exponent")])
def test_a_run_without_a_delayed_burst_is_refused(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        delayed_burst_sigma(*arguments)


ALTERED = [
    (
        "descent",
        "gradient_held",
        "layer - eta * layer ** (depth - 2) * gradient.dot(first)",
        "layer - eta * layer ** (depth - 1) * gradient.dot(first)",
    ),
    ("descent", "sign", "sharpness = eta * sp.Abs(power) * (c - h(r)) / norm", "sharpness = eta * power * (c - h(r)) / norm"),
    ("descent", "imbalance", "c**2 * (1 - 2 * noise) ** 2 * z_perp**2", "c**2 * (1 - 2 * noise) * z_perp**2"),
    ("descent", "radial", "radial = 1 - eta * N * r", "radial = 1 - eta * r"),
    ("modified_equation", "third", "sp.Rational(1, 12)", "sp.Rational(1, 6)"),
    ("modified_equation", "series", "chained / 3 + curved / 12", "chained / 3 - curved / 12"),
    ("modified_equation", "energy", "objective + eta / 4", "objective + eta / 2"),
    ("modified_equation", "defect", "(-1) ** (terms + 1) * _along", "(-1) ** terms * _along"),
    ("modified_equation", "gap", "-g(flow) * sp.log(g(flow) / g(start)) / 2", "-g(flow) * sp.log(g(flow) / g(start))"),
    ("edge_of_stability", "clock", "((tail * N + 2) * K * eta)", "((tail * N + 1) * K * eta)"),
    ("edge_of_stability", "root", "(mpmath.digamma(power + 2)", "(mpmath.digamma(power + 1)"),
    ("two_layer_edge", "increment", "2 * lam**2 - 8 * H - 4 * Theta", "2 * lam**2 - 8 * H - 2 * Theta"),
    ("two_layer_edge", "energy", "half * field.jacobian", "0 * field.jacobian"),
    ("two_layer_edge", "bursts", "3 * (m - 1) ** 2 - 4 * (m + 1)", "3 * (m - 1) ** 2 - 4 * (m - 1)"),
]


@pytest.mark.parametrize(("name", "old", "new"), [pytest.param(n, old, new, id=f"{n}-{what}") for n, what, old, new in ALTERED])
def test_an_altered_formula_is_refused(name, old, new, monkeypatch):
    source = Path(import_module(f"derivations.{name}").__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1
    altered = types.ModuleType(f"altered_{name}")
    monkeypatch.setitem(sys.modules, altered.__name__, altered)
    exec(compile(source.replace(old, new), altered.__name__, "exec"), altered.__dict__)
    with pytest.raises(StepFailed):
        altered.derive()
