"""Claims about what follows the leading order of the late flow: the norm's next order, the law without time, tails with a logarithm."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from flowsim.claims.claim import Claim, Control, Finding, as_formal
from flowsim.claims.corrections import onset_norm
from flowsim.claims.exponents import with_error
from flowsim.claims.late.late_flows import late_flows
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import DEPTHS, OutOfScope, Setting
from flowsim.dynamics import Trajectory
from flowsim.problem import Gaussian, Laplace, Law, PopulationRisk, Radial, Sphere, StudentT
from flowsim.theory import Rates, rates

RTOL = 1e-12
"""The next order of the norm is a difference of nearly equal numbers."""
SPAN = 1e-14
"""The first time recorded over the last."""
LATEST_TIME = 1e60
"""Where the norm has a logarithm in it, nothing is late before."""


@dataclass(frozen=True)
class Extrapolated:
    """The limit of a sequence that approaches it geometrically, with its error."""

    value: float
    error: float

    def __str__(self) -> str:
        return with_error(self.value, self.error)


def extrapolate(x: np.ndarray, noise: float) -> Extrapolated:
    """The limit of x_0, ..., x_3 by Aitken's x_3 - (x_3 - x_2)^2/((x_3 - x_2) - (x_2 - x_1)); its error from that of x_0, ..., x_2.

    x: taken at times in constant ratio, where one power of t is left the extrapolation is exact.  noise: the error of each.
    """

    def limit(a: float, b: float, c: float) -> float:
        bend = (c - b) - (b - a)
        # equal steps, or steps below the noise, have no limit to tell: the last value is as good
        return c - (c - b) ** 2 / bend if abs(bend) > 4.0 * noise and abs(c - b) < abs(b - a) else c

    early, late = limit(*map(float, x[:3])), limit(*map(float, x[1:4]))
    return Extrapolated(late, 2.0 * abs(late - early) + 4.0 * noise)


def _records(run: Trajectory, first: float, count: int, factor: float) -> np.ndarray:
    """The last ``count`` records at times in constant ratio, the norm growing about ``factor``-fold between them; empty where that would
    begin before the norm is ``first``."""
    rise = float(run.local_exponent("norm")[-1])
    step = max(1, round(float(np.log(factor) / rise / np.log(run.time[1] / run.time[0]))))
    places = run.time.size - 1 - step * np.arange(count)[::-1]
    return places if places[0] >= 0 and run.norm[places[0]] >= first else places[:0]


def _slope_at_zero(risk: PopulationRisk) -> bool:
    """Whether the density of |x_1| has a slope at 0: the growth then has a term in r^-3."""
    return risk.tail.next_power == 3.0


def _known(risk: PopulationRisk) -> bool:
    return risk.tail.exponent == 1.0 and bool(np.isfinite(risk.tail.next_coefficient)) and risk.tail.next_coefficient != 0.0


def _flows(
    risks: Iterable[PopulationRisk], depths: Iterable[int], reach: Callable[[int], float]
) -> Iterator[tuple[str, PopulationRisk, int, Trajectory]]:
    """One flow of each risk and depth until the norm is about ``reach(depth)`` times the tail's onset, with times and start in the units
    of the law: a law and its multiples are measured alike."""
    for risk in risks:
        for depth in depths:
            law, onset = rates(risk, depth), onset_norm(risk)
            last = float((reach(depth) * onset / law.norm_constant) ** (1.0 / law.norm_exponent))
            run = late_flows((risk,), (depth,), ((0.4 * onset, 1.5),), last, RTOL, first=SPAN * last)
            yield f"{risk.label()}, N = {depth}", risk, depth, run[0, 0, 0]


def ratios_finding(found: dict[str, Extrapolated], predicted: str, what: str, sketch: Sketch, note: str = "") -> Finding:
    """Holds if every ratio to theory is 1 within its error; undecided where none is known to a percent."""
    if not found:
        raise OutOfScope("no flow of these laws and depths grows far enough past the onset of its tail")
    off = {name: abs(x.value - 1.0) / x.error for name, x in found.items()}
    worst = max(off, key=lambda name: off[name])
    errors = np.array([x.error for x in found.values()])
    shown = ", ".join(str(x) for x in list(found.values())[:4])
    return Finding(
        ("holds" if off[worst] <= 1.0 else "violated") if errors.min() < 1e-2 else "undecided",
        predicted,
        f"{what} over theory's: {shown}{', ...' if len(found) > 4 else ''}; {len(found)} cases, "
        f"each off 1 by at most {off[worst]:.2g} of its error",
        f"the error of each ratio, {errors.min():.0e} to {errors.max():.0e}, told by extrapolating without its last record",
        worst,
        {name: [x.value, x.error] for name, x in found.items()},
        replace(sketch, curves=sketch.curves[:6]).done(note),
    )


def _next_norm(setting: Setting, theory: Any) -> Finding:
    """(r - R)/(next order), extrapolated; at N = 2 the differences of r^2 - 4 K t, whose constant is the start's."""
    risks = [risk for risk in setting.risks_or(*_SMOOTH) if _known(risk) and not _slope_at_zero(risk)]
    depths = setting.depths_or((1, 2), high=2)
    if not risks:
        raise OutOfScope(
            f"speaks of a density of |x_1| that is smooth at 0 and bends there; that of {setting.risks_or()[0].label()} is not known to"
        )
    found: dict[str, Extrapolated] = {}
    sketch = Sketch("$t$", r"|correction/theory's - 1|", x_log=True, y_log=True)
    for name, risk, depth, run in _flows(risks, depths, lambda depth: 1000.0):
        at = _records(run, 50.0 * onset_norm(risk), 5, 2.0)
        if at.size == 0:
            continue
        time, norm, law = run.time[at], run.norm[at], theory(risk, depth)
        leading, following = law.norm(time), law.norm(time, 2)
        if depth == 1:
            ratio, noise = (norm - leading) / (following - leading), RTOL * norm[-1] / abs(following[-1] - leading[-1])
        else:
            change = np.diff(following**2 - leading**2)
            ratio, noise = np.diff(norm**2 - leading**2) / change, 3.0 * RTOL * norm[-1] ** 2 / abs(change[-1])
        found[name] = extrapolate(ratio[-4:], float(noise))
        sketch.measured(time[-ratio.size :], np.maximum(np.abs(ratio - 1.0), 1e-16), f"{risk.law.label()}, $N={depth}$")
    return ratios_finding(found, "r - R = -beta/R at N = 1; r^2 = 4Kt - beta log(4Kt) + const at N = 2", "beta", sketch)


