"""Training sets: what they hold, what tells them apart, what is refused; and the separator of their points, in one dimension too."""

import json

import numpy as np
import pytest
from scipy.optimize import linprog

import flowsim as fs
from flowsim.finite.training_set import TrainingSet, training_set_of
from flowsim.samples import DataSet, draw, max_margin
from flowsim.samples.max_margin import separator

GIVEN = {"x": [[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]], "y": [1, -1, 1]}


def test_points_carry_their_labels() -> None:
    data = TrainingSet(**GIVEN, test_x=[[5.0, 6.0]], test_y=[-1], signal=[0.0, 0.0], label_noise=0.2)
    np.testing.assert_array_equal(data.points, [[1.0, 0.0], [0.0, -1.0], [2.0, 2.0]])
    assert (data.size, data.dim, data.name, data.label_noise) == (3, 2, "data", 0.2)
    assert data.test_x.dtype == data.test_y.dtype == data.y.dtype == np.float64


def test_configurations_differ_where_data_do() -> None:
    base = TrainingSet(**GIVEN, test_x=[[1.0, 2.0]], test_y=[1])
    same = TrainingSet(**GIVEN, test_x=[[1.0, 2.0]], test_y=[1])
    assert json.loads(json.dumps(base.config())) == same.config()
    others = [
        TrainingSet(**GIVEN),
        TrainingSet(GIVEN["x"], [1, 1, 1], test_x=[[1.0, 2.0]], test_y=[1]),
        TrainingSet(**GIVEN, test_x=[[1.0, 2.0]], test_y=[-1]),
        TrainingSet(**GIVEN, test_x=[[1.0, 3.0]], test_y=[1]),
        # the points y_i x_i of this one are those of the first
        TrainingSet([[1.0, 0.0], [0.0, -1.0], [2.0, 2.0]], [1, 1, 1], test_x=[[1.0, 2.0]], test_y=[1]),
    ]
    assert len({data.config()["digest"] for data in [base, *others]}) == 1 + len(others)
    # the same numbers in the same order, in another shape
    wide, tall = TrainingSet(np.ones((2, 2)), np.ones(2)), TrainingSet(np.ones((3, 1)), np.ones(3))
    assert wide.config()["digest"] != tall.config()["digest"]


def test_samples_become_a_training_set() -> None:
    data = draw(fs.Gaussian(dim=3), 20, seed=1, v=[0.0, 2.0, 0.0], label_noise=0.1)
    found = training_set_of(data)
    np.testing.assert_array_equal(found.points, data.points)
    np.testing.assert_array_equal(found.signal, [0.0, 1.0, 0.0])
    assert (found.label_noise, found.name, found.test_x) == (0.1, "Gaussian(dim=3, scale=1)", None)
    assert training_set_of(DataSet([[1.0, 2.0]], v=[1.0, 0.0])).name == "data"
    assert training_set_of(found) is found
    with pytest.raises(ValueError, match=r"`data` must be a TrainingSet or a DataSet, but is array"):
        training_set_of(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"x": [1.0, 2.0, 3.0]}, r"`x` must have shape \(samples, dim\), but has shape \(3,\)"),
        ({"x": [[1.0], [np.inf], [0.0]]}, "`x` must be finite, but is inf"),
        ({"x": np.zeros((3, 0))}, "`x` must hold at least one number"),
        ({"y": [1, -1]}, "`y` must be 3 labels, each 1 or -1"),
        ({"y": [1, 0, 1]}, "`y` must be 3 labels, each 1 or -1"),
        ({"test_x": [[1.0, 2.0]]}, "`test_y` must be given with `test_x`, but is None"),
        ({"test_y": [1]}, "`test_x` must be given with `test_y`, but is None"),
        ({"test_x": [[1.0]], "test_y": [1]}, r"`test_x` must have shape \(samples, 2\), as `x` has, but has shape \(1, 1\)"),
        ({"test_x": [[1.0, 2.0]], "test_y": [1, 1]}, "`test_y` must be 1 labels"),
        ({"signal": [1.0]}, r"`signal` must have shape \(2,\), but has shape \(1,\)"),
        ({"label_noise": 0.5}, r"`label_noise` must be in \[0, 0.5\), but is 0.5"),
        ({"label_noise": -0.1}, "`label_noise` must be zero or positive"),
        ({"name": ""}, "`name` must be a text that is not empty, but is ''"),
    ],
)
def test_what_is_no_training_set_is_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSet(**{**GIVEN, **words})


# --- the separator of any points ---


def test_one_dimension_has_the_nearest_point_for_its_separator() -> None:
    found = max_margin(TrainingSet([[3.0], [-0.25], [7.0]], [1, -1, 1]))
    np.testing.assert_allclose([found.direction[0], found.margin, found.weights[0]], [1.0, 0.25, 1.0], rtol=1e-14)
    assert found.support.tolist() == [1]
    with pytest.raises(ValueError, match="`data` must be separable by a direction"):
        max_margin(TrainingSet([[1.0], [-1.0]], [1, 1]))


def test_small_points_are_separable_if_and_only_if_a_linear_programme_says_so() -> None:
    """Whole numbers, so that many are opposite, equal or 0."""
    generator, counts = np.random.default_rng(0), [0, 0]
    for _ in range(100):
        points = generator.integers(-2, 3, (generator.integers(1, 6), generator.integers(1, 4))).astype(float)
        feasible = linprog(np.zeros(points.shape[1]), A_ub=-points, b_ub=-np.ones(len(points)), bounds=(None, None)).status == 0
        counts[feasible] += 1
        if feasible:
            assert (points @ separator(points).direction).min() > 0.0
        else:
            with pytest.raises(ValueError, match="`points` must be separable by a direction"):
                separator(points)
    assert min(counts) > 20


@pytest.mark.parametrize(("n", "dim"), [(5, 40), (60, 3), (400, 2)])
def test_training_sets_and_bare_points_have_the_separator_of_samples(n: int, dim: int) -> None:
    data = draw(fs.Gaussian(dim=dim), n, seed=2)
    expected = max_margin(data)
    for found in (max_margin(training_set_of(data)), separator(data.points), separator(data.points, guess=-data.v)):
        np.testing.assert_allclose(found.direction, expected.direction, atol=1e-10)
        np.testing.assert_array_equal(found.support, expected.support)
        assert found.margin == pytest.approx(expected.margin, rel=1e-10)
    # the point of the hull nearest to 0
    assert (expected.weights > 0.0).all()
    assert expected.weights.sum() == pytest.approx(1.0, rel=1e-10)
    np.testing.assert_allclose(expected.weights @ data.points[expected.support], expected.margin * expected.direction, atol=1e-10)


def test_weights_and_direction_do_not_depend_on_the_scale() -> None:
    points = draw(fs.Gaussian(dim=2), 30, seed=4).points
    one, small = separator(points), separator(1e-100 * points)
    np.testing.assert_allclose(small.weights, one.weights, rtol=1e-10)
    assert small.margin == pytest.approx(1e-100 * one.margin, rel=1e-10)


def test_separators_of_other_things_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`data` must be a DataSet, such as .* or have `.points`, but is 3"):
        max_margin(3)
    with pytest.raises(ValueError, match=r"`points` must be points of shape \(n, d\), but has shape \(2,\)"):
        separator([1.0, 2.0])
    with pytest.raises(ValueError, match=r"`guess` must have shape \(2,\), but has shape \(3,\)"):
        separator([[1.0, 2.0]], guess=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="`points` must be separable by a direction"):
        separator([[1.0, 2.0], [-1.0, -2.0]])
