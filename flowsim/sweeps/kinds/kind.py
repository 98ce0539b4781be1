"""What a kind of run is to a sweep: its arguments, what can be recorded of it, and how a batch of it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from flowsim import arguments
from flowsim.dynamics.trajectory import STATUS as PLANE_STATUS
from flowsim.layers import STATUS as LAYER_STATUS

STATUS = {
    "pending": "not run yet",
    **PLANE_STATUS,
    **LAYER_STATUS,
    "refused": "its arguments were refused",
    "crashed": "it could not be run, for another reason than its arguments",
    "not_separated": "some label was not fitted in the end",
}
"""How an element of a sweep ended: name, and what it means."""
FAILURES = ("step_cap", "solver_failed", "series_ended", "refused", "crashed")
"""Statuses of runs that did not get as far as they were asked to, for no reason of their own."""
CODE = {name: code for code, name in enumerate(STATUS, -1)}
"""By which the store holds a status; -1 is what an array holds before anything is written to it."""

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Argument:
    """A scalar argument that can be fixed or swept.

    kind: "number", "whole", "name" or "flag".  low, high, strict: of numbers.  names: of names.  default: None where it is left to the run.
    rank: how much what it costs differs along it: chunks extend along low ranks first.  batched: whether one batch may hold several values.
    """

    name: str
    kind: str
    default: Any
    long_name: str
    units: str = "1"
    low: float = -np.inf
    high: float = np.inf
    strict: bool = False
    names: tuple[str, ...] = ()
    rank: int = 9
    batched: bool = False

    def check(self, values: Any) -> np.ndarray:
        """``values`` as an array of the argument's own type; ValueError naming it."""
        if self.kind == "number":
            return arguments.reals(self.name, values, low=self.low, high=self.high, strict=self.strict)
        if self.kind == "whole":
            return arguments.whole(self.name, values, low=int(self.low), high=None if np.isinf(self.high) else int(self.high))
        array = np.asarray(values)
        if self.kind == "flag":
            if array.dtype != bool:
                raise ValueError(f"`{self.name}` must be true or false, but is {values!r}")
            return array
        for value in array.ravel().tolist():
            arguments.one_of(self.name, value, self.names)
        return array.astype(object)


class Quantity(NamedTuple):
    """What can be recorded. kind: "float", "int", or a tuple of names that codes stand for.  own_dim: "layer" or "pair", if it has one."""

    long_name: str
    units: str = "1"
    kind: Any = "float"
    own_dim: str | None = None

    @property
    def dtype(self) -> np.dtype:
        return np.dtype({"float": "f8", "int": "i8"}.get(self.kind, "i1"))

    @property
    def fill(self) -> Any:
        """Of elements that were not run; of counts, -1 says something else."""
        return {"float": np.nan, "int": -2}.get(self.kind, -1)


class Part(NamedTuple):
    """What a batch of n gave: status names, (n,); series (n, T, ...), by name; numbers (n,), by name."""

    status: np.ndarray
    series: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]


class Wanted(NamedTuple):
    """Names of what is to be recorded; series are those that ``final`` is taken from too."""

    series: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    name: in declarations.  arguments: that can be fixed or swept.  lists: fixed ones that are lists of times or steps.
    series: what can be recorded at times, by name.  numbers: what is one number a run.
    records: (fixed) -> the names and values of the coordinates of the records: {"time" or "step": (T,)}; {} where nothing has any.
    run: (arguments that are alike in the batch, (n,) arrays of the others, what is wanted, the records) -> `Part`.
    prepare: (fixed and swept arguments of one element) -> None; ValueError where they do not go together.
    arrays: (arguments of one element) -> how many numbers a run holds while it is under way: for each record, and beside.
    """

    name: str
    arguments: tuple[Argument, ...]
    lists: tuple[str, ...]
    series: Mapping[str, Quantity]
    numbers: Mapping[str, Quantity]
    records: Callable[[Mapping[str, Any]], Mapping[str, np.ndarray]]
    run: Callable[[Mapping[str, Any], Columns, Wanted, Mapping[str, np.ndarray]], Part]
    prepare: Callable[[Mapping[str, Any]], None]
    arrays: Callable[[Mapping[str, Any]], tuple[int, int]]

    def argument(self, name: str) -> Argument:
        """The argument of this name; ValueError offering the nearest."""
        known = {argument.name: argument for argument in self.arguments}
        return known[arguments.one_of(f"an argument of {self.name}", name, known)]
