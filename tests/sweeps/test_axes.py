"""Axes of a sweep: their values, and what they refuse."""

import numpy as np
import pytest

from flowsim.sweeps import linear, listed, log, random
from flowsim.sweeps.axes import as_axis


def test_values_are_spaced_as_their_name_says() -> None:
    np.testing.assert_array_equal(linear(-1.0, 2.0, 7).values, np.linspace(-1.0, 2.0, 7))
    np.testing.assert_allclose(np.diff(np.log(log(1e-3, 1e5, 9).values)), np.log(10.0), rtol=1e-12)
    assert listed([3, 1, 2]).values.tolist() == [3, 1, 2]


def test_random_values_are_uniform_in_x_or_in_its_logarithm_and_of_one_seed_the_same() -> None:
    for axis, of in ((random(2.0, 5.0, 4000, seed=3), np.array), (random(1e-3, 1e4, 4000, seed=3, log=True), np.log)):
        low, high = of(np.array(axis.said["random"]))
        share = (of(axis.values) - low) / (high - low)
        # the mean of 4000 uniform numbers has the standard error 0.289/sqrt(4000) = 0.0046, their variance 1/12 one of 0.0012
        assert abs(share.mean() - 0.5) < 4 * 0.0046
        assert abs(share.var() - 1 / 12) < 4 * 0.0012
        assert share.min() >= 0.0
        assert share.max() <= 1.0
        assert (np.diff(axis.values) >= 0.0).all()
    again, other = random(2.0, 5.0, 50, seed=3), random(2.0, 5.0, 50, seed=4)
    np.testing.assert_array_equal(again.values, random(2.0, 5.0, 50, seed=3).values)
    assert (again.values != other.values).any()


def test_values_that_go_with_others_stay_in_their_order() -> None:
    drawn = random(0.0, 1.0, 50, seed=1, along="draw")
    assert drawn.along == "draw"
    assert (np.diff(drawn.values) < 0.0).any()
    assert listed([1, 1, 2], along="draw").values.tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("declared", "made"),
    [
        ([1, 2], listed([1, 2])),
        ({"values": ["a", "b"], "along": "pair"}, listed(["a", "b"], "pair")),
        ({"linear": [0, 1], "count": 3}, linear(0, 1, 3)),
        ({"log": [1, 100], "count": 3}, log(1, 100, 3)),
        ({"random": [1, 9], "count": 3, "seed": 2, "log": True}, random(1, 9, 3, 2, True)),
    ],
)
def test_a_file_declares_the_same_axes(declared: object, made: object) -> None:
    found = as_axis("x", declared)
    assert found.values.tolist() == made.values.tolist()
    assert (found.spacing, found.along, dict(found.said)) == (made.spacing, made.along, dict(made.said))
    # and what an axis says of itself declares it again
    assert as_axis("x", made.said).values.tolist() == made.values.tolist()


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ([], "`values` of an axis must be a list of numbers or of names, but is"),
        ("abc", "`values` of an axis must be a list"),
        ([1, 2, 1], "must differ, but 1 stands there twice"),
        ([[1, 2]], "must be a list of numbers"),
        ({}, "must have one of `values`, `linear`, `log` and `random`, but has nothing"),
        ({"linear": [0, 1], "log": [1, 2], "count": 3}, "must have one of"),
        ({"linear": [0, 1]}, "`linear` needs a `count`"),
        ({"linear": [0, 1, 2], "count": 3}, r"`linear` must be \[first, last\]"),
        ({"linear": [1, 1], "count": 3}, "`last` must be above 1 and finite, but is 1"),
        ({"log": [0, 1], "count": 3}, "`first` must be positive and finite, but is 0"),
        ({"log": [1, 2], "count": 1}, "`count` must be a whole number, 2 or more, but is 1"),
        ({"log": [1, 2], "count": 3, "cuont": 4}, "must be one of count, along, but is 'cuont'"),
        ({"log": [1, "x"], "count": 3}, "`last` must be a number, but is 'x'"),
        ({"random": [1, 2], "count": 3, "log": 1}, "`log` of a random axis must be true or false"),
        ({"random": [1, 2], "count": 3, "seed": -1}, "`seed` must be a whole number, 0 or more, but is -1"),
        ({"values": [1], "along": "not a name"}, "`along` must be the name of a dimension, but is 'not a name'"),
    ],
)
def test_axes_refuse_what_they_cannot_be(declared: object, message: str) -> None:
    with pytest.raises(ValueError, match=rf"the axis 'depth': .*{message}"):
        as_axis("depth", declared)
