"""Theorem 1, Lemma 4 and Theorem 5: the bounds on the flow with derived constants beside the printed ones.

Source: Lin, Sun, Zhang (NeurIPS 2021, submitted version). All bounds read
cos theta >= 1 - 2/(exp(E) + 1), that is, -2 s >= E. Constants that the steps below produce
end in `_derived`, those of the paper in `_printed`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations import deep_flow, one_layer_flow
from derivations.derivation import Argument, Derivation
from derivations.symbols import N, c, c0, h, r, s, t, theta

__all__ = ["derive"]

start = sp.Symbol("r_0", positive=True)
"""r(0)."""
turn = sp.Symbol("r_T", positive=True)
"""r(T), T the time at which the norm stops decreasing."""
later = sp.Symbol("tau", positive=True)
"""t - T."""
s_start, s_turn = sp.symbols("s_0 s_T", real=True)
extra = sp.Symbol("m", positive=True)
"""N - 2, for N > 2."""
cosine = sp.Symbol("chi", real=True)
"""cos theta(0)."""
SIX_TENTHS = sp.Rational(6, 10)


@cache
def derive() -> Derivation:
    """The bounds, and where the printed constants differ."""
    argument = Argument(
        "bounds",
        "Bounds on the flow: Theorem 1, Lemma 4, Theorem 5",
        "Lin, Sun, Zhang 2021 (submitted version), Theorems 1 and 5, Lemma 4; derived constants: here",
    )
    _form(argument)
    _theorem_1(argument)
    _lemma_4(argument)
    _norm_floor(argument)
    _theorem_5_first_phase(argument)
    _theorem_5_second_phase(argument)
    _theorem_5_upper(argument)
    return argument.close()


def _form(argument: Argument) -> None:
    exponent = sp.Symbol("E", real=True)
    argument.equal(
        "At E = -2 s the bound is an equality, and it grows with E: it says -2 s >= E.",
        (1 - 2 / (sp.exp(exponent) + 1)).subs(exponent, -2 * s),
        (1 - sp.exp(2 * s)) / (1 + sp.exp(2 * s)),
        label=sp.cos(theta),
    )
    argument.equal(
        "That is the cosine at s = log tan(theta/2).",
        sp.cos(2 * sp.atan(sp.exp(s))),
        (1 - sp.exp(2 * s)) / (1 + sp.exp(2 * s)),
        label=sp.cos(theta),
    )


def _theorem_1(argument: Argument) -> None:
    flow = one_layer_flow.derive().results
    half = 2 * sp.sin(theta / 2) ** 2
    argument.at_most(
        "Theorem 1. The norm grows at most as fast as when aligned, and r h <= 0.3: (r^2)' <= 0.6.",
        2 * r * (h(r) - c * half),
        2 * r * h(r),
        2 * r * c * half,
    )
    speed = argument.equal(
        "-2 s' = 2 c/r, with c = c0/pi.",
        -2 * flow["log_tan_half_angle_rate"].subs(c, c0 / sp.pi),
        2 * c0 / (sp.pi * r),
        label=-2 * sp.Symbol("sprime"),
    )
    first_slope = argument.equal(
        "While the norm falls, r <= r(0): A1 is",
        speed.subs(r, start),
        2 * c0 / (sp.pi * start),
        label=sp.Symbol("A1"),
    )
    bounded = speed.subs(r, sp.sqrt(turn**2 + SIX_TENTHS * later))
    upper = sp.Symbol("x", positive=True)
    root = 4 * c0 / (SIX_TENTHS * sp.pi) * sp.sqrt(turn**2 + SIX_TENTHS * later)
    argument.equal(
        "Afterwards r^2 <= r(T)^2 + 0.6 tau, tau = t - T. A primitive of the speed this allows:",
        sp.diff(root, later),
        bounded,
    )
    second = sp.Symbol("A2", positive=True)
    derived = 4 * c0 / (sp.pi * sp.sqrt(SIX_TENTHS))
    offset = turn**2 / SIX_TENTHS
    constant = -2 * s_turn - 4 * c0 * turn / (SIX_TENTHS * sp.pi)
    exponent = argument.equal(
        "From -2 s(T) on: E = A2 sqrt(tau + C2) + B2, with C2 = r(T)^2/0.6 and B2 = -2 s(T) - 4 c0 r(T)/(0.6 pi).",
        -2 * s_turn + root.subs(later, upper) - root.subs(later, 0),
        derived * sp.sqrt(upper + offset) + constant,
        label=sp.Symbol("E"),
    ).subs(upper, later)
    misread = 4 * c0 / sp.sqrt(SIX_TENTHS * sp.pi)
    argument.let("So A2, with pi outside the root.", second, derived)
    argument.at_most(
        "With pi inside the root the bound would claim more than the truth already at tau = 0, where -2 s = -2 s(T).",
        -2 * s_turn,
        misread * sp.sqrt(offset) + constant,
        sp.simplify(misread * sp.sqrt(offset) - derived * sp.sqrt(offset)),
        strict=True,
    )
    argument.equal("It is too large by a factor.", misread / derived, sp.sqrt(sp.pi))
    argument.result(
        theorem_1_a1=first_slope,
        theorem_1_b1=-2 * s_start,
        theorem_1_a2_derived=derived,
        theorem_1_a2_misread=misread,
        theorem_1_b2=constant,
        theorem_1_c2=offset,
        theorem_1_first_exponent=first_slope * t - 2 * s_start,
        theorem_1_second_exponent=exponent,
    )


def _lemma_4(argument: Argument) -> None:
    flow = deep_flow.derive().results
    half = 2 * sp.sin(theta / 2) ** 2
    aligned = N * r ** (2 - 2 / N) * h(r)
    argument.at_most(
        "Lemma 4, from above: again the aligned growth is the largest,",
        flow["norm_rate"].subs(sp.cos(theta), 1 - half),
        aligned,
        N * r ** (2 - 2 / N) * c * half,
    )
    argument.equal(
        "and with h <= 0.3/r the power r^(2/N) grows at most at the constant rate 0.6.",
        sp.powsimp(sp.diff(r ** (2 / N), r) * aligned.replace(h, lambda norm: sp.Rational(3, 10) / norm)),
        SIX_TENTHS,
        label=sp.Derivative(sp.Symbol("r") ** (2 / N), t),
    )
    ceiling = (start ** (2 / N) + SIX_TENTHS * t) ** (N / 2)
    falling = -2 * c * N * r ** (2 - 2 / N)
    argument.at_most(
        "From below: 1 - cos <= 2 and h > 0,",
        falling,
        flow["norm_rate"].subs(sp.cos(theta), 2 * sp.cos(theta / 2) ** 2 - 1),
        N * r ** (2 - 2 / N) * (h(r) + 2 * c * sp.cos(theta / 2) ** 2),
        strict=False,
    )
    sharp_rate = argument.equal(
        "so r^(2/N-1) grows at most at the rate 2 (N-2) c, with c = c0/pi;",
        sp.powsimp(sp.expand(sp.diff(r ** (2 / N - 1), r) * falling)).subs(c, c0 / sp.pi),
        2 * (N - 2) * c0 / sp.pi,
        label=sp.Derivative(sp.Symbol("r") ** (2 / N - 1), t),
    )
    printed_rate = (N - 2) * c0
    argument.at_most(
        "the paper's (N-2) c0 is larger and so also right (N = 2 + m).",
        sharp_rate.subs(N, 2 + extra),
        printed_rate.subs(N, 2 + extra),
        extra * c0 * (sp.pi - 2) / sp.pi,
        strict=True,
    )
    argument.result(
        lemma_4_upper=ceiling,
        lemma_4_lower=(start ** (2 / N - 1) + printed_rate * t) ** (-N / (N - 2)),
        lemma_4_lower_sharp=(start ** (2 / N - 1) + sharp_rate * t) ** (-N / (N - 2)),
    )


def _norm_floor(argument: Argument) -> None:
    flow = deep_flow.derive().results
    slope = argument.equal(
        "A floor under the norm, not in the paper: along the orbit, with h dropped,",
        sp.powsimp(flow["norm_rate"].subs(h(r), 0) / r / flow["angle_rate"]),
        N * (1 - sp.cos(theta)) / sp.sin(theta),
        label=sp.Derivative(sp.Symbol("log r"), theta),
    )
    floor = ((1 + sp.cos(theta)) / 2) ** N
    argument.equal(
        "which is minus the slope of N log((1 + cos theta)/2):",
        -sp.diff(sp.log(floor), theta),
        slope,
    )
    argument.result(norm_floor=start * ((1 + cosine) / 2) ** N)
    argument.let(
        "so r never falls below",
        sp.Symbol("floor"),
        argument.results["norm_floor"].subs(cosine, sp.cos(sp.Symbol("theta_0"))),
    )


def _theorem_5_first_phase(argument: Argument) -> None:
    rate, base = (N - 2) * c0, start ** (2 / N - 1)
    speed = 2 * c0 / sp.pi / (base + rate * t)
    argument.let(
        "Theorem 5, first phase. -2 s' = (2 c0/pi) r^(1-2/N), and r^(1-2/N) is bounded below by Lemma 4:",
        -2 * sp.Symbol("sprime"),
        speed,
    )
    alpha = 2 / (sp.pi * (N - 2))
    logarithm = alpha * sp.log(rate * t / base + 1)
    argument.equal(
        "Its primitive is alpha log(A1 t/B1 + 1), A1 = (N-2) c0, B1 = r(0)^(2/N-1), alpha = 2/(pi (N-2)).",
        sp.diff(logarithm, t),
        speed,
    )
    opening = argument.equal(
        "The factor in front is C1 = exp(-2 s(0)).",
        1 / sp.tan(theta / 2) ** 2,
        (1 + sp.cos(theta)) / (1 - sp.cos(theta)),
        label=sp.Symbol("C1"),
    ).subs(sp.cos(theta), cosine)
    printed = 2 * c0 / sp.pi
    truth = 2 * c0 / sp.pi / base
    claimed = (printed * sp.diff(sp.log(rate * t / base + 1), t)).subs(t, 0)
    ratio = argument.equal(
        "With the printed alpha = 2 c0/pi the bound is an equality at t = 0 and rises faster than the truth by",
        claimed / truth,
        (N - 2) * c0,
        label=sp.Symbol("ratio"),
    )
    argument.equal(
        "Start of the paper's figure: N = 4, x on the unit circle (c0 = 1), r(0) = 1, cos theta(0) = "
        "-4/5. The norm "
        "falls at first (h <= c < 9c/5), and the printed bound rises twice as fast as the truth: violated.",
        ratio.subs({N: 4, c0: 1}),
        sp.Integer(2),
        label=sp.Symbol("ratio"),
    )
    unit = sp.Symbol("k", positive=True)
    other_units: Any = {c0: unit * c0, start: start / unit, t: t * unit ** (-2 / N)}
    argument.equal(
        "Units tell the same: x -> k x, w -> w/k, t -> k^(-2/N) t is one flow in other units, and keeps A1 t/B1;",
        sp.powsimp(sp.expand_power_base((rate * t / base).subs(other_units, simultaneous=True))),
        sp.powsimp(rate * t / base),
    )
    argument.equal(
        "so alpha may not change either, but the printed one does; the derived one has no c0 in it.",
        printed.subs(c0, unit * c0) / printed,
        unit,
        label=sp.Symbol("alpha_new") / sp.Symbol("alpha_old"),
    )
    argument.result(
        theorem_5_alpha_derived=alpha,
        theorem_5_alpha_printed=printed,
        theorem_5_a1=rate,
        theorem_5_b1=base,
        theorem_5_c1=opening,
        theorem_5_first_exponent_derived=sp.log(opening) + logarithm,
        theorem_5_first_exponent_printed=sp.log(opening) + printed * sp.log(rate * t / base + 1),
        theorem_5_alpha_slope_ratio=ratio,
    )


def _theorem_5_second_phase(argument: Argument) -> None:
    flow = deep_flow.derive().results
    derived = argument.equal(
        "Second phase: the norm grows, r >= r(T), so -2 s grows at least at the rate A2,",
        (-2 * flow["log_tan_half_angle_rate"]).subs({r: turn, c: c0 / sp.pi}),
        2 * c0 * turn ** (1 - 2 / N) / sp.pi,
        label=sp.Symbol("A2"),
    )
    printed = 2 * c0 * turn ** (2 - 2 / N) / sp.pi
    ratio = argument.equal(
        "which the printed exponent 2 - 2/N exceeds, at t = T where the bound is an equality, by",
        sp.powsimp(printed / derived),
        turn,
        label=sp.Symbol("ratio"),
    )
    floor = argument.results["norm_floor"].subs({start: 5, cosine: sp.Rational(9, 10), N: 4})
    argument.equal(
        "Violated whenever r(T) > 1. N = 4, r(0) = 5, cos theta(0) = 9/10: r(T) is at least the floor",
        floor,
        sp.Rational(130321, 32000),
        label=sp.Symbol("floor"),
    )
    argument.at_most("whatever the law.", sp.Integer(1), floor, floor - 1, strict=True)
    argument.result(
        theorem_5_a2_derived=derived,
        theorem_5_a2_printed=printed,
        theorem_5_b2=-2 * s_turn,
        theorem_5_a2_ratio=ratio,
        theorem_5_second_exponent_derived=derived * later - 2 * s_turn,
        theorem_5_second_exponent_printed=printed * later - 2 * s_turn,
    )


def _theorem_5_upper(argument: Argument) -> None:
    base = start ** (2 / N)
    speed = 2 * c0 / sp.pi * (base + SIX_TENTHS * t) ** ((N - 2) / 2)
    argument.let(
        "From above: Lemma 4's ceiling in -2 s' = (2 c0/pi) r^(1-2/N), (N/2)(1 - 2/N) = (N-2)/2:",
        -2 * sp.Symbol("sprime"),
        speed,
    )
    factor = 4 * c0 / (SIX_TENTHS * N * sp.pi)
    exponent = factor * ((base + SIX_TENTHS * t) ** (N / 2) - base ** (N / 2)) - 2 * s_start
    argument.equal(
        "Its primitive is F (0.6 t + D)^(N/2), with D = r(0)^(2/N) and F = 4 c0/(0.6 N pi).",
        sp.powsimp(sp.diff(exponent, t)),
        speed,
    )
    argument.equal("At t = 0 it is -2 s(0).", exponent.subs(t, 0), -2 * s_start)
    argument.result(theorem_5_upper_factor=factor, theorem_5_upper_base=base, theorem_5_upper_exponent=exponent)
