"""The derived laws of layers and samples: against integrations and drawn samples, flowsim against them, and altered ones refused."""

import sys
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import sympy as sp

import flowsim as fs
from derivations import StepFailed, derive
from flowsim import theory
from flowsim.theory.sample_noise import across_variance


def function(name, key, *arguments):
    """A derived result as a NumPy function of the symbols of these names."""
    formula = derive(name).results[key]
    by_name = {symbol.name: symbol for symbol in formula.free_symbols}
    assert set(by_name) <= set(arguments)
    return sp.lambdify([by_name.get(a, sp.Symbol(a)) for a in arguments], formula, "scipy")


def test_the_excess_and_the_misalignment_of_random_layers_stay_within_the_derived_bounds():
    rng = np.random.default_rng(8)
    first, second = (function("imbalance", f"alignment_gap_{which}", "S_k", "e", "D_k") for which in ("first", "second"))
    term = function("imbalance", "excess_term", "T_k", "lambda_min(B_k)")
    used = np.zeros(3)
    for _ in range(300):
        upper = rng.standard_normal((1, 3)) + np.array([8.0, 0.0, 0.0])
        lower = rng.standard_normal((3, 4)) + np.outer([8.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])
        left, values, _ = np.linalg.svd(lower)
        ends = np.linalg.eigvalsh(lower @ lower.T - upper.T @ upper)
        allowed, spread = term(ends.sum(), ends[0]), ends[-1] - ends[0]
        missed = 1.0 - (left[:, 0] @ upper[0]) ** 2 / (upper @ upper.T).item()
        shares = [(values[1:] ** 2).sum() / allowed, missed / first(values[0] ** 2, spread, allowed)]
        if values[0] ** 2 > spread + allowed:
            shares.append(missed / second(values[0] ** 2, spread, allowed))
        assert max(shares) <= 1.0
        used[: len(shares)] = np.maximum(used[: len(shares)], shares)
    # and not by a factor of ten: a constant smaller by that would be seen
    assert (used > 0.1).all(), used


@pytest.mark.parametrize("kink", [0.0, 1.5])
@pytest.mark.parametrize("imbalance", [-2.5, 4.0])
def test_the_late_direction_of_two_unbalanced_layers_is_the_derived_one(imbalance, kink):
    pull, tail, times = 0.4, 0.65, np.array([1e6, 1e8, 1e10])
    ratio = function("unbalanced_layers", "ratio", "delta", "r")

    def velocity(u, y):
        r = np.exp(y[0])
        share, h = ratio(imbalance, r), tail / r**2 * (1.0 + kink / r)
        return [(share + 1.0 / share) * h * np.exp(u), pull * (1.0 - share) * np.exp(u)]

    run = scipy.integrate.solve_ivp(velocity, (0.0, np.log(1e10)), [np.log(5.0), 0.0], "DOP853", np.log(times), rtol=1e-12, atol=1e-12)
    law = function("unbalanced_layers", "direction", "t", "c", "delta", "gamma", "K")
    predicted = law(times, pull, imbalance, kink, tail) + pull * times
    gained, expected = np.diff(run.y[1]), np.diff(predicted)
    # c t to 1e-16 is 1e-6 at t = 1e10; the next order is t^(-1/2) log t
    np.testing.assert_allclose(gained, expected, atol=0.02)
    logarithm = pull * imbalance * (imbalance + 4.0 * kink) / (32.0 * tail) * np.log(100.0)
    assert abs(logarithm) > 0.1


