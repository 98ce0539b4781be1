"""A second opinion on flow.json at early times, from the definitions alone: prints the largest disagreement.

w' = -r^(2-2/N) (grad L + (N-1) <grad L, w/r> w/r),   grad L(w) = -E[ y x / (1 + exp(y <w, x>)) ]

The expectation is taken in the plane of (v, w), over the direction and the norm of x, without h, c or s.
The circle and the Gaussian of the plane, t <= 10.  Run: python tests/references/check_flow.py
"""

import json
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

NORMS, ANGLES = (1e-3, 1e2), (0.1, 3.1)


def rule(law):
    """Points x with <x, v> > 0, v = (0, 1), and weights: half of the plane stands for all of it."""
    node, weight = np.polynomial.legendre.leggauss(240)
    phi, turn = np.pi * (1 + node) / 2, weight / 2
    if law == "Gaussian":
        rho = 4.75 * (1 + node)
        mass = 4.75 * weight * rho * np.exp(-(rho**2) / 2)
    else:
        rho, mass = np.ones(1), np.ones(1)
    x = np.stack([np.outer(rho, np.cos(phi)).ravel(), np.outer(rho, np.sin(phi)).ravel()])
    return x, np.outer(mass, turn).ravel()


def solve(law, case, times):
    """w at the times, by an explicit Runge-Kutta pair of order 8."""
    x, mass = rule(law)
    depth, norm, angle = case["depth"], float(case["norm"]), float(case["angle"])

    def field(_, w):
        grad = -x @ (mass / (1 + np.exp(w @ x)))
        r = np.hypot(*w)
        return -(r ** (2 - 2 / depth)) * (grad + (depth - 1) * (grad @ w) / r**2 * w)

    start = norm * np.array([np.sin(angle), np.cos(angle)])
    return solve_ivp(field, (0, times[-1]), start, "DOP853", times, rtol=1e-12, atol=1e-15).y.T


def main():
    """Compare the norm and s of every mild start at t = 0.01, 1, 10."""
    worst, count = 0.0, 0
    for case in json.loads((Path(__file__).parent / "flow.json").read_text())["cases"]:
        mild = NORMS[0] < float(case["norm"]) < NORMS[1] and ANGLES[0] < float(case["angle"]) < ANGLES[1]
        if case["law"] not in ("Gaussian", "Sphere") or case["kwargs"]["dim"] != 2 or not mild:
            continue
        keep = [i for i, t in enumerate(case["times"]) if float(t) <= 10]
        found = solve(case["law"], case, [float(case["times"][i]) for i in keep])
        for i, (side, along) in zip(keep, found, strict=True):
            s = np.log(np.tan(np.arctan2(side, along) / 2))
            gaps = [
                abs(np.log(np.hypot(side, along)) - float(case["log_norm"][i])),
                abs(s - float(case["s"][i])),
            ]
            scale = max(1.0, abs(s))
            if np.exp(s) < 1e-4:  # a double in Cartesian coordinates holds the angle to about 1e-12 absolute
                gaps.pop()
            worst, count = max(worst, gaps[0], *[g / scale for g in gaps]), count + 1
        print(case["law"], case["depth"], case["norm"], case["angle"], f"{worst:.1e}", flush=True)
    print(f"{count} points, worst {worst:.1e}")


if __name__ == "__main__":
    main()
