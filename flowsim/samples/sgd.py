"""Stochastic gradient descent of the matrices: each step on a batch of its own, fresh from the law or out of a data set."""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from flowsim import arguments
from flowsim.dynamics.descent import records_of
from flowsim.dynamics.trajectory import versions
from flowsim.layers.legs import pick
from flowsim.layers.network import Layers, unit_teacher
from flowsim.layers.recording import MINUTE, Engine, Reading, Setup, State, follow
from flowsim.layers.run import LayerRun
from flowsim.problem import PopulationRisk
from flowsim.samples.batches import Batches, Drawn, Fresh, Source
from flowsim.samples.chain import Matrices, end_to_end, layer_gradients
from flowsim.samples.dataset import DataSet, law_and_noise
from flowsim.samples.empirical import gradient
from flowsim.samples.networks import Networks, finite, matrices_of, named, prepare


class _Of:
    """An optimiser as jit knows it: by its functions."""

    def __init__(self, optimiser: optax.GradientTransformation) -> None:
        self.optimiser = optimiser

    def __hash__(self) -> int:
        return hash(self.optimiser)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Of) and self.optimiser == other.optimiser


@partial(jax.jit, static_argnames=("given", "tree"))
def _advance(
    matrices: Matrices, memory: Any, points: Any, step_size: Any, first: Any, end: Any, given: _Of | None, tree: Any
) -> tuple[Matrices, Any]:
    """Steps ``first`` to ``end`` of a block of batches, points (steps, batch, d), by one network. memory: the optimiser's leaves."""
    optimiser = optax.sgd(step_size) if given is None else given.optimiser

    def step(k: Any, now: tuple[Matrices, Any]) -> tuple[Matrices, Any]:
        layers, leaves = now
        pushes = layer_gradients(layers, gradient(points[k], end_to_end(layers)))
        updates, later = optimiser.update(pushes, jax.tree.unflatten(tree, leaves), layers)
        moved: Any = optax.apply_updates(layers, updates)
        return moved, tuple(jax.tree.leaves(later))

    return lax.fori_loop(first, end, step, (matrices, memory))


def sgd(
    source: Any,
    start: Any,
    step_size: float = 1e-3,
    steps: Any = 30_000,
    batch: int = 1000,
    seed: Any = 0,
    v: Any = None,
    optimiser: Any = None,
    observe: Sequence[str] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    resume: LayerRun | None = None,
    checkpoint_every: float = MINUTE,
) -> LayerRun:
    r"""W_j <- W_j - eta grad_{W_j} (1/B) sum_i log(1 + exp(-y_i <w, x_i>)), over B samples of its own at each step.

    source: a law or a `PopulationRisk`, from which every batch is fresh; or a `DataSet`, out of which batches are drawn with replacement.
    start: `Layers`, one network or a batch.
    step_size: eta > 0, of the clock ``time`` = eta k, and of the step unless ``optimiser`` says otherwise.
    steps: a whole number k >= 0: about 200 records, evenly spaced in log k; or a strictly increasing array of the steps to record.
    batch: B, whole, 1 or more.
    seed: whole, zero or more, or several of them: a batch of runs, each on samples of its own. It broadcasts against the start's shape;
        networks with the same seed see the same samples. The batch of step k depends on seed and k alone.
    v: (d,), the teacher; only its direction counts. Default: the first axis. A DataSet has its own.
    optimiser: any `optax.GradientTransformation`; default ``optax.sgd(step_size)``. Its state is kept in checkpoints.
    observe: names out of `flowsim.layers.OBSERVABLES` to record beside norm and direction; default: the layers' norms, and on a DataSet
        risk, error rate and smallest margin.
    checkpoint: a file to which the unfinished run is written.  checkpoint_every: seconds from one such writing to the next.
    resume: an unfinished run of the same arguments, loaded from such a file or interrupted, to go on with, bit for bit. An optimiser that
        was given then has to be given again.

    Returns a `LayerRun` with ``step`` and ``time``. s is nan where theta or pi - theta is below 1e-15, with the status "floor" if it ends
    there; "overflow" where the matrices left the double range. Raises ValueError on bad input.
    Source: Lin, Sun, Zhang 2021 (submitted version), figure 1, whose law, batch and step size are its defaults but for the law.

    >>> import flowsim as fs
    >>> law, w, v = fs.Sphere(dim=2), [0.6, -0.8], [0.0, 1.0]
    >>> run = fs.samples.sgd(law, fs.layers.unit_vectors(w, depth=4), 0.1, steps=[0, 300], batch=100, seed=[0, 1], v=v)
    >>> run.shape, bool((run.angle[:, -1] < 0.1 * run.angle[:, 0]).all()), run.observed["layer_norm"].shape
    ((2,), True, (2, 2, 4))
    """
    eta = arguments.real("step_size", step_size, low=0.0, strict=True)
    record = records_of(steps)
    size = int(arguments.whole("batch", batch, low=1))
    if optimiser is not None and not isinstance(optimiser, optax.GradientTransformation):
        raise ValueError(f"`optimiser` must be an optax.GradientTransformation, such as optax.adam(1e-3), but is {optimiser!r}")
    seeds = arguments.whole("seed", seed, low=0)
    samples, problem, data, teacher = _source(source, v)
    networks = prepare(_broadcast(start, seeds.shape), observe, problem, teacher, data)
    numbers = [int(one) for one in np.broadcast_to(seeds, networks.shape).ravel()] if networks.shape else [int(seeds)]
    config = {
        "function": "sgd",
        "data": "fresh batches" if data is None else data.config(),
        "step_size": eta,
        "batch": size,
        "seed": seeds.tolist(),
        "optimiser": "optax.sgd(step_size)" if optimiser is None else "given",
        "observe": list(networks.names),
        "versions": {**versions(), "optax": optax.__version__},
    }
    setup = Setup("sgd", eta * record.astype(float), record, problem, networks.v, networks.whole_start, config)
    with Batches(samples, list(dict.fromkeys(numbers)), size) as batches:
        engine = _engine(networks, batches, numbers, eta, record, None if optimiser is None else _Of(optimiser))
        return follow(setup, engine, checkpoint, resume, checkpoint_every)


