"""What a command gives back: lines on a terminal, files, and an exit code."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsim.dynamics import Trajectory

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


def ending(*runs: "Trajectory") -> int:
    """The exit code that belongs to how runs ended, with a line on stderr unless they are all right."""
    if any((run.status == "stopped").any() for run in runs):
        return complain("interrupted; what was reached is printed, and saved where --output was given", INTERRUPTED)
    failed = [run for run in runs if not run.ok]
    for run in failed:
        complain(f"the {run.kind} failed: {run.message}", FAILED)
    return FAILED if failed else DONE


def records_table(run: "Trajectory") -> str:
    """Eight records of a single run, or where each run of a batch ended."""
    return _batch_table(run) if run.shape else _single_table(run)


def _single_table(run: "Trajectory") -> str:
    import numpy as np

    shown = np.unique(np.linspace(0, run.time.size - 1, RECORDS).round().astype(int))
    names = ["t", "norm", "log_tan_half_angle", "risk"]
    columns = [[f"{x:.6g}" for x in run.time[shown]], *_values(run, shown)]
    if run.step is not None:
        names, columns = ["k", *names], [[f"{k:d}" for k in run.step[shown]], *columns]
    return _table(names, columns)


def _batch_table(batch: "Trajectory") -> str:
    import numpy as np

    rows: list[list[str]] = []
    every = list(np.ndindex(batch.shape))
    for index in every[:RUNS]:
        run = batch[index]
        reached = np.flatnonzero(np.isfinite(run.log_norm))
        last = np.array([reached[-1] if reached.size else 0])
        step = [] if run.step_size is None else [f"{float(run.step_size):.4g}"]
        values = [column[0] for column in _values(run, last)]
        rows.append([f"{int(run.depth)}", *step, f"{run.time[last[0]]:.6g}", *values, str(run.status)])
    names = ["depth", *(["step_size"] if len(rows[0]) == 7 else []), "t", "norm", "log_tan_half_angle", "risk", "status"]
    more = f"\n... and {len(every) - RUNS} more runs" if len(every) > RUNS else ""
    return _table(names, [list(column) for column in zip(*rows, strict=True)]) + more


def _values(run: "Trajectory", shown: Any) -> list[list[str]]:
    return [
        [f"{x:.6g}" for x in run.norm[shown]],
        [f"{x:.9g}" for x in run.log_tan_half_angle[shown]],
        [f"{x:.6g}" for x in run.risk[shown]],
    ]


def _table(names: list[str], columns: list[list[str]]) -> str:
    widths = [max(map(len, [name, *column])) for name, column in zip(names, columns, strict=True)]
    rows = [names, *(list(row) for row in zip(*columns, strict=True))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
