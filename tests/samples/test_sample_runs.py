"""Descent and flow on a finite sample: against loops of plain NumPy, each other, SciPy, and where the direction goes in the end."""

import numpy as np
import pytest
from scipy.special import expit

import flowsim as fs
from flowsim.samples import DataSet, EmpiricalRisk, draw, max_margin, sample_descent, sample_flow
from flowsim.samples.flow import _default
from flowsim.samples.networks import Networks, on_data


@pytest.fixture(scope="module")
def data() -> DataSet:
    return draw(fs.Gaussian(dim=3), 40, seed=1, v=[1.0, -2.0, 0.5])


def by_hand(data: DataSet, layers: fs.Layers, eta: float, steps: int) -> list[np.ndarray]:
    """Each gradient from all products of matrices, written out."""
    found = [matrix.copy() for matrix in layers.matrices]
    for _ in range(steps):
        count = len(found)
        below = [
            np.linalg.multi_dot([*found[:j][::-1], np.eye(data.dim)]) if j > 1 else [np.eye(data.dim), found[0]][j] for j in range(count)
        ]
        above = [np.linalg.multi_dot([np.eye(1), *found[:j:-1]]) if j < count - 1 else np.eye(1) for j in range(count)]
        w = (above[0] @ found[0])[0]
        g = -np.mean(data.points * expit(-(data.points @ w))[:, None], axis=0)
        found = [matrix - eta * above[j].T @ g[None, :] @ below[j].T for j, matrix in enumerate(found)]
    return found


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 4), (4, [3, 5, 2])])
def test_descent_is_that_of_a_loop_over_every_product(data: DataSet, depth: int, width) -> None:
    start = fs.layers.xavier(dim=3, depth=depth, width=width, seeds=3)
    run = sample_descent(data, start, 0.3, [0, 1, 300])
    for found, expected in zip(run.last.matrices, by_hand(data, start, 0.3, 300), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    w = run.last.end_to_end
    risk, there = EmpiricalRisk(data), fs.Start.from_vectors(w, data.v)
    assert float(run.norm[-1]) == pytest.approx(float(there.norm), rel=1e-13)
    assert float(run.log_tan_half_angle[-1]) == pytest.approx(float(there.log_tan_half_angle), rel=1e-12)
    assert run.observed["empirical_risk"][-1] == pytest.approx(float(risk.value(w)), rel=1e-14)
    assert run.observed["smallest_margin"][-1] == pytest.approx(float(risk.smallest_margin(w)), rel=1e-12)
    assert run.observed["empirical_error_rate"][0] == risk.error_rate(start.end_to_end)
    np.testing.assert_allclose(run.observed["layer_norm"][-1], [np.linalg.norm(matrix) for matrix in run.last.matrices], rtol=1e-14)
    assert run.risk[-1] == pytest.approx(float(data.risk.value(there.norm, there.angle)), rel=1e-12)
    assert run.kind == "sample-descent"
    np.testing.assert_array_equal(run.time, 0.3 * run.step)


def test_a_batch_is_its_networks_one_by_one(data: DataSet) -> None:
    starts = fs.layers.gaussian(dim=3, depth=2, width=4, seeds=[[0, 1, 2], [3, 4, 5]])
    run = sample_descent(data, starts, 0.1, [10, 100])
    alone = sample_descent(data, starts[1, 2], 0.1, [10, 100])
    assert run.shape == (2, 3)
    np.testing.assert_allclose(run[1, 2].log_tan_half_angle, alone.log_tan_half_angle, rtol=1e-12)
    np.testing.assert_allclose(run[1, 2].observed["layer_norm"], alone.observed["layer_norm"], rtol=1e-12)


def test_descents_gap_to_the_flow_is_of_first_order(data: DataSet) -> None:
    start = fs.layers.gaussian(dim=3, depth=2, width=4, seeds=[0, 1])
    flow = sample_flow(data, start, [2.0], rtol=1e-11)
    sizes = 2.0 ** -np.arange(4, 10)
    gaps = []
    for eta in sizes:
        run = sample_descent(data, start, float(eta), [round(2.0 / eta)])
        gaps.append(np.linalg.norm(run.last.end_to_end - flow.last.end_to_end, axis=-1).max())
    slope = np.polyfit(np.log(sizes), np.log(gaps), 1)[0]
    assert abs(slope - 1.0) < 0.05, (slope, gaps)


@pytest.mark.parametrize("other", ["DOP853", "Radau"])
def test_the_engines_agree(data: DataSet, other: str) -> None:
    start = fs.layers.gaussian(dim=3, depth=2, width=4, seeds=[0, 1])
    times = [0.0, 1.0, 100.0, 1e4]
    run, second = sample_flow(data, start, times), sample_flow(data, start, times, fs.SciPy(other))
    assert run.config["solver"] == "diffrax.Dopri8"
    np.testing.assert_allclose(run.log_norm, second.log_norm, rtol=1e-7)
    np.testing.assert_allclose(run.log_tan_half_angle, second.log_tan_half_angle, rtol=1e-7)
    for found, expected in zip(run.last.matrices, second.last.matrices, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_imbalances_stay_along_the_flow(data: DataSet) -> None:
    run = sample_flow(data, fs.layers.gaussian(dim=3, depth=2, width=4, seeds=[0, 1]), [0.0, 1.0, 100.0, 1e4], observe=["imbalance_drift"])
    assert run.observed["imbalance_drift"].shape == (2, 4, 1)
    assert 0.0 < run.observed["imbalance_drift"].max() < 1e-6


def test_in_the_end_the_margins_are_those_of_the_separator() -> None:
    """Soudry et al. 2018, theorem 9: y_i <w, x_i> = log t - log(n alpha_i) + o(1) on the support, sum_i alpha_i y_i x_i of margin 1.

    What is left over is of the order of the losses themselves, 1/t.
    """
    data = DataSet([[1.0, 2.0], [1.0, -1.0], [3.0, 0.5]], v=[1.0, 0.0], law=fs.Gaussian(dim=2))
    separator = max_margin(data)
    assert separator.support.tolist() == [0, 1]
    held = data.points[separator.support]
    alpha = np.linalg.solve(held.T, separator.direction / separator.margin)
    run = sample_flow(data, fs.Layers([[[0.6, -0.8]]]), [1e6, 1e12], solver="kvaerno5", rtol=1e-10)
    predicted = np.log(1e12) - np.log(data.size * alpha)
    np.testing.assert_allclose(held @ run.last.end_to_end, predicted, rtol=1e-8)
    u = run.last.end_to_end / np.linalg.norm(run.last.end_to_end)
    assert 1e-3 < np.linalg.norm(u - separator.direction) < 1.0 / np.log(1e12)
    assert separator.margin > run.observed["smallest_margin"][1] > run.observed["smallest_margin"][0] > 0.95 * separator.margin


def test_the_default_solver_is_implicit_where_the_margin_is_thin_and_the_horizon_far() -> None:
    start = fs.layers.balanced([0.6, -0.8], depth=2)
    few, many, noisy = (draw(fs.Gaussian(), n, seed=1, label_noise=noise) for n, noise in ((5, 0.0), (1000, 0.0), (200, 0.1)))
    names = [type(_default(one, on_data(one, start, None), last)).__name__ for one in (few, many, noisy) for last in (1e3, 1e8)]
    assert names == ["Dopri8", "Dopri8", "Dopri8", "Kvaerno5", "Dopri8", "Kvaerno5"]


def test_a_large_network_has_an_implicit_solver_without_its_jacobian() -> None:
    data = draw(fs.Gaussian(dim=200), 20, seed=0)
    start = fs.layers.gaussian(dim=200, depth=1, seeds=0)
    run, other = (sample_flow(data, start, [1e3], solver) for solver in ("kvaerno3", fs.SciPy("DOP853")))
    np.testing.assert_allclose(run.log_norm, other.log_norm, rtol=1e-6)
    np.testing.assert_allclose(run.log_tan_half_angle, other.log_tan_half_angle, rtol=1e-6)


# --- how runs end ---


def test_a_direction_without_digits_has_a_status_and_its_norm() -> None:
    data = DataSet([[1.0, 2.0], [1.0, -2.0]], v=[1.0, 0.0], law=fs.Gaussian())
    run = sample_descent(data, fs.Layers([[[2.0, 0.0]]]), 0.1, [0, 10])
    assert run.status == "floor"
    assert run.ok
    assert np.isnan(run.log_tan_half_angle).all()
    assert run.norm[1] > run.norm[0] == 2.0


def test_a_step_that_is_too_large_overflows_and_is_told(data: DataSet) -> None:
    starts = fs.layers.gaussian(dim=3, depth=4, width=[3, 5, 2], scale=3.0, seeds=[0, 1])
    run = sample_descent(data, starts, 1e6, [0, 1, 2, 50])
    assert (run.status == "overflow").all()
    assert not run.ok
    assert np.isfinite(run.log_norm[:, 0]).all()
    assert np.isnan(run.log_norm[:, -1]).all()
    assert np.isnan(run.observed["layer_norm"][:, -1]).all()


def test_a_flow_out_of_steps_has_a_status_and_keeps_what_it_reached(data: DataSet) -> None:
    run = sample_flow(data, fs.layers.gaussian(dim=3, depth=1, seeds=0), [1e-3, 1e5, 2e5], "tsit5", max_steps=5)
    assert run.status == "step_cap"
    assert np.isfinite(run.log_norm[0])
    assert np.isnan(run.log_norm[1:]).all()


# --- going on ---

RUNS = {
    "descent": lambda data, **more: sample_descent(data, fs.layers.gaussian(3, 2, 4, seeds=[0, 1]), 0.1, [0, 7, 20, 100], **more),
    "flow": lambda data, **more: sample_flow(data, fs.layers.gaussian(3, 2, 4, seeds=[0, 1]), [0.5, 3.0, 40.0, 1e3], **more),
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_goes_on_from_its_file_bit_for_bit(data: DataSet, kind: str, monkeypatch, tmp_path) -> None:
    whole = RUNS[kind](data)
    reads = 0

    inner = Networks.read

    def stop(self, state, status):
        nonlocal reads
        reads += 1
        if reads == 3:
            raise KeyboardInterrupt
        return inner(self, state, status)

    monkeypatch.setattr("flowsim.samples.networks.Networks.read", stop)
    part = RUNS[kind](data)
    assert (part.status == "stopped").all()
    assert np.isnan(part.log_norm[:, 2:]).all()
    again = RUNS[kind](data, resume=fs.layers.load_layers(part.save(tmp_path / "part.nc")))
    np.testing.assert_array_equal(again.log_norm, whole.log_norm)
    np.testing.assert_array_equal(again.log_tan_half_angle, whole.log_tan_half_angle)
    for name in whole.observed:
        np.testing.assert_array_equal(again.observed[name], whole.observed[name])
    for found, expected in zip(again.last.matrices, whole.last.matrices, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (again.status == "ok").all()
    other = draw(fs.Gaussian(dim=3), 40, seed=2)
    with pytest.raises(ValueError, match="`resume` is another run: its data is"):
        RUNS[kind](other, resume=part)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"data": np.ones((3, 3))}, "`data` must be a DataSet, such as"),
        ({"data": DataSet([[1.0, 0.0, 0.0]], v=[1.0, 0.0, 0.0])}, "`data` must have a law"),
        ({"start": np.ones((1, 3))}, "`start` must be flowsim.Layers"),
        ({"start": fs.Layers([[[1.0, 0.0]]])}, "`start` must have inputs of dimension 3, that of the samples, but has 2"),
        ({"start": fs.Layers([np.full((1, 3), 1e200), [[1e200]]])}, "`start` must have predictors within the double range"),
        ({"step_size": 0.0}, "`step_size` must be positive"),
        ({"steps": [3, 2]}, "`steps` must increase strictly"),
        ({"observe": "layer_norm"}, "`observe` must be a sequence of names"),
        ({"observe": ["sharpness"]}, "`observe` must be one of .*smallest_margin, but is 'sharpness'"),
    ],
)
def test_bad_input_of_a_descent_is_refused(data: DataSet, words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_descent(**{"data": data, "start": fs.Layers([[[1.0, 0.0, 0.0]]]), "steps": 3, **words})


def test_bad_input_of_a_flow_is_refused(data: DataSet) -> None:
    start = fs.Layers([[[1.0, 0.0, 0.0]]])
    for words, message in (
        ({"times": [2.0, 1.0]}, "`times` must increase strictly"),
        ({"solver": "euler"}, "`solver` must be one of dopri8"),
        ({"rtol": 1.0}, r"`rtol` must be in \[1e-12, 0.001\]"),
        ({"max_steps": 0}, "`max_steps` must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            sample_flow(data, start, **{"times": [1.0], **words})
