"""Descent in Gram coordinates: against weights moved one by one, and against the max-margin network that it turns to."""

import numpy as np
import pytest
from scipy.optimize import nnls

from flowsim.finite.complementarity import multipliers
from flowsim.finite.limits import leaky_limit
from flowsim.finite.mixtures import linear_test_error, mixture
from flowsim.finite.neuron_error import neuron_test_error
from flowsim.finite.neurons import leaky, margins_gram, neuron_descent, neuron_signs
from flowsim.finite.training_set import TrainingSet

SLOPE, ETA = 0.3, 0.05
RECORDS = [0, 1, 2, 50, 400]


def plain(data, run, normalised):
    """The weights, the samples' log losses, and whether neurons are on where they should be, and on their side, step by step."""
    w, y, a = run.weights[0].copy(), data.y, run.signs
    weights, losses, on, right = [], [], [], []
    wanted = a[:, None] * y > 0.0
    for _ in range(RECORDS[-1] + 1):
        inner = w @ data.x.T
        q = y * (a @ np.where(inner > 0.0, inner, SLOPE * inner))
        weights.append(w.copy())
        losses.append(-q)
        on.append((inner[wanted] > 0.0).all())
        right.append(on[-1] and (inner[~wanted] < 0.0).all())
        share = np.exp(-q) / y.size
        if normalised:
            share = share / share.sum()
        w = w + ETA * (a[:, None] * np.where(inner > 0.0, 1.0, SLOPE) * (share * y)) @ data.x
    return weights, losses, on, right


def since(holds):
    """The first step of those at the end that hold without a break."""
    return -1 if not holds[-1] else len(holds) - len(list(_while(reversed(holds))))


