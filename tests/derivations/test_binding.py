"""flowsim's functions held against the derived expressions, at seeded random points."""

import mpmath as mp
import numpy as np
import pytest
import scipy.stats
import sympy as sp

import flowsim as fs
from derivations import derive, symbols

RNG_SEED = 20240607
LAWS = {
    "gaussian": (fs.Gaussian(dim=3, scale=1.7), {"b": 1.7}),
    "sphere": (fs.Sphere(dim=2, radius=0.6), {"b": 0.6, "d": 2}),
    "sphere in R^5": (fs.Sphere(dim=5, radius=2.5), {"b": 2.5, "d": 5}),
    "ball": (fs.Ball(dim=4, radius=1.25), {"b": 1.25, "d": 4}),
    "student": (fs.StudentT(dim=2, df=4.5, scale=0.8), {"b": 0.8, "nu": 4.5}),
    "laplace": (fs.Laplace(dim=3, scale=0.4), {"b": 0.4}),
}
by_law = pytest.mark.parametrize("name", LAWS)


def named(name):
    return sp.Symbol(name, positive=True)


def law_value(name, key):
    """A derived constant of the law called `name`, at its parameters."""
    values = {named(symbol): value for symbol, value in LAWS[name][1].items()}
    return float(derive("laws").results[f"{name.split()[0]}_{key}"].subs(values).evalf())


def risk_of(name, label_noise=0.0):
    return fs.PopulationRisk(LAWS[name][0], label_noise=label_noise)


def open_functions(risk):
    """flowsim's h, A and kappa for the functions that the expressions leave open."""
    return {"h": risk.growth, "A": risk.aligned, "kappa": risk.curvature}


def random_points(count):
    rng = np.random.default_rng(RNG_SEED)
    return np.exp(rng.uniform(-4, 4, count)), rng.uniform(0.01, 3.1, count)


# --- laws and profiles ---


@by_law
def test_the_pull_is_the_derived_mean(name):
    assert risk_of(name).pull == pytest.approx(law_value(name, "pull"), rel=1e-12)


@by_law
def test_the_tail_is_the_derived_one(name):
    tail = risk_of(name).tail
    assert tail.exponent == 1
    assert tail.constant == pytest.approx(law_value(name, "tail_constant"), rel=1e-12)
    key = "cubic_coefficient" if name == "laplace" else "next_coefficient"
    assert tail.next_coefficient == pytest.approx(law_value(name, key), rel=1e-12)
    assert tail.next_power == (3 if name == "laplace" else 4)


@pytest.mark.parametrize(("dim", "shape"), [(2, 0.4), (3, 0.7), (6, 0.9)])
def test_a_radius_with_mass_near_zero_has_the_derived_power_tail(dim, shape):
    law = fs.Radial(dim=dim, radius=scipy.stats.gamma(shape))
    a, d, constant = named("a"), named("d"), named("C")
    results = derive("growth").results
    at_origin = 1 / sp.gamma(shape + 1)  # P(|x| < t) ~ t^a/Gamma(a+1) for the gamma law of shape a
    on_line = at_origin * results["inverse_moment_on_sphere"].subs({a: shape, d: dim})
    predicted = results["power_tail_constant"].subs({a: shape, constant: on_line})
    tail = fs.PopulationRisk(law).tail
    assert tail.exponent == pytest.approx(shape, rel=1e-6)
    assert tail.constant == pytest.approx(float(predicted), rel=1e-5)


def test_a_radius_away_from_zero_has_the_derived_regular_tail():
    shape, dim = 5.0, 4
    results, d = derive("growth").results, named("d")
    inverse, cube = 1 / (shape - 1), 1 / ((shape - 1) * (shape - 2) * (shape - 3))  # E R^-1, E R^-3
    at_zero = float(results["density_at_zero_per_inverse_radius"].subs(d, dim)) * inverse
    second = float(results["density_curvature_per_inverse_cube"].subs(d, dim)) * cube
    series = results["large_norm_series"].expand()
    values = {f"f{k}": value for k, value in enumerate((at_zero, 0, second, 0, 0, 0))}
    tail = fs.PopulationRisk(fs.Radial(dim=dim, radius=scipy.stats.gamma(shape))).tail
    for power, measured in ((-2, tail.constant), (-4, tail.next_coefficient)):
        coefficient = series.coeff(symbols.r, power)
        predicted = coefficient.subs({symbol: values[symbol.name] for symbol in coefficient.free_symbols})
        assert measured == pytest.approx(float(predicted), rel=1e-9)


