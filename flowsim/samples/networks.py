"""What descent, flow and SGD on samples share: their arguments, the matrices as arrays by name, and what is read off at a record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowsim import arguments
from flowsim.layers import observables
from flowsim.layers.network import Layers
from flowsim.layers.recording import Reading, State
from flowsim.layers.run import EMPIRICAL, OBSERVABLES, PER_LAYER, PER_PAIR
from flowsim.problem import PopulationRisk
from flowsim.samples.dataset import DataSet, check_data
from flowsim.samples.empirical import EmpiricalRisk

OF_MATRICES = (*PER_LAYER, *PER_PAIR)
DEFAULT = ("layer_norm", *EMPIRICAL)
"""Recorded beside norm and direction unless others are asked for; without a data set, what needs none of it."""

FLOOR = 1e-15
"""sin(theta) below which the rounding of w is all that is left of it. n samples turn w by some n^(-1/2) off the teacher, so that this is
seen only where they, or the start, are symmetric about v."""


@dataclass(frozen=True, eq=False)
class Networks:
    """B networks on samples, ready to run. start: (B,).  shape: of the batch as given.  problem, v: of the law and its teacher.

    data: the samples, or None where they are drawn anew at each step.  names: what is observed.
    """

    start: Layers
    shape: tuple[int, ...]
    problem: PopulationRisk
    v: np.ndarray
    data: DataSet | None
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """B."""
        return self.start.shape[0]

    @property
    def entries(self) -> int:
        """Numbers in one network's matrices."""
        return sum(matrix[0].size for matrix in self.start.matrices)

    @property
    def whole_start(self) -> Layers:
        """The start in the batch's own shape."""
        return Layers([matrix.reshape(*self.shape, *matrix.shape[1:]) for matrix in self.start.matrices])

    def read(self, state: State, status: np.ndarray) -> Reading:
        """A record: log |w|, s and the observables. status: (B,) names; where "ok", it becomes "floor" if s has no digit."""
        layers, sound = Layers(list(matrices_of(state))), status == "ok"
        log_norm, s = polar(layers.end_to_end, self.v)
        held = sound & np.isnan(s)
        blank = lambda values: np.where(sound.reshape(-1, *(1,) * (values.ndim - 1)), values, np.nan)  # noqa: E731
        observed = {name: blank(values) for name, values in self._observed(layers).items()}
        return Reading(blank(log_norm), blank(s), np.where(held, "floor", status), observed)

    def _observed(self, layers: Layers) -> Mapping[str, np.ndarray]:
        out: dict[str, np.ndarray] = {}
        own = [name for name in self.names if name in OF_MATRICES]
        if own:
            out.update(observables.observe(tuple(own), layers, self.start, self.problem, self.v))
        if self.data is not None:
            risk, w = EmpiricalRisk(self.data), layers.end_to_end
            measures = {"empirical_risk": risk.value, "empirical_error_rate": risk.error_rate, "smallest_margin": risk.smallest_margin}
            out.update({name: np.stack([measure(one) for one in w]) for name, measure in measures.items() if name in self.names})
        return {name: out[name] for name in self.names}


def polar(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log |w| and s = log tan(theta/2) of predictors, (..., d); s is nan where theta or pi - theta is below `FLOOR`, or w = 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = np.abs(w).max(axis=-1, keepdims=True)
        unit = w / np.where(scale > 0.0, scale, 1.0)
        norm, along = np.linalg.norm(unit, axis=-1), unit @ v
        across = np.linalg.norm(unit - along[..., None] * v, axis=-1)
        ahead = np.log(across) - np.log(norm + np.abs(along))
        s = np.where(across > FLOOR * norm, np.where(along >= 0.0, ahead, -ahead), np.nan)
        return np.log(norm) + np.log(scale[..., 0]), s


def prepare(start: Any, observe: Sequence[str] | None, problem: PopulationRisk, v: np.ndarray, data: DataSet | None) -> Networks:
    """Checks of the arguments that all three share; ValueError naming the one that is wrong."""
    if not isinstance(start, Layers):
        raise ValueError(f"`start` must be flowsim.Layers, such as flowsim.layers.gaussian(dim=2, depth=2, width=4), but is {start!r}")
    if start.dim != problem.law.dim:
        raise ValueError(f"`start` must have inputs of dimension {problem.law.dim}, that of the samples, but has {start.dim}")
    if isinstance(observe, str):
        raise ValueError(f"`observe` must be a sequence of names, but is {observe!r}")
    known = tuple(name for name in OBSERVABLES if name in OF_MATRICES or (data is not None and name in EMPIRICAL))
    names = tuple(name for name in DEFAULT if name in known)
    if observe is not None:
        names = tuple(arguments.one_of("observe", name, known) for name in observe)
    if start.depth == 1:
        names = tuple(name for name in names if name not in PER_PAIR)
    flat = Layers([matrix.reshape(-1, *matrix.shape[-2:]) for matrix in start.matrices])
    if not finite(flat.matrices).all():
        raise ValueError("`start` must have predictors within the double range, but the product of some of its matrices is not")
    return Networks(flat, start.shape, problem, v, data, names)


def on_data(data: Any, start: Any, observe: Sequence[str] | None) -> Networks:
    """Networks that all see one DataSet."""
    known = check_data(data)
    return prepare(start, observe, known.risk, np.asarray(known.v), known)


def named(matrices: Sequence[Any]) -> dict[str, np.ndarray]:
    """Matrices as arrays by name."""
    return {f"w_{j}": np.asarray(matrix) for j, matrix in enumerate(matrices, start=1)}


def matrices_of(state: State) -> tuple[np.ndarray, ...]:
    """The matrices out of a state that `named` went into."""
    return tuple(np.asarray(state[f"w_{j}"]) for j in range(1, 1 + sum(name.startswith("w_") for name in state)))


def finite(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Which networks have matrices, and a predictor, within the double range, (B,)."""
    row = matrices[-1]
    with np.errstate(over="ignore", invalid="ignore"):
        for matrix in matrices[-2::-1]:
            row = row @ matrix
    return np.logical_and.reduce([np.isfinite(matrix).all(axis=(-2, -1)) for matrix in (*matrices, row)])