def _next_norm_with_slope(setting: Setting, theory: Any) -> Finding:
    """(r - R)/(gamma N/2), extrapolated: what is left is the start's shift of time, or the tail's next term."""
    risks = [risk for risk in setting.risks_or(Laplace(2), Laplace(3, 0.5)) if _known(risk) and _slope_at_zero(risk)]
    depths = setting.depths_or(DEPTHS)
    if not risks:
        raise OutOfScope(f"speaks of a density of |x_1| that has a slope at 0; that of {setting.risks_or()[0].label()} is not known to")
    found: dict[str, Extrapolated] = {}
    sketch = Sketch("$t$", r"$|(r-R)/(\gamma N/2)-1|$", x_log=True, y_log=True)
    # the shift of time counts for (r/onset)^(-2/N): deep flows have to go further
    for name, risk, depth, run in _flows(risks, depths, lambda depth: 1e4 if depth < 3 else 1e6):
        at = _records(run, 100.0 * onset_norm(risk), 4, 4.0)
        if at.size == 0:
            continue
        time, law = run.time[at], theory(risk, depth)
        size = law.norm(time, 2) - law.norm(time)
        ratio = (run.norm[at] - law.norm(time)) / size
        found[name] = extrapolate(ratio, float(RTOL * run.norm[at[-1]] / abs(size[-1])))
        sketch.measured(time, np.maximum(np.abs(ratio - 1.0), 1e-16), f"{risk.law.label()}, $N={depth}$")
    return ratios_finding(found, "r - R -> gamma N/2, gamma the r^-3 term of h over K", "gamma", sketch)


