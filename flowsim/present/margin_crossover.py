"""Where a margin is felt: flows on samples with a margin cut out follow the population's law, and turn to their separator afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flowsim.dynamics import Trajectory
from flowsim.present.axes import colours, fraction, legend_above, log_limits
from flowsim.present.margin_runs import MarginRun, MarginTimes, by_margin, margin_crossover_times
from flowsim.present.style import THEORY, make_figure, styled, wide_page
from flowsim.theory import margin_norm, sample_direction_error
from flowsim.theory.margin_law import WHOLE, margin_felt, scaled_log_time

Groups = Mapping[float, Sequence[MarginRun]]

BAND = 0.15
MEDIAN = 0.67449
"""Of |z|, z ~ N(0, 1): in the plane the error of a sample is one such number."""
SCALED = 50.0
"""kappa |w| to which the common curve is drawn: log t some fifty beyond the crossover."""
EARLIEST = 0.3
"""log t from which angles are shown."""


def margin_crossover_figure(flow: Any, runs: Any, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""How exp(-c t^(2N/(N+2))) turns into 1/log t where the margin kappa is felt, margin by margin: medians, and bands of all seeds.

    Above, against log t on a logarithmic axis: the angle to the teacher, dashed that of the population and the error that n samples make of
    it (`flowsim.theory.sample_direction_error`, its median), which parts them before the margin is felt; and the angle to the sample's own
    separator, dashed b kappa'/log t with b and the margin kappa' of the separators (`MarginRun`), nothing fitted. Dots: the crossover of
    the law.
    Below: kappa |w| against f0 kappa^(1+2/N) t, dashed the one curve of `flowsim.theory.margin_law`, which is a power before the crossover
    and a logarithm after it; and log t of the crossovers, where the risk is half of the population's, with the slope over the margins.

    flow, runs: of `margin_crossover_runs`.  figure, page: as in `trajectory_figure`, but for "icml-single", which is too narrow.
    ValueError on bad input. Source: Soudry et al. 2018 (https://arxiv.org/abs/1710.10345) for 1/log t; the scaling law is derived here.

    >>> import flowsim as fs
    >>> runs = fs.present.margin_crossover_runs(margins=[0.32, 0.31], samples=3, seeds=1, last=9.0, count=12, solver="dopri8")
    >>> len(fs.present.margin_crossover_figure(*runs).axes)
    4
    """
    times = margin_crossover_times(flow, runs)
    course, groups = by_margin(flow, runs)
    with styled(page):
        wide_page("margin_crossover_figure")
        given, figure = figure, make_figure(figure, 4.4)
        above, below = figure.subplots(2, 2)
        shades = colours(len(groups))
        _draw_angles(list(above), course, groups, times, shades)
        _draw_norm(below[0], course, groups, shades)
        _draw_times(below[1], times, shades)
        handles: list[Any] = [Line2D([], [], color=shade) for shade in shades]
        names = [rf"$\kappa={margin:g}$, $n={group[0].data.size}$" for margin, group in groups.items()]
        if times.times.shape[1] > 1:
            handles.append((Patch(color="0.5", alpha=BAND, linewidth=0.0), Line2D([], [], color="0.5")))
            names.append(f"median and range of {times.times.shape[1]} seeds")
        legend_above(figure, [*handles, Line2D([], [], **THEORY)], [*names, "theory, nothing fitted"], grow=given is None)
        figure.align_ylabels()
    return figure


