"""Regime maps: known cells, every class held against exact runs judged anew from each of their steps, files, Ctrl-C, bad input."""

import dataclasses

import h5netcdf
import numpy as np
import pytest
from numpy import nan

import flowsim as fs
from flowsim import sweeps, theory
from flowsim.sweeps import CLASSES, load_map, regime_map, regimes

LAST, EARLY = 20_000, 10_000
"""Beyond the steps that every cell takes one by one."""

ANGLES = np.array([0.0, 0.3, 0.8, 1.5, 2.3, 3.0, np.pi])


@pytest.fixture(scope="module")
def charts(gaussian):
    """Small maps over each axis, by depth or axis."""
    etas = np.geomspace(0.02, 60.0, 14) / gaussian.pull
    out = {depth: regime_map(gaussian, etas, angles=ANGLES, steps=LAST, depth=depth) for depth in (1, 2, 3, 5)}
    out["depth"] = regime_map(gaussian, etas, depths=[1, 2, 4, 9], steps=LAST)
    out["norm"] = regime_map(gaussian, etas, norms=[0.03, 0.4, 5.0, 60.0], steps=LAST, depth=2)
    return out


def stepped(risk, depth, eta, norm, angle, last):
    """s, log r, sigma and the side of w at every step, each (last + 1, runs): the layers (a, z) in the plane in NumPy, with log|z_perp|."""
    ratio, c = risk.profile.drag_ratio, risk.pull
    a = np.where(depth > 1, norm ** (1.0 / depth), 1.0)
    q, perp, side = norm ** (1.0 / depth) * np.cos(angle), np.log(norm) / depth + np.log(np.sin(angle)), np.ones_like(eta)
    out = np.full((4, last + 1, eta.size), nan)
    with np.errstate(all="ignore"):
        for k in range(last + 1):
            across = np.exp(perp)
            z, u = np.hypot(q, across), a ** (depth - 1.0)
            sign, r = np.sign(u), np.abs(u) * z
            good = np.isfinite(r) & (r < 1e130)
            held = np.where(good, r, 1.0)
            h, sigma = np.where(good, risk.growth(held), nan), eta * u * u * np.where(good, ratio(held), nan)
            cos = sign * q / z
            gap = np.where(cos > 0, (across / z) ** 2 / (1.0 + cos), 1.0 - cos)
            half = np.log(z + np.abs(q)) - perp
            out[:, k] = np.where(cos > 0, -half, half), np.log(r), sigma, sign * side
            a = np.where(depth > 1, a + eta * sign * a ** (depth - 2.0) * z * (h - c * gap), a)
            q, perp, side = q + eta * u * (c * gap + h * cos), perp + np.log(np.abs(1.0 - sigma)), side * np.sign(1.0 - sigma)
    return out