def _time_free(setting: Setting, theory: Any) -> Finding:
    """Differences of -s - (c/N) r^2/(2K) over those of (c/N)(beta/K) log r, along one flow."""
    risks = [risk for risk in setting.risks_or(*_SMOOTH) if _known(risk) and not _slope_at_zero(risk)]
    depths = setting.depths_or(DEPTHS)
    if not risks:
        raise OutOfScope(
            f"speaks of a density of |x_1| that is smooth at 0 and bends there; that of {setting.risks_or()[0].label()} is not known to"
        )
    found: dict[str, Extrapolated] = {}
    sketch = Sketch("$r$", r"$|\beta\ \mathrm{measured}/\beta-1|$", x_log=True, y_log=True)
    for name, risk, depth, run in _flows(risks, depths, lambda depth: 400.0):
        at = _records(run, 10.0 * onset_norm(risk), 5, 2.0)
        if at.size == 0:
            continue
        law, norm = theory(risk, depth), run.norm[at]
        leading = law.time_free(norm, 1)
        change = np.diff(law.time_free(norm) - leading)
        ratio = np.diff(-run.log_tan_half_angle[at] - leading) / change
        found[name] = extrapolate(ratio, float(3.0 * RTOL * leading[-1] / abs(change[-1])))
        sketch.measured(norm[1:], np.maximum(np.abs(ratio - 1.0), 1e-16), f"{risk.law.label()}, $N={depth}$")
    return ratios_finding(found, "-s - (c/N)[r^2/(2K) + (beta/K) log r] tends to a constant", "beta", sketch)


def log_slope(risk: PopulationRisk, depth: int) -> float:
    """The limit of d/dlog r of 1/((N+2)/N p - 1), p = d log r/d log t, where h ~ K log(r)/r^2: it is (N+2)/N.

    With l = log r + const and m = (N+2)/N: t = (r^m/(N K m l)) (1 + 1/(m l) + 2/(m l)^2 + ...), so m p = 1 + 1/(m l) + 2/(m l)^2 + ... and
    1/(m p - 1) = m l - 2 - .... Derived here, formally: h ~ K (log r + const)/r^2 is read off the density, not bounded.
    """
    return (depth + 2.0) / depth


