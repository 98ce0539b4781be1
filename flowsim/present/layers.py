"""Runs of matrices: the direction of unbalanced layers against its power law, and what the layers do to each other on the way."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flowsim.present.axes import LATE, fraction, legend_above, log_time, log_values, mark_end, say, shared_entries
from flowsim.present.networks import Drawn, drawn_runs
from flowsim.present.quantities import QUANTITIES, time_label
from flowsim.present.style import THEORY, make_axes, make_figure, styled, wide_page
from flowsim.theory import alignment_bound, rank_one_excess_bound

BAND = 0.25
"""Opacity of a band of seeds."""

ROUNDING = 1e-14
"""Below it the distance of a ratio from 1 is rounding."""

RESOLVED = 1e-16
"""Angles down to which exponential directions are shown, where no power law says how far the axis has to reach."""

BOUND = {**THEORY, "linestyle": (0, (1.0, 1.2))}
"""Bounds from the imbalance at the start: dotted, since the dashed lines beside them are no bounds."""

SAID = {"_theory": (LATE, THEORY), "_bound": ("bound by the imbalance", BOUND)}
"""What lines of these labels are, and how they look."""


def plot_layers_direction(
    runs: Any, ax: Axes | None = None, theory: bool = True, legend: bool = True, names: Sequence[str] | None = None
) -> Axes:
    r"""theta against t, both logarithmic: solid the runs, dashed theta ~ C t^(-(N(1+a)+3)/(aN+2)) of layers that are not balanced.

    C is that of `flowsim.theory.generic_direction` from the last layers of each run: nothing is fitted. Balanced layers, and others whose
    direction is exponential, have no such line and leave the axis below. A batch is drawn as its median, in the band from the least of its
    networks to the largest.

    runs: a `LayerRun`, one network or a batch, or a sequence of them.
    ax: drawn into and returned; a new one by default.  theory: whether to draw the dashed lines.  legend: whether to name the runs.
    names: what the legend calls the runs; by default what tells them apart.

    ValueError on bad input. Source: derivations/generic_direction.py, formal.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> run = fs.layer_descent(risk, fs.layers.gaussian(dim=2, depth=2, width=4), step_size=0.1, steps=2000)
    >>> [line.get_linestyle() for line in plot_layers_direction(run).get_lines()]
    ['-', '--']
    """
    with styled():
        drawn = drawn_runs(runs, names)
        ax = make_axes(ax)
        _draw_angle(ax, drawn, theory)
        _finish(ax, drawn)
        handles, called = _entries([ax], drawn)
        if legend and len(handles) > 1:
            ax.legend(handles, called)
    return ax


def layers_figure(
    runs: Any, theory: bool = True, figure: Figure | None = None, page: str | None = None, names: Sequence[str] | None = None
) -> Figure:
    r"""What networks of matrices do, against t (eta k for a descent): a colour a run, a batch as its median in the band of its range.

    Above: the angle theta, as in `plot_layers_direction`; -s = -log tan(theta/2), dashed with the late law of each run; and |w|, dashed
    R = ((N+2) K t)^(N/(N+2)). Below: how far the layers are from rank one, from each other, and from what the flow conserves:

        |W_j|_F^2/|W_j|^2 - 1,   1 - |<v_(j+1), u_j>|,   |B_j(t) - B_j(0)|_F,   B_j = W_j W_j^T - W_(j+1)^T W_(j+1),

    each the largest over the layers j; dotted, for flows, the bounds that B_j(0) sets on the first two (Ji, Telgarsky 2019;
    derivations/imbalance.py). What is below 1e-14 there is rounding and left out: layers of rank one do not appear.

    runs: a `LayerRun`, one network or a batch, or a sequence of them.  theory: whether to draw what is predicted.
    names: as in `plot_layers_direction`.  figure, page: as in `trajectory_figure`, but for the page "icml-single", which is too narrow.

    ValueError on bad input.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> run = fs.layer_descent(risk, fs.layers.gaussian(dim=2, depth=2, width=4), step_size=0.1, steps=100)
    >>> len(layers_figure(run).axes)
    6
    """
    with styled(page):
        wide_page("layers_figure")
        drawn = drawn_runs(runs, names)
        given, figure = figure, make_figure(figure, 4.0)
        axes = figure.subplots(2, 3, sharex=True)
        above, below = axes
        _draw_angle(above[0], drawn, theory)
        _draw_direction(above[1], drawn, theory)
        _draw_norm(above[2], drawn, theory)
        _draw_excess(below[0], drawn, theory)
        _draw_misalignment(below[1], drawn, theory)
        _draw_drift(below[2], drawn)
        for ax in axes.flat:
            _finish(ax, drawn)
        for ax in above:
            ax.set_xlabel("")
        figure.align_ylabels()
        legend_above(figure, *_entries(axes.flat, drawn), grow=given is None)
    return figure


def _draw(ax: Axes, one: Drawn, values: np.ndarray) -> None:
    """The median of (B, T), and its range."""
    there = np.isfinite(values).any(axis=0)
    if not there.any():
        return
    low, middle, high = (np.full(there.size, np.nan) for _ in range(3))
    for line, reduce in ((low, np.nanmin), (middle, np.nanmedian), (high, np.nanmax)):
        line[there] = reduce(values[:, there], axis=0)
    if len(values) > 1:
        ax.fill_between(one.run.time, low, high, color=one.colour, alpha=BAND, linewidth=0.0)
    ax.plot(one.run.time, middle, color=one.colour, label=one.name, marker="o" if there.sum() == 1 else None)
    mark_end(ax, one.run.time, middle, one.colour)


def _missing(drawn: Sequence[Drawn]) -> str:
    """Why a panel of pairs of layers has nothing to show."""
    return "a single layer" if all(one.run.depth == 1 for one in drawn) else "not recorded"


def _spanned(ax: Axes, drawn: Sequence[np.ndarray], note: str) -> None:
    """A logarithmic axis around what is drawn, whatever is predicted; a note where that is nothing."""
    values = np.concatenate([np.zeros(0), *(values.ravel() for values in drawn)])
    values = values[np.isfinite(values) & (values > 0.0)]
    if not values.size:
        say(ax, note)
        return
    log_values(ax, values)
    ax.set_ylim(ax.get_ylim())


def _predict(ax: Axes, times: np.ndarray, values: np.ndarray, what: str = "_theory") -> None:
    ax.plot(times, values, label=what, **SAID[what][1])


def _late(drawn: Sequence[Drawn], theory: bool) -> Iterator[tuple[Drawn, np.ndarray]]:
    """The runs that late laws say something of, and the times at which they do."""
    for one in drawn if theory else ():
        times = one.late_times()
        if times.size:
            yield one, times


def _draw_angle(ax: Axes, drawn: Sequence[Drawn], theory: bool) -> None:
    shown = []
    for one in drawn:
        angle = one.values(lambda run: run.angle)
        _draw(ax, one, np.where(angle > 0.0, angle, np.nan))
        # exponential directions say nothing of how far down the axis should go
        shown.append(np.where(angle >= RESOLVED, angle, np.nan) if one.direction is None else angle)
    lasting = [values[values > 0.0] for values, one in zip(shown, drawn, strict=True) if one.direction is not None]
    if any(values.size for values in lasting):
        least = float(np.concatenate(lasting).min())
        shown = [np.where(values >= least, values, np.nan) for values in shown]
    _spanned(ax, shown, "on the ray\nor nothing recorded")
    powers: dict[str, Any] = {}
    for one, times in _late(drawn, theory):
        if one.direction is not None:
            _predict(ax, times, float(np.median(one.direction.constant)) * times**-one.direction.exponent)
            powers.setdefault(f"$t^{{-{fraction(one.direction.exponent)}}}$", one.colour)
    for row, (said, colour) in enumerate(reversed(powers.items())):
        ax.annotate(said, (0.05, 0.05), (0, 12 * row), "axes fraction", "offset points", color=colour, size="small")
    ax.set_ylabel(r"angle  $\theta$")


def _draw_direction(ax: Axes, drawn: Sequence[Drawn], theory: bool) -> None:
    shown = []
    for one in drawn:
        # before pi/2 there is no logarithm of -s, and just after it is all there is to see
        direction = one.values(lambda run: -run.log_tan_half_angle)
        shown.append(np.where(np.isfinite(direction) & (direction > 0.1), direction, np.nan))
        _draw(ax, one, shown[-1])
    _spanned(ax, shown, r"$\theta\geq\pi/2$ throughout" + "\nor nothing recorded")
    for one, times in _late(drawn, theory):
        if one.direction is not None:
            _predict(ax, times, np.log(2.0 / np.median(one.direction.constant)) + one.direction.exponent * np.log(times))
        elif one.late is not None:
            _predict(ax, times, -one.late.log_tan_half_angle(times))
    ax.set_ylabel(QUANTITIES["direction"].title)


def _draw_norm(ax: Axes, drawn: Sequence[Drawn], theory: bool) -> None:
    shown = [one.values(lambda run: run.norm) for one in drawn]
    for one, values in zip(drawn, shown, strict=True):
        _draw(ax, one, np.where((values > 0.0) & np.isfinite(values), values, np.nan))
    _spanned(ax, shown, "nothing recorded")
    for one, times in _late(drawn, theory):
        if one.late is not None:
            _predict(ax, times, one.late.norm(times))
    ax.set_ylabel(QUANTITIES["norm"].title)


def _draw_excess(ax: Axes, drawn: Sequence[Drawn], theory: bool) -> None:
    shown = []
    for one in drawn:
        if not {"layer_norm", "spectral_norm"} <= set(one.run.observed):
            continue
        shown.append(_above_rounding(one.values(lambda run: run.stable_rank.max(axis=-1) - 1.0)))
        _draw(ax, one, shown[-1])
        if theory and one.run.kind == "flow" and one.run.depth > 1:
            bounds = rank_one_excess_bound(one.run.start.matrices)[..., None, :] / one.run.observed["spectral_norm"] ** 2
            _predict_median(ax, one, bounds.max(axis=-1))
    _spanned(ax, shown, "rank one throughout" if shown else "not recorded")
    ax.set_ylabel(r"rank excess  $|W_j|_\mathrm{F}^2\,/\,|W_j|^2-1$")


def _draw_misalignment(ax: Axes, drawn: Sequence[Drawn], theory: bool) -> None:
    shown = []
    for one in drawn:
        if "alignment" not in one.run.observed:
            continue
        shown.append(_above_rounding(one.values(lambda run: 1.0 - run.observed["alignment"].min(axis=-1))))
        _draw(ax, one, shown[-1])
        if theory and one.run.kind == "flow" and "spectral_norm" in one.run.observed:
            singular = np.moveaxis(one.run.observed["spectral_norm"], -2, 0)[..., :-1]
            cosines = np.sqrt(np.moveaxis(alignment_bound(one.run.start.matrices, np.where(singular > 0.0, singular, 1.0)), 0, -2))
            _predict_median(ax, one, 1.0 - cosines.min(axis=-1))
    _spanned(ax, shown, "aligned throughout" if shown else _missing(drawn))
    ax.set_ylabel(r"misalignment  $1-|\langle v_{j+1},u_j\rangle|$")


def _draw_drift(ax: Axes, drawn: Sequence[Drawn]) -> None:
    shown = []
    for one in drawn:
        if "imbalance_drift" in one.run.observed:
            drift = one.values(lambda run: run.observed["imbalance_drift"].max(axis=-1))
            shown.append(np.where(drift > 0.0, drift, np.nan))
            _draw(ax, one, shown[-1])
    _spanned(ax, shown, "no drift" if shown else _missing(drawn))
    ax.set_ylabel(r"drift of imbalance  $|\Delta B_j|_\mathrm{F}$")


def _above_rounding(values: np.ndarray) -> np.ndarray:
    return np.where(values > ROUNDING, values, np.nan)


def _predict_median(ax: Axes, one: Drawn, bounds: np.ndarray) -> None:
    """Half of the networks lie below it, as each lies below its own bound."""
    values = np.median(bounds.reshape(-1, one.run.time.size), axis=0)
    if (values > ROUNDING).any():
        _predict(ax, one.run.time, _above_rounding(values), "_bound")


def _finish(ax: Axes, drawn: Sequence[Drawn]) -> None:
    runs = [one.run for one in drawn]
    if any((run.time > 0.0).any() for run in runs):
        log_time(ax, runs)
    ax.set_xlabel(time_label(runs))


def _entries(axes: Iterable[Axes], drawn: Sequence[Drawn]) -> tuple[list[Any], list[str]]:
    """Handles and names: the runs, what a band is, and each kind of prediction that is there."""
    axes = list(axes)
    handles, names = shared_entries(axes)
    if any(one.run.status.size > 1 for one in drawn):
        handles.append((Patch(color="0.5", alpha=BAND, linewidth=0.0), Line2D([], [], color="0.5")))
        names.append("median and range of seeds")
    there = {line.get_label() for ax in axes for line in ax.get_lines()}
    for label, (name, look) in SAID.items():
        if label in there:
            handles.append(Line2D([], [], **look))
            names.append(name)
    return handles, names