def _draw_angles(axes: Sequence[Axes], course: Trajectory, groups: Groups, times: MarginTimes, shades: Sequence[Any]) -> None:
    teacher, own = axes
    log_t = next(iter(groups.values()))[0].run.log_time
    there, known = log_t > EARLIEST, log_t[: course.time.size] > EARLIEST
    lows = []
    for (margin, group), shade, felt in zip(groups.items(), shades, times.expected, strict=True):
        for ax, angles in (
            (teacher, [one.run.angle_to(one.data.v) for one in group]),
            (own, [one.run.angle_to(one.separator.direction) for one in group]),
        ):
            values = np.array(angles)[:, there]
            middle = np.median(values, axis=0)
            ax.fill_between(log_t[there], values.min(axis=0), values.max(axis=0), color=shade, alpha=BAND, linewidth=0.0, label="_band")
            ax.plot(log_t[there], middle, color=shade, label=rf"$\kappa={margin:g}$")
            if log_t[there][0] < felt < log_t[-1]:
                height = np.exp(np.interp(felt, log_t[there], np.log(middle)))
                ax.plot(felt, height, "o", color=shade, markersize=4.0, markeredgecolor="black", zorder=5, label="_felt")
            lows.append(float(middle.min()))
        _draw_error(teacher, course, group[0].data.size, felt)
        late = log_t > 2.0 * felt
        if late.any():
            level = float(np.median([one.residual * one.separator.margin for one in group]))
            own.plot(log_t[late], level / log_t[late], label="_theory", **THEORY)
    exponent = fraction(2.0 * int(course.depth) / (int(course.depth) + 2.0))
    for ax, to in ((teacher, "to the teacher"), (own, "to the separator")):
        ax.plot(log_t[: course.time.size][known], course.angle[known], label="_population", **THEORY)
        ax.set_xscale("log")
        ax.set_yscale("log")
        log_limits(ax, EARLIEST, float(log_t[-1]))
        ax.set_ylim(0.3 * min(lows), 2.5)
        ax.set_xlabel(r"$\log t$,  on a logarithmic axis")
        ax.set_ylabel(f"angle  {to}")
    for ax, said in (
        (teacher, f"population $e^{{-Ct^{{{exponent}}}}}$,\nthen error of $n$ samples"),
        (own, f"population $e^{{-Ct^{{{exponent}}}}}$,\nin the end $b\\kappa'/\\log t$"),
    ):
        ax.annotate(said, (0.97, 0.95), xycoords="axes fraction", ha="right", va="top", size="small")


def _draw_error(ax: Axes, course: Trajectory, n: int, felt: float) -> None:
    """The median of |theta| that n samples make, from where the population's angle falls below it to where the margin is felt."""
    error = np.full(course.time.shape, np.nan)
    below = (course.norm < float(margin_norm(course.problem, n))) & (np.log(course.time) < felt)
    error[below] = MEDIAN * sample_direction_error(course.problem, course.norm[below], n)
    error[course.angle > error] = np.nan
    ax.plot(np.log(course.time), error, label="_error", **THEORY)


def _draw_norm(ax: Axes, course: Trajectory, groups: Groups, shades: Sequence[Any]) -> None:
    layers, density = int(course.depth), course.problem.tail.constant / WHOLE
    begins = []
    for (margin, group), shade in zip(groups.items(), shades, strict=True):
        log_tau = group[0].run.log_time + np.log(density) + (1.0 + 2.0 / layers) * np.log(margin)
        norms = margin * np.array([one.norm for one in group])
        begins.append(float(log_tau[0]))
        ax.fill_between(log_tau, norms.min(axis=0), norms.max(axis=0), color=shade, alpha=BAND, linewidth=0.0, label="_band")
        ax.plot(log_tau, np.median(norms, axis=0), color=shade, label=rf"$\kappa={margin:g}$")
    rho = np.geomspace(1e-3, SCALED, 120)
    log_tau = scaled_log_time(rho, layers)
    ax.plot(log_tau, rho, label="_theory", **THEORY)
    found = margin_felt(layers)
    ax.plot(np.log(found.time), found.norm, "o", color="white", markeredgecolor="black", markersize=4.0, zorder=5, label="_felt")
    ax.set_yscale("log")
    ax.set_xlim(min(begins), float(log_tau[-1]))
    ax.set_ylim(float(np.interp(min(begins), log_tau, rho)), SCALED)
    ax.set_xlabel(rf"$\log(f_0\kappa^{{{fraction(1.0 + 2.0 / layers)}}}t)$")
    ax.set_ylabel(r"norm  $\kappa|w|$")


def _draw_times(ax: Axes, times: MarginTimes, shades: Sequence[Any]) -> None:
    for margin, some, shade in zip(times.margins, times.times, shades, strict=True):
        reached = some[np.isfinite(some)]
        if reached.size:
            middle = float(np.median(reached))
            span = [[middle - float(reached.min())], [float(reached.max()) - middle]]
            ax.errorbar(margin, middle, span, fmt="o", color=shade, markersize=4.0, capsize=2.5, elinewidth=1.0, label=f"{margin:g}")
    ax.plot(times.margins, times.expected, label="_theory", **THEORY)
    ax.set_xscale("log")
    low, high = float(times.margins.min()), float(times.margins.max())
    log_limits(ax, 0.7 * low, 1.4 * high)
    said = f"{times.slope:.2f}" + (rf"\pm{times.error:.2f}" if np.isfinite(times.error) else "")
    ax.annotate(
        f"slope ${said}$\ntheory ${fraction(times.exponent)}$", (0.95, 0.93), xycoords="axes fraction", ha="right", va="top", size="small"
    )
    ax.set_xlabel(r"margin  $\kappa$")
    ax.set_ylabel(r"$\log t$  of the crossover")
