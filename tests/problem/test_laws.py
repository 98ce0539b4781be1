"""Laws: samples, tails at large r, refusals and descriptions."""

import re

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import gamma as gamma_function

import flowsim as fs
from flowsim.problem.laws import LAWS, dirichlet_eta, law_from_config

NAMES = ["gaussian", "gaussian10", "circle", "sphere3", "ball", "student", "heavy", "laplace", "gamma", "gamma10", "singular", "uniform"]
N = 200_000
K = np.pi**2 / 12


def z_score(values, expected):
    """Deviation of the mean in standard errors."""
    return abs(values.mean() - expected) / (values.std(ddof=1) / np.sqrt(values.size))


# five standard errors: one false alarm in two million
FIVE = 5.0


@pytest.fixture(scope="module")
def sample_of(law_of):
    kept = {}

    def sample(name):
        if name not in kept:
            kept[name] = law_of(name).sample(20_240 + NAMES.index(name), N)
        return kept[name]

    return sample


@pytest.mark.parametrize("name", NAMES)
def test_samples_average_to_the_profile(law_of, sample_of, name):
    law = law_of(name)
    u = np.abs(sample_of(name)[:, 0])
    found = {}
    if name != "heavy":  # infinite variance
        found["c"] = z_score(u / 2, law.profile.pull)
    for r in (0.3, 2.0, 20.0):
        s = 1 / (1 + np.exp(np.minimum(r * u, 700.0)))
        at = np.array(r)
        found[f"A({r})"] = z_score(np.log1p(np.exp(-r * u)), law.profile.aligned(at))
        found[f"h({r})"] = z_score(u * s, law.profile.growth(at))
        found[f"-h'({r})"] = z_score(u * u * s * (1 - s), law.profile.curvature(at))
    assert max(found.values()) < FIVE, found


def test_samples_of_another_scale_fail_the_averages(law_of):
    # a scale wrong by 2 % must be seen: the pull is known to 0.75/sqrt(2e5) = 0.17 %
    u = np.abs(fs.Gaussian(2, scale=1.02).sample(3, N)[:, 0])
    assert z_score(u / 2, law_of("gaussian").profile.pull) > FIVE


COORDINATES = {
    "gaussian": stats.halfnorm().cdf,
    "gaussian10": stats.halfnorm(scale=0.5).cdf,
    "circle": lambda u: 2 / np.pi * np.arcsin(np.minimum(u, 1.0)),
    "sphere3": stats.uniform().cdf,
    "ball": lambda u: 1.5 * (u / 2 - (u / 2) ** 3 / 3),
    "student": lambda u: 2 * stats.t(5.0).cdf(u) - 1,
    "heavy": lambda u: 2 * stats.t(1.5).cdf(u) - 1,
    "laplace": stats.expon().cdf,
}