def judge(risk, depth, eta, norm, angle, path, last):
    """The class of one run from all its steps, (4, last + 1), by the definitions in the module's first lines."""
    s, log_r, sigma, side = path
    with np.errstate(all="ignore"):
        error = risk.pull * 2.0 / (1.0 + np.exp(-2.0 * s)) / risk.growth(np.exp(np.where(log_r < 300.0, log_r, 300.0)))
    aligned = np.maximum.accumulate(error < 1e-3)
    bursts = np.flatnonzero(aligned & (sigma > 2.0) & (error > 1.0))
    lost = np.flatnonzero(np.isnan(log_r) | (log_r > 300.0))
    if lost.size and lost[0] <= (EARLY if bursts.size else last):
        return "overflow"
    if bursts.size and depth > 2:
        return "edge"
    for end in (EARLY, last):
        tail = slice(end // 10, end + 1)
        if (sigma[tail] > 2.0).any() and (np.ptp(s[tail]) < 10.0 or bursts.size):
            return "edge"
    flow = fs.gradient_flow(risk, fs.Start(norm, angle), [eta * last], depth, solver=fs.SciPy("DOP853"))
    gap_s = abs(s[-1] - flow.log_tan_half_angle[0]) / max(abs(flow.log_tan_half_angle[0]), 1.0)
    if abs(log_r[-1] - flow.log_norm[0]) <= 0.1 and gap_s <= 0.1 and (sigma <= 1.0).all() and (side >= 0).all():
        return "flow"
    if depth > 1 and log_r[-1] < np.log(norm / 100.0):
        return "saddle"
    if error[-1] > 1.0:
        return "undecided"
    return "delayed" if sigma[-1] > 2.0 else "catapult" if (sigma > 2.0).any() else "other"


def test_sampled_cells_are_what_their_every_step_says(charts, gaussian):
    rng, found, wanted = np.random.default_rng(5), [], []
    columns = {"depth": [], "norm": [], "angle": [], "eta": []}
    for chart in charts.values():
        on_ray = np.isin(chart.values, (0.0, np.pi)) if chart.axis == "angle" else np.zeros(chart.values.size, dtype=bool)
        # every class, and as many cells again anywhere
        of_class = [np.argwhere((chart.names == name) & ~on_ray[:, None]) for name in CLASSES]
        cells = [cell for group in of_class for cell in rng.permutation(group)[:2]]
        cells += list(rng.permutation(np.argwhere(~on_ray[:, None] & np.ones_like(chart.code, dtype=bool)))[:6])
        for row, column in cells:
            here = {"depth": chart.depth, "norm": float(chart.start.norm), "angle": float(chart.start.angle)}
            here |= {chart.axis: chart.values[row], "eta": chart.step_sizes[column]}
            for name, values in columns.items():
                values.append(float(here[name]))
            found.append(chart.names[row, column])
    arrays = {name: np.array(values) for name, values in columns.items()}
    paths = stepped(gaussian, last=LAST, **arrays)
    for i in range(len(found)):
        here = {name: float(values[i]) for name, values in arrays.items()} | {"depth": int(arrays["depth"][i])}
        wanted.append(judge(gaussian, path=paths[:, :, i], last=LAST, **here))
    assert {"flow", "other", "catapult", "delayed", "edge", "overflow"} <= set(found)
    wrong = [(f, w, {n: float(v[i]) for n, v in arrays.items()}) for i, (f, w) in enumerate(zip(found, wanted, strict=True)) if f != w]
    calm = {"flow", "other", "delayed"}
    assert not [case for case in wrong if calm & set(case[:2])], wrong
    # beyond, runs are chaotic: their rounding decides a cell here and there
    assert len(wrong) <= 0.03 * len(found), wrong


def test_a_single_layer_converges_at_every_step_size(charts):
    chart = charts[1]
    assert set(chart.shares) == {"flow", "other", "catapult"}
    off = slice(1, -1)
    start = theory.sharpness(chart.risk, 1, chart.step_sizes, 1.0)
    assert (chart.names[off, start > 2.0] == "catapult").all()
    assert not (chart.names[:, start < 2.0 / 1.3] == "catapult").any()


def test_two_layers_change_at_eta_c_2_and_leave_the_flow_where_their_rate_does(gaussian):
    x = np.array([0.05, 0.16, 0.19, 1.0, 1.278, 1.9, 2.3, 3.0])
    chart = regime_map(gaussian, x / gaussian.pull, angles=[0.1, 0.5, 1.0], steps=LAST, depth=2)
    # -log(1 - x) = 1.1 x at x = 0.176
    expected = ["flow", "flow", "other", "other", "other", "other", "edge", "edge"]
    for names in chart.names:
        assert list(names) == expected
    # |1 - x| = exp(-x): as fast as the flow, but from alternating sides of v
    assert (np.abs(chart.direction_gap[:, 4]) < 0.02).all()
    # held at sigma = 2 with theta ~ k^(-1/2)
    assert (np.abs(chart.last_sharpness[:, 6:] - 2.0) < 0.3).all()
    np.testing.assert_allclose(chart.last_sharpness[:, 3], 1.0, rtol=1e-2)


@pytest.mark.parametrize("depth", [3, 6])
def test_deep_runs_pass_the_edge_and_burst_at_the_predicted_steps(gaussian, depth):
    etas = np.geomspace(0.01, 1.0, 41)
    chart = regime_map(gaussian, etas, angles=[0.2, 1.5], steps=LAST, depth=depth)
    for row, bursts in zip(chart.names, chart.first_burst, strict=True):
        first, late = int(np.argmax(row == "delayed")), int(np.argmax(row == "edge"))
        assert set(row[:first]) <= {"flow", "other"}
        assert set(row[first:late]) == {"delayed"}
        assert set(row[late:]) == {"edge"}
        # the predictions are for a run that starts aligned: they may be a cell off
        assert theory.edge(gaussian, depth, etas[first + 1]).step < LAST < theory.edge(gaussian, depth, etas[first - 2]).step
        assert theory.first_burst(gaussian, depth, etas[late + 1]).step_refined < LAST
        assert theory.first_burst(gaussian, depth, etas[late - 2]).step_refined > LAST
        assert (bursts[late : late + 8] > 0).all()
        assert (np.diff(bursts[late : late + 8]) < 0).all()


def test_large_steps_from_large_angles_overflow_and_the_ray_leads_to_the_saddle(charts):
    for depth in (3, 5):
        chart = charts[depth]
        assert (chart.names[-2, chart.step_sizes * chart.risk.pull > 20.0] == "overflow").all()
    for depth in (2, 3, 5):
        chart = charts[depth]
        assert (chart.names[-1, chart.step_sizes * chart.risk.pull < 0.5] == "saddle").all()
        assert (chart.names[0, chart.step_sizes * chart.risk.pull < 0.05] == "flow").all()
    assert "saddle" not in charts[1].shares


def test_a_row_is_the_same_on_any_axis(charts):
    np.testing.assert_array_equal(charts["depth"].code[0], charts[1].code[3])
    np.testing.assert_array_equal(charts["depth"].code[1], charts[2].code[3])
    # cells that a neighbour in the batch cannot touch: one alone
    chart = charts[3]
    for row, column in ((1, 2), (3, 8), (5, 12)):
        alone = regime_map(chart.risk, [chart.step_sizes[column]], angles=[chart.values[row]], steps=LAST, depth=3)
        assert alone.names.item() == chart.names[row, column]


def test_what_the_classes_rest_on_is_kept(charts):
    chart = charts[2]
    follows = chart.names == "flow"
    assert (np.abs(chart.norm_gap[follows]) <= 0.1).all()
    assert (np.abs(chart.direction_gap[follows]) <= 0.1).all()
    assert (chart.peak_sharpness[1:-1][chart.names[1:-1] == "catapult"] > 2.0).all()
    assert (chart.peak_sharpness[1:-1][chart.names[1:-1] == "other"] <= 2.0).all()
    assert sum(chart.shares.values()) == pytest.approx(1.0)
    assert chart.complete


def test_a_map_prints_in_four_lines_and_survives_its_file(charts, tmp_path):
    for chart in charts.values():
        lines = str(chart).splitlines()
        assert len(lines) == 4
        assert f"14 step sizes x {chart.values.size} {chart.axis}s, 20000 steps a cell" in lines[0]
        assert "follows the flow" in lines[3]
        again = load_map(chart.save(tmp_path / "map.nc"))
        for item in dataclasses.fields(chart):
            one, other = getattr(chart, item.name), getattr(again, item.name)
            if item.name in ("risk", "start"):
                assert str(one) == str(other) or one.config() == other.config()
            else:
                np.testing.assert_array_equal(one, other)
        assert str(again) == str(chart)
    assert [p.name for p in tmp_path.iterdir()] == ["map.nc"]


def test_files_that_are_no_maps_are_refused(charts, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: '.*gone\.nc'"):
        load_map(tmp_path / "gone.nc")
    whole = charts[1].save(tmp_path / "map.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is not a regime map, or is cut short"):
        load_map(tmp_path / "half.nc")
    run = fs.gradient_descent(charts[1].risk, fs.Start(), 0.1, [0, 1]).save(tmp_path / "run.nc")
    with pytest.raises(ValueError, match="is a netCDF file but not a regime map"):
        load_map(run)
    with h5netcdf.File(tmp_path / "map.nc", "a") as file:
        del file.attrs["map"]
    with pytest.raises(ValueError, match="is a regime map with parts missing"):
        load_map(tmp_path / "map.nc")


@pytest.mark.parametrize("stage", ["early", "late"])
def test_ctrl_c_keeps_the_cells_that_were_decided(charts, monkeypatch, stage):
    whole, calls, inner = charts[3], [], regimes.gradient_descent

    def descend(*args, **options):
        run = inner(*args, **options)
        calls.append(options)
        if stage == "early":
            return dataclasses.replace(run, status=np.where(np.arange(run.status.size) % 2, "stopped", run.status))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run

    monkeypatch.setattr(regimes, "gradient_descent", descend)
    chart = regime_map(whole.risk, whole.step_sizes, angles=ANGLES, steps=LAST, depth=3)
    assert not chart.complete
    decided = chart.names != "stopped"
    np.testing.assert_array_equal(chart.code[decided], whole.code[decided])
    assert "not reached" in str(chart)
    if stage == "early":
        odd = np.arange(chart.code.size).reshape(chart.code.shape) % 2 == 1
        assert not (decided & odd).any()
    assert len(calls) == (1 if stage == "early" else 2)
    assert set(chart.names[decided]) <= {"overflow", "saddle", "edge"}
    assert decided.any()


BAD = {
    "one of `angles`, `norms` and `depths` must be given, but none is": {"angles": None},
    "one of `angles`, `norms` and `depths` must be given, but `angles` and `norms` is": {"norms": [1.0]},
    "`step_sizes` must be positive and finite, but is 0": {"step_sizes": [0.0, 1.0]},
    "`step_sizes` must increase strictly, but 2 is followed by 1": {"step_sizes": [2.0, 1.0]},
    r"`step_sizes` must be one-dimensional, but has shape \(1, 1\)": {"step_sizes": [[1.0]]},
    r"`angles` must be in \[0, 3.14159\], but is 4": {"angles": [1.0, 4.0]},
    "`norms` must be positive": {"angles": None, "norms": [0.0]},
    "`depths` must be a whole number from 1 to 100, but is 1.5": {"angles": None, "depths": [1.5]},
    "`depths` must increase strictly": {"angles": None, "depths": [2, 2]},
    "`depth` must be left out where `depths` are given": {"angles": None, "depths": [2], "depth": 2},
    "`depth` must be a whole number from 1 to 100, but is 0": {"depth": 0},
    "`depth` must be one number": {"depth": [1, 2]},
    "`steps` must be a whole number, 100 or more, but is 99": {"steps": 99},
    "`start` must be one flowsim.Start": {"start": fs.Start([1.0, 2.0], 1.0)},
    "`risk` must be one flowsim.PopulationRisk, but is 3": {"risk": 3},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_by_name(gaussian, message):
    good = {"risk": gaussian, "step_sizes": [1.0], "angles": [1.0], "steps": 100}
    with pytest.raises(ValueError, match=message):
        regime_map(**good | BAD[message])


def test_label_noise_is_refused(risk_of):
    with pytest.raises(ValueError, match=r"`risk` must be free of label noise, but has 0\.1: its runs end at a minimiser"):
        sweeps.regime_map(risk_of("gaussian", 0.1), [1.0], angles=[1.0])
