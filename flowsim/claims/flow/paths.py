"""Flows integrated by SciPy in matrices and in Cartesian coordinates: witnesses that share neither coordinates nor solver with flowsim."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import solve_ivp

from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting, six_laws
from flowsim.problem import PopulationRisk

Field = Callable[[PopulationRisk, np.ndarray, np.ndarray, int], np.ndarray]

TOLERANCE = 1e-12
"""Of SciPy's DOP853, relative."""


def few_risks(setting: Setting) -> tuple[PopulationRisk, ...]:
    """The circle, Gaussian and ball of the six laws where each run is integrated by SciPy; all six in a thorough run."""
    return setting.risks_or(*(six_laws() if setting.thorough else six_laws()[:3]))


def equality(sketch: Sketch) -> None:
    """Add the line y = x below the measured points."""
    ends = np.array([min(curve.x.min() for curve in sketch.curves), max(curve.x.max() for curve in sketch.curves)])
    sketch.predicted(ends, ends, "equal")


def end_to_end_field(risk: PopulationRisk, w: np.ndarray, v: np.ndarray, depth: int, weight: float = 1.0) -> np.ndarray:
    """w' = -r^(2-2/N) (grad L + (N-1) <grad L, w/r> w/r): the paper's equation 7. weight: of the second term, in a control."""
    r, gradient = float(np.linalg.norm(w)), risk.gradient(w, v)
    return -(r ** (2.0 - 2.0 / depth)) * (gradient + weight * (depth - 1) * (gradient @ w) * w / r**2)


def time_unit(risk: PopulationRisk, norm: float, depth: int) -> float:
    """r^(2/N-1)/(c N): the time in which the norm changes by a factor."""
    return float(norm ** (2.0 / depth - 1.0) / (risk.pull * depth))


def cartesian_path(risk: PopulationRisk, w: np.ndarray, v: np.ndarray, depth: int, times: np.ndarray, field: Field) -> np.ndarray:
    """w at these times, (T, d), of w' = field(risk, w, v, depth)."""
    size = float(np.linalg.norm(w))
    solution = solve_ivp(
        lambda _, flat: field(risk, flat, v, depth), (0.0, float(times[-1])), w, "DOP853", times, rtol=TOLERANCE, atol=1e-14 * size
    )
    return _path(solution)


def _path(solution: Any) -> np.ndarray:
    if not solution.success:
        raise RuntimeError(f"SciPy's DOP853 gave up: {solution.message}")
    return np.asarray(solution.y.T)


def matrix_path(risk: PopulationRisk, layers: Sequence[np.ndarray], v: np.ndarray, times: np.ndarray) -> list[list[np.ndarray]]:
    """The layers at these times along W_j' = -grad_{W_j} L(W_N ... W_1); layers[0] is W_1, (width, d), the last is one row."""
    shapes = [layer.shape for layer in layers]
    cuts = np.cumsum([rows * columns for rows, columns in shapes])[:-1]

    def split(flat: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(shape) for part, shape in zip(np.split(flat, cuts), shapes, strict=True)]

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        parts = split(flat)
        below = [np.eye(shapes[0][1])]
        for part in parts:
            below.append(part @ below[-1])
        above = [np.eye(1)]
        for part in reversed(parts):
            above.append(above[-1] @ part)
        gradient = risk.gradient(below[-1][0], v)[None, :]
        rows = [above[len(parts) - 1 - j].T @ gradient @ below[j].T for j in range(len(parts))]
        return -np.concatenate([row.ravel() for row in rows])

    first = np.concatenate([layer.ravel() for layer in layers])
    solution = solve_ivp(rate, (0.0, float(times[-1])), first, "DOP853", times, rtol=1e-11, atol=1e-13 * float(np.abs(first).max()))
    return [split(flat) for flat in _path(solution)]


def product(layers: Sequence[np.ndarray]) -> np.ndarray:
    """w = W_N ... W_1, (d,)."""
    w = layers[0]
    for layer in layers[1:]:
        w = layer @ w
    return w[0]


def rank_one_layers(w: np.ndarray, depth: int, width: int) -> list[np.ndarray]:
    """Balanced layers W_j = |w|^(1/N) u_(j+1) u_j^T, of this width between the ends, with product w."""
    size = float(np.linalg.norm(w))
    units = [w / size, *[np.eye(width)[j % width] for j in range(depth - 1)], np.ones(1)]
    return [size ** (1.0 / depth) * np.outer(units[j + 1], units[j]) for j in range(depth)]


class Polar(NamedTuple):
    """r, theta, q = <w, v> and ell = log|w - q v| of vectors."""

    norm: np.ndarray
    angle: np.ndarray
    parallel: np.ndarray
    log_perp: np.ndarray


def polar(w: np.ndarray, v: np.ndarray) -> Polar:
    """Of vectors w, (..., d)."""
    along = w @ v
    across = np.linalg.norm(w - along[..., None] * v, axis=-1)
    return Polar(np.linalg.norm(w, axis=-1), np.arctan2(across, along), along, np.log(across))


STENCIL = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
_CENTRES = np.array([0.3, 1.0, 2.0, 4.0])
STEP = 1e-3


def slope(values: np.ndarray, step: float) -> np.ndarray:
    """The derivative at the middle of five values, (..., 5); of fourth order."""
    return np.asarray((values[..., 0] - 8.0 * values[..., 1] + 8.0 * values[..., 3] - values[..., 4]) / (12.0 * step))


def bend(values: np.ndarray, step: float) -> np.ndarray:
    """The second derivative at the middle of five values, (..., 5); of fourth order."""
    sums = -values[..., 0] + 16.0 * values[..., 1] - 30.0 * values[..., 2] + 16.0 * values[..., 3] - values[..., 4]
    return np.asarray(sums / (12.0 * step**2))


def stencils(unit: float) -> np.ndarray:
    """Five times around each of four, in units of ``unit``, flat and increasing."""
    return unit * (_CENTRES[:, None] + STEP * STENCIL).ravel()


@lru_cache(maxsize=128)
def stencil_path(risk: PopulationRisk, depth: int, norm: float, angle: float) -> tuple[Polar, float]:
    """Coordinates along the flow of equation 7 from this start, (4, 5) each, at `stencils`, and the step between neighbours."""
    v = np.eye(risk.law.dim)[-1]
    w = norm * (np.cos(angle) * v + np.sin(angle) * np.eye(risk.law.dim)[0])
    unit = time_unit(risk, norm, depth)
    path = cartesian_path(risk, w, v, depth, stencils(unit), end_to_end_field)
    return polar(path.reshape(_CENTRES.size, STENCIL.size, -1), v), STEP * unit
