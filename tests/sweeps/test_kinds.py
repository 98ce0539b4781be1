"""What a chunk holds: the numbers of each run, held against that run alone, whatever it was run together with."""

from typing import Any

import numpy as np
import pytest

import flowsim as fs
from flowsim.dynamics.descent import log_steps
from flowsim.sweeps import CLASSES, KINDS, linear, log
from flowsim.sweeps.chunk import run_chunk as outcome_of
from flowsim.sweeps.kinds import kind as kinds
from flowsim.sweeps.kinds.exponents import exponents, late_records, slope
from flowsim.sweeps.kinds.kind import CODE, Part


def run_chunk(sweep: fs.Sweep, number: int) -> dict[str, np.ndarray]:
    """Of a chunk in which all can be run."""
    arrays, reasons = outcome_of(sweep, number)
    assert not reasons
    return arrays


def test_flows_of_several_laws_and_depths_are_the_single_flows() -> None:
    axes = {"law": ["gaussian", "sphere"], "depth": [1, 3], "norm": [0.5, 2.0]}
    fixed = {"time_last": 1e6, "records": 20, "angle": 2.0, "label_noise": 0.1}
    sweep = fs.Sweep("flow", axes, fixed, ["log_norm"], ["risk", "log_tan_half_angle"], ["norm_exponent", "solver_steps"])
    found = run_chunk(sweep, 0)
    assert found["log_norm"].shape == (2, 2, 2, 20)
    assert (found["status"] == CODE["ok"]).all()
    for i, law in enumerate((fs.Gaussian(), fs.Sphere())):
        for j, depth in enumerate((1, 3)):
            for k, norm in enumerate((0.5, 2.0)):
                run = fs.gradient_flow(fs.PopulationRisk(law, 0.1), fs.Start(norm, 2.0), fs.log_times(1e-2, 1e6, 20), depth)
                # the solver's steps are the same; batches round differently
                np.testing.assert_allclose(found["log_norm"][i, j, k], run.log_norm, rtol=1e-10, atol=1e-10)
                assert found["final_risk"][i, j, k] == pytest.approx(run.risk[-1], rel=1e-9)
                assert found["final_log_tan_half_angle"][i, j, k] == pytest.approx(run.log_tan_half_angle[-1], rel=1e-9)


def test_descents_are_the_single_descents_with_their_bursts_and_errors() -> None:
    axes = {"step_size": [0.1, 30.0], "depth": [1, 3]}
    names = ["log_norm", "side", "sharpness", "norm_error"]
    numbers = ["first_burst", "exact_steps", "covered_steps", "peak_sharpness", "direction_exponent"]
    sweep = fs.Sweep("descent", axes, {"steps": 10**5, "records": 30}, names, ["error_rate"], numbers)
    found = run_chunk(sweep, 0)
    record = log_steps(10**5, 30)
    assert sweep.records["step"].tolist() == record.tolist()
    ended = set()
    for i, eta in enumerate((0.1, 30.0)):
        for j, depth in enumerate((1, 3)):
            run = fs.gradient_descent(fs.PopulationRisk(fs.Gaussian()), fs.Start(), eta, record, depth)
            ended.add(str(run.status))
            assert found["status"][i, j] == CODE[str(run.status)]
            if run.ok and run.coverage.first_burst < 0:
                np.testing.assert_allclose(found["log_norm"][i, j], run.log_norm, rtol=1e-9, atol=1e-9)
                np.testing.assert_allclose(found["sharpness"][i, j], run.sharpness, rtol=1e-8)
                assert found["peak_sharpness"][i, j] == pytest.approx(run.sharpness.max(), rel=1e-8)
                assert found["exact_steps"][i, j] + found["covered_steps"][i, j] == 10**5
            assert found["first_burst"][i, j] == run.coverage.first_burst
            np.testing.assert_array_equal(np.isnan(found["log_norm"][i, j]), np.isnan(run.log_norm))
    assert len(ended) > 1, "not all of them end alike"


