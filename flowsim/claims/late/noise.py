"""Claims about the flow where labels are flipped: where the norm rests, how it gets there, and how fast the angle falls then."""

from functools import lru_cache
from itertools import cycle
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.late.late_flows import late_cases
from flowsim.claims.late.next_orders import Extrapolated, extrapolate, ratios_finding
from flowsim.claims.late.power_laws import Off, Power, held_rates, power_finding
from flowsim.claims.late.rates import FAILS, METHOD, two_starts
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import DEPTHS, Setting
from flowsim.dynamics import gradient_flow
from flowsim.problem import Law, PopulationRisk, Start
from flowsim.theory import noisy_rates

SHARES = (0.1, 0.02, 0.2, 0.3, 0.05, 0.4)
"""eps of one law after the other."""
AT_REST = 1e-10
"""The flow holds the norm once h is within 1e-11 of 2 eps c, relatively; -r h'/h, at most about 2 at these eps, turns that into r."""
LAST = 1e10
ALIGNED = 1e-130
"""An angle whose square is nothing beside any gap of the norm."""


@lru_cache(maxsize=8)
def _noisy(laws: tuple[Law, ...]) -> tuple[PopulationRisk, ...]:
    return tuple(PopulationRisk(law, share) for law, share in zip(laws, cycle(SHARES)))


def _risks(setting: Setting) -> tuple[PopulationRisk, ...]:
    return _noisy(setting.laws_or())


def _direction(setting: Setting, theory: Any) -> Finding:
    cases = late_cases(_risks(setting), setting.depths_or(DEPTHS), two_starts(setting), LAST)
    held, refused = held_rates(cases, "direction", lambda risk, depth: Power(1.0, theory(risk, depth).direction_rate), setting.thorough)
    sketch = Sketch("$t$", r"$|-s/(c(1-2\varepsilon)\,r_*^{1-2/N}\,t)-1|$", x_log=True, y_log=True)
    for case, run in cases[:: 2 * len(setting.depths_or(DEPTHS)) + 2][:6]:
        late = run.time >= 1.0
        gap = np.abs(-run.log_tan_half_angle[late] / (theory(case.risk, case.depth).direction_rate * run.time[late]) - 1.0)
        sketch.measured(run.time[late], np.maximum(gap, 1e-16), f"{case.risk.law.label()}, $N={case.depth}$")
    return power_finding(held, refused, "-s ~ C t, C = c (1 - 2 eps) r*^(1-2/N)", sketch.done())


def _limit(setting: Setting, theory: Any) -> Finding:
    gaps = {}
    for case, run in late_cases(_risks(setting), setting.depths_or(DEPTHS), two_starts(setting), LAST):
        limits = theory(case.risk, case.depth)
        gap = max(abs(float(run.norm[-1]) / limits.norm_limit - 1.0), abs(float(run.risk[-1]) / limits.risk_limit - 1.0))
        gaps[str(case)] = gap
    return finding_of_gaps(
        gaps,
        AT_REST,
        "r -> r*, h(r*) = 2 eps c, and L -> L(r*, 0)",
        f"largest relative gap of norm and risk at t = {LAST:.0e}: {{gap}}, {{count}} flows",
        f"{AT_REST:.0e}: the flow holds the norm once h is within 1e-11 of 2 eps c",
        "relative gap",
    )


def _approach(setting: Setting, theory: Any) -> Finding:
    """log of the ratio of neighbouring differences of r at times in equal steps: the rate, without r* and without r'."""
    found: dict[str, Extrapolated] = {}
    sketch = Sketch(r"$\lambda t$", "$|r-r_*|/r_*$", y_log=True)
    for risk in _risks(setting):
        for depth in setting.depths_or(DEPTHS):
            limits = theory(risk, depth)
            step = 1.5 / limits.norm_rate
            times = step * np.arange(3, 9)
            run = gradient_flow(risk, Start(1.2 * limits.norm_limit, ALIGNED), times, depth, rtol=1e-12)
            run.require_ok()
            change = -np.diff(run.norm)
            slopes = -np.diff(np.log(change)) / step / limits.norm_rate
            noise = float(4e-12 * run.norm[-1] / change[-1] / 1.5)
            found[f"{risk.label()}, N = {depth}"] = extrapolate(slopes, noise)
            if depth == setting.depths_or(DEPTHS)[0]:
                sketch.measured(limits.norm_rate * times, np.abs(run.norm / limits.norm_limit - 1.0), risk.label())
    ends = np.array([4.5, 12.0])
    sketch.predicted(ends, 0.1 * np.exp(-ends), r"$e^{-\lambda t}$")
    return ratios_finding(found, "r - r* ~ exp(-lambda t), lambda = -N r*^(2-2/N) h'(r*)", "lambda", sketch)


def claims() -> list[Claim]:
    """The flow with label noise, in the order of the report."""
    shares = "six laws, eps = 0.02 to 0.4, N = 1-5"
    return [
        Claim(
            "label-noise-norm-limit",
            r"r\to r_*,\quad h(r_*)=2\varepsilon c,\quad L\to A(r_*)+2\varepsilon c\,r_*",
            "derived",
            f"{shares}, two starts, to t = {LAST:.0e}",
            noisy_rates,
            _limit,
            "Norm and risk of each flow at its last record, beside the minimiser.",
            f"One flow whose norm or risk is off the minimiser's by {AT_REST:.0e}, relatively.",
            Control("r* (1 + 1e-9)", Off(noisy_rates, norm_limit=1e-9)),
            derivation="label_noise",
        ),
        Claim(
            "label-noise-norm-approach",
            r"r-r_*\sim e^{-\lambda t},\quad \lambda=-N\,r_*^{2-2/N}\,h'(r_*)",
            "derived",
            f"{shares}, aligned, from 1.2 r*",
            noisy_rates,
            _approach,
            "At rtol = 1e-12 and times in equal steps, the logarithm of the ratio of neighbouring differences of r, extrapolated as a "
            "geometric sequence with and without its last member; r* itself is not used.",
            "One law, eps and depth whose extrapolated rate is off lambda by more than its error.",
            Control("lambda (1 + 1e-4)", Off(noisy_rates, norm_rate=1e-4)),
            derivation="label_noise",
        ),
        Claim(
            "label-noise-direction-rate",
            r"-s\sim c(1-2\varepsilon)\,r_*^{1-2/N}\,t",
            "derived",
            f"{shares}, two starts, to t = {LAST:.0e}",
            noisy_rates,
            _direction,
            METHOD,
            FAILS,
            Control("c (1 - 2 eps) r*^(1-2/N) (1 + 1e-8)", Off(noisy_rates, direction_rate=1e-8)),
            derivation="label_noise",
        ),
    ]
