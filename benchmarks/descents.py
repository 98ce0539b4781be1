"""Exact descent: nanoseconds a step, beside a NumPy loop and a C loop of the same arithmetic."""

import ctypes
import subprocess
import tempfile
from pathlib import Path
from shutil import which

import numpy as np

import flowsim as fs
from benchmarks.timing import Row, seconds, show

ETA = 0.01


def _numpy_loop(risk: fs.PopulationRisk, steps: int, depth: int) -> np.ndarray:
    """The layers (a, z) as a user would step them, with the growth from the library."""
    a, z, v = 1.0, np.array([np.cos(1.5), np.sin(1.5)]), np.array([1.0, 0.0])
    for _ in range(steps):
        w = a ** (depth - 1) * z
        r = np.sqrt(w @ w)
        gradient = risk.profile.drag_ratio(r) * w - risk.pull * v
        a, z = (a - ETA * (gradient @ z) * a ** (depth - 2) if depth > 1 else a), z - ETA * a ** (depth - 1) * gradient
    return a ** (depth - 1) * z


def compiled(name: str) -> ctypes.CDLL | None:
    """The C file of this name beside this one, compiled; None without a compiler."""
    compiler = which("cc") or which("gcc")
    if compiler is None:
        return None
    target = Path(tempfile.mkdtemp()) / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", target, source, "-lm"], check=True)
    return ctypes.CDLL(str(target))


def in_c(library: ctypes.CDLL, risk: fs.PopulationRisk, depth: int, steps: int, eta: float = ETA, angle: float = 1.5) -> np.ndarray:
    """The end (a, parallel, mantissa, shift) of a run from norm 1 in the C loop."""
    state = np.array([1.0, np.cos(angle), np.sin(angle), 0.0])
    pointer = ctypes.POINTER(ctypes.c_double)
    library.descend(
        risk.profile.force.ctypes.data_as(pointer),
        ctypes.c_double(risk.profile.split),
        ctypes.c_double(risk.pull),
        ctypes.c_long(depth),
        ctypes.c_double(eta),
        state.ctypes.data_as(pointer),
        ctypes.c_long(steps),
    )
    return state


def rows() -> list[Row]:
    risk, start = fs.PopulationRisk(fs.Gaussian(2)), fs.Start(1.0, 1.5)
    steps, many, out = 2_000_000, 4096, []
    library = compiled("descent_loop")
    for depth in (1, 3):
        ours = seconds(lambda depth=depth: fs.gradient_descent(risk, start, ETA, [steps], depth, "exact"), 5)
        out.append(Row(f"exact descent, one trajectory, N = {depth}, a step", show(ours, steps)))
        loop = seconds(lambda depth=depth: _numpy_loop(risk, 2000, depth), 3)
        ratio = (loop[1] / 2000) / (ours[1] / steps)
        out.append(Row(f"the same, NumPy loop over steps, N = {depth}", show(loop, 2000), f"{ratio:.0f} times slower"))
        if library is None:
            continue
        native = seconds(lambda depth=depth: in_c(library, risk, depth, steps), 5)
        a, parallel, *_ = in_c(library, risk, depth, steps)
        norm = float(fs.gradient_descent(risk, start, ETA, [steps], depth, "exact").norm[-1])
        gap = abs(abs(a) ** (depth - 1) * abs(parallel) / norm - 1.0)
        beside = f"ours takes {ours[1] / native[1]:.2f} times as long; norms agree to {gap:.0e}"
        out.append(Row(f"the same, C loop (-O3), N = {depth}", show(native, steps), beside))
    angles = fs.Start(1.0, np.linspace(0.05, 3.1, many))
    batch = seconds(lambda: fs.gradient_descent(risk, angles, ETA, [2000], 3, "exact"), 5)
    out.append(Row(f"exact descent, batch of {many}, N = 3, a step and trajectory", show(batch, 2000 * many)))
    return out