@pytest.mark.parametrize("name", COORDINATES)
@pytest.mark.parametrize("coordinate", [0, -1])
def test_each_coordinate_has_its_law(sample_of, name, coordinate):
    # Kolmogorov and Smirnov; one in a million by chance
    assert stats.kstest(np.abs(sample_of(name)[:, coordinate]), COORDINATES[name]).pvalue > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_samples_have_no_preferred_direction(sample_of, name):
    x = sample_of(name)
    d = x.shape[1]
    radius = np.linalg.norm(x, axis=1)
    u = x / radius[:, None]
    found = {f"E u_{i}": z_score(u[:, i], 0.0) for i in range(d)}
    found |= {f"E u_{i}^2": z_score(u[:, i] ** 2, 1 / d) for i in range(d)}
    found |= {f"E u_0 u_{i}": z_score(u[:, 0] * u[:, i], 0.0) for i in range(1, d)}
    # the direction does not know the norm
    far = radius > np.median(radius)
    found |= {f"E u_{i}^2 of the far half": z_score(u[far, i] ** 2, 1 / d) for i in range(d) if far.any()}
    assert max(found.values()) < FIVE, found
    # an oblique coordinate has the law of a coordinate
    oblique = x @ (np.ones(d) / np.sqrt(d))
    assert stats.ks_2samp(oblique[: N // 2], x[N // 2 :, 0]).pvalue > 1e-6


@pytest.mark.parametrize(
    ("law", "moment"),
    [
        (fs.Gaussian(3, scale=2.0), 4.0),
        (fs.Sphere(5, radius=3.0), 9.0 / 5),
        (fs.Ball(4, radius=2.0), 4.0 / 6),
        (fs.StudentT(2, df=5.0), 5.0 / 3),
        (fs.StudentT(2, df=2.1), 21.0),
        (fs.StudentT(2, df=2.01), 201.0),
        (fs.Laplace(2, scale=3.0), 18.0),
        (fs.Radial(3, stats.gamma(2.0)), 2.0),
        (fs.StudentT(2, df=2.0), np.inf),
        (fs.StudentT(2, df=1.5), np.inf),
        (fs.Radial(2, stats.pareto(1.5)), np.inf),
    ],
    ids=lambda value: value.label() if isinstance(value, fs.Law) else None,
)
def test_the_second_moment_of_a_coordinate_is_the_textbook_one(law, moment):
    # read off D near r = 0, right to 1e-13 there
    assert law.second_moment == pytest.approx(moment, rel=1e-12)


def test_one_seed_is_one_sample_whatever_its_kind():
    law = fs.Gaussian(3)
    for make in (lambda: 5, lambda: np.random.default_rng(5), lambda: np.random.SeedSequence(5), lambda: jax.random.key(5)):
        np.testing.assert_array_equal(law.sample(make(), 10), law.sample(make(), 10))
    np.testing.assert_array_equal(law.sample(5, 10), law.sample(np.random.default_rng(5), 10))
    np.testing.assert_array_equal(law.sample(jax.random.key(5), 10), law.sample(jax.random.PRNGKey(5), 10))


def test_different_seeds_are_different_samples():
    law = fs.Radial(2, stats.gamma(3.0))
    draws = [law.sample(seed, 4).ravel() for seed in (1, 2, jax.random.key(1), jax.random.key(2), *jax.random.split(jax.random.key(0)))]
    assert len({tuple(draw) for draw in draws}) == len(draws)
    generator = np.random.default_rng(1)
    assert (law.sample(generator, 4) != law.sample(generator, 4)).all()
    assert law.sample(1, 7).shape == (7, 2)
    assert law.sample(1, 7).dtype == np.float64


@pytest.mark.parametrize(
    ("seed", "n", "message"),
    [
        ("tuesday", 3, r"`seed` must be a whole number, a numpy Generator or a JAX key, but is 'tuesday'"),
        (-1, 3, r"`seed` must be"),
        (1, 0, r"`n` must be a whole number, 1 or more, but is 0"),
    ],
)
def test_a_sample_refuses_bad_seeds_and_numbers(seed, n, message):
    with pytest.raises(ValueError, match=message):
        fs.Gaussian(2).sample(seed, n)


SMOOTH = {
    # f(0) of |x_1| and the coefficient after K
    "gaussian": (np.sqrt(2 / np.pi), -np.sqrt(2 / np.pi)),
    "gaussian10": (np.sqrt(2 / np.pi) / 0.5, -np.sqrt(2 / np.pi) / 0.5**3),
    "circle": (2 / np.pi, 2 / np.pi),
    "sphere3": (1.0, 0.0),
    "ball": (1.5 / 2, -1.5 * 2 / 8),
    "student": (2 * 0.3796066898224944, -2 * 0.3796066898224944 * 6 / 5),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_law_has_tail_k_and_next_power_four(law_of, name):
    at_zero, second = SMOOTH[name]
    tail = law_of(name).tail
    assert tail.exponent == 1.0
    assert tail.next_power == 4.0
    assert tail.constant == pytest.approx(K * at_zero, rel=1e-13)
    assert tail.next_coefficient == pytest.approx(3 * 7 * np.pi**4 / 720 * second, rel=1e-13, abs=1e-15)


def test_laplace_has_a_cubic_next_term(law_of):
    # f'(0) = -1: 2 etaD(3) f'(0), etaD(3) = 3 zeta(3)/4
    tail = law_of("laplace").tail
    assert tail.next_power == 3.0
    assert tail.next_coefficient == pytest.approx(-1.5 * 1.2020569031595942, rel=1e-14)


@pytest.mark.parametrize("name", ["gaussian", "gaussian10", "circle", "ball", "student", "laplace"])
def test_h_approaches_its_tail_with_the_next_term_at_the_next_order(law_of, name):
    law = law_of(name)
    tail, scale = law.tail, 2 * law.profile.pull
    # the next term is 1e-3 .. 1e-7 of K here, far above the 1e-14 of h
    r = np.geomspace(100.0, 2000.0, 9) / scale
    rest = law.profile.growth(r) * r**2 - tail.constant
    slope = np.polyfit(np.log(r), np.log(np.abs(rest)), 1)[0]
    assert slope == pytest.approx(2.0 - tail.next_power, abs=0.05), slope
    ratio = rest / (tail.next_coefficient * r ** (2.0 - tail.next_power))
    # what follows is one or two orders smaller: at most O(scale r)^-1
    assert np.abs(ratio[-1] - 1) < 0.01, ratio


@pytest.mark.parametrize("name", ["sphere3", "uniform"])
def test_a_density_flat_near_zero_has_no_next_term(law_of, name):
    law = law_of(name)
    r = np.array([80.0, 200.0, 1e4])
    # f is constant on (0, 1) or (0, 1/2): h r^2 - K is below r exp(-40)
    np.testing.assert_allclose(law.profile.growth(r) * r**2, law.tail.constant, rtol=1e-13)
    assert law.tail.next_coefficient == 0.0


@pytest.mark.parametrize(("shape", "dim"), [(0.5, 3), (0.5, 2), (0.25, 3), (0.9, 5)])
def test_a_singular_radius_has_a_smaller_tail_exponent(shape, dim):
    law = fs.Radial(dim, stats.gamma(shape))
    tail = law.tail
    assert tail.exponent == pytest.approx(shape, rel=1e-9)
    # P(R < t) ~ t^a/Gamma(a+1), times E|u_1|^-a
    moment = gamma_function(dim / 2) * gamma_function((1 - shape) / 2) / (np.sqrt(np.pi) * gamma_function((dim - shape) / 2))
    assert tail.constant == pytest.approx(moment * shape * dirichlet_eta(shape + 1), rel=1e-9)
    r = 1e120
    # corrections r^-(1-a), below 1e-11 here
    assert law.profile.growth(np.array(r)) * r ** (1 + shape) == pytest.approx(tail.constant, rel=1e-9)


@pytest.mark.parametrize("shape", [1.5, 1.1, 1.05, 1.02, 1.005])
def test_the_constant_of_a_radius_that_vanishes_slowly_at_zero(shape):
    # f(0) = E[1/R] in R^3, and E[1/R] = 1/(a - 1) for gamma(a)
    assert fs.Radial(3, stats.gamma(shape)).tail.constant == pytest.approx(K / (shape - 1), rel=1e-9)


def test_a_radius_with_positive_density_at_zero_has_a_logarithm_and_no_constant():
    tail = fs.Radial(2, stats.expon()).tail
    assert tail.exponent == 1.0
    assert np.isnan(tail.constant)


def test_the_next_coefficient_of_a_radial_law_needs_the_inverse_cube():
    # gamma(5) in R^2: f(0) = (2/pi) E[1/R] = (2/pi)/4; next: -(d-3) (2/pi) E[R^-3] 3 etaD(4), E[R^-3] = 1/24
    tail = fs.Radial(2, stats.gamma(5.0)).tail
    assert tail.constant == pytest.approx(K * 2 / np.pi / 4, rel=1e-12)
    assert tail.next_coefficient == pytest.approx(3 * 7 * np.pi**4 / 720 * 2 / np.pi / 24, rel=1e-11)
    assert np.isnan(fs.Radial(2, stats.gamma(2.5)).tail.next_coefficient)


@pytest.mark.parametrize("df", [10.0, 1e4, 1e8, 1e12])
def test_the_tail_of_student_is_near_that_of_gauss_when_df_is_large(df):
    # f(0) = sqrt(2/pi) (1 - 1/(4 df) + ...)
    expected = K * np.sqrt(2 / np.pi) * (1 - 0.25 / df + 1 / (32 * df**2))
    assert fs.StudentT(2, df=df).tail.constant == pytest.approx(expected, rel=max(1e-9, 0.1 / df**3))


@pytest.mark.parametrize("dim", [10, 1000, 10**6, 10**9])
def test_the_tail_of_a_sphere_holds_in_any_dimension(dim):
    # f(0) = 2 Gamma(d/2)/(sqrt(pi) Gamma((d-1)/2)) = sqrt(2 d/pi) (1 - 3/(4 d) - 7/(32 d^2) - 9/(128 d^3) ...)
    expected = K * np.sqrt(2 * dim / np.pi) * (1 - 0.75 / dim - 7 / (32 * dim**2) - 9 / (128 * dim**3))
    assert fs.Sphere(dim).tail.constant == pytest.approx(expected, rel=max(1e-9, 1.0 / dim**4))


BAD = [
    (lambda: fs.Gaussian(1), r"`dim` must be a whole number, 2 or more, but is 1"),
    (lambda: fs.Sphere(0), r"`dim` must be a whole number, 2 or more, but is 0"),
    (lambda: fs.Gaussian(2, scale=-1.0), r"`scale` must be positive and finite, but is -1"),
    (lambda: fs.Gaussian(2, scale=0.0), r"`scale` must be positive and finite, but is 0"),
    (lambda: fs.Gaussian(2, scale=float("nan")), r"`scale` must be positive and finite, but is nan"),
    (lambda: fs.Gaussian(2, scale=1e200), r"`scale` must be in \[1e-100, 1e\+100\], but is 1e\+200"),
    (lambda: fs.Sphere(2, radius=-0.5), r"`radius` must be positive and finite, but is -0.5"),
    (lambda: fs.Ball(2, radius=float("inf")), r"`radius` must be positive and finite, but is inf"),
    (lambda: fs.Laplace(2, scale=-2.0), r"`scale` must be positive and finite, but is -2"),
    (lambda: fs.StudentT(2, df=1.0), r"`df` of StudentT must be above 1 for E\|x\| to be finite, but is 1"),
    (lambda: fs.StudentT(2, df=0.5), r"`df` of StudentT must be above 1 .* but is 0.5"),
    (lambda: fs.StudentT(2, df=-3.0), r"`df` must be positive and finite, but is -3"),
    (lambda: fs.Radial(1, stats.gamma(3.0)), r"`dim` must be a whole number, 2 or more, but is 1"),
    (lambda: fs.Radial(2), r"`radius` must be a frozen continuous law of scipy.stats"),
    (lambda: fs.Radial(2, 3.0), r"`radius` must be a frozen continuous law of scipy.stats.* but is 3.0"),
    (lambda: fs.Radial(2, "gamma"), r"`radius` must be a frozen continuous law"),
    (lambda: fs.Radial(2, stats.poisson(3.0)), r"`radius` must be a frozen continuous law"),
    (lambda: fs.Radial(2, stats.gamma), r"`radius` must be a frozen continuous law"),
    (lambda: fs.Radial(2, stats.expon), r"`radius` must be a frozen continuous law"),
    (lambda: fs.Radial(2, stats.gamma([2.0, 3.0])), r"`radius` must be"),
    (lambda: fs.Radial(2, stats.norm()), r"`radius` must be a positive law, but its support is \[-inf, inf\]"),
    (lambda: fs.Radial(2, stats.uniform(-1.0, 3.0)), r"`radius` must be a positive law, but its support is \[-1, 2\]"),
    (lambda: fs.Radial(2, stats.pareto(0.9)), r"`radius` must have a finite mean, but E\|x\| diverges"),
    (lambda: fs.Radial(2, stats.pareto(1.0)), r"`radius` must have a finite mean"),
    (lambda: fs.Radial(2, stats.halfcauchy()), r"`radius` must have a finite mean"),
    (lambda: fs.Radial(2, stats.burr12(1.0, 1.0)), r"`radius` must have a finite mean"),
]


@pytest.mark.parametrize("index", range(len(BAD)), ids=[re.sub(r"\W+", " ", message)[:50] + f" {i}" for i, (_, message) in enumerate(BAD)])
def test_what_is_no_law_is_refused_by_name(index):
    make, message = BAD[index]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", NAMES)
def test_a_law_is_rebuilt_from_its_description(law_of, name):
    law = law_of(name)
    again = law_from_config(law.config())
    assert type(again) is type(law)
    assert again.config() == law.config()
    assert again.label() == law.label()
    np.testing.assert_array_equal(again.profile.force, law.profile.force)
    if not isinstance(law, fs.Radial):
        assert again == law


def test_a_description_holds_parameters_only_and_keyword_arguments_survive():
    law = fs.Radial(2, stats.gamma(a=3.0, scale=2.0))
    config = law.config()
    assert config == {"law": "radial", "dim": 2, "radius": {"name": "gamma", "args": [], "kwds": {"a": 3.0, "scale": 2.0}}}
    assert law_from_config(config).profile.pull == law.profile.pull
    gaussian = fs.Gaussian(3, 2.0)
    assert gaussian.profile.pull > 0  # cached values stay out of the description
    assert gaussian.config() == {"law": "gaussian", "dim": 3, "scale": 2.0}


def test_a_label_names_every_parameter():
    assert fs.StudentT(3, df=2.5).label() == "StudentT(dim=3, df=2.5, scale=1)"
    assert fs.Radial(2, stats.gamma(3.0)).label() == "Radial(dim=2, gamma(3))"
    assert "3" in fs.Radial(2, stats.gamma(a=3.0)).label()


def test_every_law_has_its_own_name():
    assert {law.name for law in (fs.Gaussian, fs.Sphere, fs.Ball, fs.StudentT, fs.Laplace, fs.Radial)} == set(LAWS)


def test_an_unknown_description_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"`law` must be one of gaussian, .* but is 'gausian'; did you mean 'gaussian'\?"):
        law_from_config({"law": "gausian", "dim": 2})


def test_a_law_of_the_users_own_is_refused_where_it_cannot_be_described():
    class Tent(stats.rv_continuous):
        def _pdf(self, x):
            return 2.0 * x

    law = fs.Radial(2, Tent(a=0.0, b=1.0, name="tent")())
    # R = beta(2, 1) here; a description that `law_from_config` cannot read must not be given out
    assert law.profile.pull == pytest.approx(fs.Radial(2, stats.beta(2.0, 1.0)).profile.pull, rel=1e-12)
    with pytest.raises(ValueError, match="tent"):
        law_from_config(law.config())


def test_a_lognormal_norm_has_a_tail_and_no_warning() -> None:
    """Near 0 its mass falls off faster than any power, so that every inverse moment exists."""
    law = fs.Radial(3, stats.lognorm(0.8))
    assert law.tail.exponent == 1.0
    # f(0) = E[1/|x|] for d = 3, where x_1/|x| is uniform, and K = f(0) pi^2/12
    assert law.tail.constant == pytest.approx(np.exp(0.5 * 0.8**2) * np.pi**2 / 12.0, rel=1e-9)
