"""What should happen: late rates of the flow, the paper's bounds with printed and derived constants, thresholds of descent."""

from typing import Any

from flowsim.theory import thresholds
from flowsim.theory.bounds import (
    GROWTH_CONSTANT,
    GROWTH_CONSTANT_PRINTED,
    DirectionBound,
    Lemma4,
    Theorem1,
    Theorem5,
    Theorem5Upper,
    growth_bound,
    norm_floor,
    two_layer_direction,
)
from flowsim.theory.descent_bounds import descent_cosine_bound, descent_cosine_bound_kept
from flowsim.theory.rates import NoisyRates, Rates, noisy_rates, rates
from flowsim.theory.states import State
from flowsim.theory.thresholds import (
    Edge,
    FirstBurst,
    LabelNoiseStability,
    critical_step_size,
    edge,
    first_burst,
    label_noise_stability,
    sharpness,
)
from flowsim.theory.two_layers import TwoLayerEdge, direction_rate, growing_bursts_step_size, two_layer_edge

__all__ = [
    "GROWTH_CONSTANT",
    "GROWTH_CONSTANT_PRINTED",
    "DirectionBound",
    "Edge",
    "FirstBurst",
    "LabelNoiseStability",
    "Lemma4",
    "NoisyRates",
    "Rates",
    "State",
    "Theorem1",
    "Theorem5",
    "Theorem5Upper",
    "TwoLayerEdge",
    "claims",
    "critical_step_size",
    "descent_cosine_bound",
    "descent_cosine_bound_kept",
    "direction_rate",
    "edge",
    "first_burst",
    "growing_bursts_step_size",
    "growth_bound",
    "label_noise_stability",
    "noisy_rates",
    "norm_floor",
    "rates",
    "sharpness",
    "thresholds",
    "two_layer_direction",
    "two_layer_edge",
]


def claims() -> Any:
    """The registry of claims: every statement flowsim checks, with its source and its prediction."""
    # The public name `flowsim.theory.claims()` asks for this one import to the right, so it waits until the call.
    from flowsim.claims import registry

    return registry()
