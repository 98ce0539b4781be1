"""Pictures: curves of plain numbers, thinned, with the roles that drawing and checks.json rely on."""

import numpy as np
import pytest

from flowsim.claims.picture import POINTS, Curve, Sketch, picture_of_gaps


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    x = np.arange(10_000.0)
    curve = Curve(x, x**2)
    assert curve.x.size <= POINTS
    assert (curve.x[0], curve.x[-1]) == (0.0, 9999.0)
    np.testing.assert_array_equal(curve.y, curve.x**2)


def test_a_sketch_becomes_a_picture_in_the_order_drawn() -> None:
    sketch = Sketch("$t$", "$-s$", x_log=True)
    sketch.measured([1, 2], [3, 4], "flow")
    sketch.predicted([1, 2], [3, 4])
    sketch.limit([1, 2], [5, 5], "bound")
    data = sketch.done("a note").to_dict()
    assert [(c["role"], c["label"], c["points"]) for c in data["curves"]] == [
        ("measured", "flow", False),
        ("predicted", "", False),
        ("limit", "bound", False),
    ]
    assert (data["x"], data["y"], data["x_log"], data["y_log"], data["note"]) == ("$t$", "$-s$", True, False, "a note")


def test_gaps_are_points_below_a_line() -> None:
    picture = picture_of_gaps({"one": 1e-3, "two": 0.0, "three": float("nan")}, 1e-2)
    points, line = picture.curves
    assert points.points
    np.testing.assert_array_equal(points.y, [1e-3, 1e-17, np.nan])
    assert (line.role, line.y.tolist()) == ("limit", [1e-2, 1e-2])
    assert picture.ticks == ("one", "two", "three")
    assert picture.y_log


@pytest.mark.parametrize(("x", "y"), [([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[1.0]])])
def test_curves_of_unequal_shape_are_refused(x: list, y: list) -> None:
    with pytest.raises(ValueError, match="must be of one shape"):
        Curve(np.asarray(x), np.asarray(y))
