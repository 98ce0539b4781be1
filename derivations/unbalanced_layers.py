"""s = -c t + (c delta/(2 sqrt K)) sqrt t - ...: two rank-one layers w = a z whose imbalance |z|^2 - a^2 is delta.

Source: derived here, from the unbalanced flow in `deep_flow`; the late laws by formal asymptotics.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations import deep_flow
from derivations.asymptotics import a, beta, kink, power
from derivations.derivation import Argument, Derivation
from derivations.symbols import K, c, h, r, t, theta

__all__ = ["delta", "derive"]

delta = sp.Symbol("delta", real=True)
"""|z|^2 - a^2."""


@cache
def derive() -> Derivation:
    """The ratio of the layers, the flow in the norm alone, and the direction's late law to three orders."""
    argument = Argument("unbalanced_layers", "Two rank-one layers without balance: the direction", "derived here")
    _ratio(argument)
    _late(argument)
    _power_tail(argument)
    return argument.close()


def _ratio(argument: Argument) -> None:
    scale, length, ratio = sp.symbols("a zeta kappa", positive=True)
    flow = deep_flow.derive().results
    argument.equal(
        "w = a z, zeta = |z|: zeta^2 - a^2 is conserved; call it delta.",
        flow["unbalanced_imbalance_rate"],
        sp.Integer(0),
        label=sp.Derivative(sp.Function("delta")(t), t),
    )
    argument.let("With the ratio kappa = a/zeta and r = a zeta: a^2 = r kappa, zeta^2 = r/kappa, so delta is", delta, r / ratio - r * ratio)
    solved = argument.equal(
        "The positive one of the two roots.",
        max(sp.solve(sp.Eq(r * ratio**2 + delta * ratio - r, 0), ratio), key=lambda root: float(root.subs({r: 1, delta: 1}))),
        sp.sqrt(1 + delta**2 / (4 * r**2)) - delta / (2 * r),
        label=ratio,
    )
    direction_rate = argument.equal(
        "The direction s = log tan(theta/2) falls at c times it.",
        sp.diff(sp.log(sp.tan(theta / 2)), theta) * flow["unbalanced_angle_rate"].subs(scale, ratio * length),
        -c * ratio,
        label=sp.Symbol("sprime"),
    )
    growth = sp.Symbol("h(r)", positive=True)
    norm_rate = argument.equal(
        "Late in the flow theta is exponentially small: zeta' = a h, and a' = zeta h keeps delta, so r' = (a^2 + zeta^2) h:",
        ((scale * growth) * scale + length * (length * growth)).subs(
            {scale: sp.sqrt(r * ratio), length: sp.sqrt(r / ratio)},
        ),
        growth * r * (ratio + 1 / ratio),
        label=sp.Symbol("rprime"),
    )
    squared = sp.expand((norm_rate / growth) ** 2)
    norm_rate = argument.equal(
        "in terms of delta, because (kappa + 1/kappa)^2 = (1/kappa - kappa)^2 + 4.",
        squared,
        sp.expand(delta**2 + 4 * r**2).subs(delta, r / ratio - r * ratio),
        label=(sp.Symbol("rprime") / growth) ** 2,
    )
    argument.result(
        ratio=solved,
        direction_rate=direction_rate.subs(ratio, solved),
        norm_rate=sp.sqrt(4 * r**2 + delta**2) * h(r),
    )


def _late(argument: Argument) -> None:
    x, y = sp.symbols("x y", positive=True)  # 4 K t and 1/r
    ratio = argument.results["ratio"]
    expanded = argument.equal(
        "Large r:",
        sp.series(ratio.subs(r, 1 / y), y, 0, 4).removeO().subs(y, 1 / r),
        1 - delta / (2 * r) + delta**2 / (8 * r**2),
        label=sp.Symbol("kappa"),
    )
    growth = K / r**2 * (1 + kink / r - beta / r**2)
    rate = sp.series((2 * r * sp.sqrt(4 * r**2 + delta**2) * growth).subs(r, 1 / y), y, 0, 3).removeO().subs(y, 1 / r)
    rate = argument.equal(
        "The norm, h = (K/r^2)(1 + gamma/r - beta/r^2):",
        sp.expand(rate),
        sp.expand(4 * K * (1 + kink / r + (delta**2 / 8 - beta) / r**2)),
        label=sp.Derivative(sp.Function("r")(t) ** 2, t),
    )
    logarithm, bend = sp.Symbol("log(x)", positive=True), delta**2 / 8 - beta - kink**2
    squared = x + 2 * kink * sp.sqrt(x) + bend * sp.log(x)
    inverse_root = (y / sp.sqrt(1 + 2 * kink * y + bend * logarithm * y**2)).series(y, 0, 4).removeO()
    argument.equal(
        "With x = 4 K t it is solved by x + 2 gamma sqrt(x) + (delta^2/8 - beta - gamma^2) log x, up to a constant of the start: in "
        "y = x^(-1/2) its derivative less this rate is 0 up to y^3 log x.",
        sp.diff(squared, x).subs(x, y**-2),
        sp.series(sp.expand((rate / (4 * K)).subs(r, 1 / inverse_root)), y, 0, 3).removeO(),
        label=sp.Derivative(sp.Function("r")(x) ** 2, x),
    )
    law = -c * t + c * delta / (2 * sp.sqrt(K)) * sp.sqrt(t) - c * delta * (delta + 4 * kink) / (32 * K) * sp.log(t)
    speed = -c * expanded.subs(r, sp.sqrt(x + 2 * kink * sp.sqrt(x)))
    argument.equal(
        "The direction: this law has the derivative -c kappa up to less than any multiple of 1/t, and an integrable rest.",
        sp.limit(x * (sp.diff(law, t).subs(t, x / (4 * K)) - speed), x, sp.oo),
        sp.Integer(0),
        label=t * sp.Symbol("defect"),
    )
    wrong = law + c * delta**2 / (16 * K) * sp.log(t)
    argument.equal(
        "With the other sign of delta^2 log t it would not.",
        sp.limit(x * (sp.diff(wrong, t).subs(t, x / (4 * K)) - speed), x, sp.oo),
        c * delta**2 / 4,
        label=t * sp.Symbol("defect"),
    )
    argument.result(direction=law, ratio_late=expanded)


def _power_tail(argument: Argument) -> None:
    norm = (2 * (a + 1) * power * t) ** (1 / (a + 1))
    argument.equal(
        "A tail h = K_a r^(-1-a): to leading order r' = 2 r h.",
        sp.simplify(sp.diff(norm, t) / (2 * power * norm ** (-a))),
        sp.Integer(1),
        label=sp.Symbol("rprime") / (2 * r * h(r)),
    )
    drift = c * delta / 2 * (1 + 1 / a) * (2 * (a + 1) * power) ** (-1 / (a + 1)) * t ** (a / (a + 1))
    argument.equal(
        "s + c t grows at c delta/(2r).",
        sp.simplify(sp.diff(drift, t) / (c * delta / (2 * norm))),
        sp.Integer(1),
        label=sp.Symbol("rate") / (c * delta / (2 * r)),
    )
    ordinary: Any = {a: 1, power: K}
    argument.equal(
        "At a = 1 it is the square root.",
        drift.subs(ordinary),
        c * delta / (2 * sp.sqrt(K)) * sp.sqrt(t),
        label=sp.Symbol("s") + c * t,
    )
    argument.result(direction_power_tail=-c * t + drift)
