"""A sweep from its declaration to its store: what is finished stays, what is not is computed."""

import shutil
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from flowsim.dynamics.progress import Progress
from flowsim.sweeps.engines import Cluster, Engine, Here, NotBegun, Processes
from flowsim.sweeps.store import Store, open_sweep
from flowsim.sweeps.sweep import Sweep

if TYPE_CHECKING:
    import xarray


def run_sweep(
    sweep: Sweep,
    path: str | PathLike[str],
    resume: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    other_versions: bool = False,
) -> "xarray.Dataset":
    """Run what is not finished of a sweep, chunk after chunk; the same numbers, bit for bit, whoever computes them.

    sweep: what to run.  path: of the store, a folder that is made.
    resume: whether it may exist; then what is finished there is not computed again.
    workers: processes of this machine, which begin by importing the script that asks for them: it must do so under
        ``if __name__ == "__main__":``. Default: this process.
    scheduler: address of a Dask cluster instead, such as tcp://host:8786, whose workers see the store under the same path.
    other_versions: whether a store that was begun by other versions of the packages may be gone on with.

    Returns what `open_sweep` does. Ctrl-C ends it cleanly: what is finished stays, the rest has the status "pending". A run that fails has
    a status of its own. ValueError where the store is another sweep's, with the difference; OSError where the disk is full, RuntimeError
    where the workers or the scheduler are lost: then too, what is finished stays.

    >>> import tempfile, flowsim as fs
    >>> sweep = fs.Sweep("map", axes={"step_size": fs.sweeps.log(0.1, 20, 3), "depth": [1, 2]}, fixed={"steps": 1000})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = fs.sweeps.run_sweep(sweep, f"{folder}/regimes.zarr")
    ...     dict(found.sizes), fs.sweeps.names_of(found.regime)[0].tolist()
    ({'step_size': 3, 'depth': 2}, ['flow', 'flow'])
    """
    if not isinstance(sweep, Sweep):
        raise ValueError(f"`sweep` must be a flowsim.Sweep, but is {sweep!r}")
    if workers is not None and scheduler is not None:
        raise ValueError("`workers` and `scheduler` must not be given together")
    engine: Engine = Here() if workers is None else Processes(workers)
    if scheduler is not None:
        engine = Cluster(scheduler)
    target = Path(path)
    fresh = not (resume and target.exists())
    store = Store.create(target, sweep) if fresh else Store(target)
    store.require(sweep, other_versions)
    try:
        with store.journal.locked():
            _go(store, engine)
    except NotBegun:
        if fresh:
            shutil.rmtree(target)
        raise
    return open_sweep(target)


def _go(store: Store, engine: Engine) -> None:
    grid, finished = store.sweep.grid, store.journal.finished()
    left = [number for number in range(grid.count) if number not in finished]
    done = sum(grid.elements(number) for number in finished)
    with Progress("runs", store.sweep.elements, "runs", done, rate=True) as progress:
        chunks = engine.run(store, left)
        try:
            for number in chunks:
                progress.advance(grid.elements(number))
        except KeyboardInterrupt:
            pass
        finally:
            # what it still has under way ends here, not when it is collected
            chunks.close()
