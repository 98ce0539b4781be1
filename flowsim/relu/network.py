"""ReLU networks without bias as tuples of matrices (W_1, ..., W_L): pure functions of the weights and the images.

All but `start` are traced by JAX, in the precision that is in force; `flowsim.relu.training` calls them in double.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jax.nn import relu
from jaxtyping import Float

from flowsim import arguments

INITIAL = ("pytorch", "he")
"""Laws of the first weights, by name."""

Weights = tuple[Float[np.ndarray, "_ _"], ...]


def start(sizes: Sequence[int], seed: int, initial: str = "pytorch", scale: float = 1.0) -> Weights:
    """W_j = scale V_j, the entries of V_j independent: U(-1, 1)/sqrt(n_in) for "pytorch", N(0, 2/n_in) for "he".

    sizes: (L+1,), pixels, width of each hidden layer, classes.  seed: zero or positive; V_j depends on it, on j and on its own shape alone.
    initial: "pytorch", what `torch.nn.Linear` starts from by default, or "he".  scale: alpha, positive.

    Returns W_1, ..., W_L, each (out, in). ValueError on bad input.

    Source: He, Zhang, Ren, Sun 2015 (https://arxiv.org/abs/1502.01852), section 2.2.

    >>> [w.shape for w in start([64, 100, 10], seed=0)]
    [(100, 64), (10, 100)]
    """
    arguments.one_of("initial", initial, INITIAL)
    numbers = arguments.whole("sizes", sizes, low=1)
    if numbers.ndim != 1 or numbers.size < 2:
        raise ValueError(f"`sizes` must hold two numbers or more, pixels to classes, but has shape {numbers.shape}")
    alpha = arguments.real("scale", scale, low=0.0, strict=True)
    origin = int(arguments.whole("seed", seed, low=0))
    weights = []
    for layer, (into, out) in enumerate(zip(numbers[:-1].tolist(), numbers[1:].tolist(), strict=True)):
        draw = np.random.default_rng([origin, layer])
        entries = draw.uniform(-1.0, 1.0, (out, into)) if initial == "pytorch" else np.sqrt(2.0) * draw.standard_normal((out, into))
        weights.append(alpha * entries / np.sqrt(into))
    return tuple(weights)


def forward(weights: Any, x: Any, data_scale: Any = 1.0) -> Any:
    """f(alpha x), f(x) = W_L relu(W_(L-1) ... relu(W_1 x)): one row of logits for each image.

    weights: W_1, ..., W_L, each (out, in).  x: (n, d).  data_scale: alpha.  Returns (n, classes).

    >>> import numpy as np
    >>> forward((np.eye(2), np.ones((1, 2))), np.array([[3.0, -1.0]]), 10.0).tolist()
    [[30.0]]
    """
    # alpha on the first layer's few weights, not on the many images
    first, *later = weights
    hidden = x @ (data_scale * first).T
    for matrix in later:
        hidden = relu(hidden) @ matrix.T
    return hidden


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean of log sum_c exp(f_c - f_y): large logits do not overflow.

    logits: f, (n, classes).  labels: y, (n,), whole numbers from 0.

    >>> import numpy as np
    >>> float(cross_entropy(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 0])))
    500.0
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def error_rate(logits: Any, labels: Any) -> Any:
    """The share of images whose largest logit is not the label's; of equal logits the first one counts.

    logits: f, (n, classes).  labels: y, (n,), whole numbers from 0.

    >>> import numpy as np
    >>> float(error_rate(np.array([[2.0, 1.0], [2.0, 1.0]]), np.array([0, 1])))
    0.5
    """
    # of truth values the mean would be in single precision
    return jnp.mean(jnp.argmax(logits, axis=-1) != labels, dtype=jnp.result_type(logits))


def log_product_norm(weights: Any) -> Any:
    """log |W_L ... W_1|_F, the Frobenius norm: of a single output it is the norm of a linear network's predictor.

    weights: W_1, ..., W_L, each (out, in). Each factor is divided by its largest entry, whose logarithm is added up, so that no product
    leaves the range of doubles. -inf where the product is 0.

    >>> import numpy as np
    >>> log_ten = np.log(10.0)
    >>> round(float(log_product_norm((1e30 * np.eye(2), 1e30 * np.eye(2))) / log_ten), 3)
    60.151
    """
    *earlier, product = weights
    log_size = 0.0
    for matrix in reversed(earlier):
        product, log_product = _split(product)
        matrix, log_matrix = _split(matrix)
        product, log_size = product @ matrix, log_size + log_product + log_matrix
    product, log_product = _split(product)
    return log_size + log_product + 0.5 * jnp.log(jnp.sum(product**2))


def _split(matrix: Any) -> tuple[Any, Any]:
    """A matrix over its largest entry, and the logarithm of that; of zeros, zeros and 0."""
    largest = jnp.max(jnp.abs(matrix))
    size = jnp.where(largest == 0.0, 1.0, largest)
    return matrix / size, jnp.log(size)
