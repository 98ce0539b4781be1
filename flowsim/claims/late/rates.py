"""Claims about late times: exponents and constants of direction, norm and loss, measured with their errors, at every depth and tail."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from flowsim.claims.claim import Claim, Control, Finding
from flowsim.claims.corrections import correction_terms
from flowsim.claims.exponents import ONSET, SPREAD, Quantity
from flowsim.claims.late.late_flows import late_cases
from flowsim.claims.late.power_laws import (
    Cases,
    Off,
    errors_picture,
    held_rates,
    leftover,
    local_exponents,
    no_power,
    power_finding,
    power_of,
    powers,
)
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import DEPTHS, OutOfScope, Setting, risk_of
from flowsim.problem import Law, Radial
from flowsim.theory import rates

DERIVED = "derived"
SPREAD_OF_FLOWS = "six laws, eight starts, to t = 1e12"

METHOD = (
    "measure_rate on each flow: log X and its exact slope fitted together, with every correction that the tail and the start can bring, "
    "from where these are predicted below 0.1; exponent and constant come out with an error each and are not told what theory says."
)
FAILS = "One flow whose measured exponent or constant differs from theory's by more than the error measured with it."


def _direction(depth: int) -> Callable[[Setting, Any], Finding]:
    def measure(setting: Setting, theory: Any) -> Finding:
        cases = setting.cases((depth,), low=depth, high=depth)
        held, refused = held_rates(cases, "direction", powers(theory, "direction"), setting.thorough)
        exponents = ", ".join(f"{x:.6g}" for x in sorted({h.power.exponent for h in held}))
        return power_finding(held, refused, f"-s ~ C t^{exponents}", local_exponents(cases, "direction", theory, "law"))

    return measure


def _norm(setting: Setting, theory: Any) -> Finding:
    cases = setting.cases()
    held, refused = held_rates(cases, "norm", powers(theory, "norm"), setting.thorough)
    return power_finding(held, refused, f"r ~ C t^p, p = {_by_depth(cases, 'norm', theory)}", leftover(cases, "norm", theory, "depth"))


def _risk(setting: Setting, theory: Any) -> Finding:
    cases = setting.cases()
    held, refused = held_rates(cases, "risk", powers(theory, "risk"), setting.thorough)
    return power_finding(held, refused, f"L ~ C t^p, p = {_by_depth(cases, 'risk', theory)}", errors_picture(held))


def _by_depth(cases: Cases, quantity: Quantity, theory: Any) -> str:
    """Exponents at each depth, of the first law that has any."""
    spoken = [case for case, _ in cases if not no_power(case.risk)]
    if not spoken:
        raise OutOfScope(no_power(cases[0][0].risk))
    first = {case.depth: power_of(theory(case.risk, case.depth), quantity).exponent for case in reversed(spoken)}
    return ", ".join(f"{first[depth]:.4g} (N = {depth})" for depth in sorted(first))


def _local_exponent(setting: Setting, theory: Any) -> Finding:
    """The local exponent of every late record against the limit, with what the corrections' sizes allow; nothing is fitted."""
    worst, case_worst, count, last = 0.0, "", 0, []
    sketch = Sketch("$t$", r"$|d\log(-s)/d\log t-p|$", x_log=True, y_log=True)
    drawn: set[int] = set()
    exponents = _by_depth(setting.cases(), "direction", theory)
    for case, run in setting.cases():
        if no_power(case.risk):
            continue
        terms = correction_terms(run, "direction", run.config["rtol"])
        ready = None if terms is None else terms.expansion <= ONSET
        if terms is None or ready is None or not ready.any():
            continue
        limit = theory(case.risk, case.depth).direction_exponent
        gap = np.abs(run.local_exponent("direction")[terms.late] - limit)[ready]
        allowed = limit * (SPREAD * terms.predicted[ready] + 2.0 * run.config["rtol"])
        count += 1
        last.append(gap[-1])
        ratio = float((gap / allowed).max())
        if ratio > worst:
            worst, case_worst = ratio, str(case)
        if case.depth not in drawn and len(drawn) < 3:
            drawn.add(case.depth)
            time = run.time[terms.late][ready]
            sketch.measured(time, np.maximum(gap, 1e-16), f"$N={case.depth}$")
            sketch.limit(time, allowed, "" if len(drawn) > 1 else "allowed")
    if not count:
        raise OutOfScope("no flow of these laws, depths and starts is late enough by t = 1e12")
    return Finding(
        "holds" if worst <= 1.0 else "violated",
        f"d log(-s)/d log t -> p, p = {exponents}",
        f"distance to the limit at most {max(last):.1e} (median {np.median(last):.0e}) at t = 1e12, and at most {worst:.2f} of what is "
        f"allowed at any late record of {count} flows",
        f"{SPREAD:g} times the size predicted of the largest correction, and the solver's rtol",
        case_worst,
        {"distances at t = 1e12": [float(x) for x in last]},
        sketch.done("late records"),
    )


