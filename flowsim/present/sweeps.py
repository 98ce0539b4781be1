"""A sweep as a picture, finished or not: a map over two of its axes, or a line over one, and the rest picked or reduced."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from flowsim.present.axes import legend_above, say
from flowsim.present.regimes import COLOURS as REGIME_COLOURS
from flowsim.present.slices import Slice, SweptAxis, axis_of, config_of, quantiles_of, shares_of, slice_of
from flowsim.present.style import current_page, make_figure, palette, styled
from flowsim.present.sweep_scales import edges_of, scale_axis, scale_of, spans
from flowsim.present.sweep_theory import draw_theory
from flowsim.sweeps import CLASSES
from flowsim.sweeps.kinds.kind import STATUS
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
    "not_separated": "#AA4499",
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
    "test_error": "test error",
}
"""Names of what is recorded, where they are shorter than those of the store."""

MOST_PANELS = 4
"""Maps beside each other."""
MARKS = 30
"""Values along x up to which each has a mark on its line."""
CROWD = 2000
"""Marks up to which each is a path of its own in a PDF."""
LETTERS_OF_TITLE = 1.75
"""Letters in a line of a title, in units of the page's width over the size of type: letters are half as wide, a panel is not all."""
UNABLE, UNKNOWN = "could not be run", "no number"
GREY, DARK = "0.85", "#4D4D4D"
HATCHED: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.75", "hatch": "/////"}
"""Where no run is done."""