def test_a_map_is_the_regime_map() -> None:
    sizes, angles = np.geomspace(0.1, 50.0, 6), [0.5, 2.0, 3.0]
    axes = {"angle": angles, "step_size": log(0.1, 50.0, 6)}
    found = run_chunk(fs.Sweep("map", axes, {"steps": 1000, "depth": 2}, numbers=["regime", "first_burst", "norm_gap"]), 0)
    chart = fs.regime_map(fs.PopulationRisk(fs.Gaussian()), sizes, angles=angles, steps=1000, depth=2)
    np.testing.assert_array_equal(found["regime"], chart.code)
    np.testing.assert_array_equal(found["first_burst"], chart.first_burst)
    np.testing.assert_allclose(found["norm_gap"], chart.norm_gap, rtol=1e-6, atol=1e-9)
    assert len(set(found["regime"].ravel().tolist())) >= 3
    assert (found["status"] == CODE["ok"]).all()


def test_networks_of_one_shape_run_together_and_are_what_they_are_alone() -> None:
    # starts of one scale are not beside each other here, and are made together all the same
    axes = {"width": [1, 2], "seed": [3, 4, 5], "start_scale": [0.5, 1.0]}
    fixed = {"steps": 50, "records": 5, "dim": 2}
    found = run_chunk(fs.Sweep("layer-descent", axes, fixed, ["log_norm", "layer_norm"], ["imbalance"]), 0)
    risk = fs.PopulationRisk(fs.Gaussian(2))
    for i, width in enumerate((1, 2)):
        for j, scale in enumerate((0.5, 1.0)):
            start = fs.layers.gaussian(2, 2, width, scale, [3, 4, 5])
            run = fs.layer_descent(risk, start, 0.1, log_steps(50, 5), observe=["layer_norm", "imbalance"])
            np.testing.assert_allclose(found["log_norm"][i, :, j], run.log_norm, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(found["layer_norm"][i, :, j], run.observed["layer_norm"], rtol=1e-12)
            np.testing.assert_allclose(found["final_imbalance"][i, :, j], run.observed["imbalance"][:, -1], rtol=1e-9, atol=1e-14)


def test_a_flow_of_layers_from_a_balanced_start_is_the_plane() -> None:
    axes = {"angle": [1.0, 2.0], "norm": [0.5, 1.0]}
    fixed = {"start": "balanced", "times": [1.0, 10.0, 100.0], "width": 1, "solver": "dop853", "rtol": 1e-10}
    found = run_chunk(fs.Sweep("layer-flow", axes, fixed, ["log_norm"], ["log_tan_half_angle"]), 0)
    start = fs.Start(np.array([0.5, 1.0]), np.array([[1.0], [2.0]]))
    plane = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian()), start, [1.0, 10.0, 100.0], 2)
    np.testing.assert_allclose(found["log_norm"], plane.log_norm, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found["final_log_tan_half_angle"], plane.log_tan_half_angle[..., -1], rtol=1e-7)


def test_a_run_that_fails_has_its_status_and_leaves_the_others_alone() -> None:
    sweep = fs.Sweep("flow", {"max_steps": [3, 20_000], "norm": [1.0, 2.0]}, {"time_last": 1e6, "records": 4}, ["log_norm"])
    found = run_chunk(sweep, 0)
    assert found["status"].tolist() == [[CODE["step_cap"]] * 2, [CODE["ok"]] * 2]
    assert np.isnan(found["log_norm"][0, :, -1]).all()
    assert np.isfinite(found["log_norm"][1]).all()


def _spoilt(monkeypatch: pytest.MonkeyPatch, how: Exception) -> list[int]:
    """A flow whose batches cannot be run where the norm is 3."""
    sizes = []

    def run(common: Any, columns: Any, wanted: Any, records: Any) -> Part:
        sizes.append(columns["norm"].size)
        if (columns["norm"] == 3.0).any():
            raise how
        return Part(np.full(columns["norm"].size, "ok"), {"norm": np.repeat(columns["norm"][:, None], 2, axis=1)}, {})

    monkeypatch.setitem(KINDS, "flow", kinds.Kind(**{**vars(KINDS["flow"]), "run": run}))
    return sizes


