"""Accuracy against tests/references: profiles against 34-digit values, flows against an 80-bit integration."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import flowsim as fs
from benchmarks.timing import Row

REFERENCES = Path(__file__).parent.parent / "tests" / "references"


def law_of(entry: dict[str, Any]) -> fs.Law:
    """The law a reference file names."""
    arguments = dict(entry["kwargs"])
    if entry.get("radius"):
        arguments["radius"] = getattr(stats, entry["radius"]["name"])(*entry["radius"]["args"])
    return getattr(fs, entry["law"])(**arguments)


def profile_errors() -> dict[str, float]:
    """The largest relative error of h, A, (c - h)/r and -h' over all laws and r in [1e-12, 1e12]."""
    worst = {"h": 0.0, "A": 0.0, "drag_ratio": 0.0, "curvature": 0.0}
    for entry in json.loads((REFERENCES / "profile.json").read_text())["laws"]:
        profile = law_of(entry).profile
        functions = {"h": profile.growth, "A": profile.aligned, "drag_ratio": profile.drag_ratio, "curvature": profile.curvature}
        rows = [row for row in entry["rows"] if 9e-13 <= float(row["r"]) <= 1.1e12]
        r = np.array([float(row["r"]) for row in rows])
        for name, function in functions.items():
            truth = np.array([float(row[name]) for row in rows])
            worst[name] = max(worst[name], float(np.abs(function(r) / truth - 1.0).max()))
    return worst


def flow_errors() -> dict[str, tuple[float, float]]:
    """The largest relative errors of norm and s, by time, over all reference cases."""
    worst: dict[str, tuple[float, float]] = {}
    for case in json.loads((REFERENCES / "flow.json").read_text())["cases"]:
        times = [float(t) for t in case["times"]]
        run = fs.gradient_flow(fs.PopulationRisk(law_of(case)), fs.Start(float(case["norm"]), float(case["angle"])), times, case["depth"])
        norm = np.abs(np.expm1(run.log_norm - np.array([float(x) for x in case["log_norm"]])))
        s = np.zeros(norm.shape)
        if case["s"][0] is not None:
            s = np.abs(run.log_tan_half_angle / np.array([float(x) for x in case["s"]]) - 1.0)
        for t, a, b in zip(case["times"], norm, s, strict=True):
            old = worst.get(t, (0.0, 0.0))
            worst[t] = (max(old[0], float(a)), max(old[1], float(b)))
    return dict(sorted(worst.items(), key=lambda item: float(item[0])))


def rows() -> list[Row]:
    profile = ", ".join(f"{name} {error:.1e}" for name, error in profile_errors().items())
    out = [Row("largest relative error of profiles, 25 laws, r in [1e-12, 1e12]", profile)]
    for t, (norm, s) in flow_errors().items():
        out.append(Row(f"largest relative error of flows at t = {float(t):g}, all reference cases", f"norm {norm:.1e}, s {s:.1e}"))
    return out
