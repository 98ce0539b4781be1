"""What should happen: late rates of the flow, the paper's bounds with printed and derived constants, thresholds of descent.

>>> import flowsim as fs
>>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
>>> fs.theory.rates(risk, depth=3).direction_exponent, round(fs.theory.critical_step_size(risk, depth=2), 6)
(1.2, 5.013257)
"""

from typing import Any

from flowsim.theory import thresholds
from flowsim.theory.benign import BenignBoundaries, benign_boundaries, benign_error, harmful_samples
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
from flowsim.theory.descent_bounds import (
    descent_cosine_bound,
    descent_cosine_bound_kept,
    descent_exponent,
    descent_exponent_kept,
)
from flowsim.theory.imbalance import alignment_bound, imbalance_step, imbalances, rank_one_excess_bound
from flowsim.theory.rates import NoisyRates, Rates, noisy_rates, rates
from flowsim.theory.sample_noise import GradientNoise, gradient_noise
from flowsim.theory.samples import SampleCrossover, direction_crossover, margin_crossover, margin_norm, sample_direction_error
from flowsim.theory.states import State
from flowsim.theory.step_sums import (
    GeometricSteps,
    PowerSteps,
    SettledSteps,
    StepSumCeilings,
    StepSumOrder,
    StepSumRange,
    step_sum,
    step_sum_ceilings,
    step_sum_order,
    step_sum_range,
)
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
from flowsim.theory.unbalanced import (
    GenericDirection,
    generic_direction,
    generic_direction_exponent,
    layer_ratio,
    unbalanced_two_layer_direction,
)

__all__ = [
    "GROWTH_CONSTANT",
    "GROWTH_CONSTANT_PRINTED",
    "BenignBoundaries",
    "DirectionBound",
    "Edge",
    "FirstBurst",
    "GenericDirection",
    "GeometricSteps",
    "GradientNoise",
    "LabelNoiseStability",
    "Lemma4",
    "NoisyRates",
    "PowerSteps",
    "Rates",
    "SampleCrossover",
    "SettledSteps",
    "State",
    "StepSumCeilings",
    "StepSumOrder",
    "StepSumRange",
    "Theorem1",
    "Theorem5",
    "Theorem5Upper",
    "TwoLayerEdge",
    "alignment_bound",
    "benign_boundaries",
    "benign_error",
    "claims",
    "critical_step_size",
    "descent_cosine_bound",
    "descent_cosine_bound_kept",
    "descent_exponent",
    "descent_exponent_kept",
    "direction_crossover",
    "direction_rate",
    "edge",
    "first_burst",
    "generic_direction",
    "generic_direction_exponent",
    "gradient_noise",
    "growing_bursts_step_size",
    "growth_bound",
    "harmful_samples",
    "imbalance_step",
    "imbalances",
    "label_noise_stability",
    "layer_ratio",
    "margin_crossover",
    "margin_norm",
    "noisy_rates",
    "norm_floor",
    "rank_one_excess_bound",
    "rates",
    "sample_direction_error",
    "sharpness",
    "step_sum",
    "step_sum_ceilings",
    "step_sum_order",
    "step_sum_range",
    "thresholds",
    "two_layer_direction",
    "two_layer_edge",
    "unbalanced_two_layer_direction",
]


def claims() -> Any:
    """The registry of claims: every statement flowsim checks, with its source and its prediction; a tuple of `flowsim.claims.Claim`.

    >>> import flowsim as fs
    >>> "theorem-1-lower-bound" in [claim.name for claim in fs.theory.claims()]
    True
    """
    # The public name `flowsim.theory.claims()` asks for this one import to the right, so it waits until the call.
    from flowsim.claims import registry

    return registry()
