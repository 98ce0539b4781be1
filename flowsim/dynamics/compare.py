"""A descent beside the flow it discretises, and beside the modified flow, on the clock they share: t = eta k."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowsim.dynamics.corrected import GapPrediction, gap_prediction, modified_flow
from flowsim.dynamics.descent import gradient_descent
from flowsim.dynamics.flow import gradient_flow
from flowsim.dynamics.rerun import rerun
from flowsim.dynamics.trajectory import Trajectory
from flowsim.problem import Start

Array = Float[np.ndarray, "..."]

EDGE = 2.0
"""sigma from which on a step of descent lengthens the part of w across v."""


class Crossing(NamedTuple):
    """The first record of a descent with sigma >= 2: its step k and time eta k."""

    step: int
    time: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Descent minus flow at the descent's times, all (T,).

    time: t = eta k.  norm: relative gap |w_k|/|w(t)| - 1.  log_tan_half_angle: gap in s.  risk: relative gap.
    flow, descent: the runs compared; the flow solved again where it was not recorded at the descent's times.
    modified: the flow of g - (eta/2) g'g at these times, None under a schedule, which has no single eta; its records are nan from where
        the series in eta means nothing. norm_corrected, log_tan_half_angle_corrected, risk_corrected: the gaps to it.
    norm_predicted, log_tan_half_angle_predicted: the leading gap to the flow, eta e, where ``modified`` is not nan.
    crossing: where sigma first reaches 2; None where no record has it.
    """

    time: Array
    norm: Array
    log_tan_half_angle: Array
    risk: Array
    flow: Trajectory
    descent: Trajectory
    modified: Trajectory | None = None
    norm_corrected: Array | None = None
    log_tan_half_angle_corrected: Array | None = None
    risk_corrected: Array | None = None
    norm_predicted: Array | None = None
    log_tan_half_angle_predicted: Array | None = None
    crossing: Crossing | None = None

    def __str__(self) -> str:
        worst = [_largest(x) for x in (self.norm, self.log_tan_half_angle, self.risk)]
        return "\n".join(
            [
                f"descent against flow, t = {self.time[0]:.4g} .. {self.time[-1]:.6g}",
                f"largest gap: norm {worst[0]:.3g} (relative), s {worst[1]:.3g} (absolute), risk {worst[2]:.3g} (relative)",
                f"last gap:    norm {self.norm[-1]:.3g}, s {self.log_tan_half_angle[-1]:.3g}, risk {self.risk[-1]:.3g}",
                *self._corrected(),
                self._edge(),
            ]
        )

    def _corrected(self) -> list[str]:
        """What the modified flow leaves of the gap, and what the theory foresees of it."""
        if self.modified is None:
            return ["corrected:   no modified flow and no prediction under a schedule of step sizes"]
        norm, s, risk = self.norm_corrected, self.log_tan_half_angle_corrected, self.risk_corrected
        reached = np.flatnonzero(np.isfinite(self.modified.log_norm))
        if norm is None or s is None or risk is None or not reached.size:
            return ["corrected:   not at all: eta is so large that g - (eta/2) g'g means nothing from the start"]
        last = reached[-1]
        ends = f"; it ends at t = {self.time[last]:.6g}" if last + 1 < self.time.size else ""
        lines = [f"corrected:   norm {norm[last]:.3g}, s {s[last]:.3g}, risk {risk[last]:.3g} (gap to the flow of g - (eta/2) g'g{ends})"]
        if self.norm_predicted is not None and self.log_tan_half_angle_predicted is not None:
            there = f", at t = {self.time[last]:.6g}" if ends else ""
            ahead = (self.norm_predicted[last], self.log_tan_half_angle_predicted[last])
            lines.append(f"predicted:   norm {ahead[0]:.3g}, s {ahead[1]:.3g} (gap to the flow, leading order in eta{there})")
        return lines

    def _edge(self) -> str:
        if self.crossing is not None:
            return f"sharpness:   sigma reaches 2 by step {self.crossing.step}, t = {self.crossing.time:.6g}"
        return f"sharpness:   sigma stays below 2, at most {_largest(self.descent.sharpness):.3g}"


def _largest(values: Array) -> float:
    size = np.abs(values[~np.isnan(values)])
    return float(size.max()) if size.size else float("nan")


def compare(flow: Trajectory, descent: Trajectory) -> Comparison:
    """The gap of a descent to the flow from the same start, at the descent's times t = eta k that the flow covers.

    flow, descent: single runs of the same risk, depth and start; ValueError where they are not. A flow that was not recorded at these
    times is solved again there, from its own configuration, never interpolated. The modified flow and the predicted gap are computed here,
    to the flow's rtol.
    """
    for name, run, kind in (("flow", flow, "flow"), ("descent", descent, "descent")):
        if not isinstance(run, Trajectory) or run.kind != kind:
            raise ValueError(f"`{name}` must be the Trajectory of a {kind}, but is {getattr(run, 'kind', run)!r}")
        if run.shape:
            raise ValueError(f"`{name}` must be a single run, but is a batch of shape {run.shape}; index it first")
    if flow.config.get("function") == "modified_flow":
        raise ValueError("`flow` must be the Trajectory of a gradient_flow, but is that of a modified_flow")
    same = flow.problem.config() == descent.problem.config() and flow.depth == descent.depth
    if not same or flow.start != descent.start:
        raise ValueError("`flow` and `descent` must have the same risk, depth and start")
    inside = (descent.time <= flow.time[-1] * (1 + 1e-12)) & np.isfinite(descent.log_norm)
    if not inside.any():
        raise ValueError(f"`descent` must reach a time inside the flow's, {flow.time[0]:.6g} .. {flow.time[-1]:.6g}")
    time = descent.time[inside]
    there = flow if np.array_equal(flow.time, time) else rerun(flow, time)
    there.require_ok()
    modified = corrected = predicted = None
    if descent.step_size is not None:
        eta, depth = float(descent.step_size), int(descent.depth)
        modified = modified_flow(flow.problem, flow.start, time, eta, depth, flow.config["rtol"])
        corrected = _gaps(modified, descent, inside)
        predicted = _predicted(modified, time, eta)
    return Comparison(
        time,
        *_gaps(there, descent, inside),
        there,
        descent,
        modified,
        *(corrected or (None, None, None)),
        *((None, None) if predicted is None else predicted[1:]),
        _crossing(descent),
    )


