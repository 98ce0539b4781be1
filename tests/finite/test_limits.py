"""The limit of leaky ReLU networks: against SciPy's SLSQP, scikit-learn's SVC, its conditions of optimality, and descent itself."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.svm import SVC

import flowsim as fs
from flowsim.finite.limits import Conditions, conditions, leaky_limit
from flowsim.finite.mixtures import mixture
from flowsim.finite.training_set import TrainingSet
from flowsim.samples import max_margin

CASES = [
    # n, d, |mu|, gamma, m_+, m_-
    (8, 2, 3.0, 0.3, 2, 2),
    (6, 4, 1.0, 0.1, 3, 1),
    (5, 12, 0.5, 0.7, 1, 4),
    (12, 3, 4.0, 1.0, 2, 3),
]


def slopes_of(data: TrainingSet, slope: float) -> tuple[np.ndarray, np.ndarray]:
    return np.where(data.y > 0, 1.0, slope), np.where(data.y < 0, 1.0, slope)


def constraints(data: TrainingSet, pair: np.ndarray, slope: float, positive: int, negative: int) -> np.ndarray:
    """y_i [m_+ z_i^+ <w_+, x_i> - m_- z_i^- <w_-, x_i>]/sqrt(m)."""
    plus, minus = pair.reshape(2, -1)
    z = slopes_of(data, slope)
    return data.y * (positive * z[0] * (data.x @ plus) - negative * z[1] * (data.x @ minus)) / np.sqrt(positive + negative)


@pytest.mark.parametrize(("n", "dim", "signal", "slope", "positive", "negative"), CASES)
def test_the_limit_is_the_minimum_that_slsqp_finds(n, dim, signal, slope, positive, negative) -> None:
    """To 1e-6, what SLSQP comes to from differences of its own."""
    data = mixture(n, dim, signal, seed=1)
    limit = leaky_limit(data, slope, positive, negative)
    weights = np.repeat([positive, negative], dim).astype(float)
    start = np.concatenate([data.points.mean(axis=0), -data.points.mean(axis=0)])
    found = minimize(
        lambda q: weights @ q**2,
        start / constraints(data, start, slope, positive, negative).max(),
        jac=lambda q: 2.0 * weights * q,
        constraints={"type": "ineq", "fun": lambda q: constraints(data, q, slope, positive, negative) - 1.0},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert found.success
    np.testing.assert_allclose(np.concatenate([limit.positive, limit.negative]), found.x, atol=1e-6 * np.abs(found.x).max())
    assert limit.margin == pytest.approx(1.0 / np.sqrt(found.fun), rel=1e-8)


@pytest.mark.parametrize(("n", "dim", "signal", "slope", "positive", "negative"), CASES)
def test_the_limit_is_the_separator_that_scikit_learn_finds(n, dim, signal, slope, positive, negative) -> None:
    """A linear machine with both signs of the stacked points, so that its intercept is 0. To 1e-4: its own tolerance is 1e-6."""
    data = mixture(n, dim, signal, seed=1)
    limit = leaky_limit(data, slope, positive, negative)
    z = slopes_of(data, slope)
    stacked = np.hstack([np.sqrt(positive) * z[0][:, None] * data.points, -np.sqrt(negative) * z[1][:, None] * data.points])
    stacked /= np.sqrt(positive + negative)
    machine = SVC(kernel="linear", C=1e8, tol=1e-6).fit(np.vstack([stacked, -stacked]), np.repeat([1, -1], n))
    q = np.concatenate([np.sqrt(positive) * limit.positive, np.sqrt(negative) * limit.negative])
    np.testing.assert_allclose(machine.coef_[0], q, atol=1e-4 * np.abs(q).max())


@pytest.mark.parametrize(("n", "dim", "signal"), [(8, 2, 3.0), (30, 200, 1.0), (60, 20, 6.0), (1, 5, 0.0), (9, 1, 8.0)])
def test_the_conditions_of_optimality_hold(n: int, dim: int, signal: float) -> None:
    """They are sufficient, the problem being strictly convex: to 1e-9, with constraints and sums written out again."""
    slope, positive, negative = 0.2, 7, 4
    data = mixture(n, dim, signal, "student", 5.0, seed=2)
    limit = leaky_limit(data, slope, positive, negative)
    pair = np.concatenate([limit.positive, limit.negative])
    held = constraints(data, pair, slope, positive, negative)
    assert held.min() > 1.0 - 1e-9
    assert (limit.multipliers >= 0.0).all()
    np.testing.assert_array_equal(np.flatnonzero(limit.multipliers), limit.support)
    np.testing.assert_allclose(held[limit.support], 1.0, rtol=1e-9)
    z, root = slopes_of(data, slope), np.sqrt(positive + negative)
    np.testing.assert_allclose(limit.positive, (limit.multipliers * z[0]) @ data.points / root, atol=1e-9 * np.abs(pair).max())
    np.testing.assert_allclose(limit.negative, -(limit.multipliers * z[1]) @ data.points / root, atol=1e-9 * np.abs(pair).max())
    # no gap: sum of the multipliers is the minimum
    size = positive * limit.positive @ limit.positive + negative * limit.negative @ limit.negative
    assert limit.multipliers.sum() == pytest.approx(size, rel=1e-9)
    assert limit.margin == pytest.approx(1.0 / np.sqrt(size), rel=1e-9)
    assert limit.residual < 1e-10


def network(w: np.ndarray, signs: np.ndarray, x: np.ndarray, slope: float) -> np.ndarray:
    """sum_j a_j phi(<w_j, x>), neuron by neuron."""
    inner = x @ w.T
    return np.maximum(inner, slope * inner) @ signs / np.sqrt(len(signs))


@pytest.mark.parametrize("slope", [0.01, 0.3, 1.0])
def test_the_networks_decision_is_the_predictors_everywhere(slope: float) -> None:
    """Whether or not the limit is active; and gamma |<u, x>| <= sqrt(m) |f(x)| <= |<u, x>|."""
    x = np.random.default_rng(3).standard_normal((5000, 6))
    for signal, seed in ((4.0, 1), (0.0, 2)):
        limit = leaky_limit(mixture(5, 6, signal, seed=seed), slope, positive=3, negative=2)
        w, signs = np.vstack([np.tile(limit.positive, (3, 1)), np.tile(limit.negative, (2, 1))]), np.array([1, 1, 1, -1, -1])
        f, linear = network(w, signs, x, slope), x @ limit.predictor
        np.testing.assert_allclose(limit.output(x), f, atol=1e-12 * np.abs(f).max())
        np.testing.assert_array_equal(np.sign(f), np.sign(linear))
        ratio = np.sqrt(5.0) * f / linear
        assert ratio.max() <= 1.0 + 1e-9
        assert ratio.min() >= slope * (1.0 - 1e-9)
        if slope < 1.0:
            assert ratio.max() - ratio.min() > 0.1


def test_an_active_limit_separates_and_another_need_not() -> None:
    data = mixture(30, 100, 4.0, seed=0)
    limit = leaky_limit(data, 0.1, 5, 5)
    assert limit.active
    assert (data.y * limit.output(data.x)).min() == pytest.approx(1.0, rel=1e-9)
    assert (data.points @ limit.predictor > 0.0).all()
    # each label in a half space, and no plane between them
    apart = TrainingSet([[1.0, 0.2], [1.0, -0.2], [2.0, 0.0]], [1, 1, -1])
    with pytest.raises(ValueError, match="`data` must be separable"):
        max_margin(apart)
    crossed = leaky_limit(apart, 0.5, 2, 2)
    assert crossed.residual < 1e-10
    assert crossed.activation < -0.9
    assert not crossed.active
    assert (apart.y * crossed.output(apart.x)).min() < 0.0


def test_slope_one_is_the_linear_separator() -> None:
    """f = <u, x>/sqrt(m): both vectors along it, opposite, with |u| = sqrt(m)/margin."""
    data = fs.samples.draw(fs.Gaussian(dim=3), 40, seed=1)
    limit, linear = leaky_limit(data, 1.0, positive=3, negative=6), max_margin(data)
    np.testing.assert_allclose(limit.predictor * linear.margin / 3.0, linear.direction, atol=1e-9)
    np.testing.assert_allclose(limit.positive, -limit.negative, atol=1e-9 * np.abs(limit.positive).max())
    np.testing.assert_array_equal(limit.support, linear.support)
    assert limit.margin == pytest.approx(linear.margin, rel=1e-9)


def test_more_coordinates_than_samples_change_nothing() -> None:
    """The same points turned into many coordinates, and their limit turned with them."""
    data = mixture(10, 4, 5.0, seed=3)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 4)))[0]
    few, many = leaky_limit(data, 0.2, 2, 3), leaky_limit(TrainingSet(data.x @ turn.T, data.y), 0.2, 2, 3)
    np.testing.assert_allclose(many.positive, turn @ few.positive, atol=1e-10 * np.abs(few.positive).max())
    np.testing.assert_allclose(many.negative, turn @ few.negative, atol=1e-10 * np.abs(few.negative).max())
    np.testing.assert_allclose(many.multipliers, few.multipliers, atol=1e-10 * few.multipliers.max())
    assert many.activation == pytest.approx(few.activation, abs=1e-10)


@pytest.mark.parametrize(("n", "dim", "signal"), [(6, 4, 6.0), (4, 2000, 0.2)])
def test_descent_turns_to_the_limit(n: int, dim: int, signal: float) -> None:
    """Steps of grad log L on all neurons with their kinks, from a small start: 1 - cos to the limit falls below 1e-5, and still falls.

    Positively correlated in one case, nearly orthogonal in the other.
    """
    slope, positive, negative = 0.5, 3, 2
    data = mixture(n, dim, signal, seed=4)
    facts = conditions(data)
    assert facts.positively_correlated != facts.nearly_orthogonal(slope, positive, negative)
    limit = leaky_limit(data, slope, positive, negative)
    aim = np.vstack([np.tile(limit.positive, (positive, 1)), np.tile(limit.negative, (negative, 1))])
    signs = np.repeat([1.0, -1.0], [positive, negative])
    w = 1e-3 * np.random.default_rng(5).standard_normal(aim.shape)
    gaps = []
    for step in range(1, 4001):
        inner = data.x @ w.T
        losses = -data.y * (np.maximum(inner, slope * inner) @ signs) / np.sqrt(len(signs))
        shares = np.exp(losses - losses.max())
        pull = (shares / shares.sum() * data.y)[:, None] * np.where(inner > 0.0, 1.0, slope) * signs / np.sqrt(len(signs))
        w = w + 1.0 / np.max(np.sum(data.x**2, axis=1)) * pull.T @ data.x
        if step in (400, 4000):
            gaps.append(1.0 - np.sum(w * aim) / np.linalg.norm(w) / np.linalg.norm(aim))
    assert gaps[1] < 1e-5, gaps
    assert gaps[1] < 0.1 * gaps[0], gaps
    active = (data.x @ w.T > 0.0) == (signs * data.y[:, None] > 0.0)
    assert active.all()


# --- conditions on the data ---


def test_conditions_are_those_of_a_loop_over_pairs() -> None:
    data = mixture(7, 5, 1.0, seed=9)
    pairs = [[float(a @ b) for b in data.x] for a in data.x]
    n = range(7)
    found = conditions(data)
    assert found.least_correlation == pytest.approx(min(data.y[i] * data.y[k] * pairs[i][k] for i in n for k in n), rel=1e-12)
    assert found.overlap == pytest.approx(max(sum(abs(pairs[i][k]) for k in n if k != i) / pairs[i][i] for i in n), rel=1e-12)
    assert found.spread == pytest.approx(max(pairs[i][i] for i in n) / min(pairs[i][i] for i in n), rel=1e-12)
    nothing = conditions(TrainingSet([[1.0, 0.0], [0.0, 0.0]], [1, 1]))
    assert (nothing.overlap, nothing.spread) == (np.inf, np.inf)
    assert not nothing.nearly_orthogonal(0.5, 1, 1)


def test_each_condition_makes_the_limit_active() -> None:
    """Over 200 sets around the edge of either condition, with limits that are not active among those that have neither."""
    counts = {"correlated": 0, "orthogonal": 0, "inactive": 0}
    generator = np.random.default_rng(1)
    for seed in range(200):
        n, positive, negative = (int(generator.integers(*ends)) for ends in ((2, 6), (1, 5), (1, 5)))
        slope = generator.uniform(0.05, 1.0)
        if seed % 2:
            crowd = seed % 4 == 1
            data = mixture(15 if crowd else n, 20, generator.uniform(0.0, 2.0 if crowd else 8.0), seed=seed)
        else:
            # orthogonal but for a little
            x = np.eye(6)[:n] * generator.uniform(0.8, 1.2, (n, 1)) + generator.uniform(0.0, 0.05) * generator.standard_normal((n, 6))
            data = TrainingSet(x, generator.choice([-1.0, 1.0], n))
        facts = conditions(data)
        correlated, orthogonal = facts.positively_correlated, facts.nearly_orthogonal(slope, positive, negative)
        try:
            active = leaky_limit(data, slope, positive, negative).active
        except ValueError:
            active = False
        counts["correlated"] += correlated
        counts["orthogonal"] += orthogonal
        counts["inactive"] += not active
        assert active or not (correlated or orthogonal), (seed, facts)
    assert min(counts.values()) > 15, counts


def test_near_orthogonality_has_its_threshold() -> None:
    """spread 1, gamma = 1/2, m_+ = m_-: g = 5/8, and o (3/2) <= (5/8 - o)/2 up to o = 5/32."""
    edge = 5.0 / 32.0
    assert Conditions(-1.0, edge - 1e-9, 1.0).nearly_orthogonal(0.5, 4, 4)
    assert not Conditions(-1.0, edge + 1e-9, 1.0).nearly_orthogonal(0.5, 4, 4)
    # g = (1 + 3/4)/4 with m_+ = 1, m_- = 3
    edge = 0.5 * 1.75 / 4.0 / 2.0
    assert Conditions(-1.0, edge - 1e-9, 1.0).nearly_orthogonal(0.5, 1, 3)
    assert not Conditions(-1.0, edge + 1e-9, 1.0).nearly_orthogonal(0.5, 3, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"slope": 0.0}, r"`slope` must be in \(0, 1\], but is 0: a ReLU's limit is another"),
        ({"slope": 1.5}, r"`slope` must be in \[0, 1\], but is 1.5"),
        ({"positive": 0}, "`positive` must be a whole number, 1 or more, but is 0"),
        ({"negative": -2}, "`negative` must be a whole number, 1 or more, but is -2"),
        ({"data": np.ones((2, 2))}, "`data` must be a TrainingSet or a DataSet"),
        ({"data": TrainingSet([[1.0], [-1.0]], [1, 1])}, "`data` must have the samples of each label inside a half space"),
        ({"data": TrainingSet([[0.0, 0.0], [1.0, 0.0]], [1, 1])}, "`data` must have the samples of each label inside a half space"),
        ({"data": TrainingSet([[1.0], [2.0]], [1, -1]), "slope": 1.0}, "`data` must have the samples of each label inside"),
    ],
)
def test_limits_that_are_none_are_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        leaky_limit(**{"data": TrainingSet([[1.0], [-2.0]], [1, -1]), "slope": 0.1, "positive": 1, "negative": 1, **words})


def test_other_shapes_of_inputs_are_refused() -> None:
    limit = leaky_limit(TrainingSet([[1.0], [-2.0]], [1, -1]), 0.1, 1, 1)
    with pytest.raises(ValueError, match=r"`x` must have shape \(..., 1\), but has shape \(2,\)"):
        limit.output([1.0, 2.0])
    with pytest.raises(ValueError, match=r"`slope` must be in \(0, 1\], but is 0"):
        Conditions(0.0, 0.0, 1.0).nearly_orthogonal(0.0, 1, 1)
