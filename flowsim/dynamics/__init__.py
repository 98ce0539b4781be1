"""How it moves: the flow, the descent, what a run returns, and one beside the other."""

from flowsim.dynamics.compare import Comparison, GapOrder, compare, gap_order
from flowsim.dynamics.descent import Schedule, gradient_descent, log_steps
from flowsim.dynamics.flow import SOLVERS, SciPy, gradient_flow
from flowsim.dynamics.network import Velocity, flow_velocity, velocity
from flowsim.dynamics.rerun import rerun
from flowsim.dynamics.trajectory import Trajectory, load
from flowsim.dynamics.turning import Turning, turning_point

__all__ = [
    "SOLVERS",
    "Comparison",
    "GapOrder",
    "Schedule",
    "SciPy",
    "Trajectory",
    "Turning",
    "Velocity",
    "compare",
    "flow_velocity",
    "gap_order",
    "gradient_descent",
    "gradient_flow",
    "load",
    "log_steps",
    "rerun",
    "turning_point",
    "velocity",
]