def sweep_figure(
    data: Any,
    x: str,
    y: str | None = None,
    value: str | None = None,
    at: Any = None,
    page: str | None = None,
    panels: str | None = None,
) -> Figure:
    r"""One quantity of a sweep over its axes x and y, in colour, or over x alone, as a line.

    Axes that are neither drawn nor picked from by ``at`` are reduced: a map shows the median of the finite numbers, of a regime or status
    the most frequent (of two, the first in the legend); a line is the median in the band from the 16th to the 84th percentile; a regime or
    status over x alone is the share of each. The title says what was picked and reduced. Cells in which no run is done are hatched; numbers
    that are not finite, and whole ones below zero, which stand for none, count as none and leave a cell grey. The scale of numbers is
    logarithmic where all are positive and span more than a factor of 1000; that of a test error is even in the normal quantile, from chance
    down to 1e-8. The array is read a block at a time, however large it is.

    Of a sweep of maps, the regime over step_size and angle, norm or depth has the boundaries of `plot_regimes` where all else is one value.
    The test error on a mixture over samples and signal has those of `benign_boundaries`, and contours of `benign_error`, where all else but
    the seed is one value.

    data: what `flowsim.sweeps.open_sweep` returns.  x, y: names of axes, y also None; in a map each along a dimension of its own.
    value: a variable with one number a run, or a series, which is taken at its last record; default: regime, else the first of the numbers,
        else the first of the final ones, else status.
    at: by axis: the value whose nearest is picked; of names, the name.  page: as in `trajectory_figure`.
    panels: an axis of up to `MOST_PANELS` values, each of which has a map beside the others, on one scale.

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
    slices = _panels(data, value, axes, {} if at is None else at, panels)
    run = config_of(data)["run"]
    with styled(page):
        figure = make_figure(None, 3.4 if current_page().wide else 2.7)
        row = figure.subplots(1, len(slices), sharey=y is not None, squeeze=False)[0]
        for ax, which in ((ax, which) for ax in row for which in ("yx" if y is not None else "x")):
            scale_axis(ax, which, axes[0 if which == "y" else -1])
        draw = (_code_maps if slices[0].coded else _number_maps) if y is not None else (_code_shares if slices[0].coded else _number_line)
        entries: dict[str, Any] = {}
        predictions: dict[str, Any] = {}
        for ax, one, (handles, names, pending) in zip(row, slices, draw(list(row), slices, axes), strict=True):
            lines, labels = draw_theory(ax, run, one, axes)
            ax.set_title(_title(one, y is None, pending, len(slices)))
            entries |= dict(zip(names, handles, strict=True))
            predictions |= dict(zip(labels, lines, strict=True))
        for ax in row[1:]:
            ax.set_ylabel("")
        # classes that only a later panel has are still in their own place
        order = {name: i for i, name in enumerate(_entries(slices[0], [True] * (len(slices[0].coded) + 2))[1])}
        entries = {name: entries[name] for name in sorted(entries, key=lambda name: order.get(name, len(order)))} | predictions
        if entries:
            legend_above(figure, list(entries.values()), list(entries), grow=True)
    return figure


def _panels(data: Any, value: str | None, axes: list[SweptAxis], at: Any, panels: str | None) -> list[Slice]:
    """One slice, or one for each value of an axis."""
    if panels is None:
        return [slice_of(data, value, axes, at)]
    axis = axis_of(data, "panels", panels)
    if len(axes) < 2:
        raise ValueError("`panels` must be left out where there is no `y`: only maps stand beside each other")
    if axis.shared or axis.dim in {one.dim for one in axes} or axis.places.size > MOST_PANELS:
        raise ValueError(
            f"`panels` must be an axis that is not drawn, with a dimension of its own and at most {MOST_PANELS} values, but is {panels!r}"
        )
    if isinstance(at, Mapping) and panels in at:
        raise ValueError(f"`panels` must not be an axis that `at` picks along, but is {panels!r}")
    # its values as `at` takes them
    picked = [axis.names[int(place)] if axis.names else float(place) for place in axis.sorted]
    return [slice_of(data, value, axes, {**at, panels: one} if isinstance(at, Mapping) else at) for one in picked]


Drawn = tuple[list[Any], list[str], int]
"""Handles and names for a legend, and how many runs are not done."""


def _code_maps(row: list[Axes], slices: list[Slice], axes: list[SweptAxis]) -> list[Drawn]:
    return [_code_map(ax, one, axes) for ax, one in zip(row, slices, strict=True)]


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


def _number_maps(row: list[Axes], slices: list[Slice], axes: list[SweptAxis]) -> list[Drawn]:
    """All on one scale."""
    found = [quantiles_of(one) for one in slices]
    cells = np.ma.masked_invalid([middle for (_, middle, _), *_ in found])
    scale = scale_of(str(slices[0].array.name), cells) if cells.count() else None
    out = []
    for ax, one, numbers, (_, waits, pending) in zip(row, slices, cells, found, strict=True):
        unknown = np.ma.getmaskarray(numbers) & ~waits
        if unknown.any():
            _mesh(ax, axes, np.ma.masked_array(np.zeros(numbers.shape), ~unknown), cmap=ListedColormap([GREY]))
        if scale is not None and numbers.count():
            _mesh(ax, axes, numbers, cmap=rcParams["image.cmap"], norm=scale.norm)
        handles, names = _entries(one, [bool(waits.any()), False])
        if waits.any():
            ax.patch.set(**HATCHED)
        if unknown.any():
            handles, names = [*handles, _patch(GREY)], [*names, UNKNOWN]
        out.append((handles, names, pending))
    if scale is not None:
        bar = row[0].figure.colorbar(
            ScalarMappable(scale.norm, rcParams["image.cmap"]), ax=row, label=_quantity(slices[0]), extend=scale.extend
        )
        scale.mark(bar)
        bar.outline.set_linewidth(rcParams["axes.linewidth"])
    return out


def _number_line(row: list[Axes], slices: list[Slice], axes: list[SweptAxis]) -> list[Drawn]:
    ax, one, axis, colour = row[0], slices[0], axes[0], palette()[0]
    found, _, pending = quantiles_of(one)
    low, middle, high = found[:, 0, axis.order]
    ax.set_ylabel(_quantity(one))
    if not np.isfinite(middle).any():
        say(ax, UNKNOWN)
        return [([], [], pending)]
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
    if spans(float(np.nanmin(middle)), float(np.nanmax(middle))):
        ax.set_yscale("log")
    return [([], [], pending)]


def _code_shares(row: list[Axes], slices: list[Slice], axes: list[SweptAxis]) -> list[Drawn]:
    ax, one, axis = row[0], slices[0], axes[0]
    found, pending = shares_of(one)
    # runs that share a value of x are taken together
    places, which = np.unique(axis.places, return_inverse=True)
    counts = np.array([np.bincount(which.reshape(-1), weights=row) for row in found[:, 0]])
    edges = edges_of(axis, places)
    tops = np.vstack([np.zeros(places.size), np.cumsum(counts / counts.sum(axis=0), axis=0)])
    looks = [*({"facecolor": colour} for colour in _colours(one)), HATCHED, {"facecolor": DARK}]
    there = counts.sum(axis=1) > 0
    ax.grid(False)
    for i in np.flatnonzero(there):
        ax.fill_between(np.repeat(edges, 2)[1:-1], np.repeat(tops[i], 2), np.repeat(tops[i + 1], 2), linewidth=0.0, **looks[i])
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0.0, 1.0)
    ax.set_ylabel("share of runs")
    return [(*_entries(one, list(there)), pending)]


def _mesh(ax: Axes, axes: list[SweptAxis], cells: np.ma.MaskedArray, **looks: Any) -> QuadMesh:
    """One image in a PDF too; what is masked lets the background through."""
    rows, columns = (edges_of(axis, axis.sorted) for axis in axes)
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


def _quantity(one: Slice) -> str:
    """What numbers are, for the axis that has them."""
    name = str(one.array.name)
    base = name.removeprefix("final_")
    if base.endswith("_exponent_error"):
        return f"{QUANTITIES[base.removesuffix('_error')]}, error"
    if base not in QUANTITIES:
        return fill(str(one.array.attrs.get("long_name", name)), 36)
    return f"{QUANTITIES[base]}, last record" if base != name or RECORD_DIM in one.array.dims else QUANTITIES[base]


def _title(one: Slice, line: bool, pending: int, panels: int) -> str:
    parts = []
    if one.others and not (one.coded and line):
        how = "most frequent" if one.coded else "median and 16 to 84 %" if line else "median"
        parts.append(f"{how} over {', '.join(one.others)}")
    parts += [", ".join(one.told)] if one.told else []
    parts += [f"{pending} run{'s' if pending > 1 else ''} {STATUS['pending']}"] if pending else []
    # a part is broken only if it alone is too long for a line
    words = "; ".join(part.replace(" ", "\xa0").replace(",\xa0", ", ") for part in parts)
    size = current_page()
    return fill(words, int(LETTERS_OF_TITLE * size.width * 72.0 / size.label / panels)).replace("\xa0", " ")
