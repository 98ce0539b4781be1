"""A sweep as a picture, finished or not: a map over two of its axes, or a line over one, and the rest picked or reduced."""

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from flowsim.present.axes import legend_above, log_sizes, log_values, say
from flowsim.present.regimes import COLOURS as REGIME_COLOURS
from flowsim.present.regimes import SYMBOLS, Grid, boundary_entries, cell_edges, draw_boundary, predicted, quarter_ticks
from flowsim.present.slices import Slice, SweptAxis, axis_of, config_of, quantiles_of, shares_of, slice_of
from flowsim.present.style import current_page, make_figure, palette, styled
from flowsim.problem import Start
from flowsim.sweeps import AXES, CLASSES
from flowsim.sweeps.kinds.kind import STATUS
from flowsim.sweeps.kinds.problem import risk_of
from flowsim.sweeps.sweep import RECORD_DIM

COLOURS = {
    # of statuses, Okabe and Ito's too; those that are classes as well have one colour
    "ok": "#0072B2",
    "step_cap": "#56B4E9",
    "solver_failed": "#E69F00",
    "series_ended": "#009E73",
    "burst": "#D55E00",
    "floor": "#F0E442",
    "refused": "#882255",
    "crashed": "#000000",
    **REGIME_COLOURS,
}

QUANTITIES = {
    "log_norm": r"$\log\,|w|$",
    "norm": r"norm  $|w|$",
    "log_tan_half_angle": r"$s=\log\,\tan(\theta/2)$",
    "angle": r"angle  $\theta$",
    "one_minus_cos": r"$1-\cos\,\theta$",
    "risk": r"risk  $L(w)$",
    "direction_exponent": r"$d\,\log(-s)\,/\,d\,\log\,t$",
    "angle_exponent": r"$-d s\,/\,d\,\log\,t$",
    "norm_exponent": r"$d\,\log\,|w|\,/\,d\,\log\,t$",
    "risk_exponent": r"$d\,\log\,L\,/\,d\,\log\,t$",
    "first_burst": r"step  $k$  of the first burst",
    "peak_sharpness": r"largest sharpness  $\sigma$",
    "last_sharpness": r"last sharpness  $\sigma$",
    "norm_gap": r"$\log\,r-\log\,r_f$",
    "direction_gap": r"$(s-s_f)\,/\,\max(|s_f|,1)$",
}
"""Names of what is recorded, where they are shorter than those of the store."""

SPANS = 1e3
"""The factor that positive numbers span beyond which their scale is logarithmic."""
MARKS = 30
"""Values along x up to which each has a mark on its line."""
CROWD = 2000
"""Marks up to which each is a path of its own in a PDF."""
LETTERS = 8.0
"""Letters of names an inch of a horizontal axis up to which they stand upright."""
LETTERS_OF_TITLE = 1.75
"""Letters in a line of a title, in units of the page's width over the size of type: letters are half as wide, a panel is not all."""
UNABLE, UNKNOWN = "could not be run", "no number"
GREY, DARK = "0.85", "#4D4D4D"
HATCHED: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.75", "hatch": "/////"}
"""Where no run is done."""


