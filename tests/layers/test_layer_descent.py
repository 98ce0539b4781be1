"""Descent of the matrices: against a plain loop, against the plane, in extended precision where the plain direction has no digits left."""

from collections.abc import Callable

import numpy as np
import pytest

import flowsim as fs

V = np.array([1.0, 2.0, -2.0]) / 3.0


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 1), (2, 4), (3, (4, 2)), (4, 3)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_each_step_is_that_of_a_plain_loop(depth: int, width: int, noise: float, plain_descent: Callable[..., list[np.ndarray]]) -> None:
    risk = fs.PopulationRisk(fs.StudentT(dim=3, df=5.0), label_noise=noise)
    start = fs.layers.gaussian(dim=3, depth=depth, width=width, scale=1.5, seeds=3)
    run = fs.layer_descent(risk, start, 0.3, [0, 1, 7, 60], v=V)
    for found, expected in zip(run.last.matrices, plain_descent(risk, start, V, 0.3, 60), strict=True):
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-13)
    w = run.last.end_to_end
    assert run.norm[-1] == pytest.approx(np.linalg.norm(w), rel=1e-12)
    assert run.angle[-1] == pytest.approx(np.arctan2(np.linalg.norm(w - w @ V * V), w @ V), rel=1e-9, abs=1e-14)
    assert run.time.tolist() == pytest.approx([0.0, 0.3, 2.1, 18.0])


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("width", [1, 9])
def test_balanced_rank_one_networks_of_any_width_are_the_plane(depth: int, width: int, gaussian3: fs.PopulationRisk) -> None:
    w, steps = np.array([0.6, -0.8, 0.3]), [0, 10, 1000, 20_000]
    run = fs.layer_descent(gaussian3, fs.layers.balanced(w, depth=depth, width=width), 0.4, steps, v=V)
    plane = fs.gradient_descent(gaussian3, fs.Start.from_vectors(w, V), 0.4, steps, depth, "exact")
    assert run.log_norm == pytest.approx(plane.log_norm, rel=1e-11, abs=1e-11)
    assert run.log_tan_half_angle == pytest.approx(plane.log_tan_half_angle, rel=1e-11, abs=1e-11)
    assert run.status == "ok"


def test_the_direction_keeps_its_digits_where_the_product_of_the_matrices_has_lost_them() -> None:
    """Against the same steps in extended precision, whose product of matrices still has the digits that a double's has not."""
    risk = fs.PopulationRisk(fs.Gaussian(dim=3))
    eta, steps = 4.0, 6000
    start = fs.layers.gaussian(dim=3, depth=2, width=3, seeds=1)
    run = fs.layer_descent(risk, start, eta, [0, steps], v=[1.0, 0.0, 0.0])
    first, second = (matrix.astype(np.longdouble) for matrix in start.matrices)
    for _ in range(steps):
        w = (second @ first)[0]
        size = np.sqrt((w**2).sum())
        growth, drag = (np.longdouble(float(f(float(size)))) for f in (risk.growth, risk.drag))
        across = (w[1:] ** 2).sum()
        gap = across / (size * (size + w[0])) if w[0] > 0 else 1 - w[0] / size
        slope = drag / size * w
        slope[0] = -(growth * (1 - gap) + np.longdouble(risk.pull) * gap)
        first, second = first - eta * np.outer(second[0], slope), second - eta * (first @ slope)[None, :]
    w = (second @ first)[0]
    exact = float(np.log(np.sqrt((w[1:] ** 2).sum()) / (np.sqrt((w**2).sum()) + w[0])))
    naive = run.last.end_to_end
    lost = float(np.log(np.linalg.norm(naive[1:]) / (np.linalg.norm(naive) + naive[0])))
    assert run.log_tan_half_angle[-1] == pytest.approx(exact, abs=1e-9)
    assert abs(lost - exact) > 5e-8, "the case is no test of the method"


def test_networks_in_a_batch_do_what_they_do_alone(gaussian3: fs.PopulationRisk) -> None:
    batch = fs.layers.gaussian(dim=3, depth=3, width=2, seeds=[[0, 1], [2, 3]])
    together = fs.layer_descent(gaussian3, batch, 0.2, [0, 100], v=V)
    assert together.shape == (2, 2)
    alone = fs.layer_descent(gaussian3, batch[1, 0], 0.2, [0, 100], v=V)
    assert together[1, 0].log_tan_half_angle == pytest.approx(alone.log_tan_half_angle, rel=1e-12)
    for name, values in alone.observed.items():
        assert together[1, 0].observed[name] == pytest.approx(values, rel=1e-9, abs=1e-12), name


def test_a_run_out_of_the_double_range_is_told_from_the_others(gaussian3: fs.PopulationRisk) -> None:
    """From the side of -v a large step in the upper layers throws the next one further."""
    w = np.array([-30.0, 1.0, 0.0])
    start = fs.layers.balanced([w, [1.0, 0.1, 0.0]], depth=5, width=2, seeds=0)
    run = fs.layer_descent(gaussian3, start, 3.0, [0, 1, 20], v=[1.0, 0.0, 0.0])
    assert run.status.tolist() == ["overflow", "ok"]
    assert np.isnan(run.log_norm[0, -1])
    assert np.isfinite(run.log_norm[1]).all()
    assert np.isfinite(run.observed["layer_norm"][1]).all()
    assert not run.ok
    with pytest.raises(RuntimeError, match="left the double range"):
        run.require_ok()


def test_bad_input_names_the_argument(gaussian3: fs.PopulationRisk) -> None:
    start = fs.layers.identity(dim=3, depth=2, width=2)
    for message, call in {
        "`step_size` must be positive": lambda: fs.layer_descent(gaussian3, start, -0.1, 10),
        "`steps` must be a whole number": lambda: fs.layer_descent(gaussian3, start, 0.1, 1.5),
        "`start` must be flowsim.Layers": lambda: fs.layer_descent(gaussian3, fs.Start(), 0.1, 10),
        "`start` must have inputs of dimension 3": lambda: fs.layer_descent(gaussian3, fs.layers.identity(2, 2, 2), 0.1, 10),
        "`v` must be a nonzero vector of shape": lambda: fs.layer_descent(gaussian3, start, 0.1, 10, v=[1.0, 0.0]),
        "`observe` must be one of": lambda: fs.layer_descent(gaussian3, start, 0.1, 10, observe=["sharpnes"]),
        "`observe` must be a sequence": lambda: fs.layer_descent(gaussian3, start, 0.1, 10, observe="sharpness"),
        "`risk` must be a flowsim.PopulationRisk": lambda: fs.layer_descent(fs.Gaussian(dim=3), start, 0.1, 10),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
