"""The end of the first phase: when the norm of a flow stops falling."""

from typing import NamedTuple

import numpy as np

from flowsim.dynamics.flow import gradient_flow
from flowsim.dynamics.network import velocity
from flowsim.dynamics.trajectory import Trajectory
from flowsim.problem import PopulationRisk, Start


class Turning(NamedTuple):
    """T, r(T) and s(T) where r' = 0 for the only time; the start itself where the norm grows from the beginning.

    time: T.  norm: r(T).  log_tan_half_angle: s(T). Made by `turning_point`, and taken by the bounds of `flowsim.theory`.

    >>> import flowsim as fs, flowsim.dynamics
    >>> flowsim.dynamics.turning_point(fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start(norm=0.1, angle=0.5), depth=3).time
    0.0
    """

    time: float
    norm: float
    log_tan_half_angle: float


_COUNT = 64
_ROUNDS = 5


def turning_point(risk: PopulationRisk, start: Start, depth: int) -> Turning:
    """h(r) = c (1 - cos theta) along the flow of a single start: where r' = 0; T to about 1e-8 relative.

    risk: a PopulationRisk.  start: a single Start.  depth: N. The sign of r' is followed on ever finer times.

    ValueError for a batch of starts, RuntimeError where the norm does not stop falling, or so late that no double
    tells (theta = pi, N >= 2; deep networks from beside it).
    Source: Lin, Sun, Zhang 2021, Lemma 2 (there is at most one such time).

    >>> import flowsim as fs, flowsim.dynamics
    >>> risk, start = fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start.from_vectors([0.6, -0.8], [0.0, 1.0])
    >>> turn = flowsim.dynamics.turning_point(risk, start, depth=1)
    >>> round(turn.time, 6), round(turn.norm, 6)
    (2.448666, 0.452471)
    """
    if start.shape:
        raise ValueError(f"`start` must be a single start, but is a batch of shape {start.shape}")
    begin = Turning(0.0, float(start.norm), float(start.log_tan_half_angle))
    if velocity(risk, np.asarray(np.log(start.norm)), start.log_tan_half_angle, np.asarray(float(depth))).norm >= 0.0:
        return begin
    time_scale = max(begin.norm, 1e-30) ** (2.0 / depth - 1.0) / risk.pull
    times = time_scale * np.geomspace(1e-8, 1e40, 12 * _COUNT)
    low, best = 0.0, begin
    for _ in range(_ROUNDS):
        flow = gradient_flow(risk, start, times, depth, rtol=1e-12)
        rising = np.flatnonzero(_norm_rate(flow) >= 0.0)
        if rising.size == 0:
            raise RuntimeError(f"the norm falls at all times to t = {times[-1]:.3g}: no turning point was found")
        i = int(rising[0])
        low, high = (float(times[i - 1]) if i else low), float(times[i])
        best = Turning(high, float(flow.norm[i]), float(flow.log_tan_half_angle[i]))
        if high - low <= 1e-11 * high:
            break
        times = np.unique(np.linspace(low, high, _COUNT + 1)[1:])
    return best


def _norm_rate(flow: Trajectory) -> np.ndarray:
    """r' at each record; nan where the flow has fallen below any norm, or was not followed."""
    rate = np.full(flow.time.size, np.nan)
    there = np.isfinite(flow.log_norm) & (flow.norm > 0.0)
    s = flow.log_tan_half_angle[there]
    rate[there] = velocity(flow.problem, flow.log_norm[there], s, np.full(s.shape, float(flow.depth))).norm
    return rate
