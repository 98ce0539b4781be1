"""An integrator of the flow that shares nothing with flowsim but the risk's growth and pull."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.stats
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import expit

import flowsim as fs

LAWS = {
    "gaussian": fs.Gaussian(dim=2),
    "circle": fs.Sphere(dim=2),
    "flat": fs.Sphere(dim=3),
    "laplace": fs.Laplace(dim=3, scale=0.7),
    "student": fs.StudentT(dim=2, df=1.5),
    "half": fs.Radial(3, scipy.stats.gamma(0.5)),
}


@cache
def risk_of(name: str, label_noise: float = 0.0) -> fs.PopulationRisk:
    return fs.PopulationRisk(LAWS[name], label_noise)


@dataclass(frozen=True)
class Path:
    """(log r, s) against log(1 + t), dense, and what makes the norm grow."""

    risk: fs.PopulationRisk
    last: float
    dense: Callable[[Any], Any]

    def at(self, t):
        """Norms and s at times t."""
        log_norm, s = self.dense(np.log1p(np.asarray(t, dtype=float)))
        return np.exp(log_norm), s

    def state(self, t):
        norm, s = self.at(t)
        return float(t), float(norm), float(s)

    def turning(self):
        """(T, r(T), s(T)) where the norm stops falling; the start where it grows at once."""

        def lift(log_time):
            log_norm, s = self.dense(log_time)
            return float(self.risk.growth(np.exp(log_norm))) - 2.0 * self.risk.pull * expit(2.0 * s)

        if lift(0.0) >= 0.0:
            return self.state(0.0)
        return self.state(np.expm1(brentq(lift, 0.0, np.log1p(self.last), xtol=1e-14, rtol=1e-14)))


@cache
def flow_of(name, depth, norm, s, last=1e12, method="DOP853", rtol=1e-12, label_noise=0.0) -> Path:
    risk = risk_of(name, label_noise)
    c, p = risk.pull, risk.pull * (1.0 - 2.0 * label_noise)

    def velocity(u, y):
        speed = np.exp(u + (1.0 - 2.0 / depth) * y[0])
        growth = float(risk.growth(np.exp(y[0]))) - (c - p) - 2.0 * p * expit(2.0 * y[1])
        return [depth * speed * growth, -p * speed]

    start, end = [np.log(norm), s], np.log1p(last)
    run = solve_ivp(velocity, (0.0, end), start, method=method, rtol=rtol, atol=rtol, dense_output=True, max_step=0.5)
    assert run.success, run.message
    return Path(risk, last, run.sol)


def end_to_end_slope(x, y):
    """The slope of log|y| against log x from the first point to the last."""
    return float(np.log(abs(y[-1] / y[0])) / np.log(x[-1] / x[0]))


@pytest.fixture(scope="session")
def slope():
    return end_to_end_slope


@pytest.fixture(scope="session")
def risk():
    """risk(law name, label_noise=0)."""
    return risk_of


@pytest.fixture(scope="session")
def flow():
    """flow(law name, depth, norm, s, ...): the path from there."""
    return flow_of
