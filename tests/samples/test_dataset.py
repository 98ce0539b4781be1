"""Samples of a law: seeded, labelled, with the law's own pull; the hard-margin separator against every set that could hold it."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import nnls

import flowsim as fs
from flowsim.samples import DataSet, draw, max_margin

DEVIATIONS = 5.0


def test_a_seed_gives_the_same_samples_and_another_gives_others() -> None:
    one, same, other = (draw(fs.Gaussian(dim=3), 50, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.x, same.x)
    assert one.config() == same.config()
    assert one.config()["digest"] != other.config()["digest"]
    np.testing.assert_array_equal(one.x, fs.Gaussian(dim=3).sample(7, 50))


@pytest.mark.parametrize("name", ["circle", "gaussian10", "ball", "student", "laplace", "gamma"])
def test_samples_have_the_pull_of_their_law(law_of, name: str) -> None:
    """E y <v, x> = E |x_1| = 2 c, in any direction v."""
    law = law_of(name)
    data = draw(law, 40_000, seed=3, v=np.arange(1.0, law.dim + 1.0))
    along = data.points @ data.v
    assert abs(along.mean() - 2.0 * law.profile.pull) < DEVIATIONS * along.std() / np.sqrt(data.size)
    assert data.margin == along.min() > 0.0


def test_label_noise_flips_its_share_of_the_labels(risk_of) -> None:
    data = draw(risk_of("circle", 0.2), 20_000, seed=1)
    wrong = (data.points @ data.v < 0.0).mean()
    assert abs(wrong - 0.2) < DEVIATIONS * np.sqrt(0.2 * 0.8 / data.size)
    assert data.label_noise == data.risk.label_noise == 0.2
    assert data.margin < 0.0


def test_what_was_not_drawn_has_no_population() -> None:
    data = DataSet([[1.0, 2.0], [3.0, -1.0]], v=[0.0, 2.0], y=[1, 1])
    np.testing.assert_array_equal(data.v, [0.0, 1.0])
    np.testing.assert_array_equal(data.points, data.x)
    with pytest.raises(ValueError, match="`data` must have a law for the population's risk"):
        _ = data.risk


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"x": [1.0, 2.0]}, r"`x` must have shape \(samples, dim\) with dim 2 or more, but has shape \(2,\)"),
        ({"x": [[1.0], [2.0]]}, r"`x` must have shape .* but has shape \(2, 1\)"),
        ({"x": [[1.0, np.nan]]}, "`x` must be finite, but is nan"),
        ({"v": [0.0, 0.0]}, r"`v` must be a nonzero vector of shape \(2,\)"),
        ({"y": [1.0, 2.0]}, "`y` must be 2 labels, each 1 or -1"),
        ({"y": [1.0]}, "`y` must be 2 labels, each 1 or -1"),
        ({"law": fs.Gaussian(dim=3)}, "`law` must be a law of dimension 2"),
        ({"label_noise": 0.5}, r"`label_noise` must be in \[0, 0.5\), but is 0.5"),
    ],
)
def test_data_that_are_none_are_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSet(**{"x": [[1.0, 0.0], [0.0, 1.0]], "v": [1.0, 0.0], **words})


def test_draws_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="`source` must be a law such as"):
        draw("gaussian", 10)
    with pytest.raises(ValueError, match="`n` must be a whole number, 1 or more, but is 0"):
        draw(fs.Gaussian(), 0)
    with pytest.raises(ValueError, match="`seed` must be a whole number, 0 or more, but is -1"):
        draw(fs.Gaussian(), 10, seed=-1)
    with pytest.raises(ValueError, match="`label_noise` must be left out where `source` is a PopulationRisk"):
        draw(fs.PopulationRisk(fs.Gaussian()), 10, label_noise=0.1)


# --- the hard-margin separator ---


def by_every_support(points: np.ndarray) -> np.ndarray:
    """The shortest u with <u, p_i> >= 1: the shortest of those that hold up to d of the constraints with equality and keep the others."""
    found = []
    for size in range(1, points.shape[1] + 1):
        for chosen in combinations(range(len(points)), size):
            u = np.linalg.lstsq(points[list(chosen)], np.ones(size), rcond=None)[0]
            if (points @ u >= 1.0 - 1e-9).all():
                found.append(u)
    return min(found, key=np.linalg.norm)


@pytest.mark.parametrize(("dim", "n"), [(2, 2), (2, 15), (3, 12), (4, 10)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_separator_is_the_best_of_all_that_could_be(dim: int, n: int, seed: int) -> None:
    data = draw(fs.Gaussian(dim), n, seed)
    expected, found = by_every_support(data.points), max_margin(data)
    assert found.margin == pytest.approx(1.0 / np.linalg.norm(expected), rel=1e-10)
    np.testing.assert_allclose(found.direction, expected / np.linalg.norm(expected), atol=1e-10)
    np.testing.assert_allclose((data.points @ found.direction)[found.support], found.margin, rtol=1e-10)
    assert found.residual < 1e-12


@pytest.mark.parametrize(
    ("p", "q"), [((1.0, 2.0), (1.0, -1.0)), ((1.0, 0.5), (4.0, 3.0)), ((1e-9, 1.0), (1e-9, -1.0)), ((3e8, 1e8), (1e8, -1e8))]
)
def test_two_points_have_the_nearest_point_of_their_segment(p: tuple, q: tuple) -> None:
    a, b = np.array(p), np.array(q)
    part = np.clip(a @ (a - b) / ((a - b) @ (a - b)), 0.0, 1.0)
    nearest = a + part * (b - a)
    found = max_margin(DataSet([p, q], v=[1.0, 0.0], y=[1, 1]))
    # a margin of 1e-9 of |x| is known to 1e-7 of itself
    assert found.margin == pytest.approx(np.linalg.norm(nearest), rel=1e-10 + 1e-16 * np.linalg.norm(b) / np.linalg.norm(nearest))
    np.testing.assert_allclose(found.direction, nearest / np.linalg.norm(nearest), atol=1e-10)


@pytest.mark.parametrize(("dim", "n"), [(2, 100_000), (20, 20_000)])
def test_many_samples_satisfy_the_conditions_of_optimality(dim: int, n: int) -> None:
    """u in the cone of its support, and no sample nearer than the margin: what makes it the only one."""
    data = draw(fs.StudentT(dim, df=3.0), n, seed=5)
    found = max_margin(data)
    assert (data.points @ found.direction).min() >= found.margin * (1.0 - 1e-10)
    weights, rest = nnls(data.points[found.support].T, found.direction)
    assert rest < 1e-9
    assert (weights > 0.0).all()
    assert data.margin < found.margin


def test_the_separator_does_not_depend_on_the_teacher_it_is_looked_for_from() -> None:
    data = draw(fs.Gaussian(3), 2000, seed=0)
    found = max_margin(data)
    for v in ([-1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.1, 5.0, -3.0]):
        again = max_margin(DataSet(data.x, v, data.y))
        assert again.margin == pytest.approx(found.margin, rel=1e-10)
        np.testing.assert_array_equal(again.support, found.support)


def test_more_samples_on_the_margin_than_it_takes_to_hold_it() -> None:
    points = [[1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [1.0, 0.5], [1.0, 0.5]]
    found = max_margin(DataSet(points, v=[1.0, 0.0], y=np.ones(5)))
    np.testing.assert_allclose(found.direction, [1.0, 0.0], atol=1e-12)
    assert found.margin == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("points", [[[0.0, 1.0], [0.0, -1.0]], [[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]], [[0.0, 0.0], [1.0, 0.0]]])
def test_what_no_direction_separates_is_refused(points: list) -> None:
    with pytest.raises(ValueError, match="`data` must be separable by a direction"):
        max_margin(DataSet(points, v=[1.0, 0.0], y=np.ones(len(points))))
