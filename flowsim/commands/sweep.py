"""sweep: many runs, declared in a file, into a store that survives what ends it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowsim.commands.options import OUTPUT_GROUP, RUN_GROUP
from flowsim.commands.output import DONE, FAILED, INTERRUPTED, complain

if TYPE_CHECKING:
    import xarray

InRun = Parameter(group=RUN_GROUP)
InOutput = Parameter(group=OUTPUT_GROUP)


def sweep(
    file: Path,
    /,
    *,
    workers: Annotated[int | None, InRun] = None,
    scheduler: Annotated[str | None, InRun] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)] = None,
    resume: Annotated[bool, Parameter(negative="", group=OUTPUT_GROUP)] = False,
    other_versions: Annotated[bool, Parameter(negative="", group=OUTPUT_GROUP)] = False,
    plan: Annotated[bool, Parameter(negative="", group=OUTPUT_GROUP)] = False,
) -> int:
    """Run the sweep that a TOML file declares: every run of a product of axes, in chunks, into one Zarr store.

    Parameters
    ----------
    file
        The declaration: `run` (flow, descent, map, layer-flow or layer-descent), and the tables [axes], [fixed], [record] and [chunks].
    workers
        Number of processes on this machine [default: this process].
    scheduler
        Address of a Dask scheduler, such as tcp://host:8786, whose workers compute instead; they must see the store under the same path.
    output
        The store, a folder [default: the file's name with .zarr, where the command is run].
    resume
        Go on with the store where it is: what is finished there is not computed again.
    other_versions
        Go on with it even where other versions of the packages began it.
    plan
        Say what would be run and how large the store would be, and run nothing.
    """
    from flowsim.sweeps import Sweep, run_sweep

    declared = Sweep.from_toml(file)
    store = output or Path(f"{file.stem}.zarr")
    if store.exists() and not (resume or plan):
        raise ValueError(f"{str(store)!r} exists already: --resume goes on with it, --output names another store")
    print(declared)
    if plan:
        return DONE
    return _told(run_sweep(declared, store, resume, workers, scheduler, other_versions), store)


def _told(data: "xarray.Dataset", store: Path) -> int:
    """What became of the runs, and the exit code that belongs to it."""
    from flowsim.sweeps import CLASSES, counts
    from flowsim.sweeps.journal import Journal
    from flowsim.sweeps.kinds.kind import FAILURES, STATUS
    from flowsim.sweeps.store import JOURNAL

    ended = counts(data.status)
    print("status  " + "; ".join(f"{count} {STATUS[name]}" for name, count in ended.items()))
    if "regime" in data:
        shares = {name: count for name, count in counts(data.regime).items() if name in CLASSES}
        print(
            "shares  " + ", ".join(f"{CLASSES[name]} {100 * count / max(sum(shares.values()), 1):.3g} %" for name, count in shares.items())
        )
    print(f"store   {store}")
    if "pending" in ended:
        return complain(f"interrupted; {ended['pending']} runs are left, --resume goes on with them", INTERRUPTED)
    for reason, count in Journal(store / JOURNAL).reasons().items():
        complain(f"{count} runs could not be run: {reason}", FAILED)
    failed = sum(count for name, count in ended.items() if name in FAILURES)
    if failed:
        return complain(f"{failed} runs failed; the store's status tells which", FAILED)
    return DONE
