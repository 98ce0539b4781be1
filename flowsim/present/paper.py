"""The paper's figure 1: what two networks do, against what its theorems promise."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

from flowsim.dynamics import Trajectory, flow_velocity
from flowsim.present.panels import Runs, each_run, log_values
from flowsim.present.style import make_figure, palette, styled
from flowsim.theory import GROWTH_CONSTANT, DirectionBound, Lemma4, State, Theorem1, Theorem5

RESTARTS: Mapping[int, float] = MappingProxyType({1: 5.0, 4: 18.0})
"""Where the paper starts its bounds anew, by depth: after 5000 and 18000 steps of 1e-3."""

_BOUNDS = (
    {"color": "black", "linestyle": (0, (4, 2)), "linewidth": 0.9},
    {"color": "black", "linestyle": (0, (1.8, 1.0)), "linewidth": 0.9},
)
"""Bounds from the start in long dashes, from where they start anew in short ones."""


class _Path(NamedTuple):
    """log |w| and s of a flow between its records, by cubics that have the field's own slopes there."""

    run: Trajectory
    log_norm: CubicHermiteSpline
    s: CubicHermiteSpline

    @classmethod
    def of(cls, run: Trajectory) -> "_Path":
        run.require_ok()
        speed = flow_velocity(run.problem, run.norm, run.angle, int(run.depth))
        return cls(
            run,
            CubicHermiteSpline(run.time, run.log_norm, speed.norm / run.norm),
            CubicHermiteSpline(run.time, run.log_tan_half_angle, speed.log_tan_half_angle),
        )

    def state(self, time: float) -> State:
        return State(float(time), float(np.exp(self.log_norm(time))), float(self.s(time)))

    def lift(self, time: float) -> float:
        """h(r) - c (1 - cos theta): the norm grows where this is positive."""
        state, risk = self.state(time), self.run.problem
        return float(risk.growth(state.norm)) - risk.pull * state.one_minus_cos

    def turning(self, first: float) -> State | None:
        """Where the norm stops falling, at ``first`` or later; None where it falls to the end."""
        if self.lift(first) >= 0.0:
            return self.state(first)
        rising = [t for t in self.run.time if t > first and self.lift(t) >= 0.0]
        if not rising:
            return None
        root: Any = brentq(self.lift, first, rising[0], xtol=1e-13)
        return self.state(root)


def paper_figure(flows: Runs, descents: Runs, restarts: Mapping[int, float] = RESTARTS, figure: Figure | None = None) -> Figure:
    r"""theta, L(w) and |w| against eta n for each depth: flow (line), descent (points), and the bounds of Theorems 1 and 5 (dashed).

    Angle: cos theta >= 1 - 2/(exp(E) + 1), E of Theorem 1 (N = 1) or Theorem 5 (N > 2) with the constants derived here.
    Risk: L at that angle and the flow's norm. Norm: r^2 <= r(0)^2 + 2 W(1/e) t (N = 1, from Lemma 1) or Lemma 4 (N > 2).
    Bounds are drawn from the first record in long dashes, and anew from ``restarts`` in short ones.

    flows, descents: runs of the same depths in the same order, from the same start; `paper_runs` makes those of the paper.
    restarts: times by depth.  figure: an empty one to draw into; a new one by default.

    Source: Lin, Sun, Zhang 2021 (submitted version), figure 1 and Theorems 1 and 5.
    """
    pairs = list(zip(each_run(flows), each_run(descents), strict=True))
    if any(int(flow.depth) != int(descent.depth) for flow, descent in pairs):
        raise ValueError("`descents` must have the depths of `flows`, in the same order")
    with styled():
        figure = make_figure(figure, 1.75 * len(pairs) + 0.45)
        axes = figure.subplots(len(pairs), 3, sharex=True, squeeze=False)
        for row, (flow, descent) in zip(axes, pairs, strict=True):
            _draw_row(row, flow, descent, restarts.get(int(flow.depth)))
        for ax in axes[-1]:
            ax.set_xlabel(r"$\eta n$")
        for ax, title in zip(axes[0], (r"angle $\theta$ to the teacher", r"risk $L(w)$", r"norm $|w|$"), strict=True):
            ax.set_title(title)
        first, second = palette()[:2]
        handles = [
            Line2D([], [], color=first),
            Line2D([], [], color=second, marker="o", markerfacecolor="none", linestyle=""),
            *(Line2D([], [], **look) for look in _BOUNDS),
        ]
        later = ", ".join(f"${restarts[n]:g}$ ($N={n}$)" for n in (int(flow.depth) for flow, _ in pairs) if n in restarts)
        names = ["flow", "descent", r"bounds (derived constants) from $\eta n=0$", f"from {later}"]
        kept = slice(None) if later else slice(3)
        figure.legend(handles[kept], names[kept], loc="outside upper center", ncols=4, columnspacing=1.0)
    return figure


