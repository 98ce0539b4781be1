"""Flows and descents of balanced layers, in the plane of w and v."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from flowsim.dynamics import SOLVERS, gradient_descent, gradient_flow
from flowsim.dynamics.descent import records_of
from flowsim.dynamics.flow import MAX_STEPS, check_times
from flowsim.dynamics.trajectory import COVERAGE, UNITS
from flowsim.problem import log_times
from flowsim.sweeps.kinds.exponents import EXPONENTS, exponents
from flowsim.sweeps.kinds.kind import Argument, Columns, Kind, Part, Quantity, Wanted
from flowsim.sweeps.kinds.problem import LAW, START, risk_of, start_of
from flowsim.theory.rates import DEEPEST

RECORDS = 100
FLOW_ARRAYS, DESCENT_ARRAYS = 20, 70
"""Numbers that a run holds for each record while it is under way, measured."""

PATH = {
    **{name: Quantity(long_name, units) for name, (units, long_name) in UNITS.items()},
    "one_minus_cos": Quantity("1 - cos(theta)"),
}
"""What a run of any kind records."""

_ERRORS = ("norm_error", "direction_error")

_DESCENT = {
    "side": Quantity("sign of the part of w across v"),
    "sharpness": Quantity("sharpness sigma: a step multiplies the part of w across v by 1 - sigma"),
    "log_layer": Quantity("log |a|, a the size of layers 2 to N"),
    **{name: Quantity(COVERAGE[name]) for name in _ERRORS},
}

_COUNTS = {name: Quantity(COVERAGE[name], kind="int") for name in ("first_burst", "exact_steps", "covered_steps")}

FLOW_TIMES = (
    Argument("time_first", "number", 1e-2, "first time recorded", low=0.0, strict=True),
    Argument("time_last", "number", 1e4, "last time recorded", low=0.0, strict=True),
    Argument("records", "whole", RECORDS, "number of records", low=2),
)
STEPS = (
    Argument("steps", "whole", 10_000, "number of steps", low=0),
    Argument("records", "whole", RECORDS, "number of records", low=2),
)

DEPTH = Argument("depth", "whole", 1, "number of layers N", low=1, high=DEEPEST, rank=7, batched=True)
STEP_SIZE = Argument("step_size", "number", 0.1, "step size eta", low=0.0, strict=True, rank=4, batched=True)

# in the plane a batch may hold several laws
_LAWS = tuple(replace(argument, batched=True) for argument in LAW)


def flow_records(fixed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The times: listed, or evenly spaced in log t."""
    if "times" in fixed:
        return {"time": check_times(fixed["times"])}
    return {"time": log_times(fixed["time_first"], fixed["time_last"], fixed["records"])}


def step_records(fixed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The steps: listed, or evenly spaced in log k."""
    return {"step": records_of(fixed["steps"], fixed.get("records", RECORDS))}


def _risks(columns: Columns) -> Any:
    """A risk for each element, one object for each problem that differs."""
    names = [argument.name for argument in LAW]
    rows = list(zip(*(columns[name].tolist() for name in names), strict=True))
    known = {row: risk_of(dict(zip(names, row, strict=True))) for row in dict.fromkeys(rows)}
    return next(iter(known.values())) if len(known) == 1 else [known[row] for row in rows]


def _flow(common: Mapping[str, Any], columns: Columns, wanted: Wanted, records: Mapping[str, np.ndarray]) -> Part:
    run = gradient_flow(
        _risks(columns),
        start_of(columns),
        records["time"],
        columns["depth"],
        common["solver"],
        common["rtol"],
        common["max_steps"],
    )
    numbers = exponents(run, run.time, wanted.numbers)
    if "solver_steps" in wanted.numbers:
        numbers["solver_steps"] = np.asarray(run.config["solver_steps"])
    return Part(run.status, {name: getattr(run, name) for name in wanted.series}, numbers)


def _descent(common: Mapping[str, Any], columns: Columns, wanted: Wanted, records: Mapping[str, np.ndarray]) -> Part:
    automatic = common["method"] == "auto"
    run = gradient_descent(
        _risks(columns),
        start_of(columns),
        columns["step_size"],
        records["step"],
        columns["depth"],
        common["method"],
        common["max_exact_steps"],
        common["stop_at_burst"],
        # a shadow is followed only for who wants to know what it tells
        automatic and bool(set(_ERRORS) & set(wanted.series)),
    )
    assert run.coverage is not None
    numbers = exponents(run, run.time, wanted.numbers)
    numbers |= {name: getattr(run.coverage, name) for name in _COUNTS if name in wanted.numbers}
    if "peak_sharpness" in wanted.numbers:
        numbers["peak_sharpness"] = np.fmax.reduce(run.sharpness, axis=1)
    holder = {name: run.coverage if name in _ERRORS else run for name in wanted.series}
    return Part(run.status, {name: getattr(holder[name], name) for name in wanted.series}, numbers)


def _prepare(values: Mapping[str, Any]) -> None:
    risk_of(values)
    if values.get("method") == "exact" and (values["max_exact_steps"] is not None or values["stop_at_burst"]):
        raise ValueError("`max_exact_steps` and `stop_at_burst` belong to the method 'auto'")


FLOW = Kind(
    "flow",
    (
        *_LAWS,
        *START,
        DEPTH,
        Argument("solver", "name", None, "solver", names=tuple(SOLVERS)),
        Argument("rtol", "number", 1e-10, "relative accuracy aimed at", low=1e-12, high=1e-3),
        Argument("max_steps", "whole", MAX_STEPS, "most steps of the solver", low=1),
        *FLOW_TIMES,
    ),
    ("times",),
    PATH,
    {**EXPONENTS, "solver_steps": Quantity("steps of the solver", kind="int")},
    flow_records,
    _flow,
    _prepare,
    lambda values: (FLOW_ARRAYS, 0),
)

DESCENT = Kind(
    "descent",
    (
        *_LAWS,
        *START,
        STEP_SIZE,
        DEPTH,
        Argument("method", "name", "auto", "how steps are taken", names=("auto", "exact")),
        Argument("max_exact_steps", "whole", None, "most steps taken one by one", low=0),
        Argument("stop_at_burst", "flag", False, "whether a run ends at its first burst"),
        *STEPS,
    ),
    ("steps",),
    {**PATH, **_DESCENT},
    {**EXPONENTS, **_COUNTS, "peak_sharpness": Quantity("largest recorded sharpness sigma")},
    step_records,
    _descent,
    _prepare,
    lambda values: (DESCENT_ARRAYS, 0),
)
