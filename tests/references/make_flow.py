"""References for the gradient flow in extended precision: writes flow.json.

r' = N r^(2-2/N) (h(r) - c (1 - cos theta)),   s' = -c r^(1-2/N),   s = log tan(theta/2)

Each case is integrated twice in 80-bit arithmetic by Gragg-Bulirsch-Stoer extrapolation, in two coordinate
systems and at two orders and tolerances: (log r, s), and (q, ell) with w = q v + exp(ell) n.
Run: python tests/references/make_flow.py
"""

import json
import time
from pathlib import Path

import numpy as np
from flint import arb
from nodes import make_law, nodes, working_bits
from tables import Table

HERE = Path(__file__).parent
LD = np.longdouble
ONE, TWO = LD(1), LD(2)
ALIGNED = -(LD(2) ** 10000)  # stands for s = -inf, the start theta = 0
TIMES = ["1", "1e3", "1e6", "1e12"]
LONG = ["0.01", "1", "10", "100", "1e3", "1e6", "1e9", "1e12", "1e15"]
WIDE = ["1e-8,1.0", "1e8,2.0", "0.3,3.1", "5,0.45", "1,3.14159", "2,1e-6"]
PAIR = ["1,1.5", "1,2.498091544796509"]
LAWS = [
    ("Gaussian", {"dim": 2, "scale": 1.0}, None),
    ("Gaussian", {"dim": 3, "scale": 0.1}, None),
    ("Sphere", {"dim": 2, "radius": 1.0}, None),
    ("Sphere", {"dim": 3, "radius": 1.0}, None),
    ("Ball", {"dim": 4, "radius": 1.0}, None),
    ("StudentT", {"dim": 2, "df": 5.0, "scale": 1.0}, None),
    ("StudentT", {"dim": 3, "df": 1.5, "scale": 1.0}, None),
    ("Laplace", {"dim": 2, "scale": 1.0}, None),
    ("Radial", {"dim": 2}, {"name": "gamma", "args": [3.0]}),
    ("Radial", {"dim": 3}, {"name": "uniform", "args": [0.5, 1.0]}),
]
FINE, CHECK, ROUGH = (9, LD("4e-17")), (7, LD("1e-15")), (7, LD("1e-14"))


def step_of(field, y, dt, columns):
    """One extrapolated modified-midpoint step of n = 2, 4, ..., 2 columns substeps: (y, last correction)."""
    f0, rows = field(y), []
    for k in range(1, columns + 1):
        n = 2 * k
        sub = dt / n
        before, here = y, [a + sub * b for a, b in zip(y, f0, strict=True)]
        for _ in range(n - 1):
            slope = field(here)
            before, here = here, [a + 2 * sub * b for a, b in zip(before, slope, strict=True)]
        row = [here]
        for j in range(1, k):
            ratio = LD(k) ** 2 / LD(k - j) ** 2 - 1
            row.append([a + (a - b) / ratio for a, b in zip(row[-1], rows[-1][j - 1], strict=True)])
        rows.append(row)
    best, other = rows[-1][-1], rows[-1][-2]
    return best, [a - b for a, b in zip(best, other, strict=True)]


class Flow:
    """The two forms of the flow for one law and depth."""

    def __init__(self, table, depth):
        self.table, self.c, self.depth = table, table.c, LD(depth)
        self.power = ONE - TWO / self.depth

    def polar(self, y):
        """(log r, s)' ; an aligned s stays."""
        level, s = y
        speed = np.exp(self.power * level)
        bend = TWO / (ONE + np.exp(-TWO * s))
        h, _ = self.table(level)
        return [self.depth * speed * (h - self.c * bend), LD(0) if s == ALIGNED else -self.c * speed]

    def plane(self, y):
        """(q, ell)' ; 1 - cos = z^2/(r (r+q)) for q > 0."""
        q, ell = y
        z = np.exp(ell)
        r = np.hypot(q, z)
        cos = q / r
        bend = (z / r) * (z / (r + q)) if q > 0 else ONE - cos
        level = np.log(r)
        h, drag = self.table(level)
        speed, n = np.exp(self.power * level), self.depth
        pull = self.c * bend * (ONE - (n - 1) * cos) + n * h * cos
        return [speed * r * pull, -speed * (n * r * drag - (n - 1) * self.c * cos)]

    @staticmethod
    def to_plane(level, s):
        """q = r cos theta, ell = log(r sin theta)."""
        return [-np.exp(level) * np.tanh(s), level + np.log(TWO) + s - np.log1p(np.exp(TWO * s))]

    @staticmethod
    def to_polar(q, ell):
        """log r, and s = ell - log(r + q), or log(r - q) - ell for q < 0."""
        z = np.exp(ell)
        r = np.hypot(q, z)
        return [np.log(r), ell - np.log(r + q) if q > 0 else np.log(r - q) - ell]

    def solve(self, level, s, times, form, rule):
        """[(log r, s), ...] at the times, stepping in plain t with steps that grow as they may."""
        columns, tol = rule
        plane = form == "plane"
        field = self.plane if plane else self.polar
        y = self.to_plane(level, s) if plane else [level, s]
        slope = field(y)
        size = np.hypot(y[0], np.exp(y[1])) if plane else ONE
        dt = LD("0.01") / (abs(slope[0]) / size + abs(slope[1]) + LD("1e-30"))
        now, out, count = LD(0), [], 0
        for target in times:
            while now < target:
                count += 1
                if count > 20000:
                    raise ArithmeticError("too many steps")
                take = min(dt, target - now)
                new, error = step_of(field, y, take, columns)
                size = np.hypot(new[0], np.exp(new[1])) if plane else ONE
                worst = max(abs(error[0]) / size, abs(error[1]) / max(ONE, abs(new[1])))
                if not worst < 10:  # also when not a number
                    dt = take / 8
                    continue
                factor = (tol / max(worst, LD("1e-25"))) ** (ONE / (2 * columns - 1))
                if worst <= 4 * tol:
                    now = target if take == target - now else now + take
                    y, wish = new, take * min(LD(4), LD("0.85") * factor)
                    dt = max(dt, wish) if take < dt else wish
                else:
                    dt = take * max(LD("0.1"), LD("0.8") * factor)
            out.append(self.to_polar(*y) if plane else list(y))
        self.steps = count
        return out


