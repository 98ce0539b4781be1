"""A run from record to record: Ctrl-C keeps what was reached, a file is written every minute, and a run goes on from it bit for bit."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from flowsim.dynamics.progress import Progress
from flowsim.layers.network import Layers
from flowsim.layers.run import Kind, LayerRun
from flowsim.problem import PopulationRisk

MINUTE = 60.0
State = Mapping[str, np.ndarray]


class Reading(NamedTuple):
    """What is recorded of B networks at one record: log |w| and s, (B,); their status so far, (B,) names; observables, (B, ...) each."""

    log_norm: np.ndarray
    log_tan_half_angle: np.ndarray
    status: np.ndarray
    observed: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Engine:
    """What moves B networks.

    begin: the state at the first record, arrays by name.
    advance: (state, record) -> the state nearer to that record, and whether it is there; the same numbers from the same state, always.
    read: of the state at a record.
    layers: of the state, the networks as a batch (B,).
    """

    begin: Callable[[], State]
    advance: Callable[[State, int], tuple[State, bool]]
    read: Callable[[State], Reading]
    layers: Callable[[State], Layers]


@dataclass(frozen=True)
class Setup:
    """What a run is, before it has run: the fields of `LayerRun` of these names."""

    kind: Kind
    time: np.ndarray
    step: np.ndarray | None
    problem: PopulationRisk
    v: np.ndarray
    start: Layers
    config: Mapping[str, Any]


@dataclass
class _Records:
    """What was reached: records 0 .. reached - 1 of (B, T), the state, and the record it is on the way to."""

    reached: int
    state: State
    log_norm: np.ndarray
    s: np.ndarray
    status: np.ndarray
    observed: dict[str, np.ndarray] = field(default_factory=dict)

    def keep(self, state: State, reading: Reading) -> None:
        """A record; an interruption anywhere in it leaves the one before, and ``state`` as it was."""
        k = self.reached
        failed = ("solver_failed", "step_cap", "overflow")
        before = ~np.isin(self.status, failed)
        good = before & ~np.isin(reading.status, failed)
        self.log_norm[good, k] = reading.log_norm[good]
        self.s[good, k] = reading.log_tan_half_angle[good]
        for name, values in reading.observed.items():
            if name not in self.observed:
                self.observed[name] = np.full((*self.log_norm.shape, *values.shape[1:]), np.nan)
            self.observed[name][good, k] = values[good]
        self.state, self.reached, self.status = state, k + 1, np.where(before, reading.status, self.status)


def follow(
    setup: Setup,
    engine: Engine,
    checkpoint: str | PathLike[str] | None = None,
    resume: LayerRun | None = None,
    every: float = MINUTE,
) -> LayerRun:
    """The run that ``engine`` makes of ``setup``, written to ``checkpoint`` every so many seconds; or the rest of ``resume``.

    ValueError where ``resume`` is another run, with the difference.
    """
    size, count = int(np.prod(setup.start.shape, dtype=int)), setup.time.size
    if resume is None:
        blank = np.full((size, count), np.nan)
        records = _Records(0, engine.begin(), blank, blank.copy(), np.full(size, "ok", dtype="<U16"))
    else:
        _refuse_another(setup, resume)
        if not resume.state:
            return resume
        records = _taken_up(resume, size, count)
    interrupted, written = False, monotonic()
    with Progress("records", count) as progress:
        progress.advance(records.reached)
        try:
            while records.reached < count:
                # the first record is where the run begins
                state, there = (records.state, True) if records.reached == 0 else engine.advance(records.state, records.reached)
                if there:
                    records.keep(state, engine.read(state))
                    progress.advance(1)
                else:
                    records.state = state
                if checkpoint is not None and monotonic() - written > every:
                    _made(setup, engine, records, unfinished=True).save(checkpoint)
                    written = monotonic()
        except KeyboardInterrupt:
            interrupted = True
    return _made(setup, engine, records, unfinished=interrupted)


def _made(setup: Setup, engine: Engine, records: _Records, unfinished: bool) -> LayerRun:
    shape = setup.start.shape
    status = np.where((records.status == "ok") & unfinished, "stopped", records.status)
    full = lambda values: values.copy().reshape((*shape, *values.shape[1:]))  # noqa: E731
    last = engine.layers(records.state)
    return LayerRun(
        setup.kind,
        setup.time,
        setup.step,
        full(records.log_norm),
        full(records.s),
        full(status),
        setup.problem,
        setup.v,
        setup.start,
        Layers([matrix.reshape((*shape, *matrix.shape[1:])) for matrix in last.matrices]),
        {name: full(values) for name, values in records.observed.items()},
        setup.config,
        {**records.state, "reached": np.asarray(records.reached)} if unfinished else {},
    )


def _taken_up(run: LayerRun, size: int, count: int) -> _Records:
    state = {name: values for name, values in run.state.items() if name != "reached"}
    flat = lambda values: np.array(values).reshape((size, *values.shape[len(run.shape) :]))  # noqa: E731
    status = flat(run.status).astype("<U16")
    return _Records(
        int(run.state["reached"]),
        state,
        flat(run.log_norm),
        flat(run.log_tan_half_angle),
        np.where(status == "stopped", "ok", status),
        {name: flat(values) for name, values in run.observed.items()},
    )


def _refuse_another(setup: Setup, run: LayerRun) -> None:
    """ValueError naming what differs between the run in hand and the one to go on with."""
    if run.kind != setup.kind:
        raise ValueError(f"`resume` is a {run.kind}, but this run is a {setup.kind}")
    asked, held = json.loads(json.dumps(dict(setup.config))), dict(run.config)
    for name in sorted({*asked, *held} - {"versions"}):
        if asked.get(name) != held.get(name):
            raise ValueError(f"`resume` is another run: its {name} is {held.get(name)!r}, but {asked.get(name)!r} is asked for")
    if run.problem != setup.problem:
        raise ValueError(f"`resume` is another run: its law is {run.problem.label()}, but {setup.problem.label()} is asked for")
    same = {
        "times": np.array_equal(run.time, setup.time),
        "teacher": np.array_equal(run.v, setup.v),
        "start": len(run.start.matrices) == setup.start.depth
        and all(np.array_equal(a, b) for a, b in zip(run.start.matrices, setup.start.matrices, strict=True)),
    }
    shapes = [[matrix.shape for matrix in network.matrices] for network in (run.start, setup.start)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"`resume` is another run: its matrices have the shapes {shapes[0]}, but {shapes[1]} are asked for")
    for name, equal in same.items():
        if not equal:
            raise ValueError(f"`resume` is another run: its {name} differ from those asked for")
