"""What theory has to say of a map of a sweep: its boundaries, drawn over the cells."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from flowsim.present.regimes import Grid, boundary_entries, draw_boundary, predicted
from flowsim.present.slices import Slice, SweptAxis
from flowsim.present.sweep_scales import PERCENTS, edges_of
from flowsim.problem import Start
from flowsim.sweeps import AXES
from flowsim.sweeps.kinds.problem import risk_of
from flowsim.theory import benign_boundaries, benign_error

PHASES = (r"$n\,|\mu|^4=d$: error leaves chance", r"$n\,|\mu|^2=d$: noise radius")
"""Boundaries of the test error on a mixture."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)))
"""Of their lines."""

PREDICTED = "predicted error, at the ticks"
"""Its contours."""
LEVELS = sorted(PERCENTS)[:-1]
"""Of the predicted test error."""
CONTOUR = "#D55E00"
"""Okabe and Ito's vermilion: seen on yellow and on blue."""


def draw_theory(ax: Axes, run: str, one: Slice, axes: list[SweptAxis]) -> tuple[list[Any], list[str]]:
    """The boundaries of a map that theory has any for; what a legend says of them."""
    if run == "map" and one.array.name == "regime":
        return _draw_regimes(ax, one, axes)
    if run == "mixture" and one.array.name == "test_error":
        return _draw_phases(ax, one, axes)
    return [], []


def _draw_regimes(ax: Axes, one: Slice, axes: list[SweptAxis]) -> tuple[list[Any], list[str]]:
    """Of a regime map, where this is one."""
    y, x = axes[0], axes[-1]
    if x.name != "step_size" or y.name not in AXES or one.others:
        return [], []
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in one.values.items()}
    start = Start(values.get("norm", 1.0), values.get("angle", 1.5))
    grid = Grid(y.name, y.sorted, x.sorted, risk_of(values), start, int(values.get("depth", 1)), int(values["steps"]))
    boundaries = predicted(grid)
    for boundary, sizes in boundaries:
        draw_boundary(ax, grid, edges_of(y, y.sorted), sizes, boundary.dashes)
    return boundary_entries(boundary for boundary, _ in boundaries)


def _draw_phases(ax: Axes, one: Slice, axes: list[SweptAxis]) -> tuple[list[Any], list[str]]:
    """Of the test error over n and |mu|, whatever the seeds that are reduced."""
    place = {axis.name: axis for axis in axes}
    if set(place) != {"samples", "signal"} or not set(one.others) <= {"seed"}:
        return [], []
    edges = edges_of(place["samples"], place["samples"].sorted)
    n = np.unique(np.rint(np.geomspace(np.floor(edges[0]), np.ceil(edges[-1]), 200))).astype(int)
    n, dim = n[n > 0], int(one.values["dim"])
    ends = edges_of(place["signal"], place["signal"].sorted)
    signal = np.linspace(ends[0], ends[-1], 400)
    turned = axes[-1].name != "samples"
    error = benign_error(n[:, None], signal, dim, one.values["label_noise"], one.values["slope"])
    ax.contour(*(signal, n, error) if turned else (n, signal, error.T), levels=LEVELS, colors=CONTOUR, linewidths=0.7, linestyles=":")
    for boundary, dashes in zip(benign_boundaries(n, dim), DASHES, strict=True):
        x, y = (boundary, n) if turned else (n, boundary)
        ax.plot(x, y, color="white", linewidth=2.4)
        ax.plot(x, y, color="black", linewidth=1.0, linestyle=dashes)
    handles = [Line2D([], [], color="black", linewidth=1.1, linestyle=dashes) for dashes in DASHES]
    return [*handles, Line2D([], [], color=CONTOUR, linewidth=1.0, linestyle=":")], [*PHASES, PREDICTED]
