"""Thirty-digit references for the profile functions of the reference laws: writes profile.json.

h = E[x s], A = E log(1+exp(-r x)), D = (c-h)/r = E[x tanh(r x/2)]/(2r), -h' = E[x^2 s(1-s)],
with x = |x_1| and s = 1/(1+exp(r x)).  Run: python tests/references/make_profile.py
"""

import json
import sys
import time
from bisect import bisect_left
from math import log
from pathlib import Path

from flint import arb
from nodes import make_law, nodes, working_bits

HERE = Path(__file__).parent
RADII = [
    "1e-300",
    "1e-100",
    "1e-30",
    "1e-12",
    "1e-9",
    "1e-6",
    "1e-3",
    "0.03",
    "0.1",
    "0.3",
    "1",
    "1.7",
    "3",
    "7",
    "20",
    "60",
    "200",
]
RADII += ["1e3", "1e4", "1e6", "1e9", "1e12", "1e30", "1e100", "1e300"]
FIELDS = ("h", "A", "drag_ratio", "curvature")
CHOICES = ({"bits": 230, "digits": 52, "shift": 0.0}, {"bits": 290, "digits": 67, "shift": 0.375})
NEEDED = 1e-32


def case(name, dim, radius=None, **kwargs):
    """One (law, kwargs, radius law)."""
    law = None if radius is None else {"name": radius[0], "args": list(radius[1:])}
    return name, {"dim": dim, **kwargs}, law


LAWS = [
    case("Gaussian", 2, scale=1.0),
    case("Gaussian", 5, scale=0.01),
    ("Sphere", {"dim": 2, "radius": 1.0}, None),
    ("Sphere", {"dim": 3, "radius": 1.0}, None),
    ("Sphere", {"dim": 10, "radius": 2.5}, None),
    ("Sphere", {"dim": 200, "radius": 1.0}, None),
    ("Ball", {"dim": 2, "radius": 1.0}, None),
    ("Ball", {"dim": 7, "radius": 3.0}, None),
    case("StudentT", 2, df=5.0, scale=1.0),
    case("StudentT", 3, df=1.5, scale=1.0),
    case("StudentT", 2, df=2.0, scale=1.0),
    case("StudentT", 2, df=1.05, scale=1.0),
    case("StudentT", 2, df=30.0, scale=1.0),
    case("Laplace", 3, scale=1.0),
    case("Laplace", 2, scale=40.0),
    case("Radial", 2, ("gamma", 3.0)),
    case("Radial", 3, ("uniform", 0.5, 1.0)),
    case("Radial", 2, ("lognorm", 0.7)),
    case("Radial", 4, ("weibull_min", 4.0)),
    case("Radial", 5, ("beta", 2.0, 2.0)),
    case("Radial", 2, ("triang", 0.5)),
    case("Radial", 3, ("gamma", 0.5)),
    case("Radial", 2, ("expon",)),
    case("Radial", 3, ("pareto", 1.5)),
    case("Radial", 2, ("halfnorm",)),
]


def as_log(x):
    """log of a positive ball as a double, at any magnitude."""
    return float(x.log())


def profile(law, tables, positions, radius):
    """(h, A, D, -h') at one r: sums over the nodes with r x < 160; beyond, tanh = 1 and the rest is nil."""
    r = arb(float(radius))
    log_r = as_log(r)
    first_log = min(0.0, -log_r) - 120 / law.small
    h, risk, drag, curve = arb(0), arb(0), arb(0), arb(0)
    for (xs, ws, _), (logs, behind) in zip(tables, positions, strict=True):
        first, last = bisect_left(logs, first_log), bisect_left(logs, log(160.0) - log_r)
        for x, w in zip(xs[first:last], ws[first:last], strict=True):
            t = (-r * x).expm1()
            q, p = 1 + t, 2 + t  # exp(-r x), 1 + exp(-r x)
            wx = w * x
            s = q / p
            h += wx * s
            risk += w * q.log1p()
            drag -= wx * t / p
            curve += wx * x * s / p
        drag += behind[last]
    return h, risk, drag / (2 * r), curve


