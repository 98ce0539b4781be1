r"""The flow of log L in the coordinates log |W| and W/|W|, and what is read off a point of it.

With L = (1/n) sum_i l(q_i), q_i = y_i f(W; x_i), and the weights pi_i = -l'(q_i)/sum_k l(q_k), which are known from logarithms alone,

    -grad log L = sum_i pi_i grad q_i = G,      dW/dt = L G.

In lambda = log((t + t0)/t0), with u = W/|W| and E = (t + t0) L, of which only the logarithm is held,

    d log|W| / d lambda = E <u, G>/|W|,      du / d lambda = E (G - <u, G> u)/|W|.

Nothing here over- or underflows: where L = exp(-1e5), t is near exp(1e5), and E of order one.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowsim.finite.losses import log_losses
from flowsim.finite.network import Network

LARGEST = 300.0
"""log of a rate, beyond which no step was ever meant to go."""


class Problem(NamedTuple):
    """x, y: (n, d) and (n,)."""

    x: Any
    y: Any


class Place(NamedTuple):
    """At one W. log_loss: log L.  descent: G, flat.  margins: q_i, (n,).  weights: pi_i, (n,)."""

    log_loss: Any
    descent: Any
    margins: Any
    weights: Any


class State(NamedTuple):
    """log_norm: log |W|.  direction: u, flat.  path: the length of u's path so far."""

    log_norm: Any
    direction: Any
    path: Any


def place(network: Network, unravel: Any, problem: Problem, loss: str, flat: Any, rounding: float) -> Place:
    """At W = ``flat``."""
    outputs, pull = jax.vjp(lambda w: network.outputs(unravel(w), problem.x, rounding), flat)
    q = problem.y * outputs
    log_l, log_slope = log_losses(q, loss)
    log_total = jax.nn.logsumexp(log_l)
    weights = jnp.exp(log_slope - log_total)
    (descent,) = pull(problem.y * weights)
    return Place(log_total - jnp.log(problem.y.size), descent, q, weights)


def split(here: Place, u: Any) -> tuple[Any, Any]:
    """<u, G>, and the part of G across u."""
    along = u @ here.descent
    across = here.descent - along * u
    # once more, for what rounding left along u
    return along, across - (u @ across) * u


def rates(network: Network, unravel: Any, problem: Problem, loss: str, rounding: float, lam: Any, log_t0: Any, state: State) -> State:
    """d(log |W|, u, path)/d lambda."""
    u = state.direction / jnp.linalg.norm(state.direction)
    here = place(network, unravel, problem, loss, jnp.exp(state.log_norm) * u, rounding)
    along, across = split(here, u)
    # a trial far off is to be wrong by much, and not nan
    speed = jnp.exp(jnp.minimum(lam + log_t0 + here.log_loss - state.log_norm, LARGEST))
    turn = speed * across
    return State(speed * along, turn, jnp.sqrt(jnp.sum(turn * turn)))


@dataclass(frozen=True)
class Unravel:
    """From one vector back to the pytree. Two of alike trees are equal, so that what was compiled for one serves the other."""

    tree: Any
    shapes: tuple[tuple[int, ...], ...]

    def __call__(self, flat: Any) -> Any:
        """W as a pytree. flat: (P,)."""
        sizes = np.cumsum([prod(shape) for shape in self.shapes])[:-1]
        parts = np.split(flat, sizes) if isinstance(flat, np.ndarray) else jnp.split(flat, sizes)
        return jax.tree.unflatten(self.tree, [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)])


def flatten(weights: Any) -> tuple[np.ndarray, Unravel]:
    """W as one vector, (P,), and the way back. ValueError where it holds something else than finite numbers, or nothing but zeros."""
    leaves, tree = jax.tree.flatten(weights)
    try:
        arrays = [np.asarray(leaf, dtype=np.float64) for leaf in leaves]
    except (TypeError, ValueError):
        raise ValueError("`start` must be a pytree of arrays of numbers, but holds something else") from None
    flat = np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)
    if not np.isfinite(flat).all() or not flat.any():
        raise ValueError(f"`start` must hold finite weights, not all of them 0, but holds {'nan or inf' if flat.any() else 'zeros alone'}")
    return flat, Unravel(tree, tuple(array.shape for array in arrays))
