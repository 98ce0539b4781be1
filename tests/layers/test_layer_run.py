"""What a run keeps: observables, files, and going on from an interruption bit for bit."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flowsim as fs
from flowsim.layers import observables, recording
from flowsim.layers.run import OBSERVABLES, LayerRun

TIMES = [0.5, 2.0, 6.0]
STEPS = [0, 5, 40, 90]


def flow(**more: Any) -> LayerRun:
    risk = fs.PopulationRisk(fs.Gaussian(dim=3))
    return fs.layer_flow(
        risk, fs.layers.gaussian(dim=3, depth=2, width=4, seeds=[0, 1]), TIMES, observe=["layer_norm", "sharpness"], **more
    )


def descent(**more: Any) -> LayerRun:
    risk = fs.PopulationRisk(fs.Gaussian(dim=3))
    return fs.layer_descent(risk, fs.layers.gaussian(dim=3, depth=3, width=2, seeds=[0, 1]), 0.2, STEPS, **more)


def same(one: LayerRun, other: LayerRun) -> None:
    for field in dataclasses.fields(LayerRun):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), field.name
        elif field.name in ("start", "last"):
            assert all(np.array_equal(x, y) for x, y in zip(a.matrices, b.matrices, strict=True))
        elif field.name in ("observed", "state"):
            assert a.keys() == b.keys()
            assert all(np.array_equal(a[key], b[key], equal_nan=True) for key in a)
        else:
            assert a == b, field.name


@pytest.mark.parametrize("make", [flow, descent])
def test_a_file_gives_the_run_again(make: Callable[..., LayerRun], tmp_path: Path) -> None:
    run = make()
    same(run, fs.layers.load_layers(run.save(tmp_path / "run.nc")))


@pytest.mark.parametrize("make", [flow, descent])
@pytest.mark.parametrize("kept", [1, 2])
def test_a_run_goes_on_from_a_checkpoint_bit_for_bit(
    make: Callable[..., LayerRun], kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after so many checkpoints: what is left is the file."""
    unbroken, saved, write = make(), [], LayerRun.save

    def save(self: LayerRun, path: Any) -> Path:
        if len(saved) == kept:
            raise SystemExit("killed")
        saved.append(write(self, path))
        return saved[-1]

    monkeypatch.setattr(LayerRun, "save", save)
    with pytest.raises(SystemExit):
        make(checkpoint=tmp_path / "run.nc", checkpoint_every=0.0)
    monkeypatch.undo()
    left = fs.layers.load_layers(tmp_path / "run.nc")
    assert (left.status == "stopped").all()
    assert not left.ok
    assert np.isnan(left.log_norm[:, -1]).all()
    same(unbroken, make(resume=left))


@pytest.mark.parametrize("make", [flow, descent])
def test_ctrl_c_keeps_what_was_reached_and_the_rest_can_follow(make: Callable[..., LayerRun], monkeypatch: pytest.MonkeyPatch) -> None:
    unbroken, keep, reached = make(), recording._Records.keep, []

    def press(self: Any, state: Any, reading: Any) -> None:
        if len(reached) == 2:
            reached.append(0)
            raise KeyboardInterrupt
        reached.append(1)
        keep(self, state, reading)

    monkeypatch.setattr(recording._Records, "keep", press)
    broken = make()
    assert (broken.status == "stopped").all()
    assert np.isfinite(broken.log_norm[:, :2]).all()
    assert np.isnan(broken.log_norm[:, 2:]).all()
    assert np.isfinite(broken.observed["layer_norm"][:, 1]).all()
    same(unbroken, make(resume=broken))


def test_another_run_is_no_continuation(tmp_path: Path) -> None:
    run = dataclasses.replace(descent(), state={"reached": np.asarray(1)})
    risk, start = run.problem, run.start
    for message, call in {
        "is a descent, but this run is a flow": lambda: flow(resume=run),
        "its step_size is 0.2, but 0.3 is asked for": lambda: fs.layer_descent(risk, start, 0.3, STEPS, resume=run),
        "its law is Gaussian": lambda: fs.layer_descent(fs.PopulationRisk(fs.Sphere(dim=3)), start, 0.2, STEPS, resume=run),
        "its times differ": lambda: fs.layer_descent(risk, start, 0.2, [0, 5], resume=run),
        "its teacher differ": lambda: fs.layer_descent(risk, start, 0.2, STEPS, v=[0.0, 1.0, 0.0], resume=run),
        "its start differ": lambda: fs.layer_descent(risk, fs.layers.he(3, 3, 2, seeds=[5, 6]), 0.2, STEPS, resume=run),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_a_finished_run_is_its_own_continuation() -> None:
    run = descent()
    assert run.state == {}
    assert descent(resume=run) is run


def test_every_observable_is_that_of_the_matrices_at_its_record() -> None:
    names = observables.KNOWN
    run = fs.layer_descent(
        fs.PopulationRisk(fs.Gaussian(dim=3)), fs.layers.gaussian(dim=3, depth=3, width=2, seeds=[0, 1]), 0.2, STEPS, observe=names
    )
    expected = observables.observe(names, run.last, run.start, run.problem, run.v)
    assert set(expected) == set(names) <= set(OBSERVABLES)
    for name, values in expected.items():
        assert run.observed[name][:, -1] == pytest.approx(values, rel=1e-9, abs=1e-12), name
    assert np.array_equal(run.stable_rank, (run.observed["layer_norm"] / run.observed["spectral_norm"]) ** 2)
    with pytest.raises(ValueError, match="needs the observable 'spectral_norm'"):
        _ = flow().stable_rank


def test_networks_are_refused_unless_they_multiply_to_one_row() -> None:
    for message, matrices in {
        "must be a sequence of 1 to 100 matrices": [],
        r"`matrices\[1\]` must have 2 columns": [np.eye(2), np.ones((1, 3))],
        "the last, must have one row": [np.eye(2)],
        r"`matrices\[0\]` must be finite": [[[np.nan, 1.0]]],
        "must have at least 2 columns": [[[1.0]]],
        r"`matrices\[1\]` must have shape \(2,\) \+ ": [np.ones((2, 2, 2)), np.ones((1, 2))],
    }.items():
        with pytest.raises(ValueError, match=message):
            fs.Layers(matrices)


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    path.write_bytes(b"no netCDF")
    with pytest.raises(ValueError, match="is not a flowsim run of layers, or is cut short"):
        fs.layers.load_layers(path)
    plane = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), [1.0]).save(path)
    with pytest.raises(ValueError, match="not a flowsim run of layers"):
        fs.layers.load_layers(plane)
