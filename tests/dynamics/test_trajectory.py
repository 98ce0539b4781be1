"""What a run returns: files, print, indexing, exponents."""

import numpy as np
import pytest
import xarray
from scipy import stats

import flowsim as fs
from flowsim.dynamics import rerun

TIMES = [1e-2, 1.0, 1e2, 1e4, 1e6]


@pytest.fixture(scope="module")
def runs(risk_of):
    gaussian, noisy, radial = risk_of("gaussian"), risk_of("laplace", 0.1), risk_of("gamma")
    return {
        "flow": fs.gradient_flow(gaussian, fs.Start(1.0, 2.8), TIMES, 1),
        "flow batch": fs.gradient_flow(gaussian, fs.Start([[1.0, 2.0]], [[2.8], [0.0], [np.pi]]), TIMES, [2, 3]),
        "flow of laws": fs.gradient_flow([gaussian, noisy, radial], fs.Start(1.0, 2.0), TIMES, 3),
        "flow, one time": fs.gradient_flow(gaussian, fs.Start(1.0, 2.0), 3.0, 1),
        "descent": fs.gradient_descent(radial, fs.Start(1.0, 2.0), 0.1, 100, 3),
        "descent batch": fs.gradient_descent([noisy, radial], fs.Start(1.0, 2.0), [[0.1], [0.3], [0.7]], 100, 2),
        "schedule": fs.gradient_descent(gaussian, fs.Start([1.0, 2.0], 2.0), fs.Schedule(1 / np.arange(1.0, 51.0)), 50, 2),
        "overflow": fs.gradient_descent(gaussian, fs.Start(5.0, 2.0), 10.0, 50, 5),
        "step cap": fs.gradient_flow(gaussian, fs.Start(1.0, 2.0), TIMES, 1, solver="dop853", max_steps=3),
    }


RUNS = ["flow", "flow batch", "flow of laws", "flow, one time", "descent", "descent batch", "schedule", "overflow", "step cap"]


def assert_same(one, other):
    assert one.kind == other.kind
    assert one.shape == other.shape
    for field in ("time", "step", "log_norm", "log_tan_half_angle", "side", "depth", "step_size"):
        a, b = getattr(one, field), getattr(other, field)
        assert (a is None) == (b is None), field
        if a is not None:
            assert a.dtype == b.dtype, field
            assert a.shape == b.shape, field
            np.testing.assert_array_equal(a, b, err_msg=field)
    np.testing.assert_array_equal(one.status.astype(str), other.status.astype(str))
    np.testing.assert_array_equal(one.start.norm, other.start.norm)
    np.testing.assert_array_equal(one.start.angle, other.start.angle)
    assert [r.config() for r in one.risks.ravel()] == [r.config() for r in other.risks.ravel()]
    assert one.config == other.config


@pytest.mark.parametrize("name", RUNS)
def test_a_file_gives_back_every_bit(runs, name, tmp_path):
    run = runs[name]
    path = run.save(tmp_path / "run.nc")
    again = fs.load(path)
    assert_same(run, again)
    np.testing.assert_array_equal(again.risk, run.risk)
    assert str(again) == str(run)
    assert [p.name for p in tmp_path.iterdir()] == ["run.nc"]


@pytest.mark.parametrize("name", ["flow", "flow batch", "flow of laws", "descent", "descent batch", "schedule"])
def test_a_file_runs_again_to_the_same_bits(runs, name, tmp_path):
    again = rerun(fs.load(runs[name].save(tmp_path / "run.nc")))
    np.testing.assert_array_equal(again.log_norm, runs[name].log_norm)
    np.testing.assert_array_equal(again.log_tan_half_angle, runs[name].log_tan_half_angle)


def test_a_file_replaces_an_older_one(runs, tmp_path):
    path = tmp_path / "run.nc"
    runs["flow"].save(path)
    runs["descent"].save(path)
    assert fs.load(path).kind == "descent"


def test_long_schedules_and_many_runs_fit_in_a_file(gaussian, tmp_path):
    run = fs.gradient_descent(gaussian, fs.Start(), fs.Schedule(np.linspace(0.01, 0.02, 20_000)), 20_000, 2)
    np.testing.assert_array_equal(fs.load(run.save(tmp_path / "long.nc")).config["schedule"], run.config["schedule"])
    run = fs.gradient_descent(gaussian, fs.Start(np.linspace(1.0, 2.0, 1500), 1.0), 0.1, [5], 2)
    assert fs.load(run.save(tmp_path / "wide.nc")).shape == (1500,)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: '.*absent\.nc'"):
        fs.load(tmp_path / "absent.nc")
    with pytest.raises(FileNotFoundError, match="no such file"):
        fs.load(tmp_path)


