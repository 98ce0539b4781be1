"""A finite sample of the law: points, labels and the teacher they come from."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.layers.network import unit_teacher
from flowsim.problem import Law, PopulationRisk
from flowsim.problem.risk import check_label_noise

Array = Float[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class DataSet:
    """n points x_i with labels y_i = sign(<v, x_i>), or with other labels. All that a linear predictor sees of them is y_i x_i.

    x: (n, d), n and d at least 1 and 2.  v: (d,), the teacher, not 0; only its direction counts.  y: (n,) of 1 and -1, where they are not
    the teacher's.
    law: what x was drawn from, without which there is no population's risk.  label_noise: the probability with which labels were flipped.
    seed: what they were drawn with, for a run's configuration.

    ValueError where one is not what it must be, or x has not the dimension of the law.

    >>> import flowsim as fs
    >>> data = fs.samples.DataSet([[3.0, 1.0], [-1.0, 2.0]], v=[2.0, 0.0])
    >>> data.y.tolist(), data.points.tolist(), data.size, data.dim, data.margin
    ([1.0, -1.0], [[3.0, 1.0], [1.0, -2.0]], 2, 2, 1.0)
    >>> fs.samples.draw(fs.Gaussian(dim=3), n=10, seed=1).risk.label()
    'Gaussian(dim=3, scale=1)'
    """

    x: Any
    v: Any
    y: Any = None
    law: Law | None = None
    label_noise: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        x = arguments.reals("x", self.x)
        if x.ndim != 2 or x.shape[1] < 2:
            raise ValueError(f"`x` must have shape (samples, dim) with dim 2 or more, but has shape {x.shape}")
        if self.law is not None and (not isinstance(self.law, Law) or self.law.dim != x.shape[1]):
            raise ValueError(f"`law` must be a law of dimension {x.shape[1]}, but is {self.law!r}")
        v = unit_teacher(self.v, x.shape[1])
        y = np.where(x @ v >= 0.0, 1.0, -1.0) if self.y is None else arguments.reals("y", self.y)
        if y.shape != x.shape[:1] or not (np.abs(y) == 1.0).all():
            raise ValueError(f"`y` must be {x.shape[0]} labels, each 1 or -1, but is {self.y!r}")
        for name, value in (("x", x), ("v", v), ("y", y), ("label_noise", check_label_noise(self.label_noise))):
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """n."""
        return self.x.shape[0]

    @property
    def dim(self) -> int:
        """d."""
        return self.x.shape[1]

    @cached_property
    def points(self) -> Array:
        """y_i x_i, (n, d)."""
        return self.y[:, None] * self.x

    @property
    def margin(self) -> float:
        """min over i of y_i <v, x_i>: the margin in the teacher's direction; below 0 where a label is not the teacher's."""
        return float((self.points @ self.v).min())

    @property
    def risk(self) -> PopulationRisk:
        """The population's risk, from whose law these are; ValueError where no law was given."""
        if self.law is None:
            raise ValueError("`data` must have a law for the population's risk to exist: give `law` to the DataSet, or draw it from one")
        return PopulationRisk(self.law, self.label_noise)

    def config(self) -> dict[str, Any]:
        """What tells these samples from others, JSON: their number, seed, and a digest of x, y and v.

        >>> import flowsim as fs
        >>> data = fs.samples.draw(fs.Gaussian(dim=2), n=10, seed=1)
        >>> data.config() == fs.samples.draw(fs.Gaussian(dim=2), n=10, seed=1).config()
        True
        """
        digest = sha256(np.ascontiguousarray(np.concatenate([self.points.ravel(), self.y, self.v])).tobytes())
        return {"samples": self.size, "seed": self.seed, "digest": digest.hexdigest()[:16]}


def draw(source: Any, n: int, seed: int = 0, v: Any = None, label_noise: float = 0.0) -> DataSet:
    """n independent samples with labels sign(<v, x>), each flipped with probability eps.

    source: a law, or a `PopulationRisk`, whose label noise is taken then.  n: whole, 1 or more.
    seed: whole, zero or more; the same seed gives the same samples.  v: (d,), the teacher; default the first axis.
    label_noise: eps in [0, 1/2). ValueError where one is not what it must be.

    >>> import flowsim as fs
    >>> data = fs.samples.draw(fs.Sphere(dim=2), n=1000, seed=0, v=[0.0, 1.0], label_noise=0.25)
    >>> data.x.shape, bool(abs((data.y * data.x[:, 1] < 0).mean() - 0.25) < 0.05)
    ((1000, 2), True)
    """
    law, noise = law_and_noise(source, label_noise)
    number = int(arguments.whole("seed", seed, low=0))
    generator = np.random.default_rng(number)
    x = law.sample(generator, n)
    teacher = unit_teacher(v, law.dim)
    return DataSet(x, teacher, noisy_labels(x, teacher, noise, generator), law, noise, number)


def noisy_labels(x: Array, v: Array, noise: float, generator: np.random.Generator) -> Array:
    """sign(<v, x>), (n,), each flipped with probability ``noise``."""
    y = np.where(x @ v >= 0.0, 1.0, -1.0)
    return np.where(generator.random(y.size) < noise, -y, y) if noise > 0.0 else y


def check_data(data: Any) -> DataSet:
    """``data``, if it is a DataSet; ValueError if not."""
    if not isinstance(data, DataSet):
        raise ValueError(f"`data` must be a DataSet, such as flowsim.samples.draw(law, n=1000), but is {data!r}")
    return data


def law_and_noise(source: Any, label_noise: float = 0.0) -> tuple[Law, float]:
    """The law and the label noise that a law or a `PopulationRisk` stands for."""
    noise = check_label_noise(label_noise)
    if isinstance(source, PopulationRisk):
        if noise > 0.0:
            raise ValueError("`label_noise` must be left out where `source` is a PopulationRisk, which has its own")
        return source.law, source.label_noise
    if not isinstance(source, Law):
        raise ValueError(f"`source` must be a law such as flowsim.Gaussian(dim=2), or a PopulationRisk, but is {source!r}")
    return source, noise