@pytest.mark.parametrize(
    ("how", "status"), [(ValueError("no"), "refused"), (ZeroDivisionError("no"), "crashed"), (MemoryError(), "crashed")]
)
def test_an_element_that_cannot_be_run_never_takes_its_chunk_down(monkeypatch: pytest.MonkeyPatch, how: Exception, status: str) -> None:
    sizes = _spoilt(monkeypatch, how)
    found, reasons = outcome_of(fs.Sweep("flow", {"norm": linear(1.0, 16.0, 16)}, {"times": [1.0, 2.0]}, final=["norm"]), 0)
    assert reasons == {f"{type(how).__name__}: {how}": 1}
    assert found["status"].tolist() == [CODE[status] if r == 3 else CODE["ok"] for r in range(1, 17)]
    np.testing.assert_array_equal(found["final_norm"], [np.nan if r == 3 else r for r in range(1, 17)])
    # halved, not one by one
    assert sizes[:2] == [16, 8]
    assert len(sizes) == 9


def test_what_was_interrupted_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = lambda *_: Part(np.array(["ok", "stopped"]), {}, {})  # noqa: E731
    monkeypatch.setitem(KINDS, "flow", kinds.Kind(**{**vars(KINDS["flow"]), "run": stopped}))
    with pytest.raises(KeyboardInterrupt):
        run_chunk(fs.Sweep("flow", {"norm": [1.0, 2.0]}), 0)


class _Powers:
    """Runs of n = 2 whose quantities are powers of t."""

    time = np.geomspace(1.0, 1e8, 33)
    log_tan_half_angle = -np.stack([3.0 * time**0.4, time**1.5])
    log_norm = np.stack([0.6 * np.log(time), 0.2 * np.log(time) + 1.0])
    risk = np.stack([time**-0.7, np.where(time > 1e7, np.nan, 1.0)])


def test_exponents_of_powers_are_theirs_and_have_no_error() -> None:
    names = [f"{name}_exponent{end}" for name in ("direction", "norm", "risk") for end in ("", "_error")]
    found = exponents(_Powers, _Powers.time, names)
    np.testing.assert_allclose(found["direction_exponent"], [0.4, 1.5], rtol=1e-10)
    np.testing.assert_allclose(found["norm_exponent"], [0.6, 0.2], rtol=1e-10)
    np.testing.assert_allclose(found["norm_exponent_error"], 0.0, atol=1e-10)
    assert found["risk_exponent"][0] == pytest.approx(-0.7, rel=1e-10)
    assert np.isnan(found["risk_exponent"][1]), "a run that failed has no exponent"
    # theta = t^-1.8
    angle = type("Run", (), {"log_tan_half_angle": -1.8 * np.log(_Powers.time)[None]})
    assert float(exponents(angle, _Powers.time, ["angle_exponent"])["angle_exponent"][0]) == pytest.approx(1.8, rel=1e-10)


def test_the_error_of_an_exponent_tells_a_slope_that_changes() -> None:
    x = np.log(_Powers.time)
    bent = type("Run", (), {"log_norm": (0.01 * x**2)[None]})
    found = exponents(bent, _Powers.time, ["norm_exponent", "norm_exponent_error"])
    late = late_records(_Powers.time)
    middle = float(x[late].mean())
    assert float(found["norm_exponent"][0]) == pytest.approx(0.02 * middle, rel=1e-9)
    assert float(found["norm_exponent_error"][0]) == pytest.approx(0.02 * np.log(10.0), rel=0.15)
    assert float(slope(x[None], (3.0 * x)[None])[0]) == pytest.approx(3.0, rel=1e-12)


def test_every_name_that_can_be_recorded_is_recorded() -> None:
    for name, kind in KINDS.items():
        fixed: dict[str, Any]
        if not kind.series:
            fixed = {"steps": 100, **({"samples": 4, "dim": 20} if name == "mixture" else {"depth": 2})}
            sweep = fs.Sweep(name, {"label_noise": [0.1]} if name == "mixture" else {"angle": [1.0]}, fixed, numbers=list(kind.numbers))
        else:
            fixed = {"steps": 100} if "steps" in kind.lists else {"time_last": 1.0, "time_first": 0.1}
            fixed |= {"solver": "dop853", "rtol": 1e-6} if name == "layer-flow" else {}
            sweep = fs.Sweep(name, {"dim": [2]}, {**fixed, "records": 8}, list(kind.series), [], list(kind.numbers))
        found = run_chunk(sweep, 0)
        for key, variable in sweep.variables.items():
            assert found[key].shape == variable.shape, (name, key)
            assert found[key].dtype == variable.dtype
    assert tuple(KINDS["map"].numbers["regime"].kind) == tuple(CLASSES)
