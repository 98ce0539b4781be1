"""What flow and descent of the matrices on the population's risk share: arguments, coordinates and their way back, and what is read off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flowsim import arguments
from flowsim.layers import observables
from flowsim.layers.field import Coordinates, Law, law_of, narrow, observe
from flowsim.layers.legs import pick
from flowsim.layers.network import Layers, unit_teacher
from flowsim.layers.recording import Reading, State
from flowsim.layers.reduction import Reduced, reduce
from flowsim.layers.run import EMPIRICAL, OBSERVABLES, PER_PAIR
from flowsim.problem import PopulationRisk

POPULATION = tuple(name for name in OBSERVABLES if name not in EMPIRICAL)
"""What can be observed without samples."""

DIGITS = 4.0
"""log of how far above its floor a direction must be to be a number: a relative error of 2 %."""
SADDLE, LARGEST = -690.0, 600.0
"""log |w| between which a run is neither held up at the saddle nor out of the double range."""


@dataclass(frozen=True, eq=False)
class Population:
    """B networks on one risk, ready to run.

    risk, v, start: as given; ``start`` of shape (B,).  law: the risk on the device.  reduced: the networks without what never moves.
    names: what is observed.
    """

    risk: PopulationRisk
    v: np.ndarray
    start: Layers
    law: Law
    reduced: Reduced
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """B."""
        return self.start.shape[0]

    @property
    def entries(self) -> int:
        """Numbers in one network's state."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.coordinates())) // self.size

    def coordinates(self) -> Coordinates:
        """The start, each array with a leading axis B."""
        reduced = self.reduced
        a = np.ones((self.size, 1))
        for matrix in reversed(reduced.upper):
            a = np.einsum("bi,bij->bj", a, matrix)
        q = np.einsum("bm,bmk->bk", a, reduced.across)
        return Coordinates(reduced.p, reduced.across, np.zeros(self.size), q, tuple(reduced.upper))

    def layers(self, y: Coordinates) -> Layers:
        """The full matrices, (B,)."""
        with np.errstate(under="ignore", over="ignore"):
            across = np.asarray(y.across) * np.exp(np.asarray(y.scale))[:, None, None]
        return self.reduced.expand(np.asarray(y.p), across, tuple(np.asarray(matrix) for matrix in y.upper))

    def read(self, y: Coordinates, status: np.ndarray) -> Reading:
        """A record. status: (B,) names so far; "floor" is added, and taken back where the direction has its digits again."""
        with jax.enable_x64(True):
            found = _observe(self.law, jax.tree.map(jnp.asarray, y))
        log_norm, s, floor = (np.array(values) for values in found)
        held = ~narrow(jax.tree.map(lambda x: x[0], y)) & np.isfinite(s) & (s < floor + DIGITS)
        s = np.where(held, np.nan, s)
        sound = np.isin(status, ("ok", "floor", "saddle"))
        named = np.where(log_norm < SADDLE, "saddle", np.where(held, "floor", "ok"))
        left = ~np.isfinite(log_norm) & ~np.isneginf(log_norm) | (log_norm > LARGEST)
        named = np.where(left, "overflow", named)
        observed = self._observed(y, left) if self.names else {}
        return Reading(np.where(left, np.nan, log_norm), np.where(left, np.nan, s), np.where(sound, named, status), observed)

    def _observed(self, y: Coordinates, left: np.ndarray) -> Mapping[str, np.ndarray]:
        """Observables of the networks that have not left the double range; nan for the others."""
        # those others are given their start's matrices, which can be observed, and then nan
        here = pick(left, self.coordinates(), y) if left.any() else y
        observed = observables.observe(self.names, self.layers(here), self.start, self.risk, self.v)
        return {name: pick(left, np.full_like(values, np.nan), values) for name, values in observed.items()}


@jax.jit
def _observe(law: Law, y: Coordinates) -> Any:
    return jax.vmap(lambda one: observe(law, one))(y)


def to_state(y: Coordinates) -> dict[str, np.ndarray]:
    """Arrays by name."""
    upper = {f"upper_{j}": np.asarray(matrix) for j, matrix in enumerate(y.upper, start=2)}
    return {"p": np.asarray(y.p), "across": np.asarray(y.across), "scale": np.asarray(y.scale), "q": np.asarray(y.q), **upper}


def from_state(state: State) -> Coordinates:
    upper = tuple(state[f"upper_{j}"] for j in range(2, 2 + sum(name.startswith("upper_") for name in state)))
    return Coordinates(state["p"], state["across"], state["scale"], state["q"], upper)


def prepare(risk: Any, start: Any, v: Any, observe: Sequence[str] | None) -> Population:
    """Checks the arguments that flow and descent share; ValueError naming the one that is wrong."""
    if not isinstance(risk, PopulationRisk):
        raise ValueError(f"`risk` must be a flowsim.PopulationRisk, but is {risk!r}")
    if not isinstance(start, Layers):
        raise ValueError(f"`start` must be flowsim.Layers, such as flowsim.layers.gaussian(dim=2, depth=2, width=4), but is {start!r}")
    if start.dim != risk.law.dim:
        raise ValueError(f"`start` must have inputs of dimension {risk.law.dim}, that of the law, but has {start.dim}")
    if isinstance(observe, str):
        raise ValueError(f"`observe` must be a sequence of names, but is {observe!r}")
    names = observables.DEFAULT if observe is None else tuple(arguments.one_of("observe", name, POPULATION) for name in observe)
    if start.depth == 1:
        names = tuple(name for name in names if name not in PER_PAIR)
    teacher = unit_teacher(v, start.dim)
    flat = Layers([matrix.reshape(-1, *matrix.shape[-2:]) for matrix in start.matrices])
    return Population(risk, teacher, flat, law_of(risk), reduce(flat, teacher), names)
