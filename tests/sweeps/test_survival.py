"""Sweeps that are killed, interrupted, starved of disk or of workers: what was finished stays, and what is resumed is the unbroken run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest

import flowsim as fs
from flowsim.sweeps import counts, engines, open_sweep, run_sweep
from flowsim.sweeps.journal import Journal
from flowsim.sweeps.store import Store

PATIENCE = 120.0


class Begun:
    """A `flowsim sweep` in a process of its own."""

    def __init__(self, file: Path, store: Path, *words: object, limit: int | None = None) -> None:
        self.store = store
        limited = (
            f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2); from flowsim.cli import main; sys.exit(main())"
        )
        begin = ["-m", "flowsim"] if limit is None else ["-c", f"import sys; {limited}"]
        self.process = subprocess.Popen(
            [sys.executable, *begin, "sweep", str(file), "-o", str(store), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finished(self) -> set[int]:
        return Journal(self.store / "journal").finished() if (self.store / "journal").exists() else set()

    def until(self, count: int) -> set[int]:
        """Wait until so many chunks are finished."""
        end = time.monotonic() + PATIENCE
        while len(done := self.finished()) < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        return done

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def written(store: Path) -> dict[str, int]:
    """When each chunk's file of an array was written."""
    return {path.name + path.parent.name: path.stat().st_mtime_ns for path in (store / "status" / "c").rglob("*") if path.is_file()}


def the_same(path: Path, other: Path) -> None:
    """Bit for bit: every array of two stores."""
    one, two = open_sweep(path), open_sweep(other)
    assert set(one.variables) == set(two.variables)
    for name in one.variables:
        assert one[name].dtype == two[name].dtype
        assert one[name].values.tobytes() == two[name].values.tobytes(), name
    assert one.attrs["config"] == two.attrs["config"]


def resumed(file: Path, store: Path, whole: Path) -> None:
    """Goes on to the unbroken run, and writes nothing again that was finished."""
    sweep, before, done = fs.Sweep.from_toml(file), written(store), Journal(store / "journal").finished()
    assert 0 < len(done) < sweep.grid.count, "it was killed in the middle"
    places = {"".join(map(str, reversed(sweep.grid.place(number)))): number for number in range(sweep.grid.count)}
    run_sweep(sweep, store, resume=True)
    the_same(store, whole)
    after = written(store)
    assert all(after[name] == when for name, when in before.items() if places[name] in done)


def test_one_process_killed(many: tuple[Path, Path], tmp_path: Path) -> None:
    file, whole = many
    run = Begun(file, tmp_path / "a.zarr")
    run.until(2)
    run.kill()
    assert counts(open_sweep(tmp_path / "a.zarr").status)["pending"] > 0
    resumed(file, tmp_path / "a.zarr", whole)


def test_a_process_among_several_killed_and_then_all(many: tuple[Path, Path], tmp_path: Path) -> None:
    file, whole = many
    run = Begun(file, tmp_path / "a.zarr", "--workers", 2)
    run.until(2)
    worker = next(child for child in psutil.Process(run.process.pid).children() if "spawn_main" in " ".join(child.cmdline()))
    worker.kill()
    # it is replaced, and the sweep goes on
    done = run.until(6)
    run.kill()
    assert len(done) < 12
    resumed(file, tmp_path / "a.zarr", whole)


