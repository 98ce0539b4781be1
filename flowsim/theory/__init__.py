"""What should happen: late rates of the flow, and the paper's bounds with printed and derived constants."""

from typing import Any

from flowsim.theory.bounds import (
    GROWTH_CONSTANT,
    GROWTH_CONSTANT_PRINTED,
    DirectionBound,
    Lemma4,
    Theorem1,
    Theorem5,
    Theorem5Upper,
    descent_cosine_bound,
    growth_bound,
    norm_floor,
    two_layer_direction,
)
from flowsim.theory.rates import NoisyRates, Rates, noisy_rates, rates
from flowsim.theory.states import State

__all__ = [
    "GROWTH_CONSTANT",
    "GROWTH_CONSTANT_PRINTED",
    "DirectionBound",
    "Lemma4",
    "NoisyRates",
    "Rates",
    "State",
    "Theorem1",
    "Theorem5",
    "Theorem5Upper",
    "claims",
    "descent_cosine_bound",
    "growth_bound",
    "noisy_rates",
    "norm_floor",
    "rates",
    "two_layer_direction",
]


def claims() -> Any:
    """The registry of claims: every statement flowsim checks, with its source and its prediction."""
    # The public name `flowsim.theory.claims()` asks for this one import to the right, so it waits until the call.
    from flowsim.claims import registry

    return registry()
