"""Claims about the gradient flow: equation 7, Lemmas 2-4, and what is exact."""

import numpy as np
from scipy.integrate import solve_ivp

from flowsim.claims.claim import Claim, Finding, finding_of_gaps
from flowsim.claims.risk import PAPER
from flowsim.claims.settings import cases, risks
from flowsim.dynamics import Trajectory, gradient_flow, velocity
from flowsim.problem import PopulationRisk, Start
from flowsim.problem.plane import one_minus_cos
from flowsim.theory import Lemma4, State, two_layer_direction

_TIMES = np.array([0.5, 1.0, 2.0, 5.0, 10.0])


def _matrix_flow(risk: PopulationRisk, w: np.ndarray, v: np.ndarray, depth: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """|w| and theta along W_j' = -grad_{W_j} L of a network of matrices, from the balanced rank-one start with end-to-end w."""
    dim, size = w.size, float(np.linalg.norm(w)) ** (1.0 / depth)
    shapes = [(width, dim), *[(width, width)] * (depth - 2), (1, width)] if depth > 1 else [(1, dim)]
    units = [np.eye(rows)[0] for rows, _ in shapes]
    layers = [size * np.outer(units[0], w / np.linalg.norm(w))]
    layers += [size * np.outer(units[j], units[j - 1]) for j in range(1, depth)]
    cuts = np.cumsum([a * b for a, b in shapes])[:-1]

    def split(flat: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(shape) for part, shape in zip(np.split(flat, cuts), shapes, strict=True)]

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        parts = split(flat)
        below = [np.eye(dim)]
        for part in parts:
            below.append(part @ below[-1])
        above = [np.eye(1)]
        for part in reversed(parts):
            above.append(above[-1] @ part)
        gradient = risk.gradient(below[-1][0], v)[None, :]
        rows = [above[depth - 1 - j].T @ gradient @ below[j].T for j in range(depth)]
        return -np.concatenate([row.ravel() for row in rows])

    solution = solve_ivp(rate, (0.0, _TIMES[-1]), np.concatenate([x.ravel() for x in layers]), "DOP853", _TIMES, rtol=1e-11, atol=1e-13)
    norm, angle = [], []
    for column in solution.y.T:
        product = np.linalg.multi_dot(split(column)[::-1])[0] if depth > 1 else column
        across = product - (product @ v) * v
        norm.append(np.linalg.norm(product))
        angle.append(np.arctan2(np.linalg.norm(across), product @ v))
    return np.array(norm), np.array(angle)


def _measure_end_to_end() -> Finding:
    gaps = {}
    rng = np.random.default_rng(7)
    for risk in risks()[:3]:
        v = np.eye(risk.law.dim)[-1]
        w = rng.standard_normal(risk.law.dim)
        for depth, width in ((1, 1), (2, 3), (3, 2), (4, 3)):
            norm, angle = _matrix_flow(risk, w, v, depth, width)
            run = gradient_flow(risk, Start.from_vectors(w, v), _TIMES, depth)
            gap = max(np.abs(run.norm / norm - 1.0).max(), np.abs(run.angle - angle).max())
            gaps[f"{risk.label()}, N = {depth}, width {width}"] = float(gap)
    return finding_of_gaps(
        gaps,
        1e-8,
        "layers of matrices and the end-to-end flow in the plane agree",
        f"largest gap in norm and angle {{gap}} over {{count}} runs to t = {_TIMES[-1]:g}",
        "1e-8 (DOP853 at 1e-11 in the matrices)",
    )


def _measure_direction_speed() -> Finding:
    """Differences of theta along an integration in Cartesian coordinates against -c r^(1-2/N) sin(theta) on that same path."""
    gaps = {}
    step = 1e-3
    for risk in risks()[:3]:
        v = np.eye(risk.law.dim)[-1]
        w = np.linspace(0.7, -0.8, risk.law.dim)
        for depth in (1, 3, 5):
            power = 2.0 - 2.0 / depth

            def rate(
                _: float, w: np.ndarray, risk: PopulationRisk = risk, v: np.ndarray = v, depth: int = depth, power: float = power
            ) -> np.ndarray:
                r, gradient = np.linalg.norm(w), risk.gradient(w, v)
                return -(r**power) * (gradient + (depth - 1) * (gradient @ w) * w / r**2)

            centres = np.array([0.5, 1.0, 2.0, 4.0])
            times = np.sort(np.concatenate([centres + k * step for k in (-2, -1, 0, 1, 2)]))
            path = solve_ivp(rate, (0.0, 5.0), w, "DOP853", times, rtol=1e-12, atol=1e-14).y.T.reshape(-1, 5, w.size)
            along = path @ v
            across = np.linalg.norm(path - along[..., None] * v, axis=-1)
            theta, r = np.arctan2(across, along), np.linalg.norm(path[:, 2], axis=-1)
            slope = (theta[:, 0] - 8 * theta[:, 1] + 8 * theta[:, 3] - theta[:, 4]) / (12 * step)
            law = -risk.pull * r ** (1.0 - 2.0 / depth) * np.sin(theta[:, 2])
            gaps[f"{risk.label()}, N = {depth}"] = float(np.abs(slope / law - 1.0).max())
    return finding_of_gaps(
        gaps,
        1e-7,
        "theta' = -c r^(1-2/N) sin(theta) along the flow of w itself",
        "largest relative gap {gap} over {count} runs",
        "1e-7 (fourth-order differences, step 1e-3)",
    )


def _rising(run: Trajectory) -> np.ndarray:
    return velocity(run.problem, run.log_norm, run.log_tan_half_angle, run.depth.astype(float)).norm > 0.0


def _measure_two_phases() -> Finding:
    wrong, falling, growth = "", 0, np.inf
    for case, run in cases():
        rising = _rising(run)
        changes = np.diff(rising.astype(int))
        falling += int(not rising[0])
        growth = min(growth, float(run.norm[-1] / run.norm[rising][0]))
        if (changes < 0).any() or not rising[-1]:
            wrong = str(case)
    count = len(cases())
    return Finding(
        "violated" if wrong or growth < 10.0 else "holds",
        "the norm falls for a while or not at all, then grows for ever",
        f"{falling} of {count} flows fall first; none falls again by t = 1e12; least growth after the turn {growth:.3g}-fold",
        "one wrong sign in 240 records of a flow",
        wrong or "no exception found",
    )


def _measure_lemma_4() -> Finding:
    slack, worst = np.inf, ""
    for case, run in cases((3, 4, 5)):
        bound = Lemma4(case.risk, State.of(case.start), case.depth, "as_printed")
        with np.errstate(divide="ignore"):
            gap = min(
                float((np.log(bound.upper(run.time)) - run.log_norm).min()),
                float((run.log_norm - np.log(bound.lower(run.time))).min()),
            )
        if gap < slack:
            slack, worst = gap, str(case)
    return Finding(
        "holds" if slack >= -1e-9 else "violated",
        "lower <= r(t) <= upper at all times",
        f"least slack in log r {slack:.3g}",
        "1e-9 in log r (the flow's accuracy)",
        worst,
    )


def _measure_two_layers() -> Finding:
    gap, worst = 0.0, ""
    for case, run in cases((2,)):
        exact = two_layer_direction(case.risk, State.of(case.start), run.time)
        # where s passes zero only its absolute error means anything
        found = float((np.abs(run.log_tan_half_angle - exact) / np.maximum(np.abs(exact), 1.0)).max())
        if found > gap:
            gap, worst = found, str(case)
    return Finding(
        "holds" if gap < 1e-9 else "violated",
        "s(t) = s(0) - c t at N = 2",
        f"largest gap {gap:.1e} of max(|s|, 1) to t = 1e12",
        "1e-9 (the flow's accuracy)",
        worst,
    )


def _measure_orbits() -> Finding:
    """The orbit s(log r), integrated once in r at depth 1, against flows integrated in time at other depths: N (s - s(0)) agrees."""
    gaps = {}
    for risk in risks()[:3]:
        start = Start(0.5, 0.4)
        s0 = float(start.log_tan_half_angle)

        def slope(u: float, turned: np.ndarray, risk: PopulationRisk = risk, s0: float = s0, depth: int = 1) -> list[float]:
            s = s0 + turned[0] / depth
            return [-risk.pull / float(risk.growth(np.exp(u)) - risk.pull * float(one_minus_cos(np.asarray(s))))]

        for depth in (1, 2, 3, 5, 20):
            run = gradient_flow(risk, start, np.geomspace(1e-3, 1e6, 60), depth)
            inside = run.norm < 100.0
            u = run.log_norm[inside]
            # depth enters through cos(theta) only, as s = s(0) + turned/N
            orbit = solve_ivp(slope, (np.log(0.5), u[-1]), [0.0], "DOP853", u, args=(risk, s0, depth), rtol=1e-11, atol=1e-12)
            turned = depth * (run.log_tan_half_angle[inside] - s0)
            gaps[f"{risk.label()}, N = {depth}"] = float((np.abs(turned - orbit.y[0]) / np.maximum(np.abs(turned), 1.0)).max())
    return finding_of_gaps(
        gaps,
        1e-7,
        "ds/dlog r = -c/(N [h - c (1 - cos theta)]) along the flow",
        "largest gap {gap} of max(N |s - s(0)|, 1) up to r = 100 at N = 1, 2, 3, 5, 20",
        "1e-7 (the orbit integrated in r by DOP853 at 1e-11)",
    )


def _measure_pi_ray() -> Finding:
    risk = risks()[1]
    one = gradient_flow(risk, Start(1.0, np.pi), np.geomspace(1e-2, 1e6, 300), 1)
    two = gradient_flow(risk, Start(1.0, np.pi), np.geomspace(1e-2, 1e2, 300), 2)
    three = gradient_flow(risk, Start(1.0, np.pi), np.geomspace(1e-2, 1e6, 300), 3)
    crosses = bool(np.isposinf(one.log_tan_half_angle[0]) and np.isneginf(one.log_tan_half_angle[-1]))
    # late: r' = -2 r (2 c - h), h -> c
    rate = float(np.polyfit(two.time[-60:], two.log_norm[-60:], 1)[0]) / (-2.0 * risk.pull)
    late = float(three.norm[-1] * (risk.pull * three.time[-1]) ** 3)
    good = crosses and one.norm[-1] > 10 and abs(rate - 1.0) < 1e-6 and abs(late - 1.0) < 1e-3
    good = good and two.status == "saddle" and three.status == "saddle"
    return Finding(
        "holds" if good else "violated",
        "from theta = pi: N = 1 crosses 0 and grows along v; N = 2: r ~ exp(-2 c t); N = 3: r ~ (c t)^-3",
        f"crosses: {crosses}; N = 2 rate over -2 c: {rate:.8f}; N = 3: r (c t)^3 = {late:.6f}",
        "1e-6 and 1e-3",
        risk.label(),
    )


def claims() -> list[Claim]:
    spread = "six laws, depths 1-5, six starts, to t = 1e12"
    derived = "derived (derivations/deep_flow.py)"
    return [
        Claim(
            "equation-7-end-to-end-flow",
            r"\dot w = -r^{2-2/N}\bigl(\nabla L + (N-1)\langle\nabla L, w/r\rangle w/r\bigr)",
            f"{PAPER}, equation 7",
            "three laws, N = 1-4, widths 1-3, matrices integrated to t = 10",
            _measure_end_to_end,
        ),
        Claim(
            "lemma-2-two-phases",
            r"r \text{ decreases on } [0,T], \text{ then increases to } \infty",
            f"{PAPER}, Lemma 2",
            spread,
            _measure_two_phases,
        ),
        Claim(
            "lemma-3-direction-speed",
            r"\dot\theta = -c\,r^{1-2/N}\sin\theta",
            f"{PAPER}, Lemma 3",
            "three laws, N = 1, 3, 5, Cartesian integration",
            _measure_direction_speed,
        ),
        Claim(
            "lemma-4-norm-bounds",
            r"(r_0^{2/N}+0.6t)^{N/2} \ge r \ge (r_0^{2/N-1}+(N-2)c_0t)^{-N/(N-2)}",
            f"{PAPER}, Lemma 4",
            "six laws, N = 3, 4, 5, six starts, to t = 1e12",
            _measure_lemma_4,
        ),
        Claim("two-layer-exact-law", r"N=2:\ s(t)=s(0)-ct", derived, "six laws, six starts, to t = 1e12", _measure_two_layers),
        Claim("orbits-at-every-depth", r"N\,ds/d\log r=-c/(h-c(1-\cos\theta))", derived, "three laws, N = 1, 2, 3, 5, 20", _measure_orbits),
        Claim("ray-at-pi", r"\theta(0)=\pi", derived, "Gaussian(dim=3), N = 1, 2, 3", _measure_pi_ray),
    ]
