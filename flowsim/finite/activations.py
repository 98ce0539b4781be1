r"""Activations of degree one and two, with the kinks of those of degree one rounded off.

A leaky ReLU has no derivative at 0, and a flow that comes to a kink may have to stay there: the two sides push a neuron towards each other,
and it slides along the kink, at the rate that keeps it there (a solution in the sense of Filippov). A solver sees steps that are rejected
without end. So a kink is rounded: in |<w, h>| < delta |w| |h| the slope rises from gamma to 1 as

    gamma + (1 - gamma) S(tau),   S = 1/2 + (15 tau - 10 tau^3 + 3 tau^5)/16,   tau = <w, h>/(delta |w| |h|),

twice continuously differentiable; outside, the function is the leaky ReLU itself. |w| is that of the neuron, and no less than a tenth of
the layer's root mean square, so that f stays homogeneous in the layer and in h. The sliding neuron then rests inside this layer, in an
equilibrium that any solver follows. What it changes is of order delta.
"""

from typing import Any

import jax.numpy as jnp

from flowsim import arguments

ROUNDING = 1e-4
"""delta: half the width of a rounded kink, as the cosine of an angle."""
WIDEST = 0.1
SMALL = 0.1


def check_rounding(rounding: Any) -> float:
    """delta, zero or positive."""
    return arguments.real("rounding", rounding, low=0.0, high=WIDEST)


def leaky_relu(z: Any, scale: Any, slope: float, rounding: float) -> Any:
    """max(z, gamma z), rounded where |z| < delta s. scale: s = |w| |h|, as z."""
    if slope == 1.0:
        return z
    if rounding == 0.0:
        return jnp.where(z > 0.0, z, slope * z)
    width = rounding * scale
    inside = jnp.abs(z) < width
    tau = jnp.where(inside, z, 0.0) / jnp.where(inside, width, 1.0)
    return slope * z + (1.0 - slope) * jnp.where(inside, width * _risen(tau), jnp.maximum(z, 0.0))


def _risen(tau: Any) -> Any:
    """The integral of S from -1; tau at 1."""
    square = tau * tau
    return 0.15625 + tau * (0.5 + tau * (0.46875 + square * (-0.15625 + square * 0.03125)))


def lengths(rows: Any) -> Any:
    """|h| of each row, (..., 1), with the derivative 0 at 0."""
    square = jnp.sum(rows * rows, axis=-1, keepdims=True)
    there = square > 0.0
    return jnp.where(there, jnp.sqrt(jnp.where(there, square, 1.0)), 0.0)


def sizes(neurons: Any) -> Any:
    """|w| of each neuron, or `SMALL` of the layer's root mean square where it is smaller, smoothly: (m, 1).

    A neuron may come to rest at 0, where all samples push it back: in a layer of half width delta |w| it would turn ever faster on its way.
    """
    square = jnp.sum(neurons * neurons, axis=-1, keepdims=True)
    return jnp.sqrt(square + SMALL**2 * jnp.mean(square))
