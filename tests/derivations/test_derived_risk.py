"""Risk, laws and growth as derived, against integrals and differences that do not use them."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

from derivations import derive, symbols


def named(name, **assumptions):
    return sp.Symbol(name, **(assumptions or {"positive": True}))


def number(expression, **values):
    """The expression's value at working precision, symbols given by name."""
    chosen = {symbol: values[symbol.name] for symbol in expression.free_symbols}
    return mp.mpf(sp.N(expression.subs(chosen), mp.mp.dps))


GAUSSIAN_K = float(mp.sqrt(2 / mp.pi) * mp.pi**2 / 12)
GAUSSIAN_BETA = float(7 * mp.pi**2 / 20)


def test_the_reference_profiles_are_right(sphere3, gaussian_growth):
    direct = mp.quad(lambda u: u / (1 + mp.exp(3 * u)), [0, 1])
    assert sphere3.growth(3.0) == pytest.approx(float(direct), rel=1e-13)
    direct = mp.quad(lambda u: mp.sqrt(2 / mp.pi) * mp.exp(-(u**2) / 2) * u / (1 + mp.exp(7 * u)), [0, 0.1, 1, 5, 20])
    assert float(gaussian_growth(7)) == pytest.approx(float(direct), rel=1e-12)


@pytest.mark.parametrize(("norm", "angle"), [(0.7, 0.4), (3.0, 2.2)])
def test_the_gradient_is_the_mean_over_the_gaussian_plane(norm, angle, gaussian_growth):
    points, weights = np.polynomial.legendre.leggauss(80)
    rho = 5 * (points + 1)[:, None]  # (0, 10); two half circles of constant label
    phi = np.concatenate([np.pi / 2 * points, np.pi / 2 * points + np.pi])
    mass = 5 * weights[:, None] * rho * np.exp(-(rho**2) / 2) * np.tile(weights, 2) / 4
    label = np.sign(np.cos(phi))
    pull = -label / (1 + np.exp(label * norm * rho * np.cos(phi - angle)))
    direct = [np.sum(mass * pull * rho * part) for part in (np.cos(phi), np.sin(phi))]
    assert np.sum(mass) == pytest.approx(1, rel=1e-12)
    results = derive("risk").results
    values = {"c": 1 / mp.sqrt(2 * mp.pi)}
    along_w, along_v = (
        float(number(results[key].replace(symbols.h, lambda _: sp.Float(gaussian_growth(norm))), **values))
        for key in ("gradient_coefficient_of_unit_w", "gradient_coefficient_of_v")
    )
    formula = [along_w * np.cos(angle) + along_v, along_w * np.sin(angle)]
    assert formula == pytest.approx(direct, abs=1e-9)


def test_gradient_and_hessian_are_the_differences_of_the_risk(sphere3):
    c, rng, step = 0.25, np.random.default_rng(3), 1e-4
    v, w = np.array([0.6, 0.0, 0.8]), rng.normal(size=3) * 2

    def risk(point):
        r = np.linalg.norm(point)
        return sphere3.aligned(r) + c * (r - v @ point)

    r = np.linalg.norm(w)
    basis = np.eye(3) * step
    hessian = [[(risk(w + e + f) - risk(w + e - f) - risk(w - e + f) + risk(w - e - f)) / (4 * step**2) for e in basis] for f in basis]
    curvature = (sphere3.growth(r - step) - sphere3.growth(r + step)) / (2 * step)
    functions = {"h": sphere3.growth, "kappa": lambda _: curvature}
    radial, tangential = (
        derive("risk").function(f"hessian_{part}", symbols.r, symbols.c, functions=functions)(r, c) for part in ("radial", "tangential")
    )
    along = np.outer(w, w) / r**2
    assert np.allclose(radial * along + tangential * (np.eye(3) - along), hessian, atol=2e-7)


def test_growth_times_norm_reaches_no_more_than_lambert_w():
    bound = derive("smoothness").results["growth_times_norm_bound"]
    assert float(bound) == pytest.approx(0.278464542761074, rel=1e-14)
    margins = np.linspace(0.01, 20, 100_000)
    assert (margins / (1 + np.exp(margins))).max() == pytest.approx(float(bound), rel=1e-8)


def test_the_noisy_minimiser_is_where_the_noisy_risk_is_least(sphere3):
    c, noise = 0.25, 0.1
    condition = derive("label_noise").results["minimiser_condition"]
    at = sp.lambdify([symbols.r, symbols.c, named("epsilon")], condition, modules=[{"h": sphere3.growth}, "numpy"])
    stationary = brentq(lambda r: at(r, c, noise), 0.1, 100)
    norms = np.linspace(stationary - 0.5, stationary + 0.5, 2001)
    risk = sphere3.aligned(norms) + 2 * noise * c * norms  # mean of (1 - eps) l(z) + eps l(-z) at theta = 0
    assert norms[risk.argmin()] == pytest.approx(stationary, abs=1e-3)


