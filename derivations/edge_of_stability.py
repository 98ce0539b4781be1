"""sigma = eta (c - h) r^(1-2/N) against 2, where |1 - sigma| = 1: which runs reach the edge, and when a deep one first bursts.

Source: derived here. [F] marks what is formal: the late run's leading order put in place of the run.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import mpmath
import sympy as sp

from derivations import asymptotics, descent
from derivations.derivation import Argument, Derivation
from derivations.descent import eta
from derivations.symbols import K, N, c, h, r, t

__all__ = ["delayed_burst_sigma", "derive"]

DIGITS = 30

x = sp.Symbol("x", positive=True)
Sigma = sp.Symbol("Sigma", positive=True)
"""sigma at the first burst."""
tail = sp.Symbol("a", positive=True)
"""Tail exponent: h ~ K r^(-1-a)."""


@cache
def derive() -> Derivation:
    """Thresholds at N = 1, 2, >= 3, and the first burst of three and more layers."""
    argument = Argument("edge_of_stability", "The edge of stability, by depth", "derived here, formal where marked [F]")
    _thresholds(argument)
    _delay(argument)
    _burst_sharpness(argument)
    return argument.close()


def _thresholds(argument: Argument) -> None:
    sharpness = descent.derive().results["balanced_sharpness"].subs(h(r), K / r**2)
    extra = sp.Symbol("n", positive=True)
    for sentence, depth, power, expected in (
        ("Aligned runs have r -> oo, h ~ K/r^2. One layer: sigma -> 0, so every step size ends by contracting.", 1, 0, 0),
        ("Two layers: sigma -> eta c, so s ~ k log|1 - eta c|.", 2, 0, eta * c),
        (
            "N = 2 + n layers: sigma ~ eta c r^(1-2/N), without bound: every step size ends beyond 2.",
            2 + extra,
            extra / (2 + extra),
            eta * c,
        ),
    ):
        ratio = sp.expand(sp.powsimp(sp.simplify(sharpness.subs(N, depth) / r**power)))
        argument.equal(sentence, sp.limit(ratio, r, sp.oo), expected, label=sp.Symbol("sigma") / r**power)
    argument.at_most(
        "sigma = 2x/(1+x), all of (0, 2), contracts: |1 - sigma|^2 < 1,",
        (1 - 2 * x / (1 + x)) ** 2,
        sp.Integer(1),
        4 * x / (1 + x) ** 2,
        strict=True,
    )
    argument.at_most("sigma = 2 + x expands.", sp.Integer(1), (1 - (2 + x)) ** 2, x * (x + 2), strict=True)
    argument.result(two_layer_direction_per_step=sp.log(sp.Abs(1 - eta * c)))


def _delay(argument: Argument) -> None:
    flow = asymptotics.derive().results["norm_power_tail"].subs(sp.Symbol("K_a", positive=True), K)
    reach, deeper = (Sigma / (eta * c)) ** (N / (N - 2)), sp.Symbol("n", positive=True)
    argument.equal(
        "N = 2 + n > 2, aligned: sigma = eta c r^(1-2/N) is Sigma at the norm (Sigma/(eta c))^(N/(N-2)),",
        (eta * c * reach ** (1 - 2 / N)).subs(N, 2 + deeper),
        Sigma,
        label=sp.Symbol("sigma"),
    )
    count = r ** (tail + 2 / N) / ((tail * N + 2) * K * eta)
    argument.equal(
        "[F] which the late run, h ~ K r^(-1-a), on the clock t = eta k, reaches at the step k(r):",
        sp.powdenest(sp.simplify(flow.subs(t, eta * count)), force=True),
        r,
        label=sp.Function("r")(sp.Function("k")(r)),
    )
    power = argument.equal(
        "So dk is proportional to sigma^p dsigma, with p = dlog k/dlog sigma - 1;",
        sp.simplify(Sigma * sp.diff(sp.log(count.subs(r, reach)), Sigma)) - 1,
        (tail * N + 2) / (N - 2) - 1,
        label=sp.Symbol("p"),
    )
    argument.equal("for a = 1", power.subs(tail, 1), 4 / (N - 2), label=sp.Symbol("p"))
    argument.let(
        "[F] log|z_perp| falls until sigma = 2 and must climb back first: the first burst is at the Sigma > 2 with",
        sp.Integral(sp.log(sp.Abs(1 - x)) * x ** sp.Symbol("p", positive=True), (x, 0, Sigma)),
        sp.Integer(0),
    )
    argument.result(delay_power=power, first_burst_norm=reach, first_burst_step=count.subs(tail, 1).subs(r, reach), late_step=count)


def _burst_sharpness(argument: Argument) -> None:
    power = argument.results["delay_power"]
    for depth in (3, 4, 6):
        whole = int(power.subs({tail: 1, N: depth}))
        terms = sum(x**j / j for j in range(1, whole + 2))
        primitive = ((x ** (whole + 1) - 1) * sp.log((x - 1) ** 2) / 2 - terms) / (whole + 1)
        argument.equal(
            f"N = {depth}, p = {whole}: a primitive P,",
            sp.simplify(sp.diff(primitive, x)),
            x**whole * sp.log((x - 1) ** 2) / 2,
            label=sp.Derivative(sp.Symbol("P"), x),
        )
        argument.equal(
            "0 at x = 0 and without a jump at x = 1, where its logarithm has the factor x^(p+1) - 1,",
            sp.Matrix([primitive.subs(x, 0), sp.limit((x ** (whole + 1) - 1) * sp.log((x - 1) ** 2), x, 1)]),
            sp.zeros(2, 1),
            label=sp.Symbol("P(0), jump"),
        )
        found = sp.Rational(str(delayed_burst_sigma(depth, digits=DIGITS + 10)))
        argument.same_numbers(
            "which vanishes at the Sigma that `delayed_burst_sigma` finds by quadrature.",
            (x ** (whole + 1) - 1) * sp.log(x - 1),
            terms,
            at=[{x: found}],
        )
        argument.result(**{f"first_burst_condition_{depth}": primitive.subs(x, Sigma)})


def delayed_burst_sigma(depth: int, tail_exponent: Any = 1, digits: int = DIGITS) -> Any:
    """Sigma > 2 with int_0^Sigma log|1-x| x^p dx = 0, p = (aN + 2)/(N - 2) - 1: sigma at the first burst of N >= 3 layers.

    The part below x = 1 is -(psi(p+2) + gamma)/(p+1). Raises ValueError where no burst is delayed.
    """
    if depth < 3:
        raise ValueError(f"`depth` must be at least 3, but is {depth}")
    if not tail_exponent > 0:
        raise ValueError(f"`tail_exponent` must be positive, but is {tail_exponent}")
    with mpmath.workdps(digits + 10):
        power = (mpmath.mpf(tail_exponent) * depth + 2) / (depth - 2) - 1
        loss = (mpmath.digamma(power + 2) + mpmath.euler) / (power + 1)

        def balance(sigma: Any) -> Any:
            # In |1 - x|: no digit is lost near x = 1.
            return mpmath.quad(lambda y: mpmath.log(y) * (1 + y) ** power, [0, 1, sigma - 1]) - loss

        high = mpmath.mpf(3)
        while balance(high) < 0:
            high *= 2
        return sp.Float(str(mpmath.findroot(balance, (mpmath.mpf(2), high), solver="anderson")), digits)
