"""Gradient descent of the matrices on the population's risk: every step, in coordinates in which the direction keeps its digits."""

from functools import partial
from os import PathLike
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from flowsim import arguments
from flowsim.dynamics.descent import records_of
from flowsim.dynamics.trajectory import versions
from flowsim.layers.field import Coordinates, Law, step
from flowsim.layers.legs import pick
from flowsim.layers.population import Population, from_state, prepare, to_state
from flowsim.layers.recording import MINUTE, Engine, Reading, Setup, State, follow
from flowsim.layers.run import LayerRun

ENTRIES_A_CALL = 1 << 29
"""Entries of the state times steps in one call: about a second, so that Ctrl-C is heard."""


@partial(jax.jit, donate_argnums=2)
def _advance(law: Law, step_size: Any, y: Coordinates, count: Any) -> Coordinates:
    """``count`` steps of B networks."""
    alone = y.p.shape[0] == 1
    if alone:
        y = jax.tree.map(lambda x: x[0], y)
    one = partial(step, law, step_size)
    moved = lax.fori_loop(0, count, lambda _, now: one(now) if alone else jax.vmap(one)(now), y)
    return jax.tree.map(lambda x: x[None], moved) if alone else moved


def layer_descent(
    risk: Any,
    start: Any,
    step_size: float,
    steps: Any,
    v: Any = None,
    observe: Any = None,
    checkpoint: str | PathLike[str] | None = None,
    resume: LayerRun | None = None,
    checkpoint_every: float = MINUTE,
) -> LayerRun:
    r"""W_j <- W_j - eta grad_{W_j} L(W_N ... W_1): gradient descent of N matrices of any widths, balanced or not; every step is taken.

    risk: a PopulationRisk.  start: `Layers`, one network or a batch.
    step_size: eta > 0.
    steps: a whole number k >= 0: about 200 records, evenly spaced in log k; or a strictly increasing array of the steps to record.
    v: (d,), the teacher; only its direction counts. Default: the first axis.
    observe: names out of `flowsim.layers.OBSERVABLES` to record beside norm and direction; default: all that need no samples, but for
        the sharpness.
    checkpoint: a file to which the unfinished run is written.  checkpoint_every: seconds from one such writing to the next.
    resume: an unfinished run of the same arguments, loaded from such a file or interrupted, to go on with, bit for bit.

    Returns a `LayerRun` with ``step`` and ``time`` = eta k. Statuses "overflow", "saddle" and "floor" as for `layer_flow`. Raises
    ValueError on bad input. Source: Lin, Sun, Zhang 2021, section 4; derivations/generic_direction.py for the coordinates.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> start = fs.layers.balanced([0.6, -0.8], depth=3, width=4)
    >>> run = fs.layer_descent(risk, start, step_size=0.5, steps=[0, 1000], v=[0.0, 1.0])
    >>> plane = fs.gradient_descent(risk, fs.Start.from_vectors([0.6, -0.8], [0.0, 1.0]), 0.5, [0, 1000], depth=3)
    >>> bool(abs(run.log_tan_half_angle - plane.log_tan_half_angle).max() < 1e-9)
    True
    """
    eta = arguments.real("step_size", step_size, low=0.0, strict=True)
    record = records_of(steps)
    population = prepare(risk, start, v, observe)
    config = {"function": "layer_descent", "step_size": eta, "observe": list(population.names), "versions": versions()}
    setup = Setup("descent", eta * record.astype(float), record, risk, population.v, start, config)
    return follow(setup, _engine(population, eta, record), checkpoint, resume, checkpoint_every)


def _engine(population: Population, eta: float, record: np.ndarray) -> Engine:
    """The state: coordinates, whether a network still is in the double range, and the step."""
    at_most = max(ENTRIES_A_CALL // (population.entries * population.size), 1)

    def move(state: State, target: int) -> tuple[State, bool]:
        now = int(state["now"])
        count = min(target - now, at_most)
        y = from_state(state)
        with jax.enable_x64(True):
            moved = _advance(population.law, np.asarray(eta), jax.tree.map(jnp.array, y), np.asarray(count))
            moved = jax.tree.map(np.asarray, moved)
        finite = np.logical_and.reduce([np.isfinite(leaf).reshape(population.size, -1).all(axis=1) for leaf in jax.tree.leaves(moved)])
        sound = np.asarray(state["sound"]) & finite
        return {**to_state(pick(sound, moved, y)), "sound": sound, "now": np.asarray(now + count)}, now + count == target

    def begin() -> State:
        state: State = {**to_state(population.coordinates()), "sound": np.ones(population.size, dtype=bool), "now": np.asarray(0)}
        there = False
        while not there:
            state, there = move(state, int(record[0]))
        return state

    def read(state: State) -> Reading:
        return population.read(from_state(state), np.where(state["sound"], "ok", "overflow").astype("<U16"))

    return Engine(begin, lambda state, k: move(state, int(record[k])), read, lambda state: population.layers(from_state(state)))
