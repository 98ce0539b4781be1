"""Sweeps: runs a second on each engine, what a chunk costs beside its runs, what the store takes, beside joblib and a plain loop."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import flowsim as fs
from benchmarks.timing import Row, seconds, show
from flowsim.sweeps import linear, log, run_sweep
from flowsim.sweeps.chunk import run_chunk
from flowsim.sweeps.engines import Cluster, Engine, Here, Processes
from flowsim.sweeps.store import Store

STEPS, SINGLE = 1000, 60
LARGE, TINY_CHUNKS, MANY_CHUNKS = 65_536, 300, 100_000


def _sweep(runs: int, chunk: int | None = None) -> fs.Sweep:
    axes = {"step_size": log(1e-3, 1.0, runs // 64), "angle": linear(0.1, 3.0, 64)}
    return fs.Sweep("descent", axes, {"steps": STEPS, "depth": 2}, ["log_norm", "log_tan_half_angle"], chunk=chunk)


def _run(sweep: fs.Sweep, engine: Engine, folder: str) -> tuple[float, float]:
    """Seconds in all, and those from the first chunk's end to the last's, with what of the chunks falls into them."""
    store = Store.create(Path(folder, f"{time.monotonic_ns()}.zarr"), sweep)
    begin, ends = time.perf_counter(), []
    for _ in engine.run(store, range(sweep.grid.count)):
        ends.append(time.perf_counter())
    return ends[-1] - begin, (ends[-1] - ends[0]) / (len(ends) - 1)


@contextmanager
def _cluster(folder: str) -> Iterator[str]:
    """A scheduler and two workers of a thread each, processes of their own."""
    file = Path(folder, "scheduler.json")
    command = [sys.executable, "-m"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begun = [
        subprocess.Popen(
            [*command, "distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(file), "--no-dashboard"], **quiet
        )
    ]
    for _ in range(2):
        words = ["--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", folder]
        begun.append(subprocess.Popen([*command, "distributed.cli.dask_worker", *words], **quiet))
    try:
        while not file.exists():
            time.sleep(0.1)
        time.sleep(3.0)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in begun:
            process.kill()


def _single(step_size: float, angle: float) -> None:
    fs.gradient_descent(fs.PopulationRisk(fs.Gaussian()), fs.Start(1.0, angle), step_size, STEPS, 2, estimate_error=False)


def _singles() -> list[tuple[float, float]]:
    return list(zip(np.geomspace(1e-3, 1.0, SINGLE).tolist(), np.linspace(0.1, 3.0, SINGLE).tolist(), strict=True))


def _loop() -> None:
    for pair in _singles():
        _single(*pair)


def _joblib(pool: object) -> None:
    from joblib import delayed

    pool(delayed(_single)(*pair) for pair in _singles())  # type: ignore[operator]


def _engines(folder: str, address: str) -> dict[str, Callable[[], Engine]]:
    return {"this process": Here, "two processes": lambda: Processes(2), "Dask, two workers": lambda: Cluster(address)}


def rows() -> list[Row]:
    from joblib import Parallel

    out: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, _cluster(folder) as address:
        rates = {}
        # of one run of one step: all of it is what a chunk costs beside its runs
        tiny = fs.Sweep("descent", {"step_size": log(1e-3, 1.0, TINY_CHUNKS)}, {"steps": 1}, chunk=1)
        run_alone = seconds(lambda: run_chunk(tiny, 0), 20)[1]
        for name, engine in _engines(folder, address).items():
            sweep = _sweep(LARGE)
            cold, _ = _run(sweep, engine(), folder)
            _, each = _run(tiny, engine(), folder)
            _, alone = _run(sweep, engine(), folder)
            rates[name] = sweep.grid.elements(0) / alone
            out.append(
                Row(
                    f"sweep of {LARGE} descents, {STEPS} steps, N = 2, two series, {sweep.grid.count} chunks: {name}",
                    f"{rates[name]:.0f} runs a second once it is under way",
                    f"{LARGE / cold:.0f} with all that comes before; a chunk costs {1e3 * (each - run_alone):.1f} ms beside its runs",
                )
            )
        best = max(rates.values())
        loop = seconds(_loop, 3)
        out.append(Row("the same runs one by one, a plain loop", show(loop, SINGLE), f"{best * loop[1] / SINGLE:.0f} times as long a run"))
        with Parallel(n_jobs=2) as pool:
            _joblib(pool)
            spread = seconds(lambda: _joblib(pool), 3)
        out.append(Row("the same, joblib, two processes", show(spread, SINGLE), f"{best * spread[1] / SINGLE:.0f} times as long a run"))
        out += _store_rows(folder)
    return out


def _store_rows(folder: str) -> list[Row]:
    sweep = _sweep(LARGE)
    store = Store.create(Path(folder, "write.zarr"), sweep)
    generator = np.random.default_rng(0)
    shape = tuple(part.stop - part.start for part in sweep.grid.box(0))
    arrays = {
        name: generator.normal(size=(*shape, *variable.shape[2:])).astype(variable.dtype) for name, variable in sweep.variables.items()
    }
    size = sum(array.nbytes for array in arrays.values())

    def plain() -> None:
        with open(Path(folder, "plain.npy"), "wb") as file:
            for array in arrays.values():
                np.save(file, array)
            file.flush()
            os.fsync(file.fileno())

    ours, theirs = seconds(lambda: store.write(0, arrays)), seconds(plain)
    many = fs.Sweep("descent", {"step_size": log(1e-3, 1.0, MANY_CHUNKS)}, {"steps": 2}, chunk=1)
    finished = Store.create(Path(folder, "many.zarr"), many)
    for number in range(MANY_CHUNKS):
        mark = finished.path / "journal" / f"{number // 1000:03d}" / str(number)
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
    resumed = seconds(lambda: run_sweep(many, finished.path, resume=True), 3)
    return [
        Row(
            f"writing a chunk of {size / 1e6:.1f} MB of random numbers, compressed and flushed",
            show(ours),
            f"{size / ours[1] / 1e6:.0f} MB/s; np.save and a flush {size / theirs[1] / 1e6:.0f} MB/s",
        ),
        Row(f"resuming a sweep with {MANY_CHUNKS} finished chunks", show(resumed), "all of them finished, nothing to run"),
    ]


def million() -> str:
    """10^6 descents of 1000 steps, all of them recorded at 100: how long, how much memory and disk."""
    axes = {"step_size": log(1e-3, 1.0, 1000), "angle": linear(0.1, 3.0, 1000)}
    steps = np.linspace(10, 1000, 100).astype(int)
    sweep = fs.Sweep("descent", axes, {"steps": steps, "depth": 2}, ["log_norm", "log_tan_half_angle"])
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run_sweep(sweep, Path(folder, "million.zarr"))
        taken = time.perf_counter() - begin
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        files = sum(path.is_file() for path in Path(folder).rglob("*"))
    # Linux counts in KiB
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"{sweep.elements} descents, 100 records, {sweep.grid.count} chunks: {taken:.0f} s, {sweep.elements / taken:.0f} runs a second, "
        f"{memory:.2f} GiB of memory, {disk / 1e9:.2f} GB in {files} files"
    )


if __name__ == "__main__":
    print(million())
