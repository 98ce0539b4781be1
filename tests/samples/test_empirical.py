"""The empirical risk: its derivatives by differences, its size at any w, and the population's risk as n grows."""

from math import exp, fsum, log1p

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim as fs
from flowsim.samples import DataSet, EmpiricalRisk, draw
from flowsim.samples.empirical import gradient

DEVIATIONS = 5.0


@pytest.fixture(scope="module")
def risk() -> EmpiricalRisk:
    return EmpiricalRisk(draw(fs.Laplace(dim=3), 60, seed=2, label_noise=0.1))


@pytest.mark.parametrize("size", [0.0, 0.3, 3.0, 30.0])
def test_gradient_and_hessian_are_differences_of_value_and_gradient(risk: EmpiricalRisk, size: float) -> None:
    w = size * np.array([0.6, -0.5, 0.4])
    step = 1e-5
    ends = [(w + step * unit, w - step * unit) for unit in np.eye(3)]
    slope = np.array([(risk.value(a) - risk.value(b)) / (2 * step) for a, b in ends])
    np.testing.assert_allclose(risk.gradient(w), slope, atol=2e-9)
    bend = np.array([(risk.gradient(a) - risk.gradient(b)) / (2 * step) for a, b in ends])
    np.testing.assert_allclose(risk.hessian(w), bend, atol=2e-9)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4, 1e300])
def test_value_and_gradient_are_those_of_exact_sums_at_any_size(risk: EmpiricalRisk, size: float) -> None:
    w = size * np.array([0.6, -0.5, 0.4])
    margins = [float(m) for m in risk.data.points @ w]
    exact = fsum(max(0.0, -m) + log1p(exp(-abs(m))) for m in margins) / len(margins)
    assert float(risk.value(w)) == pytest.approx(exact, rel=1e-14)
    weights = [exp(-m) / (1.0 + exp(-m)) if m > 0 else 1.0 / (1.0 + exp(m)) for m in margins]
    terms = [[-s * x for s, x in zip(weights, column, strict=True)] for column in risk.data.points.T.tolist()]
    np.testing.assert_allclose(risk.gradient(w), [fsum(column) / len(margins) for column in terms], rtol=1e-12)
    with jax.enable_x64(True):
        np.testing.assert_allclose(gradient(jnp.asarray(risk.data.points), jnp.asarray(w)), risk.gradient(w), rtol=1e-12)


def test_rates_and_margins_are_counted() -> None:
    risk = EmpiricalRisk(DataSet([[2.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], v=[1.0, 0.0], y=[1, 1, 1]))
    w = np.array([[3.0, 4.0], [-1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(risk.error_rate(w), [1 / 3, 2 / 3, 1.0])
    np.testing.assert_allclose(risk.smallest_margin(w), [-7 / 5, -2.0, np.nan])
    assert risk.value(w).shape == (3,)
    assert risk.gradient(w).shape == (3, 2)
    assert risk.hessian(w).shape == (3, 2, 2)


@pytest.mark.parametrize("name", ["circle", "student", "gaussian10"])
def test_the_gradients_error_is_noise_over_the_root_of_n(risk_of, name: str) -> None:
    """Root mean square over sets, beside the theory's to 5 deviations of its own error, and a slope of -1/2 in n from both sides."""
    population = risk_of(name)
    v = np.eye(population.law.dim)[0]
    w, sets = 2.0 * v, 400
    noise = fs.theory.gradient_noise(population, norm=2.0)
    sizes, found = np.array([25, 100, 400, 1600]), []
    for n in sizes:
        data = draw(population, int(n * sets), seed=int(n))
        pushes = -data.points / (1.0 + np.exp(data.points @ w))[:, None]
        gaps = pushes.reshape(sets, n, -1).mean(axis=1) - population.gradient(w, v)
        squares = np.sum(gaps**2, axis=1)
        np.testing.assert_allclose(EmpiricalRisk(DataSet(data.x[:n], v)).gradient(w) - population.gradient(w, v), gaps[0], atol=1e-14)
        assert abs(squares.mean() - noise.deviation(n) ** 2) < DEVIATIONS * squares.std() / np.sqrt(sets)
        found.append(np.sqrt(squares.mean()))
    slope = np.polyfit(np.log(sizes), np.log(found), 1)[0]
    assert abs(slope + 0.5) < 0.05, (slope, found)


def test_the_risk_tends_to_the_populations(risk_of) -> None:
    population = risk_of("laplace", 0.1)
    data = draw(population, 50_000, seed=4)
    w = np.array([1.2, -0.7])
    start = fs.Start.from_vectors(w, data.v)
    losses = np.logaddexp(0.0, -(data.points @ w))
    expected = population.value(start.norm, start.angle)
    assert abs(float(EmpiricalRisk(data).value(w)) - float(expected)) < DEVIATIONS * losses.std() / np.sqrt(data.size)
    rate = float(population.error_rate(start.angle))
    assert abs(float(EmpiricalRisk(data).error_rate(w)) - rate) < DEVIATIONS * np.sqrt(rate * (1 - rate) / data.size)


def test_other_shapes_and_things_are_refused(risk: EmpiricalRisk) -> None:
    with pytest.raises(ValueError, match=r"`w` must have shape \(\.\.\., 3\), but has shape \(2,\)"):
        risk.value([1.0, 2.0])
    with pytest.raises(ValueError, match="`data` must be a DataSet"):
        EmpiricalRisk(np.ones((3, 2)))
