"""Whole figures, drawn from runs alone, on the page of a conference."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowsim.dynamics import Comparison, GapOrder, Trajectory
from flowsim.dynamics.compare import gap_order_of
from flowsim.present.axes import LATE, finite, legend_above, legend_entries, log_time, mark_end, shared_entries
from flowsim.present.gaps import plot_gap, plot_gap_order
from flowsim.present.paths import plot_exponent, plot_path, plot_straightened
from flowsim.present.phases import plot_bounds, plot_two_phases
from flowsim.present.quantities import QUANTITIES, Runs, each_run
from flowsim.present.sharpness import plot_sharpness
from flowsim.present.style import THEORY, current_page, make_figure, palette, styled, wide_page


def trajectory_figure(trajectory: Runs, theory: bool = True, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""-s = -log tan(theta/2), |w| and L(w) against t (eta k for a descent); dashed the leading order of the late flow.

    trajectory: a run, a batch, or a sequence of them; runs that failed are drawn as far as they got.
    theory: whether to draw the dashed lines.  figure: an empty one to draw into; a new one by default.
    page: "neurips" (the default), "icml-single" or "icml-double": the figure's width and its sizes of type, as in `styled`. Panels stand
        side by side, and above each other in a single column.

    >>> import flowsim as fs
    >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), fs.log_times(1e-2, 1e6, 30))
    >>> float(trajectory_figure(run, page="icml-single").get_figwidth())
    3.25
    """
    with styled(page):
        return _panels(figure, each_run(trajectory), lambda runs, name, ax: plot_path(runs, name, ax, theory, legend=False), LATE)


def straight_figure(runs: Runs, theory: bool = True, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""-s, |w| and 1/L(w) against the powers of t in which they become straight, as `plot_straightened` draws them; dashed these lines.

    runs: a run, a batch, or a sequence of them.  theory, figure, page: as in `trajectory_figure`.
    ValueError for a run without such powers, RuntimeError for one that failed.

    >>> import flowsim as fs
    >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), fs.log_times(1e-2, 1e6, 30))
    >>> [ax.get_xlabel() for ax in straight_figure(run).axes]
    ['$t^{2/3}$', '$t^{1/3}$', '$t^{1/3}$']
    """
    with styled(page):
        return _panels(figure, each_run(runs), lambda runs, name, ax: plot_straightened(runs, name, ax, theory, legend=False), LATE, False)


def exponents_figure(runs: Runs, theory: bool = True, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""d log(-s)/d log t, d log|w|/d log t and d log L/d log t against t; dashed their limits 2N/(N+2), N/(N+2) and -N/(N+2).

    runs: a run, a batch, or a sequence of them.  theory, figure, page: as in `trajectory_figure`. RuntimeError for a run that failed.

    >>> import flowsim as fs
    >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), fs.log_times(1e-2, 1e6, 30))
    >>> [ax.texts[0].get_text() for ax in exponents_figure(run).axes]
    ['$2/3$', '$1/3$', '$-1/3$']
    """
    with styled(page):
        return _panels(figure, each_run(runs), lambda runs, name, ax: plot_exponent(runs, name, ax, theory), "late exponent in theory")


def _panels(figure: Figure | None, runs: list[Trajectory], draw: Callable[..., Axes], theory_name: str, share: bool = True) -> Figure:
    """A panel for each quantity, side by side where the page is wide, else above each other; one legend above."""
    given, figure = figure, make_figure(figure, 2.4 if current_page().wide else 5.0 if share else 5.8)
    axes = _row(figure, len(QUANTITIES), share)
    for ax, quantity in zip(axes, QUANTITIES, strict=True):
        draw(runs, quantity, ax)
    _name_shared_x(axes, share)
    # directions on a ray have no dashed line, norms on a ray none either: take the panel that has most to name
    handles, names = max((legend_entries(ax, theory_name) for ax in axes), key=lambda entry: len(entry[0]))
    if len(handles) > 1 or len(runs) == 1:
        legend_above(figure, handles, names, grow=given is None)
    return figure


def _row(figure: Figure, count: int, share: bool = True) -> np.ndarray:
    """Axes side by side where the page is wide, else above each other, on one axis of time if they ``share`` it; (count,)."""
    if current_page().wide:
        return figure.subplots(1, count, squeeze=False)[0]
    return figure.subplots(count, 1, sharex=share, squeeze=False)[:, 0]


def _name_shared_x(axes: np.ndarray, share: bool = True) -> None:
    """Panels above each other name the axis they share once, and their own side by side."""
    if current_page().wide:
        return
    for ax in axes[:-1] if share else ():
        ax.set_xlabel("")
    axes[0].get_figure().align_ylabels(axes)


