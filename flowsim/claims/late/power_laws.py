"""Measured powers of time beside those that theory says: the verdict, the numbers, and the pictures."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from flowsim.claims.claim import Finding
from flowsim.claims.exponents import SYMBOL, MeasuredRate, Quantity, measure_rate, recorded
from flowsim.claims.picture import Picture, Sketch
from flowsim.claims.settings import Case, OutOfScope
from flowsim.dynamics import Trajectory
from flowsim.problem import PopulationRisk

Cases = Sequence[tuple[Case, Trajectory]]


class Power(NamedTuple):
    """X ~ constant t^exponent."""

    exponent: float
    constant: float


def power_of(found: Any, quantity: Quantity) -> Power:
    """What `flowsim.theory.rates` says of -s, r or L; the risk's exponent is negative here."""
    exponent, constant = getattr(found, f"{quantity}_exponent"), getattr(found, f"{quantity}_constant")
    return Power(-exponent if quantity == "risk" else exponent, constant)


def powers(theory: Any, quantity: Quantity) -> Callable[[PopulationRisk, int], Power]:
    """The power of -s, r or L for each risk and depth, of a theory like `flowsim.theory.rates`."""
    return lambda risk, depth: power_of(theory(risk, depth), quantity)


class Off:
    """A theory like ``made`` in which each entry named is multiplied by 1 + its number: a function like it, of the same arguments."""

    def __init__(self, made: Callable[..., Any], **wrong: float) -> None:
        self.made, self.wrong = made, wrong

    def __call__(self, *arguments: Any) -> Any:
        return _Wrong(self.made(*arguments), self.wrong)


class _Wrong:
    def __init__(self, right: Any, wrong: dict[str, float]) -> None:
        self._right, self._wrong = right, wrong

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._right, name)
        return value * (1.0 + self._wrong[name]) if name in self._wrong else value


@dataclass(frozen=True)
class Held:
    """A measured rate beside the power that theory says."""

    case: str
    rate: MeasuredRate
    power: Power

    @property
    def exponent_gap(self) -> float:
        return abs(self.rate.exponent - self.power.exponent)

    @property
    def constant_gap(self) -> float:
        return abs(self.rate.constant - self.power.constant)

    @property
    def off(self) -> float:
        """The larger gap, of the exponent or of the constant, over its error."""
        return max(self.exponent_gap / self.rate.exponent_error, self.constant_gap / self.rate.constant_error)

    def row(self) -> list[float]:
        """Exponent, its error, theory's; the same of the constant."""
        rate = self.rate
        return [rate.exponent, rate.exponent_error, self.power.exponent, rate.constant, rate.constant_error, self.power.constant]


def no_power(risk: PopulationRisk) -> str:
    """Why the late flow on this risk is no power of t; empty where it is one (with label noise the direction always is)."""
    return (
        ""
        if risk.label_noise or np.isfinite(risk.tail.constant)
        else f"the growth of {risk.label()} falls off with a logarithm: no power of t"
    )


def held_rates(
    cases: Iterable[tuple[Case, Trajectory]], quantity: Quantity, theory: Callable[[PopulationRisk, int], Power], parts: bool = False
) -> tuple[list[Held], list[str]]:
    """The rates of the flows that can be measured, and why the others cannot; ``parts``: also of two thirds of each window in log t.

    OutOfScope where none can be.
    """
    held: list[Held] = []
    refused: list[str] = []

    def measured(name: str, run: Trajectory, power: Power, window: tuple[float, float] | None) -> MeasuredRate | None:
        try:
            rate = measure_rate(run, quantity, window)
        except ValueError as reason:
            refused.append(f"{name}: {reason}")
            return None
        held.append(Held(name, rate, power))
        return rate

    for case, run in cases:
        if no_power(case.risk):
            refused.append(no_power(case.risk))
            continue
        power = theory(case.risk, case.depth)
        whole = measured(str(case), run, power, None)
        if whole is not None and parts:
            first, last = whole.window
            third = (last / first) ** (1.0 / 3.0)
            for window in ((first, last / third), (first * third, last)):
                measured(f"{case}, t = {window[0]:.3g} to {window[1]:.3g}", run, power, window)
    if not held:
        raise OutOfScope(refused[0])
    return held, refused


