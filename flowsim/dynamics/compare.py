"""A descent beside the flow it discretises, on the clock they share: t = eta k."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim.dynamics.descent import gradient_descent
from flowsim.dynamics.flow import gradient_flow
from flowsim.dynamics.rerun import rerun
from flowsim.dynamics.trajectory import Trajectory
from flowsim.problem import Start

Array = Float[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Descent minus flow at the descent's times, all (T,).

    time: t = eta k.  norm: relative gap |w_k|/|w(t)| - 1.  log_tan_half_angle: gap in s.  risk: relative gap.
    flow, descent: the runs compared; the flow solved again where it was not recorded at the descent's times.
    """

    time: Array
    norm: Array
    log_tan_half_angle: Array
    risk: Array
    flow: Trajectory
    descent: Trajectory

    def __str__(self) -> str:
        worst = [float(np.nanmax(np.abs(x))) for x in (self.norm, self.log_tan_half_angle, self.risk)]
        return (
            f"descent against flow, t = {self.time[0]:.4g} .. {self.time[-1]:.6g}\n"
            f"largest gap: norm {worst[0]:.3g} (relative), s {worst[1]:.3g} (absolute), risk {worst[2]:.3g} (relative)\n"
            f"last gap:    norm {self.norm[-1]:.3g}, s {self.log_tan_half_angle[-1]:.3g}, risk {self.risk[-1]:.3g}"
        )


def compare(flow: Trajectory, descent: Trajectory) -> Comparison:
    """The gap of a descent to the flow from the same start, at the descent's times t = eta k that the flow covers.

    flow, descent: single runs of the same risk, depth and start; ValueError where they are not. A flow that was not recorded at these
    times is solved again there, from its own configuration, never interpolated.
    """
    for name, run, kind in (("flow", flow, "flow"), ("descent", descent, "descent")):
        if not isinstance(run, Trajectory) or run.kind != kind:
            raise ValueError(f"`{name}` must be the Trajectory of a {kind}, but is {getattr(run, 'kind', run)!r}")
        if run.shape:
            raise ValueError(f"`{name}` must be a single run, but is a batch of shape {run.shape}; index it first")
    same = flow.problem.config() == descent.problem.config() and flow.depth == descent.depth
    if not same or flow.start != descent.start:
        raise ValueError("`flow` and `descent` must have the same risk, depth and start")
    inside = (descent.time <= flow.time[-1] * (1 + 1e-12)) & np.isfinite(descent.log_norm)
    if not inside.any():
        raise ValueError(f"`descent` must reach a time inside the flow's, {flow.time[0]:.6g} .. {flow.time[-1]:.6g}")
    time = descent.time[inside]
    there = flow if np.array_equal(flow.time, time) else rerun(flow, time)
    there.require_ok()
    with np.errstate(invalid="ignore"):
        gap = np.where(
            descent.log_tan_half_angle[inside] == there.log_tan_half_angle,
            0.0,
            descent.log_tan_half_angle[inside] - there.log_tan_half_angle,
        )
    return Comparison(
        time,
        np.expm1(descent.log_norm[inside] - there.log_norm),
        gap,
        descent.risk[inside] / there.risk - 1.0,
        there,
        descent,
    )


@dataclass(frozen=True)
class GapOrder:
    """How the descent-to-flow gap at one time scales with the step size: gap ~ eta^slope.

    step_size: (E,), falling.  norm, log_tan_half_angle: gaps, (E,).  slope_norm, slope_direction: least-squares slopes in log-log.
    """

    step_size: Array
    norm: Array
    log_tan_half_angle: Array
    slope_norm: float
    slope_direction: float


def gap_order(risk: Any, start: Start, time: float, depth: int = 1, step_sizes: Any = None) -> GapOrder:
    """Fit the order of the gap at t = ``time`` over step sizes, each dividing it; default: time / 2^9, ..., time / 2^14."""
    sizes = np.asarray([time / 2.0**j for j in range(9, 15)] if step_sizes is None else step_sizes, dtype=float)
    flow = gradient_flow(risk, start, [time], depth, rtol=1e-12)
    flow.require_ok()
    norm, s = np.empty(sizes.size), np.empty(sizes.size)
    for i, eta in enumerate(sizes):
        count = round(time / eta)
        if abs(count * eta - time) > 1e-9 * time:
            raise ValueError(f"`step_sizes` must divide the time {time:.6g}, but one is {eta:.6g}")
        run = gradient_descent(risk, start, float(eta), [count], depth)
        run.require_ok()
        norm[i] = np.expm1(run.log_norm[-1] - flow.log_norm[-1])
        s[i] = run.log_tan_half_angle[-1] - flow.log_tan_half_angle[-1]
    slopes = [float(np.polyfit(np.log(sizes), np.log(np.abs(g)), 1)[0]) for g in (norm, s)]
    return GapOrder(sizes, norm, s, *slopes)
