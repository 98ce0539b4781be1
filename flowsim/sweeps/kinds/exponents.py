"""Exponents of many runs at once: slopes in log t over the last records, for maps of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flowsim.sweeps.kinds.kind import Quantity

EXPONENTS = {
    f"{name}_exponent{ending}": Quantity(f"{text}{more}")
    for name, text in (
        ("direction", "d log(-s)/d log t over the last two decades of the records"),
        ("angle", "-ds/d log t, that is -d log theta/d log t where theta is small, over the last two decades of the records"),
        ("norm", "d log |w|/d log t over the last two decades of the records"),
        ("risk", "d log L/d log t over the last two decades of the records"),
    )
    for ending, more in (("", ""), ("_error", ": difference between the decades"))
}
"""Fitted by least squares; each with the difference between the slopes of its two halves."""
DECADES = 100.0
FEWEST = 4


def exponents(run: Any, time: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Those of ``names`` that are exponents, of a run of n. time: (n, T) or (T,)."""
    out: dict[str, np.ndarray] = {}
    chosen = {name.split("_")[0] for name in names if name in EXPONENTS}
    late = late_records(time) if chosen else np.array([], dtype=int)
    for name in chosen:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {
                "direction": lambda: np.log(-run.log_tan_half_angle),
                "angle": lambda: -run.log_tan_half_angle,
                "norm": lambda: run.log_norm,
                "risk": lambda: np.log(run.risk),
            }[name]()
        clock = np.log(np.broadcast_to(time, values.shape)[:, late])
        values = values[:, late]
        middle = late.size // 2
        out[f"{name}_exponent"] = slope(clock, values)
        out[f"{name}_exponent_error"] = np.abs(slope(clock[:, middle:], values[:, middle:]) - slope(clock[:, :middle], values[:, :middle]))
    return {name: values for name, values in out.items() if name in names}


def late_records(time: np.ndarray) -> np.ndarray:
    """Which records lie in the last two decades; ValueError where they are too few."""
    one = np.atleast_2d(time)[0]
    late = np.flatnonzero((one > 0.0) & (one >= one[-1] / DECADES * (1.0 - 1e-12)))
    if late.size < FEWEST:
        raise ValueError(f"an exponent needs {FEWEST} records in the last two decades, but there are {late.size}")
    return late


def slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares, (n, T) -> (n,); nan where a y is not finite."""
    x = x - x.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        found = (x * y).sum(axis=1) / (x * x).sum(axis=1)
    return np.where(np.isfinite(y).all(axis=1), found, np.nan)
