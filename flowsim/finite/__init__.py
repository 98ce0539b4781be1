"""Finite data and homogeneous networks: directional convergence where the margin is positive, in a clock that never ends.

>>> import flowsim as fs
>>> data = fs.finite.mixture(n=20, dim=4, signal=2.0, seed=1)
>>> network = fs.finite.relu_network(dim=4, widths=[6])
>>> run = fs.finite.homogeneous_flow(network, data, network.start(seed=1), fs.finite.log_log_times(1e4, count=20))
>>> bool(run.log_loss[-1] < -9000.0), bool(run.alignment_gap[-1] < 0.01)
(True, True)
"""

from flowsim.finite.descent import homogeneous_descent
from flowsim.finite.flow import homogeneous_flow, log_log_times
from flowsim.finite.homogeneity import check_homogeneous
from flowsim.finite.limits import Conditions, LeakyLimit, conditions, leaky_limit
from flowsim.finite.losses import LOSSES, margin_of_total
from flowsim.finite.mixtures import linear_test_error, mixture, with_margin
from flowsim.finite.network import Network
from flowsim.finite.networks import (
    NETWORKS,
    convolution,
    custom,
    deep_linear,
    leaky_relu_network,
    relu_network,
    squared_relu_network,
)
from flowsim.finite.neuron_error import NeuronError, neuron_test_error
from flowsim.finite.neurons import NeuronDescent, neuron_descent
from flowsim.finite.real import load_data
from flowsim.finite.run import STATUS, HomogeneousRun, load_homogeneous
from flowsim.finite.training_set import TrainingSet

__all__ = [
    "LOSSES",
    "NETWORKS",
    "STATUS",
    "Conditions",
    "HomogeneousRun",
    "LeakyLimit",
    "Network",
    "NeuronDescent",
    "NeuronError",
    "TrainingSet",
    "check_homogeneous",
    "conditions",
    "convolution",
    "custom",
    "deep_linear",
    "homogeneous_descent",
    "homogeneous_flow",
    "leaky_limit",
    "leaky_relu_network",
    "linear_test_error",
    "load_data",
    "load_homogeneous",
    "log_log_times",
    "margin_of_total",
    "mixture",
    "neuron_descent",
    "neuron_test_error",
    "relu_network",
    "squared_relu_network",
    "with_margin",
]
