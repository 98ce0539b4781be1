"""Minibatch descent of many networks at once, which can be stopped, saved and resumed at any step without a bit of difference."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from os import PathLike
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flowsim import arguments
from flowsim.dynamics.descent import records_of
from flowsim.dynamics.progress import Progress
from flowsim.relu.images import Images
from flowsim.relu.network import INITIAL, cross_entropy, error_rate, forward, log_product_norm, start
from flowsim.relu.run import MEASURED, ReluRun, State

STEP_SIZES = (0.1, 0.01, 0.005)
"""The paper's."""

RECORDS = 60
INTERVAL = 60.0
"""Seconds between checkpoints."""

_PATIENCE = 1.0
"""Seconds of one call into compiled code, which Ctrl-C cannot interrupt."""


class _Networks(NamedTuple):
    """One network, or R of them stacked. weights: W_1, ..., W_L.  data_scale, step_size, seed: a number each."""

    weights: Any
    data_scale: Any
    step_size: Any
    seed: Any


def batch_at(seed: Any, step: Any, batch: int, count: int) -> Any:
    """The images of step k: ``batch`` of them drawn evenly, each independently of all others; all of them in order where batch >= count.

    seed, step: k; a batch depends on nothing else, so that a run resumed at k goes on as it would have.  batch: how many.  count: n.

    Returns their numbers, (min(batch, count),). A gradient over them is the full one on average.

    >>> batch_at(0, 3, 10, 5).tolist()
    [0, 1, 2, 3, 4]
    """
    if batch >= count:
        return jnp.arange(count)
    # named, so that a user's choice of another generator changes no batch
    key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), step)
    return jax.random.randint(key, (batch,), 0, count, dtype=jnp.int32)


def _descend(network: _Networks, x: Any, y: Any, first: Any, last: Any, batch: int) -> Any:
    """One network's weights after the steps first, ..., last - 1."""
    optimiser = optax.sgd(network.step_size)

    def risk(weights: Any, index: Any) -> Any:
        return cross_entropy(forward(weights, x[index], network.data_scale), y[index])

    def step(k: Any, carry: Any) -> Any:
        weights, memory = carry
        slopes = jax.grad(risk)(weights, batch_at(network.seed, k, batch, len(y)))
        updates, memory = optimiser.update(slopes, memory, weights)
        return optax.apply_updates(weights, updates), memory

    # a loop with traced ends rather than a scan: one program for stretches of any length
    return jax.lax.fori_loop(first, last, step, (network.weights, optimiser.init(network.weights)))[0]


def _observe(network: _Networks, x: Any, y: Any, x_test: Any, y_test: Any) -> Any:
    """The four of `MEASURED` at these weights, all nan where one of them is not finite, (4,). An infinite weight makes the norm nan."""
    logits = forward(network.weights, x, network.data_scale)
    wrong = error_rate(forward(network.weights, x_test, network.data_scale), y_test)
    seen = jnp.stack([wrong, cross_entropy(logits, y), log_product_norm(network.weights), jnp.max(jnp.abs(logits))])
    # the logarithm of a product that vanishes is -inf, and right
    finite = jnp.isfinite(seen).at[2].set(seen[2] < jnp.inf).all()
    return jnp.where(finite, seen, jnp.nan)


@partial(jax.jit, static_argnames="batch")
def _descend_all(networks: _Networks, x: Any, y: Any, first: Any, last: Any, batch: int) -> Any:
    # one after the other, each with all cores for its matrix products, is 1.7 times as fast as `vmap`'s batched products
    return jax.lax.map(lambda network: _descend(network, x, y, first, last, batch), networks)


@jax.jit
def _observe_all(networks: _Networks, x: Any, y: Any, x_test: Any, y_test: Any) -> Any:
    return jax.lax.map(lambda network: _observe(network, x, y, x_test, y_test), networks)


