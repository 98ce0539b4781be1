"""0 < Hessian <= lambda_max(Sigma)/4, <v, grad L> < 0, |grad L| <= c0 and h(r) <= W(1/e)/r.

Source: Lin, Sun, Zhang (NeurIPS 2021, submitted version), Lemma 1 and the constant 0.6 = 2 * 0.3 of
Theorems 1 and 5; the sharp constant W(1/e) = 0.2784... in place of 0.3 is derived here.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.symbols import c, h, r, theta, u

__all__ = ["derive"]


@cache
def derive() -> Derivation:
    """Convexity, smoothness and the bounds on gradient and growth."""
    argument = Argument(
        "smoothness",
        "Consequences: convex, smooth, bounded gradient, h <= 0.2785/r",
        "Lin, Sun, Zhang 2021 (submitted version), Lemma 1; sharp constant: here",
    )
    _hessian(argument)
    _gradient(argument)
    _growth(argument)
    return argument.close()


def _hessian(argument: Argument) -> None:
    y = sp.Symbol("y", positive=True)  # half a margin, r u / 2
    radial = sp.exp(2 * y) / (1 + sp.exp(2 * y)) ** 2
    argument.let("Half the margin of one sample aligned with w.", y, r * u / 2)
    radial = argument.equal(
        "kappa = -h' is the mean of u^2 times a positive function of y: L is convex along w,",
        radial,
        1 / (4 * sp.cosh(y) ** 2),
    )
    drag = argument.equal(
        "and (c - h)/r is the mean of u^2 times another: L is convex across w.",
        (u / 2 - u / (1 + sp.exp(2 * y))) / (2 * y / u) / u**2,
        sp.tanh(y) / (4 * y),
    )
    argument.at_most("The radial one is at most 1/4.", radial, sp.Rational(1, 4), sp.tanh(y) ** 2 / 4)
    gap_slope = argument.equal(
        "For the tangential one: y - tanh(y) vanishes at 0 and has a derivative that is a square,",
        sp.diff(y - sp.tanh(y), y),
        sp.tanh(y) ** 2,
        label=sp.Derivative(y - sp.tanh(y), y),
    )
    argument.at_most(
        "one that is not negative; so tanh(y) <= y, the second function is at most 1/4,",
        sp.Integer(0),
        gap_slope,
        sp.tanh(y) ** 2,
    )
    argument.equal(
        "and tends to 1/4 at y = 0. Both mean: Hessian <= E[u^2]/4 = lambda_max(Sigma)/4.",
        sp.limit(drag, y, 0),
        sp.Rational(1, 4),
        label=sp.Limit(drag, y, 0),
    )
    argument.result(smoothness_over_variance=sp.Rational(1, 4))


def _gradient(argument: Argument) -> None:
    drag = sp.Symbol("d", positive=True)  # c - h, positive because tanh is
    half_angle = sp.sin(theta / 2) ** 2
    argument.let("c - h(r) = E[u tanh(ru/2)]/2 > 0; call it d.", drag, c - h(r))
    with_teacher = argument.equal(
        "The gradient's component along the teacher",
        drag * sp.cos(theta) - c,
        -(c - drag) - 2 * drag * half_angle,
        label=sp.Symbol("<v, grad L>"),
    )
    growth = sp.Symbol("h", positive=True)
    argument.at_most(
        "is negative everywhere, with h = c - d.",
        with_teacher.subs(drag, c - growth).subs(c, growth + drag).expand(),
        sp.Integer(0),
        growth + 2 * drag * half_angle,
        strict=True,
    )
    squared = argument.equal(
        "The gradient's norm",
        (drag * sp.cos(theta) - c) ** 2 + (drag * sp.sin(theta)) ** 2,
        (c + drag) ** 2 - 4 * c * drag * sp.cos(theta / 2) ** 2,
        label=sp.Symbol("|grad L|^2"),
    )
    argument.at_most("is at most c + d = 2c - h,", squared, (c + drag) ** 2, 4 * c * drag * sp.cos(theta / 2) ** 2)
    argument.at_most(
        "which is less than 2c = 2 c0/pi, a sharper bound than c0 = pi c.",
        2 * c,
        sp.pi * c,
        (sp.pi - 2) * c,
        strict=True,
    )
    argument.result(
        teacher_component=(c - h(r)) * sp.cos(theta) - c,
        gradient_norm=sp.sqrt((2 * c - h(r)) ** 2 - 4 * c * (c - h(r)) * sp.cos(theta / 2) ** 2),
        gradient_bound=2 * c,
        gradient_bound_in_paper=sp.pi * c,
    )


def _growth(argument: Argument) -> None:
    y = sp.Symbol("y", positive=True)  # the margin r u
    integrand = y / (1 + sp.exp(y))
    argument.let("r h(r) is the mean of a function of the margin y = r u.", sp.Function("g")(y), integrand)
    peak = 1 + sp.LambertW(sp.exp(-1))
    slope = argument.equal(
        "Its derivative has the sign of 1 + e^y - y e^y,",
        sp.diff(integrand, y) * (1 + sp.exp(y)) ** 2,
        1 + sp.exp(y) - y * sp.exp(y),
    )
    argument.equal(
        "which falls (its own derivative is -y e^y), from 2 at y = 0: there is one maximum.",
        sp.diff(slope, y),
        -y * sp.exp(y),
    )
    argument.equal(
        "It is where (y - 1) e^(y-1) = 1/e, so at y = 1 + W(1/e).",
        sp.simplify((peak - 1) * sp.exp(peak - 1)),
        sp.exp(-1),
    )
    highest = sp.LambertW(sp.exp(-1))
    argument.equal(
        "There e^y = 1/(y - 1), and the value is y - 1 = W(1/e).",
        (y / (1 + 1 / (y - 1))).subs(y, peak),
        highest,
    )
    argument.same_numbers(
        "The maximum in numbers, against its own formula.",
        integrand.subs(y, peak),
        highest,
        at=[{}],
    )
    printed, rounded = sp.Rational(2785, 10000), sp.Rational(3, 10)
    argument.at_most("So h(r) <= W(1/e)/r, which the paper states as 0.2785/r", highest, printed, printed - highest, strict=True)
    argument.at_most("and uses as 0.3/r.", printed, rounded, rounded - printed, strict=True)
    argument.result(
        growth_times_norm_bound=highest,
        growth_times_norm_bound_printed=printed,
        growth_times_norm_bound_used=rounded,
    )
