"""Networks against loops over samples, units and places in plain Python; their orders against their growth."""

import jax
import numpy as np
import pytest

import flowsim as fs
from flowsim.finite import convolution, custom, deep_linear, leaky_relu_network, relu_network, squared_relu_network

ACCURACY = 1e-14
"""Of an output, relative to the largest: the sums are taken in another order."""
MADE = {
    "linear, 1 layer": deep_linear(dim=4),
    "linear, 3 layers": deep_linear(dim=4, depth=3, width=5),
    "leaky ReLU": leaky_relu_network(dim=4, widths=[6], slope=0.2),
    "leaky ReLU, 3 layers": leaky_relu_network(dim=4, widths=[5, 3], slope=0.3),
    "leaky ReLU, fixed output": leaky_relu_network(dim=4, widths=[6], fixed_output=True),
    "ReLU, 4 layers": relu_network(dim=4, widths=[6, 5, 4]),
    "ReLU, 3 layers, fixed output": relu_network(dim=4, widths=[6, 4], fixed_output=True),
    "squared ReLU": squared_relu_network(dim=4, widths=[6]),
    "squared ReLU, 3 layers": squared_relu_network(dim=4, widths=[6, 5]),
    "squared ReLU, 3 layers, fixed output": squared_relu_network(dim=4, widths=[6, 4], fixed_output=True),
    "convolution": convolution(dim=4, channels=3, kernel=3, slope=0.1),
    "convolution, whole kernel": convolution(dim=4, channels=2, kernel=4),
}
ORDERS = [1, 3, 2, 3, 1, 4, 2, 3, 7, 6, 2, 2]


def by_loops(network, weights, x: np.ndarray) -> float:
    """f at one x."""
    if network.name == "convolution":
        kernels, output = weights
        total = 0.0
        for kernel, row in zip(kernels, output, strict=True):
            for place in range(network.dim):
                z = sum(kernel[k] * x[(place + k) % network.dim] for k in range(network.kernel))
                total += row[place] * (z if z > 0.0 else network.slope * z)
        return total
    h = list(x)
    matrices = list(weights)
    if network.fixed_output:
        m = network.widths[-1]
        matrices.append(np.array([[1.0 if j < m / 2 else -1.0 for j in range(m)]]) / m**0.5)
    for layer, matrix in enumerate(matrices):
        h = [sum(w * s for w, s in zip(row, h, strict=True)) for row in matrix]
        if layer < len(matrices) - 1:
            h = [(z if z > 0.0 else network.slope * z) ** network.power if z > 0.0 or network.power == 1 else 0.0 for z in h]
    (out,) = h
    return out


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 4))


@pytest.mark.parametrize("name", MADE)
def test_a_network_is_its_loops(name: str, x: np.ndarray) -> None:
    network = MADE[name]
    weights = network.start(seed=3, scale=1.3)
    assert tuple(w.shape for w in weights) == network.shapes
    expected = np.array([by_loops(network, weights, point) for point in x])
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(network.value(weights, x), expected, atol=ACCURACY * np.abs(expected).max())


@pytest.mark.parametrize(("name", "order"), list(zip(MADE, ORDERS, strict=True)))
def test_the_order_is_how_it_grows(name: str, order: int, x: np.ndarray) -> None:
    network = MADE[name]
    weights = network.start(seed=3)
    once, twice = network.value(weights, x), network.value([2.0 * w for w in weights], x)
    # powers of two do not round
    np.testing.assert_array_equal(twice, 2.0**order * once)
    assert network.order == order


@pytest.mark.parametrize("name", MADE)
def test_linear_is_said_of_those_that_are(name: str, x: np.ndarray) -> None:
    network = MADE[name]
    weights = network.start(seed=1)
    odd = np.abs(network.value(weights, x) + network.value(weights, -x)).max() < 1e-12
    assert network.linear == odd
    if not network.linear:
        return
    predictor = network.predictor(weights)
    product = weights[0]
    for matrix in weights[1:]:
        product = matrix @ product
    np.testing.assert_allclose(predictor, product[0], atol=1e-14)
    np.testing.assert_allclose(network.value(weights, x), x @ predictor, atol=1e-13)


def test_slope_one_is_linear() -> None:
    assert leaky_relu_network(dim=3, widths=[4], slope=1.0).linear
    assert leaky_relu_network(dim=3, widths=[4], slope=1.0, fixed_output=True).linear
    assert convolution(dim=3, channels=1, kernel=1, slope=1.0).linear