def test_a_file_cut_short_is_refused(runs, tmp_path):
    whole = runs["flow batch"].save(tmp_path / "run.nc").read_bytes()
    for part in (0, 1, 100, len(whole) // 3, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        path = tmp_path / f"cut{part}.nc"
        path.write_bytes(whole[:part])
        with pytest.raises(ValueError, match=rf"cut{part}\.nc' is not a flowsim run, or is cut short"):
            fs.load(path)


def test_what_is_no_run_is_refused(tmp_path):
    text = tmp_path / "notes.nc"
    text.write_text("not a netCDF file\n" * 50)
    with pytest.raises(ValueError, match=r"notes\.nc' is not a flowsim run, or is cut short"):
        fs.load(text)
    foreign = tmp_path / "foreign.nc"
    xarray.Dataset({"temperature": ("x", [1.0, 2.0])}).to_netcdf(foreign, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"foreign\.nc' is a netCDF file but not a flowsim run"):
        fs.load(foreign)


@pytest.mark.parametrize("missing", ["log_norm", "status", "start_norm", "depth"])
def test_a_run_with_parts_missing_is_refused(runs, tmp_path, missing):
    path = tmp_path / "part.nc"
    runs["flow"].to_xarray().drop_vars(missing).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match=rf"part\.nc' is a flowsim run with parts missing \(KeyError.*{missing}"):
        fs.load(path)


def test_a_path_that_cannot_be_written_is_named(runs, tmp_path):
    with pytest.raises(OSError, match=r"cannot write '.*nowhere/run\.nc'"):
        runs["flow"].save(tmp_path / "nowhere" / "run.nc")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write '.*file/run\.nc'"):
        runs["flow"].save(tmp_path / "file" / "run.nc")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"cannot write '.*folder'"):
        runs["flow"].save(tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_prints_six_lines(runs, name):
    lines = str(runs[name]).splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(f"{runs[name].kind} of depth ")
    assert [line.split()[0] for line in lines[1:]] == ["law", "span", "norm", "s", "status"]
    assert runs[name].message in lines[-1]


def test_the_message_counts_the_runs_of_a_batch(runs):
    assert "2 of 6 runs: the run falls into the saddle" in runs["flow batch"].message
    assert runs["flow"].message == "reached the last time asked for"


def test_a_batch_is_indexed_like_an_array(runs):
    batch = runs["flow batch"]
    assert batch.shape == (3, 2)
    assert batch[1].shape == (2,)
    assert batch[:, 0].shape == (3,)
    assert batch[1:, ::-1].shape == (2, 2)
    assert batch[[0, 2]].shape == (2, 2)
    assert batch[np.array([True, False, True])].shape == (2, 2)
    one = batch[0, 1]
    assert one.shape == ()
    np.testing.assert_array_equal(one.log_norm, batch.log_norm[0, 1])
    np.testing.assert_array_equal(one.risk, batch.risk[0, 1])
    assert int(one.depth) == 3
    assert float(one.start.norm) == 2.0
    assert float(one.start.angle) == 2.8
    assert one.problem is batch.risks[0, 1]
    with pytest.raises(ValueError, match="a single run has no batch to index"):
        one[0]
    with pytest.raises(IndexError):
        batch[3]
    with pytest.raises(IndexError):
        batch[0, 0, 0]
    with pytest.raises(ValueError, match="no single risk"):
        _ = batch.problem


def test_an_indexed_descent_has_its_own_clock(runs):
    batch = runs["descent batch"]
    one = batch[2, 1]
    np.testing.assert_array_equal(one.time, 0.7 * one.step)
    assert float(one.step_size) == 0.7
    again = rerun(one)
    # a batch and a single run are compiled apart: rounding
    np.testing.assert_allclose(again.log_norm, one.log_norm, atol=1e-13)
    np.testing.assert_allclose(again.log_tan_half_angle, one.log_tan_half_angle, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(again.time, one.time)


def test_risk_and_error_rate_are_those_of_each_runs_own_risk(runs):
    batch = runs["flow of laws"]
    for i in range(3):
        risk = batch.risks[i]
        np.testing.assert_allclose(batch.risk[i], risk.value(batch.norm[i], batch.angle[i]), rtol=1e-12)
        np.testing.assert_allclose(batch.error_rate[i], risk.error_rate(batch.angle[i]), rtol=1e-14)
    # where theta underflows the risk is the aligned one
    deep = batch[0]
    assert deep.angle[-1] == 0.0
    np.testing.assert_allclose(deep.risk[-1], deep.problem.aligned(deep.norm[-1]), rtol=1e-14)


@pytest.mark.parametrize("quantity", ["direction", "norm", "risk"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_exponent_of_a_flow_is_the_slope_of_its_logarithms(risk_of, quantity, noise, depth):
    # five times 1 % apart: a fourth-order difference at the middle one
    times = 3.0 * 1.01 ** np.arange(-2, 3)
    flow = fs.gradient_flow(risk_of("gaussian", noise), fs.Start(1.0, 0.9), times, depth)
    x = {"direction": -flow.log_tan_half_angle, "norm": flow.norm, "risk": flow.risk}[quantity]
    y = np.log(x)
    slope = (y[0] - 8 * y[1] + 8 * y[3] - y[4]) / (12 * np.log(1.01))
    # the solver's 1e-11 over 1 %
    assert flow.local_exponent(quantity)[2] == pytest.approx(slope, abs=3e-8)


def test_the_exponent_of_a_descent_tends_to_that_of_the_flow(gaussian):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, 1.0), 0.01, 100_000, 1)
    flow = fs.gradient_flow(gaussian, fs.Start(1.0, 1.0), run.time[-40:-1:8], 1)
    for quantity in ("direction", "norm", "risk"):
        # differences over records 6 % apart, and steps of 0.01 against t = 100 .. 1000
        np.testing.assert_allclose(run.local_exponent(quantity)[-40:-1:8], flow.local_exponent(quantity), atol=2e-3)


def test_the_first_exponents_of_a_descent_are_unknown_not_zero(gaussian):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, 1.0), 0.1, 100, 1)
    # log t is -inf at the first record: there is no slope across it
    early = run.local_exponent("norm")[1]
    truth = float(np.diff(run.log_norm[[1, 2]])[0] / np.log(run.step[2] / run.step[1]))
    assert np.isnan(early) or early == pytest.approx(truth, rel=0.5)


