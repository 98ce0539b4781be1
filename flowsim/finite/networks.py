"""Homogeneous networks as pure functions f(W; x) of a pytree of weights: f(cW; x) = c^p f(W; x) for c > 0.

A network is a small frozen description, the same for all its weights: one compiled program serves every start, every data set of one shape.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.finite.activations import leaky_relu, lengths

Array = Float[np.ndarray, "..."]
Weights = Any
"""A pytree of arrays."""


class Network(ABC):
    """f(W; x), a number for each row of x.

    name: of the kind of network.  order: p.  linear: whether f is linear in x.

    >>> import flowsim as fs
    >>> network = fs.finite.deep_linear(dim=3, depth=2)
    >>> network.order, network.linear, isinstance(network, fs.finite.Network)
    (2, True, True)
    """

    name: str
    order: float
    linear: bool = False

    @abstractmethod
    def outputs(self, weights: Weights, x: Any, rounding: float = 0.0) -> Any:
        """f(W; x_i), (n,), traced by JAX. weights: W.  x: (n, d).  rounding: delta of its kinks, see `flowsim.finite.activations`."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What tells it from other networks, JSON."""


@dataclass(frozen=True)
class Layered(Network):
    r"""h_0 = x, h_j = phi(W_j h_(j-1)), f = W_L h_(L-1): layers without bias.

    dim: d.  widths: of the hidden layers, (L-1,) in a tuple.  power: phi(z) = z^power where z > 0, 1 or 2.
    slope: gamma: phi(z) = gamma z where z < 0, with power 1; 1 makes it linear.
    fixed_output: whether W_L is a_j = +-1/sqrt(m) and stays so, + for the first half of the units. Made by `deep_linear`, `leaky_relu_network`,
    `relu_network` and `squared_relu_network`.

    >>> import flowsim as fs
    >>> network = fs.finite.relu_network(dim=3, widths=[5])
    >>> network.name, network.order, network.shapes, network.linear
    ('ReLU', 2, ((5, 3), (1, 5)), False)
    >>> weights = network.start(seed=0)
    >>> [w.shape for w in weights], network.value(weights, [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]).round(3).tolist()
    ([(5, 3), (1, 5)], [0.018, 0.036])
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
        every = tuple((out, into) for into, out in zip(sizes[:-1], sizes[1:], strict=True))
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
                h = z if self.slope == 1.0 else leaky_relu(z, lengths(h) * lengths(matrix).T, self.slope, rounding)
        return (h @ last.T)[..., 0]

    def _output(self) -> Any:
        m = self.widths[-1]
        return jnp.where(jnp.arange(m) < m // 2, 1.0, -1.0)[None] / np.sqrt(m)

    def value(self, weights: Weights, x: Any) -> Array:
        """f(W; x_i), (n,), in double precision, its kinks as they are.

        weights: matrices of `shapes`.  x: (n, d).

        >>> import flowsim as fs
        >>> fs.finite.deep_linear(dim=2, depth=1).value([[[3.0, 4.0]]], [[1.0, 1.0], [0.0, 1.0]]).tolist()
        [7.0, 4.0]
        """
        return value_of(self, weights, x)

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
        return value_of(self, weights, np.eye(self.dim))

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

    name = "convolution"
    order = 2

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
        scale = lengths(patches)[..., 0][:, None, :] * lengths(kernels)[None]
        return jnp.einsum("nci,ci->n", leaky_relu(z, scale, self.slope, rounding), output)

    def value(self, weights: Weights, x: Any) -> Array:
        """f(W; x_i), (n,), in double precision, its kinks as they are.

        weights: as in `outputs`.  x: (n, d).

        >>> import flowsim as fs
        >>> fs.finite.convolution(dim=3, channels=1, kernel=2).value([[[1.0, -1.0]], [[1.0, 1.0, 1.0]]], [[3.0, 1.0, 0.0]]).tolist()
        [3.0]
        """
        return value_of(self, weights, x)

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


@dataclass(frozen=True)
class Custom(Network):
    """Any function of a pytree and of x. Made by `custom`.

    function: (W, x) -> (n,), traced by JAX; its kinks are its own affair.  order: p.  name: for figures and files.

    >>> import flowsim as fs
    >>> fs.finite.custom(lambda w, x: x @ w["v"] * w["a"], order=2, name="product").order
    2.0
    """

    function: Callable[[Any, Any], Any]
    order: float
    name: str = "custom"

    def outputs(self, weights: Weights, x: Any, rounding: float = 0.0) -> Any:
        """As in `Network`. weights: a pytree.  x: (n, d).  rounding: is not used.

        >>> import jax, jax.numpy as jnp, flowsim as fs
        >>> network = fs.finite.custom(lambda w, x: x @ w["v"] * w["a"], order=2)
        >>> with jax.enable_x64(True):
        ...     network.outputs({"v": jnp.array([1.0, 2.0]), "a": 3.0}, jnp.array([[1.0, 1.0]])).tolist()
        [9.0]
        """
        return self.function(weights, x)

    def config(self) -> dict[str, Any]:
        """Its name and order, JSON.

        >>> import flowsim as fs
        >>> fs.finite.custom(lambda w, x: x @ w, order=1, name="linear by hand").config()
        {'network': 'linear by hand', 'order': 1.0}
        """
        return {"network": self.name, "order": self.order}


def deep_linear(dim: Any, depth: Any = 1, width: Any = 10) -> Layered:
    """f = W_L ... W_1 x, of order p = L.

    dim: d.  depth: L, 1 or more.  width: of every hidden layer.

    >>> import flowsim as fs
    >>> fs.finite.deep_linear(dim=3, depth=3).shapes
    ((10, 3), (10, 10), (1, 10))
    """
    layers = int(arguments.whole("depth", depth, low=1))
    return _layered(dim, [width] * (layers - 1), slope=1.0)


def leaky_relu_network(dim: Any, widths: Any = (10,), slope: Any = 0.1, fixed_output: bool = False) -> Layered:
    """phi(z) = max(z, gamma z), of order L, the number of layers that move.

    dim: d.  widths: of the hidden layers, one or more.  slope: gamma, 0 (ReLU) to 1 (linear).
    fixed_output: a_j = +-1/sqrt(m) in the place of the last layer, half of each, and order L - 1.

    >>> import flowsim as fs
    >>> fs.finite.leaky_relu_network(dim=3, widths=[4], fixed_output=True).order
    1
    """
    return _layered(dim, widths, slope=arguments.real("slope", slope, low=0.0, high=1.0), fixed_output=fixed_output)


def relu_network(dim: Any, widths: Any = (10,), fixed_output: bool = False) -> Layered:
    """phi(z) = max(z, 0).

    dim, widths, fixed_output: as in `leaky_relu_network`.

    >>> import flowsim as fs
    >>> fs.finite.relu_network(dim=3, widths=[4, 5]).order
    3
    """
    return leaky_relu_network(dim, widths, 0.0, fixed_output)


def squared_relu_network(dim: Any, widths: Any = (10,), fixed_output: bool = False) -> Layered:
    """phi(z) = max(z, 0)^2, whose gradient has no jumps: of order 3 with one hidden layer, 7 with two.

    dim, widths, fixed_output: as in `leaky_relu_network`.

    >>> import flowsim as fs
    >>> [fs.finite.squared_relu_network(dim=3, widths=widths).order for widths in ([4], [4, 4])]
    [3, 7]
    """
    return _layered(dim, widths, slope=0.0, power=2, fixed_output=fixed_output)


def convolution(dim: Any, channels: Any = 4, kernel: Any = 3, slope: Any = 0.0) -> Convolution:
    """One convolution along x taken as a ring, leaky ReLU, and a linear output: order 2.

    dim: d.  channels, kernel: whole, 1 or more, the kernel at most d.  slope: gamma, 0 to 1.

    >>> import flowsim as fs
    >>> fs.finite.convolution(dim=8).shapes
    ((4, 3), (4, 8))
    """
    d = int(arguments.whole("dim", dim, low=1))
    return Convolution(
        d,
        int(arguments.whole("channels", channels, low=1)),
        int(arguments.whole("kernel", kernel, low=1, high=d)),
        arguments.real("slope", slope, low=0.0, high=1.0),
    )


def custom(function: Callable[[Any, Any], Any], order: Any, name: str = "custom") -> Custom:
    """A network of one's own: ``function`` of a pytree of weights and of x, (n, d), which gives (n,) and which JAX can trace.

    order: p > 0, checked where a run begins.  name: for figures and files. ValueError where ``function`` cannot be called.

    >>> import flowsim as fs
    >>> fs.finite.custom(lambda w, x: (x @ w["first"]) ** 2 @ w["second"], order=3, name="quadratic").name
    'quadratic'
    """
    if not callable(function):
        raise ValueError(f"`function` must be a function of weights and x, but is {function!r}")
    return Custom(function, arguments.real("order", order, low=0.0, strict=True), name)


NETWORKS: dict[str, Callable[..., Network]] = {
    "linear": deep_linear,
    "relu": relu_network,
    "leaky-relu": leaky_relu_network,
    "squared-relu": squared_relu_network,
    "convolution": convolution,
}
"""By the names of the command line."""


def _layered(dim: Any, widths: Any, slope: float, power: int = 1, fixed_output: bool = False) -> Layered:
    hidden = tuple(arguments.whole("widths", np.atleast_1d(widths), low=1).tolist()) if np.size(widths) else ()
    if not hidden and (slope != 1.0 or fixed_output):
        raise ValueError("`widths` must hold the width of one hidden layer or more, but is empty")
    if fixed_output and hidden[-1] % 2:
        raise ValueError(f"`widths` must end in an even number where `fixed_output` makes half the outputs -, but ends in {hidden[-1]}")
    return Layered(int(arguments.whole("dim", dim, low=1)), hidden, slope, power, bool(fixed_output))


def drawn(shapes: Any, seed: Any, scale: Any) -> tuple[Array, ...]:
    """A Gaussian matrix of each shape, entries N(0, scale^2/n_in), each of a stream of its own."""
    origin, alpha = int(arguments.whole("seed", seed, low=0)), arguments.real("scale", scale, low=0.0, strict=True)
    draws = (np.random.default_rng([origin, j]).standard_normal(shape) / np.sqrt(shape[1]) for j, shape in enumerate(shapes))
    return tuple(alpha * draw for draw in draws)


def value_of(network: Network, weights: Weights, x: Any) -> Array:
    """f(W; x_i), (n,), outside of JAX."""
    with jax.enable_x64(True):
        tree = jax.tree.map(lambda w: jnp.asarray(w, dtype=jnp.float64), weights)
        return np.asarray(network.outputs(tree, jnp.asarray(np.asarray(x, dtype=np.float64))))
