"""What descents do: the class of each, as in a regime map, over any arguments."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from flowsim.sweeps.chart import CLASSES, MEASURED
from flowsim.sweeps.kinds.kind import Argument, Columns, Kind, Part, Quantity, Wanted
from flowsim.sweeps.kinds.plane import DEPTH, DESCENT_ARRAYS, STEP_SIZE
from flowsim.sweeps.kinds.problem import LAW, START, risk_of
from flowsim.sweeps.regimes import FEWEST, classify

RECORDS = 200
"""More than a cell of a map has, to any number of steps that a double counts."""

_NAMES = np.array(list(CLASSES))


def _map(common: Mapping[str, Any], columns: Columns, wanted: Wanted, records: Mapping[str, np.ndarray]) -> Part:
    found = classify(risk_of(common), *(columns[name] for name in ("norm", "angle", "step_size", "depth")), steps=common["steps"])
    code = found.pop("code")
    status = np.where(_NAMES[code] == "stopped", "stopped", "ok")
    return Part(status, {}, {"regime": code, **{name: found[name] for name in MEASURED if name in wanted.numbers}})


def _prepare(values: Mapping[str, Any]) -> None:
    risk_of(values)


MAP = Kind(
    "map",
    (
        *(argument for argument in LAW if argument.name != "label_noise"),
        *START,
        STEP_SIZE,
        replace(DEPTH, rank=5),
        Argument("steps", "whole", 100_000, "number of steps", low=FEWEST),
    ),
    (),
    {},
    {
        "regime": Quantity("what the descent does", kind=tuple(CLASSES)),
        **{name: Quantity(text, kind="int" if name == "first_burst" else "float") for name, text in MEASURED.items()},
    },
    lambda fixed: {},
    _map,
    _prepare,
    lambda values: (0, DESCENT_ARRAYS * RECORDS),
)