@pytest.mark.parametrize("law", ["sphere", "cube root"])
def test_the_noise_of_a_drawn_sample_is_the_derived_one(law):
    rng, n, r = np.random.default_rng(2), 400_000, 6.0
    direction = rng.standard_normal((n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    # on the unit sphere, and with a radius whose density is 3 rho^2
    x = direction * (1.0 if law == "sphere" else rng.random((n, 1)) ** (1.0 / 3.0))
    values = (x[:, 1] / (1.0 + np.exp(r * np.abs(x[:, 0])))) ** 2
    integral, size = function("sample_noise", "square_integral", "y"), np.abs(x[:, 0])
    means = size * integral(r * size) / r
    error = np.hypot(values.std(), means.std()) / np.sqrt(n)
    assert abs(values.mean() - means.mean()) < 4.0 * error
    leading = function("sample_noise", "variance_leading", "c", "r")(size.mean() / 2.0, r)
    corrected = function("sample_noise", "variance_large_norm", "c", "r", "f0")(size.mean() / 2.0, r, 1.0 if law == "sphere" else 1.5)
    assert abs(means.mean() / corrected - 1.0) < 0.2 * abs(leading / corrected - 1.0)


def test_the_two_lags_of_generic_layers_are_those_of_growing_matrices():
    """Three layers whose imbalances are held while p grows: a/|a| - p/|p| against -P B u/r^(2/3) - R^T C s/r."""
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal((2, 3, 3))
    b, c = (m + m.T for m in (first, second))
    u = np.array([1.0, 0.0, 0.0])
    missed, norms = [], np.array([1e6, 1e9, 1e12])
    for r in norms:
        size = r ** (1.0 / 3.0)
        # W_2^T W_2 = W_1 W_1^T - B and W_3^T W_3 = W_2 W_2^T - C up to parts of size 1, Q = 0: the leading vectors, one after the other
        values, vectors = np.linalg.eigh(np.outer(u, u) * size**2 - b)
        rest = vectors[:, :2] * np.sqrt(np.abs(values[:2]))
        # W_2 = sigma u_2 v_2^T + R with u_2 the last coordinate; s is its lag behind u_2, from W_3^T W_3 + C
        matrix = np.column_stack([rest, vectors[:, 2] * np.sqrt(values[2])]).T
        _, upper = np.linalg.eigh(matrix @ matrix.T - c)
        s = upper[:, 2] * np.sign(upper[2, 2])
        a = matrix.T @ s
        a *= np.sign(a[0]) / np.linalg.norm(a)
        across = np.eye(3) - np.outer(u, u)
        part = matrix.copy()
        part[2] = 0.0
        predicted = -across @ b @ u / size**2 - np.sign(vectors[0, 2]) * part.T @ c @ s / size**3
        missed.append(np.linalg.norm(across @ a - across @ predicted) / np.linalg.norm(across @ part.T @ c @ s) * size**3)
    slopes = np.diff(np.log(missed)) / np.diff(np.log(norms))
    # what is left is smaller than the second lag by r^(-1/3)
    assert slopes == pytest.approx([-1 / 3, -1 / 3], abs=0.03), missed
    assert missed[-1] < 1e-3


# --- flowsim holds to them ---


RNG = np.random.default_rng(6)
LAWS = {"gaussian": fs.Gaussian(dim=3, scale=1.7), "laplace": fs.Laplace(dim=2, scale=0.7), "half": fs.Radial(3, scipy.stats.gamma(0.5))}
laws = pytest.mark.parametrize("name", LAWS)
depths = pytest.mark.parametrize("depth", [2, 3, 6])


def value(name, key, **values):
    """A derived result as a number, its symbols given by name."""
    formula = derive(name).results[key]
    missing = {symbol.name for symbol in formula.free_symbols} - set(values)
    assert not missing
    return float(formula.subs({symbol: values[symbol.name] for symbol in formula.free_symbols}))


def known(risk, depth=2):
    kink = risk.tail.next_coefficient / risk.tail.constant if risk.tail.next_power == 3.0 else 0.0
    return {"K": risk.tail.constant, "K_a": risk.tail.constant, "a": risk.tail.exponent, "c": risk.pull, "N": depth, "gamma": kink}


def test_the_excess_bound_adds_up_the_derived_terms():
    layers = [RNG.standard_normal(shape) for shape in ((3, 4), (2, 3), (4, 2), (1, 4))]
    total, found = 0.0, theory.rank_one_excess_bound(layers)
    assert found[3] == 0.0
    for k in (2, 1, 0):
        values = np.linalg.eigvalsh(layers[k] @ layers[k].T - layers[k + 1].T @ layers[k + 1])
        total += value("imbalance", "excess_term", T_k=values.sum(), **{"lambda_min(B_k)": values[0]})
        assert found[k] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(("room", "better"), [(1.2, "first"), (3.0, "second"), (1e3, "second")])
def test_the_alignment_bound_is_the_better_of_the_derived_ones(room, better):
    layers = [np.diag([3.0, 1.5]), np.array([[2.0, 1.0]])]
    (b,) = theory.imbalances(layers)
    ends, allowed = np.linalg.eigvalsh(b), theory.rank_one_excess_bound(layers)[0]
    spread = ends[1] - ends[0]
    square = allowed + room * spread
    gaps = {which: value("imbalance", f"alignment_gap_{which}", S_k=square, e=spread, D_k=allowed) for which in ("first", "second")}
    assert min(gaps, key=lambda which: gaps[which]) == better
    assert 1.0 - theory.alignment_bound(layers, [np.sqrt(square)])[0] == pytest.approx(gaps[better], rel=1e-9)


def test_the_ratio_of_two_layers_is_the_derived_one():
    for _ in range(10):
        delta, norm = float(RNG.normal()), float(RNG.uniform(0.1, 5.0))
        assert theory.layer_ratio(delta, norm) == pytest.approx(value("unbalanced_layers", "ratio", delta=delta, r=norm), rel=1e-12)


@laws
@pytest.mark.parametrize("delta", [-1.3, 2.1])
def test_the_direction_of_two_unbalanced_layers_is_the_derived_one(name, delta):
    risk = fs.PopulationRisk(LAWS[name])
    for t in (1e3, 1e7):
        given = {**known(risk), "delta": delta, "t": t}
        found = theory.unbalanced_two_layer_direction(risk, delta, t)
        assert found + risk.pull * t == pytest.approx(value("unbalanced_layers", "direction_power_tail", **given) + risk.pull * t, rel=1e-7)
        if name != "half":
            second = theory.unbalanced_two_layer_direction(risk, delta, t, order=2)
            derived = value("unbalanced_layers", "direction", **given)
            assert second - found == pytest.approx(derived - value("unbalanced_layers", "direction_power_tail", **given), rel=1e-5)


@laws
@depths
def test_the_generic_direction_has_the_derived_exponent_constant_and_terms(name, depth):
    risk, d = fs.PopulationRisk(LAWS[name]), LAWS[name].dim
    second, third = (np.zeros(d) for _ in range(2))
    second[1], third[1] = 0.7, -0.4
    found, given = theory.GenericDirection(risk, depth, second, 2.0 * third), known(risk, depth)
    assert theory.generic_direction_exponent(risk, depth) == pytest.approx(value("generic_direction", "exponent", **given), rel=1e-12)
    assert found.constant == pytest.approx(value("generic_direction", "constant", QTPBu=0.7, **given), rel=1e-12, abs=0.0)
    norm = 37.0
    terms = [value("generic_direction", "angle", PBu=0.7, RTCs=x, h=float(risk.growth(norm)), r=norm, **given) for x in (0.0, -0.4)]
    assert found.across(norm)[1] == pytest.approx(terms[0], rel=1e-12, abs=0.0)
    if depth > 2:
        assert found.across(norm, order=2)[1] == pytest.approx(terms[1], rel=1e-12, abs=0.0)


@laws
def test_the_noise_across_the_teacher_is_the_derived_one(name):
    risk = fs.PopulationRisk(LAWS[name])
    integral = sp.lambdify(sp.Symbol("y", positive=True), derive("sample_noise").results["square_integral"], "numpy")
    x = np.abs(risk.law.sample(1, 200_000)[:, 0])
    for r in (0.5, 4.0):
        # the same mean over the same samples as x_2^2 s^2, with less scatter
        values = x * integral(r * x) / r
        error = values.std(ddof=1) / np.sqrt(values.size)
        assert abs(values.mean() - float(across_variance(risk.law, np.array(r)))) < 4.0 * error
    large = 2e3
    if name != "half":
        f0 = risk.tail.constant * 12.0 / np.pi**2
        derived = value("sample_noise", "variance_large_norm", c=risk.pull, f0=f0, r=large)
        leading = value("sample_noise", "variance_leading", c=risk.pull, r=large)
        found = float(across_variance(risk.law, np.array(large)))
        assert found == pytest.approx(derived, rel=1e-9, abs=0.0)
        assert found - leading == pytest.approx(derived - leading, rel=5e-3, abs=0.0)


@laws
def test_the_error_of_the_direction_is_the_derived_one(name):
    risk, n = fs.PopulationRisk(LAWS[name]), 10**4
    for r in (0.3, 20.0):
        given = {"V": float(across_variance(risk.law, np.array(r))), "c": risk.pull, "d": risk.law.dim, "n": n}
        found = float(theory.sample_direction_error(risk, r, n))
        assert found**2 == pytest.approx(value("sample_noise", "angle_squared", **given), rel=1e-12, abs=0.0)
    if name != "half":
        late = value("sample_noise", "angle_squared_late", c=risk.pull, d=risk.law.dim, n=10**9, r=1e5)
        assert float(theory.sample_direction_error(risk, 1e5, 10**9)) ** 2 == pytest.approx(late, rel=1e-8, abs=0.0)


@laws
def test_margin_and_crossover_are_the_derived_ones(name):
    risk, n = fs.PopulationRisk(LAWS[name]), 5000
    a = risk.tail.exponent
    norm = float(theory.margin_norm(risk, n))
    assert 1.0 / norm == pytest.approx(
        value("sample_noise", "least_margin", a=a, C=risk.tail.constant / value("growth", "power_tail_constant", C=1.0, a=a), n=n), rel=1e-9
    )
    for depth in (1, 3):
        found = theory.margin_crossover(risk, n, depth)
        assert found.norm == norm
        if a == 1.0:
            assert found.time == pytest.approx(value("sample_noise", "margin_time", r=norm, K=risk.tail.constant, N=depth), rel=1e-12)


def test_the_time_of_the_crossover_is_where_half_the_logarithm_of_the_samples_is_reached():
    risk, n = fs.PopulationRisk(LAWS["gaussian"]), 10**9
    for depth in (1, 2, 4):
        time = value("sample_noise", "direction_time", n=n, **known(risk, depth))
        assert -theory.rates(risk, depth).log_tan_half_angle(time) == pytest.approx(np.log(n) / 2.0, rel=1e-12)


# --- altered ---


ALTERED = [
    ("imbalance", "term", "term = trace - least", "term = trace - 2 * least"),
    ("imbalance", "second", "(spread / (2 * (size - spread - allowed))) ** 2", "(spread / (2 * (size - allowed))) ** 2"),
    ("unbalanced_layers", "square root", "law = -c * t + c * delta / (2 * sp.sqrt(K))", "law = -c * t + c * delta / sp.sqrt(K)"),
    ("unbalanced_layers", "kink", "(delta + 4 * kink) / (32 * K)", "(delta + 2 * kink) / (32 * K)"),
    ("generic_direction", "turn", "-(order - 1) * growth * coefficient * r", "-order * growth * coefficient * r"),
    ("generic_direction", "second", "(second + 2 * third * r ** (-1 / N))", "(second + third * r ** (-1 / N))"),
    ("generic_direction", "exponent", "exponent = (N * (1 + tail) + 3)", "exponent = (N * (1 + tail) + 2)"),
    ("sample_noise", "Laplace", "b * (b + u)),", "b * (b - u)),"),
    ("sample_noise", "integral", "- sp.Rational(1, 2) + sigmoid", "- sp.Rational(1, 2) - sigmoid"),
    ("sample_noise", "direction", "(dimension - 1) * variance / (samples * c**2),", "dimension * variance / (samples * c**2),"),
    ("sample_noise", "margin", "norm ** ((N + 2) / N) / ((N + 2) * K)", "norm ** ((N + 2) / N) / (N * K)"),
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
