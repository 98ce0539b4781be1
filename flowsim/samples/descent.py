"""Full-batch gradient descent of the matrices on the empirical risk of a finite sample."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from flowsim import arguments
from flowsim.dynamics.descent import records_of
from flowsim.dynamics.trajectory import versions
from flowsim.layers.legs import pick
from flowsim.layers.network import Layers
from flowsim.layers.recording import MINUTE, Engine, Reading, Setup, State, follow
from flowsim.layers.run import LayerRun
from flowsim.samples.chain import Matrices, end_to_end, layer_gradients
from flowsim.samples.dataset import DataSet
from flowsim.samples.empirical import gradient
from flowsim.samples.networks import Networks, finite, matrices_of, named, on_data

WORK_A_CALL = 1 << 28
"""Numbers touched in one call: about a second, so that Ctrl-C is heard."""


@jax.jit
def _advance(points: Any, step_size: Any, matrices: Matrices, count: Any) -> Matrices:
    """``count`` steps of B networks on the same samples."""

    def one(now: Matrices) -> Matrices:
        moved = layer_gradients(now, gradient(points, end_to_end(now)))
        return tuple(matrix - step_size * push for matrix, push in zip(now, moved, strict=True))

    alone = matrices[0].shape[0] == 1
    if not alone:
        return lax.fori_loop(0, count, lambda _, now: jax.vmap(one)(now), matrices)
    moved = lax.fori_loop(0, count, lambda _, now: one(now), tuple(matrix[0] for matrix in matrices))
    return tuple(matrix[None] for matrix in moved)


def sample_descent(
    data: Any,
    start: Any,
    step_size: float = 0.1,
    steps: Any = 10_000,
    observe: Sequence[str] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    resume: LayerRun | None = None,
    checkpoint_every: float = MINUTE,
) -> LayerRun:
    r"""W_j <- W_j - eta grad_{W_j} L_n(W_N ... W_1), L_n the mean loss over all of the data set; every step is taken.

    data: a DataSet with a law, whose population risk is the run's own ``risk``.
    start: `Layers`, one network or a batch, all on these data.
    step_size: eta > 0.
    steps: a whole number k >= 0: about 200 records, evenly spaced in log k; or a strictly increasing array of the steps to record.
    observe: names out of `flowsim.layers.OBSERVABLES` to record beside norm and direction; default: the layers' norms, and risk, error rate
        and smallest margin on the data.
    checkpoint: a file to which the unfinished run is written.  checkpoint_every: seconds from one such writing to the next.
    resume: an unfinished run of the same arguments, loaded from such a file or interrupted, to go on with, bit for bit.

    Returns a `LayerRun` with ``step`` and ``time`` = eta k. s is nan where theta or pi - theta is below 1e-15, with the status "floor" if
    it ends there; "overflow" where the matrices left the double range. Raises ValueError on bad input.

    >>> import flowsim as fs
    >>> data = fs.samples.draw(fs.Gaussian(dim=2), n=100, seed=0)
    >>> start = fs.layers.balanced([0.6, -0.8], depth=2, width=2)
    >>> run = fs.samples.sample_descent(data, start, step_size=0.1, steps=[0, 1000])
    >>> run.observed["empirical_error_rate"].tolist(), bool(run.observed["empirical_risk"][-1] < 0.1)
    ([0.29, 0.0], True)
    """
    eta = arguments.real("step_size", step_size, low=0.0, strict=True)
    record = records_of(steps)
    networks = on_data(data, start, observe)
    config = {
        "function": "sample_descent",
        "data": data.config(),
        "step_size": eta,
        "observe": list(networks.names),
        "versions": versions(),
    }
    setup = Setup("sample-descent", eta * record.astype(float), record, networks.problem, networks.v, start, config)
    return follow(setup, _engine(data, networks, eta, record), checkpoint, resume, checkpoint_every)


def _engine(data: DataSet, networks: Networks, eta: float, record: np.ndarray) -> Engine:
    """The state: the matrices, whether each network still is in the double range, and the step."""
    at_most = max(WORK_A_CALL // (networks.size * (data.size * data.dim + networks.entries)), 1)
    with jax.enable_x64(True):
        points = jnp.asarray(data.points)

    def move(state: State, target: int) -> tuple[State, bool]:
        now, before = int(state["now"]), matrices_of(state)
        count = min(target - now, at_most)
        with jax.enable_x64(True):
            moved = _advance(points, np.asarray(eta), tuple(jnp.asarray(matrix) for matrix in before), np.asarray(count))
            after = tuple(np.asarray(matrix) for matrix in moved)
        sound = np.asarray(state["sound"]) & finite(after)
        return {**named(pick(sound, after, before)), "sound": sound, "now": np.asarray(now + count)}, now + count == target

    def begin() -> State:
        state: State = {**named(networks.start.matrices), "sound": np.ones(networks.size, dtype=bool), "now": np.asarray(0)}
        there = False
        while not there:
            state, there = move(state, int(record[0]))
        return state

    def read(state: State) -> Reading:
        return networks.read(state, np.where(state["sound"], "ok", "overflow").astype("<U16"))

    return Engine(begin, lambda state, k: move(state, int(record[k])), read, lambda state: Layers(list(matrices_of(state))))