def _while(holds):
    for one in holds:
        if not one:
            return
        yield one


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_it_is_the_descent_of_the_weights(normalised, noise):
    data = mixture(12, dim=40, signal=2.0, label_noise=noise, seed=3)
    run = neuron_descent(data, ETA, RECORDS, width=6, slope=SLOPE, start_scale=0.05, seed=4, normalised=normalised)
    weights, losses, on, right = plain(data, run, normalised)
    np.testing.assert_allclose(run.weights, [weights[k] for k in RECORDS], rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(run.log_losses, [losses[k] for k in RECORDS], rtol=0.0, atol=1e-10)
    expected = [np.log(np.exp(losses[k]).mean()) for k in RECORDS]
    np.testing.assert_allclose(run.log_loss, expected, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(run.margin, [-losses[k].max() / np.linalg.norm(weights[k]) for k in RECORDS], rtol=0.0, atol=1e-12)
    assert (run.activated, run.settled) == (since(on), since(right))
    np.testing.assert_allclose(run.outputs(data.x) * data.y, -losses[-1], rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(run.predictor, run.signs @ weights[-1], rtol=0.0, atol=1e-12)


def test_a_descent_that_never_settles_says_so():
    # two points with one direction and two labels: nothing can be right on both
    data = TrainingSet([[1.0, 0.1], [1.0, -0.1], [1.0, 0.0]], [1, 1, -1])
    run = neuron_descent(data, 0.1, 40, seed=0)
    assert (run.activated, run.settled) == (-1, -1)


@pytest.mark.parametrize("n", [20, 64])
def test_normalised_steps_turn_to_the_max_margin_network_like_one_over_k_squared(n):
    data = mixture(n, dim=1000, signal=3.0, seed=1)
    limit = leaky_limit(data, 0.5, 2, 2)
    assert limit.active
    run = neuron_descent(data, n / 1000, [100, 1000, 10_000], slope=0.5, normalised=True)
    assert (run.activated, run.settled) == (1, 1)
    far = run.distance(limit.positive, limit.negative)
    np.testing.assert_allclose(far[:-1] / far[1:], 100.0, rtol=0.05)
    assert far[-1] < 1e-8
    # never above the largest margin, and as near as the direction is
    np.testing.assert_allclose(run.margin[-1], limit.margin, rtol=1e-3)
    assert (run.margin < limit.margin).all()
    # the loss is far beyond what a double holds, and no weight of a sample is lost
    assert run.log_loss[-1] < -5000.0
    assert np.isfinite(run.weights).all()


def test_constant_steps_turn_there_too_but_like_a_logarithm():
    data = mixture(20, dim=1000, signal=3.0, seed=1)
    limit = leaky_limit(data, 0.5, 2, 2)
    run = neuron_descent(data, 0.02, [100, 1000, 10_000], slope=0.5)
    far = run.distance(limit.positive, limit.negative)
    assert (np.diff(far) < 0.0).all()
    # L ~ 1/k
    np.testing.assert_allclose(np.diff(run.log_loss), -np.log(10.0), rtol=0.05)
    assert far[-1] > 1e-7


def test_multipliers_are_those_of_two_other_solvers():
    data, signs = mixture(128, dim=300, signal=4.0, seed=2), neuron_signs(4)
    gram = margins_gram(data.x @ data.x.T, data.y, signs, 0.4)
    found = multipliers(gram)
    slack = gram @ found - 1.0
    assert (found >= 0.0).all()
    assert 20 < (found == 0.0).sum() < 120, "some are support, some are not"
    assert slack.min() > -1e-9
    np.testing.assert_allclose(slack[found > 0.0], 0.0, atol=1e-9)
    limit = leaky_limit(data, 0.4, 2, 2)
    np.testing.assert_allclose(found / found.sum(), limit.multipliers / limit.multipliers.sum(), rtol=0.0, atol=1e-10)
    assert 1.0 / np.sqrt(found.sum()) == pytest.approx(limit.margin, rel=1e-10)
    # min |w|^2/2 - sum lambda, with w = R lambda: nnls of R lambda against what projects to 1
    root = np.linalg.cholesky(gram).T
    other, _ = nnls(root, np.linalg.solve(root.T, np.ones(len(gram))))
    np.testing.assert_allclose(found, other, rtol=0.0, atol=1e-10 * found.max())


def test_pivots_end_where_whole_sets_would_run_in_a_circle():
    points = np.array([[0, 3, 4, 2, 3], [-3, 1, 1, 1, 4], [1, -1, -3, -3, -1], [0, 2, 2, 1, 2], [3, 0, 4, -2, -3]], dtype=float)
    gram = points @ points.T
    found = multipliers(gram)
    slack = gram @ found - 1.0
    assert found.min() >= 0.0
    assert slack.min() > -1e-9
    np.testing.assert_allclose(found * slack, 0.0, atol=1e-12)


def test_points_that_depend_on_each_other_are_solved_or_refused():
    # any multipliers of these make the same vector
    points = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(points.T @ multipliers(points @ points.T), [1.0, 1.0], rtol=1e-9)
    for apart in ([[1.0], [-1.0]], [[0.0], [0.0]], [[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0], [0.1, 0.2]]):
        points = np.array(apart)
        with pytest.raises(ValueError, match="`gram` must be positive definite"):
            multipliers(points @ points.T)


WEIGHTS = np.random.default_rng(5).normal(size=(4, 3)) + np.array([1.0, 1.0, -1.0, -1.0])[:, None]


@pytest.mark.parametrize(("noise", "df"), [("gaussian", None), ("student", 4.0)])
def test_the_error_of_a_bent_boundary_is_that_of_many_samples(noise, df):
    signs = neuron_signs(4)
    for weights, signal in ((WEIGHTS, 1.0), (WEIGHTS[:, ::-1] * [1.0, -1.0, 1.0], 0.3)):
        found = neuron_test_error(weights, signs, 0.1, signal, noise, df, seed=1)
        data = mixture(400_000, 3, signal, noise, df, seed=7)
        drawn = float((data.y * (signs @ leaky(weights @ data.x.T, 0.1)) < 0.0).mean())
        assert abs(found.error - drawn) < 5.0 * np.hypot(found.standard_error, np.sqrt(drawn / data.size))
        assert 0.0 < found.standard_error < 0.02
        # a tenth of the spread of as many samples
        other = neuron_test_error(weights, signs, 0.1, signal, noise, df, seed=2)
        assert abs(found.error - other.error) < 5.0 * np.hypot(found.standard_error, other.standard_error)


def test_the_error_of_a_network_of_two_vectors_is_that_of_its_plane():
    limit = leaky_limit(mixture(20, dim=100, signal=3.0, seed=0), 0.2, 2, 2)
    weights = np.repeat([limit.positive, limit.negative], 2, axis=0)
    for signal in (0.0, 3.0, 12.0):
        found = neuron_test_error(weights, neuron_signs(4), 0.2, signal)
        assert found.error == pytest.approx(float(linear_test_error(limit.predictor, signal)), rel=1e-9)
        assert found.standard_error < 1e-12 * found.error
    heavy = neuron_test_error(weights, neuron_signs(4), 0.2, 3.0, "student", 5.0)
    assert abs(heavy.error - float(linear_test_error(limit.predictor, 3.0, "student", 5.0))) < 5.0 * heavy.standard_error


GIVEN = {"data": mixture(3, dim=4, signal=1.0), "step_size": 0.1, "steps": 2}
REFUSED = {
    "data": ({"data": None}, "`data` must be a TrainingSet or a DataSet"),
    "step_size": ({"step_size": 0.0}, "`step_size` must be positive and finite, but is 0"),
    "steps": ({"steps": [2, 1]}, "`steps` must increase strictly, but 2 is followed by 1"),
    "steps list": ({"steps": [[1, 2]]}, r"`steps` must be a number or a list, but has shape \(1, 2\)"),
    "width": ({"width": 3}, "`width` must be even, for half of the neurons have a positive a_j, but is 3"),
    "slope": ({"slope": 0.0}, "`slope` must be above 0"),
    "slope high": ({"slope": 1.5}, r"`slope` must be in \[0, 1\], but is 1.5"),
    "start_scale": ({"start_scale": -1.0}, "`start_scale` must be positive and finite, but is -1"),
    "seed": ({"seed": -1}, "`seed` must be a whole number, 0 or more, but is -1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments_are_refused_by_name(case):
    given, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        neuron_descent(**{**GIVEN, **given})


def test_what_a_descent_is_asked_is_refused_by_name():
    run = neuron_descent(**GIVEN)
    with pytest.raises(ValueError, match=r"`x` must have shape \(samples, 4\), but has shape \(3,\)"):
        run.outputs(np.ones(3))
    with pytest.raises(ValueError, match=r"`negative` must have shape \(4,\), but has shape \(3,\)"):
        run.distance(np.ones(4), np.ones(3))
    with pytest.raises(ValueError, match="`positive` and `negative` must not both be 0"):
        run.distance(np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match=r"`weights` must have shape \(neurons, dim\)"):
        neuron_test_error([1.0], [1.0], 0.1, 1.0)
    with pytest.raises(ValueError, match=r"`signs` must have shape \(1,\), but has shape \(2,\)"):
        neuron_test_error([[1.0]], [1.0, 1.0], 0.1, 1.0)
    with pytest.raises(ValueError, match="`noise` must be one of gaussian, student, but is 'polynomial'"):
        neuron_test_error([[1.0]], [1.0], 0.1, 1.0, "polynomial")
