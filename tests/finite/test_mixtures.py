"""Mixtures and cut samples: moments, tails, flips and conditional laws, each within 5 deviations of its own Monte Carlo error."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.finite.mixtures import linear_test_error, mixture, with_margin
from flowsim.finite.training_set import TrainingSet
from flowsim.samples import draw

DEVIATIONS = 5.0
KINDS = [("gaussian", None), ("student", 10.0), ("polynomial", 10.0)]


def near(samples: np.ndarray, expected: float) -> bool:
    """The mean of independent samples, to 5 of its deviations."""
    return bool(abs(samples.mean() - expected) < DEVIATIONS * samples.std() / np.sqrt(samples.size))


def noise_of(data: TrainingSet) -> np.ndarray:
    """z, of samples to test on, whose labels are clean."""
    return data.test_x - data.test_y[:, None] * data.signal


@pytest.fixture(scope="module")
def drawn() -> dict[str, TrainingSet]:
    return {kind: mixture(10, 3, 1.5, kind, df, seed=11, test=100_000) for kind, df in KINDS}


@pytest.mark.parametrize(("kind", "df"), KINDS)
def test_the_classes_are_even_and_the_noise_has_mean_zero_and_covariance_one(drawn, kind: str, df: float | None) -> None:
    data = drawn[kind]
    z = noise_of(data)
    assert data.signal.tolist() == [1.5, 0.0, 0.0]
    assert near(data.test_y, 0.0)
    for i in range(3):
        assert near(z[:, i], 0.0)
        assert near(data.test_y * z[:, i], 0.0)
        for j in range(i + 1):
            assert near(z[:, i] * z[:, j], float(i == j))


@pytest.mark.parametrize(
    ("kind", "df", "fourth"),
    [("gaussian", None, 3.0), ("student", 10.0, 3.0 * 8 / 6), ("polynomial", 10.0, 6.0 * 9 * 8 / (7 * 6))],
)
def test_fourth_moments_are_those_of_the_laws(drawn, kind: str, df: float | None, fourth: float) -> None:
    """E z_1^4, and E z_1^2 z_2^2, which is 1 only where the coordinates are independent."""
    z = noise_of(drawn[kind])
    assert near(z[:, 0] ** 4, fourth)
    assert near((z[:, 0] * z[:, 1]) ** 2, fourth / 3.0 if kind == "student" else 1.0)


@pytest.mark.parametrize("df", [2.5, 3.0, 6.0])
def test_polynomial_tails_have_their_power_and_constant(df: float) -> None:
    z = noise_of(mixture(1, 4, 0.7, "polynomial", df, seed=3, test=50_000)).ravel()
    size = sqrt((df - 1.0) * (df - 2.0) / 2.0)
    for u in (0.1, 1.0, 4.0):
        assert near(z > u, 0.5 * (1.0 + u / size) ** -df)
        assert near(z < -u, 0.5 * (1.0 + u / size) ** -df)
    # Hill's estimate, of log(1 + |z|/s), exact at every depth for this law
    logs = np.sort(np.log1p(np.abs(z) / size))[::-1]
    assert abs(np.mean(logs[:2000] - logs[2000]) * df - 1.0) < DEVIATIONS / sqrt(2000)
    # and Hill's own, to C u^-df: its bias at the top 200 of 200000, E s/(|z| + s), is below its error
    top = np.sort(np.abs(z))[::-1]
    index = 1.0 / np.mean(np.log(top[:200] / top[200]))
    bias = size / (top[200] + size)
    assert abs(index / df - 1.0) < DEVIATIONS / sqrt(200) + bias


@pytest.mark.parametrize("df", [2.5, 8.0])
def test_student_noise_is_scipys(df: float) -> None:
    """Coordinates are Student's t scaled to variance 1, and (df/(df - 2)) |z|^2/d is F(d, df); p-values above 1e-6."""
    z = noise_of(mixture(1, 3, 0.0, "student", df, seed=5, test=30_000))
    scale = sqrt((df - 2.0) / df)
    assert stats.kstest(z[:, 1], stats.t(df, scale=scale).cdf).pvalue > 1e-6
    assert stats.kstest((z**2).sum(axis=1) / (3.0 * scale**2), stats.f(3, df).cdf).pvalue > 1e-6


