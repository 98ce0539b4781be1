"""The runs that the figures of a report show."""

import numpy as np

from flowsim.dynamics import Trajectory, gradient_descent, gradient_flow
from flowsim.problem import Gaussian, PopulationRisk, Start, log_times
from flowsim.theory.paper import FIGURE_1

LATE_DEPTHS = (1, 2, 3, 5)
PAPER_STEPS = 30_000


def late_flows(risk: PopulationRisk | None = None, start: Start | None = None, count: int = 240) -> Trajectory:
    """A batch of flows at depths 1, 2, 3 and 5 to t = 1e12.

    risk: default Gaussian data.  start: default norm 1, angle 1.5.  count: of times.

    >>> import flowsim as fs
    >>> fs.present.late_flows(count=20).shape
    (4,)
    """
    risk = PopulationRisk(Gaussian(dim=2)) if risk is None else risk
    start = Start(norm=1.0, angle=1.5) if start is None else start
    return gradient_flow(risk, start, log_times(1e-2, 1e12, count), depth=list(LATE_DEPTHS))


def paper_runs(steps: int = PAPER_STEPS, every: int = 100) -> tuple[Trajectory, Trajectory]:
    """Flow and descent, each a batch of depths 1 and 4: x uniform on the circle, v = (0, 1), w(0) = (0.6, -0.8), eta = 1e-3.

    steps: of the descent, recorded ``every`` so many. The paper's stochastic descent with batches of 1000 is here a descent on the
    population risk. Source: Lin, Sun, Zhang 2021 (submitted version), figure 1.

    >>> import flowsim as fs
    >>> flow, descent = fs.present.paper_runs(steps=1000)
    >>> flow.shape, descent.step[-1].item()
    ((2,), 1000)
    """
    record, depths = np.arange(0, steps + 1, every), list(FIGURE_1.depths)
    flow = gradient_flow(FIGURE_1.risk, FIGURE_1.start, FIGURE_1.step_size * record, depth=depths)
    return flow, gradient_descent(FIGURE_1.risk, FIGURE_1.start, FIGURE_1.step_size, record, depth=depths)