def train(
    images: Images,
    step_sizes: Any = STEP_SIZES,
    weight_scales: Any = 1.0,
    data_scales: Any = 1.0,
    seeds: int | Sequence[int] = 3,
    depth: int = 5,
    width: int = 100,
    batch: int = 1000,
    steps: Any = 1000,
    initial: str = "pytorch",
    checkpoint: str | PathLike[str] | None = None,
    interval: float = INTERVAL,
) -> ReluRun:
    """W_j <- W_j - eta grad_{W_j} mean_i [log sum_c exp(f_c(x_i)) - f_(y_i)(x_i)], f(x) = W_L relu(W_(L-1) ... relu(W_1 x)), i in a batch.

    images: to learn from and to test on.  step_sizes: eta, a positive number or (E,).
    weight_scales, data_scales: alpha, positive numbers or (A,), of the first weights and of the pixels; together they make A scalings.
    seeds: how many, 0 to S - 1, or the seeds themselves, (S,).  depth: L, 1 or more.  width: of each hidden layer.
    batch: images a step, drawn with replacement; where it is the number of training images or more, every step takes all of them.
    steps: a whole number: about 60 records, evenly spaced in log k, the last step always among them;
        or a strictly increasing array of the steps to record.
    initial: law of the first weights, "pytorch" or "he", as in `start`.
    checkpoint: a file that is written every ``interval`` seconds, and holds all that `resume` needs.

    Returns a `ReluRun`. Every step size meets every scaling and every seed, on the same first weights and batches. A network that diverges,
    or whose outputs all die, has a status. Ctrl-C keeps what was reached, with the status "stopped". Raises ValueError on bad input.

    Source: Lin, Sun, Zhang 2021 (submitted version), figure 2, whose five layers, width, batches and step sizes are the defaults.

    >>> import numpy as np
    >>> x, y = np.eye(4), np.array([0, 1, 0, 1])
    >>> run = train(Images(x, y, x, y, "corners", 2), [1.0, 0.1], data_scales=[1.0, 10.0], seeds=1, depth=2, width=8, batch=4, steps=10)
    >>> run.test_error.shape, bool((run.train_loss[..., -1] < run.train_loss[..., 0]).all())
    ((2, 2, 1, 11), True)
    """
    eta = _row("step_sizes", step_sizes)
    weight_scale, data_scale = (_row(name, v) for name, v in (("weight_scales", weight_scales), ("data_scales", data_scales)))
    if weight_scale.size != data_scale.size and 1 not in (weight_scale.size, data_scale.size):
        raise ValueError(f"`weight_scales` and `data_scales` must be as many, or one, but are {weight_scale.size} and {data_scale.size}")
    weight_scale, data_scale = (np.array(v) for v in np.broadcast_arrays(weight_scale, data_scale))
    origins = np.atleast_1d(
        arguments.whole("seeds", np.arange(_count("seeds", seeds)) if np.ndim(seeds) == 0 else seeds, low=0, high=2**32 - 1)
    )
    layers, hidden, drawn = _count("depth", depth), _count("width", width), _count("batch", batch)
    arguments.one_of("initial", initial, INITIAL)
    record = records_of(steps, RECORDS)
    sizes = [images.pixels, *[hidden] * (layers - 1), images.classes]
    first = [[start(sizes, int(seed), initial, float(scale)) for seed in origins] for scale in weight_scale]
    grid = (eta.size, weight_scale.size, origins.size)
    weights = tuple(
        np.array(np.broadcast_to([[one[layer] for one in row] for row in first], (*grid, out, into)))
        for layer, (into, out) in enumerate(pairwise(sizes))
    )
    config = {
        "function": "relu.train",
        "depth": layers,
        "width": hidden,
        "batch": min(drawn, len(images.y_train)),
        "initial": initial,
        "images": {"name": images.name, "digest": images.digest, "train": len(images.y_train), "test": len(images.y_test)},
        "versions": {name: version(name) for name in ("flowsim", "jax", "optax", "numpy")},
    }
    nothing = np.full((*grid, record.size), np.nan)
    begun = ReluRun(
        record,
        eta,
        weight_scale,
        data_scale,
        origins,
        **{name: nothing.copy() for name in MEASURED},
        status=np.full(grid, "stopped"),
        config=config,
        state=State(0, weights),
    )
    return _follow(begun, images, checkpoint, arguments.real("interval", interval, low=0.0))


def resume(run: ReluRun, images: Images, checkpoint: str | PathLike[str] | None = None, interval: float = INTERVAL) -> ReluRun:
    """The rest of an interrupted run: bit for bit what it would have been, on the same machine with the same versions.

    run: one with a ``state``; a finished one is returned as it is.  images: those it began with; ValueError for others.
    checkpoint, interval: as in `train`.

    >>> import numpy as np
    >>> images = Images(np.eye(4), np.array([0, 1, 0, 1]), np.eye(4), np.array([0, 1, 0, 1]), "corners", 2)
    >>> run = train(images, [1.0, 0.1], data_scales=[1.0, 10.0], seeds=1, depth=2, width=8, batch=4, steps=10)
    >>> resume(run, images) is run
    True
    """
    every = arguments.real("interval", interval, low=0.0)
    if images.digest != run.config["images"]["digest"]:
        raise ValueError(
            f"`images` must be those the run began with, {run.config['images']['name']!r}, but are others, from {images.name!r}"
        )
    return run if run.state is None else _follow(run, images, checkpoint, every)