def start_of(norm, angle):
    """log r and s of a start, from the doubles."""
    level = LD(arb(float(norm)).log().str(30, radius=False))
    if float(angle) == 0:
        return level, ALIGNED
    return level, LD((arb(float(angle)) / 2).tan().log().str(30, radius=False))


def gap(a, b):
    """max(|d log r|, |d s| / max(1, |s|))."""
    return float(max(abs(a[0] - b[0]), abs(a[1] - b[1]) / max(ONE, abs(a[1]))))


def run_case(table, depth, start, times):
    """One case with its error estimate and conditioning."""
    norm, angle = start.split(",")
    flow, (level, s) = Flow(table, depth), start_of(norm, angle)
    clock = [LD(float(t)) for t in times]
    aligned = s == ALIGNED
    forms = ("plane", "polar") if depth == 1 and not aligned else ("polar", "plane")
    if aligned:
        forms = ("polar", "polar")
    best = flow.solve(level, s, clock, forms[0], FINE)
    steps = flow.steps
    other = flow.solve(level, s, clock, forms[1], CHECK)
    tweak = LD("1e-6")
    moved = [flow.solve(level + tweak, s, clock, forms[0], ROUGH)]
    if not aligned:
        moved.append(flow.solve(level, s + tweak, clock, forms[0], ROUGH))
    gaps = [gap(a, b) for a, b in zip(best, other, strict=True)]
    condition = [max(gap(a, b[i]) for b in moved) / float(tweak) for i, a in enumerate(best)]
    return {
        "depth": depth,
        "norm": norm,
        "angle": angle,
        "times": list(times),
        "log_norm": [np.format_float_scientific(a[0], precision=20, unique=False) for a in best],
        "s": [None if aligned else np.format_float_scientific(a[1], precision=20, unique=False) for a in best],
        "estimate": [f"{g:.1e}" for g in gaps],
        "condition": [f"{k:.1e}" for k in condition],
        "forms": list(forms),
    }, steps


def plan(spec):
    """(depth, start, times) of every case of a law."""
    for depth in (1, 2, 3, 5):
        for start in PAIR:
            yield depth, start, LONG if spec in (LAWS[0], LAWS[6]) else TIMES
    if spec in (LAWS[0], LAWS[2]):
        for depth in (1, 2, 3, 5, 10, 100):
            for start in WIDE:
                yield depth, start, LONG if start == WIDE[0] else TIMES
        for depth in (1, 2, 3, 10):
            yield depth, "1,0", TIMES


def main():
    """Every case: keep the points whose two integrations agree to 1e-13."""
    start, cases, left, worst, most = time.time(), [], [], 0.0, 0
    for spec in LAWS:
        working_bits(200)
        law = make_law(*spec)
        table = Table(law, nodes(law, 26, 0.0, low=-115.0, high=85.0))
        error = table.verify(law, nodes(law, 34, 0.3, low=-125.0, high=95.0))
        print(spec, f"table error {error:.1e}, {time.time() - start:.0f} s", flush=True)
        for depth, begin, times in plan(spec):
            try:
                case, steps = run_case(table, depth, begin, times)
            except ArithmeticError as problem:
                left.append(f"{spec} N={depth} start={begin}: {problem}")
                print(left[-1], flush=True)
                continue
            most = max(most, steps)
            case = {"law": spec[0], "kwargs": spec[1], **({"radius": spec[2]} if spec[2] else {}), **case}
            bad = [i for i, e in enumerate(case["estimate"]) if not float(e) <= 1e-13]
            for i in reversed(bad):
                left.append(f"{spec} N={depth} start={begin} t={times[i]}: {case['estimate'][i]}")
                print(left[-1], flush=True)
                for key in ("times", "log_norm", "s", "estimate", "condition"):
                    del case[key][i]
            worst = max([worst, *map(float, case["estimate"])])
            cases.append(case)
    body = {
        "made_by": "tests/references/make_flow.py",
        "estimate": f"{worst:.1e}",
        "numbers": "norm, angle and parameters stand for the IEEE doubles nearest to the decimals written",
        "left_out": left,
        "cases": cases,
    }
    (HERE / "flow.json").write_text(json.dumps(body, indent=1) + "\n")
    print(f"worst {worst:.1e}, {len(cases)} cases, {len(left)} left out, at most {most} steps, {time.time() - start:.0f} s")


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main()
