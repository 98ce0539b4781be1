"""Flows and descents of networks of matrices, balanced or not."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from flowsim.dynamics import SOLVERS
from flowsim.layers import OBSERVABLES, OPTIONS, Layers, layer_descent, layer_flow, start_by_name
from flowsim.layers.flow import MAX_STEPS
from flowsim.layers.run import EMPIRICAL, PER_LAYER, PER_PAIR, LayerRun
from flowsim.sweeps.kinds.exponents import EXPONENTS, exponents
from flowsim.sweeps.kinds.kind import Argument, Columns, Kind, Part, Quantity, Wanted
from flowsim.sweeps.kinds.plane import FLOW_TIMES, PATH, STEPS, flow_records, step_records
from flowsim.sweeps.kinds.problem import LAW, risk_of

_OWN_DIM = {**dict.fromkeys(PER_LAYER, "layer"), **dict.fromkeys(PER_PAIR, "pair")}

_OBSERVED = {name: Quantity(text, own_dim=_OWN_DIM.get(name)) for name, text in OBSERVABLES.items() if name not in EMPIRICAL}

FLOW_COPIES, DESCENT_COPIES = 60, 12
"""Of the matrices that a run holds while it is under way, measured."""

_NETWORK = (
    Argument("start", "name", "gaussian", "how the network starts", names=tuple(OPTIONS), rank=5),
    Argument("start_scale", "number", None, "scale of the start", low=0.0, strict=True, rank=1, batched=True),
    Argument("norm", "number", None, "|w| at the start", low=0.0, strict=True, rank=1, batched=True),
    Argument("angle", "number", None, "angle theta between w and v at the start", "rad", low=0.0, high=float(np.pi), rank=2, batched=True),
    Argument("seed", "whole", 0, "seed of the start", low=0, rank=0, batched=True),
    Argument("depth", "whole", 2, "number of layers N", low=1, high=100, rank=7),
    Argument("width", "whole", 4, "width of the hidden layers", low=1, rank=6),
)


def _start(common: Mapping[str, Any], columns: Columns, dim: int) -> Layers:
    """A network for each of n elements: alike starts of several seeds are made at once."""
    options = [name for name in ("start_scale", "norm", "angle") if columns[name][0] is not None]
    rows = np.array([columns[name].astype(float) for name in options]).T.reshape(columns["seed"].size, len(options))
    kinds, inverse = np.unique(rows, axis=0, return_inverse=True)
    which = inverse.reshape(-1)
    made = []
    for i, row in enumerate(kinds.tolist()):
        given = {"scale" if name == "start_scale" else name: value for name, value in zip(options, row, strict=True)}
        seeds = columns["seed"][which == i]
        made.append(start_by_name(common["start"], dim, common["depth"], common["width"], seeds, **given).matrices)
    back = np.argsort(np.argsort(which, kind="stable"))
    return Layers([np.concatenate(matrices)[back] for matrices in zip(*made, strict=True)])


def _run(descent: bool, common: Mapping[str, Any], columns: Columns, wanted: Wanted, records: Mapping[str, np.ndarray]) -> Part:
    risk = risk_of(common)
    start = _start(common, columns, risk.law.dim)
    observe = [name for name in wanted.series if name in _OBSERVED]
    run: LayerRun
    if descent:
        run = layer_descent(risk, start, common["step_size"], records["step"], observe=observe)
    else:
        options = {"solver": common["solver"], "rtol": common["rtol"], "max_steps": common["max_steps"]}
        run = layer_flow(risk, start, records["time"], observe=observe, **options)
    series = {name: run.observed[name] if name in _OBSERVED else getattr(run, name) for name in wanted.series}
    return Part(run.status, series, exponents(run, run.time, wanted.numbers))


def _prepare(values: Mapping[str, Any]) -> None:
    _start(values, {name: np.array([values[name]]) for name in ("seed", "start_scale", "norm", "angle")}, risk_of(values).law.dim)


def _arrays(descent: bool, values: Mapping[str, Any]) -> tuple[int, int]:
    """For each record, and of the matrices: a solver holds a state for each of its stages."""
    depth, width, dim = (int(values[name] or 2) for name in ("depth", "width", "dim"))
    entries = dim * width + max(depth - 2, 0) * width**2 + width
    return 10, (DESCENT_COPIES if descent else FLOW_COPIES) * entries


def _kind(name: str, more: tuple[Argument, ...], lists: tuple[str, ...], records: Any, descent: bool) -> Kind:
    series = {**{key: PATH[key] for key in PATH if hasattr(LayerRun, key) or key.startswith("log_")}, **_OBSERVED}
    return Kind(
        name, (*LAW, *_NETWORK, *more), lists, series, EXPONENTS, records, partial(_run, descent), _prepare, partial(_arrays, descent)
    )


LAYER_FLOW = _kind(
    "layer-flow",
    (
        Argument("solver", "name", None, "solver", names=tuple(SOLVERS)),
        Argument("rtol", "number", 1e-9, "relative accuracy aimed at", low=1e-12, high=1e-3),
        Argument("max_steps", "whole", MAX_STEPS, "most steps of the solver", low=1),
        *FLOW_TIMES,
    ),
    ("times",),
    flow_records,
    descent=False,
)

LAYER_DESCENT = _kind(
    "layer-descent",
    (Argument("step_size", "number", 0.1, "step size eta", low=0.0, strict=True, rank=4), *STEPS),
    ("steps",),
    step_records,
    descent=True,
)