@pytest.mark.parametrize(("kind", "df"), KINDS)
def test_labels_are_flipped_in_training_and_never_in_testing(kind: str, df: float | None) -> None:
    """With mu so far out that x tells the clean label."""
    data = mixture(20_000, 2, 1e6, kind, df, label_noise=0.3, seed=6, test=20_000)
    flips = data.y != np.sign(data.x[:, 0])
    assert near(flips, 0.3)
    assert near(flips[data.y > 0], 0.3)
    np.testing.assert_array_equal(data.test_y, np.sign(data.test_x[:, 0]))
    assert data.label_noise == 0.3


def test_a_seed_gives_the_same_data_whatever_is_tested_on() -> None:
    one, same, other = (mixture(50, 4, 1.0, "student", 3.0, 0.1, seed=seed, test=test) for seed, test in ((1, 0), (1, 9), (2, 9)))
    np.testing.assert_array_equal(one.points, same.points)
    np.testing.assert_array_equal(one.x, mixture(50, 4, 1.0, "student", 3.0, 0.4, seed=1).x)
    assert one.test_x is None
    assert same.test_x.shape == (9, 4)
    assert same.config()["digest"] != other.config()["digest"]
    assert not np.isin(same.test_x, same.x).any()
    assert one.name == "student mixture(signal=1, df=3, label_noise=0.1)"


@pytest.mark.parametrize(("kind", "df"), [("gaussian", None), ("student", 3.0), ("student", 2.1)])
def test_the_error_of_a_linear_predictor_is_that_of_samples(kind: str, df: float | None) -> None:
    w = np.array([[1.0, 0.5, -0.3], [0.2, 1.0, 1.0], [-1.0, 0.0, 1e-3], [0.0, 2.0, 0.0]])
    data = mixture(1, 3, 1.2, kind, df, seed=8, test=100_000)
    exact = linear_test_error(w, 1.2, kind, df)
    for direction, rate in zip(w, exact, strict=True):
        assert near(data.test_y * (data.test_x @ direction) < 0.0, float(rate))
    np.testing.assert_allclose(linear_test_error(1e-300 * w, 1.2, kind, df), exact, rtol=1e-12)
    assert linear_test_error(w[0], 1.2, kind, df).shape == ()
    assert exact[3] == 0.5


def test_errors_far_below_a_half_keep_their_digits() -> None:
    """Beside SciPy's survival functions at the other end."""
    assert float(linear_test_error([2.0, 0.0], 30.0)) == pytest.approx(stats.norm.sf(30.0), rel=1e-12)
    assert float(linear_test_error([1.0], 1e3, "student", 4.0)) == pytest.approx(stats.t.sf(1e3 * sqrt(2.0), 4.0), rel=1e-10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"n": 0}, "`n` must be a whole number, 1 or more, but is 0"),
        ({"dim": 0}, "`dim` must be a whole number, 1 or more, but is 0"),
        ({"test": -1}, "`test` must be a whole number, 0 or more, but is -1"),
        ({"seed": -1}, "`seed` must be a whole number, 0 or more, but is -1"),
        ({"signal": -1.0}, "`signal` must be zero or positive, and finite, but is -1"),
        ({"noise": "gausian"}, "`noise` must be one of gaussian, student, polynomial, but is 'gausian'; did you mean 'gaussian'"),
        ({"df": 3.0}, "`df` must be left out where `noise` is gaussian, but is 3.0"),
        ({"noise": "student"}, "`df` must be given where `noise` is student, above 2 for a finite variance, but is None"),
        ({"noise": "polynomial", "df": 2.0}, "`df` must be above 2 and finite, but is 2"),
        ({"label_noise": 0.5}, r"`label_noise` must be in \[0, 0.5\), but is 0.5"),
    ],
)
def test_mixtures_that_cannot_be_are_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mixture(**{"n": 5, "dim": 2, "signal": 1.0, **words})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"w": 1.0}, r"`w` must have shape \(..., dim\), but is the number 1.0"),
        ({"w": [[1.0, 0.0], [0.0, 0.0]]}, "`w` must be nonzero, but is 0"),
        ({"signal": -1.0}, "`signal` must be zero or positive"),
        ({"noise": "polynomial", "df": 3.0}, "`noise` must be gaussian or student for a closed form; test on samples"),
    ],
)
def test_errors_without_a_closed_form_are_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linear_test_error(**{"w": [1.0, 0.0], "signal": 1.0, **words})