def two_starts(setting: Setting) -> tuple[tuple[float, float], ...]:
    """The first of the spread's, and a random one."""
    return setting.start_pairs[0], setting.start_pairs[-1]


def _deep(setting: Setting, theory: Any) -> Finding:
    depths = setting.depths_or((10, 20, 100), low=6)
    risks = [risk for risk in setting.risks_or() if not no_power(risk)]
    if not risks:
        raise OutOfScope(no_power(setting.risks_or()[0]))
    cases = late_cases(risks, depths, two_starts(setting))
    held, refused = held_rates(cases, "direction", powers(theory, "direction"), setting.thorough)
    picture = local_exponents(cases, "direction", theory, "depth")
    return power_finding(held, refused, f"-s ~ C t^p, p = {_by_depth(cases, 'direction', theory)}", picture)


@lru_cache(maxsize=1)
def _singular_laws() -> tuple[Law, ...]:
    """P(|x| < u) ~ u^a with a = 0.1, 0.25, 0.5, 0.5 and 0.7."""
    return (
        Radial(3, stats.gamma(0.1)),
        Radial(2, stats.gamma(0.25)),
        Radial(3, stats.gamma(0.5)),
        Radial(2, stats.beta(0.5, 1.0)),
        Radial(2, stats.gamma(0.7)),
    )


def _singular(quantity: Quantity) -> Callable[[Setting, Any], Finding]:
    def measure(setting: Setting, theory: Any) -> Finding:
        laws = [law for law in setting.laws_or(*_singular_laws()) if law.tail.exponent < 1.0]
        if not laws:
            raise OutOfScope("speaks of laws with P(|x_1| < u) ~ u^a, a < 1: the density of |x| is singular at 0")
        cases = late_cases([risk_of(law) for law in laws], setting.depths_or((1, 2, 3)), two_starts(setting))
        held, refused = held_rates(cases, quantity, powers(theory, quantity), setting.thorough)
        tails = ", ".join(f"{x:.3g}" for x in sorted({law.tail.exponent for law in laws}))
        predicted = f"powers and constants of the tail exponent, a = {tails}, in place of those of a = 1"
        picture = errors_picture(held) if quantity == "risk" else leftover(cases, quantity, theory, "law")
        return power_finding(held, refused, predicted, picture)

    return measure