def _draw_row(axes: np.ndarray, flow: Trajectory, descent: Trajectory, restart: float | None) -> None:
    first, second = palette()[:2]
    for ax, name in zip(axes, ("angle", "risk", "norm"), strict=True):
        ax.plot(flow.time, getattr(flow, name), color=first, label="flow")
        every = max(1, descent.time.size // 15)
        ax.plot(descent.time, getattr(descent, name), "o", color=second, markerfacecolor="none", markevery=every, label="descent")
        ax.set_xlim(float(flow.time[0]), float(flow.time[-1]))
    path = _Path.of(flow)
    for begin, look in zip((float(flow.time[0]), restart), _BOUNDS, strict=True):
        if begin is not None and flow.time[0] <= begin < flow.time[-1]:
            _draw_bounds(axes, path, begin, look)
    for ax, name in zip(axes, ("angle", "risk", "norm"), strict=True):
        values = getattr(flow, name)
        bounds = np.concatenate([[], *(line.get_ydata() for line in ax.get_lines() if line.get_label() == "_bound")])
        # room for a bound that stays near, not for one that leaves
        log_values(ax, np.concatenate([values, np.clip(bounds, values.min(), 1.4 * values.max())]))
    axes[0].set_ylabel(f"$N={int(flow.depth)}$")


def _draw_bounds(axes: np.ndarray, path: _Path, begin: float, look: dict) -> None:
    flow, state = path.run, path.state(begin)
    times = np.unique(np.append(flow.time[flow.time >= begin], begin))
    bound = _direction_bound(flow, state, path.turning(begin))
    floor, ceiling = _norm_bounds(flow, state, times)
    angle, risk, norm = axes
    if bound is not None:
        there = np.exp(path.log_norm(times))
        angle.plot(times, 2.0 * np.arctan(np.exp(bound.log_tan_half_angle(times))), label="_bound", **look)
        risk.plot(times, flow.problem.value_at(there, bound.one_minus_cos(times)), label="_bound", **look)
    for values in (floor, ceiling):
        if values is not None:
            norm.plot(times, values, label="_bound", **look)


def _direction_bound(flow: Trajectory, state: State, turning: State | None) -> DirectionBound | None:
    """Theorem 1 or 5; two layers have neither, and both need to know where the norm turns."""
    risk, depth = flow.problem, int(flow.depth)
    if depth == 2 or turning is None:
        return None
    return Theorem1(risk, state, turning) if depth == 1 else Theorem5(risk, state, turning, depth=depth)


def _norm_bounds(flow: Trajectory, state: State, times: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Floor and ceiling of the norm, None where the paper has none."""
    depth = int(flow.depth)
    if depth > 2:
        lemma = Lemma4(flow.problem, state, depth=depth)
        return lemma.lower(times), lemma.upper(times)
    if depth == 1:
        return None, np.sqrt(state.norm**2 + 2.0 * GROWTH_CONSTANT * (times - state.time))
    return None, None
