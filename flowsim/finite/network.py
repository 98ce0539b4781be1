"""A homogeneous network as a pure function f(W; x) of a pytree of weights: f(cW; x) = c^p f(W; x) for c > 0.

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

Array = Float[np.ndarray, "..."]
Weights = Any
"""A pytree of arrays."""


class Network(ABC):
    """f(W; x), a number for each row of x.

    >>> import flowsim as fs
    >>> network = fs.finite.deep_linear(dim=3, depth=2)
    >>> network.name, network.order, network.linear, network.kinked, isinstance(network, fs.finite.Network)
    ('linear', 2, True, False, True)
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the kind of network."""

    @property
    @abstractmethod
    def order(self) -> float:
        """p."""

    @property
    def linear(self) -> bool:
        """Whether f is linear in x."""
        return False

    @property
    def kinked(self) -> bool:
        """Whether its activation has a kink, which is rounded along a flow."""
        return False

    @abstractmethod
    def outputs(self, weights: Weights, x: Any, rounding: float = 0.0) -> Any:
        """f(W; x_i), (n,), traced by JAX.

        weights: W.  x: (n, d).  rounding: delta of its kinks, see `flowsim.finite.activations`.

        >>> import numpy as np, flowsim as fs
        >>> bool(fs.finite.deep_linear(dim=2).outputs([np.ones((1, 2))], np.ones((1, 2)))[0] == 2.0)
        True
        """

    def value(self, weights: Weights, x: Any) -> Array:
        """f(W; x_i), (n,), in double precision, its kinks as they are.

        weights: W.  x: (n, d).

        >>> import flowsim as fs
        >>> fs.finite.deep_linear(dim=2, depth=1).value([[[3.0, 4.0]]], [[1.0, 1.0], [0.0, 1.0]]).tolist()
        [7.0, 4.0]
        """
        with jax.enable_x64(True):
            tree = jax.tree.map(lambda w: jnp.asarray(w, dtype=jnp.float64), weights)
            return np.asarray(self.outputs(tree, jnp.asarray(np.asarray(x, dtype=np.float64))))

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What tells it from other networks, JSON.

        >>> import flowsim as fs
        >>> fs.finite.deep_linear(dim=2).config()["order"]
        1
        """


@dataclass(frozen=True)
class Custom(Network):
    """Any function of a pytree and of x. Made by `custom`.

    function: (W, x) -> (n,), traced by JAX; its kinks are its own affair.  degree: p.  title: its name, for figures and files.

    >>> import flowsim as fs
    >>> network = fs.finite.custom(lambda w, x: x @ w["v"] * w["a"], order=2, name="product")
    >>> network.order, network.name
    (2.0, 'product')
    """

    function: Callable[[Any, Any], Any]
    degree: float
    title: str = "custom"

    @property
    def name(self) -> str:
        """For figures and files."""
        return self.title

    @property
    def order(self) -> float:
        """p."""
        return self.degree

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


def drawn(shapes: Any, seed: Any, scale: Any) -> tuple[Array, ...]:
    """A Gaussian matrix of each shape, entries N(0, scale^2/n_in), each of a stream of its own."""
    origin, alpha = int(arguments.whole("seed", seed, low=0)), arguments.real("scale", scale, low=0.0, strict=True)
    draws = (np.random.default_rng([origin, j]).standard_normal(shape) / np.sqrt(shape[1]) for j, shape in enumerate(shapes))
    return tuple(alpha * draw for draw in draws)
