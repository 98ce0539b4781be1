"""Profiles of two laws, computed without the derivations: what their results are held against."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from scipy.special import spence


class Profile(NamedTuple):
    """Growth h and aligned risk A of the unit sphere in R^3, in double precision."""

    growth: Callable[[Any], Any]
    aligned: Callable[[Any], Any]


def _sphere3_aligned(r):
    return (spence(1 + np.exp(-r)) + np.pi**2 / 12) / r


def _sphere3_growth(r):
    return (_sphere3_aligned(r) - np.log1p(np.exp(-r))) / r


@pytest.fixture(scope="session")
def sphere3():
    """The unit sphere in R^3: c = 1/4."""
    return Profile(_sphere3_growth, _sphere3_aligned)


def _gaussian_growth(r):
    def integrand(y):
        return y / (1 + mp.exp(y)) * mp.exp(-((y / r) ** 2) / 2)

    return mp.sqrt(2 / mp.pi) / mp.mpf(r) ** 2 * mp.quad(integrand, [0, 1, 5, 20, 60, 150])


@pytest.fixture(scope="session")
def gaussian_growth():
    """h of the standard Gaussian, by mpmath quadrature on the scale 1/r of its sigmoid layer."""
    return _gaussian_growth
