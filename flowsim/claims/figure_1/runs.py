"""The curves of the paper's figure 1: the flow, and descent with the figure's step size."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from flowsim.claims.settings import OutOfScope, Setting
from flowsim.dynamics import Trajectory, gradient_descent, gradient_flow, turning_point
from flowsim.problem import PopulationRisk
from flowsim.theory import State
from flowsim.theory.paper import FIGURE_1

STEPS = 30_000
LAST = STEPS * FIGURE_1.step_size

ROUNDING = 1e-12

RELATIVE = FIGURE_1.step_size
"""By how much a step of descent may turn w less or more than the flow, relative: eta/2 times |s''/s'| = (1 - 2/N) |r'|/r, which is at most
0.8 on the figure's runs, and less from the layers' drift apart."""

RUNS = "the circle, w(0) = (0.6, -0.8), N = 1 and 4, to eta n = 30: the flow, and descent with the figure's step size 1e-3"


class Drawn(NamedTuple):
    """One curve of the figure: its records, their time T of least norm, and what a bound may be missed by, relative to its gain."""

    name: str
    run: Trajectory
    turn: State
    relative: float

    def state(self, time: float) -> State:
        i = int(np.searchsorted(self.run.time, time - 1e-9))
        return State(float(self.run.time[i]), float(self.run.norm[i]), float(self.run.log_tan_half_angle[i]))

    def starts(self, depth: int) -> tuple[State, State]:
        """Where the figure's two bounds start."""
        return self.state(0.0), self.state(FIGURE_1.restart_time(depth))


def depths_asked(setting: Setting) -> tuple[int, ...]:
    """1 and 4, or the one of them asked for; OutOfScope where neither is, or where the circle is not among the laws asked for."""
    if setting.laws is not None and FIGURE_1.risk.law not in setting.laws:
        raise OutOfScope("figure 1 is of x uniform on the circle, Sphere(dim=2)")
    depths = tuple(n for n in FIGURE_1.depths if setting.depths is None or n in setting.depths)
    if not depths:
        raise OutOfScope("figure 1 is of N = 1 and N = 4")
    return depths


@lru_cache(maxsize=4)
def drawn(depth: int) -> tuple[Drawn, Drawn]:
    """The flow at every 0.01 of time and at T, and descent at every step."""
    risk, start = FIGURE_1.risk, FIGURE_1.start
    turn = State(*turning_point(risk, start, depth))
    times = np.union1d(np.linspace(0.0, LAST, 3001), [turn.time])
    flow = gradient_flow(risk, start, times, depth)
    flow.require_ok()
    descent = gradient_descent(risk, start, FIGURE_1.step_size, np.arange(STEPS + 1), depth, "exact")
    rising = descent.time[_lift(risk, descent) >= 0.0][0]
    found = Drawn("descent", descent, turn, RELATIVE)
    return Drawn("flow", flow, turn, 0.0), found._replace(turn=found.state(float(rising)))


def _lift(risk: PopulationRisk, run: Trajectory) -> np.ndarray:
    """h(r) - c (1 - cos theta): the norm grows where this is positive."""
    return risk.growth(run.norm) - risk.pull * run.one_minus_cos