def _gaps(flow: Trajectory, descent: Trajectory, inside: np.ndarray) -> tuple[Array, Array, Array]:
    """Gaps in the norm, in s and in the risk; nan where the flow is."""
    s, there = descent.log_tan_half_angle[inside], flow.log_tan_half_angle
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.where(s == there, 0.0, s - there)
        return np.expm1(descent.log_norm[inside] - flow.log_norm), apart, descent.risk[inside] / flow.risk - 1.0


def _predicted(modified: Trajectory, time: Array, eta: float) -> GapPrediction | None:
    """The leading gap as the gaps are given; None where the modified flow means nothing from the start, or the solver did not arrive."""
    reached = np.isfinite(modified.log_norm)
    if not reached.any():
        return None
    try:
        gap = gap_prediction(modified.problem, modified.start, time[reached], eta, int(modified.depth), modified.config["rtol"])
    except RuntimeError:
        return None
    norm, s = np.full(time.size, np.nan), np.full(time.size, np.nan)
    norm[reached], s[reached] = gap.log_norm, gap.log_tan_half_angle
    return GapPrediction(time, norm, s)


def _crossing(descent: Trajectory) -> Crossing | None:
    if descent.step is None:
        return None
    beyond = np.flatnonzero(descent.sharpness >= EDGE)
    return Crossing(int(descent.step[beyond[0]]), float(descent.time[beyond[0]])) if beyond.size else None


@dataclass(frozen=True)
class GapOrder:
    """How the descent-to-flow gap at one time scales with the step size: gap ~ eta^slope.

    step_size: (E,), falling.  norm, log_tan_half_angle: gaps, (E,).
    slope_norm, slope_direction: their least-squares slopes in log-log, 1 in theory.
    norm_corrected, log_tan_half_angle_corrected: gaps to the modified flow, (E,), and their slopes, 2 in theory.
    ratio_norm, ratio_direction: measured over predicted gap to the flow at the smallest step size; 1 + O(eta) in theory.
    On a ray, where the direction has no gap, its slopes and ratio are nan.
    """

    step_size: Array
    norm: Array
    log_tan_half_angle: Array
    slope_norm: float
    slope_direction: float
    norm_corrected: Array
    log_tan_half_angle_corrected: Array
    slope_norm_corrected: float
    slope_direction_corrected: float
    ratio_norm: float
    ratio_direction: float


def gap_order(risk: Any, start: Start, time: float, depth: int = 1, step_sizes: Any = None) -> GapOrder:
    """Fit the order of the gap at t = ``time`` over step sizes, each dividing it; default: time / 2^9, ..., time / 2^14."""
    sizes = np.asarray([time / 2.0**j for j in range(9, 15)] if step_sizes is None else step_sizes, dtype=float)
    flow = gradient_flow(risk, start, [time], depth, rtol=1e-12)
    flow.require_ok()
    gaps = np.empty((2, 2, sizes.size))
    for i, eta in enumerate(sizes):
        count = round(time / eta)
        if abs(count * eta - time) > 1e-9 * time:
            raise ValueError(f"`step_sizes` must divide the time {time:.6g}, but one is {eta:.6g}")
        run = gradient_descent(risk, start, float(eta), [count], depth)
        run.require_ok()
        modified = modified_flow(risk, start, [time], float(eta), depth, rtol=1e-12)
        for row, other in enumerate((flow, modified)):
            gaps[row, 0, i] = np.expm1(run.log_norm[-1] - other.log_norm[-1])
            s, there = run.log_tan_half_angle[-1], other.log_tan_half_angle[-1]
            # on a ray both are infinite
            gaps[row, 1, i] = 0.0 if s == there else s - there
    least = int(np.argmin(sizes))
    predicted = gap_prediction(risk, start, [time], float(sizes[least]), depth)
    (norm, s), (norm_corrected, s_corrected) = gaps
    return GapOrder(
        step_size=sizes,
        norm=norm,
        log_tan_half_angle=s,
        slope_norm=_slope(sizes, norm),
        slope_direction=_slope(sizes, s),
        norm_corrected=norm_corrected,
        log_tan_half_angle_corrected=s_corrected,
        slope_norm_corrected=_slope(sizes, norm_corrected),
        slope_direction_corrected=_slope(sizes, s_corrected),
        ratio_norm=float(norm[least] / predicted.log_norm[0]),
        ratio_direction=float(s[least] / predicted.log_tan_half_angle[0]) if s[least] else float("nan"),
    )


def _slope(sizes: Array, gaps: Array) -> float:
    """Of log |gap| over log eta, by least squares where the gap is known; nan below two of them."""
    known = np.isfinite(gaps) & (gaps != 0.0)
    return float(np.polyfit(np.log(sizes[known]), np.log(np.abs(gaps[known])), 1)[0]) if np.count_nonzero(known) > 1 else float("nan")
