"""Whole figures, drawn from runs alone: rates over twelve decades, one run, and a descent beside its flow."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowsim.dynamics import Comparison
from flowsim.present.panels import (
    QUANTITIES,
    Runs,
    each_run,
    legend_columns,
    legend_entries,
    log_time,
    plot_exponent,
    plot_gap,
    plot_path,
)
from flowsim.present.style import make_figure, palette, styled


def rates_figure(flows: Runs, theory: bool = True, figure: Figure | None = None) -> Figure:
    r"""-s = -log tan(theta/2) and |w| against t, and below each d log(-s)/d log t and d log|w|/d log t.

    Dashed: leading orders c (N+2)/(2N) ((N+2)K)^((N-2)/(N+2)) t^(2N/(N+2)) and ((N+2) K t)^(N/(N+2)), and below their exponents.

    flows: flows of several depths to a late time, one batch or a sequence; `late_flows` makes them.
    theory: whether to draw the dashed lines.  figure: an empty one to draw into; a new one by default.

    RuntimeError for a run that failed.
    """
    runs = each_run(flows)
    with styled():
        figure = make_figure(figure, 4.3)
        axes = figure.subplots(2, 2, sharex=True, height_ratios=(3, 2))
        for column, quantity in zip(axes.T, ("direction", "norm"), strict=True):
            plot_path(runs, quantity, column[0], theory, legend=False)
            plot_exponent(runs, quantity, column[1], theory)
            column[0].set_xlabel("")
        handles, names = legend_entries(axes[0, 0], "theory, leading order")
        figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names))
    return figure


def trajectory_figure(trajectory: Runs, theory: bool = True, figure: Figure | None = None) -> Figure:
    r"""-s = -log tan(theta/2), |w| and L(w) against t (eta k for a descent), side by side; dashed the leading order of the late flow.

    trajectory: a run, a batch, or a sequence of them; runs that failed are drawn as far as they got.
    theory: whether to draw the dashed lines.  figure: an empty one to draw into; a new one by default.
    """
    runs = each_run(trajectory)
    with styled():
        figure = make_figure(figure, 2.4)
        axes = figure.subplots(1, 3)
        for ax, quantity in zip(axes, QUANTITIES, strict=True):
            plot_path(runs, quantity, ax, theory, legend=False)
        # directions on a ray have no dashed line, norms on a ray none either: take the panel that has most to name
        handles, names = max((legend_entries(ax) for ax in axes), key=lambda entry: len(entry[0]))
        if len(handles) > 1 or len(runs) == 1:
            figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names))
    return figure


def comparison_figure(comparison: Comparison, figure: Figure | None = None) -> Figure:
    r"""-s, |w| and L(w) against t = eta k: the flow as a line, the descent as points; below, the size of the gap between the two.

    comparison: what `flowsim.compare` returns.  figure: an empty one to draw into; a new one by default.
    """
    flow, descent = comparison.flow, comparison.descent
    with styled():
        figure = make_figure(figure, 3.6)
        axes = figure.subplots(2, 3, sharex=True, height_ratios=(3, 2))
        first, second = palette()[:2]
        for column, (name, what) in zip(axes.T, QUANTITIES.items(), strict=True):
            plot_path(flow, name, column[0], theory=False, legend=False)
            shown = np.isin(descent.time, comparison.time)
            column[0].plot(descent.time[shown], what.of(descent)[shown], "o", color=second, markerfacecolor="none", markevery=_every(shown))
            plot_gap(comparison, name, column[1])
            log_time(column[1], [flow])
            column[0].set_xlabel("")
            column[0].set_title(what.title)
            column[0].set_ylabel("")
        handles = [
            Line2D([], [], color=first),
            Line2D([], [], color=second, marker="o", markerfacecolor="none", linestyle=""),
            Line2D([], [], color=second),
        ]
        names = ["flow", "descent" if descent.step_size is None else rf"descent, $\eta={float(descent.step_size):.3g}$", "gap"]
        figure.legend(handles, names, loc="outside upper center", ncols=3)
    return figure


def _every(shown: np.ndarray) -> int:
    """Points far enough apart to leave the line visible."""
    return max(1, int(shown.sum()) // 25)
