"""What a command gives back: lines on a terminal, files, and an exit code."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowsim.dynamics import Trajectory
    from flowsim.finite import HomogeneousRun
    from flowsim.layers import LayerRun

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

RECORDS = 8
RUNS = 16


def complain(error: object, code: int) -> int:
    """One line on stderr; returns ``code``."""
    print("flowsim: error:", " ".join(str(error).split()), file=sys.stderr)
    return code


def check_writable(path: Path | None) -> None:
    """ValueError unless a file can be made at ``path``: found out before a long run, by making one beside it."""
    if path is None:
        return
    if path.is_dir():
        raise ValueError(f"cannot write {str(path)!r}: it is a folder")
    probe = path.with_name(path.name + ".part")
    try:
        probe.open("wb").close()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def check_figure(path: Path | None) -> None:
    """ValueError unless a figure can be written at ``path``."""
    if path is not None:
        from flowsim.present import figure_format

        figure_format(path)
        check_writable(path)


def write_all(*writers: Callable[[], Any] | None) -> int:
    """Call each writer, whatever became of the one before. FAILED if one could not write, with a line on stderr for each."""
    code = DONE
    for writer in writers:
        try:
            if writer is not None:
                writer()
        except OSError as error:
            code = complain(error, FAILED)
    return code


def deliver(
    run: Any, output: Path | None, plot: Path | None, draw: "Callable[[Any], Figure]", table: Callable[[Any], str] | None = None
) -> int:
    """Save first, so that nothing else can lose the run; then print it, and draw it by ``draw``. Returns the exit code of the writing.

    table: what makes the table of records; by default `records_table`.
    """
    code = write_all(output and partial(run.save, output))
    print(run)
    print()
    print((table or records_table)(run))
    if plot is not None:
        from flowsim.present import save_figure

        code = write_all(partial(save_figure, draw(run), plot)) or code
    return code


def ending(*runs: "Trajectory | LayerRun | HomogeneousRun") -> int:
    """The exit code that belongs to how runs ended, with a line on stderr unless they are all right."""
    if any(_stopped(run.status) for run in runs):
        more = ": --resume goes on" if any(getattr(run, "state", None) for run in runs) else ""
        return complain(f"interrupted; what was reached is printed, and saved where --output was given{more}", INTERRUPTED)
    failed = [run for run in runs if not run.ok]
    for run in failed:
        complain(f"the {run.kind} failed: {run.message}", FAILED)
    return FAILED if failed else DONE


def _stopped(status: Any) -> bool:
    """Of a single network a name, of others an array of them."""
    return status == "stopped" if isinstance(status, str) else bool((status == "stopped").any())


def records_table(run: "Trajectory | LayerRun") -> str:
    """Eight records of a single run, or where each run of a batch ended."""
    return _batch_table(run) if run.shape else _single_table(run)


def _single_table(run: "Trajectory | LayerRun") -> str:
    import numpy as np

    shown = np.unique(np.linspace(0, run.time.size - 1, RECORDS).round().astype(int))
    names = ["t", "norm", "log_tan_half_angle", "risk"]
    columns = [[f"{x:.6g}" for x in run.time[shown]], *_values(run, shown)]
    if run.step is not None:
        names, columns = ["k", *names], [[f"{k:d}" for k in run.step[shown]], *columns]
    return table_of(names, columns)


def _batch_table(batch: "Trajectory | LayerRun") -> str:
    import numpy as np

    rows: list[dict[str, str]] = []
    every = list(np.ndindex(batch.shape))
    for index in every[:RUNS]:
        run = batch[index]
        reached = np.flatnonzero(np.isfinite(run.log_norm))
        last = np.array([reached[-1] if reached.size else 0])
        values = dict(zip(("norm", "log_tan_half_angle", "risk"), (column[0] for column in _values(run, last)), strict=True))
        rows.append({**_told(run, index), "t": f"{run.time[last[0]]:.6g}", **values, "status": str(run.status)})
    more = f"\n... and {len(every) - RUNS} more runs" if len(every) > RUNS else ""
    return table_of(list(rows[0]), [[row[name] for row in rows] for name in rows[0]]) + more


def _told(run: "Trajectory | LayerRun", index: tuple[int, ...]) -> dict[str, str]:
    """What tells one run of a batch from another: depth and step size; its place, where networks of matrices share these."""
    from flowsim.layers import LayerRun

    if isinstance(run, LayerRun):
        return {"run": ",".join(map(str, index))}
    return {"depth": f"{int(run.depth)}", **({} if run.step_size is None else {"step_size": f"{float(run.step_size):.4g}"})}


def _values(run: "Trajectory | LayerRun", shown: Any) -> list[list[str]]:
    return [
        [f"{x:.6g}" for x in run.norm[shown]],
        [f"{x:.9g}" for x in run.log_tan_half_angle[shown]],
        [f"{x:.6g}" for x in run.risk[shown]],
    ]


def table_of(names: list[str], columns: list[list[str]]) -> str:
    """Columns of cells below their names, right-justified."""
    widths = [max(map(len, [name, *column])) for name, column in zip(names, columns, strict=True)]
    rows = [names, *(list(row) for row in zip(*columns, strict=True))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
