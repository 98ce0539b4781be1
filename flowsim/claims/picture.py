"""What a measurement looked at, as curves that any room can draw: no colours, no backend."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Role = Literal["measured", "predicted", "limit"]
POINTS = 160
"""The most points a curve keeps."""


@dataclass(frozen=True, eq=False)
class Curve:
    """y against x; more than `POINTS` points are thinned evenly, both ends kept.

    x, y: (P,) each; ValueError where they are not of one shape.
    role: "measured", drawn solid; "predicted", dashed; "limit", what a measurement may not pass, dotted.
    label: for the legend, with formulas between dollars; empty for none.  points: marks in the place of a line.

    >>> import numpy as np
    >>> from flowsim.claims import Curve
    >>> Curve(np.arange(1000), np.arange(1000), "predicted").x.size
    160
    """

    x: np.ndarray
    y: np.ndarray
    role: Role = "measured"
    label: str = ""
    points: bool = False

    def __post_init__(self) -> None:
        x, y = np.asarray(self.x, dtype=float), np.asarray(self.y, dtype=float)
        if x.ndim != 1 or x.shape != y.shape or x.size == 0:
            raise ValueError(f"`x` and `y` must be of one shape (P,), P > 0, but have shapes {x.shape} and {y.shape}")
        kept = np.unique(np.linspace(0, x.size - 1, min(POINTS, x.size)).round().astype(int))
        object.__setattr__(self, "x", x[kept])
        object.__setattr__(self, "y", y[kept])


@dataclass(frozen=True, eq=False)
class Picture:
    """Curves over two named axes.

    curves: what is drawn.  x, y: names of the axes, formulas between dollars.  x_log, y_log: whether these are logarithmic.
    ticks: names of the whole numbers 0, 1, ... on the x axis, where they are cases and not numbers.  note: one line below.

    >>> import numpy as np
    >>> from flowsim.claims import Curve, Picture
    >>> Picture((Curve(np.arange(2), np.arange(2)),), "$t$", "$r$", x_log=True).x
    '$t$'
    """

    curves: tuple[Curve, ...]
    x: str
    y: str
    x_log: bool = False
    y_log: bool = False
    ticks: tuple[str, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The picture in checks.json.

        >>> import numpy as np
        >>> from flowsim.claims import Curve, Picture
        >>> Picture((Curve(np.arange(2), np.arange(2)),), "$t$", "$r$").to_dict()["curves"][0]["role"]
        'measured'
        """
        curves = [{"label": c.label, "role": c.role, "points": c.points, "x": c.x, "y": c.y} for c in self.curves]
        return {
            "x": self.x,
            "y": self.y,
            "x_log": self.x_log,
            "y_log": self.y_log,
            "ticks": self.ticks,
            "note": self.note,
            "curves": curves,
        }


@dataclass
class Sketch:
    """A picture under way: `measured`, `predicted` and `limit` add curves, `done` closes it."""

    x: str
    y: str
    x_log: bool = False
    y_log: bool = False
    curves: list[Curve] = field(default_factory=list)

    def measured(self, x: Any, y: Any, label: str = "", points: bool = False) -> None:
        """What was found."""
        self._add(x, y, "measured", label, points)

    def predicted(self, x: Any, y: Any, label: str = "") -> None:
        """What theory says."""
        self._add(x, y, "predicted", label)

    def limit(self, x: Any, y: Any, label: str = "") -> None:
        """What a measurement may not pass."""
        self._add(x, y, "limit", label)

    def _add(self, x: Any, y: Any, role: Role, label: str, points: bool = False) -> None:
        self.curves.append(Curve(np.asarray(x, dtype=float), np.asarray(y, dtype=float), role, label, points))

    def done(self, note: str = "") -> Picture:
        """The picture."""
        return Picture(tuple(self.curves), self.x, self.y, self.x_log, self.y_log, note=note)


def picture_of_gaps(gaps: dict[str, float], limit: float, what: str = "gap") -> Picture:
    """One point a case, on a logarithmic axis, with the tolerance as a line; zeros are shown at 1e-17, below any rounding."""
    sizes = np.array(list(gaps.values()))
    sizes = np.where(np.isfinite(sizes), np.maximum(np.abs(sizes), 1e-17), np.nan)
    place = np.arange(sizes.size)
    curves = (
        Curve(place, sizes, "measured", what, points=True),
        Curve(np.array([-0.5, sizes.size - 0.5]), np.full(2, limit), "limit", "tolerance"),
    )
    names: Sequence[str] = tuple(gaps) if len(gaps) <= 24 else ()
    return Picture(curves, "case", what, y_log=True, ticks=tuple(names))