def claims() -> list[Claim]:
    """The late rates, in the order of the report."""

    def rate(name: str, statement: str, setting: str, measure: Callable[[Setting, Any], Finding], wrong: str, **off: float) -> Claim:
        control = Control(wrong, Off(rates, **off))
        return Claim(name, statement, DERIVED, setting, rates, measure, METHOD, FAILS, control, derivation="asymptotics")

    direction = r"-s \sim \frac{c(N+2)}{2N}\,((N+2)K)^{\frac{N-2}{N+2}}\,t^{\frac{2N}{N+2}}"
    wrong: dict[int, tuple[str, dict[str, float]]] = {
        1: ("exponent 2/3 (1 + 1e-8)", {"direction_exponent": 1e-8}),
        2: ("constant c (1 + 1e-8)", {"direction_constant": 1e-8}),
        3: ("exponent 6/5 (1 - 1e-8)", {"direction_exponent": -1e-8}),
        4: ("constant (3/4) c (6K)^(1/3) (1 + 1e-7)", {"direction_constant": 1e-7}),
        5: ("exponent 10/7 (1 + 1e-8)", {"direction_exponent": 1e-8}),
    }
    singular = "gamma(0.1), gamma(0.25), gamma(0.5), beta(0.5, 1) and gamma(0.7) laws of |x|; N = 1, 2, 3; two starts; to t = 1e12"
    return [
        *[
            rate(f"direction-rate-depth-{n}", direction, f"N = {n}, {SPREAD_OF_FLOWS}", _direction(n), why, **off)
            for n, (why, off) in wrong.items()
        ],
        rate(
            "direction-rate-deep",
            r"-s \sim C\,t^{\frac{2N}{N+2}},\quad \frac{2N}{N+2}\to 2 \text{ as } N\to\infty",
            "six laws; N = 10, 20, 100; two starts; to t = 1e12",
            _deep,
            "exponent 2N/(N+2) (1 - 1e-8)",
            direction_exponent=-1e-8,
        ),
        Claim(
            "direction-local-exponent",
            r"\frac{d\log(-s)}{d\log t}\to\frac{2N}{N+2}",
            DERIVED,
            f"N = 1-5, {SPREAD_OF_FLOWS}",
            rates,
            _local_exponent,
            "The exact local exponent t s'/s of every late record, beside the limit; the sizes of the corrections, r^-q, t_0/t and s_0/s, "
            "are read off the tail and the record itself. Nothing is fitted.",
            f"One late record whose local exponent is off the limit by more than {SPREAD:g} times the largest correction.",
            Control("2N/(N+2) (1 + 1e-7)", Off(rates, direction_exponent=1e-7)),
            derivation="asymptotics",
        ),
        rate(
            "norm-rate",
            r"r \sim ((N+2)Kt)^{N/(N+2)}",
            f"N = {DEPTHS[0]}-{DEPTHS[-1]}, {SPREAD_OF_FLOWS}",
            _norm,
            "constant ((N+2)K)^(N/(N+2)) (1 + 1e-7)",
            norm_constant=1e-7,
        ),
        rate(
            "loss-rate",
            r"L \sim K\,((N+2)Kt)^{-N/(N+2)}",
            f"N = {DEPTHS[0]}-{DEPTHS[-1]}, {SPREAD_OF_FLOWS}",
            _risk,
            "exponent -N/(N+2) (1 + 1e-8)",
            risk_exponent=1e-8,
        ),
        rate(
            "singular-law-direction-rate",
            r"h\sim K_a r^{-1-a}:\ -s\sim\frac{c(aN+2)}{N(1+a)}\,((aN+2)K_a)^{\frac{N-2}{aN+2}}\,t^{\frac{N(1+a)}{aN+2}}",
            singular,
            _singular("direction"),
            "exponent N(1+a)/(aN+2) (1 - 1e-6)",
            direction_exponent=-1e-6,
        ),
        rate(
            "singular-law-norm-rate",
            r"h\sim K_a r^{-1-a}:\ r\sim((aN+2)K_a t)^{\frac{N}{aN+2}}",
            singular,
            _singular("norm"),
            "constant ((aN+2) K_a)^(N/(aN+2)) (1 + 1e-5)",
            norm_constant=1e-5,
        ),
        rate(
            "singular-law-loss-rate",
            r"h\sim K_a r^{-1-a}:\ L\sim\frac{K_a}{a}\,((aN+2)K_a t)^{-\frac{aN}{aN+2}}",
            singular,
            _singular("risk"),
            "exponent -aN/(aN+2) (1 + 1e-6)",
            risk_exponent=1e-6,
        ),
    ]
