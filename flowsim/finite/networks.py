"""The networks there are, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flowsim import arguments
from flowsim.finite.convolution import Convolution
from flowsim.finite.layered import Layered
from flowsim.finite.network import Custom, Network


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


def custom(function: Any, order: Any, name: str = "custom") -> Custom:
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
    hidden: tuple[int, ...] = tuple(arguments.whole("widths", np.atleast_1d(widths), low=1).tolist()) if np.size(widths) else ()
    if not hidden and (slope != 1.0 or fixed_output):
        raise ValueError("`widths` must hold the width of one hidden layer or more, but is empty")
    last = hidden[-1] if hidden else 0
    if fixed_output and last % 2:
        raise ValueError(f"`widths` must end in an even number where `fixed_output` makes half the outputs -, but ends in {last}")
    return Layered(int(arguments.whole("dim", dim, low=1)), hidden, slope, power, bool(fixed_output))
