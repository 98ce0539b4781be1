"""Claims about Theorems 2, 3 and 4: gradient descent at N = 1 with constant, growing, decaying and random step sizes."""

from collections.abc import Callable, Iterator

import numpy as np

from flowsim.claims.claim import Claim, Finding
from flowsim.claims.risk import PAPER
from flowsim.claims.settings import PAPER_START
from flowsim.dynamics import Schedule, Trajectory, gradient_descent
from flowsim.problem import Gaussian, PopulationRisk, Sphere, Start
from flowsim.theory import descent_cosine_bound, descent_cosine_bound_kept

STEPS = 400
ROUNDING = 1e-12
"""In cos theta."""

SCHEDULES: dict[str, Callable[[float], np.ndarray]] = {
    "constant": lambda eta: np.full(STEPS, eta),
    "growing 1.02^n": lambda eta: eta * 1.02 ** np.arange(STEPS),
    "decaying n^-0.5": lambda eta: eta * np.arange(1.0, STEPS + 1.0) ** -0.5,
    "random over two decades": lambda eta: eta * 10.0 ** np.random.default_rng(3).uniform(-1.0, 1.0, STEPS),
}


def _risks() -> tuple[PopulationRisk, ...]:
    return PopulationRisk(Sphere(2)), PopulationRisk(Gaussian(3))


def _runs(starts: tuple[Start, ...]) -> Iterator[tuple[str, PopulationRisk, Start, np.ndarray, Trajectory]]:
    """Every law, start, schedule and scale of the step size; all steps recorded."""
    for risk in _risks():
        for start in starts:
            for name, make in SCHEDULES.items():
                for scale in (0.01, 0.3, 3.0, 100.0):
                    sizes = make(scale)
                    run = gradient_descent(risk, start, Schedule(sizes), np.arange(STEPS + 1), 1)
                    case = f"{risk.label()}, {name}, eta_0 = {scale:g}, |w(0)| = {float(start.norm):g}, theta(0) = {float(start.angle):.3g}"
                    yield case, risk, start, sizes, run


def _state(start: Start) -> tuple[float, float, float]:
    return 0.0, float(start.norm), float(start.log_tan_half_angle)


def _measure_theorem_2() -> Finding:
    least, worst, count = np.inf, "", 0
    for case, risk, start, sizes, run in _runs((PAPER_START, Start(5.0, 2.9), Start(0.1, 3.0))):
        bound = descent_cosine_bound(risk, _state(start), sizes)
        obtuse = np.logical_and.accumulate(run.one_minus_cos > 1.0)
        # at n = 0 the bound is the start itself
        gap, count = (1.0 - run.one_minus_cos - bound)[1:][obtuse[1:]], count + 1
        if gap.size and gap.min() < least:
            least, worst = float(gap.min()), case
    return Finding(
        "holds" if least >= -ROUNDING else "violated",
        "cos theta(n) >= 1 - (1 - cos theta(0)) exp(-B S-_n) while cos theta < 0",
        f"least margin {least:+.2e} in cos theta, {count} runs",
        f"{ROUNDING:g}, from n = 1 on",
        worst,
    )


def kept_margin(risk: PopulationRisk, sizes: np.ndarray, run: Trajectory) -> float:
    """The largest delta of Theorem 3's condition |w_{n+1}| + <w_n/|w_n|, w_{n+1}> >= (1 + delta) c0 eta_n cos(theta_n)/pi.

    c0/pi = c. Where cos(theta_n) <= 0 the condition is no restriction. A step may throw the direction to the other side of v.
    """
    angle = run.angle * run.side
    turned = 1.0 + np.cos(np.diff(angle))
    cos = 1.0 - run.one_minus_cos[:-1]
    asked = cos > 0.0
    if not asked.any():
        return np.inf
    ratio = (run.norm[1:] * turned)[asked] / (risk.pull * sizes * cos)[asked]
    return float(ratio.min()) - 1.0


