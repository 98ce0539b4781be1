"""Networks against plain NumPy: outputs, loss, errors, the norm of the product beyond the range of doubles, and the laws of the start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowsim.relu import start
from flowsim.relu.network import cross_entropy, error_rate, forward, log_product_norm

SIZES = (6, 8, 8, 3)


def double(function, *arrays):
    with jax.enable_x64(True):
        return np.asarray(jax.jit(function)(*jax.tree.map(jnp.asarray, arrays)))


def plain_forward(weights, x):
    for matrix in weights[:-1]:
        x = np.maximum(x @ matrix.T, 0.0)
    return x @ weights[-1].T


def test_outputs_loss_and_error_are_those_of_plain_numpy(images):
    weights = start(SIZES, 3, "he", 1.5)
    logits = plain_forward(weights, 2.0 * images.x_test)
    np.testing.assert_allclose(double(forward, weights, images.x_test, 2.0), logits, rtol=1e-13)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(chances[np.arange(len(logits)), images.y_test]).mean()
    assert double(cross_entropy, logits, images.y_test) == pytest.approx(loss, rel=1e-13)
    wrong = np.count_nonzero(logits.argmax(axis=1) != images.y_test) / len(logits)
    assert double(error_rate, logits, images.y_test) == pytest.approx(wrong, rel=1e-15)
    assert 0.0 < wrong < 1.0


def test_the_network_is_homogeneous_in_the_data_and_in_each_layer(images):
    """f of three layers grows as alpha with the data and as alpha^3 with the weights: no bias spoils it."""
    weights, larger = start(SIZES, 0), start(SIZES, 0, scale=10.0)
    once = double(forward, weights, images.x_test)
    np.testing.assert_allclose(double(forward, weights, images.x_test, 10.0), 10.0 * once, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(double(forward, larger, images.x_test), 1000.0 * once, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e-150, 1e200])
def test_the_norm_of_the_product_neither_overflows_nor_underflows(size):
    weights = start(SIZES, 1)
    expected = np.log(np.linalg.norm(weights[2] @ weights[1] @ weights[0])) + 3.0 * np.log(size)
    assert double(log_product_norm, tuple(size * matrix for matrix in weights)) == pytest.approx(expected, rel=1e-14, abs=1e-13)


def test_the_norm_of_a_product_that_vanishes_is_nought_and_of_one_that_is_not_finite_is_not():
    one, other = np.array([[1.0, 0.0]]), np.array([[0.0], [1.0]])
    assert double(log_product_norm, (other, one)) == -np.inf
    assert np.isnan(double(log_product_norm, (np.full((2, 1), np.inf), one)))


def test_the_start_has_the_law_it_says():
    sizes = (400, 300, 200)
    for matrix, into in zip(start(sizes, 5), sizes, strict=False):
        bound = 1.0 / np.sqrt(into)
        assert abs(matrix).max() <= bound
        # the standard error of a mean square of 60 000 uniform entries is 0.4 %, that of the largest 1/60 000
        assert abs(matrix).max() > 0.999 * bound
        assert np.mean(matrix**2) == pytest.approx(bound**2 / 3.0, rel=0.015)
    for matrix, into in zip(start(sizes, 5, "he", 3.0), sizes, strict=False):
        # 0.6 % for Gaussian ones; 4 standard errors
        assert np.mean(matrix**2) == pytest.approx(9.0 * 2.0 / into, rel=0.024)
        assert np.mean(np.abs(matrix) > 2.0 * 3.0 * np.sqrt(2.0 / into)) == pytest.approx(0.0455, abs=0.004)


def test_a_start_depends_on_its_seed_and_a_scale_multiplies_it():
    first, again, other = start(SIZES, 7), start(SIZES, 7, scale=10.0), start(SIZES, 8)
    for one, ten, different in zip(first, again, other, strict=True):
        np.testing.assert_allclose(ten, 10.0 * one, rtol=1e-15)
        assert not np.isclose(one, different).any()
    # no two layers of one shape alike
    square = start((4, 4, 4), 0)
    assert not np.isclose(square[0], square[1]).any()


def test_the_default_start_has_the_range_of_torch():
    torch = pytest.importorskip("torch", reason="compares with torch.nn.Linear, of the extra `bench`")
    theirs = torch.nn.Linear(50, 4000, bias=False).weight.detach().numpy()
    ours = start((50, 4000), 0)[0]
    assert np.abs(theirs).max() == pytest.approx(np.abs(ours).max(), rel=1e-3)
    np.testing.assert_allclose(np.quantile(theirs, [0.1, 0.5, 0.9]), np.quantile(ours, [0.1, 0.5, 0.9]), atol=1.5e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (((6,), 0), "`sizes` must hold two numbers or more, pixels to classes, but has shape"),
        (((6, 0), 0), "`sizes` must be a whole number, 1 or more, but is 0"),
        (((6, 3), -1), "`seed` must be a whole number, 0 or more, but is -1"),
        (((6, 3), 0, "xavier"), "`initial` must be one of pytorch, he, but is 'xavier'"),
        (((6, 3), 0, "he", 0.0), "`scale` must be positive and finite, but is 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        start(*arguments)