# --- samples with a margin cut out ---


@pytest.mark.parametrize(("name", "margin"), [("gaussian", 1.0), ("gaussian10", 0.7), ("circle", 0.9), ("student", 2.0), ("ball", 0.0)])
def test_cut_samples_are_those_that_rejection_leaves(law_of, name: str, margin: float) -> None:
    """<v, x> and the largest other coordinate against as many samples sorted out by hand; p-values above 1e-6."""
    law, v = law_of(name), np.arange(1.0, law_of(name).dim + 1.0)
    data = with_margin(law, 3000, margin, seed=1, v=v)
    assert data.margin >= margin
    assert (data.size, data.law, data.seed) == (3000, None, 1)
    x = law.sample(99, 120_000)
    along = x @ data.v
    x, along = x[np.abs(along) >= margin], along[np.abs(along) >= margin]
    assert stats.ks_2samp(data.x @ data.v, along).pvalue > 1e-6
    across = [np.linalg.norm(part - np.outer(part @ data.v, data.v), axis=1) for part in (data.x, x)]
    assert stats.ks_2samp(*across).pvalue > 1e-6


def test_a_gaussians_cut_coordinate_is_truncated_and_the_others_are_untouched() -> None:
    data = with_margin(fs.Gaussian(dim=3), 5000, 2.5, seed=3)
    assert stats.kstest(np.abs(data.x[:, 0]), stats.truncnorm(2.5, np.inf).cdf).pvalue > 1e-6
    assert stats.kstest(data.x[:, 1], stats.norm.cdf).pvalue > 1e-6
    assert near(np.sign(data.x[:, 0]), 0.0)


def test_no_margin_leaves_what_is_drawn() -> None:
    cut, whole = with_margin(fs.Laplace(dim=2), 40, 0.0, seed=7, label_noise=0.2), draw(fs.Laplace(dim=2), 40, seed=7, label_noise=0.2)
    np.testing.assert_array_equal(cut.points, whole.points)
    np.testing.assert_array_equal(with_margin(fs.Gaussian(), 30, 1.0, seed=2).x, with_margin(fs.Gaussian(), 30, 1.0, seed=2).x)


def test_cut_labels_are_flipped_by_their_share() -> None:
    data = with_margin(fs.Gaussian(dim=2), 20_000, 0.5, seed=4, label_noise=0.25)
    assert near(data.points @ data.v < 0.0, 0.25)
    assert (np.abs(data.x @ data.v) >= 0.5).all()
    assert data.label_noise == 0.25


@pytest.mark.parametrize("law", [fs.Sphere(dim=2), fs.Gaussian(dim=2, scale=0.2)])
def test_margins_that_leave_nothing_are_refused(law: fs.Law) -> None:
    with pytest.raises(ValueError, match=r"`margin` must leave more of \w+\(.*\): beyond 1 lie \d+ of \d+ samples"):
        with_margin(law, 10, 1.0, seed=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"law": "gaussian"}, "`law` must be a law such as"),
        ({"n": 0}, "`n` must be a whole number, 1 or more, but is 0"),
        ({"margin": -0.1}, "`margin` must be zero or positive, and finite, but is -0.1"),
        ({"seed": -1}, "`seed` must be a whole number, 0 or more, but is -1"),
        ({"v": [1.0]}, r"`v` must be a nonzero vector of shape \(2,\)"),
        ({"label_noise": 0.6}, r"`label_noise` must be in \[0, 0.5\), but is 0.6"),
    ],
)
def test_cuts_that_cannot_be_are_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_margin(**{"law": fs.Gaussian(dim=2), "n": 5, "margin": 0.1, **words})
