"""Claims about Theorems 1 and 5: the bounds on the direction, as printed and as derived, and as the paper's figure 1 draws them."""

from collections.abc import Callable, Iterable

import numpy as np

from flowsim.claims.claim import Claim, Finding
from flowsim.claims.risk import PAPER
from flowsim.claims.settings import PAPER_START, Case, cases, turning
from flowsim.dynamics import Trajectory, gradient_flow, turning_point
from flowsim.problem import PopulationRisk, Sphere
from flowsim.theory import State, Theorem1, Theorem5, Theorem5Upper
from flowsim.theory.bounds import DirectionBound

SLACK = 1e-9
"""What a bound may be missed by, relative to max(|s|, 1): the accuracy of the flow."""

BATCH_STEP = 1e-3
RESTARTS = {1: 5000, 4: 18000}
"""Depth: the step from which the paper's figure 1 draws its bound again, at step size 1e-3."""


def margin(bound: DirectionBound, run: Trajectory, phase: slice | np.ndarray = slice(None)) -> tuple[float, float]:
    """The least of (-2 s - E), or (E + ... ) for an upper bound, over max(2 |s|, 1), and the time it occurs; negative where violated."""
    time = run.time[phase]
    twice = -2.0 * run.log_tan_half_angle[phase]
    gap = twice - bound.exponent(time)
    if bound.sense == "at most":
        gap = -gap
    relative = gap / np.maximum(np.abs(twice), 1.0)
    i = int(np.argmin(relative))
    return float(relative[i]), float(time[i])


Pair = tuple[Case, Trajectory]


def _over(pairs: Iterable[Pair], make: Callable[[Case], DirectionBound], phase: Callable[[Case, Trajectory], np.ndarray]) -> Finding:
    """Whether the bound holds on every case, in the phase it speaks of."""
    least, worst, when, count, broken = np.inf, "", 0.0, 0, 0
    for case, run in pairs:
        mask = phase(case, run)
        if not mask.any():
            continue
        count += 1
        found, time = margin(make(case), run, mask)
        broken += int(found < -SLACK)
        if found < least:
            least, worst, when = found, f"{case}, t = {time:.3g}", time
    measured = f"least margin {least:+.3g} of max(|2 s|, 1); broken on {broken} of {count} flows"
    return Finding(
        "violated" if least < -SLACK else "holds",
        "the bound on -2 s at every recorded time",
        f"{measured}, most on {worst}" if broken else measured,
        f"{SLACK:g}",
        worst,
        {"margin": least, "time": when, "broken": broken, "flows": count},
    )


def _all(case: Case, run: Trajectory) -> np.ndarray:
    return np.ones(run.time.size, dtype=bool)


def _first(case: Case, run: Trajectory) -> np.ndarray:
    return run.time <= turning(case).time


def _second(case: Case, run: Trajectory) -> np.ndarray:
    return run.time >= turning(case).time


def _theorem_1(variant: str) -> Callable[[Case], DirectionBound]:
    return lambda case: Theorem1(case.risk, State.of(case.start), State(*turning(case)), variant)


def _theorem_5(variant: str) -> Callable[[Case], DirectionBound]:
    return lambda case: Theorem5(case.risk, State.of(case.start), State(*turning(case)), case.depth, variant)


def _upper(case: Case) -> DirectionBound:
    return Theorem5Upper(case.risk, State.of(case.start), case.depth)