def _logarithm(setting: Setting, theory: Any) -> Finding:
    """The slope of 1/(m p - 1) in log r, p the exact local exponent of the norm, from t = 1e20 to 1e60."""
    risks = [risk for risk in setting.risks_or(*_logarithmic()) if not np.isfinite(risk.tail.constant)]
    depths = setting.depths_or((1, 2, 3))
    if not risks:
        raise OutOfScope("speaks of laws whose density of |x| is positive at 0, where a logarithm stands in the growth")
    found: dict[str, Extrapolated] = {}
    sketch = Sketch(r"$\log r$", r"$(m\,d\log r/d\log t-1)^{-1}$")
    for risk in risks:
        for i, depth in enumerate(depths):
            one, limit = late_flows((risk,), (depth,), ((0.4 / risk.pull, 1.5),), LATEST_TIME, RTOL)[0, 0, 0], (depth + 2.0) / depth
            late = one.time > 1e6
            log_norm, inverse = one.log_norm[late], 1.0 / (limit * one.local_exponent("norm")[late] - 1.0)
            at = np.linspace(late.sum() // 4, late.sum() - 1, 5).astype(int)
            slopes = np.diff(inverse[at]) / np.diff(log_norm[at]) / theory(risk, depth)
            # what is left of the slope falls like (log r)^-2: not a power of t, so the extrapolation errs by as much as it moves
            noise = float(RTOL * inverse[-1] ** 2)
            found[f"{risk.label()}, N = {depth}"] = Extrapolated(float(slopes[-1]), 4.0 * abs(float(slopes[-1] - slopes[-2])) + noise)
            if risk is risks[0]:
                sketch.measured(log_norm, inverse, f"$N={depth}$")
                ends = log_norm[[late.sum() // 4, -1]]
                sketch.predicted(ends, inverse[-1] + theory(risk, depth) * (ends - ends[-1]), "" if i else "slope $m$")
    return as_formal(ratios_finding(found, "1/(m p - 1) grows like m log r, m = (N+2)/N: p reaches N/(N+2) like 1/log t", "slope", sketch))


_SMOOTH = (Gaussian(3), Sphere(2), StudentT(2, 3.0))


@lru_cache(maxsize=1)
def _logarithmic() -> tuple[Law, ...]:
    return Radial(2, stats.expon()), Radial(3, stats.uniform(0.0, 1.0))


def bent(factor: float) -> Callable[[Any, Any], Rates]:
    """Rates with the coefficient of the tail's next term multiplied."""

    def made(risk: Any, depth: Any) -> Rates:
        found = rates(risk, depth)
        return replace(found, tail=replace(found.tail, next_coefficient=factor * found.tail.next_coefficient))

    return made


def claims() -> list[Claim]:
    """The next orders, in the order of the report."""
    extrapolated = "Ratios at four norms, each twice the last or more, are extrapolated as a geometric sequence, with and without the last."
    fails = "One law and depth whose extrapolated ratio is off 1 by more than its error."
    return [
        Claim(
            "norm-next-order",
            r"N=1:\ r=R-\beta/R;\qquad N=2:\ r^2=4Kt-\beta\log(4Kt)+\text{const}",
            "derived",
            "Gaussian, Sphere, StudentT; N = 1, 2; to r = 1000 times the tail's onset",
            rates,
            _next_norm,
            "At rtol = 1e-12, r less its leading order R over the correction predicted; at N = 2 differences of r^2, whose constant is the "
            f"start's. {extrapolated}",
            fails,
            Control("beta (1 + 1e-3)", bent(1.001)),
            derivation="asymptotics",
        ),
        Claim(
            "norm-next-order-with-a-slope",
            r"h\sim \frac{K}{r^2}\left(1+\frac{\gamma}{r}\right):\quad r-R\to\frac{\gamma N}{2}",
            "derived",
            "Laplace laws; N = 1-5; to r = 1e4 (N = 1, 2) and 1e6 times the tail's onset",
            rates,
            _next_norm_with_slope,
            f"At rtol = 1e-12, r less its leading order R over gamma N/2. {extrapolated}",
            fails,
            Control("gamma (1 + 1e-3)", bent(1.001)),
            derivation="asymptotics",
        ),
        Claim(
            "time-free-law",
            r"-s=\frac{c}{N}\left[\frac{r^2}{2K}+\frac{\beta}{K}\log r+\text{const}\right]+o(1)",
            "derived",
            "Gaussian, Sphere, StudentT; N = 1-5; to r = 400 times the tail's onset",
            rates,
            _time_free,
            f"At rtol = 1e-12, differences of -s - (c/N) r^2/(2K) over those of (c/N)(beta/K) log r. {extrapolated}",
            fails,
            Control("beta (1 + 1e-3)", bent(1.001)),
            derivation="asymptotics",
        ),
        Claim(
            "no-power-with-a-logarithm",
            r"h\sim K\,\frac{\log r}{r^2}:\quad \frac{d\log r}{d\log t}=\frac1m+\frac{1}{m^2\log r}+\ldots,\quad m=\frac{N+2}{N}",
            "derived, formal",
            "Radial(2, expon), Radial(3, uniform); N = 1, 2, 3; to t = 1e60",
            log_slope,
            _logarithm,
            "The slope in log r of 1/(m p - 1), p the exact local exponent of the norm, at rtol = 1e-12; four times its change "
            "from the last part of log t but one to the last is its error.",
            "One law and depth whose slope is off m by more than four times its last change.",
            Control("slope m (1 + 0.01)", lambda risk, depth: 1.01 * log_slope(risk, depth)),
            expected="consistent",
        ),
    ]
