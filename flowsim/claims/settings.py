"""The laws, depths and starts over which claims are measured, and their flows, solved once for all claims."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from flowsim.dynamics import Trajectory, Turning, gradient_flow, turning_point
from flowsim.problem import Ball, Gaussian, Laplace, Law, PopulationRisk, Radial, Sphere, Start, StudentT, log_times

PAPER_START = Start.from_vectors([0.6, -0.8], [0.0, 1.0])
"""w(0) = (0.6, -0.8), v = (0, 1): the start of the paper's figure 1, with x uniform on the circle."""

NORMS = (1.0, 0.3, 5.0, 0.05, 1.0, 30.0)
ANGLES = (float(PAPER_START.angle), 0.5, float(np.arccos(0.9)), 2.8, 3.1, 2.0)
"""Starts: the paper's own first; rising and falling norms; near the saddle; far out."""

DEPTHS = (1, 2, 3, 4, 5)


@lru_cache(maxsize=1)
def laws() -> tuple[Law, ...]:
    """The paper's circle first; light, bounded, heavy-tailed, kinked and mixed laws."""
    radius = stats.gamma(4.0)
    return (Sphere(2), Gaussian(3), Ball(4, 2.0), StudentT(2, 3.0), Laplace(2), Radial(3, radius))


@lru_cache(maxsize=1)
def risks() -> tuple[PopulationRisk, ...]:
    return tuple(PopulationRisk(law) for law in laws())


def starts() -> Start:
    """The starts as one batch, (6,)."""
    return Start(NORMS, ANGLES)


@dataclass(frozen=True)
class Case:
    """One flow of the spread, to name it where a claim is decided by it."""

    risk: PopulationRisk
    depth: int
    start: Start

    def __str__(self) -> str:
        return f"{self.risk.label()}, N = {self.depth}, |w(0)| = {float(self.start.norm):.6g}, theta(0) = {float(self.start.angle):.6g}"


@lru_cache(maxsize=4)
def flows(last: float = 1e12, count: int = 240) -> Trajectory:
    """The flows of every law, depth and start, shape (laws, depths, starts), from t = 1e-3 on."""
    grid = np.empty((len(risks()), 1, 1), dtype=object)
    grid[:, 0, 0] = risks()
    run = gradient_flow(grid, starts(), log_times(1e-3, last, count), np.array(DEPTHS)[:, None])
    run.require_ok()
    return run


def cases(depths: tuple[int, ...] = DEPTHS) -> list[tuple[Case, Trajectory]]:
    """Each case of these depths with its flow."""
    run = flows()
    out = []
    for i, risk in enumerate(risks()):
        for depth in depths:
            for k, (norm, angle) in enumerate(zip(NORMS, ANGLES, strict=True)):
                out.append((Case(risk, depth, Start(norm, angle)), run[i, DEPTHS.index(depth), k]))
    return out


@lru_cache(maxsize=512)
def _turning(law: int, depth: int, start: int) -> Turning:
    return turning_point(risks()[law], Start(NORMS[start], ANGLES[start]), depth)


def turning(case: Case) -> Turning:
    """The turning point of a case, found once."""
    law = risks().index(case.risk)
    start = next(i for i in range(len(NORMS)) if NORMS[i] == case.start.norm and ANGLES[i] == case.start.angle)
    return _turning(law, case.depth, start)