@pytest.mark.parametrize(("prefix", "name", "parameter"), [("laplace", "laplace", 0.4), ("sphere3", "sphere in R^3", 1.9)])
@pytest.mark.parametrize("quantity", ["growth", "aligned_risk"])
def test_growth_and_aligned_risk_are_the_closed_forms(prefix, name, parameter, quantity):
    law = fs.Laplace(dim=2, scale=parameter) if name == "laplace" else fs.Sphere(dim=3, radius=parameter)
    risk = fs.PopulationRisk(law)
    formula = derive("closed_forms").results[f"{prefix}_{quantity}"]
    (size,) = formula.free_symbols - {symbols.r}
    exact = sp.lambdify([symbols.r], formula.subs(size, sp.Rational(str(parameter))), modules="mpmath")
    norms = np.exp(np.random.default_rng(RNG_SEED).uniform(np.log(1e-6), np.log(1e6), 40))
    with mp.workdps(60):
        predicted = np.array([float(exact(mp.mpf(float(r)))) for r in norms])
    measured = risk.growth(norms) if quantity == "growth" else risk.aligned(norms)
    np.testing.assert_allclose(measured, predicted, rtol=1e-12)


@by_law
def test_growth_drag_and_curvature_are_means_over_the_derived_density(name):
    risk, (law, parameters) = risk_of(name), LAWS[name]
    values = {named(symbol): sp.nsimplify(value) for symbol, value in parameters.items()}
    density = sp.lambdify([symbols.u], derive("laws").results[f"{name.split()[0]}_density"].subs(values), modules="mpmath")
    bounded = name.split()[0] in ("sphere", "ball")
    norms = np.exp(np.random.default_rng(RNG_SEED).uniform(-3, 3, 4))
    with mp.workdps(20):
        size = mp.mpf(str(parameters["b"]))
        ends = [0, size / 10, size / 2, size] if bounded else [0, size, 5 * size, 20 * size, mp.inf]

        def mean(function):
            return float(mp.quad(lambda u: function(u) * density(u), ends))

        for norm in norms:
            r = mp.mpf(float(norm))
            growth = mean(lambda u, r=r: u / (1 + mp.exp(r * u)))
            drag = mean(lambda u, r=r: u * mp.tanh(r * u / 2) / 2)
            curvature = mean(lambda u, r=r: u**2 / (4 * mp.cosh(r * u / 2) ** 2))
            measured = [float(part(norm)) for part in (risk.growth, risk.drag, risk.curvature)]
            assert measured == pytest.approx([growth, drag, curvature], rel=1e-10), (law, norm)


@by_law
def test_growth_follows_both_derived_series(name):
    risk, large = risk_of(name), 1e5 / LAWS[name][1]["b"]
    leading = risk.tail.constant / large**2
    following = risk.tail.next_coefficient / large**risk.tail.next_power
    assert float(risk.growth(large)) == pytest.approx(law_value(name, "tail_constant") / large**2 + following, rel=1e-12)
    assert abs(following / leading) < 1e-4
    small, second = 1e-5, LAWS[name][0].second_moment
    series = derive("growth").results["small_norm_growth"]
    values = {"c": law_value(name, "pull"), "m_2": second, "m_4": 0, "m_6": 0, "r": small}
    assert float(risk.growth(small)) == pytest.approx(
        float(series.subs({symbol: values[symbol.name] for symbol in series.free_symbols})), rel=1e-12
    )


# --- risk ---


@by_law
@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_the_value_is_the_derived_risk(name, noise):
    risk = risk_of(name, noise)
    norms, angles = random_points(30)
    module = "label_noise" if noise else "risk"
    arguments = [symbols.r, symbols.theta, symbols.c] + ([named("epsilon")] if noise else [])
    formula = derive(module).function("risk", *arguments, functions=open_functions(risk))
    predicted = formula(norms, angles, risk.pull, *([noise] if noise else []))
    np.testing.assert_allclose(risk.value(norms, angles), predicted, rtol=1e-12)


