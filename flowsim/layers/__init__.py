"""What the reduction to the plane leaves out: networks as matrices, of any widths and from any start, on the population's risk."""

from flowsim.layers.descent import layer_descent
from flowsim.layers.flow import layer_flow
from flowsim.layers.network import Layers
from flowsim.layers.run import OBSERVABLES, STATUS, LayerRun, load_layers
from flowsim.layers.starts import (
    OPTIONS,
    STARTS,
    balanced,
    balanced_rank_one,
    gaussian,
    he,
    identity,
    orthogonal,
    pytorch_default,
    start_by_name,
    unit_vectors,
    xavier,
)

__all__ = [
    "OBSERVABLES",
    "OPTIONS",
    "STARTS",
    "STATUS",
    "LayerRun",
    "Layers",
    "balanced",
    "balanced_rank_one",
    "gaussian",
    "he",
    "identity",
    "layer_descent",
    "layer_flow",
    "load_layers",
    "orthogonal",
    "pytorch_default",
    "start_by_name",
    "unit_vectors",
    "xavier",
]