def test_the_large_norm_series_has_an_error_of_the_next_order(gaussian_growth):
    results = derive("laws").results
    constant, fourth = (float(number(results[f"gaussian_{key}"], b=1)) for key in ("tail_constant", "next_coefficient"))
    norms = [20, 40, 80, 160]
    with mp.workdps(25):
        gaps = [abs(gaussian_growth(r) - number(results["gaussian_tail_constant"], b=1) / r**2) * r**4 for r in norms]
        errors = [
            float(
                abs(
                    gaussian_growth(r)
                    - number(results["gaussian_tail_constant"], b=1) / mp.mpf(r) ** 2
                    - number(results["gaussian_next_coefficient"], b=1) / mp.mpf(r) ** 4
                )
            )
            for r in norms
        ]
    orders = np.diff(np.log(errors)) / np.log(2)
    assert orders[-1] == pytest.approx(-6, abs=0.05), (orders, errors)
    assert float(gaps[-1]) == pytest.approx(abs(fourth), rel=1e-2)
    assert (constant, -fourth / constant) == pytest.approx((GAUSSIAN_K, GAUSSIAN_BETA))


def test_the_small_norm_series_has_an_error_of_the_next_order():
    series = derive("growth").results["small_norm_growth"]
    moments = {"c": mp.mpf("0.25"), "m_2": mp.mpf(1) / 3, "m_4": mp.mpf(1) / 5, "m_6": mp.mpf(1) / 7}
    norms = [mp.mpf(1) / 2, mp.mpf(1) / 4, mp.mpf(1) / 8]
    with mp.workdps(30):
        errors = [float(abs(mp.quad(lambda u, r=r: u / (1 + mp.exp(r * u)), [0, 1]) - number(series, r=r, **moments))) for r in norms]
    orders = np.diff(np.log(errors)) / np.log(0.5)
    assert orders[-1] == pytest.approx(7, abs=0.05), (orders, errors)


@pytest.mark.parametrize("exponent", ["0.3", "0.5", "1"])
def test_a_power_law_at_zero_gives_the_derived_tail(exponent):
    with mp.workdps(30):
        a, r = mp.mpf(exponent), mp.mpf(50)
        growth = mp.quad(lambda u: a * u**a / (1 + mp.exp(r * u)), [0, 1 / r, 10 / r, 1])  # P(|x_1| < u) = u^a on (0, 1)
        constant = number(derive("growth").results["power_tail_constant"], a=a, C=1)
        assert abs(growth * r ** (1 + a) / constant - 1) < mp.mpf(10) ** -18  # what is left is of order e^(-50)


def test_the_kinked_density_brings_the_cubic_term():
    results = derive("closed_forms").results, derive("laws").results
    with mp.workdps(40):
        r = mp.mpf(10) ** 6
        rest = number(results[0]["laplace_growth"], r=r, b=1) - number(results[1]["laplace_tail_constant"], b=1) / r**2
        cubic = number(results[1]["laplace_cubic_coefficient"], b=1)
        assert abs(rest * r**3 / cubic - 1) < mp.mpf("1e-5")


@pytest.mark.parametrize("factor", ["1", "1.0000001"])
def test_closed_forms_are_their_integrals_and_perturbed_ones_are_not(factor):
    results = derive("closed_forms").results
    with mp.workdps(40):
        r, b, by = mp.mpf("1.7"), mp.mpf("0.6"), mp.mpf(factor)
        pairs = [
            (
                results["laplace_growth"],
                mp.quad(lambda u: u * mp.exp(-u / b) / b / (1 + mp.exp(r * u)), [0, 1, 9, 90]),
            ),
            (
                results["laplace_aligned_risk"],
                mp.quad(lambda u: mp.log1p(mp.exp(-r * u)) * mp.exp(-u / b) / b, [0, 1, 9, 90]),
            ),
            (results["sphere3_growth"], mp.quad(lambda u: u / (1 + mp.exp(r * u)), [0, b]) / b),
            (results["sphere3_aligned_risk"], mp.quad(lambda u: mp.log1p(mp.exp(-r * u)), [0, b]) / b),
        ]
        for formula, integral in pairs:
            close = abs(number(formula, r=r, b=b, R=b) * by / integral - 1) < mp.mpf(10) ** -30
            assert close == (factor == "1")
