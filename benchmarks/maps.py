"""Regime maps: cells times steps in a second, beside a NumPy loop over all cells at once and a C loop over one after the other."""

import ctypes

import numpy as np

import flowsim as fs
from benchmarks.descents import compiled, in_c
from benchmarks.timing import Row, seconds, show

CELLS, STEPS, NORM, ANGLE_LAST = 64, 100_000, 1.0, 3.0
FEW = 200
"""Steps of the NumPy loop: it takes every one, at the same cost each."""


def _cells(risk: fs.PopulationRisk) -> tuple[np.ndarray, np.ndarray]:
    return np.geomspace(0.01, 10.0, CELLS) / risk.pull, np.linspace(0.05, ANGLE_LAST, CELLS)


def _map(risk: fs.PopulationRisk, depth: int, steps: int) -> None:
    etas, angles = _cells(risk)
    fs.regime_map(risk, etas, angles=angles, steps=steps, depth=depth, start=fs.Start(NORM, 1.0))


def _in_numpy(risk: fs.PopulationRisk, depth: int, steps: int) -> None:
    """(a, z) of all cells, in the plane; the direction saturates in it, but the arithmetic is what counts here."""
    etas, angles = _cells(risk)
    eta, theta = np.tile(etas, CELLS), np.repeat(angles, CELLS)
    a, q, p = np.ones(eta.size), np.cos(theta), np.sin(theta)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            u = a ** (depth - 1)
            z = np.hypot(q, p)
            # cells that overflow stay where they are
            r = np.where(np.isfinite(u * z), np.abs(u) * z, 1.0)
            ratio = risk.profile.drag_ratio(r)
            along, across = ratio * u * q - risk.pull, ratio * u * p
            a, q, p = a - eta * a ** (depth - 2) * (along * q + across * p), q - eta * u * along, p - eta * u * across


def _in_c(library: ctypes.CDLL, risk: fs.PopulationRisk, depth: int, steps: int) -> None:
    etas, angles = _cells(risk)
    for angle in angles:
        for eta in etas:
            in_c(library, risk, depth, steps, float(eta), float(angle))


def rows() -> list[Row]:
    risk, out, size, depth = fs.PopulationRisk(fs.Gaussian(2)), [], CELLS**2, 2
    library = compiled("descent_loop")
    what = f"regime map of {CELLS} x {CELLS} cells, N = {depth}"
    rates = {}
    for steps in (STEPS, 10**9):
        ours = seconds(lambda steps=steps: _map(risk, depth, steps), 3)
        rates[steps] = ours[1] / steps
        out.append(Row(f"{what}, {steps:.0e} steps each", show(ours), f"{size * steps / ours[1]:.1e} steps x cells a second"))
    loops = {"NumPy loop over steps, all cells at once": lambda: _in_numpy(risk, depth, FEW)}
    if library is not None:
        loops["C loop (-O3), cell after cell, one core"] = lambda: _in_c(library, risk, depth, FEW)
    for name, call in loops.items():
        loop = seconds(call, 3)
        each = loop[1] / FEW
        slower = ", ".join(f"{each / rate:.0f} times slower at {steps:.0e} steps" for steps, rate in rates.items())
        out.append(Row(f"the same cells, {name}, a step and cell", show(loop, FEW * size), slower))
    return out
