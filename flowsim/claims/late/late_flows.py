"""Flows to late times beside the shared spread's: other laws, depths, starts and tolerances, solved once."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from flowsim.claims.settings import LAST_TIME, Case
from flowsim.dynamics import Trajectory, gradient_flow
from flowsim.problem import PopulationRisk, Start, log_times

FIRST_TIME = 1e-2
RECORDS = 160
"""All are recorded as often, so that one program is compiled for them."""


@lru_cache(maxsize=64)
def late_flows(
    risks: tuple[PopulationRisk, ...],
    depths: tuple[int, ...],
    starts: tuple[tuple[float, float], ...],
    last: float = LAST_TIME,
    rtol: float = 1e-10,
    first: float = FIRST_TIME,
) -> Trajectory:
    """The flows of every risk, depth and start (norm, angle), (risks, depths, starts); RuntimeError where one fails."""
    grid = np.empty((len(risks), 1, 1), dtype=object)
    grid[:, 0, 0] = risks
    norms, angles = zip(*starts, strict=True)
    times = log_times(first, last, RECORDS)
    run = gradient_flow(grid, Start(list(norms), list(angles)), times, np.array(depths)[:, None], rtol=rtol)
    run.require_ok()
    return run


def late_cases(
    risks: Sequence[PopulationRisk],
    depths: Sequence[int],
    starts: Sequence[tuple[float, float]],
    last: float = LAST_TIME,
    rtol: float = 1e-10,
) -> list[tuple[Case, Trajectory]]:
    """Each of these flows with its case."""
    run = late_flows(tuple(risks), tuple(depths), tuple(starts), last, rtol)
    return [
        (Case(risk, depth, Start(*start)), run[i, j, k])
        for i, risk in enumerate(risks)
        for j, depth in enumerate(depths)
        for k, start in enumerate(starts)
    ]