def test_an_exponent_of_a_single_record_is_refused_with_a_reason(gaussian):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, 1.0), 0.1, [100], 1)
    with pytest.raises(ValueError, match="record"):
        run.local_exponent()


def test_the_exponent_survives_a_norm_below_the_doubles(gaussian):
    flow = fs.gradient_flow(gaussian, fs.Start(1.0, np.pi), [1e2, 1e4], 2)
    # |w| = exp(-2 c t) there, below 1e-308 at t = 1e4: d log r/d log t = -2 c t
    assert flow.local_exponent("norm")[1] == pytest.approx(-2 * gaussian.pull * 1e4, rel=1e-6)


@pytest.mark.parametrize("name", RUNS)
def test_a_dataset_has_units_and_names_on_everything(runs, name):
    run = runs[name]
    data = run.to_xarray()
    for variable in ("norm", "log_norm", "log_tan_half_angle", "angle", "risk", "error_rate"):
        assert data[variable].dims == (*(f"batch_{i}" for i in range(len(run.shape))), "record")
        assert data[variable].attrs["long_name"]
        assert data[variable].attrs["units"] == ("rad" if variable == "angle" else "1")
        np.testing.assert_array_equal(data[variable].values, getattr(run, variable))
    assert data["time"].attrs["units"] == "1"
    assert "time" in data.coords
    assert ("step" in data.coords) == (run.kind == "descent")
    for variable in data.variables.values():
        assert variable.attrs.get("long_name")
    assert data.attrs["kind"] == run.kind
    for fact in ("flowsim", "jax", "diffrax", "scipy", "numpy"):
        assert fact in data.attrs["config"]
    codes = data["status"].values.ravel()
    meanings = data["status"].attrs["flag_meanings"].split()
    assert [meanings[c] for c in codes] == [str(s) for s in run.status.ravel()]


def test_a_radial_law_of_keywords_survives_a_file(tmp_path):
    risk = fs.PopulationRisk(fs.Radial(2, stats.gamma(a=3.0, scale=0.5)), 0.05)
    run = fs.gradient_descent(risk, fs.Start(), 0.1, 5)
    again = fs.load(run.save(tmp_path / "run.nc"))
    assert again.problem.config() == risk.config()
    np.testing.assert_array_equal(again.risk, run.risk)
