"""Coordinates of a predictor w in the plane span(v, w): norm r, angle theta to v, and s = log tan(theta/2)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments

Array = Float[np.ndarray, "..."]

_PI_REST = 1.2246467991473532e-16
"""pi minus the double nearest to it."""


def log_tan_half(angle: Array) -> Array:
    """s = log tan(theta/2) of doubles theta in [0, pi]; -inf at 0 and +inf at the double nearest to pi."""
    with np.errstate(divide="ignore"):
        small = np.log(np.tan(np.minimum(angle, 2.0) / 2.0))
        gap = (np.pi - angle) + _PI_REST
        large = -np.log(np.tan(np.where(angle >= np.pi, 0.0, np.minimum(gap, 2.0)) / 2.0))
    return np.asarray(np.where(angle < 1.5, small, large))


def angle_of(s: Array) -> Array:
    """theta = 2 arctan(exp(s)) in [0, pi]; 0 where exp(s) underflows."""
    with np.errstate(over="ignore", under="ignore"):
        return np.where(s < 0, 2.0 * np.arctan(np.exp(np.minimum(s, 0.0))), np.pi - 2.0 * np.arctan(np.exp(-np.maximum(s, 0.0))))


def one_minus_cos(s: Array) -> Array:
    """1 - cos(theta) = 2/(1 + exp(-2 s)), without cancellation."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(2.0 / (1.0 + np.exp(-2.0 * s)))


def log_sin(s: Array) -> Array:
    """log sin(theta) = -log cosh(s)."""
    size = np.abs(s)
    return np.asarray(np.log(2.0) - size - np.log1p(np.exp(-2.0 * size)))


@dataclass(frozen=True, eq=False)
class Start:
    """Where runs start: norm r > 0 and angle theta in [0, pi] to v; arrays broadcast to one batch.

    norm: |w(0)|, of the end-to-end predictor, 1e-100 to 1e100.
    angle: in radians. 0 and the double nearest to pi stand for the two rays exactly.

    Raises ValueError where one is out of range, or shapes do not broadcast. Starts compare and hash by value.

    >>> import flowsim as fs
    >>> start = fs.Start(norm=[0.1, 1.0, 10.0], angle=1.5)
    >>> start.shape, start.log_tan_half_angle.round(6).tolist()
    ((3,), [-0.070856, -0.070856, -0.070856])
    """

    norm: Any = 1.0
    angle: Any = 1.5

    def __post_init__(self) -> None:
        norm = arguments.reals("norm", self.norm, low=0.0, strict=True)
        if (norm > 1e100).any() or (norm < 1e-100).any():
            raise ValueError(f"`norm` must be in [1e-100, 1e+100], but is {float(norm[(norm > 1e100) | (norm < 1e-100)].flat[0]):.6g}")
        angle = arguments.reals("angle", self.angle, low=0.0, high=float(np.pi))
        try:
            norm, angle = np.broadcast_arrays(norm, angle)
        except ValueError:
            raise ValueError(f"`norm` and `angle` must broadcast, but have shapes {norm.shape} and {angle.shape}") from None
        object.__setattr__(self, "norm", norm)
        object.__setattr__(self, "angle", angle)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Start) and np.array_equal(self.norm, other.norm) and np.array_equal(self.angle, other.angle)

    def __hash__(self) -> int:
        return hash((self.norm.shape, self.norm.tobytes(), self.angle.tobytes()))

    @classmethod
    def from_vectors(cls, w: Any, v: Any) -> "Start":
        """The start of predictors w, seen from the teacher v: r = |w|, theta the angle between them.

        w: (..., d), not 0.  v: (d,), not 0; only its direction counts. ValueError on other shapes.

        >>> import flowsim as fs
        >>> start = fs.Start.from_vectors(w=[0.6, -0.8], v=[0.0, 1.0])
        >>> float(start.norm), round(float(start.angle), 6)
        (1.0, 2.498092)
        """
        w, v = arguments.reals("w", w), arguments.reals("v", v)
        if v.ndim != 1 or not np.linalg.norm(v) > 0:
            raise ValueError(f"`v` must be a nonzero vector, but is {v!r}")
        if w.ndim == 0 or w.shape[-1] != v.size:
            raise ValueError(f"`w` must have shape (..., {v.size}) like `v`, but has shape {w.shape}")
        v = v / np.linalg.norm(v)
        parallel = w @ v
        perpendicular = np.linalg.norm(w - parallel[..., None] * v, axis=-1)
        return cls(np.linalg.norm(w, axis=-1), np.minimum(np.arctan2(perpendicular, parallel), np.pi))

    def broadcast(self, shape: tuple[int, ...]) -> "Start":
        """The same start or starts, repeated to this shape.

        shape: of a batch; ValueError, NumPy's, where these starts do not broadcast to it.

        >>> import flowsim as fs
        >>> fs.Start(norm=1.0, angle=1.5).broadcast((2, 3)).shape
        (2, 3)
        """
        return self if shape == self.shape else Start(np.broadcast_to(self.norm, shape), np.broadcast_to(self.angle, shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch's shape; () for a single start."""
        return self.norm.shape

    @property
    def log_tan_half_angle(self) -> Array:
        """s = log tan(theta/2)."""
        return log_tan_half(self.angle)


def log_times(first: float = 1e-2, last: float = 1e12, count: int = 200) -> Array:
    """``count`` times from first to last, evenly spaced in log t: (count,).

    first, last: 0 < first < last.  count: whole, 2 or more. ValueError where one is not.

    >>> import flowsim as fs
    >>> fs.log_times(1e-2, 1e2, 5).round(12).tolist()
    [0.01, 0.1, 1.0, 10.0, 100.0]
    """
    low = arguments.real("first", first, low=0.0, strict=True)
    high = arguments.real("last", last, low=low, strict=True)
    n = int(arguments.whole("count", count, low=2))
    times = np.geomspace(low, high, n)
    return times
