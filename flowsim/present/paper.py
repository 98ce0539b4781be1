"""The paper's figure 1: what two networks do, against what its theorems promise."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowsim.dynamics import Trajectory
from flowsim.layers import LayerRun
from flowsim.present.axes import legend_above, log_values
from flowsim.present.bounds import direction_promises, norm_promise, single_flow, state_at, turning_state
from flowsim.present.phases import PROMISES
from flowsim.present.quantities import Runs, each_run
from flowsim.present.style import make_figure, palette, styled, wide_page
from flowsim.problem.plane import angle_of, one_minus_cos
from flowsim.theory import State
from flowsim.theory.paper import FIGURE_1

RESTARTS: Mapping[int, float] = MappingProxyType({depth: FIGURE_1.restart_time(depth) for depth in FIGURE_1.depths})
"""Where the paper starts its bounds anew, by depth: after 5000 and 18000 steps of 1e-3."""


SAMPLED = {"color": "#E69F00", "linewidth": 0.7, "zorder": 2.6}
"""A thin line of samples over flow and descent, the style's colour that is told best from the flow's."""


def paper_figure(
    flows: Runs,
    descents: Runs,
    restarts: Mapping[int, float] = RESTARTS,
    figure: Figure | None = None,
    page: str | None = None,
    sgd: Any = None,
) -> Figure:
    r"""theta, L(w) and |w| against eta n for each depth: flow (line), descent (points), and the bounds of Theorems 1 and 5 (dashed).

    Angle: cos theta >= 1 - 2/(exp(E) + 1), E of Theorem 1 (N = 1) or Theorem 5 (N > 2) with the constants derived here.
    Risk: L at that angle and the flow's norm. Norm: r^2 <= r(0)^2 + 2 W(1/e) t (N = 1, from Lemma 1) or Lemma 4 (N > 2).
    Bounds are drawn from the start in long dashes, and anew from ``restarts`` in short ones.

    flows, descents: runs of the same depths in the same order, from the same start; `paper_runs` makes those of the paper.
    restarts: times by depth; at one that is not recorded the flow is solved again.
    figure, page: as in `trajectory_figure`, but for the page "icml-single", which is too narrow.
    sgd: runs on samples as the paper's own were, `LayerRun`s of these depths in this order; a thin line over the rest, of the first seed,
        in the band that all seeds of a run fill.

    Source: Lin, Sun, Zhang 2021 (submitted version), figure 1 and Theorems 1 and 5.

    >>> import flowsim as fs
    >>> len(fs.present.paper_figure(*fs.present.paper_runs(steps=1000), restarts={}).axes)
    6
    """
    first, second = each_run(flows), each_run(descents)
    if [int(run.depth) for run in first] != [int(run.depth) for run in second]:
        raise ValueError("`descents` must have the depths of `flows`, in the same order")
    sampled = _sampled(sgd, [int(run.depth) for run in first])
    pairs = list(zip(first, second, strict=True))
    with styled(page):
        wide_page("paper_figure")
        given, figure = figure, make_figure(figure, 1.75 * len(pairs) + 0.45)
        axes = figure.subplots(len(pairs), 3, sharex=True, squeeze=False)
        for row, (flow, descent), run in zip(axes, pairs, sampled, strict=True):
            _draw_row(row, single_flow(flow), descent, restarts.get(int(flow.depth)))
            if run is not None:
                _draw_sampled(row, run)
        for ax in axes[-1]:
            ax.set_xlabel(r"$\eta n$")
        for ax, title in zip(axes[0], (r"angle $\theta$ to the teacher", r"risk $L(w)$", r"norm $|w|$"), strict=True):
            ax.set_title(title)
        colour, other = palette()[:2]
        handles = [
            Line2D([], [], color=colour),
            Line2D([], [], color=other, marker="o", markerfacecolor="none", linestyle=""),
            *(Line2D([], [], **look) for look in PROMISES),
        ]
        later = ", ".join(f"${restarts[n]:g}$ ($N={n}$)" for n in (int(flow.depth) for flow, _ in pairs) if n in restarts)
        names = ["flow", "descent", r"bounds (derived constants) from $\eta n=0$", f"from {later}"]
        kept = slice(None) if later else slice(3)
        handles, names = handles[kept], names[kept]
        if sgd is not None:
            handles, names = [*handles, Line2D([], [], **SAMPLED)], [*names, _said(sampled)]
        legend_above(figure, handles, names, grow=given is None)
    return figure


def _sampled(sgd: Any, depths: Sequence[int]) -> Sequence[LayerRun | None]:
    """One run a depth, or None for each."""
    if sgd is None:
        return [None] * len(depths)
    runs = [sgd] if isinstance(sgd, LayerRun) else list(sgd)
    if not all(isinstance(run, LayerRun) for run in runs) or [run.depth for run in runs] != list(depths):
        raise ValueError(f"`sgd` must be runs of layers of depths {', '.join(map(str, depths))}, those of `flows` in their order")
    return runs


def _said(runs: Sequence[LayerRun | None]) -> str:
    """What the thin line is."""
    most = max(1 if run is None else run.status.size for run in runs)
    kinds = {"" if run is None else run.kind for run in runs}
    what = "SGD" if kinds == {"sgd"} else "descent on samples"
    return what if most == 1 else f"{what} (band: {most} seeds)"


def _draw_sampled(axes: np.ndarray, run: LayerRun) -> None:
    for ax, name in zip(axes, ("angle", "risk", "norm"), strict=True):
        values = getattr(run, name).reshape(-1, run.time.size)
        if len(values) > 1:
            ax.fill_between(
                run.time, values.min(axis=0), values.max(axis=0), color=SAMPLED["color"], alpha=0.5, linewidth=0.0, label="_band"
            )
        ax.plot(run.time, values[0], label="SGD", **SAMPLED)
        # an angle that passes through 0 has no least value to make room for
        if name != "angle" and np.isfinite(values).any():
            low, high = ax.get_ylim()
            ax.set_ylim(min(low, 0.9 * float(np.nanmin(values))), max(high, 1.1 * float(np.nanmax(values))))


def _draw_row(axes: np.ndarray, flow: Trajectory, descent: Trajectory, restart: float | None) -> None:
    first, second = palette()[:2]
    for ax, name in zip(axes, ("angle", "risk", "norm"), strict=True):
        ax.plot(flow.time, getattr(flow, name), color=first, label="flow")
        every = max(1, descent.time.size // 15)
        ax.plot(descent.time, getattr(descent, name), "o", color=second, markerfacecolor="none", markevery=every, label="descent")
        ax.set_xlim(float(flow.time[0]), float(flow.time[-1]))
    flow.require_ok()
    turning = turning_state(flow)
    for begin, look in zip((0.0, restart), PROMISES, strict=True):
        if begin is not None and begin < flow.time[-1]:
            _draw_bounds(axes, flow, state_at(flow, begin), turning, look)
    for ax, name in zip(axes, ("angle", "risk", "norm"), strict=True):
        values = getattr(flow, name)
        bounds = np.concatenate([[], *(line.get_ydata() for line in ax.get_lines() if line.get_label() == "_bound")])
        # room for a bound that stays near, not for one that leaves
        log_values(ax, np.concatenate([values, np.clip(bounds, values.min(), 1.4 * values.max())]))
    axes[0].set_ylabel(f"$N={int(flow.depth)}$")


def _draw_bounds(axes: np.ndarray, flow: Trajectory, begin: State, turning: State | None, look: dict) -> None:
    later = flow.time > begin.time
    times, norms = np.append(begin.time, flow.time[later]), np.append(begin.norm, flow.norm[later])
    angle, risk, norm = axes
    # two layers have an exact law in the place of a bound
    if turning is not None and flow.depth != 2:
        for promise in direction_promises(flow, begin, turning, "as_derived"):
            if promise.floor:
                s = -0.5 * promise.exponent(times)
                angle.plot(times, angle_of(s), label="_bound", **look)
                risk.plot(times, flow.problem.value_at(norms, one_minus_cos(s)), label="_bound", **look)
    promise = norm_promise(flow, begin)
    for bound in (promise.floor, promise.ceiling):
        if bound is not None:
            norm.plot(times, bound(times), label="_bound", **look)