def sweep_figure(data: Any, x: str, y: str | None = None, value: str | None = None, at: Any = None, page: str | None = None) -> Figure:
    r"""One quantity of a sweep over its axes x and y, in colour, or over x alone, as a line.

    Axes that are neither drawn nor picked from by ``at`` are reduced: a map shows the median of the finite numbers, of a regime or status
    the most frequent (of two, the first in the legend); a line is the median in the band from the 16th to the 84th percentile; a regime or
    status over x alone is the share of each. The title says what was picked and reduced. Cells in which no run is done are hatched; numbers
    that are not finite, and whole ones below zero, which stand for none, count as none and leave a cell grey. The scale of numbers is
    logarithmic where all are positive and span more than a factor of 1000. The array is read a block at a time, however large it is.

    Of a sweep of maps, the regime over step_size and angle, norm or depth has the boundaries of `plot_regimes` where all else is one value.

    data: what `flowsim.sweeps.open_sweep` returns.  x, y: names of axes, y also None; in a map each along a dimension of its own.
    value: a variable with one number a run, or a series, which is taken at its last record; default: regime, else the first of the numbers,
        else the first of the final ones, else status.
    at: by axis: the value whose nearest is picked; of names, the name.  page: as in `trajectory_figure`.

    ValueError on bad input.

    >>> import json, numpy as np, xarray, flowsim as fs
    >>> axes = {"norm": fs.sweeps.log(0.1, 10.0, 3), "angle": fs.sweeps.listed([0.5, 1.5])}
    >>> sweep = fs.Sweep("flow", axes, final=["risk"])
    >>> # as `run_sweep` and `open_sweep` would return it
    >>> attrs = {"format": "flowsim sweep 1", "config": json.dumps(sweep.config())}
    >>> coords = {name: axis.values for name, axis in axes.items()}
    >>> data = xarray.Dataset({"final_risk": (("norm", "angle"), np.ones((3, 2)))}, coords, attrs)
    >>> figure = fs.present.sweep_figure(data, x="norm", at={"angle": 1.4})
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_title()
    ('starting norm  $r(0)$', 'angle = 1.5')
    """
    axes = [axis_of(data, "x", x)] if y is None else [axis_of(data, "y", y), axis_of(data, "x", x)]
    if y is not None:
        _check_map(axes)
    one = slice_of(data, value, axes, {} if at is None else at)
    with styled(page):
        wide = current_page().wide
        figure = make_figure(None, 3.4 if wide else 2.7)
        ax = figure.subplots()
        for which, axis in zip("yx" if y is not None else "x", axes, strict=True):
            _scale(ax, which, axis)
        draw = (_code_map if one.coded else _number_map) if y is not None else (_code_shares if one.coded else _number_line)
        handles, names, pending = draw(ax, one, axes)
        lines, labels = _draw_theory(ax, config_of(data)["run"], one, axes)
        ax.set_title(_title(one, y is None, pending))
        if names or labels:
            legend_above(figure, handles + lines, names + labels, grow=True)
    return figure


Drawn = tuple[list[Any], list[str], int]
"""Handles and names for a legend, and how many runs are not done."""


def _code_map(ax: Axes, one: Slice, axes: list[SweptAxis]) -> Drawn:
    shares, pending = shares_of(one)
    done, failed = shares[:-2].sum(axis=0) > 0, shares[-1] > 0
    best = np.where(done, shares[:-2].argmax(axis=0), len(one.coded))
    cells = np.ma.masked_array(best, ~(done | failed))
    colours = ListedColormap([*_colours(one), DARK])
    _mesh(ax, axes, cells, cmap=colours, norm=BoundaryNorm(np.arange(colours.N + 1) - 0.5, colours.N))
    waits = bool((~(done | failed)).any())
    if waits:
        ax.patch.set(**HATCHED)
    *there, unable = np.isin(np.arange(colours.N), cells.compressed())
    return *_entries(one, [*there, waits, unable]), pending


def _number_map(ax: Axes, one: Slice, axes: list[SweptAxis]) -> Drawn:
    (_, middle, _), waits, pending = quantiles_of(one)
    cells = np.ma.masked_array(middle, np.isnan(middle))
    unknown = np.isnan(middle) & ~waits
    if unknown.any():
        _mesh(ax, axes, np.ma.masked_array(np.zeros(cells.shape), ~unknown), cmap=ListedColormap([GREY]))
    if cells.count():
        low, high = float(cells.min()), float(cells.max())
        mesh = _mesh(ax, axes, cells, cmap=rcParams["image.cmap"], **({"norm": LogNorm(low, high)} if _spans(low, high) else {}))
        bar = ax.figure.colorbar(mesh, ax=ax, label=_quantity(one))
        bar.outline.set_linewidth(rcParams["axes.linewidth"])
    handles, names = _entries(one, [bool(waits.any()), False])
    if waits.any():
        ax.patch.set(**HATCHED)
    if unknown.any():
        handles, names = [*handles, _patch(GREY)], [*names, UNKNOWN]
    return handles, names, pending