def _measure_figure_1() -> Finding:
    """The bounds from n = 0 and again from the paper's later step, on the flow of the paper's own start."""
    risk = PopulationRisk(Sphere(2))
    least, worst = np.inf, ""
    for depth, restart in RESTARTS.items():
        later = restart * BATCH_STEP
        times = np.union1d(np.linspace(0.0, 100.0, 401), [later])
        run = gradient_flow(risk, PAPER_START, times, depth)
        turn = State(*turning_point(risk, PAPER_START, depth))
        i = int(np.searchsorted(times, later))
        again = State(later, float(run.norm[i]), float(run.log_tan_half_angle[i]))
        for begin in (State.of(PAPER_START), again):
            turned = turn if turn.time > begin.time else None
            bound = Theorem1(risk, begin, turned) if depth == 1 else Theorem5(risk, begin, turned, depth)
            found, time = margin(bound, run, times >= begin.time)
            if found < least:
                least, worst = found, f"N = {depth}, from n = {round(begin.time / BATCH_STEP)}, at t = {time:.3g}"
    return Finding(
        "holds" if least >= -SLACK else "violated",
        "the drawn bounds stay below the flow's -2 s",
        f"least margin {least:+.3g} of max(|2 s|, 1)",
        f"{SLACK:g}",
        worst,
    )


def claims() -> list[Claim]:
    first = r"\cos\theta \ge 1-\frac{2}{e^{E}+1},\ "
    spread = "six laws, six starts, to t = 1e12"
    deep = "six laws, N = 3, 4, 5, six starts, to t = 1e12"
    derived = f"{PAPER}, Theorem 5, constants as derived (derivations/bounds.py)"
    printed = f"{PAPER}, Theorem 5, constants as printed"
    one, five = (1,), (3, 4, 5)
    return [
        Claim(
            "theorem-1-lower-bound",
            first + r"E=A_1t+B_1\ (t\le T),\ A_2\sqrt{t-T+C_2}+B_2\ (t\ge T),\ A_2=\tfrac{4c_0}{\pi\sqrt{0.6}}",
            f"{PAPER}, Theorem 1",
            f"N = 1, {spread}",
            lambda: _over(cases(one), _theorem_1("as_derived"), _all),
        ),
        Claim(
            "theorem-1-as-printed-read-under-the-root",
            first + r"E=A_2\sqrt{t-T+C_2}+B_2,\ A_2=4c_0/\sqrt{0.6\pi}",
            f"{PAPER}, Theorem 1, the printed A2 with pi read under the root",
            f"N = 1, {spread}",
            lambda: _over(cases(one), _theorem_1("misread"), _second),
            "violated",
        ),
        Claim(
            "theorem-5-first-phase-as-derived",
            first + r"e^E=C_1(A_1t/B_1+1)^{\alpha},\ \alpha=\tfrac{2}{\pi(N-2)}",
            derived,
            deep,
            lambda: _over(cases(five), _theorem_5("as_derived"), _first),
        ),
        Claim(
            "theorem-5-first-phase-as-printed",
            first + r"e^E=C_1(A_1t/B_1+1)^{\alpha},\ \alpha=2c_0/\pi",
            printed,
            deep,
            lambda: _over(cases(five), _theorem_5("as_printed"), _first),
            "violated",
        ),
        Claim(
            "theorem-5-second-phase-as-derived",
            first + r"E=A_2(t-T)+B_2,\ A_2=\tfrac{2c_0}{\pi}r(T)^{1-2/N}",
            derived,
            deep,
            lambda: _over(cases(five), _theorem_5("as_derived"), _second),
        ),
        Claim(
            "theorem-5-second-phase-as-printed",
            first + r"E=A_2(t-T)+B_2,\ A_2=\tfrac{2c_0}{\pi}r(T)^{2-2/N}",
            printed,
            deep,
            lambda: _over(cases(five), _theorem_5("as_printed"), _second),
            "violated",
        ),
        Claim(
            "theorem-5-upper-bound",
            r"-2s \le F\bigl[(0.6t+D)^{N/2}-D^{N/2}\bigr]-2s(0),\ F=\tfrac{4c_0}{0.6N\pi}",
            f"{PAPER}, Theorem 5, upper bound",
            deep,
            lambda: _over(cases(five), _upper, _all),
        ),
        Claim(
            "figure-1-bounds",
            r"w(0)=(0.6,-0.8),\ N=1,4",
            f"{PAPER}, figure 1",
            "the circle, N = 1 and 4, bounds from n = 0 and n = 5000, 18000",
            _measure_figure_1,
        ),
    ]
