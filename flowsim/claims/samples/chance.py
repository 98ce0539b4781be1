"""What chance allows: how far one of many measured numbers may lie from its prediction, and the errors of mean squares by chi^2."""

from typing import Any

import numpy as np
from scipy import stats

from flowsim.claims.settings import OutOfScope
from flowsim.problem import Law, PopulationRisk, Radial, StudentT

RARE = 1e-4
"""How often a right theory is refused."""


def allowed(count: int) -> float:
    """Standard deviations that any of ``count`` normal numbers passes with probability `RARE` at most, independent or not."""
    return float(stats.norm.isf(RARE / (2.0 * count)))


def chi_deviations(ratio: Any, freedom: Any, slack: Any = 0.0) -> np.ndarray:
    """Standard deviations of a normal number that would be as rare as this ratio of a mean of ``freedom`` squares to its expectation.

    slack: by how much, relatively, the expectation may be off.
    """
    # the tail that is the smaller one; the other rounds to 1
    high = stats.norm.isf(stats.chi2.sf(freedom * np.asarray(ratio) / (1.0 + np.asarray(slack)), freedom))
    low = stats.norm.isf(stats.chi2.cdf(freedom * np.asarray(ratio) / (1.0 - np.asarray(slack)), freedom))
    return np.asarray(np.maximum(np.maximum(high, low), 0.0))


def freedom_of(one: np.ndarray, sets: int, size: int, fitted: int = 0) -> float:
    """Independent normal squares that are worth as much as |mean of ``size`` of these|^2 in ``sets`` of them.

    one: (n, k), vectors of mean 0.  Var |m|^2/(E |m|^2)^2 = 2/k + (E|y|^4/(E|y|^2)^2 - (k+2)/k)/n for a mean m of n vectors y with k
    components of equal variance, not correlated: chi^2 as n grows.  fitted: sets used up by the mean, where that is not known.
    """
    k, squares = one.shape[-1], (one**2).sum(axis=-1)
    excess = float((squares**2).mean() / squares.mean() ** 2) - (k + 2.0) / k
    return 2.0 / (2.0 / ((sets - fitted) * k) + excess / (size * sets))


def require_fourth_moment(law: Law) -> None:
    """OutOfScope where E|x|^4 is infinite."""
    fourth = np.inf if isinstance(law, StudentT) and law.df <= 4.0 else float(law.radius.moment(4)) if isinstance(law, Radial) else 1.0
    if not np.isfinite(fourth):
        raise OutOfScope(f"is held against mean squares, whose errors need a fourth moment, and that of {law.label()} is infinite")


def require_finite_density(risk: PopulationRisk) -> None:
    """OutOfScope where the density of |x_1| is not finite at 0: there ever more samples have small margins."""
    if not np.isfinite(risk.tail.constant) or risk.tail.exponent != 1.0:
        raise OutOfScope(f"speaks of a density of |x_1| that is finite at 0, and that of {risk.label()} is not")


def slope(x: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Of y against x by least squares, with its standard error; ``error``: that of each y."""
    weight = error**-2.0
    centre = (weight * x).sum() / weight.sum()
    square = (weight * (x - centre) ** 2).sum()
    return float((weight * (x - centre) * y).sum() / square), float(square**-0.5)
