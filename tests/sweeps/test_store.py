"""The store: what it holds, what counts as finished, and what it refuses."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import dask.array
import numpy as np
import pytest
import xarray

import flowsim as fs
from flowsim.sweeps import counts, engines, is_store, journal, log, names_of, open_sweep, run_sweep
from flowsim.sweeps import store as stores
from flowsim.sweeps.store import Store

Made = Callable[[], list[int]]


def test_it_opens_as_xarray_with_names_units_and_the_whole_configuration(tmp_path: Path, small: fs.Sweep) -> None:
    data = run_sweep(small, tmp_path / "a.zarr")
    assert dict(data.sizes) == {"step_size": 6, "depth": 2, "record": 2}
    assert data.log_norm.dims == ("step_size", "depth", "record")
    assert data.step_size.attrs == {"units": "1", "long_name": "step size eta", "spacing": "log"}
    assert data.step.values.tolist() == [1, 2]
    assert data.log_norm.attrs["units"] == "1"
    assert data.attrs["format"] == "flowsim sweep 1"
    assert json.loads(data.attrs["config"]) == small.config()
    assert json.loads(data.attrs["versions"])["flowsim"] == fs.__version__
    # anybody's xarray opens it, without a warning
    np.testing.assert_array_equal(xarray.open_zarr(tmp_path / "a.zarr", consolidated=False).final_risk, data.final_risk)
    run = fs.gradient_descent(fs.PopulationRisk(fs.Gaussian()), fs.Start(), float(data.step_size[3]), [1, 2], 2)
    np.testing.assert_allclose(data.log_norm[3, 1], run.log_norm, rtol=1e-13)
    assert counts(data.status) == {"ok": 12}
    assert names_of(data.status).shape == (6, 2)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path, small: fs.Sweep, quick: Made) -> None:
    run_sweep(small, tmp_path / "a.zarr")
    for chunk in (tmp_path / "a.zarr" / "log_norm" / "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(b"not a chunk")
    data = open_sweep(tmp_path / "a.zarr")
    assert isinstance(data.log_norm.data, dask.array.Array)
    assert data.log_norm.chunks == ((3, 3), (1, 1), (2,))
    assert data.final_risk.values.shape == (6, 2)
    with pytest.raises(RuntimeError):
        _ = data.log_norm.values


def test_names_of_laws_are_a_coordinate(tmp_path: Path, quick: Made) -> None:
    data = run_sweep(fs.Sweep("flow", {"law": ["gaussian", "sphere"], "norm": [1.0]}, {"time_last": 1.0}), tmp_path / "a.zarr")
    assert [str(name) for name in data.law.values] == ["gaussian", "sphere"]
    assert data.sel(law="sphere").final_log_norm.size == 1


def test_a_chunk_counts_from_its_mark_in_the_journal_on(tmp_path: Path, small: fs.Sweep, quick: Made, monkeypatch) -> None:
    store = Store.create(tmp_path / "a.zarr", small)
    assert store.journal.finished() == set()
    arrays, _ = stores_outcome(small, 2)
    store.write(2, arrays)
    assert store.journal.finished() == {2}
    assert [store.journal.holds(number) for number in range(4)] == [False, False, True, False]
    # another process, which was killed while it marked chunk 1
    (tmp_path / "a.zarr" / "journal" / "000" / "1.77.part").write_text('{"Va')
    assert store.journal.finished() == {2}
    assert not store.journal.holds(1)
    data = open_sweep(tmp_path / "a.zarr")
    assert counts(data.status) == {"pending": 9, "ok": 3}
    handed: list[int] = []
    work = engines.work
    monkeypatch.setattr(engines, "work", lambda path, identity, number: (handed.append(number), work(path, identity, number))[1])
    run_sweep(small, tmp_path / "a.zarr", resume=True)
    assert handed == [0, 1, 3]
    assert quick() == [2, 0, 1, 3]


def stores_outcome(sweep: fs.Sweep, number: int) -> tuple:
    return engines.run_chunk(sweep, number)


def test_the_journal_is_written_after_the_files_are_on_the_disk(tmp_path: Path, small: fs.Sweep, quick: Made, monkeypatch) -> None:
    store = Store.create(tmp_path / "a.zarr", small)
    events: list[str] = []
    tell = lambda path: events.append(path.relative_to(store.path).as_posix())  # noqa: E731
    monkeypatch.setattr(stores, "flush", tell)
    monkeypatch.setattr(journal, "flush", tell)
    store.write(1, stores_outcome(small, 1)[0])
    files = [event for event in events if (store.path / event).is_file()]
    assert files == ["status/c/0/1", "log_norm/c/0/1/0", "final_risk/c/0/1"]
    assert events[-2].startswith("journal/000/1."), "written beside"
    assert events[-1] == "journal/000", "and moved where it counts, last of all"
    assert {str(Path(file).parent) for file in files} <= set(events)


def test_a_full_disk_loses_nothing_that_was_finished(tmp_path: Path, small: fs.Sweep, quick: Made, monkeypatch) -> None:
    flush, count = stores.flush, [0]

    def full(path: Path) -> None:
        count[0] += 1
        if count[0] > 13:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(path)

    monkeypatch.setattr(stores, "flush", full)
    with pytest.raises(OSError, match=r"cannot write chunk 2 to '.*a\.zarr': No space left on device"):
        run_sweep(small, tmp_path / "a.zarr")
    monkeypatch.undo()
    assert Store(tmp_path / "a.zarr").journal.finished() == {0, 1}


def test_ctrl_c_in_the_middle_of_a_chunks_writing_is_heard_after_it(tmp_path: Path, small: fs.Sweep, quick: Made, monkeypatch) -> None:
    flush = stores.flush

    def interrupted(path: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        flush(path)

    monkeypatch.setattr(stores, "flush", interrupted)
    data = run_sweep(small, tmp_path / "a.zarr")
    assert counts(data.status) == {"pending": 9, "ok": 3}
    assert Store(tmp_path / "a.zarr").journal.finished() == {0}
    assert quick() == [0]


def test_a_store_is_made_whole_or_not_at_all(tmp_path: Path, small: fs.Sweep, monkeypatch) -> None:
    (tmp_path / "a.zarr.part").mkdir()
    (tmp_path / "a.zarr.part" / "left.txt").write_text("by one that was killed")

    def full(path: Path, sweep: fs.Sweep) -> None:
        path.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stores, "_make", full)
        with pytest.raises(OSError, match=r"cannot make the store '.*a\.zarr': No space left on device"):
            Store.create(tmp_path / "a.zarr", small)
    assert list(tmp_path.iterdir()) == []
    Store.create(tmp_path / "a.zarr", small)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]
    with pytest.raises(ValueError, match="exists already: resume it, or name another store"):
        Store.create(tmp_path / "a.zarr", small)
    with pytest.raises(OSError, match="cannot make the store"):
        Store.create(tmp_path / "no" / "such" / "a.zarr", small) if (tmp_path / "no").write_text("a file") else None


def test_another_sweeps_store_is_refused_with_the_difference(tmp_path: Path, small: fs.Sweep, quick: Made) -> None:
    run_sweep(small, tmp_path / "a.zarr")
    other = fs.Sweep(
        "descent", {"step_size": log(0.01, 2.0, 6), "depth": [1, 2]}, {"steps": [1, 2], "norm": 2.0}, ["log_norm"], [], chunk=3
    )
    with pytest.raises(ValueError, match="is the store of another sweep") as caught:
        run_sweep(other, tmp_path / "a.zarr", resume=True)
    message = str(caught.value)
    assert 'axes.step_size is {"log": [0.01, 1.0], "count": 6}, not {"log": [0.01, 2.0], "count": 6}' in message
    assert "fixed.norm is 1.0, not 2.0" in message
    assert 'final is ["risk"], not []' in message
    assert "depth" not in message.replace("axes.depth", "")


def test_other_versions_are_refused_unless_they_are_asked_for(tmp_path: Path, small: fs.Sweep, quick: Made) -> None:
    run_sweep(small, tmp_path / "a.zarr")
    about = tmp_path / "a.zarr" / "zarr.json"
    known = json.loads(about.read_text())
    versions = {**json.loads(known["attributes"]["versions"]), "jax": "0.0.1"}
    known["attributes"]["versions"] = json.dumps(versions)
    about.write_text(json.dumps(known))
    with pytest.raises(ValueError, match=r"was begun by other versions: jax 0\.0\.1 \(here .*\); further chunks may differ"):
        run_sweep(small, tmp_path / "a.zarr", resume=True)
    assert run_sweep(small, tmp_path / "a.zarr", resume=True, other_versions=True).status.size == 12


def test_two_runs_of_one_sweep_at_once_are_refused(tmp_path: Path, small: fs.Sweep, quick: Made) -> None:
    store = Store.create(tmp_path / "a.zarr", small)
    with store.journal.locked(), pytest.raises(ValueError, match="another process is running the sweep in"):
        run_sweep(small, tmp_path / "a.zarr", resume=True)
    run_sweep(small, tmp_path / "a.zarr", resume=True)


def test_what_is_no_store_is_told(tmp_path: Path, small: fs.Sweep, quick: Made) -> None:
    with pytest.raises(FileNotFoundError, match="no such store"):
        open_sweep(tmp_path / "a.zarr")
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        assert not is_store(tmp_path / name)
        with pytest.raises(ValueError, match="is not a sweep's store, or is cut short"):
            open_sweep(tmp_path / name)
    xarray.Dataset({"x": ("a", [1.0])}).to_zarr(tmp_path / "theirs.zarr", consolidated=False)
    with pytest.raises(ValueError, match="is a Zarr store but not a sweep's"):
        run_sweep(small, tmp_path / "theirs.zarr", resume=True)
    run_sweep(small, tmp_path / "a.zarr")
    assert is_store(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr" / "log_norm")
    for opened in (Store, open_sweep):
        with pytest.raises(ValueError, match="is a sweep's store with parts missing"):
            opened(tmp_path / "a.zarr")


def test_reasons_are_kept_and_those_of_a_chunk_counted_once(tmp_path: Path, small: fs.Sweep, quick: Made) -> None:
    store = Store.create(tmp_path / "a.zarr", small)
    for number, reasons in ((0, {"ValueError: no": 2}), (1, {"ValueError: no": 1, "MemoryError: ": 1}), (0, {"ValueError: no": 2})):
        store.write(number, stores_outcome(small, number)[0], reasons)
    assert store.journal.reasons() == {"ValueError: no": 3, "MemoryError: ": 1}


def test_names_are_of_codes_alone(tmp_path: Path, small: fs.Sweep, quick: Made) -> None:
    data = run_sweep(small, tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="`values` must be an array of codes, such as status or regime, but is 'final_risk'"):
        names_of(data.final_risk)
