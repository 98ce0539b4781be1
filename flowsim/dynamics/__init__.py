"""How it moves: the flow, the descent, what a run returns, and one beside the other."""

from flowsim.dynamics.compare import EDGE, Comparison, Crossing, GapOrder, compare, gap_order, gap_order_of
from flowsim.dynamics.corrected import GapPrediction, gap_prediction, modified_flow
from flowsim.dynamics.descent import Schedule, gradient_descent, log_steps
from flowsim.dynamics.flow import SOLVERS, SciPy, gradient_flow
from flowsim.dynamics.network import Velocity, flow_velocity, velocity
from flowsim.dynamics.rerun import rerun
from flowsim.dynamics.trajectory import Coverage, Trajectory, load
from flowsim.dynamics.turning import Turning, turning_point

__all__ = [
    "EDGE",
    "SOLVERS",
    "Comparison",
    "Coverage",
    "Crossing",
    "GapOrder",
    "GapPrediction",
    "Schedule",
    "SciPy",
    "Trajectory",
    "Turning",
    "Velocity",
    "compare",
    "flow_velocity",
    "gap_order",
    "gap_order_of",
    "gap_prediction",
    "gradient_descent",
    "gradient_flow",
    "load",
    "log_steps",
    "modified_flow",
    "rerun",
    "turning_point",
    "velocity",
]
