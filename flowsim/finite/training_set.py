"""Labelled points to learn from, and others to test on, wherever they come from: all that the networks of this room see."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.problem.risk import check_label_noise
from flowsim.samples import DataSet


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """n points x_i with labels y_i = 1 or -1. Unlike a `DataSet` it needs no teacher, and may have its own points to test on.

    x: (n, d), n and d 1 or more.  y: (n,), each 1 or -1.  name: where they are from, for titles and configurations.
    test_x, test_y: (k, d) and (k,), as x and y; both or neither.  signal: (d,), mu of a mixture or the teacher of a sample, if there is
    one; it may be 0.  label_noise: the probability with which labels of y were flipped, in [0, 1/2).

    ValueError where one is not what it must be.

    >>> from flowsim.finite.training_set import TrainingSet
    >>> data = TrainingSet([[3.0, 1.0], [-1.0, 2.0]], [1, -1], test_x=[[0.0, 1.0]], test_y=[-1])
    >>> data.points.tolist(), data.size, data.dim, data.test_y.tolist()
    ([[3.0, 1.0], [1.0, -2.0]], 2, 2, [-1.0])
    """

    x: Any
    y: Any
    name: str = "data"
    test_x: Any = None
    test_y: Any = None
    signal: Any = None
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        x = _matrix("x", self.x)
        dim = x.shape[1]
        found = {"x": x, "y": _labels("y", self.y, len(x)), "label_noise": check_label_noise(self.label_noise)}
        if (self.test_x is None) != (self.test_y is None):
            given, other = ("test_x", "test_y") if self.test_y is None else ("test_y", "test_x")
            raise ValueError(f"`{other}` must be given with `{given}`, but is None")
        if self.test_x is not None:
            test = _matrix("test_x", self.test_x)
            if test.shape[1] != dim:
                raise ValueError(f"`test_x` must have shape (samples, {dim}), as `x` has, but has shape {test.shape}")
            found |= {"test_x": test, "test_y": _labels("test_y", self.test_y, len(test))}
        if self.signal is not None:
            signal = arguments.reals("signal", self.signal)
            if signal.shape != (dim,):
                raise ValueError(f"`signal` must have shape ({dim},), but has shape {signal.shape}")
            found["signal"] = signal
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"`name` must be a text that is not empty, but is {self.name!r}")
        for name, value in found.items():
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
    def points(self) -> Float[np.ndarray, "n d"]:
        """y_i x_i, (n, d)."""
        return self.y[:, None] * self.x

    def config(self) -> dict[str, Any]:
        """What tells these data from others, JSON: name, n, d, and a digest of all points and labels, those to test on too.

        >>> from flowsim.finite.training_set import TrainingSet
        >>> one, other = TrainingSet([[1.0], [2.0]], [1, 1]), TrainingSet([[1.0], [2.0]], [1, -1])
        >>> one.config()["samples"], one.config()["digest"] == other.config()["digest"]
        (2, False)
        """
        total = sha256()
        for name in ("x", "y", "test_x", "test_y"):
            array = getattr(self, name)
            if array is not None:
                total.update(f"{name} {array.shape}".encode())
                total.update(np.ascontiguousarray(array).tobytes())
        return {"name": self.name, "samples": self.size, "dim": self.dim, "digest": total.hexdigest()[:16]}


def training_set_of(data: Any) -> TrainingSet:
    """``data`` as a TrainingSet: itself, or the points and labels of a DataSet, with its teacher v as the signal.

    data: a TrainingSet or a `DataSet`; ValueError where it is neither.

    >>> import flowsim as fs
    >>> from flowsim.finite.training_set import training_set_of
    >>> data = training_set_of(fs.samples.draw(fs.Gaussian(dim=2), n=5, seed=0))
    >>> data.name, data.size, data.signal.tolist(), training_set_of(data) is data
    ('Gaussian(dim=2, scale=1)', 5, [1.0, 0.0], True)
    """
    if isinstance(data, TrainingSet):
        return data
    if isinstance(data, DataSet):
        name = "data" if data.law is None else data.law.label()
        return TrainingSet(data.x, data.y, name, signal=data.v, label_noise=data.label_noise)
    raise ValueError(f"`data` must be a TrainingSet or a DataSet, but is {data!r}")


def _matrix(name: str, value: Any) -> np.ndarray:
    x = arguments.reals(name, value)
    if x.ndim != 2:
        raise ValueError(f"`{name}` must have shape (samples, dim), but has shape {x.shape}")
    return x


def _labels(name: str, value: Any, size: int) -> np.ndarray:
    y = arguments.reals(name, value)
    if y.shape != (size,) or not (np.abs(y) == 1.0).all():
        raise ValueError(f"`{name}` must be {size} labels, each 1 or -1, but is {value!r}")
    return y