@by_law
@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_the_gradient_and_the_hessian_are_the_derived_ones(name, noise):
    risk, dim = risk_of(name, noise), LAWS[name][0].dim
    rng = np.random.default_rng(RNG_SEED)
    module = derive("label_noise" if noise else "risk")
    arguments = [symbols.r, symbols.c] + ([named("epsilon")] if noise else [])
    functions = open_functions(risk)
    for _ in range(5):
        w, v = rng.normal(size=dim) * np.exp(rng.uniform(-2, 2)), rng.normal(size=dim)
        v /= np.linalg.norm(v)
        r = np.linalg.norm(w)
        at = (r, risk.pull, noise)[: len(arguments)]
        along_w = module.function("gradient_coefficient_of_unit_w", *arguments, functions=functions)(*at)
        along_v = module.function("gradient_coefficient_of_v", *arguments, functions=functions)(*at)
        np.testing.assert_allclose(risk.gradient(w, v), along_w * w / r + along_v * v, rtol=1e-11, atol=1e-13)
        radial, tangential = (
            derive("risk").function(f"hessian_{part}", symbols.r, symbols.c, functions=functions)(r, risk.pull)
            for part in ("radial", "tangential")
        )
        projector = np.outer(w, w) / r**2
        expected = radial * projector + tangential * (np.eye(dim) - projector)
        np.testing.assert_allclose(risk.hessian(w, v), expected, rtol=1e-11, atol=1e-13)


@by_law
def test_gradient_and_curvature_keep_the_derived_bounds(name):
    risk = risk_of(name)
    norms, _ = random_points(200)
    results = derive("smoothness").results
    variance = LAWS[name][0].second_moment
    largest = float(results["smoothness_over_variance"]) * variance
    assert np.all(risk.growth(norms) * norms <= float(results["growth_times_norm_bound"]))
    assert np.all(risk.curvature(norms) <= largest * (1 + 1e-12))
    assert np.all(risk.drag(norms) / norms <= largest * (1 + 1e-12))


# --- dynamics ---

RATES = {
    "norm": "norm_rate",
    "angle": "angle_rate",
    "log_tan_half_angle": "log_tan_half_angle_rate",
    "parallel": "parallel_rate",
    "log_perp": "log_perp_rate",
}


def velocities(risk, norms, angles, depth):
    """flowsim's rates, one row a field."""
    from flowsim.dynamics.network import flow_velocity

    found = [flow_velocity(risk, r, angle, depth) for r, angle in zip(norms, angles, strict=True)]
    return {field: np.array([float(getattr(one, field)) for one in found]) for field in RATES}


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
@pytest.mark.parametrize("name", ["gaussian", "sphere", "laplace"])
def test_the_velocity_of_the_flow_is_the_derived_one(name, depth):
    risk, (norms, angles) = risk_of(name), random_points(20)
    measured = velocities(risk, norms, angles, depth)
    scale = depth * risk.pull * norms ** (1 - 2 / depth) * np.maximum(norms, 1)
    for field, key in RATES.items():
        formula = derive("deep_flow").function(key, symbols.r, symbols.theta, symbols.c, symbols.N, functions=open_functions(risk))
        predicted = formula(norms, angles, risk.pull, depth)
        np.testing.assert_allclose(measured[field] / scale, predicted / scale, rtol=1e-9, atol=1e-13, err_msg=field)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_velocity_under_label_noise_is_the_derived_one(depth):
    noise = 0.2
    risk, (norms, angles) = risk_of("gaussian", noise), random_points(10)
    measured = velocities(risk, norms, angles, depth)
    arguments = (symbols.r, symbols.theta, symbols.c, symbols.N, named("epsilon"))
    for field in ("norm", "log_tan_half_angle"):
        formula = derive("label_noise").function(RATES[field], *arguments, functions=open_functions(risk))
        predicted = formula(norms, angles, risk.pull, depth, noise)
        np.testing.assert_allclose(measured[field], predicted, rtol=1e-9, atol=1e-12, err_msg=field)
