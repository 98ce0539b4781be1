"""What is drawn of runs of matrices: their names and colours, and which late laws they follow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowsim.layers import LayerRun
from flowsim.present.axes import colours
from flowsim.present.quantities import late_times
from flowsim.theory import GenericDirection, Rates, generic_direction, rates


@dataclass(frozen=True)
class Drawn:
    """A run or batch of B networks.  direction: the power law of its late direction, if it has one.  late: laws of norm and risk."""

    run: LayerRun
    name: str
    colour: Any
    direction: GenericDirection | None
    late: Rates | None

    def late_times(self) -> np.ndarray:
        """Those of the run at which its late law says something."""
        return np.zeros(0) if self.late is None else late_times(self.late, self.run.time)

    def values(self, of: Callable[[LayerRun], np.ndarray]) -> np.ndarray:
        """(B, T)."""
        return of(self.run).reshape(-1, self.run.time.size)


def drawn_runs(runs: Any, names: Sequence[str] | None) -> list[Drawn]:
    """What is drawn of each run; ValueError where ``runs`` holds something else, or nothing."""
    given = [runs] if isinstance(runs, LayerRun) else list(runs)
    for run in given:
        if not isinstance(run, LayerRun):
            raise ValueError(f"`runs` must be a LayerRun or a sequence of them, but holds {run!r}")
    if not given:
        raise ValueError("`runs` must hold at least one run, but is empty")
    if names is not None and len(names) != len(given):
        raise ValueError(f"`names` must be {len(given)}, one for each run, but are {len(names)}")
    called = _labels(given) if names is None else list(names)
    return [Drawn(run, name, colour, *_laws(run)) for run, name, colour in zip(given, called, colours(len(given)), strict=True)]


def _laws(run: LayerRun) -> tuple[GenericDirection | None, Rates | None]:
    """What direction and norm follow late in the run: (None, None) on samples, with label noise, or without a power tail."""
    good = np.isin(run.status, ("ok", "floor", "stopped"))
    if run.kind not in ("flow", "descent") or not good.any():
        return None, None
    try:
        late = rates(run.problem, run.depth)
    except ValueError:
        return None, None
    last = [matrix[good] if run.shape else matrix for matrix in run.last.matrices]
    try:
        return generic_direction(run.problem, last, run.v), late
    except ValueError:
        return None, late


def _labels(runs: Sequence[LayerRun]) -> list[str]:
    """What tells the runs apart: kind, depth, widths, law, step size, balance; a number if nothing does. And what did not end well."""
    kinds = {"sample-flow": "flow on samples", "sample-descent": "descent on samples", "sgd": "SGD"}
    parts = [
        [kinds.get(run.kind, run.kind) for run in runs],
        [f"$N={run.depth}$" for run in runs],
        [_width(run.start.widths) for run in runs],
        [run.problem.label() for run in runs],
        [rf"$\eta={float(run.config['step_size']):.3g}$" if "step_size" in run.config else "" for run in runs],
        ["balanced" if _balanced(run) else "unbalanced" for run in runs],
    ]
    told = [part for part in parts if len(set(part)) > 1] or parts[1:2]
    if len(set(zip(*told, strict=True))) < len(runs) > 1:
        told = [*told, [f"run {i}" for i in range(1, len(runs) + 1)]]
    return [", ".join(text for text in row if text) + _ended(run) for *row, run in zip(*told, runs, strict=True)]


def _width(widths: tuple[int, ...]) -> str:
    """Of the hidden layers: one number where they are alike."""
    return f"width {widths[0]}" if len(set(widths)) == 1 else f"widths {', '.join(map(str, widths))}" if widths else ""


def _ended(run: LayerRun) -> str:
    """Those that did not reach the last time with every digit."""
    names, counts = np.unique(run.status[run.status != "ok"], return_counts=True)
    said = [f"{f'{n} ' if run.shape else ''}{name.replace('_', ' ')}" for name, n in zip(names, counts, strict=True)]
    return f" ({', '.join(said)})" if said else ""


def _balanced(run: LayerRun) -> bool:
    """Whether the imbalances at the start are rounding."""
    sizes = max(float(np.sum(matrix**2, axis=(-2, -1)).max()) for matrix in run.start.matrices)
    return all(float(np.abs(imbalance).max()) <= 1e-12 * sizes for imbalance in run.start.imbalances)
