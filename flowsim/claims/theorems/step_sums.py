"""Claims about Remarks 1 and 2: the orders of the sums in Theorems 2 and 3.

The sums know the law and the start by A and C alone, and step sizes in other units do not change them; so these claims are of no law.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import zeta

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.claims.theorems import step_sum_limits
from flowsim.claims.theorems.step_sum_limits import ROUNDING, one_layer
from flowsim.theory import (
    GeometricSteps,
    PowerSteps,
    SettledSteps,
    StepSumOrder,
    step_sum,
    step_sum_order,
)

Orders = Callable[[Any, float, float], StepSumOrder]
Steps = PowerSteps | GeometricSteps

TELLING = 0.1
"""Where the next order is larger than this, S_2m - S_m says too little of the leading one, and is left out."""

POWERS = {0.0: (2.0, 1.0, 0.0, -0.25, -0.5, -0.75, -1.0, -1.5), 1.0: (2.0, 1.0, 0.0, -0.5, -0.75, -1.0, -1.5)}
"""By whether C > 0: the exponents measured, one at least on either side of each change of order."""

DRAWN = 4
"""Exponents drawn from the seed beside those."""


@dataclass(frozen=True)
class Ratio:
    """(S_2m - S_m) over its leading order, and how far from 1 the next order may take it."""

    name: str
    m: int
    value: float
    allowed: float


def ratios(name: str, steps: Steps, sizes: np.ndarray, offset: float, drift: float, orders: Orders) -> Iterator[Ratio]:
    """At m doubling from 256, or from an eighth of the steps, wherever the next order x is below `TELLING`; allowed: x (1 + 4 x)."""
    order = orders(steps, offset, drift)
    total = step_sum(sizes, offset, drift)
    m = sizes.size // 2
    while m >= min(256, sizes.size // 8):
        size = float(order.next_order(m))
        expected = float(order.between(m, 2 * m))
        if size < TELLING:
            allowed = size * (1.0 + 4.0 * size) + ROUNDING * float(total[2 * m]) / abs(expected)
            yield Ratio(name, m, float(total[2 * m] - total[m]) / expected, allowed)
        m //= 2


def _powers(setting: Setting, drift: float) -> Iterator[tuple[str, PowerSteps, float, float]]:
    """Steps with A and C that bring the leading part of V out.

    Where squares lead, eta is not small. Where C eta_k does, for p < 0, it is, and A is of the size of what it is added to,
    C eta zeta(-p), which is negative.
    """
    draw = setting.generator(200 + int(drift > 0.0))
    drawn = draw.uniform(-2.0, 2.0, DRAWN * (4 if setting.thorough else 1))
    for p in (*POWERS[drift], *np.round(drawn, 3)):
        offset, c = np.exp(draw.uniform(-1.0, 1.0, 2)) * (1.0, drift)
        first = draw.uniform(1.0, 3.0) * max(np.sqrt(offset), c)
        if drift > 0.0 and p < 0.0:
            first = draw.uniform(0.05, 0.2) * c
            offset = draw.uniform(0.9, 1.1) * c * first * (1.0 if p == -1.0 else abs(zeta(-p)))
        name = f"p = {p:g}, eta_0 = {first:.3g}, A = {offset:.3g}" + (f", C = {c:.3g}" if drift else "")
        yield name, PowerSteps(float(first), float(p)), float(offset), float(c)


def _measure_powers(drift: float) -> Callable[[Setting, Orders], Finding]:
    def measure(setting: Setting, orders: Orders) -> Finding:
        one_layer(setting)
        count = 2 ** (22 if setting.thorough else 20)
        found = [ratio for name, steps, a, c in _powers(setting, drift) for ratio in ratios(name, steps, steps.sizes(count), a, c, orders)]
        return _finding(found, f"1 + O(next order), which is below {TELLING:g} where it is measured, m to {count // 2:g}")

    return measure


def _measure_geometric(setting: Setting, orders: Orders) -> Finding:
    one_layer(setting)
    draw = setting.generator(202)
    found = []
    for q in (1.01, 1.1, 2.0, 10.0, *np.round(1.0 + np.exp(draw.uniform(-5.0, 1.0, 2)), 4)):
        steps = GeometricSteps(draw.uniform(0.1, 1.0), float(q))
        count = int(min(300.0 / np.log(q), 2**18))
        for offset, drift in ((1.0, 0.0), (0.5, 0.6)):
            name = f"q = {q:g}, eta_0 = {steps.first:.3g}, A = {offset:g}, C = {drift:g}"
            found += ratios(name, steps, steps.sizes(count), offset, drift, orders)
    return _finding(found, "1 + O(q^-m)")


def _finding(found: list[Ratio], predicted: str) -> Finding:
    worst = max(found, key=lambda r: abs(r.value - 1.0) / r.allowed)
    last = {r.name: r for r in sorted(found, key=lambda r: r.m)}
    sharpest = min(found, key=lambda r: r.allowed)
    sketch = Sketch(r"$m$", r"$(S_{2m}-S_m)$ / leading order", x_log=True)
    names = list(dict.fromkeys(r.name for r in found))
    for name in names[:: max(1, len(names) // 6)][:5]:
        mine = [r for r in found if r.name == name]
        sketch.measured(np.array([r.m for r in mine]), np.array([r.value for r in mine]), name.split(",")[0], points=True)
    ends = np.array([min(r.m for r in found), max(r.m for r in found)])
    sketch.predicted(ends, np.ones(2), "leading order")
    gap = abs(worst.value - 1.0)
    return Finding(
        "holds" if all(abs(r.value - 1.0) <= r.allowed for r in found) else "violated",
        f"(S_2m - S_m)/its leading order = {predicted}",
        f"off by at most {gap / worst.allowed:.2f} of what the next order allows; sharpest at {sharpest.name}: "
        f"off by {abs(sharpest.value - 1.0):.1e} at m = {sharpest.m}; {len(found)} ratios of {len(names)} sequences",
        f"x (1 + 4 x), x the relative size of the next order at m: here {sharpest.allowed:.1e} to {max(r.allowed for r in found):.1e}",
        f"{worst.name}, m = {worst.m}: off by {gap:.2e}, allowed {worst.allowed:.2e}",
        {name: {"m": r.m, "ratio": r.value, "allowed": r.allowed} for name, r in last.items()},
        sketch.done(),
    )


def settled_sequences(setting: Setting, count: int) -> dict[str, tuple[np.ndarray, float, float]]:
    """Step sizes in a range whose averages settle, with the averages of eta_k and eta_k^2 they settle to."""
    draw, k = setting.generator(203), np.arange(count)
    low, high, ratio = 0.1, 10.0, np.log(100.0)
    return {
        "uniform in [0.5, 1.5]": (draw.uniform(0.5, 1.5, count), 1.0, 13.0 / 12.0),
        "log-uniform in [0.1, 10]": (
            np.exp(draw.uniform(np.log(low), np.log(high), count)),
            (high - low) / ratio,
            (high**2 - low**2) / (2 * ratio),
        ),
        "0.2 and 2 in turn": (np.where(k % 2 == 0, 0.2, 2.0), 1.1, 2.02),
        "1 + cos(sqrt(2) k)/2": (1.0 + 0.5 * np.cos(np.sqrt(2.0) * k), 1.0, 1.125),
    }


def _measure_settled(setting: Setting, orders: Orders) -> Finding:
    one_layer(setting)
    count, offset = 2 ** (22 if setting.thorough else 20), 1.0
    gaps, most = {}, 0.0
    for name, (sizes, mean, mean_square) in settled_sequences(setting, count).items():
        for drift in (0.0, 0.6):
            total, m = step_sum(sizes, offset, drift), count // 2
            expected = float(orders(SettledSteps(mean, mean_square), offset, drift).between(m, count))
            # five standard deviations of the averages over m steps, were they independent; and A, which is not in the order
            spread = np.std(sizes) / mean + 0.5 * np.std(sizes**2 + drift * sizes) / (mean_square + drift * mean)
            allowed = 5.0 * spread / np.sqrt(m) + (2.0 + offset / (mean_square + drift * mean)) / m
            most = max(most, allowed)
            gaps[f"{name}, C = {drift:g}"] = abs(float(total[count] - total[m]) / expected - 1.0) / allowed
    return finding_of_gaps(
        gaps,
        1.0,
        "(S_2m - S_m)/its leading order = 1 within five standard deviations of the averages",
        f"largest gap {{gap}} of that, m = {count // 2}, {{count}} sums",
        f"1: five standard deviations of averages over m steps, at most {most:.1e}",
        "gap over what the averages' scatter allows",
    )


def _larger(factor: float) -> Orders:
    def orders(steps: Any, offset: float, drift: float) -> StepSumOrder:
        order = step_sum_order(steps, offset, drift)
        return replace(order, factor=factor * order.factor)

    return orders


def _steeper(steps: Any, offset: float, drift: float) -> StepSumOrder:
    """The power 0.01 too large, and the constant such that S_2m - S_m comes out right at m = 2^19."""
    order, m = step_sum_order(steps, offset, drift), 2**19
    wrong = replace(order, power=order.power + 0.01)
    return replace(wrong, factor=order.factor * float(order.between(m, 2 * m) / wrong.between(m, 2 * m)))


def _spread_ignored(steps: SettledSteps, offset: float, drift: float) -> StepSumOrder:
    return step_sum_order(SettledSteps(steps.mean, steps.mean**2), offset, drift)


def claims() -> list[Claim]:
    remark_1, remark_2 = f"{PAPER}, Remark 1; orders and constants derived here", f"{PAPER}, Remark 2; orders and constants derived here"
    both, remarks = f"{PAPER}, Remarks 1 and 2; derived here", ("Remark 1", "Remark 2")
    doubling = (
        "S_2m - S_m, summed term by term, over the integral of its leading term, at m = 256, 512, ...; the sum's early terms drop out."
    )
    off = "One m at which the ratio is off 1 by more than x (1 + 4 x), x the computed relative size of the next order there."
    return [
        Claim(
            "remark-1-power-steps",
            r"\eta_k=\eta(k+1)^p:\ S^-_n\sim 2\sqrt{(2p+1)n}\ (p>-\tfrac12),\ 2\sqrt{n/\log n}\ (p=-\tfrac12),"
            r"\ \frac{\eta\, n^{1+p}}{(1+p)\sqrt{A+\eta^2\zeta(-2p)}}\ (-1<p<-\tfrac12)",
            remark_1,
            "p = 2, 1, 0, -1/4, -1/2, -3/4, -1, -3/2 and four drawn from [-2, 2]; eta and A drawn; n to 1e6",
            step_sum_order,
            _measure_powers(0.0),
            doubling,
            off,
            Control("every constant 0.1 % too large: 2.002 sqrt((2p+1) n) and so on", _larger(1.001)),
            derivation="step_sums",
            about=("Remark 1",),
        ),
        Claim(
            "remark-2-power-steps",
            r"\eta_k=\eta(k+1)^p:\ S^+_n\sim 2\sqrt{(2p+1)n}\ (p>0),\ 2\sqrt{\tfrac{\eta n}{\eta+C}}\ (p=0),"
            r"\ 2\sqrt{\tfrac{\eta\, n^{1+p}}{C(1+p)}}\ (-1<p<0),\ 2\sqrt{\tfrac{\eta}{C}\log n}\ (p=-1)",
            remark_2,
            "p = 2, 1, 0, -1/2, -3/4, -1, -3/2 and four drawn from [-2, 2]; eta, A and C drawn; n to 1e6",
            step_sum_order,
            _measure_powers(1.0),
            doubling,
            off,
            Control("the exponent of n too large by 0.01, with the constant that fits at n = 1e6", _steeper),
            derivation="step_sums",
            about=("Remark 2",),
        ),
        Claim(
            "remarks-geometric-steps",
            r"\eta_k=\eta q^k,\ q>1:\ S^-_n\sim S^+_n\sim n\sqrt{1-q^{-2}}",
            both,
            "q = 1.01, 1.1, 2, 10 and two drawn; as many steps as stay below 1e150",
            step_sum_order,
            _measure_geometric,
            "As for powers of k, at m = half, a quarter, an eighth of the steps; here the next order is exponentially small.",
            off,
            Control("n sqrt(1 - q^-2) larger by 0.1 %", _larger(1.001)),
            derivation="step_sums",
            about=remarks,
        ),
        Claim(
            "remarks-settled-steps",
            r"\tfrac1n\sum\eta_k\to m_1,\ \tfrac1n\sum\eta_k^2\to m_2:\ S_n\sim 2\sqrt{n}\,\frac{m_1}{\sqrt{m_2+Cm_1}}",
            both,
            "random, alternating and oscillating step sizes within [0.1, 10]; C = 0 and 0.6; n to 1e6",
            step_sum_order,
            _measure_settled,
            "S_2m - S_m over its leading order, m = 5e5.",
            "One sequence for which the ratio is off 1 by more than five standard deviations of its averages over m steps.",
            Control("m2 = m1^2, as if the spread of the step sizes cost nothing", _spread_ignored),
            derivation="step_sums",
            about=remarks,
        ),
        *step_sum_limits.claims(),
    ]
