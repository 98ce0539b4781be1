"""The far horizon: time and error against exact steps, error and its estimate against 80-bit steps, memory of a long run."""

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count

import numpy as np

import flowsim as fs
from benchmarks.descents import compiled
from benchmarks.timing import Row, seconds, show
from flowsim.problem.plane import log_sin

CASES, STEPS = 100, 10**7
BANDS = ((0.05, 1.8), (1.9, 2.1), (2.2, 8.0))
"""eta c below, near and above 2."""


@dataclass(frozen=True)
class Case:
    risk: fs.PopulationRisk
    start: fs.Start
    step_size: float
    depth: int


def cases(count: int, seed: int = 7) -> list[Case]:
    """Random starts and step sizes at depths 1-5 and three laws, a band of step sizes after the other."""
    rng = np.random.default_rng(seed)
    risks = [fs.PopulationRisk(law) for law in (fs.Gaussian(2), fs.Sphere(3), fs.StudentT(2, 3.0))]
    out = []
    for i in range(count):
        risk, (low, high) = risks[i % 3], BANDS[(i // 15) % 3]
        pull = rng.uniform(low, high)
        start = fs.Start(float(np.exp(rng.uniform(-2.3, 2.3))), float(rng.uniform(0.1, 3.0)))
        out.append(Case(risk, start, float(pull / risk.pull), 1 + i % 5))
    return out


def reference(library: ctypes.CDLL, case: Case, record: np.ndarray) -> np.ndarray:
    """log |w|, s and the sign across v at the recorded steps, (T, 3), stepped in 80-bit arithmetic."""
    number, pointer = ctypes.c_double, ctypes.POINTER(ctypes.c_double)
    s = float(case.start.log_tan_half_angle)
    steps, out = record.astype(np.int64), np.zeros((record.size, 3))
    library.descend_long(
        case.risk.profile.force.ctypes.data_as(pointer),
        number(case.risk.profile.split),
        number(case.risk.pull),
        number(case.risk.signal),
        ctypes.c_long(case.depth),
        number(case.step_size),
        number(float(log_sin(np.asarray(s)))),
        number(float(case.start.norm)),
        number(float(-np.tanh(s))),
        steps.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
        ctypes.c_long(record.size),
        out.ctypes.data_as(pointer),
    )
    return out


@dataclass(frozen=True)
class Errors:
    """Of one run at its records: actual and estimated, relative in the norm and, over max(|s|, 1), in s; largest of the two."""

    case: Case
    run: fs.Trajectory
    actual: np.ndarray
    estimated: np.ndarray
    bounded: bool


def errors(count: int = CASES, steps: int = STEPS) -> list[Errors]:
    library = compiled("descent_reference")
    if library is None:
        return []
    record = np.unique(np.round(np.geomspace(1, steps, 29)).astype(int))
    chosen = cases(count)
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        truths = list(pool.map(lambda case: reference(library, case, record), chosen))
    out = []
    for case, truth in zip(chosen, truths, strict=True):
        run = fs.gradient_descent(case.risk, case.start, case.step_size, record, case.depth)
        assert run.coverage is not None
        norm = np.abs(np.expm1(run.log_norm - truth[:, 0]))
        s = np.abs(run.log_tan_half_angle - truth[:, 1]) / np.maximum(np.abs(truth[:, 1]), 1.0)
        bounded = not ((norm > run.coverage.norm_error) | (s > run.coverage.direction_error)).any()
        estimated = np.maximum(run.coverage.norm_error, run.coverage.direction_error)
        out.append(Errors(case, run, np.maximum(norm, s), estimated, bounded))
    return out


def _accuracy_rows() -> list[Row]:
    found = errors()
    if not found:
        return [Row("far horizon against 80-bit steps", "no C compiler")]
    out = [Row(f"far horizon at k <= {STEPS:.0e}: error below its estimate", f"{sum(e.bounded for e in found)} of {len(found)} cases")]
    kinds = {
        "no burst": lambda e: e.run.status == "ok",
        "after a burst, digits left": lambda e: e.run.status == "burst" and np.isfinite(e.estimated[-1]),
        "after a burst, no digits claimed": lambda e: e.run.status == "burst" and np.isinf(e.estimated[-1]),
        "overflow, until then": lambda e: e.run.status == "overflow",
    }
    for name, belongs in kinds.items():
        group = [e for e in found if belongs(e)]
        if not group:
            continue
        claimed = [
            (e.actual[np.isfinite(e.estimated)].max(initial=0.0), e.estimated[np.isfinite(e.estimated)].max(initial=0.0)) for e in group
        ]
        actual, estimated = np.array(claimed).T
        value = f"largest {actual.max():.1e}, median {np.median(actual):.1e}"
        beside = f"estimated: largest {estimated.max():.1e}, median {np.median(estimated):.1e}; {len(group)} cases"
        out.append(Row(f"far horizon, error of norm and s, {name}", value, beside))
    return out


def _time_rows() -> list[Row]:
    out = []
    for depth, pull in ((1, 0.2), (2, 0.2), (3, 0.02)):
        risk, start = fs.PopulationRisk(fs.Gaussian(2)), fs.Start(1.0, 1.5)
        eta = pull / risk.pull
        for steps in (10**4, 10**5, 10**6, 10**7, 10**8, 10**9):
            far = partial(fs.gradient_descent, risk, start, eta, [steps], depth)
            near = partial(fs.gradient_descent, risk, start, eta, [steps], depth, "exact")
            kept: list[fs.Trajectory] = []
            ours = seconds(far, 5)
            exact = seconds(lambda near=near, kept=kept: kept.append(near()), 3 if steps < 10**8 else 1, 1 if steps < 10**8 else 0)
            a, b = far(), kept[-1]
            gap = max(abs(np.expm1(a.log_norm[-1] - b.log_norm[-1])), abs(a.log_tan_half_angle[-1] / b.log_tan_half_angle[-1] - 1.0))
            beside = f"exact steps {show(exact)}, {exact[1] / ours[1]:.3g} times as long; they differ by {gap:.0e}"
            out.append(Row(f"far horizon, N = {depth}, k = {steps:.0e}", show(ours), beside))
    for depth in (1, 2):
        risk = fs.PopulationRisk(fs.Gaussian(2))
        ours = seconds(lambda risk=risk, depth=depth: fs.gradient_descent(risk, fs.Start(1.0, 1.5), 0.5, 10**18, depth), 15)
        out.append(Row(f"far horizon, N = {depth}, k = 1e18, 200 records", show(ours)))
    return out


_MEMORY = """
import resource, sys
import flowsim as fs
risk = fs.PopulationRisk(fs.Gaussian(2))
run = lambda steps: fs.gradient_descent(risk, fs.Start(1.0, 1.5), 0.5, steps, 2)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
run(10**4); run(10**6); before = peak(); run(10**9); print(peak(), peak() - before)
"""


def _memory_row() -> Row:
    said = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True).stdout
    peak, more = (float(x) for x in said.split())
    return Row(
        "memory of a run of 1e9 steps", f"{peak:.0f} MB at its peak, with the libraries", f"{more:.0f} MB more than one of 1e6 steps"
    )


def rows() -> list[Row]:
    return [*_time_rows(), *_accuracy_rows(), _memory_row()]
