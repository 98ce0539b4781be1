"""Second opinions on profile.json by other formulas: prints the largest disagreements.

Laplace by trigamma, the sphere of R^3 by dilogarithm, laws with an elementary density by Gauss-Legendre
in mpmath (the circle in its angle), the limits at r >= 1e30 by f(0), radial laws by
h(r) = E[rho h_sphere(r rho)] in doubles.
Run: python tests/references/check_profile.py
"""

import json
from pathlib import Path

import numpy as np
from mpmath import exp, gamma, inf, log1p, mp, mpf, pi, polylog, psi, quad, sin, sqrt, tanh
from scipy import stats

mp.dps = 50
FIELDS = ("h", "A", "drag_ratio", "curvature")


def kernels(r):
    """The four integrands over the density."""

    def s(x):
        return 1 / (1 + exp(r * x))

    return (
        lambda x: x * s(x),
        lambda x: log1p(exp(-r * x)),
        lambda x: x * tanh(r * x / 2) / (2 * r),
        lambda x: x * x * s(x) * (1 - s(x)),
    )


def laplace(b, r):
    """h = [psi1((k+1)/2) - psi1((k+2)/2)] / (4 b r^2), k = 1/(b r)."""
    k = 1 / (b * r)
    return (psi(1, (k + 1) / 2) - psi(1, (k + 2) / 2)) / (4 * b * r * r)


def sphere3(r):
    """A = (pi^2/12 + Li2(-e^-r))/r, h = (A - log(1+e^-r))/r."""
    risk = (pi**2 / 12 + polylog(2, -exp(-r))) / r
    return (risk - log1p(exp(-r))) / r, risk


def density(entry):
    """The density of |x_1| and the end of its support, for the elementary laws."""
    kw, name = entry["kwargs"], entry["law"]
    if name == "Gaussian":
        scale = mpf(kw["scale"])
        return lambda x: sqrt(2 / pi) / scale * exp(-((x / scale) ** 2) / 2), 16 * scale
    if name == "StudentT":
        df = mpf(kw["df"])
        front = 2 * gamma((df + 1) / 2) / (sqrt(df * pi) * gamma(df / 2))
        return lambda x: front * (1 + x * x / df) ** (-(df + 1) / 2), inf
    dim = kw["dim"] + (2 if name == "Ball" else 0)
    if name == "Sphere" and dim == 2:  # over the angle, x_1 = sin(angle)
        return lambda angle: 2 / pi, pi / 2
    if name in ("Sphere", "Ball") and dim > 3:
        big = mpf(kw["radius"])
        front = 2 * gamma(mpf(dim) / 2) / (sqrt(pi) * gamma(mpf(dim - 1) / 2)) / big
        return lambda x: front * (1 - (x / big) ** 2) ** (mpf(dim - 3) / 2), big
    return None, None


def gauss(f, g, cuts):
    """int f g over the cuts."""
    return quad(lambda x: f(x) * g(x), cuts, method="gauss-legendre")


def split_points(end, r):
    """Cuts on the scales of the density, of the sigmoid layer, and of the distance to the edge."""
    if end == inf:
        cuts = [mpf(2) ** j for j in range(-12, 40)]
        return [0, *cuts]
    inner = [end * mpf(j) / 24 for j in range(1, 24)] + [end - end * mpf(2) ** -j for j in range(5, 60, 3)]
    layer = [mpf(2) ** j / r for j in range(-6, 9)]
    return sorted({mpf(0), *inner, *[x for x in layer if x < end], end})


def sphere_profile(dim, r, step=0.05):
    """(h, A, D, -h') of the unit sphere at an array of r, in doubles."""
    y = np.arange(-45, 60 / (dim - 1) + 2, step)
    x = 1 / np.sqrt(1 + np.exp(-2 * y))
    front = 2 * float(gamma(mpf(dim) / 2) / (sqrt(pi) * gamma(mpf(dim - 1) / 2)))
    w = step * front * x * (1 + np.exp(2 * y)) ** (-(dim - 1) / 2)
    z = np.asarray(r)[:, None] * x
    e = np.exp(-z)
    s = e / (1 + e)
    four = (x * s, np.log1p(e), x * np.tanh(z / 2) / 2, x * x * s / (1 + e))
    return [np.sum(w * f, axis=1) for f in four]


def mixture(entry, r):
    """The same for a radial law, by composite Gauss-Legendre in log rho with scipy's density."""
    name, args, dim = entry["radius"]["name"], entry["radius"]["args"], entry["kwargs"]["dim"]
    law = getattr(stats, name)(*args)
    low, high = law.support()
    start, stop = np.log(low) if low > 0 else -60.0, np.log(high) if high < np.inf else 5.6
    stop = {"pareto": 60.0, "lognorm": 12.0}.get(name, stop)
    inside = np.concatenate([np.arange(-60.0, -8.0, 2.0), np.arange(-8.0, 6.0, 0.25), np.arange(6.0, 60.0, 2.0)])
    cuts = np.unique([start, *inside[(inside > start) & (inside < stop)], *[np.log(0.5)] * (name == "triang"), stop])
    x, weight = np.polynomial.legendre.leggauss(20)
    half = np.diff(cuts)[:, None] / 2
    rho = np.exp(cuts[:-1, None] + half * (1 + x)).ravel()
    values = sphere_profile(dim, r * rho)
    values[2] = values[2] / (r * rho)
    mass = (half * weight).ravel() * law.pdf(rho) * rho
    return [np.sum(mass * rho**p * v) for p, v in zip((1, 0, 2, 2), values, strict=True)]


def main():
    """Print the largest relative difference per law and method."""
    for entry in json.loads((Path(__file__).parent / "profile.json").read_text())["laws"]:
        worst, method = mpf(0), ""
        f, end = density(entry)
        for row in entry["rows"]:
            r, stored = mpf(float(row["r"])), [mpf(row[k]) for k in FIELDS]
            pairs = []
            if entry["law"] == "Laplace" and 1e-3 < r < 1e13:
                method, pairs = "trigamma", [(stored[0], laplace(mpf(entry["kwargs"]["scale"]), r))]
            elif entry["law"] == "Sphere" and entry["kwargs"]["dim"] == 3 and 0.01 < r < 1e5:
                method, pairs = "dilogarithm", list(zip(stored[:2], sphere3(r), strict=True))
            elif f is not None and row["r"] in ("0.1", "1", "20"):
                four, cuts = kernels(r), split_points(end, r)
                if end == pi / 2:
                    four = [lambda a, g=g: g(sin(a)) for g in four]
                upto = {0, 1, 3} if end == inf else {0, 1, 2, 3}
                method = "Gauss-Legendre"
                pairs = [(stored[k], gauss(f, four[k], cuts)) for k in sorted(upto)]
            elif entry["law"] == "Radial" and row["r"] in ("0.1", "1", "20"):
                method, pairs = "mixture", list(zip(stored, map(mpf, mixture(entry, float(r))), strict=True))
            if f is not None and r > mpf("1e29"):  # h -> f(0) pi^2/(12 r^2), A = r h to the same order, r D -> c
                level = f(mpf(0)) * pi**2 / 12
                pairs = [(stored[0], level / r**2), (stored[1], level / r), (stored[2], mpf(entry["c"]) / r)]
            worst = max([worst, *[abs(a / b - 1) for a, b in pairs]])
        label = entry["law"], entry["kwargs"], entry.get("radius", "")
        print(*label, method or "none", mp.nstr(worst, 2), flush=True)


if __name__ == "__main__":
    main()
