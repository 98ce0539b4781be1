"""One chunk of a sweep: its runs, as batches of all that may be run in one, each element with a status of its own."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from flowsim.dynamics.progress import silent
from flowsim.sweeps.kinds.kind import CODE, Wanted
from flowsim.sweeps.sweep import Sweep


class Outcome(NamedTuple):
    """arrays: by the names of `Sweep.variables`, of the shape of its box and what each has beyond.  reasons: of runs that were not run."""

    arrays: dict[str, np.ndarray]
    reasons: Counter[str]


def run_chunk(sweep: Sweep, number: int) -> Outcome:
    """The runs of a chunk.

    Arguments that a batch must share part it into several. A batch that cannot be run is halved until the elements that spoil it stand
    alone: those get the status "refused" or "crashed". KeyboardInterrupt where the runs were interrupted: then nothing of it counts.
    """
    kind, columns, count = sweep.kind, sweep.columns(number), sweep.grid.elements(number)
    box = tuple(part.stop - part.start for part in sweep.grid.box(number))
    flat = {name: np.full((count, *v.shape[len(box) :]), v.fill, dtype=v.dtype) for name, v in sweep.variables.items()}
    apart = [argument.name for argument in kind.arguments if argument.name in columns and not argument.batched]
    rows = list(zip(*(columns[name].tolist() for name in apart), strict=True)) if apart else [()] * count
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(row, []).append(i)
    reasons: Counter[str] = Counter()
    with silent():
        for row, members in groups.items():
            common = {**sweep.fixed, **dict(zip(apart, row, strict=True))}
            _run(sweep, common, columns, np.array(members), Outcome(flat, reasons))
    return Outcome({name: values.reshape(*box, *values.shape[1:]) for name, values in flat.items()}, reasons)


def _run(sweep: Sweep, common: Mapping[str, Any], columns: Mapping[str, np.ndarray], members: np.ndarray, out: Outcome) -> None:
    """These elements as one batch, or halves of it."""
    wanted = Wanted(tuple(dict.fromkeys((*sweep.series, *sweep.final))), tuple(sweep.numbers))
    batch = {
        argument.name: columns[argument.name][members] if argument.name in columns else _repeated(common[argument.name], members.size)
        for argument in sweep.kind.arguments
        if argument.batched
    }
    arrays = out.arrays
    try:
        part = sweep.kind.run(common, batch, wanted, sweep.kind.records(common))
    except Exception as error:
        if members.size == 1:
            arrays["status"][members] = CODE["refused" if isinstance(error, ValueError) else "crashed"]
            out.reasons[f"{type(error).__name__}: {error}"] += 1
            return
        for half in np.array_split(members, 2):
            _run(sweep, common, columns, half, out)
        return
    if (part.status == "stopped").any():
        raise KeyboardInterrupt
    arrays["status"][members] = [CODE[str(name)] for name in part.status]
    for name in sweep.series:
        arrays[name][members] = part.series[name]
    for name in sweep.final:
        arrays[f"final_{name}"][members] = part.series[name][:, -1]
    for name in sweep.numbers:
        arrays[name][members] = part.numbers[name]


def _repeated(value: Any, count: int) -> np.ndarray:
    return np.full(count, value, dtype=object if value is None or isinstance(value, str) else None)
