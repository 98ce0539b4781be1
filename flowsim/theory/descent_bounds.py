"""The paper's bounds on gradient descent at N = 1, with any step sizes: Theorems 2 and 3.

Both read 1 - cos theta(n) <= (1 - cos theta(0)) exp(-E_n), E_n = b S_n, S_n the sum of `step_sums.step_sum`. As on the flow, E_n itself
does not saturate where cos theta rounds to 1.
"""

from math import pi
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.theory.bounds import SIX_TENTHS
from flowsim.theory.states import State, checked_state, noise_free_risk
from flowsim.theory.step_sums import step_sum

Array = Float[np.ndarray, "..."]


def descent_exponent(risk: Any, start: Any, step_sizes: Any) -> Array:
    """E_n = B S_n with A = r(0)^2/c0^2 and C = 0, B = (1 + cos theta(0))/pi: Theorem 2, for the steps up to which cos theta < 0.

    risk: a `PopulationRisk` without label noise.  start: a `State`, or (time, norm, log_tan_half_angle).
    step_sizes: eta_k, (K,), positive.

    Returns E_0, ..., E_K, of which 1 - cos theta(n) <= (1 - cos theta(0)) exp(-E_n). ValueError where cos theta(0) is not negative, and on
    bad input. Source: the paper's Theorem 2.

    >>> import flowsim as fs
    >>> risk, state = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.theory.State.of(fs.Start(norm=1.0, angle=2.5))
    >>> fs.theory.descent_exponent(risk, state, [0.1, 0.1, 0.1]).round(4).tolist()
    [0.0, 0.0079, 0.0157, 0.0234]
    """
    state, c0 = checked_state("start", start), _c0(risk)
    if state.one_minus_cos <= 1.0:
        raise ValueError(f"`start` must have cos theta < 0 for Theorem 2, but has {1.0 - state.one_minus_cos:.6g}")
    return _b(state) * step_sum(step_sizes, (state.norm / c0) ** 2)


def descent_exponent_kept(risk: Any, start: Any, step_sizes: Any, margin: Any) -> Array:
    """E_n = B delta/(1 + delta) S_n with A = r(0)^2/c0^2 and C = 0.6/c0^2, B = (1 + cos theta(0))/pi: Theorem 3.

    It speaks of runs with |w_{n+1}| + <w_n/|w_n|, w_{n+1}> >= (1 + delta) c0 eta_n cos(theta_n)/pi at every step: steps that do not throw
    the direction beyond the teacher's.

    risk, start, step_sizes: as in `descent_exponent`, from any angle.  margin: delta > 0.

    Returns E_0, ..., E_K. ValueError on bad input. Source: the paper's Theorem 3.

    >>> import flowsim as fs
    >>> risk, state = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.theory.State.of(fs.Start(norm=1.0, angle=1.0))
    >>> fs.theory.descent_exponent_kept(risk, state, [0.1, 0.1, 0.1], margin=1.0).round(4).tolist()
    [0.0, 0.0296, 0.0583, 0.086]
    """
    state, c0 = checked_state("start", start), _c0(risk)
    delta = arguments.real("margin", margin, low=0.0, strict=True)
    return _b(state) * delta / (1.0 + delta) * step_sum(step_sizes, (state.norm / c0) ** 2, SIX_TENTHS / c0**2)


def descent_cosine_bound(risk: Any, start: Any, step_sizes: Any) -> Array:
    """cos theta(n) >= 1 - (1 - cos theta(0)) exp(-E_n), n = 0, ..., K: Theorem 2, E_n of `descent_exponent`.

    risk, start, step_sizes: as there. ValueError as there. Source: the paper's Theorem 2.

    >>> import flowsim as fs
    >>> risk, state = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.theory.State.of(fs.Start(norm=1.0, angle=2.5))
    >>> fs.theory.descent_cosine_bound(risk, state, [0.1, 0.1, 0.1]).round(4).tolist()
    [-0.8011, -0.787, -0.7731, -0.7594]
    """
    return _cosine(start, descent_exponent(risk, start, step_sizes))


def descent_cosine_bound_kept(risk: Any, start: Any, step_sizes: Any, margin: Any) -> Array:
    """cos theta(n) >= 1 - (1 - cos theta(0)) exp(-E_n), n = 0, ..., K: Theorem 3, E_n of `descent_exponent_kept`.

    risk, start, step_sizes, margin: as there. ValueError as there. Source: the paper's Theorem 3.

    >>> import flowsim as fs
    >>> risk, state = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.theory.State.of(fs.Start(norm=1.0, angle=1.0))
    >>> fs.theory.descent_cosine_bound_kept(risk, state, [0.1, 0.1, 0.1], margin=1.0).round(4).tolist()
    [0.5403, 0.5537, 0.5663, 0.5782]
    """
    return _cosine(start, descent_exponent_kept(risk, start, step_sizes, margin))


def _c0(risk: Any) -> float:
    return pi * noise_free_risk(risk).pull


def _b(state: State) -> float:
    """B = (1 + cos theta(0))/pi; 1 + cos theta = 2/(1 + exp(2 s)), which 2 - (1 - cos theta) would round away near theta = pi."""
    return 2.0 / (pi * (1.0 + np.exp(2.0 * state.log_tan_half_angle))) if state.log_tan_half_angle < 350.0 else 0.0


def _cosine(start: Any, exponent: Array) -> Array:
    return 1.0 - checked_state("start", start).one_minus_cos * np.exp(-exponent)