def _number_line(ax: Axes, one: Slice, axes: list[SweptAxis]) -> Drawn:
    axis, colour = axes[0], palette()[0]
    found, _, pending = quantiles_of(one)
    low, middle, high = found[:, 0, axis.order]
    ax.set_ylabel(_quantity(one))
    if not np.isfinite(middle).any():
        say(ax, UNKNOWN)
        return [], [], pending
    if axis.shared or axis.names:
        crowd = axis.places.size > CROWD
        if one.others:
            ax.vlines(axis.sorted, low, high, color=colour, alpha=0.4, rasterized=crowd)
        ax.plot(axis.sorted, middle, "o", color=colour, rasterized=crowd)
        if axis.names:
            ax.set_xlim(-0.5, len(axis.names) - 0.5)
    else:
        if one.others:
            ax.fill_between(axis.sorted, low, high, color=colour, alpha=0.25, linewidth=0.0)
        ax.plot(axis.sorted, middle, "o-" if middle.size <= MARKS else "-", color=colour)
    if _spans(float(np.nanmin(middle)), float(np.nanmax(middle))):
        ax.set_yscale("log")
    return [], [], pending


def _code_shares(ax: Axes, one: Slice, axes: list[SweptAxis]) -> Drawn:
    axis = axes[0]
    found, pending = shares_of(one)
    # runs that share a value of x are taken together
    places, which = np.unique(axis.places, return_inverse=True)
    counts = np.array([np.bincount(which.reshape(-1), weights=row) for row in found[:, 0]])
    edges = _edges(axis, places)
    tops = np.vstack([np.zeros(places.size), np.cumsum(counts / counts.sum(axis=0), axis=0)])
    looks = [*({"facecolor": colour} for colour in _colours(one)), HATCHED, {"facecolor": DARK}]
    there = counts.sum(axis=1) > 0
    ax.grid(False)
    for i in np.flatnonzero(there):
        ax.fill_between(np.repeat(edges, 2)[1:-1], np.repeat(tops[i], 2), np.repeat(tops[i + 1], 2), linewidth=0.0, **looks[i])
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0.0, 1.0)
    ax.set_ylabel("share of runs")
    return *_entries(one, list(there)), pending


def _mesh(ax: Axes, axes: list[SweptAxis], cells: np.ma.MaskedArray, **looks: Any) -> QuadMesh:
    """One image in a PDF too; what is masked lets the background through."""
    rows, columns = (_edges(axis, axis.sorted) for axis in axes)
    ax.grid(False)
    mesh = ax.pcolormesh(columns, rows, cells[np.ix_(*(axis.order for axis in axes))], rasterized=True, linewidth=0, **looks)
    ax.set_xlim(columns[0], columns[-1])
    ax.set_ylim(rows[0], rows[-1])
    return mesh


def _patch(colour: str) -> Patch:
    return Patch(facecolor=colour, edgecolor="0.3", linewidth=0.4)


def _colours(one: Slice) -> list[str]:
    return [COLOURS[name] for name in one.coded.values()]


def _entries(one: Slice, there: list[Any]) -> tuple[list[Any], list[str]]:
    """For a legend: of each code, then of what waits and of what could not be run, those that are there."""
    called = [CLASSES[name] if one.array.name == "regime" else name.replace("_", " ") for name in one.coded.values()]
    handles: list[Any] = [_patch(colour) for colour in _colours(one)]
    handles += [Patch(**HATCHED, linewidth=0.4), _patch(DARK)]
    kept = [entry for entry in zip(handles, [*called, STATUS["pending"], UNABLE], there, strict=True) if entry[2]]
    return [handle for handle, *_ in kept], [name for _, name, _ in kept]


