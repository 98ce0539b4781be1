"""Sweeps that several tests run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import flowsim as fs
from flowsim.sweeps import log, run_sweep

# twelve chunks of 32 descents each, some tenths of a second a chunk, and little to compile
MANY = """
run = "descent"
[axes]
norm = { log = [0.1, 10.0], count = 64 }
depth = [1, 2, 3, 4, 5, 6]
[fixed]
method = "exact"
steps = 40000
records = 40
[record]
series = ["log_norm", "log_tan_half_angle"]
numbers = ["norm_exponent", "first_burst"]
[chunks]
elements = 32
"""


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The file of a sweep, and the store of its unbroken run in this process."""
    folder = tmp_path_factory.mktemp("many")
    file = folder / "many.toml"
    file.write_text(MANY)
    store = folder / "whole.zarr"
    run_sweep(fs.Sweep.from_toml(file), store)
    return file, store


@pytest.fixture
def small() -> fs.Sweep:
    """Four chunks of runs of two steps."""
    return fs.Sweep("descent", {"step_size": log(0.01, 1.0, 6), "depth": [1, 2]}, {"steps": [1, 2]}, ["log_norm"], ["risk"], chunk=3)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Chunks are made up instead of run; calling it tells which were, so far."""
    from flowsim.sweeps import engines
    from flowsim.sweeps.chunk import Outcome

    made: list[int] = []

    def run_chunk(sweep: fs.Sweep, number: int) -> Outcome:
        made.append(number)
        box = tuple(part.stop - part.start for part in sweep.grid.box(number))
        arrays = {
            name: np.full((*box, *variable.shape[len(box) :]), 0 if name == "status" else number, variable.dtype)
            for name, variable in sweep.variables.items()
        }
        return Outcome(arrays, {})

    monkeypatch.setattr(engines, "run_chunk", run_chunk)
    return lambda: made
