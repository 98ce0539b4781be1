"""Layers without bias, linear or with an activation of degree one or two."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np

from flowsim.finite.activations import leaky_relu, lengths, sizes
from flowsim.finite.network import Array, Network, Weights, drawn


@dataclass(frozen=True)
class Layered(Network):
    r"""h_0 = x, h_j = phi(W_j h_(j-1)), f = W_L h_(L-1): layers without bias.

    dim: d.  widths: of the hidden layers, (L-1,) in a tuple.  power: phi(z) = z^power where z > 0, 1 or 2.
    slope: gamma: phi(z) = gamma z where z < 0, with power 1; 1 makes it linear.
    fixed_output: whether W_L is a_j = +-1/sqrt(m) and stays so, + for the first half of the units.
    Made by `deep_linear`, `leaky_relu_network`, `relu_network` and `squared_relu_network`.

    >>> import flowsim as fs
    >>> network = fs.finite.relu_network(dim=3, widths=[5])
    >>> network.name, network.order, network.shapes, network.linear
    ('ReLU', 2, ((5, 3), (1, 5)), False)
    >>> weights = network.start(seed=0)
    >>> one, two = network.value(weights, [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> [w.shape for w in weights], bool(two == 2.0 * one)
    ([(5, 3), (1, 5)], True)
    """

    dim: int
    widths: tuple[int, ...]
    slope: float = 0.0
    power: int = 1
    fixed_output: bool = False

    @property
    def linear(self) -> bool:
        """Whether f is linear in x."""
        return not self.widths or (self.power == 1 and self.slope == 1.0)

    @property
    def kinked(self) -> bool:
        """Whether its activation has a kink."""
        return not self.linear and self.power == 1

    @property
    def name(self) -> str:
        """Of the activation."""
        return "linear" if self.linear else "squared ReLU" if self.power == 2 else f"leaky ReLU {self.slope:g}" if self.slope else "ReLU"

    @property
    def order(self) -> int:
        """p: a layer adds one, an activation multiplies by its power."""
        p = 1
        for _ in self.widths[: len(self.widths) - self.fixed_output]:
            p = self.power * p + 1
        return self.power * p if self.fixed_output else p

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of W_1, ..., W_L; of those that move."""
        sizes = (self.dim, *self.widths, 1)
        every = tuple((out, into) for into, out in pairwise(sizes))
        return every[:-1] if self.fixed_output else every

    def outputs(self, weights: Weights, x: Any, rounding: float = 0.0) -> Any:
        """As in `Network`. weights: matrices of `shapes`.  x: (n, d).  rounding: delta.

        >>> import jax, flowsim as fs
        >>> network = fs.finite.deep_linear(dim=2, depth=1)
        >>> with jax.enable_x64(True):
        ...     network.outputs([[[3.0, 4.0]]], [[1.0, 1.0]]).tolist()
        [7.0]
        """
        matrices = [jnp.asarray(w) for w in weights]
        hidden, last = (matrices, self._output()) if self.fixed_output else (matrices[:-1], matrices[-1])
        h = jnp.asarray(x)
        for matrix in hidden:
            z = h @ matrix.T
            if self.power == 2:
                h = jnp.maximum(z, 0.0) ** 2
            else:
                h = z if self.slope == 1.0 else leaky_relu(z, lengths(h) * sizes(matrix).T, self.slope, rounding)
        return (h @ last.T)[..., 0]

    def _output(self) -> Any:
        m = self.widths[-1]
        return jnp.where(jnp.arange(m) < m // 2, 1.0, -1.0)[None] / np.sqrt(m)

    def start(self, seed: Any = 0, scale: Any = 1.0) -> tuple[Array, ...]:
        """Independent entries N(0, scale^2/n_in).

        seed: whole, zero or more.  scale: positive.

        >>> import flowsim as fs
        >>> fs.finite.deep_linear(dim=400, depth=2, width=300).start(seed=1, scale=2.0)[0].std().round(2) == 2.0 / 20.0
        np.True_
        """
        return drawn(self.shapes, seed, scale)

    def predictor(self, weights: Weights) -> Array:
        """W_L ... W_1, (d,), of a network that is linear; ValueError for others.

        weights: matrices of `shapes`.

        >>> import flowsim as fs
        >>> fs.finite.deep_linear(dim=2, depth=2, width=1).predictor([[[3.0, 4.0]], [[2.0]]]).tolist()
        [6.0, 8.0]
        """
        if not self.linear:
            raise ValueError(f"`network` must be linear for there to be one predictor, but is {self.name}")
        return self.value(weights, np.eye(self.dim))

    def config(self) -> dict[str, Any]:
        """What tells it from other networks, JSON.

        >>> import flowsim as fs
        >>> fs.finite.deep_linear(dim=3, depth=2, width=5).config()["widths"]
        [5]
        """
        return {
            "network": self.name,
            "dim": self.dim,
            "widths": list(self.widths),
            "slope": self.slope,
            "power": self.power,
            "fixed_output": self.fixed_output,
            "order": self.order,
        }