def _draw_theory(ax: Axes, run: str, one: Slice, axes: list[SweptAxis]) -> tuple[list[Any], list[str]]:
    """The boundaries of a regime map, where this is one; what a legend says of them."""
    y, x = axes[0], axes[-1]
    if run != "map" or one.array.name != "regime" or x.name != "step_size" or y.name not in AXES or one.others:
        return [], []
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in one.values.items()}
    start = Start(values.get("norm", 1.0), values.get("angle", 1.5))
    grid = Grid(y.name, y.sorted, x.sorted, risk_of(values), start, int(values.get("depth", 1)), int(values["steps"]))
    boundaries = predicted(grid)
    for boundary, sizes in boundaries:
        draw_boundary(ax, grid, _edges(y, y.sorted), sizes, boundary.dashes)
    return boundary_entries(boundary for boundary, _ in boundaries)


def _edges(axis: SweptAxis, places: np.ndarray) -> np.ndarray:
    """Of cells around ``places``, which increase."""
    if axis.log:
        return np.exp(cell_edges(np.log(places)))
    edges = cell_edges(places)
    # no cell reaches where no value can be
    return np.clip(edges, 0.0 if places[0] > 0.0 else -np.inf, np.pi if axis.name == "angle" else np.inf)


def _scale(ax: Axes, which: str, axis: SweptAxis) -> None:
    """Name, scale and ticks of an axis, before anything is drawn."""
    own = ax.xaxis if which == "x" else ax.yaxis
    own.set_label_text(SYMBOLS.get(axis.name, axis.long_name))
    if axis.names:
        own.set_ticks(range(len(axis.names)), axis.names)
        if which == "x" and sum(map(len, axis.names)) > LETTERS * current_page().width:
            ax.tick_params("x", rotation=30)
    elif axis.log:
        (log_sizes if which == "x" else log_values)(ax, axis.places)
    elif axis.whole:
        own.set_major_locator(MaxNLocator(integer=True))
    elif axis.name == "angle" and np.ptp(axis.places) > np.pi / 2.0:
        quarter_ticks(own)
    own.set_minor_locator(NullLocator())


def _check_map(axes: list[SweptAxis]) -> None:
    """ValueError unless two axes span a plane."""
    y, x = axes
    if x.name == y.name:
        raise ValueError(f"`y` must be another axis than `x`, but both are {x.name!r}")
    for what, axis in (("x", x), ("y", y)):
        if axis.shared:
            raise ValueError(
                f"`{what}` of a map must have a dimension of its own, but {axis.name!r} lies along {axis.dim!r}; leave out `y`"
            )


def _spans(low: float, high: float) -> bool:
    return low > 0.0 and high > SPANS * low


def _quantity(one: Slice) -> str:
    """What numbers are, for the axis that has them."""
    name = str(one.array.name)
    base = name.removeprefix("final_")
    if base.endswith("_exponent_error"):
        return f"{QUANTITIES[base.removesuffix('_error')]}, error"
    if base not in QUANTITIES:
        return fill(str(one.array.attrs.get("long_name", name)), 36)
    return f"{QUANTITIES[base]}, last record" if base != name or RECORD_DIM in one.array.dims else QUANTITIES[base]


def _title(one: Slice, line: bool, pending: int) -> str:
    parts = []
    if one.others and not (one.coded and line):
        how = "most frequent" if one.coded else "median and 16 to 84 %" if line else "median"
        parts.append(f"{how} over {', '.join(one.others)}")
    parts += [", ".join(one.told)] if one.told else []
    parts += [f"{pending} run{'s' if pending > 1 else ''} {STATUS['pending']}"] if pending else []
    # a part is broken only if it alone is too long for a line
    words = "; ".join(part.replace(" ", "\xa0").replace(",\xa0", ", ") for part in parts)
    size = current_page()
    return fill(words, int(LETTERS_OF_TITLE * size.width * 72.0 / size.label)).replace("\xa0", " ")
