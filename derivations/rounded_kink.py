"""S = 1/2 + (15 tau - 10 tau^3 + 3 tau^5)/16: the slope of a rounded kink, and its integral from -1.

Source: derived here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations.derivation import Argument, Derivation

__all__ = ["derive"]

tau = sp.Symbol("tau", real=True)
"""The place in the layer, -1 to 1."""
x = sp.Symbol("x", positive=True)
slope, width = sp.symbols("gamma delta", positive=True)


@cache
def derive() -> Derivation:
    """The step from 0 to 1, its integral, and how both join the kink's two sides."""
    argument = Argument("rounded_kink", "A rounded kink: from slope gamma to 1", "derived here")
    step = _step(argument)
    _integral(argument, step)
    return argument.close()


def _step(argument: Argument) -> Any:
    curvature = sp.Rational(15, 16) * (1 - tau**2) ** 2
    step = argument.equal(
        "Its derivative has double zeros at both ends, (1 - tau^2)^2, times what makes it rise by 1:",
        sp.integrate(curvature, (tau, -1, tau)),
        sp.Rational(1, 2) + (15 * tau - 10 * tau**3 + 3 * tau**5) / 16,
        label=sp.Function("S")(tau),
    )
    for end, value in ((-1, 0), (1, 1)):
        argument.equal(
            f"so it joins what is beyond tau = {end}, with two derivatives;",
            sp.Matrix([sp.diff(step, tau, k).subs(tau, end) for k in range(3)]),
            sp.Matrix([value, 0, 0]),
            label=sp.Matrix([sp.Derivative(sp.Function("S")(tau), tau, k) if k else sp.Function("S")(tau) for k in range(3)]),
        )
    argument.at_most(
        "inside it is positive, tau = x - 1.",
        sp.Integer(0),
        step.subs(tau, x - 1),
        x**3 * (3 * (x - sp.Rational(5, 2)) ** 2 + sp.Rational(5, 4)) / 16,
        strict=True,
    )
    argument.result(step=step)
    return step


def _integral(argument: Argument, step: Any) -> None:
    risen = argument.equal(
        "Its integral,",
        sp.integrate(step, (tau, -1, tau)),
        sp.Rational(5, 32) + tau / 2 + sp.Rational(15, 32) * tau**2 - sp.Rational(5, 32) * tau**4 + tau**6 / 32,
        label=sp.Function("R")(tau),
    )
    argument.equal(
        "joins max(tau, 0) at both ends.",
        sp.Matrix([risen.subs(tau, -1), risen.subs(tau, 1)]),
        sp.Matrix([0, 1]),
        label=sp.Matrix([sp.Function("R")(-1), sp.Function("R")(1)]),
    )
    argument.equal(
        "Beside tau/2, which max(tau, 0) has as well, it is even;",
        risen - risen.subs(tau, -tau),
        tau,
        label=sp.Function("R")(tau) - sp.Function("R")(-tau),
    )
    lift = argument.equal(
        "as it rises up to 0, and max(tau, 0) does not, it is above that by this at most, at the kink.",
        risen.subs(tau, 0),
        sp.Rational(5, 32),
        label=sp.Function("R")(0),
    )
    function = width * (slope * tau + (1 - slope) * risen)
    argument.equal(
        "The activation at z = delta tau has the slope gamma + (1 - gamma) S in z.",
        sp.diff(function, tau) / width,
        slope + (1 - slope) * step,
        label=sp.Derivative(sp.Symbol("phi"), sp.Symbol("z")),
    )
    argument.result(risen=risen, lift=lift, activation=function)
