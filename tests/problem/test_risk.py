"""The population risk, its gradient and its Hessian against integrals over x, samples, differences and the statements of the paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import expit

import flowsim as fs
from flowsim.problem.risk import risk_from_config

NAMES = ["gaussian", "circle", "sphere3", "ball", "student", "laplace", "gamma", "singular"]


def vectors(dim, seed, norm=1.0):
    generator = np.random.default_rng(seed)
    w, v = generator.standard_normal((2, dim))
    return norm * w / np.linalg.norm(w), v


def angle_between(w, v):
    return float(fs.Start.from_vectors(w, v).angle)


# densities of rho = |x| in the plane, with the end of their support
PLANE = {
    "gaussian": (fs.Gaussian(2), lambda rho: rho * np.exp(-(rho**2) / 2), 12.0),
    "circle": (fs.Sphere(2), None, 1.0),
    "student": (fs.StudentT(2, df=6.0), lambda rho: rho * (1 + rho**2 / 6) ** -4.0, np.inf),
}


def by_quadrature(name, w, noise):
    """(L, grad L, Hessian) of w in the frame where v = (0, 1), as integrals over the direction and the norm of x."""
    _, density, end = PLANE[name]

    def at(phi, rho):
        x = rho * np.array([np.sin(phi), np.cos(phi)])
        m = float(w @ x)
        s, t = expit(-m), expit(m)
        first = (1 - noise) * np.array([np.logaddexp(0, -m), *(-s * x)])
        flipped = noise * np.array([np.logaddexp(0, m), *(t * x)])
        return np.concatenate([first + flipped, s * t * np.outer(x, x).ravel()])

    def around(rho):
        # half of the circle stands for all of it; x is orthogonal to w at phi_0, where a layer of width 1/(r rho) sits
        phi_0 = (np.arctan2(w[0], w[1]) + np.pi / 2 + np.pi / 2) % np.pi - np.pi / 2
        width = min(1.0, 1 / (np.linalg.norm(w) * rho + 1e-300))
        cuts = [p for p in (phi_0 + k * width for k in (-30, -8, -2, 0, 2, 8, 30)) if -np.pi / 2 < p < np.pi / 2]
        return integrate.quad_vec(at, -np.pi / 2, np.pi / 2, args=(rho,), points=cuts, epsabs=1e-13, epsrel=1e-11)[0] / np.pi

    if density is None:
        return around(1.0)
    cuts = [0.1 / np.linalg.norm(w), 1 / np.linalg.norm(w), 10 / np.linalg.norm(w)]
    if np.isinf(end):
        inner = integrate.quad_vec(lambda rho: density(rho) * around(rho), 0, 20, points=cuts, epsabs=1e-12, epsrel=1e-10)[0]
        return inner + integrate.quad_vec(lambda rho: density(rho) * around(rho), 20, np.inf, epsabs=1e-12, epsrel=1e-10)[0]
    return integrate.quad_vec(lambda rho: density(rho) * around(rho), 0, end, points=cuts, epsabs=1e-12, epsrel=1e-10)[0]


@pytest.mark.parametrize(
    ("name", "norm", "angle", "noise"),
    [
        ("circle", 0.4, 0.3, 0.0),
        ("circle", 6.0, 1.2, 0.0),
        ("circle", 60.0, 2.9, 0.2),
        ("gaussian", 0.4, 2.5, 0.0),
        ("gaussian", 5.0, 0.02, 0.1),
        ("student", 2.0, 1.0, 0.0),
    ],
)
def test_risk_gradient_and_hessian_are_the_integrals_over_the_plane(name, norm, angle, noise):
    risk = fs.PopulationRisk(PLANE[name][0], noise)
    v = np.array([0.0, 1.0])
    w = norm * np.array([np.sin(angle), np.cos(angle)])
    truth = by_quadrature(name, w, noise)
    found = np.concatenate([[float(risk.value(norm, angle))], risk.gradient(w, v), risk.hessian(w, v).ravel()])
    # the quadrature's own tolerance, 1e-12 and 1e-10 relative
    np.testing.assert_allclose(found, truth, rtol=1e-9, atol=3e-11)


@pytest.mark.parametrize(
    ("make", "noise", "norm"),
    [
        (lambda: fs.Gaussian(2), 0.0, 2.0),
        (lambda: fs.Gaussian(10, scale=0.5), 0.1, 5.0),
        (lambda: fs.Sphere(3), 0.3, 4.0),
        (lambda: fs.Ball(10, radius=3.0), 0.0, 1.0),
        (lambda: fs.StudentT(3, df=6.0), 0.05, 0.7),
        (lambda: fs.Laplace(2), 0.0, 3.0),
        (lambda: fs.Radial(10, stats.gamma(3.0)), 0.2, 2.0),
    ],
)
def test_risk_gradient_and_hessian_are_averages_over_samples(make, noise, norm):
    law = make()
    risk = fs.PopulationRisk(law, noise)
    w, v = vectors(law.dim, 7, norm)
    v = 3.7 * v  # only its direction counts
    generator = np.random.default_rng(8)
    x = law.sample(generator, 200_000)
    y = np.sign(x @ v) * np.where(generator.random(x.shape[0]) < noise, -1.0, 1.0)
    margin = y * (x @ w)
    s = 1 / (1 + np.exp(np.clip(margin, -700, 700)))
    value = np.logaddexp(0.0, -margin)
    gradient = -(s * y)[:, None] * x
    weight = s * (1 - s)

    def z(values, expected):
        return np.abs(values.mean(axis=0) - expected) / (values.std(axis=0, ddof=1) / np.sqrt(values.shape[0]))

    assert z(value, float(risk.value(norm, angle_between(w, v)))) < 5
    assert z(gradient, risk.gradient(w, v)).max() < 5
    hessian = risk.hessian(w, v)
    for i in range(law.dim):
        assert z(weight[:, None] * x * x[:, [i]], hessian[i]).max() < 5, i
    wrong = (x @ w > 0) != (y > 0)
    assert z(wrong.astype(float), float(risk.error_rate(angle_between(w, v)))) < 5


def test_the_sample_check_sees_a_wrong_gradient():
    # with c (1 - eps) for c (1 - 2 eps) in front of v the same score is far above five
    law = fs.Gaussian(3)
    risk = fs.PopulationRisk(law, 0.1)
    w, v = vectors(3, 7, 2.0)
    v = v / np.linalg.norm(v)
    generator = np.random.default_rng(8)
    x = law.sample(generator, 200_000)
    y = np.sign(x @ v) * np.where(generator.random(x.shape[0]) < 0.1, -1.0, 1.0)
    gradient = -(y / (1 + np.exp(y * (x @ w))))[:, None] * x
    error = gradient.std(axis=0) / np.sqrt(x.shape[0])
    gap = gradient.mean(axis=0) - risk.gradient(w, v)
    assert np.abs(gap / error).max() < 5
    assert np.abs((gap + 0.1 * risk.pull * v) / error).max() > 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_the_gradient_is_the_slope_of_the_value_and_the_hessian_of_the_gradient(risk_of, name, noise):
    risk = risk_of(name, noise)
    dim = risk.law.dim
    for seed, norm in enumerate((1e-3, 0.5, 3.0, 40.0)):
        w, v = vectors(dim, seed, norm)
        step = 1e-2 * norm
        # fourth-order difference of relative step 1e-2: 1e-8 of the third derivative's scale; rounding 1e-14/1e-2 is below
        slope, bend = np.empty(dim), np.empty((dim, dim))
        for i, e in enumerate(np.eye(dim)):
            points = [w + k * step * e for k in (-2, -1, 1, 2)]
            values = [float(risk.value(np.linalg.norm(p), angle_between(p, v))) for p in points]
            slope[i] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
            g = [risk.gradient(p, v) for p in points]
            bend[:, i] = (g[0] - 8 * g[1] + 8 * g[2] - g[3]) / (12 * step)
        room = 1e-15 * float(risk.value(norm, angle_between(w, v))) / step * 20
        np.testing.assert_allclose(slope, risk.gradient(w, v), atol=3e-7 * risk.pull + room, rtol=0)
        hessian = risk.hessian(w, v)
        np.testing.assert_allclose(bend, hessian, atol=1e-6 * np.abs(hessian).max(), rtol=0)
        np.testing.assert_array_equal(hessian, hessian.T)


moderate = st.floats(-20.0, 20.0).filter(lambda x: abs(x) > 1e-6)
points = st.tuples(moderate, moderate, moderate)


@given(points, points, st.sampled_from(["sphere3", "student", "uniform"]), st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_the_statements_of_lemma_1_and_proposition_3_hold_everywhere(w, v, name, noise):
    risk = fs.PopulationRisk(HYPOTHESIS_LAWS[name], noise)
    w, v = np.array(w), np.array(v)
    v = v / np.linalg.norm(v)
    gradient, hessian = risk.gradient(w, v), risk.hessian(w, v)
    low, high = np.linalg.eigvalsh(hessian)[[0, -1]]
    # rounding of an eigenvalue is eps times the largest
    assert low >= -1e-15 * high
    assert high <= risk.smoothness * (1 + 1e-12)
    assert np.linalg.norm(gradient) <= np.pi * risk.pull
    if noise == 0.0:
        assert v @ gradient < 0
    r = np.linalg.norm(w)
    assert float(risk.growth(r)) <= 0.2785 / r
    # convex along a chord
    other = w[::-1] * 1.3
    values = [float(risk.value(np.linalg.norm(p), angle_between(p, v))) for p in (w, (w + other) / 2, other) if np.linalg.norm(p) > 0]
    if len(values) == 3:
        assert values[1] <= (values[0] + values[2]) / 2 * (1 + 1e-14)


HYPOTHESIS_LAWS = {"sphere3": fs.Sphere(3), "student": fs.StudentT(3, df=5.0), "uniform": fs.Radial(3, stats.uniform(0.5, 1.0))}


@pytest.mark.parametrize("noise", [1e-12, 1e-6, 1e-3, 0.1, 0.4, 0.499, 0.4999999])
@pytest.mark.parametrize("name", ["gaussian", "heavy", "singular"])
def test_the_gradient_vanishes_at_the_minimiser(risk_of, name, noise):
    risk = risk_of(name, noise)
    norm = risk.minimiser_norm
    # h(r*) = 2 eps c, or c - h(r*) = c (1 - 2 eps): the better conditioned of the two
    if noise < 0.25:
        assert float(risk.growth(norm)) == pytest.approx(2 * noise * risk.pull, rel=1e-11)
    else:
        assert float(risk.drag(norm)) == pytest.approx(risk.signal, rel=1e-9)
    v = np.eye(risk.law.dim)[0]
    assert np.linalg.norm(risk.gradient(norm * v, v)) < 1e-13 * risk.pull
    # the least value, up to the rounding of L, which is at most log(2)
    least = float(risk.value(norm, 0.0)) - 3e-14
    assert least <= float(risk.value(norm * 1.1, 0.0))
    assert least <= float(risk.value(norm / 1.1, 0.0))


@pytest.mark.parametrize("gap", [1e-9, 1e-12])
def test_the_minimiser_of_almost_random_labels_is_small_and_exact(gaussian, gap):
    risk = fs.PopulationRisk(gaussian.law, 0.5 - gap)
    # c - h = r/4 at small r: r* = 4 c (1 - 2 eps), and 1 - 2 eps is exact in doubles
    assert risk.minimiser_norm == pytest.approx(4 * risk.pull * (1 - 2 * risk.label_noise), rel=1e-9)


def test_without_label_noise_there_is_no_minimiser(gaussian):
    assert gaussian.minimiser_norm == np.inf


@pytest.mark.parametrize("name", ["gaussian", "sphere3", "gamma10"])
def test_at_the_origin_the_gradient_is_the_pull_and_the_hessian_the_covariance(risk_of, name):
    risk = risk_of(name, 0.1)
    dim = risk.law.dim
    w, v = np.zeros(dim), np.arange(1.0, dim + 1)
    np.testing.assert_allclose(risk.gradient(w, v), -0.8 * risk.pull * v / np.linalg.norm(v), rtol=1e-14)
    np.testing.assert_allclose(risk.hessian(w, v), risk.law.second_moment / 4 * np.eye(dim), rtol=1e-12, atol=1e-16)
    assert float(risk.value(0.0, 1.0)) == pytest.approx(np.log(2.0), rel=1e-15)


def test_predictors_broadcast(sphere3):
    w = np.random.default_rng(0).standard_normal((4, 5, 3))
    v = np.array([1.0, 2.0, 2.0])
    assert sphere3.gradient(w, v).shape == (4, 5, 3)
    assert sphere3.hessian(w, v).shape == (4, 5, 3, 3)
    np.testing.assert_array_equal(sphere3.gradient(w, v)[2, 3], sphere3.gradient(w[2, 3], v))
    # einsum sums in another order: an ulp
    np.testing.assert_allclose(sphere3.hessian(w, v)[2, 3], sphere3.hessian(w[2, 3], v), rtol=1e-15, atol=1e-17)
    assert sphere3.value(np.ones((4, 1)), np.ones(3)).shape == (4, 3)
    for method in (sphere3.growth, sphere3.drag, sphere3.aligned, sphere3.curvature, sphere3.drag_ratio):
        assert method(1.0).shape == ()
        assert method([[1.0, 2.0]]).shape == (1, 2)
        assert isinstance(method(1.0), np.ndarray)


def test_only_the_direction_of_the_teacher_counts(sphere3):
    w, v = vectors(3, 1, 2.0)
    np.testing.assert_allclose(sphere3.gradient(w, 1e3 * v), sphere3.gradient(w, 1e-3 * v), rtol=1e-13)


@pytest.mark.parametrize("norm", [1e-300, 1e-160, 1e160, 1e300])
def test_the_gradient_holds_at_norms_whose_square_leaves_the_double_range(gaussian, norm):
    direction, v = np.array([0.6, 0.8]), np.array([1.0, 0.0])
    drag = 0.0 if norm < 1 else gaussian.pull
    # c - h is c at large r and r/4 at small r
    np.testing.assert_allclose(gaussian.gradient(norm * direction, v), drag * direction - gaussian.pull * v, rtol=1e-14, atol=1e-16)


def test_a_risk_is_rebuilt_from_its_description(risk_of):
    risk = risk_of("student", 0.2)
    assert risk_from_config(risk.config()) == risk
    assert risk.label() == "StudentT(dim=3, df=5, scale=1), label_noise=0.2"
    assert risk_of("gaussian").label() == "Gaussian(dim=2, scale=1)"


BAD = [
    (lambda r: fs.PopulationRisk(r.law, -0.1), r"`label_noise` must be zero or positive, and finite, but is -0.1"),
    (lambda r: fs.PopulationRisk(r.law, 0.5), r"`label_noise` must be in \[0, 0.5\), but is 0.5"),
    (lambda r: fs.PopulationRisk(r.law, float("nan")), r"`label_noise` must be .* but is nan"),
    (lambda r: r.growth(-1.0), r"`r` must be zero or positive, and finite, but is -1"),
    (lambda r: r.growth(np.nan), r"`r` must be zero or positive, and finite, but is nan"),
    (lambda r: r.aligned([1.0, np.inf]), r"`r` must be zero or positive, and finite, but is inf"),
    (lambda r: r.value(-1.0, 0.0), r"`norm` must be zero or positive, and finite, but is -1"),
    (lambda r: r.value(1.0, 4.0), r"`angle` must be in \[0, 3.14159\], but is 4"),
    (lambda r: r.error_rate(-1.0), r"`angle` must be in"),
    (lambda r: r.gradient([1.0, 2.0, 3.0], [0.0, 1.0]), r"`w` must have shape \(\.\.\., 2\), but has shape \(3,\)"),
    (lambda r: r.gradient(1.0, [0.0, 1.0]), r"`w` must have shape \(\.\.\., 2\), but has shape \(\)"),
    (lambda r: r.gradient([1.0, np.nan], [0.0, 1.0]), r"`w` must be finite, but is nan"),
    (lambda r: r.gradient([1.0, 2.0], [0.0, 0.0]), r"`v` must be a nonzero vector of shape \(2,\)"),
    (lambda r: r.hessian([1.0, 2.0], [0.0, 1.0, 0.0]), r"`v` must be a nonzero vector of shape \(2,\)"),
    (lambda r: r.hessian([1.0, 2.0], [np.inf, 1.0]), r"`v` must be finite, but is inf"),
]


@pytest.mark.parametrize("index", range(len(BAD)))
def test_bad_input_is_refused_by_name(gaussian, index):
    call, message = BAD[index]
    with pytest.raises(ValueError, match=message):
        call(gaussian)
