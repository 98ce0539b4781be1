"""Batches for SGD: those of step k depend on (seed, k) alone, so that a run taken up again sees what an unbroken one would have seen.

They are drawn on the host in blocks of steps, by the laws' own samplers, with a NumPy generator keyed by [seed, block]; ahead of the steps
that use them, on as many threads as there are cores. For one sample of the circle that takes some 60 ns; its step, in JAX, 4 ns.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count

import numpy as np

from flowsim.problem import Law
from flowsim.samples.dataset import DataSet

BLOCK = 1 << 17
"""Numbers in a block, about: a megabyte, which stays in a core's cache."""

STREAM = 0x5D
"""Ends every key. NumPy pads keys with zeros, so that [seed, 0] would be the key ``seed`` that data sets are drawn with."""


@dataclass(frozen=True, eq=False)
class Fresh:
    """New samples of a law, labelled by v, each label flipped with this probability."""

    law: Law
    v: np.ndarray
    label_noise: float

    @property
    def dim(self) -> int:
        """d."""
        return self.law.dim

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """``count`` samples times their labels, y x, (count, d)."""
        x = self.law.sample(generator, count)
        y = np.where(x @ self.v >= 0.0, 1.0, -1.0)
        if self.label_noise > 0.0:
            y = np.where(generator.random(count) < self.label_noise, -y, y)
        return np.multiply(x, y[:, None], out=x)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Samples out of a data set, with replacement: every batch is a fair one, whatever came before."""

    data: DataSet

    @property
    def dim(self) -> int:
        return self.data.dim

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return self.data.points[generator.integers(0, self.data.size, count)]


Source = Fresh | Drawn


@dataclass
class Batches:
    """The blocks of each seed, in order, drawn ahead. Use it in a ``with``: its threads end there.

    source: of samples.  seeds: all different.  batch: samples a step.
    """

    source: Source
    seeds: Sequence[int]
    batch: int
    _pool: ThreadPoolExecutor = field(init=False, repr=False)
    _ahead: dict[tuple[int, int], Future[np.ndarray]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._cores = cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._cores)

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._ahead.clear()

    @property
    def steps(self) -> int:
        """Steps in a block."""
        return max(BLOCK // (self.batch * self.source.dim), 1)

    def block(self, number: int, seed: int) -> np.ndarray:
        """y x of block ``number``, (steps, batch, d); those to come next are begun."""
        place, count = list(self.seeds).index(seed), len(self.seeds)
        for later in range(place, place + 1 + self._cores):
            key = (number + later // count, self.seeds[later % count])
            if key not in self._ahead:
                self._ahead[key] = self._pool.submit(self._draw, *key)
        return self._ahead[number, seed].result()

    def done(self, number: int) -> None:
        """Forget blocks before ``number``."""
        for key in [key for key in self._ahead if key[0] < number]:
            del self._ahead[key]

    def _draw(self, number: int, seed: int) -> np.ndarray:
        generator = np.random.default_rng([seed, number, STREAM])
        return self.source.points(generator, self.steps * self.batch).reshape(self.steps, self.batch, self.source.dim)