def _row(name: str, values: Any) -> np.ndarray:
    row = np.atleast_1d(arguments.reals(name, values, low=0.0, strict=True))
    if row.ndim != 1:
        raise ValueError(f"`{name}` must be a number or one-dimensional, but has shape {row.shape}")
    return row


def _count(name: str, value: Any) -> int:
    number = arguments.whole(name, value, low=1)
    if number.ndim:
        raise ValueError(f"`{name}` must be one number, but has shape {number.shape}")
    return int(number)


def _follow(run: ReluRun, images: Images, checkpoint: str | PathLike[str] | None, interval: float) -> ReluRun:
    """From the run's state to its last step, or to where it is interrupted."""
    training = _Training(run, images)
    saved = time.monotonic()
    count = run.status.size
    with Progress("networks", float(int(run.step[-1]) * count), "step") as progress, jax.enable_x64(True):
        progress.advance(float(run.reached * count))
        try:
            while not training.finished:
                progress.advance(float(training.advance() * count))
                if checkpoint is not None and not training.finished and time.monotonic() - saved >= interval:
                    _save(training.run(), checkpoint)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            pass
    return training.run()


def _save(run: ReluRun, checkpoint: str | PathLike[str]) -> None:
    """A checkpoint; a disk that is full does not end the run."""
    try:
        run.save(checkpoint)
    except OSError as error:
        warnings.warn(f"no checkpoint: {error}", RuntimeWarning, stacklevel=4)


class _Place(NamedTuple):
    """Networks and the step k they are at. Replaced as one, so that Ctrl-C never finds weights under another step's number."""

    networks: _Networks
    step: int


class _Training:
    """A run in the making: the weights of R = E A S networks at one step, and the records behind them."""

    def __init__(self, run: ReluRun, images: Images) -> None:
        if run.state is None:
            raise ValueError("`run` must have a state to go on from")
        grid = run.status.shape
        flat = lambda values: jnp.asarray(np.broadcast_to(values, grid).reshape(-1))  # noqa: E731
        with jax.enable_x64(True):
            labels = [jnp.asarray(labels.astype(np.int32)) for labels in (images.y_train, images.y_test)]
            self._train = (jnp.asarray(images.x_train), labels[0])
            self._test = (jnp.asarray(images.x_test), labels[1])
            networks = _Networks(
                tuple(jnp.asarray(matrix.reshape(-1, *matrix.shape[3:])) for matrix in run.state.weights),
                flat(run.data_scales[None, :, None]),
                flat(run.step_sizes[:, None, None]),
                flat(run.seeds.astype(np.uint32)),
            )
        self._run, self._place = run, _Place(networks, run.state.step)
        self._seen = np.stack([getattr(run, name) for name in MEASURED], axis=-1)
        # a record at the step itself is taken again: it comes out the same, and may not have been taken
        self._next = int(np.searchsorted(run.step, run.state.step))
        self._seconds: float | None = None

    @property
    def finished(self) -> bool:
        return self._next == self._run.step.size

    def advance(self) -> int:
        """Record, or take steps for about ``_PATIENCE`` seconds towards the next record. Returns how many steps were taken."""
        networks, step = self._place
        left = int(self._run.step[self._next]) - step
        if left == 0:
            seen = np.asarray(_observe_all(networks, *self._train, *self._test))
            self._seen[..., self._next, :] = seen.reshape(*self._run.status.shape, len(MEASURED))
            self._next += 1
            return 0
        count = min(left, 1 if self._seconds is None else max(1, int(_PATIENCE / self._seconds)))
        begin = time.monotonic()
        weights = _descend_all(networks, *self._train, np.int64(step), np.int64(step + count), self._run.config["batch"])
        jax.block_until_ready(weights)
        taken = max(time.monotonic() - begin, 1e-9) / count
        # the first call compiles
        self._seconds = taken if self._seconds is None else min(self._seconds, taken)
        self._place = _Place(networks._replace(weights=weights), step + count)
        return count

    def run(self) -> ReluRun:
        """As far as it has come."""
        last = self._seen[..., max(self._next - 1, 0), :]
        ending = np.where(last[..., 3] == 0.0, "dead", "ok") if self.finished else np.full(last.shape[:-1], "stopped")
        status = np.where(np.isnan(last[..., 0]) & (self._next > 0), "diverged", ending)
        state = None
        if not self.finished:
            matrices = [np.asarray(matrix) for matrix in self._place.networks.weights]
            state = State(self._place.step, tuple(m.reshape(*status.shape, *m.shape[1:]) for m in matrices))
        values = {name: self._seen[..., i].copy() for i, name in enumerate(MEASURED)}
        return replace(self._run, **values, status=status, state=state)
