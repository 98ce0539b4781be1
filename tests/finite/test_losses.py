"""Losses in logarithms against mpmath, and margins of total losses as their inverse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from flowsim.finite.losses import FAR, log_losses, margin_of_total

MARGINS = np.concatenate(
    [np.linspace(-50.0, 50.0, 201), [-1e-9, 1e-9, np.nextafter(FAR, 0.0), FAR, np.nextafter(FAR, 99.0)], np.geomspace(60.0, 1e5, 20)]
)
ACCURACY = 4e-16
"""Of a logarithm: relative where it is large, absolute below 1; a rounding or two."""


def by_mpmath(q: float, loss: str) -> tuple[float, float]:
    """log l(q) and log(-l'(q)); mpmath's numbers have no smallest one."""
    with mp.workdps(60):
        x = mpf(q)
        if loss == "exponential":
            return float(-x), float(-x)
        return float(mp.log(mp.log1p(mp.exp(-x)))), float(-mp.log1p(mp.exp(x)))


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_losses_in_logarithms_are_mpmaths(loss: str) -> None:
    expected = np.array([by_mpmath(q, loss) for q in MARGINS]).T
    with jax.enable_x64(True):
        found = np.array(log_losses(jnp.asarray(MARGINS), loss))
    assert (np.abs(found - expected) <= ACCURACY * np.maximum(1.0, np.abs(expected))).all(), np.abs(found - expected).max(axis=1)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_margins_of_totals_are_mpmaths(loss: str) -> None:
    """l^(-1)(T), T from exp(-1e5) to 1000, on both sides of T = 1. Relative to max(1, |q|); from T = 1e-16 on exp(T) - 1 is T."""
    log_totals = np.concatenate([-np.geomspace(1e5, 1e-12, 60), [0.0], np.log(np.geomspace(1.0 + 1e-12, 1000.0, 40))])
    with mp.workdps(60):
        totals = [mp.exp(mpf(log_total)) for log_total in log_totals]
        exact = [-mp.log(t) if loss == "exponential" or t < mpf(10) ** -40 else -mp.log(mp.expm1(t)) for t in totals]
        expected = np.array([float(q) for q in exact])
    found = margin_of_total(log_totals, loss)
    # T = exp(log T) carries |log T| roundings, and q = -T
    assert (np.abs(found - expected) <= 4e-15 * np.maximum(1.0, np.abs(expected))).all()


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_a_margin_of_a_total_is_the_margin_of_one_sample_with_that_loss(loss: str) -> None:
    with jax.enable_x64(True):
        totals = np.asarray(log_losses(jnp.asarray(MARGINS), loss)[0])
    np.testing.assert_allclose(margin_of_total(totals, loss), MARGINS, rtol=1e-13, atol=1e-13)


def test_another_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="`loss` must be one of exponential, logistic, but is 'hinge'"):
        margin_of_total(0.0, "hinge")
