"""sweep: many runs, declared in a file, into a store that survives what ends it, and their figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowsim.commands.options import OUTPUT_GROUP, RUN_GROUP
from flowsim.commands.output import DONE, FAILED, INTERRUPTED, check_figure, complain
from flowsim.commands.plot import PageName

if TYPE_CHECKING:
    import xarray

    from flowsim.sweeps import Sweep

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
    plot: Annotated[Path | None, InOutput] = None,
    page: Annotated[PageName, InOutput] = "neurips",
    x: Annotated[str | None, InOutput] = None,
    y: Annotated[str | None, InOutput] = None,
    value: Annotated[str | None, InOutput] = None,
    at: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="", group=OUTPUT_GROUP)] = None,
    panels: Annotated[str | None, InOutput] = None,
) -> int:
    """Run the sweep that a TOML file declares: every run of a product of axes, in chunks, into one Zarr store.

    Parameters
    ----------
    file
        The declaration: `run` (flow, descent, map, layer-flow, layer-descent or mixture), and the tables [axes], [fixed], [record] and
        [chunks].
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
    plot
        Draw it when it is done, into a .pdf, .png or .svg, as `flowsim plot` does from the store.
    page
        Whose width and sizes of type the figure has, as of `plot`.
    x
        The axis from left to right [default: the first that is not the seed].
    y
        The axis upwards [default: the next that has a dimension of its own and is not the seed, where there is one].
    value
        What is drawn [default: regime, or else the first of the numbers, or of what was recorded at the end].
    at
        NAME=VALUE ..., where to take it along other axes.
    panels
        An axis of two to four values, each of which has a map of its own [default: the first such axis that is left].
    """
    from flowsim.sweeps import Sweep, run_sweep

    declared = Sweep.from_toml(file)
    check_figure(plot)
    given = {"x": x, "y": y, "value": value, "at": at, "panels": panels}
    asked = [f"--{name}" for name, one in given.items() if one is not None]
    if asked and plot is None:
        raise ValueError(f"{asked[0]} is for the figure of --plot, which is not asked for")
    view = _view(declared, x, y, value, at or [], panels)
    store = output or Path(f"{file.stem}.zarr")
    if store.exists() and not (resume or plan):
        raise ValueError(f"{str(store)!r} exists already: --resume goes on with it, --output names another store")
    print(declared)
    if plan:
        return DONE
    data = run_sweep(declared, store, resume, workers, scheduler, other_versions)
    code = _told(data, store)
    if plot is None or code == INTERRUPTED:
        return code
    from flowsim.commands.plot import draw_sweep

    return draw_sweep(data, plot, page=page, **view) or code


def _view(declared: "Sweep", x: str | None, y: str | None, value: str | None, at: list[str], panels: str | None) -> dict[str, Any]:
    """What of the sweep is drawn, with all names known before anything is run; ValueError for one that is not."""
    from flowsim import arguments
    from flowsim.commands.plot import picks_of
    from flowsim.present.sweeps import MOST_PANELS

    for name, one in {"x": x, "y": y, "panels": panels}.items():
        if one is not None:
            arguments.one_of(name, one, declared.axes)
    if value is not None:
        arguments.one_of("value", value, declared.variables)
    taken = {declared.dim_of(arguments.one_of("at", name, declared.axes)) for name in picks_of(at)}
    # over seeds one takes the median
    free = [name for name in declared.axes if declared.dim_of(name) not in taken and name != "seed"]
    x = x or next(iter(free or declared.axes))
    own = [name for name in free if name == declared.dim_of(name)]
    y = y or next((name for name in own if name not in (x, panels) and x == declared.dim_of(x)), None)
    few = [name for name in own if name not in (x, y) and 2 <= declared.sizes[name] <= MOST_PANELS]
    return {"x": x, "y": y, "value": value, "at": at, "panels": panels or (next(iter(few), None) if y else None)}


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
