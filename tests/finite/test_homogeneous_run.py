"""What is read off a run, against the same by hand; and its file."""

from dataclasses import fields, replace

import jax
import numpy as np
import pytest
from scipy.optimize import nnls

import flowsim as fs
from flowsim.finite import custom, deep_linear, homogeneous_descent, homogeneous_flow, load_homogeneous, log_log_times, squared_relu_network
from flowsim.finite.run import HomogeneousRun

DATA = fs.finite.mixture(n=6, dim=3, signal=1.5, seed=3, test=40)
NETWORK = squared_relu_network(dim=3, widths=[4])
LINEAR = deep_linear(dim=3, depth=2, width=2)


@pytest.fixture(scope="module")
def run() -> HomogeneousRun:
    found = homogeneous_flow(NETWORK, DATA, NETWORK.start(seed=0), log_log_times(1e4, count=30))
    found.require_ok()
    return found


@pytest.fixture(scope="module")
def linear() -> HomogeneousRun:
    found = homogeneous_flow(LINEAR, DATA, LINEAR.start(seed=2), log_log_times(1e4, count=20), loss="logistic")
    found.require_ok()
    return found


def gradients(run: HomogeneousRun, record: int) -> np.ndarray:
    """grad q_i at u, (P, n), by differences of outputs in each weight."""
    u, h = run.direction[record], 1e-6
    columns = []
    for k in range(u.size):
        ends = []
        for sign in (1.0, -1.0):
            moved = replace(run, direction=(u + sign * h * np.eye(u.size)[k])[None])
            ends.append(NETWORK.value(moved.layers(0), DATA.x))
        columns.append(DATA.y * (ends[0] - ends[1]) / (2.0 * h))
    return np.array(columns)


def test_margins_losses_and_weights_are_those_of_w(run: HomogeneousRun) -> None:
    for record in (0, 10, 17):
        w = [np.exp(run.log_norm[record]) * layer for layer in run.layers(record)]
        q = DATA.y * NETWORK.value(w, DATA.x)
        np.testing.assert_allclose(run.margins[record] * np.exp(3.0 * run.log_norm[record]), q, rtol=1e-9, atol=1e-12)
        assert run.normalised_margin[record] == pytest.approx(q.min() * np.exp(-3.0 * run.log_norm[record]), rel=1e-9)
        assert run.log_loss[record] == pytest.approx(np.log(np.exp(-q).mean()), abs=1e-9)
        np.testing.assert_allclose(run.weights[record], np.exp(-q) / np.exp(-q).sum(), rtol=1e-9)
        smoothed = -np.log(np.exp(-q).sum()) * np.exp(-3.0 * run.log_norm[record])
        assert run.smoothed_margin[record] == pytest.approx(smoothed, rel=1e-9)
        assert run.separated[record] == (np.exp(-q).sum() < 1.0)
        wrong = np.mean(DATA.test_y * NETWORK.value(w, DATA.test_x) <= 0.0)
        assert run.test_error[record] == pytest.approx(wrong)
        excess = sum(p * (s - q.min()) for p, s in zip(run.weights[record], q, strict=True)) / q.min()
        if q.min() > 0.0:
            assert run.slackness[record] == pytest.approx(excess, rel=1e-8)
        else:
            assert np.isnan(run.slackness[record])
    assert run.separated[17]
    assert not run.separated[0]
    least = run.margins.min(axis=1)
    np.testing.assert_array_equal(np.isnan(run.slackness), least <= 0.0)


def test_the_smoothed_margin_never_falls(run: HomogeneousRun, linear: HomogeneousRun) -> None:
    for each in (run, linear):
        late = each.smoothed_margin[each.separated]
        assert late.size > 8
        assert (np.diff(late) > -1e-10 * late[1:]).all()
        assert late[-1] > 1.1 * late[0]


def test_w_and_its_weights_solve_the_conditions_of_the_max_margin(run: HomogeneousRun) -> None:
    """Least |u - sum_i lambda_i grad q_i(u)| over all lambda >= 0, by non-negative least squares, bounds the residual from below."""
    residuals = []
    for record in (8, 20, -1):
        columns = gradients(run, record)
        down = columns @ run.weights[record]
        sine = np.linalg.norm(run.direction[record] - (run.direction[record] @ down) / (down @ down) * down)
        assert run.stationarity[record] == pytest.approx(sine, abs=1e-7)
        assert run.alignment_gap[record] == pytest.approx(1.0 - np.sqrt(1.0 - sine**2), abs=1e-8)
        multipliers, residual = nnls(columns, run.direction[record])
        assert residual <= run.stationarity[record] + 1e-7
        residuals.append(run.stationarity[record])
    assert residuals[0] > residuals[1] > residuals[2]
    assert residuals[2] < 0.05
    # the multipliers: of samples at the margin alone, and in the share in which these push
    assert run.slackness[-1] < 1e-3
    np.testing.assert_allclose(multipliers / multipliers.sum(), run.weights[-1], atol=0.05)
    assert multipliers.max() > 0.0


