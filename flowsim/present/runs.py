"""The runs that the figures of a report show."""

import numpy as np

from flowsim.dynamics import Trajectory, gradient_descent, gradient_flow
from flowsim.problem import Gaussian, PopulationRisk, Sphere, Start, log_times

LATE_DEPTHS = (1, 2, 3, 5)
PAPER_DEPTHS = (1, 4)
PAPER_STEP = 1e-3
PAPER_STEPS = 30_000


def late_flows(risk: PopulationRisk | None = None, start: Start | None = None, count: int = 240) -> Trajectory:
    """A batch of flows at depths 1, 2, 3 and 5 to t = 1e12; by default of Gaussian data from norm 1 at 1.5 radians."""
    risk = PopulationRisk(Gaussian(dim=2)) if risk is None else risk
    start = Start(norm=1.0, angle=1.5) if start is None else start
    return gradient_flow(risk, start, log_times(1e-2, 1e12, count), depth=list(LATE_DEPTHS))


def paper_runs(steps: int = PAPER_STEPS, every: int = 100) -> tuple[Trajectory, Trajectory]:
    """Flow and descent, each a batch of depths 1 and 4: x uniform on the circle, v = (0, 1), w(0) = (0.6, -0.8), eta = 1e-3.

    steps: of the descent, recorded ``every`` so many. The paper's stochastic descent with batches of 1000 is here a descent on the
    population risk. Source: Lin, Sun, Zhang 2021 (submitted version), figure 1.
    """
    risk, start = PopulationRisk(Sphere(dim=2)), Start.from_vectors([0.6, -0.8], [0.0, 1.0])
    record = np.arange(0, steps + 1, every)
    flow = gradient_flow(risk, start, PAPER_STEP * record, depth=list(PAPER_DEPTHS))
    return flow, gradient_descent(risk, start, PAPER_STEP, record, depth=list(PAPER_DEPTHS))