def power_finding(held: list[Held], refused: list[str], predicted: str, picture: Picture) -> Finding:
    """Holds if every exponent and every constant agrees with theory within its own error."""
    worst = max(held, key=lambda h: h.off)
    gaps = np.array([[h.exponent_gap, h.constant_gap / abs(h.power.constant)] for h in held])
    errors = np.array([[h.rate.exponent_error, h.rate.constant_error / abs(h.power.constant)] for h in held])
    typical = np.median(errors, axis=0)
    left = f"; {len(refused)} more were not late enough to tell" if refused else ""
    return Finding(
        "holds" if worst.off <= 1.0 else "violated",
        predicted,
        f"{len(held)} rates: exponents within {gaps[:, 0].max():.1e}, constants within {gaps[:, 1].max():.1e} (median errors "
        f"{typical[0]:.0e}, {typical[1]:.0e}), each at most {worst.off:.2g} of its error{left}",
        f"the error measured with each: exponents {errors[:, 0].min():.0e} to {errors[:, 0].max():.0e}, "
        f"constants {errors[:, 1].min():.0e} to {errors[:, 1].max():.0e}",
        worst.case,
        {"rates": {h.case: h.row() for h in held}, "refused": refused},
        picture,
    )


def _drawn(cases: Cases, by: str) -> list[tuple[Case, Trajectory, str]]:
    """The first start of each law, or of each depth, six at most, with its label."""
    seen: dict[Any, tuple[Case, Trajectory, str]] = {}
    for case, run in cases:
        if not no_power(case.risk):
            law = by == "law"
            seen.setdefault(case.risk if law else case.depth, (case, run, case.risk.law.label() if law else f"$N={case.depth}$"))
    return list(seen.values())[:6]


def local_exponents(cases: Cases, quantity: Quantity, theory: Any, by: str) -> Picture:
    """d log X/d log t of the first start of each law or of each depth, once within half of what theory says, with the latter."""
    shown = rf"$d\log({SYMBOL[quantity]})/d\log t$" if quantity == "direction" else rf"$d\log {SYMBOL[quantity]}/d\log t$"
    sketch, levels = Sketch("$t$", shown, x_log=True), set()
    for case, run, label in _drawn(cases, by):
        exponent, local = power_of(theory(case.risk, case.depth), quantity).exponent, run.local_exponent(quantity)
        # where s passes 0, and while the norm falls, the local exponent is anything
        far = np.flatnonzero(~(np.abs(local / exponent - 1.0) < 0.5))
        near = slice(far[-1] + 1 if far.size else 0, None)
        if far.size and far[-1] == run.time.size - 1:
            continue
        sketch.measured(run.time[near], local[near], label)
        if exponent not in levels:
            sketch.predicted(run.time[[run.time.searchsorted(1.0), -1]], np.full(2, exponent), "" if levels else "theory")
            levels.add(exponent)
    return sketch.done()


def leftover(cases: Cases, quantity: Quantity, theory: Any, by: str) -> Picture:
    """|X/(C t^p) - 1| of the first start of each law or of each depth: straight where one correction is left."""
    sketch = Sketch("$t$", rf"$|{SYMBOL[quantity]}/(C\,t^p)-1|$", x_log=True, y_log=True)
    for case, run, label in _drawn(cases, by):
        power, late = power_of(theory(case.risk, case.depth), quantity), run.time >= 1.0
        gap = np.abs(recorded(run, quantity)[late] / (power.constant * run.time[late] ** power.exponent) - 1.0)
        sketch.measured(run.time[late], np.maximum(gap, 1e-16), label)
    return sketch.done("the floor is the solver's rtol")


def errors_picture(held: list[Held]) -> Picture:
    """|measured - theory| over the error of each exponent and each constant, with the limit at 1."""
    sketch, place = Sketch("flow", "|measured - theory|/error", y_log=True), np.arange(len(held))
    for label, ratios in (
        ("exponent", [h.exponent_gap / h.rate.exponent_error for h in held]),
        ("constant", [h.constant_gap / h.rate.constant_error for h in held]),
    ):
        sketch.measured(place, np.maximum(ratios, 1e-6), label, points=True)
    sketch.limit(np.array([-0.5, len(held) - 0.5]), np.ones(2), "the error")
    return sketch.done()
