"""The test error of a fitted mixture: against data for which its assumptions hold exactly, and against drawn data."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, ndtri

import flowsim as fs
from flowsim.finite.limits import leaky_limit
from flowsim.finite.mixtures import linear_test_error, mixture
from flowsim.finite.training_set import TrainingSet


@pytest.mark.parametrize("slope", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("flipped", [0, 2, 4])
def test_it_is_exact_where_noise_is_orthogonal_and_the_classes_are_alike(slope, flipped):
    n, d = 20, 50.0
    clean = np.repeat([1.0, -1.0], n // 2)
    y = clean * np.where(np.arange(n) % (n // 2) < flipped, -1.0, 1.0)
    for signal in (0.5, 2.0, 3.5):
        # orthogonal z of |z|^2 = d
        x = np.column_stack([signal * clean, np.sqrt(d) * np.eye(n)])
        limit = leaky_limit(TrainingSet(x, y), slope, 3, 3)
        assert limit.support.size == n
        found = ndtr(-signal * limit.predictor[0] / np.linalg.norm(limit.predictor))
        expected = fs.theory.benign_error(n, signal, int(d), flipped / (n // 2), slope)
        assert float(found) == pytest.approx(float(expected), rel=1e-9)


def test_drawn_mixtures_have_it_to_a_few_percent_of_the_quantile():
    n, d = 25, 1000
    for signal in (2.0, 6.0):
        errors = [float(linear_test_error(leaky_limit(mixture(n, d, signal, seed=seed), 0.5, 2, 2).predictor, signal)) for seed in range(5)]
        # of order n/d and sqrt(1/n)/3; measured: -3 % to 1 %
        assert float(ndtri(np.median(errors)) / ndtri(fs.theory.benign_error(n, signal, d))) == pytest.approx(1.0, abs=0.06)


def test_boundaries_are_where_the_error_changes_its_behaviour():
    n, d = np.array([10, 100, 1000]), 1000
    chance, radius = fs.theory.benign_boundaries(n, d)
    np.testing.assert_allclose(n * chance**4, d)
    np.testing.assert_allclose(n * radius**2, d)
    # |mu|^2 sqrt(n/d) far below the noise radius
    np.testing.assert_allclose(-ndtri(fs.theory.benign_error(n, 0.1 * chance, d)), 0.01, rtol=0.01)
    np.testing.assert_allclose(-ndtri(fs.theory.benign_error(n, radius, d)), radius / np.sqrt(2.0), rtol=1e-9)
    # best possible far above
    strong = 3.0 * radius[2]
    assert float(-ndtri(fs.theory.benign_error(1000, strong, d)) / strong) == pytest.approx(0.9**0.5, rel=1e-6)


def test_with_label_noise_no_signal_helps_in_the_end_and_samples_harm():
    eps, slope, d = 0.1, 0.2, 1000
    e, coupling = 1.0 - 2.0 * eps, (1.0 + slope) ** 2 / (2.0 * (1.0 + slope**2))
    for n in (10, 100):
        end = float(fs.theory.benign_error(n, 1e4, d, eps, slope))
        assert -ndtri(end) == pytest.approx(np.sqrt(d / n) * e / coupling / np.sqrt(1.0 - e**2), rel=1e-3)
    for signal in (3.0, 6.0):
        best = minimize_scalar(_quantile, args=(signal, d * 10**6, eps, slope), bounds=(1.0, 7.0), method="bounded")
        assert np.exp(best.x) == pytest.approx(float(fs.theory.harmful_samples(signal, d, eps, slope)), rel=1e-3)


def _quantile(log_n, signal, fine, eps, slope):
    """n and d count by their ratio alone: a million times both, and whole n are no matter."""
    return float(ndtri(fs.theory.benign_error(round(np.exp(log_n) * 1e6), signal, fine, eps, slope)))


REFUSED = {
    "samples": ({"samples": 0}, "`samples` must be a whole number, 1 or more, but is 0"),
    "dim": ({"dim": 1.5}, "`dim` must be a whole number, 1 or more, but is 1.5"),
    "signal": ({"signal": -1.0}, "`signal` must be zero or positive, and finite, but is -1"),
    "label_noise": ({"label_noise": 0.5}, r"`label_noise` must be in \[0, 0.5\), but is 0.5"),
    "slope": ({"slope": 0.0}, r"`slope` must be in \(0, 1\], but is 0"),
    "shapes": ({"signal": [1.0, 2.0], "samples": [1, 2, 3]}, r"`samples`, `signal`, .* must broadcast, but have shapes \(3,\) and \(2,\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments_are_refused_by_name(case):
    given, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        fs.theory.benign_error(**{"samples": 10, "signal": 1.0, "dim": 100, **given})


def test_what_is_never_harmful_is_refused():
    with pytest.raises(ValueError, match="`label_noise` must be above 0, for more samples with clean labels are never worse"):
        fs.theory.harmful_samples(1.0, 100, 0.0)
    with pytest.raises(ValueError, match="`signal` must be positive and finite, but is 0"):
        fs.theory.harmful_samples(0.0, 100, 0.1)
    with pytest.raises(ValueError, match="`samples` and `dim` must broadcast"):
        fs.theory.benign_boundaries([1, 2], [1, 2, 3])
