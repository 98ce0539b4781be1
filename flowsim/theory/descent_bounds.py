"""The paper's bounds on gradient descent at N = 1, with any step sizes: Theorems 2 and 3.

Both read cos theta(n) >= 1 - (1 - cos theta(0)) exp(-b S_n), S_n = sum over k < n of eta_k/sqrt(V_k), V_k a bound on (|w_{k+1}|/c0)^2.
"""

from math import pi
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.theory.states import State, checked_state, noise_free_risk

Array = Float[np.ndarray, "..."]


def descent_cosine_bound(risk: Any, start: Any, step_sizes: Any) -> Array:
    """Theorem 2, while cos theta < 0: b = B, V_k = A + sum over i <= k of eta_i^2, A = r(0)^2/c0^2, B = (1 + cos theta(0))/pi.

    start: a State, or (time, norm, log_tan_half_angle).  step_sizes: (n,), positive. Returns the bound after 0, 1, ..., n steps; it speaks
    of the steps up to which cos theta < 0. ValueError where cos theta(0) is not negative. Source: the paper's Theorem 2.
    """
    state, c0, eta = _checked(risk, start, step_sizes)
    if state.one_minus_cos <= 1.0:
        raise ValueError(f"`start` must have cos theta < 0 for Theorem 2, but has {1.0 - state.one_minus_cos:.6g}")
    return _bound(state, eta, (state.norm / c0) ** 2 + np.cumsum(eta**2), 1.0)


def descent_cosine_bound_kept(risk: Any, start: Any, step_sizes: Any, margin: Any) -> Array:
    """Theorem 3: b = B delta/(1 + delta), V_k = A + sum over i <= k of (eta_i^2 + C eta_i), C = 0.6/c0^2.

    It speaks of runs with |w_{n+1}| + <w_n/|w_n|, w_{n+1}> >= (1 + delta) c0 eta_n cos(theta_n)/pi at every step: steps that do not throw
    the direction beyond the teacher's.

    start, step_sizes: as in `descent_cosine_bound`.  margin: delta > 0. Returns the bound after 0, 1, ..., n steps. ValueError on bad
    input. Source: the paper's Theorem 3.
    """
    state, c0, eta = _checked(risk, start, step_sizes)
    delta = arguments.real("margin", margin, low=0.0, strict=True)
    return _bound(state, eta, (state.norm / c0) ** 2 + np.cumsum(eta**2 + 0.6 / c0**2 * eta), delta / (1.0 + delta))


def _checked(risk: Any, start: Any, step_sizes: Any) -> tuple[State, float, Array]:
    state, c0 = checked_state("start", start), pi * noise_free_risk(risk).pull
    eta = arguments.reals("step_sizes", step_sizes, low=0.0, strict=True)
    if eta.ndim != 1:
        raise ValueError(f"`step_sizes` must have shape (n,), but has shape {eta.shape}")
    return state, c0, eta


def _bound(state: State, eta: Array, squares: Array, factor: float) -> Array:
    total = np.concatenate([[0.0], np.cumsum(eta / np.sqrt(squares))])
    # 1 + cos theta = 2/(1 + exp(2 s)), which 2 - (1 - cos theta) would round away near theta = pi
    one_plus_cos = 2.0 / (1.0 + np.exp(2.0 * state.log_tan_half_angle)) if state.log_tan_half_angle < 350.0 else 0.0
    return 1.0 - state.one_minus_cos * np.exp(-factor * one_plus_cos / pi * total)