def rates_figure(flows: Runs, theory: bool = True, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""-s = -log tan(theta/2) and |w| against t, and below each d log(-s)/d log t and d log|w|/d log t.

    Dashed: leading orders c (N+2)/(2N) ((N+2)K)^((N-2)/(N+2)) t^(2N/(N+2)) and ((N+2) K t)^(N/(N+2)), and below their exponents.

    flows: flows of several depths to a late time, one batch or a sequence; `late_flows` makes them.
    theory, figure, page: as in `trajectory_figure`.

    RuntimeError for a run that failed.

    >>> import flowsim as fs
    >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), fs.log_times(1e-2, 1e6, 30))
    >>> len(rates_figure(run).axes)
    4
    """
    runs = each_run(flows)
    with styled(page):
        wide = current_page().wide
        given, figure = figure, make_figure(figure, 4.3 if wide else 6.8)
        ratios = (3, 2) if wide else (3, 2, 3, 2)
        axes = figure.subplots(*((2, 2) if wide else (4, 1)), sharex=True, height_ratios=ratios, squeeze=False)
        for column, quantity in zip(axes.T if wide else axes.reshape(2, 2), ("direction", "norm"), strict=True):
            plot_path(runs, quantity, column[0], theory, legend=False)
            plot_exponent(runs, quantity, column[1], theory)
            column[0].set_xlabel("")
        _name_shared_x(axes[:, 0])
        handles, names = legend_entries(axes[0, 0], "theory, leading order")
        legend_above(figure, handles, names, grow=given is None)
        figure.align_ylabels()
    return figure


def comparison_figure(comparison: Comparison, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""A descent beside its flow and its modified flow, all against t = eta k.

    Above: -s and |w| of the flow and of the flow of g - (eta/2) g'g as lines, of the descent as points; and the sharpness sigma, with
    a dashed line at 2 and a point where it is first reached. Below: the gaps of descent to either flow in s, |w| and L(w), in the colour
    of that flow, and the leading gap eta e(t), dashed. A cross marks where the modified flow ends; under a schedule there is none.

    comparison: what `flowsim.compare` returns.  figure, page: as in `trajectory_figure`, but for the page "icml-single", which is too
    narrow: ValueError.

    >>> import flowsim as fs
    >>> descent = fs.gradient_descent(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), 0.1, 100)
    >>> figure = comparison_figure(fs.compare(fs.gradient_flow(descent.problem, descent.start, descent.time), descent))
    >>> [text.get_text() for text in figure.legends[0].get_texts()][:2]
    ['flow', 'modified flow']
    """
    flow, modified, descent = comparison.flow, comparison.modified, comparison.descent
    with styled(page):
        wide_page("comparison_figure")
        given, figure = figure, make_figure(figure, 3.9)
        axes = figure.subplots(2, 3, sharex=True)
        first, second, third = palette()[:3]
        for ax, name in zip(axes[0], ("direction", "norm"), strict=False):
            what = QUANTITIES[name]
            plot_path(flow, name, ax, theory=False, legend=False)
            limits = ax.get_ylim()
            if modified is not None:
                ax.plot(modified.time, finite(what.of(modified)), color=third, linewidth=0.9)
                mark_end(ax, modified.time, what.of(modified), third)
            shown = np.isin(descent.time, comparison.time)
            values = finite(what.of(descent)[shown])
            ax.plot(descent.time[shown], values, "o", color=second, markerfacecolor="none", markevery=_every(shown))
            if np.isfinite(values).any() and np.isfinite(finite(what.of(flow))).any():
                low, high = float(np.nanmin(values)), float(np.nanmax(values))
                ax.set_ylim(min(limits[0], 0.9 * low if low > 0 else low), max(limits[1], 1.1 * high))
        plot_sharpness(descent, axes[0, 2])
        for ax, name in zip(axes[1], QUANTITIES, strict=True):
            plot_gap(comparison, name, ax)
        for ax in axes[0]:
            log_time(ax, [flow])
            ax.set_xlabel("")
        figure.align_ylabels()
        handles = [Line2D([], [], color=first)]
        names = ["flow"]
        if modified is not None:
            handles.append(Line2D([], [], color=third))
            ended = not np.isfinite(modified.log_norm[-1])
            names.append(r"modified flow ($\times$: its end)" if ended else "modified flow")
        handles.append(Line2D([], [], color=second, marker="o", markerfacecolor="none", linestyle=""))
        names.append("descent" if descent.step_size is None else rf"descent, $\eta={float(descent.step_size):.3g}$")
        if comparison.norm_predicted is not None:
            handles.append(Line2D([], [], **THEORY))
            names.append(r"predicted gap $\eta\,e(t)$")
        legend_above(figure, handles, names, grow=given is None)
    return figure