def test_a_linear_network_has_a_predictor(linear: HomogeneousRun) -> None:
    assert linear.predictor is not None
    for record in (0, 10, -1):
        first, last = linear.layers(record)
        product = (last @ first)[0]
        np.testing.assert_allclose(linear.predictor[record], product / np.linalg.norm(product), atol=1e-12)
    best = fs.samples.max_margin(DATA)
    distance = linear.distance_to(3.0 * best.direction)
    np.testing.assert_allclose(distance, 1.0 - linear.predictor @ best.direction, atol=1e-12)
    # two samples hold the margin in three dimensions; across both the first layer rests, while the last grows like sqrt(log t)
    assert best.support.size == 2
    late = linear.log_time > 300.0
    np.testing.assert_allclose((distance * linear.log_time)[late], distance[-1] * 1e4, rtol=0.02)
    assert distance[-1] < 1e-4
    # |W|^2 = 2 |w| of layers in balance, so that the margin of W is half of that of the separator
    assert linear.normalised_margin[-1] == pytest.approx(best.margin / 2.0, rel=2e-3)
    assert linear.rank_gap()[-1].max() < 0.01
    assert linear.layer_alignment_gap()[-1].max() < 1e-4


def with_layers(run: HomogeneousRun, *layers: np.ndarray) -> HomogeneousRun:
    """At one record, of matrices of one's own."""
    flat = np.concatenate([layer.ravel() for layer in layers])
    return replace(run, direction=flat[None], log_time=np.zeros(1), shapes=tuple(layer.shape for layer in layers))


def test_ranks_and_alignments_of_layers_that_are_known(run: HomogeneousRun) -> None:
    generator = np.random.default_rng(0)
    left = np.linalg.qr(generator.standard_normal((4, 4)))[0]
    right = np.linalg.qr(generator.standard_normal((3, 3)))[0]
    first = left[:, :3] @ np.diag([2.0, 0.5, 0.1]) @ right.T
    angle = 0.3
    last = -3.0 * (np.cos(angle) * left[:, 0] + np.sin(angle) * left[:, 2])[None]
    made = with_layers(run, first, last)
    np.testing.assert_array_equal(made.layers(0)[0], first)
    np.testing.assert_allclose(made.rank_gap(), [[0.25, 0.0]], atol=1e-14)
    np.testing.assert_allclose(made.layer_alignment_gap(), [[1.0 - np.cos(angle)]], rtol=1e-12)
    # without cancellation, and whatever the sense of the vectors
    near = with_layers(run, first, (left[:, 0] + 1e-7 * left[:, 1])[None])
    np.testing.assert_allclose(near.layer_alignment_gap(), 0.5e-14, rtol=1e-5)
    lost = replace(made, direction=np.full_like(made.direction, np.nan))
    assert np.isnan(lost.rank_gap()).all()
    assert np.isnan(lost.layer_alignment_gap()).all()


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_a_tail_of_a_path_that_is_known(run: HomogeneousRun, power: float) -> None:
    """z = 2 - 3 (log t)^-power: 3 (log t)^-power is left."""
    times = log_log_times(1e4, count=60)
    late = np.maximum(times, 0.6)
    made = replace(run, log_time=times, path_length=2.0 - 3.0 * late**-power)
    tail, exact = made.path_tail(), 3.0 * 1e4**-power
    assert tail.left == pytest.approx(exact, rel=0.02)
    assert tail.error < 0.02 * exact
    assert abs(tail.left - exact) < 5.0 * tail.error + 1e-6


def test_a_tail_that_does_not_end_is_infinite_and_a_short_one_is_refused(run: HomogeneousRun) -> None:
    times = log_log_times(1e4, count=60)
    for path in (np.log(np.maximum(times, 1.0)), np.maximum(times, 1.0)):
        tail = replace(run, log_time=times, path_length=path).path_tail()
        assert tail.left > 1e3
    resting = replace(run, log_time=times, path_length=np.ones(60)).path_tail()
    assert (resting.left, resting.error) == (0.0, 0.0)
    early = replace(run, log_time=np.linspace(0.0, 7.0, run.log_time.size))
    with pytest.raises(
        ValueError, match=r"`path_tail` needs a run to log t = 8 or further, with 6 records or more, but this went to 7: ok"
    ):
        early.path_tail()
    with pytest.raises(ValueError, match=r"went to 1e\+04: stopped"):
        replace(run, status="stopped").path_tail()


