"""Profiles: building one, and values of h beside scipy.integrate.quad."""

import numpy as np
from scipy import stats

import flowsim as fs
from benchmarks.flows import _growth_by_quadrature
from benchmarks.timing import Row, seconds, show


def rows() -> list[Row]:
    out = []
    laws = {
        "Gaussian(2)": lambda: fs.Gaussian(2),
        "Sphere(2)": lambda: fs.Sphere(2),
        "StudentT(2, 1.05)": lambda: fs.StudentT(2, 1.05),
        "Radial(3, gamma(0.5))": lambda: fs.Radial(3, stats.gamma(0.5)),
    }
    for name, make in laws.items():
        out.append(Row(f"building the profile of {name}", show(seconds(lambda make=make: make().profile, 5))))
    risk = fs.PopulationRisk(fs.Gaussian(2))
    r = np.geomspace(1e-6, 1e6, 1_000_000)
    ours = seconds(lambda: risk.growth(r), 7)
    few = np.geomspace(1e-3, 1e3, 50)
    quad = seconds(lambda: [_growth_by_quadrature(float(x)) for x in few], 3)
    out.append(Row("h on 1e6 values, a value", show(ours, r.size)))
    out.append(Row("the same by scipy.integrate.quad", show(quad, few.size), f"{quad[1] / few.size / (ours[1] / r.size):.0f} times slower"))
    return out
