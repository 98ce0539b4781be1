"""What a sweep varies: values along an axis, listed, evenly spaced in x or log x, or drawn at random from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowsim import arguments


@dataclass(frozen=True, eq=False)
class Axis:
    """Values of one argument. Made by `listed`, `linear`, `log` and `random`.

    values: (n,), numbers or names.  spacing: "listed", "linear", "log" or "random": of a picture's axis, and of what is done with them.
    along: the dimension they lie along, shared with all axes that name the same: taken in pairs, not as a product. None: their own.
    said: how the axis was declared, everything JSON.

    >>> import flowsim as fs
    >>> fs.sweeps.log(0.01, 100.0, 5).values.round(12).tolist()
    [0.01, 0.1, 1.0, 10.0, 100.0]
    """

    values: np.ndarray
    spacing: str
    along: str | None
    said: Mapping[str, Any]


def listed(values: Any, along: Any = None) -> Axis:
    """These values, in this order. ValueError where one stands twice: a run would be made twice.

    values: (n,), numbers, names or truth values.  along: see `Axis`.

    >>> import flowsim as fs
    >>> fs.sweeps.listed(["gaussian", "sphere"]).values.tolist()
    ['gaussian', 'sphere']
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "biufUT":
        raise ValueError(f"`values` of an axis must be a list of numbers or of names, but is {values!r}")
    plain = array.tolist()
    if along is None and len(set(plain)) < len(plain):
        twice = next(value for i, value in enumerate(plain) if value in plain[:i])
        raise ValueError(f"`values` of an axis must differ, but {twice!r} stands there twice")
    return Axis(array, "listed", _along(along), {"values": plain, **_named(along)})


def linear(first: Any, last: Any, count: Any, along: Any = None) -> Axis:
    """``count`` values from first to last, evenly spaced.

    first, last: finite, first < last.  count: whole, 2 or more.  along: see `Axis`.

    >>> import flowsim as fs
    >>> fs.sweeps.linear(0, 3, 4).values.tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    low, high, n = _range(first, last, count, -np.inf)
    return Axis(np.linspace(low, high, n), "linear", _along(along), {"linear": [low, high], "count": n, **_named(along)})


def log(first: Any, last: Any, count: Any, along: Any = None) -> Axis:
    """``count`` values from first to last, evenly spaced in their logarithm.

    first, last: 0 < first < last.  count: whole, 2 or more.  along: see `Axis`.

    >>> import flowsim as fs
    >>> fs.sweeps.log(1, 100, 3).values.round(12).tolist()
    [1.0, 10.0, 100.0]
    """
    low, high, n = _range(first, last, count, 0.0)
    return Axis(np.geomspace(low, high, n), "log", _along(along), {"log": [low, high], "count": n, **_named(along)})


def random(first: Any, last: Any, count: Any, seed: Any = 0, log: bool = False, along: Any = None) -> Axis:
    """``count`` values drawn uniformly between first and last, or uniformly in their logarithm; of one seed always the same.

    first, last: finite, first < last, positive where ``log``.  count: whole, 1 or more.  seed: whole, zero or more.  along: see `Axis`.
    Along a dimension of its own they are put in order.

    >>> import flowsim as fs
    >>> fs.sweeps.random(0.0, 1.0, 3, seed=7).values.round(3).tolist()
    [0.625, 0.776, 0.897]
    """
    low, high, n = _range(first, last, count, 0.0 if log else -np.inf, fewest=1)
    chosen = int(arguments.whole("seed", seed, low=0))
    generator = np.random.default_rng(chosen)
    drawn = np.exp(generator.uniform(np.log(low), np.log(high), n)) if log else generator.uniform(low, high, n)
    said = {"random": [low, high], "count": n, "seed": chosen, **({"log": True} if log else {}), **_named(along)}
    return Axis(np.sort(drawn) if along is None else drawn, "random", _along(along), said)


def as_axis(name: str, given: Any) -> Axis:
    """An `Axis`, one as a file declares it, or a list of values. ValueError naming the axis."""
    try:
        if isinstance(given, Axis):
            return given
        return _declared(dict(given)) if isinstance(given, Mapping) else listed(given)
    except ValueError as error:
        raise ValueError(f"the axis {name!r}: {error}") from None


_RANGES = {"linear": linear, "log": log, "random": random}


def _declared(given: dict[str, Any]) -> Axis:
    kinds = [kind for kind in ("values", *_RANGES) if kind in given and not (kind == "log" and "random" in given)]
    if len(kinds) != 1:
        raise ValueError(f"must have one of `values`, `linear`, `log` and `random`, but has {', '.join(map(repr, given)) or 'nothing'}")
    kind, along = kinds[0], given.pop("along", None)
    allowed = {"values": (), "linear": ("count",), "log": ("count",), "random": ("count", "seed", "log")}[kind]
    where = given.pop(kind)
    for name in given:
        arguments.one_of(f"a key of an axis of {kind}", name, (*allowed, "along"))
    if kind == "values":
        return listed(where, along)
    if not isinstance(where, (list, tuple)) or len(where) != 2:
        raise ValueError(f"`{kind}` must be [first, last], but is {where!r}")
    if "count" not in given:
        raise ValueError(f"`{kind}` needs a `count`")
    if not isinstance(given.get("log", False), bool):
        raise ValueError(f"`log` of a random axis must be true or false, but is {given['log']!r}")
    return _RANGES[kind](*where, **given, along=along)


def _range(first: Any, last: Any, count: Any, low: float, fewest: int = 2) -> tuple[float, float, int]:
    begin = arguments.real("first", first, low=low, strict=low == 0.0)
    return begin, arguments.real("last", last, low=begin, strict=True), int(arguments.whole("count", count, low=fewest))


def _along(along: Any) -> str | None:
    if along is not None and not (isinstance(along, str) and along.isidentifier()):
        raise ValueError(f"`along` must be the name of a dimension, but is {along!r}")
    return along


def _named(along: str | None) -> dict[str, Any]:
    return {} if along is None else {"along": along}
