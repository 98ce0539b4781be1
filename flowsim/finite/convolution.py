"""One convolution with a linear output."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from flowsim.finite.activations import leaky_relu, lengths, sizes
from flowsim.finite.network import Array, Network, Weights, drawn


@dataclass(frozen=True)
class Convolution(Network):
    """f(x) = sum over channels c and places i of a_ci phi(sum_k w_ck x_(i+k)), indices modulo d: one convolution, and a linear output.

    dim: d.  channels, kernel: the number of w_c, and of numbers in each.  slope: gamma of the leaky ReLU. Made by `convolution`.

    >>> import flowsim as fs
    >>> network = fs.finite.convolution(dim=8, channels=2, kernel=3)
    >>> network.order, network.shapes, network.name, network.linear
    (2, ((2, 3), (2, 8)), 'convolution', False)
    >>> weights = network.start(seed=0)
    >>> network.value(weights, [[1.0] * 8, [2.0] * 8]).shape
    (2,)
    """

    dim: int
    channels: int
    kernel: int
    slope: float = 0.0

    @property
    def kinked(self) -> bool:
        """Whether its activation has a kink."""
        return not self.linear

    @property
    def name(self) -> str:
        """Of the kind of network."""
        return "convolution"

    @property
    def order(self) -> int:
        """2, one for each layer."""
        return 2

    @property
    def linear(self) -> bool:
        """Whether f is linear in x."""
        return self.slope == 1.0

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the kernels w and the output a."""
        return (self.channels, self.kernel), (self.channels, self.dim)

    def outputs(self, weights: Weights, x: Any, rounding: float = 0.0) -> Any:
        """As in `Network`. weights: w (channels, kernel) and a (channels, d).  x: (n, d).  rounding: delta.

        >>> import jax, flowsim as fs
        >>> network = fs.finite.convolution(dim=3, channels=1, kernel=2)
        >>> with jax.enable_x64(True):
        ...     network.outputs([[[1.0, -1.0]], [[1.0, 1.0, 1.0]]], [[3.0, 1.0, 0.0]]).tolist()
        [3.0]
        """
        kernels, output = (jnp.asarray(w) for w in weights)
        x = jnp.asarray(x)
        patches = jnp.stack([jnp.roll(x, -k, axis=-1) for k in range(self.kernel)], axis=-1)
        z = jnp.einsum("nik,ck->nci", patches, kernels)
        scale = lengths(patches)[..., 0][:, None, :] * sizes(kernels)[None]
        return jnp.einsum("nci,ci->n", leaky_relu(z, scale, self.slope, rounding), output)

    def start(self, seed: Any = 0, scale: Any = 1.0) -> tuple[Array, ...]:
        """Independent entries N(0, scale^2/n_in), n_in = kernel, and channels times d.

        seed: whole, zero or more.  scale: positive.

        >>> import flowsim as fs
        >>> [w.shape for w in fs.finite.convolution(dim=8, channels=2, kernel=3).start(seed=0)]
        [(2, 3), (2, 8)]
        """
        kernels, output = drawn(self.shapes, seed, scale)
        return kernels, output / np.sqrt(self.channels)

    def config(self) -> dict[str, Any]:
        """What tells it from other networks, JSON.

        >>> import flowsim as fs
        >>> fs.finite.convolution(dim=8, channels=2, kernel=3).config()["kernel"]
        3
        """
        return {
            "network": self.name,
            "dim": self.dim,
            "channels": self.channels,
            "kernel": self.kernel,
            "slope": self.slope,
            "order": self.order,
        }