def _every(shown: np.ndarray) -> int:
    """Points far enough apart to leave the line visible."""
    return max(1, int(shown.sum()) // 25)


def gap_order_figure(order: Any, theory: bool = True, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""The gaps of descent to the flow and to the modified flow in s and in |w|, at one time, against the step size, with their slopes.

    order: what `flowsim.gap_order` returns, or descents of several step sizes that share a time, as in `plot_gap_order`.
    theory, figure, page: as in `trajectory_figure`.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> descents = [fs.gradient_descent(risk, fs.Start(), 1.0 / k, [k]) for k in (10, 20, 40)]
    >>> gap_order_figure(descents).legends[0].get_texts()[0].get_text()
    'gap to the flow, slope 1.007 in $s$, 1.065 in $|w|$'
    """
    known = order if isinstance(order, GapOrder) else gap_order_of(order)
    with styled(page):
        given, figure = figure, make_figure(figure, 2.7 if current_page().wide else 4.3)
        axes = _row(figure, 2)
        for ax, name in zip(axes, ("direction", "norm"), strict=True):
            plot_gap_order(known, name, ax, theory, legend=False)
        _name_shared_x(axes)
        handles, names = [], []
        slopes = {
            "flow": {"s": known.slope_direction, "|w|": known.slope_norm},
            "modified flow": {"s": known.slope_direction_corrected, "|w|": known.slope_norm_corrected},
        }
        for (name, fitted), colour in zip(slopes.items(), palette()[0::2], strict=False):
            told = [f"{slope:.3f} in ${symbol}$" for symbol, slope in fitted.items() if np.isfinite(slope)]
            handles.append(Line2D([], [], color=colour, marker="o"))
            names.append(f"gap to the {name}, slope {', '.join(told)}" if told else f"gap to the {name}")
        if theory:
            handles.append(Line2D([], [], **THEORY))
            names.append("theory, slopes 1 and 2")
        legend_above(figure, handles, names, grow=given is None)
    return figure


def sharpness_figure(descents: Runs, scaled: bool = False, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""The sharpness lambda = sigma/eta of descents against eta k, and dashed 2/eta; as `plot_sharpness` draws it.

    descents: a descent, a batch, or a sequence of them.  scaled: whether to draw sigma against 2 instead.
    figure, page: as in `trajectory_figure`.

    >>> import flowsim as fs
    >>> run = fs.gradient_descent(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), 0.5, 100, depth=3)
    >>> sharpness_figure(run).axes[0].texts[0].get_text() == r"$2/\eta$"
    True
    """
    runs = each_run(descents)
    with styled(page):
        given, figure = figure, make_figure(figure, 0.5 * current_page().width if current_page().wide else 2.1)
        ax = plot_sharpness(runs, figure.subplots(), scaled, legend=False)
        if len(runs) > 1:
            legend_above(figure, *legend_entries(ax), grow=given is None)
    return figure


def two_phases_figure(flows: Runs, theory: bool = True, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""|w| of one to three flows against t, a panel each: falling to T, rising from T, and the bounds on it, as `plot_two_phases` draws.

    flows: gradient flows without label noise.  theory, figure, page: as in `trajectory_figure`.

    >>> import flowsim as fs
    >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(1.0, 2.0), fs.log_times(1e-2, 1e3, 60))
    >>> two_phases_figure(run).axes[0].get_title()
    '$N=1$: $T=1.663$, $r(T)=0.6847$'
    """
    with styled(page):
        return _one_each(figure, flows, lambda run, ax: plot_two_phases(run, ax, theory, legend=False))


def bounds_figure(
    flows: Runs,
    quantity: str = "exponent",
    variant: str = "as_derived",
    restarts: Sequence[float] = (),
    figure: Figure | None = None,
    page: str | None = None,
) -> Figure:
    r"""-2 s, or theta, of one to three flows against t, a panel each, between the theorems' bounds, as `plot_bounds` draws them.

    flows: gradient flows without label noise, off the rays.  quantity, variant, restarts: as in `plot_bounds`.
    figure, page: as in `trajectory_figure`.

    >>> import flowsim as fs
    >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(1.0, 2.0), fs.log_times(1e-2, 1e3, 60))
    >>> bounds_figure(run).axes[0].get_title()
    '$N=1$: Theorem 1'
    """
    with styled(page):
        return _one_each(figure, flows, lambda run, ax: plot_bounds(run, quantity, ax, variant, restarts, legend=False))


def _one_each(figure: Figure | None, flows: Runs, draw: Callable[[Trajectory, Axes], Axes]) -> Figure:
    """A panel for each run, with its depth in the title where there are several; one legend above."""
    runs = each_run(flows)
    if len(runs) > 3:
        raise ValueError(f"`flows` must be one to three runs, but are {len(runs)}")
    wide, count = current_page().wide, len(runs)
    given, figure = figure, make_figure(figure, (3.1 if count == 1 else 2.6) if wide else 2.0 * count + 0.3)
    axes = _row(figure, count, share=False)
    for ax, run in zip(axes, runs, strict=True):
        draw(run, ax)
        depth = f"$N={int(run.depth)}$"
        if depth not in ax.get_title():
            ax.set_title(f"{depth}\n{ax.get_title()}" if count > 1 and wide else f"{depth}: {ax.get_title()}")
    _name_shared_x(axes, share=False)
    legend_above(figure, *shared_entries(axes), grow=given is None)
    return figure
