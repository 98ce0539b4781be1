"""What the theorems promise of one saved flow: the states they start from, their bounds on the direction and on the norm."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from flowsim.dynamics import Trajectory, rerun, turning_point
from flowsim.theory import GROWTH_CONSTANT, Lemma4, State, Theorem1, Theorem5, Theorem5Upper, two_layer_direction

VARIANTS = ("as_derived", "as_printed", "both")


def single_flow(run: Any) -> Trajectory:
    """``run``, if it is a single gradient flow without label noise, of which the paper speaks, with a record; ValueError if not."""
    if not isinstance(run, Trajectory):
        raise ValueError(f"`run` must be a Trajectory, but is {run!r}")
    if run.shape:
        raise ValueError(f"`run` must be a single run, but is a batch of shape {run.shape}; index it first")
    if run.config.get("function") == "modified_flow" or run.kind != "flow":
        what = "modified flow" if run.kind == "flow" else run.kind
        raise ValueError(f"`run` must be a gradient flow, but is a {what}")
    if run.problem.label_noise > 0.0:
        raise ValueError(f"`run` must be free of label noise for the paper's bounds, but has {run.problem.label_noise:.6g}")
    if not np.isfinite(run.log_norm).any():
        raise ValueError(f"`run` must have reached a record, but has none: {run.message}")
    return run


def turning_state(flow: Trajectory) -> State | None:
    """(T, r(T), s(T)) where the norm stops falling, found on the flow's own risk, start and depth.

    None where it never does (see `falls_for_good`), or so late that it was not found: T grows like (pi - theta(0))^-(N-2).
    """
    if falls_for_good(flow):
        return None
    try:
        return State(*turning_point(flow.problem, flow.start, int(flow.depth)))
    except (RuntimeError, ValueError):
        return None


def falls_for_good(flow: Trajectory) -> bool:
    """Whether the flow goes straight into the saddle: from theta = pi, at two layers or more."""
    return bool(flow.depth > 1 and np.isposinf(flow.start.log_tan_half_angle))


def state_at(flow: Trajectory, time: float) -> State:
    """The flow at ``time``: its start, a record, or solved again there from its own configuration, never interpolated."""
    if time == 0.0:
        return State.of(flow.start)
    near = np.flatnonzero(np.isclose(flow.time, time, rtol=1e-12, atol=0.0))
    there, k = (flow, near[0]) if near.size else (rerun(flow, [time]), 0)
    there.require_ok()
    return State(float(there.time[k]), float(there.norm[k]), float(there.log_tan_half_angle[k]))


class DirectionPromise(NamedTuple):
    """exponent: E at times t, on -2 s.  printed: whether its constants are those printed.  floor: whether E <= -2 s is promised."""

    exponent: Callable[[np.ndarray], np.ndarray]
    printed: bool
    floor: bool


def direction_promises(flow: Trajectory, begin: State, turning: State, variant: str) -> list[DirectionPromise]:
    """Theorem 1 (N = 1), the exact law (N = 2), Theorem 5 from below and above (N > 2), from ``begin`` on.

    variant: of `VARIANTS`; printed constants are those of Theorem 1 read under the root, and those of Theorem 5.
    """
    risk, depth = flow.problem, int(flow.depth)
    if depth == 2:
        return [DirectionPromise(lambda t: -2.0 * two_layer_direction(risk, begin, t), False, True)]
    # past the turning point the norm grows from the start on
    turn = turning if turning.time > begin.time else None
    out = []
    for printed in [name == "as_printed" for name in ("as_derived", "as_printed") if variant in (name, "both")]:
        if depth == 1:
            bound = Theorem1(risk, begin, turn, variant="misread" if printed else "as_derived")
        else:
            bound = Theorem5(risk, begin, turn, depth=depth, variant="as_printed" if printed else "as_derived")
        out.append(DirectionPromise(bound.exponent, printed, True))
    if depth > 2:
        out.append(DirectionPromise(Theorem5Upper(risk, begin, depth).exponent, False, False))
    return out


class NormPromise(NamedTuple):
    """floor, ceiling: of the norm at times t, None where the paper has none.  source: where they stand."""

    floor: Callable[[np.ndarray], np.ndarray] | None
    ceiling: Callable[[np.ndarray], np.ndarray] | None
    source: str


def norm_promise(flow: Trajectory, begin: State) -> NormPromise:
    """Lemma 4 (N > 2), the ceiling r^2 <= r(0)^2 + 2 W(1/e) t of Lemma 1 (N = 1), or nothing (N = 2), from ``begin`` on."""
    depth = int(flow.depth)
    if depth > 2:
        lemma = Lemma4(flow.problem, begin, depth=depth)
        return NormPromise(lemma.lower, lemma.upper, "floor and ceiling of Lemma 4")
    if depth == 1:
        return NormPromise(None, lambda t: np.sqrt(begin.norm**2 + 2.0 * GROWTH_CONSTANT * (t - begin.time)), "ceiling of Lemma 1")
    return NormPromise(None, None, "")
