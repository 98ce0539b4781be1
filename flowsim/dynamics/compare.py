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
    """The first record of a descent with sigma >= 2.

    step: k.  time: eta k. Made by `compare`.

    >>> import flowsim.dynamics
    >>> flowsim.dynamics.Crossing(step=10, time=5.0).step
    10
    """

    step: int
    time: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Descent minus flow at the descent's times, all (T,). Made by `compare`.

    time: t = eta k.  norm: relative gap |w_k|/|w(t)| - 1.  log_tan_half_angle: gap in s.  risk: relative gap.
    flow, descent: the runs compared; the flow solved again where it was not recorded at the descent's times.
    modified: the flow of g - (eta/2) g'g at these times, None under a schedule, which has no single eta; its records are nan from where
        the series in eta means nothing.
    norm_corrected, log_tan_half_angle_corrected, risk_corrected: the gaps to it.
    norm_predicted, log_tan_half_angle_predicted: the leading gap to the flow, eta e, where ``modified`` is not nan.
    crossing: where sigma first reaches 2; None where no record has it.

    >>> import flowsim as fs
    >>> risk, start = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(norm=1.0, angle=1.5)
    >>> gaps = fs.compare(fs.gradient_flow(risk, start, [100.0]), fs.gradient_descent(risk, start, step_size=0.1, steps=[100, 1000]))
    >>> gaps.time.tolist(), bool((abs(gaps.norm_corrected) < abs(gaps.norm)).all()), gaps.crossing
    ([10.0, 100.0], True, None)
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
        times is solved again there, from its own configuration, never interpolated.

    Returns a `Comparison`. The modified flow and the predicted gap are computed here, to the flow's rtol.
    Source: derivations/modified_equation.py.

    >>> import flowsim as fs
    >>> risk, start = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(norm=1.0, angle=1.5)
    >>> flow = fs.gradient_flow(risk, start, [1e3], depth=2)
    >>> descent = fs.gradient_descent(risk, start, step_size=0.1, steps=10**4, depth=2)
    >>> print(fs.compare(flow, descent))
    descent against flow, t = 0 .. 1000
    largest gap: norm 0.00814 (relative), s 7.76 (absolute), risk 0.0025 (relative)
    last gap:    norm 0.000104, s -7.76, risk -0.000104
    corrected:   norm 3.11e-07, s -0.208, risk -3.11e-07 (gap to the flow of g - (eta/2) g'g)
    predicted:   norm 0.000104, s -7.56 (gap to the flow, leading order in eta)
    sharpness:   sigma stays below 2, at most 0.0399
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
    """gap ~ eta^slope: how the descent-to-flow gap at one time scales with the step size. Made by `gap_order`.

    time: t = eta k.  step_size: (E,), falling.  norm, log_tan_half_angle: gaps, (E,).
    slope_norm, slope_direction: their least-squares slopes in log-log, 1 in theory.
    norm_corrected, log_tan_half_angle_corrected: gaps to the modified flow, (E,).
    slope_norm_corrected, slope_direction_corrected: their slopes, 2 in theory.
    ratio_norm, ratio_direction: measured over predicted gap to the flow at the smallest step size; 1 + O(eta) in theory.
    norm_floor, direction_floor: (E,), sizes below which a gap may be rounding; such gaps are left out of the slopes.

    On a ray, where the direction has no gap, its slopes and ratio are nan.

    >>> import flowsim as fs
    >>> order = fs.gap_order(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), time=8.0, step_sizes=[0.02, 0.01])
    >>> round(order.slope_direction, 2), round(order.slope_direction_corrected, 2), round(order.ratio_direction, 2)
    (1.0, 2.0, 1.0)
    """

    time: float
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
    norm_floor: Array
    direction_floor: Array


FLOOR = 1e-11
"""Of the norm, relative, and of s, relative to max(|s|, 1): ten times the rtol of the flows that `gap_order` solves."""


def gap_order(risk: Any, start: Start, time: float, depth: int = 1, step_sizes: Any = None) -> GapOrder:
    """gap ~ eta^slope: the order of the descent-to-flow gap at one time, fitted over step sizes; 1 for the flow, 2 for the modified flow.

    risk, start: of a single run.  time: t > 0.  depth: N in 1..100.
    step_sizes: (E,), each dividing the time; default time / 2^9, ..., time / 2^14.

    Returns a `GapOrder`. ValueError for a step size that does not divide the time, RuntimeError where a run fails.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> order = fs.gap_order(risk, fs.Start(norm=1.0, angle=1.5), time=8.0, step_sizes=[0.02, 0.01, 0.005])
    >>> round(order.slope_norm, 2), round(order.slope_norm_corrected, 2), round(order.ratio_norm, 2)
    (1.0, 2.0, 1.0)
    """
    sizes = np.asarray([time / 2.0**j for j in range(9, 15)] if step_sizes is None else step_sizes, dtype=float)
    if sizes.size < 2:
        raise ValueError(f"`step_sizes` must hold two step sizes or more, but holds {sizes.size}")
    counts = np.round(time / sizes).astype(int)
    for eta, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        if abs(count * eta - time) > 1e-9 * time:
            raise ValueError(f"`step_sizes` must divide the time {time:.6g}, but one is {eta:.6g}")
    runs = zip(sizes.tolist(), counts.tolist(), strict=True)
    return gap_order_of([gradient_descent(risk, start, eta, [count], depth) for eta, count in runs])


def gap_order_of(descents: Any) -> GapOrder:
    """The order of the gap at the last time t = eta k that descents of several step sizes all have a record of.

    descents: a batch, or a sequence of runs or batches, of one risk, start and depth, each of constant step size. The flow and the
    modified flow at that time are solved here, from the runs' own risk, start and depth.

    Returns a `GapOrder`. ValueError where these differ, for fewer than two step sizes, and where there is no such time; RuntimeError for a
    run that failed.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> batch = fs.gradient_descent(risk, fs.Start(), step_size=[0.125, 0.25], steps=[8, 16, 32])
    >>> order = gap_order_of(batch)
    >>> order.time, order.step_size.tolist()
    (4.0, [0.25, 0.125])
    """
    runs = _single_descents(descents)
    first = runs[0]
    time = _last_shared_time(runs)
    at = [int(np.argmin(np.abs(run.time - time))) for run in runs]
    risk, start, depth, sizes = first.problem, first.start, int(first.depth), np.array([float(run.step_size) for run in runs])  # type: ignore[arg-type]
    flow = gradient_flow(risk, start, [time], depth, rtol=1e-12)
    flow.require_ok()
    gaps, floors = np.empty((2, 2, sizes.size)), np.empty((2, sizes.size))
    for i, (run, k) in enumerate(zip(runs, at, strict=True)):
        modified = modified_flow(risk, start, [time], float(sizes[i]), depth, rtol=1e-12)
        s = run.log_tan_half_angle[k]
        for row, other in enumerate((flow, modified)):
            gaps[row, 0, i] = np.expm1(run.log_norm[k] - other.log_norm[-1])
            there = other.log_tan_half_angle[-1]
            # on a ray both are infinite
            gaps[row, 1, i] = 0.0 if s == there else s - there
        errors = [FLOOR, FLOOR] if run.coverage is None else [run.coverage.norm_error[k], run.coverage.direction_error[k]]
        floors[:, i] = np.fmax(FLOOR, errors) * [1.0, max(abs(s), 1.0)]
    predicted = gap_prediction(risk, start, [time], float(sizes[-1]), depth)
    (norm, s), (norm_corrected, s_corrected) = gaps
    return GapOrder(
        time=time,
        step_size=sizes,
        norm=norm,
        log_tan_half_angle=s,
        slope_norm=_slope(sizes, norm, floors[0]),
        slope_direction=_slope(sizes, s, floors[1]),
        norm_corrected=norm_corrected,
        log_tan_half_angle_corrected=s_corrected,
        slope_norm_corrected=_slope(sizes, norm_corrected, floors[0]),
        slope_direction_corrected=_slope(sizes, s_corrected, floors[1]),
        ratio_norm=float(norm[-1] / predicted.log_norm[0]),
        ratio_direction=float(s[-1] / predicted.log_tan_half_angle[0]) if s[-1] else float("nan"),
        norm_floor=floors[0],
        direction_floor=floors[1],
    )


def _single_descents(descents: Any) -> list[Trajectory]:
    """One descent for each step size, the largest first; ValueError unless all are of one risk, start and depth."""
    batches = [descents] if isinstance(descents, Trajectory) else list(descents)
    for run in batches:
        if not isinstance(run, Trajectory) or run.kind != "descent":
            raise ValueError(f"`descents` must be Trajectories of descents, but one is {getattr(run, 'kind', run)!r}")
        if run.step_size is None:
            raise ValueError("`descents` must have constant step sizes, but one follows a schedule")
        run.require_ok()
    singles = [run[index] if run.shape else run for run in batches for index in np.ndindex(run.shape)]
    by_size = {float(run.step_size): run for run in singles}  # type: ignore[arg-type]
    if len(by_size) < 2:
        raise ValueError(f"`descents` must have two step sizes or more, but have {len(by_size)}")
    first = singles[0]
    for run in singles:
        if run.problem.config() != first.problem.config() or run.depth != first.depth or run.start != first.start:
            raise ValueError("`descents` must have the same risk, depth and start")
    return [by_size[eta] for eta in sorted(by_size, reverse=True)]


def _last_shared_time(runs: list[Trajectory]) -> float:
    for time in runs[-1].time[::-1]:
        if time > 0.0 and all(np.abs(run.time - time).min() <= 1e-9 * time for run in runs):
            return float(time)
    ends = ", ".join(f"{float(run.time[-1]):.6g}" for run in runs)
    raise ValueError(f"`descents` must all have a record of one time eta k > 0, but have none in common; they end at {ends}")


def _slope(sizes: Array, gaps: Array, floor: Array) -> float:
    """Of log |gap| over log eta, by least squares where the gap is above ``floor``; nan below two of them."""
    known = np.abs(gaps) > floor
    return float(np.polyfit(np.log(sizes[known]), np.log(np.abs(gaps[known])), 1)[0]) if np.count_nonzero(known) > 1 else float("nan")
