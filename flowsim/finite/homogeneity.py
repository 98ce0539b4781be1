"""Whether a function is homogeneous, found out by numbers: f(cW; x) = c^p f(W; x), and Euler's <W, grad f> = p f."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from flowsim.finite.network import Network

FACTORS = (0.5, 1.7, 3.0)
"""c, at which f(cW) is held against c^p f(W)."""
ACCURACY = 1e-9
"""Relative to the largest output: rounding of a few hundred products, and of a power."""
PLACES = 3
SPREAD = 0.3
"""The check is made at W and at points this far from it, relative to |W|."""


def check_homogeneous(network: Network, weights: Any, x: Any, rounding: float = 0.0) -> None:
    """ValueError, with the order that was measured, unless f(cW; x) = c^p f(W; x) and <W, grad f> = p f at W and at points around it.

    network: any.  weights: W, a pytree of arrays of numbers.  x: (n, d).  rounding: delta, as in the run.

    >>> import numpy as np, flowsim as fs
    >>> biased = fs.finite.custom(lambda w, x: x @ w["w"] + w["b"] ** 2, order=1)
    >>> fs.finite.check_homogeneous(biased, {"w": np.ones(2), "b": np.ones(())}, np.eye(2))
    Traceback (most recent call last):
    ValueError: `network` must be homogeneous of order 1, but f(0.5 W) is 0.375 of f(W), which makes an order of 1.41504
    """
    with jax.enable_x64(True):
        tree = jax.tree.map(lambda w: jnp.asarray(w, dtype=jnp.float64), weights)
        flat, unravel = ravel_pytree(tree)
        points = jnp.asarray(np.asarray(x, dtype=np.float64))
        outputs = jax.jit(lambda w: network.outputs(unravel(w), points, rounding))
        moved = jax.jit(lambda w: jax.jvp(lambda v: network.outputs(unravel(v), points, rounding), (w,), (w,))[1])
        generator = np.random.default_rng(0)
        size = float(jnp.linalg.norm(flat))
        for place in range(PLACES):
            step = generator.standard_normal(flat.size)
            w = flat + (SPREAD * size / np.linalg.norm(step) * step if place else 0.0)
            there = np.asarray(outputs(w))
            if there.shape != (points.shape[0],):
                raise ValueError(f"`network` must give one number for each of the {points.shape[0]} rows of x, but gave {there.shape}")
            largest = float(np.abs(there).max())
            if not np.isfinite(there).all():
                raise ValueError("`network` must give finite outputs at the start, but gave nan or inf")
            if largest == 0.0:
                continue
            for factor in FACTORS:
                scaled = np.asarray(outputs(factor * w))
                if np.abs(scaled - factor**network.order * there).max() > ACCURACY * factor**network.order * largest:
                    raise ValueError(_refusal(network.order, factor, there, scaled))
            euler = np.asarray(moved(w))
            if np.abs(euler - network.order * there).max() > ACCURACY * max(1.0, network.order) * largest:
                worst = int(np.argmax(np.abs(euler - network.order * there)))
                raise ValueError(
                    f"`network` must be homogeneous of order {network.order:g} and differentiable, but <W, grad f> is "
                    f"{euler[worst]:.6g} where f is {there[worst]:.6g}"
                )


def _refusal(order: float, factor: float, there: np.ndarray, scaled: np.ndarray) -> str:
    worst = int(np.argmax(np.abs(scaled - factor**order * there)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = scaled[worst] / there[worst]
        measured = np.log(ratio) / np.log(factor)
    made = f", which makes an order of {measured:.6g}" if np.isfinite(measured) else ""
    return f"`network` must be homogeneous of order {order:g}, but f({factor:g} W) is {ratio:.6g} of f(W){made}"
