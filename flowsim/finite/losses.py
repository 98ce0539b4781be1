"""The exponential and the logistic loss of a margin q, in logarithms: nothing underflows where l(q) = exp(-1e5)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowsim import arguments

LOSSES = {"exponential": "exp(-q)", "logistic": "log(1 + exp(-q))"}
"""By name: l(q)."""

FAR = 30.0
"""Beyond which log log(1 + exp(-q)) is -q - exp(-q)/2 to the last digit."""


def log_losses(q: Any, loss: str) -> tuple[Any, Any]:
    """log l(q) and log(-l'(q)), by JAX, elementwise."""
    if loss == "exponential":
        return -q, -q
    far = q > FAR
    tail = jnp.exp(-jnp.where(far, q, FAR))
    near = jnp.log(jnp.logaddexp(0.0, -jnp.where(far, FAR, q)))
    return jnp.where(far, -q - 0.5 * tail, near), -jnp.logaddexp(0.0, q)


def margin_of_total(log_total: Any, loss: str) -> Float[np.ndarray, "..."]:
    """l^(-1)(T): the margin that one sample would have, if it made all of the losses' sum T alone.

    log_total: log T, any shape.  loss: "exponential", -log T, or "logistic", -log(exp(T) - 1). ValueError for another loss.

    Source: Lyu, Li 2019 (https://arxiv.org/abs/1906.05890), where it is divided by |W|^p to make the smoothed margin.

    >>> from flowsim.finite.losses import margin_of_total
    >>> margin_of_total([-1e5, 0.0], "exponential").tolist(), margin_of_total([-1e5], "logistic").tolist()
    ([100000.0, -0.0], [100000.0])
    """
    arguments.one_of("loss", loss, LOSSES)
    log_t = np.asarray(log_total, dtype=np.float64)
    if loss == "exponential":
        return np.asarray(-log_t)
    with np.errstate(over="ignore", under="ignore"):
        total = np.exp(log_t)
        # exp(T) - 1 = T (1 + T/2 + ...), and exp(T) (1 - exp(-T)) where T is large
        small = -log_t - np.log(
            np.where(total > 0.0, np.expm1(np.minimum(total, 1.0)) / np.where(total > 0.0, np.minimum(total, 1.0), 1.0), 1.0)
        )
        large = -total - np.log(-np.expm1(-np.maximum(total, 1.0)))
    return np.asarray(np.where(total <= 1.0, small, large))
