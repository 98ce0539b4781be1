"""A rounded kink: the leaky ReLU outside of it, twice differentiable across its ends, homogeneous in w and in h."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowsim.finite.activations import check_rounding, leaky_relu, lengths

SLOPE, ROUNDING, SCALE = 0.2, 0.05, 3.0
WIDTH = ROUNDING * SCALE


def phi(z, scale=SCALE, rounding=ROUNDING, slope=SLOPE):
    with jax.enable_x64(True):
        return np.asarray(leaky_relu(jnp.asarray(z), jnp.asarray(scale), slope, rounding))


def derivatives(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second, by JAX."""
    once = jax.grad(lambda s: leaky_relu(s, jnp.asarray(SCALE), SLOPE, ROUNDING))
    with jax.enable_x64(True):
        return np.asarray(jax.vmap(once)(jnp.asarray(z))), np.asarray(jax.vmap(jax.grad(once))(jnp.asarray(z)))


def by_quadrature(z: float) -> float:
    """gamma z + (1 - gamma) times the integral of S, written out as in the module's text, from -delta s to z."""
    tau, weights = np.polynomial.legendre.leggauss(8)
    top = z / WIDTH
    nodes = -1.0 + (tau + 1.0) / 2.0 * (top + 1.0)
    s = 0.5 + (15.0 * nodes - 10.0 * nodes**3 + 3.0 * nodes**5) / 16.0
    return SLOPE * z + (1.0 - SLOPE) * WIDTH * (top + 1.0) / 2.0 * float(weights @ s)


def test_outside_the_kink_it_is_the_leaky_relu_itself() -> None:
    z = np.concatenate([np.linspace(-5.0, -WIDTH, 40), np.linspace(WIDTH, 5.0, 40)])
    np.testing.assert_array_equal(phi(z), SLOPE * z + (1.0 - SLOPE) * np.maximum(z, 0.0))
    everywhere = np.linspace(-1.0, 1.0, 201)
    np.testing.assert_array_equal(phi(everywhere, rounding=0.0), np.where(everywhere > 0.0, everywhere, SLOPE * everywhere))
    np.testing.assert_array_equal(phi(everywhere, slope=1.0), everywhere)


def test_inside_it_is_the_integral_of_its_slope() -> None:
    z = np.linspace(-WIDTH, WIDTH, 41)
    np.testing.assert_allclose(phi(z), [by_quadrature(float(s)) for s in z], atol=1e-15)
    # between gamma z and z, and off the leaky ReLU by 5/32 (1 - gamma) delta s at the kink itself, most of all
    off = phi(z) - np.maximum(z, SLOPE * z)
    assert off.argmax() == 20
    assert off.min() > -1e-16
    assert off.max() == pytest.approx(5.0 / 32.0 * (1.0 - SLOPE) * WIDTH, rel=1e-14)


def test_two_derivatives_join() -> None:
    """No jump of either at the ends, which a step of 1e-7 of the width across them would show, and finite differences inside."""
    for end, slope in ((-WIDTH, SLOPE), (WIDTH, 1.0)):
        first, second = derivatives(end + WIDTH * np.array([-1e-7, 0.0, 1e-7]))
        np.testing.assert_allclose(first, slope, atol=1e-13)
        # S'' vanishes like the distance from the end, so that 1e-14 is left of S' = 15/16 (1 - tau^2)^2
        np.testing.assert_allclose(second * WIDTH, 0.0, atol=1e-12)
    z, h = np.linspace(-1.2, 1.2, 49) * WIDTH, 1e-5 * WIDTH
    first, second = derivatives(z)
    np.testing.assert_allclose(first, (phi(z + h) - phi(z - h)) / (2.0 * h), atol=1e-9)
    np.testing.assert_allclose(second * WIDTH, (derivatives(z + h)[0] - derivatives(z - h)[0]) / (2.0 * h) * WIDTH, atol=1e-9)
    assert second.max() * WIDTH == pytest.approx(15.0 / 16.0 * (1.0 - SLOPE), rel=1e-12)
    assert (np.diff(first) >= -1e-15).all()


def test_it_is_homogeneous_in_w_and_in_h() -> None:
    """As a function of the vectors, with the scale |w| |h|; and its derivative in w where h = 0 is 0, not nan."""
    generator = np.random.default_rng(0)
    h = generator.standard_normal((200, 2))
    w = generator.standard_normal((1, 2))

    def unit(w, h):
        return leaky_relu(h @ w.T, lengths(h) * lengths(w).T, SLOPE, 0.1)[:, 0]

    with jax.enable_x64(True):
        once = np.asarray(unit(jnp.asarray(w), jnp.asarray(h)))
        for factor in (1e-3, 0.7, 40.0):
            np.testing.assert_allclose(unit(jnp.asarray(factor * w), jnp.asarray(h)), factor * once, rtol=1e-13)
            np.testing.assert_allclose(unit(jnp.asarray(w), jnp.asarray(factor * h)), factor * once, rtol=1e-13)
        grad = jax.grad(lambda w, h: unit(w, h).sum(), argnums=(0, 1))(jnp.asarray(w), jnp.zeros((1, 2)))
        np.testing.assert_array_equal(lengths(jnp.array([[3.0, 4.0], [0.0, 0.0]])), [[5.0], [0.0]])
    cosine = np.abs((h @ w.T)[:, 0]) / np.linalg.norm(h, axis=1) / np.linalg.norm(w)
    assert 5 < np.count_nonzero(cosine < 0.1) < 100
    np.testing.assert_array_equal(grad[0], 0.0)
    assert np.isfinite(grad[1]).all()


@pytest.mark.parametrize("rounding", [-0.1, 0.2, np.nan])
def test_a_rounding_out_of_its_range_is_refused(rounding: float) -> None:
    with pytest.raises(ValueError, match=r"`rounding` must be in \[0, 0.1\], but is"):
        check_rounding(rounding)
