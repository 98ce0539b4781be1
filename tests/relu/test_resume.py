"""Stopped, killed, saved, resumed: every number is that of an unbroken run, to the last bit."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import jax
import numpy as np
import pytest

from flowsim.relu import Images, load_relu, resume, train, training


def interrupt_after(monkeypatch, calls):
    """Ctrl-C in the place of a call of compiled code, once so many have gone well."""
    inner, left = training._descend_all, [calls]

    def descend(*args):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return inner(*args)

    monkeypatch.setattr(training, "_descend_all", descend)


@pytest.mark.parametrize("calls", [0, 1, 3, 5])
def test_a_run_stopped_saved_and_resumed_is_the_unbroken_one(images, setting, unbroken, same, monkeypatch, tmp_path, calls):
    with monkeypatch.context() as patch:
        interrupt_after(patch, calls)
        stopped = train(images, **setting)
    assert (stopped.status == "stopped").all()
    assert stopped.state is not None
    assert 0 <= stopped.reached < 60
    seen = int(np.searchsorted(stopped.step, stopped.reached, side="right"))
    for name in ("train_loss", "log_product_norm"):
        np.testing.assert_array_equal(getattr(stopped, name)[..., :seen], getattr(unbroken, name)[..., :seen])
        assert np.isnan(getattr(stopped, name)[..., seen:]).all()
    loaded = load_relu(stopped.save(tmp_path / "run.nc"))
    same(loaded, stopped)
    for matrix, kept in zip(loaded.state.weights, stopped.state.weights, strict=True):
        np.testing.assert_array_equal(matrix, kept)
    same(resume(loaded, images), unbroken)


def test_calls_of_one_step_each_give_the_same_numbers(images, setting, unbroken, same, monkeypatch):
    """Where the compiled code is left and entered again makes no difference."""
    monkeypatch.setattr(training, "_PATIENCE", 0.0)
    same(train(images, **setting), unbroken)


def test_a_run_stopped_between_its_last_step_and_its_last_record_is_not_taken_for_finished(images, setting, unbroken, same, tmp_path):
    work = training._Training(replace(unbroken, state=first_state(images, setting, unbroken)), images)
    with jax.enable_x64(True):
        while work._place.step < 60:
            work.advance()
    stopped = work.run()
    assert stopped.reached == 60
    assert (stopped.status == "stopped").all()
    same(resume(load_relu(stopped.save(tmp_path / "run.nc")), images), unbroken)


def first_state(images, setting, unbroken):
    """Of step 0."""
    from flowsim.relu import State, start

    sizes, grid = (6, 8, 8, 3), unbroken.status.shape
    layers = [[[w[layer] for w in (start(sizes, s, scale=a) for s in range(2))] for a in setting["weight_scales"]] for layer in range(3)]
    return State(0, tuple(np.array(np.broadcast_to(m, (*grid, *np.shape(m)[2:]))) for m in layers))


def test_a_killed_process_is_resumed_from_its_checkpoint(tmp_path):
    """SIGKILL leaves no time to save: what is there is the last checkpoint, whole."""
    code = """
import numpy as np, sys
from flowsim.relu import Images, train
x, y = np.random.default_rng(0).uniform(size=(40, 6)), np.tile([0, 1], 20)
words = dict(seeds=1, depth=2, width=4, batch=8, steps=np.arange(400_000))
train(Images(x, y, x, y, "small", 2), [0.1], **words, checkpoint=sys.argv[1], interval=0.0)
"""
    path = tmp_path / "run.nc"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)])
    deadline = time.monotonic() + 60.0
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    begun = load_relu(path)
    assert (begun.status == "stopped").all()
    reached = begun.reached
    x, y = np.random.default_rng(0).uniform(size=(40, 6)), np.tile([0, 1], 20)
    images, short = Images(x, y, x, y, "small", 2), np.arange(reached + 11)
    words = {"seeds": 1, "depth": 2, "width": 4, "batch": 8, "steps": short}
    unbroken = train(images, [0.1], **words)
    cut = {name: getattr(begun, name)[..., : short.size] for name in ("step", *training.MEASURED)}
    resumed = resume(replace(begun, **cut), images)
    for name in training.MEASURED:
        np.testing.assert_array_equal(getattr(resumed, name), getattr(unbroken, name))


def test_checkpoints_hold_what_was_reached_and_a_full_disk_does_not_end_the_run(images, setting, unbroken, same, monkeypatch, tmp_path):
    seen = []
    inner = training.ReluRun.save
    monkeypatch.setattr(training.ReluRun, "save", lambda run, path: seen.append(run.reached) or inner(run, path))
    same(train(images, **setting, checkpoint=tmp_path / "run.nc", interval=0.0), unbroken)
    assert seen == sorted(seen)
    assert {0, 1, 10, 40} <= set(seen)
    same(resume(load_relu(tmp_path / "run.nc"), images), unbroken)
    with pytest.warns(RuntimeWarning, match=r"no checkpoint: cannot write '.*gone/run.nc'"):
        same(train(images, **setting, checkpoint=tmp_path / "gone" / "run.nc", interval=0.0), unbroken)


def test_a_finished_run_is_saved_whole(images, unbroken, same, tmp_path):
    again = load_relu(unbroken.save(tmp_path / "run.nc"))
    same(again, unbroken)
    assert resume(again, images) is again
    assert str(again) == str(unbroken)
    data = again.to_xarray()
    assert data["train_loss"].dims == ("step_size", "scaling", "seed", "record")
    assert data["time"].dims == ("step_size", "record")
    assert all(data[name].attrs["long_name"] for name in [*data.data_vars, *data.coords])
    config = json.loads(data.attrs["config"])
    assert set(config["versions"]) == {"flowsim", "jax", "optax", "numpy"}
    assert config["images"] == {"name": "small", "digest": images.digest, "train": 42, "test": 18}


def test_other_images_are_refused(images, unbroken):
    other = Images(images.x_train + 1.0, images.y_train, images.x_test, images.y_test, "other", 3)
    with pytest.raises(ValueError, match="`images` must be those the run began with, 'small', but are others, from 'other'"):
        resume(unbroken, other)


def test_files_that_are_not_runs_are_refused(unbroken, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_relu(tmp_path / "gone.nc")
    whole = unbroken.save(tmp_path / "run.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is not a run of ReLU networks, or is cut short"):
        load_relu(tmp_path / "half.nc")
    unbroken.to_xarray().drop_vars("train_loss").to_netcdf(tmp_path / "part.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="a run of ReLU networks with parts missing"):
        load_relu(tmp_path / "part.nc")


def test_a_run_describes_itself_in_six_lines(unbroken):
    lines = str(unbroken).splitlines()
    assert [line.split()[0] for line in lines] == ["ReLU", "over", "span", "error", "norm", "status"]
    assert "8 runs, 8 records" in lines[0]
    assert "eta = 0.05 .. 0.2, weights x 1 .. 2, data x 1 .. 3, 2 seeds" in lines[1]
    norms = [np.exp(np.median(unbroken.log_product_norm[..., i])) for i in (0, -1)]
    assert [float(word) for word in lines[4].split()[1:4:2]] == pytest.approx(norms, rel=5e-3)