@pytest.mark.parametrize("network", [relu_network(dim=4, widths=[6, 5]), convolution(dim=4, channels=3, kernel=3)])
def test_a_rounded_network_is_homogeneous_and_near(network, x: np.ndarray) -> None:
    """Every rounded unit adds 5/32 delta |w| |h| at most, and 0 where its kink is far: off by less than delta, and by something."""
    weights = network.start(seed=3)
    sharp, rounding = network.value(weights, x), 0.1
    with jax.enable_x64(True):
        rounded, scaled = (np.asarray(network.outputs([c * w for w in weights], x, rounding)) for c in (1.0, 3.0))
    size = np.prod([np.linalg.norm(w) for w in weights]) * np.linalg.norm(x, axis=1).max()
    assert 0.0 < np.abs(rounded - sharp).max() < rounding * size
    np.testing.assert_allclose(scaled, 3.0**network.order * rounded, rtol=1e-12, atol=1e-13)


def test_starts_are_gaussian_of_their_own_scale() -> None:
    network = leaky_relu_network(dim=300, widths=[200, 400])
    weights = network.start(seed=5, scale=0.5)
    for matrix in weights[:2]:
        # the deviation of a deviation of N entries is its share 1/sqrt(2 N)
        assert matrix.std() == pytest.approx(0.5 / np.sqrt(matrix.shape[1]), rel=4.0 / np.sqrt(2.0 * matrix.size))
        assert abs(matrix.mean()) < 4.0 * 0.5 / np.sqrt(matrix.shape[1] * matrix.size)
    again, other = network.start(seed=5, scale=1.0), network.start(seed=6, scale=0.5)
    np.testing.assert_array_equal(again[1], 2.0 * weights[1])
    assert np.abs(other[0] - weights[0]).max() > 0.01
    # no layer repeats another's numbers
    assert abs(np.corrcoef(weights[0].ravel()[:60_000], weights[1].ravel()[:60_000])[0, 1]) < 4.0 / np.sqrt(60_000.0)


def test_any_function_of_a_tree_of_weights_is_a_network() -> None:
    network = custom(lambda w, x: (x @ w["first"]) ** 2 * w["second"], order=3, name="quadratic")
    weights = {"first": np.array([1.0, -2.0]), "second": np.array(3.0)}
    with jax.enable_x64(True):
        assert np.asarray(network.outputs(weights, np.array([[1.0, 1.0], [0.0, 2.0]]))).tolist() == [3.0, 48.0]
    assert (network.order, network.name, network.linear) == (3.0, "quadratic", False)


@pytest.mark.parametrize("name", fs.finite.NETWORKS)
def test_networks_of_the_command_line_have_starts_and_configurations(name: str, x: np.ndarray) -> None:
    network = fs.finite.NETWORKS[name](dim=4)
    assert network.value(network.start(seed=0), x).shape == (12,)
    config = network.config()
    assert (config["dim"], config["order"]) == (4, network.order)
    assert network == fs.finite.NETWORKS[name](dim=4)
    assert hash(network) == hash(fs.finite.NETWORKS[name](dim=4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deep_linear(dim=0), "`dim` must be a whole number, 1 or more, but is 0"),
        (lambda: deep_linear(dim=2, depth=0), "`depth` must be a whole number, 1 or more, but is 0"),
        (lambda: deep_linear(dim=2, depth=2, width=1.5), "`widths` must be a whole number, 1 or more"),
        (lambda: relu_network(dim=2, widths=[]), "`widths` must hold the width of one hidden layer or more, but is empty"),
        (lambda: relu_network(dim=2, widths=[4, 0]), "`widths` must be a whole number, 1 or more, but is 0"),
        (lambda: leaky_relu_network(dim=2, slope=1.5), r"`slope` must be in \[0, 1\], but is 1.5"),
        (lambda: leaky_relu_network(dim=2, widths=[3], fixed_output=True), "`widths` must end in an even number .* but ends in 3"),
        (lambda: convolution(dim=3, kernel=4), "`kernel` must be a whole number from 1 to 3, but is 4"),
        (lambda: convolution(dim=3, channels=0), "`channels` must be a whole number, 1 or more, but is 0"),
        (lambda: convolution(dim=3, slope=-0.1), r"`slope` must be in \[0, 1\], but is -0.1"),
        (lambda: custom(3, order=1), "`function` must be a function of weights and x, but is 3"),
        (lambda: custom(lambda w, x: x @ w, order=0.0), "`order` must be positive and finite, but is 0"),
        (lambda: deep_linear(dim=2).start(seed=-1), "`seed` must be a whole number, 0 or more, but is -1"),
        (lambda: deep_linear(dim=2).start(scale=0.0), "`scale` must be positive and finite, but is 0"),
        (lambda: relu_network(dim=2).predictor(relu_network(dim=2).start()), "`network` must be linear .* but is ReLU"),
    ],
)
def test_what_is_no_network_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