@pytest.mark.parametrize("words", [(), ("--workers", 2)])
def test_ctrl_c_ends_it_cleanly(many: tuple[Path, Path], tmp_path: Path, words: tuple) -> None:
    file, _ = many
    run = Begun(file, tmp_path / "a.zarr", *words)
    run.until(1)
    children = psutil.Process(run.process.pid).children(recursive=True)
    # to the one process, as `kill` sends it; a terminal sends it to all
    run.process.send_signal(signal.SIGINT)
    code, out, err = run.end()
    left = counts(open_sweep(tmp_path / "a.zarr").status).get("pending", 0)
    assert code == 130, err
    assert err.splitlines()[-1].endswith(f"flowsim: error: interrupted; {left} runs are left, --resume goes on with them")
    assert "Traceback" not in err
    assert f"{left} not run yet" in out
    psutil.wait_procs(children, timeout=10.0)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_a_full_disk_is_told_and_what_was_finished_stays(many: tuple[Path, Path], tmp_path: Path) -> None:
    file, _ = many
    # a chunk of log_norm takes 10 kB, all that describes the store less
    run = Begun(file, tmp_path / "a.zarr", limit=6000)
    code, _, err = run.end()
    assert code == 1
    assert f"flowsim: error: cannot write chunk 0 to {str(tmp_path / 'a.zarr')!r}: File too large" in err
    assert run.finished() == set()
    assert counts(open_sweep(tmp_path / "a.zarr").status)["pending"] > 0


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a scheduler or a worker of Dask, each a process of its own."""
    begun: list[subprocess.Popen] = []

    def start(what: str, *words: object) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *map(str, words), "--no-dashboard"]
        begun.append(subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def cluster(start: Callable[..., subprocess.Popen], folder: Path) -> tuple[str, subprocess.Popen, list[subprocess.Popen]]:
    """A scheduler with two workers of a thread each: its address, and the processes."""
    file = folder / "scheduler.json"
    scheduler = start("scheduler", "--port", 0, "--host", "127.0.0.1", "--scheduler-file", file)
    words = ("--scheduler-file", file, "--nthreads", 1, "--no-nanny", "--local-directory", folder / "dask")
    workers = [start("worker", *words) for _ in range(2)]
    end = time.monotonic() + PATIENCE
    while not file.exists() or not file.read_text().endswith("}"):
        assert time.monotonic() < end
        time.sleep(0.05)
    return json.loads(file.read_text())["address"], scheduler, workers


def test_a_worker_of_a_cluster_killed_and_then_its_scheduler(many: tuple[Path, Path], tmp_path: Path, dask) -> None:
    file, whole = many
    address, scheduler, workers = cluster(dask, tmp_path)
    run = Begun(file, tmp_path / "a.zarr", "--scheduler", address)
    run.until(1)
    workers[0].kill()
    run.until(4)
    scheduler.kill()
    code, _, err = run.end()
    assert code == 1
    assert "flowsim: error: the scheduler is gone; what its workers finished is in the store: resume the sweep" in err
    assert "Traceback" not in err
    resumed(file, tmp_path / "a.zarr", whole)


def test_a_cluster_from_beginning_to_end(many: tuple[Path, Path], tmp_path: Path, dask) -> None:
    file, whole = many
    address, _, _ = cluster(dask, tmp_path)
    data = run_sweep(fs.Sweep.from_toml(file), tmp_path / "a.zarr", scheduler=address)
    ended = counts(data.status)
    assert sum(ended.values()) == 384
    assert "pending" not in ended
    the_same(tmp_path / "a.zarr", whole)


def test_a_chunk_over_which_every_process_dies_is_given_up(small: fs.Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = []

    class Pool:
        def __init__(self, *_: object) -> None:
            pools.append(self)

        def submit(self, function: Callable, path: str, identity: str, number: int) -> Future:
            future: Future = Future()
            if number == 1:
                future.set_exception(BrokenProcessPool())
            else:
                future.set_result(engines.work(path, identity, number))
            return future

        def shutdown(self, **_: object) -> None: ...

    monkeypatch.setattr(engines, "ProcessPoolExecutor", Pool)
    with pytest.raises(RuntimeError, match="4 processes died while chunk 1 was under way: out of memory"):
        run_sweep(small, tmp_path / "a.zarr", workers=1)
    assert len(pools) == 4
    assert 1 not in Journal(tmp_path / "a.zarr" / "journal").finished()


def test_a_scheduler_that_is_not_there_is_told(many: tuple[Path, Path], tmp_path: Path, monkeypatch) -> None:
    sweep = fs.Sweep.from_toml(many[0])
    monkeypatch.setattr("flowsim.sweeps.engines.PATIENCE", 1.0)
    with pytest.raises(RuntimeError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1 "):
        run_sweep(sweep, tmp_path / "a.zarr", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(ValueError, match="`scheduler` must be an address such as tcp://host:8786, but is 'localhost'"):
        run_sweep(sweep, tmp_path / "b.zarr", scheduler="localhost")
    with pytest.raises(ValueError, match="`workers` and `scheduler` must not be given together"):
        run_sweep(sweep, tmp_path / "b.zarr", scheduler="tcp://a:1", workers=2)
    with pytest.raises(ValueError, match="`workers` must be a whole number, 1 or more, but is 0"):
        run_sweep(sweep, tmp_path / "b.zarr", workers=0)
    assert list(tmp_path.iterdir()) == []


def test_workers_of_other_versions_or_without_the_disk_are_told_of(many: tuple[Path, Path], tmp_path: Path, monkeypatch) -> None:
    store = Store.create(tmp_path / "a.zarr", fs.Sweep.from_toml(many[0]))
    answers: dict[str, tuple[dict[str, str], str]] = {}

    class Client:
        scheduler = type("Scheduler", (), {"address": "tcp://a:1"})

        def wait_for_workers(self, count: int, timeout: float) -> None:
            if not answers:
                raise TimeoutError

        def run(self, function: Callable, path: str) -> dict:
            assert function(path) == (engines.versions(), store.identity)
            return answers

    with pytest.raises(engines.NotBegun, match="the cluster at tcp://a:1 has no workers"):
        engines._check_workers(Client(), store)
    answers["tcp://w:1"] = (engines.versions(), store.identity)
    engines._check_workers(Client(), store)
    answers["tcp://w:2"] = ({**engines.versions(), "jax": "0.0.1"}, store.identity)
    with pytest.raises(engines.NotBegun, match=r"the worker tcp://w:2 has other versions: jax 0\.0\.1 \(here "):
        engines._check_workers(Client(), store)
    answers["tcp://w:2"] = (engines.versions(), engines._seen(str(tmp_path / "b.zarr"))[1])
    with pytest.raises(engines.NotBegun, match="the worker tcp://w:2 does not see the store at "):
        engines._check_workers(Client(), store)