def positions_of(tables):
    """For each piece: log x_j, and the sums of w x over the nodes from j on (with the tail)."""
    result = []
    for xs, ws, tail in tables:
        total, behind = tail, [tail]
        for x, w in zip(reversed(xs), reversed(ws), strict=True):
            total = total + w * x
            behind.append(total)
        result.append(([as_log(x) for x in xs], behind[::-1]))
    return result


def difference(a, b):
    """|a/b - 1| with both balls' radii counted."""
    return float((a / b - 1).abs_upper())


def checks(law, tables, positions):
    """Relative errors of int f = 1, E|x_1| = 2c and, where finite, E[x_1^2], summed on the nodes."""
    keep = [[j for j, level in enumerate(logs) if level > -125 / law.small] for logs, _ in positions]
    mass = sum((ws[j] for (_, ws, _), kept in zip(tables, keep, strict=True) for j in kept), arb(0))
    mean = sum((behind[kept[0]] for (_, behind), kept in zip(positions, keep, strict=True)), arb(0))
    errors = [difference(mass, arb(1)), difference(mean, 2 * law.c)]
    if law.second is not None:
        square = sum((w * x * x for xs, ws, _ in tables for x, w in zip(xs, ws, strict=True)), arb(0))
        errors.append(difference(square, law.second))
    return errors


def evaluate(spec, choice):
    """All rows of one law at one precision and step, with c and the moment checks."""
    working_bits(choice["bits"])
    law = make_law(*spec)
    tables = nodes(law, choice["digits"], choice["shift"])
    positions = positions_of(tables)
    rows = [profile(law, tables, positions, r) for r in RADII]
    return law.c, rows, checks(law, tables, positions)


def text(value):
    """Thirty-four significant digits."""
    return arb(value.mid()).str(34, radius=False)


def main(only=None):
    """Evaluate every law twice, keep the values the two agree on, write profile.json."""
    start, worst, laws = time.time(), 0.0, []
    for spec in LAWS:
        if only and only not in str(spec):
            continue
        c, rows, _ = evaluate(spec, CHOICES[0])
        c2, rows2, errors = evaluate(spec, CHOICES[1])
        entry = {"law": spec[0], "kwargs": spec[1]}
        if spec[2]:
            entry["radius"] = spec[2]
        entry |= {"c": text(c2), "rows": []}
        local, route = difference(c, c2), 0.0
        for radius, row, row2 in zip(RADII, rows, rows2, strict=True):
            gaps = [difference(a, b) for a, b in zip(row, row2, strict=True)]
            if max(gaps) > NEEDED:
                print("left out", spec, radius, gaps)
                continue
            local = max(local, *gaps)
            r, (h, _, drag, _) = arb(float(radius)), row2
            if float(radius) > 1e-12:  # D again, as (c-h)/r
                lost = float(c2 / (c2 - h))
                route = max(route, difference((c2 - h) / r, drag) / lost)
            entry["rows"].append({"r": radius, **dict(zip(FIELDS, map(text, row2), strict=True))})
        entry["agreement"] = f"{local:.1e}"
        laws.append(entry)
        worst = max(worst, local, *errors, route)
        print(
            spec,
            f"{local:.1e} route {route:.1e} checks",
            [f"{e:.1e}" for e in errors],
            f"{time.time() - start:.0f}s",
        )
        sys.stdout.flush()
    if only:
        return
    body = {
        "made_by": "tests/references/make_profile.py",
        "digits": 34,
        "agreement": f"{worst:.1e}",
        "numbers": "r and every parameter stand for the IEEE doubles nearest to the decimals written",
        "laws": laws,
    }
    (HERE / "profile.json").write_text(json.dumps(body, indent=1) + "\n")
    print(f"worst {worst:.1e}, {time.time() - start:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