def _measure_theorem_3() -> Finding:
    least, worst, spoken, silent = np.inf, "", 0, 0
    for case, risk, start, sizes, run in _runs((PAPER_START, Start(2.0, 1.0), Start(5.0, 2.9), Start(0.5, 0.1))):
        delta = kept_margin(risk, sizes, run)
        if not delta > 0.0:
            silent += 1
            continue
        spoken += 1
        bound = descent_cosine_bound_kept(risk, _state(start), sizes, min(delta, 1e12))
        gap = (1.0 - run.one_minus_cos - bound)[1:]
        if gap.min() < least:
            least, worst = float(gap.min()), f"{case}, delta = {delta:.3g}"
    verdict = "undecided" if spoken == 0 else "holds" if least >= -ROUNDING else "violated"
    return Finding(
        verdict,
        "cos theta(n) >= 1 - (1 - cos theta(0)) exp(-B delta/(1 + delta) S+_n) where the condition holds with delta > 0",
        f"least margin {least:+.2e} in cos theta on {spoken} runs; {silent} runs break the condition",
        f"{ROUNDING:g}, from n = 1 on",
        worst,
        {"margin": least, "runs": spoken, "outside": silent},
    )


def _measure_theorem_4() -> Finding:
    """-s against log n: where the direction converges like n^-p, its slope is p; superpolynomially, the slope grows without bound."""
    steps, slopes = np.array([0, 100, 1000, 10_000, 100_000]), {}
    for risk in _risks():
        for low, high in ((0.01, 1.0), (0.5, 20.0), (0.01, 1000.0)):
            sizes = np.exp(np.random.default_rng(4).uniform(np.log(low), np.log(high), int(steps[-1])))
            for start in (PAPER_START, Start(30.0, 2.0)):
                run = gradient_descent(risk, start, Schedule(sizes), steps, 1)
                case = f"{risk.label()}, eta in [{low:g}, {high:g}], |w(0)| = {float(start.norm):g}"
                slopes[case] = -np.diff(run.log_tan_half_angle)[1:] / np.log(10.0)
    growth = {case: float((later[1:] / later[:-1]).min()) for case, later in slopes.items()}
    worst = min(growth, key=lambda case: growth[case])
    last = min(float(later[-1]) for later in slopes.values())
    return Finding(
        "holds" if growth[worst] > 2.0 and last > 50.0 else "violated",
        "-d s/d log n grows without bound; for a power law n^-p it stays at p",
        f"each decade of n to 1e5 multiplies it by {growth[worst]:.2f} or more; in the last it is {last:.0f} or more",
        "2 a decade, and 50 in the last",
        worst,
        {case: later.tolist() for case, later in slopes.items()},
    )


def claims() -> list[Claim]:
    spread = "the circle and Gaussian(dim=3); step sizes constant, growing, decaying, random; eta_0 = 0.01, 0.3, 3, 100"
    return [
        Claim(
            "theorem-2-any-step-sizes",
            r"\cos\theta(n)\ge 1-(1-\cos\theta(0))e^{-BS^-_n},\ S^-_n=\sum_k\eta_k/\sqrt{A+\sum_{i\le k}\eta_i^2}",
            f"{PAPER}, Theorem 2",
            f"{spread}; three obtuse starts, 400 steps",
            _measure_theorem_2,
        ),
        Claim(
            "theorem-3-any-step-sizes",
            r"\cos\theta(n)\ge 1-(1-\cos\theta(0))e^{-B\frac{\delta}{1+\delta}S^+_n},"
            r"\ S^+_n=\sum_k\eta_k/\sqrt{A+\sum_{i\le k}(\eta_i^2+C\eta_i)}",
            f"{PAPER}, Theorem 3",
            f"{spread}; four starts, 400 steps; delta measured on each run",
            _measure_theorem_3,
        ),
        Claim(
            "theorem-4-bounded-step-sizes",
            r"\eta_n\in[\eta_-,\eta_+]\ \Rightarrow\ n^p\,\theta(n)\to 0\ \text{for every } p",
            f"{PAPER}, Theorem 4",
            "the circle and Gaussian(dim=3), random step sizes in three ranges up to [0.01, 1000], two starts, 1e5 steps",
            _measure_theorem_4,
        ),
    ]