def test_the_tail_of_a_flow_is_what_is_left_of_it(run: HomogeneousRun) -> None:
    """Cut at log t = 300, and held against the path from there to 1e4 and the tail from there."""
    early = run.log_time <= 300.0
    cut = replace(run, log_time=run.log_time[early], path_length=run.path_length[early]).path_tail()
    walked = run.path_length[-1] - run.path_length[early][-1]
    # the error is an estimate too, and a path that has not settled falls outside of it by some times
    assert abs(cut.left - walked - run.path_tail().left) < 3.0 * cut.error
    assert run.path_tail().error < 0.1 * cut.error


# --- files and texts ---


def assert_same(first: HomogeneousRun, second: HomogeneousRun) -> None:
    for entry in fields(HomogeneousRun):
        one, other = getattr(first, entry.name), getattr(second, entry.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        else:
            assert one == other, entry.name


def test_a_saved_run_is_read_back_whole(run: HomogeneousRun, linear: HomogeneousRun, tmp_path) -> None:
    own = custom(lambda w, x: x @ w["a"], order=1, name="by hand")
    descent = homogeneous_descent(own, DATA, {"a": np.array([0.1, 0.2, -0.3])}, 0.1, [0, 200], loss="logistic", check=False)
    for k, each in enumerate((run, linear, descent, replace(run, status="stopped"))):
        path = each.save(tmp_path / f"{k}.nc")
        assert_same(load_homogeneous(path), each)
    assert descent.ok
    assert descent.predictor is None
    units = run.to_xarray()
    assert units["log_loss"].attrs["long_name"].startswith("log L")
    assert dict(units.sizes) == {"record": 30, "weight": 16, "sample": 6}


def test_what_is_no_run_is_not_read(run: HomogeneousRun, tmp_path) -> None:
    path = run.save(tmp_path / "run.nc")
    whole = path.read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.nc"):
        load_homogeneous(tmp_path / "cut.nc")
    (tmp_path / "other.nc").write_text("something else")
    with pytest.raises(ValueError, match=r"other\.nc"):
        load_homogeneous(tmp_path / "other.nc")
    run.to_xarray().assign_attrs(format="flowsim trajectory 1").to_netcdf(tmp_path / "flow.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"flow\.nc"):
        load_homogeneous(tmp_path / "flow.nc")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_homogeneous(tmp_path / "none.nc")
    with pytest.raises(OSError, match="nowhere"):
        run.save(tmp_path / "nowhere" / "run.nc")


def test_a_run_in_words(run: HomogeneousRun, linear: HomogeneousRun) -> None:
    text = str(run)
    assert "homogeneous-flow of squared ReLU, order 3, 16 weights: 30 records" in text
    assert "n = 6; exponential loss" in text
    assert "log t = -3 -> 10000" in text
    assert "status  reached the last record asked for" in text
    nothing = replace(run, log_norm=np.full(30, np.nan), status="solver_failed")
    assert "the solver could not go on" in str(nothing)
    assert run.config["data"]["digest"] == DATA.config()["digest"]
    assert {"network", "data", "loss", "rounding", "function", "solver", "rtol", "max_steps", "versions"} <= set(run.config)
    for status, words in fs.finite.STATUS.items():
        ended = replace(run, status=status)
        assert (ended.ok, ended.message) == (status == "ok", words)
        if status != "ok":
            with pytest.raises(RuntimeError, match="did not get to its last record"):
                ended.require_ok()


def test_questions_that_do_not_fit_are_refused(run: HomogeneousRun, linear: HomogeneousRun) -> None:
    with pytest.raises(ValueError, match="`distance_to` needs a linear network"):
        run.distance_to([1.0, 0.0, 0.0])
    for wrong in ([1.0, 0.0], [0.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match="`direction` must be a vector of 3 numbers, not 0, but is"):
            linear.distance_to(wrong)
    with pytest.raises(ValueError, match="`layers` are the matrices of a layered network, but this is 'by hand'"):
        replace(run, shapes=(), config={"network": {"network": "by hand"}}).layers(0)


def test_no_global_flag_is_touched(run: HomogeneousRun) -> None:
    assert run.direction.dtype == np.float64
    assert not jax.config.jax_enable_x64
