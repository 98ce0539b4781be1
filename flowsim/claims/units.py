"""Norms and step sizes of descents in a law's own units, so that a claim asks the same of every law."""

from collections.abc import Iterable

import numpy as np

from flowsim.claims.settings import OutOfScope, Setting
from flowsim.problem import Law, PopulationRisk


def risks_of(setting: Setting, *own: Law) -> tuple[PopulationRisk, ...]:
    """On the laws asked for; where none were, on a claim's ``own``, and on the six of `Setting` where the measurement is thorough."""
    return setting.risks_or(*(() if setting.thorough else own))


def unit_norm(risk: PopulationRisk) -> float:
    """r = 1/E|x_1| = 1/(2c): margins <w, x> of order one."""
    return 0.5 / risk.pull


def unit_step_size(risk: PopulationRisk, depth: int) -> float:
    """eta = 1/(c r^(1-2/N)) at the `unit_norm`: the sharpness without h is 1 there."""
    return 1.0 / (risk.pull * unit_norm(risk) ** (1.0 - 2.0 / depth))


def step_size_for(risk: PopulationRisk, depth: int, level: float, norm: float) -> float:
    """eta at which sigma, without h, is ``level`` at this norm, given in units of 1/E|x_1|."""
    return level * unit_step_size(risk, depth) * norm ** (2.0 / depth - 1.0)


def with_power_tails(risks: Iterable[PopulationRisk]) -> tuple[PopulationRisk, ...]:
    """Those whose growth falls off like a power of the norm. OutOfScope where there is none."""
    every = tuple(risks)
    found = tuple(risk for risk in every if np.isfinite(risk.tail.constant))
    if not found:
        raise OutOfScope(
            f"speaks of growth with a power tail, and that of {', '.join(r.label() for r in every)} falls off with a logarithm"
        )
    return found


def tail_correction(risk: PopulationRisk, norm: float) -> float:
    """|h r^(1+a)/K - 1| at this norm: how far the growth is from its tail there."""
    tail = risk.tail
    return abs(float(risk.growth(norm)) * norm ** (1.0 + tail.exponent) / tail.constant - 1.0)