def _source(source: Any, v: Any) -> tuple[Source, PopulationRisk, DataSet | None, np.ndarray]:
    """Where batches come from, the population's risk, the data set if there is one, and the teacher."""
    if isinstance(source, DataSet):
        if v is not None:
            raise ValueError("`v` must be left out where `source` is a DataSet, which has its own")
        return Drawn(source), source.risk, source, np.asarray(source.v)
    law, noise = law_and_noise(source)
    teacher = unit_teacher(v, law.dim)
    return Fresh(law, teacher, noise), PopulationRisk(law, noise), None, teacher


def _broadcast(start: Any, seeds: tuple[int, ...]) -> Any:
    """The start repeated to the shape that it and the seeds have together."""
    if not isinstance(start, Layers):
        return start
    try:
        shape = np.broadcast_shapes(start.shape, seeds)
    except ValueError:
        raise ValueError(f"`seed` must broadcast against the start's shape {start.shape}, but has shape {seeds}") from None
    return Layers([np.broadcast_to(matrix, (*shape, *matrix.shape[-2:])).copy() for matrix in start.matrices])


def _engine(networks: Networks, batches: Batches, seeds: list[int], eta: float, record: np.ndarray, given: _Of | None) -> Engine:
    """The state: the matrices, the optimiser's memory, whether each network still is in the double range, and the step."""
    first = [tuple(matrix[i] for matrix in networks.start.matrices) for i in range(networks.size)]
    with jax.enable_x64(True):
        optimiser = optax.sgd(eta) if given is None else given.optimiser
        memories = [optimiser.init(tuple(jnp.asarray(matrix) for matrix in one)) for one in first]
        tree = jax.tree.structure(memories[0])
        kept = [np.stack([np.asarray(leaf) for leaf in leaves]) for leaves in zip(*map(jax.tree.leaves, memories), strict=True)]

    def move(state: State, target: int) -> tuple[State, bool]:
        now = int(state["now"])
        number, inside = divmod(now, batches.steps)
        count = min(target - now, batches.steps - inside)
        if count:
            batches.done(number)
        before, memory = matrices_of(state), [np.asarray(state[f"memory_{j}"]) for j in range(len(kept))]
        out: list[Any] = []
        for i, seed in enumerate(seeds):
            with jax.enable_x64(True):
                points = jnp.asarray(batches.block(number, seed)) if count else jnp.zeros((1, 1, networks.start.dim))
                one = (tuple(jnp.asarray(w[i]) for w in before), tuple(jnp.asarray(leaf[i]) for leaf in memory))
                out.append(_advance(*one, points, np.asarray(eta), np.asarray(inside), np.asarray(inside + count), given, tree))
        after = tuple(np.stack([np.asarray(moved[0][j]) for moved in out]) for j in range(len(before)))
        later = [np.stack([np.asarray(moved[1][j]) for moved in out]) for j in range(len(memory))]
        sound = np.asarray(state["sound"]) & finite(after)
        return _state(pick(sound, after, before), pick(sound, later, memory), sound, now + count), now + count == target

    def begin() -> State:
        state: State = _state(networks.start.matrices, kept, np.ones(networks.size, dtype=bool), 0)
        there = int(record[0]) == 0
        while not there:
            state, there = move(state, int(record[0]))
        return state

    def read(state: State) -> Reading:
        return networks.read(state, np.where(state["sound"], "ok", "overflow").astype("<U16"))

    return Engine(begin, lambda state, k: move(state, int(record[k])), read, lambda state: Layers(list(matrices_of(state))))


def _state(matrices: Sequence[np.ndarray], memory: Sequence[np.ndarray], sound: np.ndarray, now: int) -> State:
    kept = {f"memory_{j}": leaf for j, leaf in enumerate(memory)}
    return {**named(matrices), **kept, "sound": sound, "now": np.asarray(now)}
