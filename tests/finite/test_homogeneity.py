"""What is taken for homogeneous of its order, and what is not."""

import jax.numpy as jnp
import numpy as np
import pytest

import flowsim as fs
from flowsim.finite import NETWORKS, check_homogeneous, custom

X = np.random.default_rng(0).standard_normal((7, 4))
TREE = {"first": np.random.default_rng(1).standard_normal((3, 4)), "last": {"a": np.array([1.0, -1.0, 2.0]), "b": np.array(0.5)}}


def biased(w, x):
    """In its last layer; one in the first would be homogeneous."""
    return (x @ w["first"].T) @ w["last"]["a"] + w["last"]["b"]


def unbiased(w, x):
    return jnp.maximum(x @ w["first"].T, 0.0) @ w["last"]["a"] * jnp.abs(w["last"]["b"])


@pytest.mark.parametrize("rounding", [0.0, 0.1])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_are(name: str, rounding: float) -> None:
    network = NETWORKS[name](dim=4)
    check_homogeneous(network, network.start(seed=2, scale=3.0), X, rounding)


def test_a_tree_of_ones_own_is() -> None:
    check_homogeneous(custom(unbiased, order=3), TREE, X)
    # a start at which f is 0 says nothing; the places around it do
    check_homogeneous(custom(unbiased, order=3), {**TREE, "last": {"a": np.zeros(3), "b": np.array(0.5)}}, X)
    check_homogeneous(custom(lambda w, x: x @ w["first"].T[:, 0] / jnp.sqrt(jnp.abs(w["last"]["b"])), order=0.5), TREE, X)


@pytest.mark.parametrize(
    ("function", "order", "message"),
    [
        (unbiased, 2, r"homogeneous of order 2, but f\(0.5 W\) is 0.125 of f\(W\), which makes an order of 3$"),
        (unbiased, 3.0001, r"homogeneous of order 3.0001, but .* an order of 3$"),
        (biased, 2, r"`network` must be homogeneous of order 2, but f\(0.5 W\) is"),
        (lambda w, x: jnp.tanh(x @ w["first"].T) @ w["last"]["a"], 2, r"`network` must be homogeneous of order 2, but f\(0.5 W\)"),
        (lambda w, x: jnp.tanh(x @ w["first"].T) @ w["last"]["a"], 1, r"`network` must be homogeneous of order 1, but f\(0.5 W\)"),
        (lambda w, x: x @ w["first"].T, 1, r"`network` must give one number for each of the 7 rows of x, but gave \(7, 3\)"),
        (lambda w, x: jnp.sum(w["first"]), 1, r"`network` must give one number for each of the 7 rows of x, but gave \(\)"),
        (lambda w, x: jnp.sqrt(-jnp.sum(w["first"] ** 2)) * x[:, 0], 1, "`network` must give finite outputs at the start, but gave nan"),
        (lambda w, x: x @ jnp.round(w["first"][0] / jnp.max(jnp.abs(w["first"])), 3), 1, "`network` must be homogeneous of order 1"),
    ],
)
def test_others_are_refused(function, order: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_homogeneous(custom(function, order=order), TREE, X)


def test_a_function_that_grows_right_but_hides_its_derivative_is_refused() -> None:
    """Euler's <W, grad f> = p f, which what stops a gradient breaks."""
    from jax.lax import stop_gradient

    hidden = custom(lambda w, x: x @ w["first"][0] * stop_gradient(w["last"]["b"]), order=2)
    with pytest.raises(ValueError, match=r"homogeneous of order 2 and differentiable, but <W, grad f> is .* where f is"):
        check_homogeneous(hidden, TREE, X)


def test_a_run_begins_with_the_check_unless_told_not_to() -> None:
    data = fs.finite.TrainingSet(X, np.sign(X[:, 0]))
    with pytest.raises(ValueError, match="`network` must be homogeneous of order 2"):
        fs.finite.homogeneous_flow(custom(biased, order=2), data, TREE, [0.0])
    with pytest.raises(ValueError, match="`network` must be homogeneous of order 2"):
        fs.finite.homogeneous_descent(custom(biased, order=2), data, TREE, 0.1, [1])
    assert fs.finite.homogeneous_descent(custom(biased, order=2), data, TREE, 0.1, [1], check=False).ok
