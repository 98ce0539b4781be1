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
    mark_end,
    plot_exponent,
    plot_gap,
    plot_path,
    plot_sharpness,
)
from flowsim.present.style import THEORY, make_figure, palette, styled


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
    r"""A descent beside its flow and its modified flow, all against t = eta k.

    Above: -s and |w| of the flow and of the flow of g - (eta/2) g'g as lines, of the descent as points; and the sharpness sigma, with
    a line at 2 and a point where it is first reached. Below: the gaps of descent to either flow in s, |w| and L(w), in the colour of
    that flow, and the leading gap eta e(t), dashed. A cross marks where the modified flow ends; under a schedule there is none.

    comparison: what `flowsim.compare` returns.  figure: an empty one to draw into; a new one by default.
    """
    flow, modified, descent = comparison.flow, comparison.modified, comparison.descent
    with styled():
        figure = make_figure(figure, 3.9)
        axes = figure.subplots(2, 3, sharex=True)
        first, second, third = palette()[:3]
        for ax, name in zip(axes[0], ("direction", "norm"), strict=False):
            what = QUANTITIES[name]
            plot_path(flow, name, ax, theory=False, legend=False)
            limits = ax.get_ylim()
            if modified is not None:
                ax.plot(modified.time, _finite(what.of(modified)), color=third, linewidth=0.9)
                mark_end(ax, modified.time, what.of(modified), third)
            shown = np.isin(descent.time, comparison.time)
            values = _finite(what.of(descent)[shown])
            ax.plot(descent.time[shown], values, "o", color=second, markerfacecolor="none", markevery=_every(shown))
            if np.isfinite(values).any() and np.isfinite(_finite(what.of(flow))).any():
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
        figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names))
    return figure


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _every(shown: np.ndarray) -> int:
    """Points far enough apart to leave the line visible."""
    return max(1, int(shown.sum()) // 25)
