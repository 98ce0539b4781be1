"""The commands of the command line. Modules here load nothing heavy until a command runs."""

from flowsim.commands.check import check
from flowsim.commands.finite import finite
from flowsim.commands.info import info
from flowsim.commands.layers import layers
from flowsim.commands.map import regimes
from flowsim.commands.plot import plot
from flowsim.commands.relu import relu
from flowsim.commands.runs import compare, descend, flow
from flowsim.commands.sgd import sgd
from flowsim.commands.sweep import sweep

__all__ = ["check", "compare", "descend", "finite", "flow", "info", "layers", "plot", "regimes", "relu", "sgd", "sweep"]
