"""r(t) ~ ((N+2) K t)^(N/(N+2)) and -s(t) ~ const t^(2N/(N+2)): the late flow, leading and next orders.

Source: derived here, by formal asymptotics: late in the flow the direction's part of r' is exponentially
small and r' = N r^(2-2/N) h(r). h = (K/r^2)(1 + gamma/r - beta/r^2 + ...), with gamma = 0 unless the density
has a kink at 0.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations import deep_flow
from derivations.derivation import Argument, Derivation
from derivations.symbols import K, N, c, h, r, t, theta

__all__ = ["derive"]

a = sp.Symbol("a", positive=True)
power = sp.Symbol("K_a", positive=True)
beta, kink, shift = sp.symbols("beta gamma t_0", real=True)
R = sp.Symbol("R", positive=True)
"""Leading order of the norm."""


@cache
def derive() -> Derivation:
    """Leading order at every depth and tail exponent; next orders for a = 1."""
    argument = Argument("asymptotics", "The late flow: rates and their next orders", "derived here")
    _leading(argument)
    _time_free(argument)
    _one_layer(argument)
    _two_layers(argument)
    _more_layers(argument)
    _kinked_density(argument)
    return argument.close()


def _leading(argument: Argument) -> None:
    flow = deep_flow.derive().results
    norm_rate = argument.equal(
        "Late in the flow theta is exponentially small; drop 1 - cos(theta). With h = K_a r^(-1-a):",
        sp.powsimp(flow["norm_rate"].subs(sp.cos(theta), 1).replace(h, _power_law)),
        N * power * r ** (1 - 2 / N - a),
        label=sp.Symbol("rprime"),
    )
    elapsed = r ** (a + 2 / N) / (power * (a * N + 2))
    argument.equal(
        "Time as a function of the norm,",
        sp.powsimp(sp.diff(elapsed, r) * norm_rate),
        sp.Integer(1),
        label=sp.Derivative(sp.Function("t")(r), r) * sp.Symbol("rprime"),
    )
    norm = ((a * N + 2) * power * t) ** (N / (a * N + 2))
    argument.equal(
        "inverted: the norm.",
        sp.powdenest(sp.simplify(elapsed.subs(r, norm))),
        t,
        label=sp.Function("t")(sp.Function("r")(t)),
    )
    constant = c * (a * N + 2) / (N * (1 + a)) * ((a * N + 2) * power) ** ((N - 2) / (a * N + 2))
    exponent = N * (1 + a) / (a * N + 2)
    argument.equal(
        "The direction has the derivative s' = -c r^(1-2/N), which integrates to -s = constant t^exponent:",
        sp.simplify(sp.diff(constant * t**exponent, t) / (-flow["log_tan_half_angle_rate"]).subs(r, norm)),
        sp.Integer(1),
        label=sp.Symbol("sprime") / (-c * r ** (1 - 2 / N)),
    )
    argument.let("Together, to leading order: the norm", sp.Symbol("r"), norm)
    argument.let("and the direction.", -sp.Symbol("s"), constant * t**exponent)
    aligned = argument.equal(
        "The risk is the aligned one, K_a/(a r^a).",
        (power / (a * r**a)).subs(r, norm),
        power / a * ((a * N + 2) * power * t) ** (-a * N / (a * N + 2)),
        label=sp.Symbol("L"),
    )
    ordinary: Any = {a: 1, power: K}
    argument.equal(
        "The ordinary case a = 1.",
        (constant * t**exponent).subs(ordinary),
        c * (N + 2) / (2 * N) * ((N + 2) * K) ** ((N - 2) / (N + 2)) * t ** (2 * N / (N + 2)),
        label=-sp.Symbol("s"),
    )
    argument.result(
        norm=norm.subs(ordinary),
        minus_log_tan_half_angle=(constant * t**exponent).subs(ordinary),
        risk=aligned.subs(ordinary),
        norm_exponent=(N / (a * N + 2)).subs(a, 1),
        norm_constant=(((a * N + 2) * power) ** (N / (a * N + 2))).subs(ordinary),
        direction_exponent=exponent.subs(a, 1),
        direction_constant=constant.subs(ordinary),
        norm_power_tail=norm,
        minus_log_tan_half_angle_power_tail=constant * t**exponent,
        risk_power_tail=aligned,
    )


def _power_law(norm: sp.Expr) -> sp.Expr:
    return power * norm ** (-1 - a)


def _growth(norm: sp.Expr, with_kink: bool = False) -> sp.Expr:
    return K / norm**2 * (1 + (kink / norm if with_kink else 0) - beta / norm**2)


def _time_free(argument: Argument) -> None:
    inverse = sp.Symbol("x", positive=True)  # 1/r
    slope = sp.series(1 / (_growth(1 / inverse, True) / inverse), inverse, 0, 2).removeO().subs(inverse, 1 / r)
    slope = argument.equal(
        "Along an orbit -ds/dr = c/(N r h); expanded at large r,",
        c / N * slope,
        c / N * (r - kink + (beta + kink**2) / r) / K,
        label=-sp.Derivative(sp.Function("s")(r), r),
    )
    law = argument.equal(
        "and integrated, up to a constant of the start: the law without time.",
        sp.integrate(sp.expand(slope), r),
        c / N * (r**2 / (2 * K) - kink * r / K + (beta + kink**2) / K * sp.log(r)),
        label=-sp.Symbol("s"),
    )
    argument.equal("For a density smooth at 0.", law.subs(kink, 0), c / N * (r**2 / (2 * K) + beta / K * sp.log(r)))
    argument.equal(
        "The leading term is the leading order found above.",
        sp.simplify((c / N * r**2 / (2 * K)).subs(r, argument.results["norm"])),
        argument.results["minus_log_tan_half_angle"],
    )
    aligned = argument.equal(
        "The aligned risk is minus the integral of h.",
        -sp.integrate(sp.expand(_growth(r, True)), r),
        K / r + K * kink / (2 * r**2) - K * beta / (3 * r**3),
        label=sp.Function("A")(r),
    )
    argument.result(minus_s_of_norm=law.subs(kink, 0), minus_s_of_norm_with_kink=law, aligned_risk_of_norm=aligned)


def _one_layer(argument: Argument) -> None:
    first, second, third = sp.symbols("a_0 a_1 a_2", real=True)
    x = sp.Symbol("x", positive=True)  # 1/R
    rate = K / R**2
    argument.equal(
        "One layer: R = (3 K t)^(1/3).",
        sp.diff((3 * K * t) ** sp.Rational(1, 3), t),
        rate.subs(R, (3 * K * t) ** sp.Rational(1, 3)),
        label=sp.Symbol("Rprime"),
    )
    trial = R + first + second / R + third / R**2
    defect = sp.diff(trial, R) * rate - _growth(trial, True)
    orders = sp.Poly(sp.series(defect.subs(R, 1 / x), x, 0, 5).removeO(), x)
    argument.let("Insert r = R + a_0 + a_1/R + a_2/R^2 into r' - h(r); the orders R^-3 and R^-4", sp.Symbol("r"), trial)
    (solution,) = sp.solve([orders.coeff_monomial(x**3), orders.coeff_monomial(x**4)], [first, second], dict=True)
    argument.equal("give a_0", solution[first], kink / 2, label=first)
    argument.equal("and a_1.", solution[second].subs(kink, 0), -beta, label=second)
    norm = trial.subs(solution).subs(third, 0)
    smooth = norm.subs(kink, 0)
    at_next_order = sp.series((sp.diff(trial, R) * rate - _growth(trial)).subs({first: 0, second: -beta}).subs(R, 1 / x), x, 0, 6)
    argument.equal(
        "Density smooth at 0: r = R - beta/R + a_2/R^2, with a_2 free (a shift of time), leaves nothing up to R^-5;",
        at_next_order.removeO(),
        sp.Integer(0),
        label=sp.Symbol("rprime") - h(r),
    )
    wrong = R + beta / R
    left_over = (sp.diff(wrong, R) * rate - _growth(wrong)).subs(R, 1 / x)
    argument.equal(
        "the other sign, r = R + beta/R, leaves a term of order R^-4: the sign is minus.",
        sp.limit(left_over / x**4, x, 0),
        2 * K * beta,
        label=sp.Limit(R**4 * (sp.Symbol("rprime") - h(r)), R, sp.oo),
    )
    cube_root = (3 * K * t) ** sp.Rational(1, 3)
    log_tan = c / (2 * K) * (3 * K * t) ** sp.Rational(2, 3) + c * beta / (3 * K) * sp.log(3 * K * t)
    from_orbit = argument.results["minus_s_of_norm"].subs(N, 1)
    argument.equal(
        "The direction: R - beta/R in the law without time, less its constant -c beta/K;",
        sp.limit(from_orbit.subs(r, smooth) - (c * R**2 / (2 * K) + c * beta / K * sp.log(R)), R, sp.oo),
        -c * beta / K,
    )
    argument.equal(
        "with R = (3 K t)^(1/3) and up to a constant of the start:",
        sp.expand_log((c * R**2 / (2 * K) + c * beta / K * sp.log(R)).subs(R, cube_root), force=True),
        sp.expand_log(log_tan, force=True),
        label=-sp.Symbol("s"),
    )
    speed = sp.diff(log_tan, t).subs(t, R**3 / (3 * K))
    argument.equal(
        "Its derivative is c/r up to R^-4.",
        sp.series((speed - c / smooth).subs(R, 1 / x), x, 0, 4).removeO(),
        sp.Integer(0),
        label=-sp.Symbol("sprime") - c / r,
    )
    loss = sp.series(argument.results["aligned_risk_of_norm"].subs(kink, 0).subs(r, smooth).subs(R, 1 / x), x, 0, 4)
    loss = argument.equal("The risk.", loss.removeO().subs(x, 1 / R), K / R + 2 * K * beta / (3 * R**3), label=sp.Symbol("L"))
    argument.result(
        one_layer_norm=smooth.subs(R, cube_root),
        one_layer_norm_with_kink=(R + solution[first]).subs(R, cube_root),
        one_layer_minus_log_tan_half_angle=log_tan,
        one_layer_risk=loss.subs(R, cube_root),
    )


def _two_layers(argument: Argument) -> None:
    x = sp.Symbol("x", positive=True)  # 4 K t, the leading order of r^2
    offset = sp.Symbol("C", real=True)
    squared = x - beta * sp.log(x) + offset
    defect = 4 * K * sp.diff(squared, x) - 4 * K * (1 - beta / squared)
    argument.let("Two layers: (r^2)' = 4 r^2 h = 4 K (1 - beta/r^2). With x = 4 K t:", sp.Symbol("r") ** 2, squared)
    argument.equal(
        "inserted, it leaves less than any multiple of 1/x,",
        sp.limit(x * defect, x, sp.oo),
        sp.Integer(0),
        label=x * sp.Symbol("defect"),
    )
    wrong = x + beta * sp.log(x)
    argument.equal(
        "which the other sign does not.",
        sp.limit(x * (4 * K * sp.diff(wrong, x) - 4 * K * (1 - beta / wrong)), x, sp.oo),
        8 * K * beta,
        label=x * sp.Symbol("defect"),
    )
    with_kink = x + 2 * kink * sp.sqrt(x)
    argument.equal(
        "With a kink in the density a square root comes first: r^2 = x + 2 gamma sqrt(x).",
        sp.limit(sp.sqrt(x) * (sp.diff(with_kink, x) - (1 + kink / sp.sqrt(with_kink))), x, sp.oo),
        sp.Integer(0),
        label=sp.sqrt(x) * sp.Symbol("defect") / (4 * K),
    )
    law = argument.results["minus_s_of_norm"].subs(N, 2).subs(r, sp.sqrt(squared))
    argument.equal(
        "The direction: in the law without time the logarithms cancel, and what is left is c t and a "
        "constant, "
        "as it has to be, s' = -c being exact.",
        sp.limit(sp.expand_log(law - c * x / (4 * K), force=True), x, sp.oo),
        c * offset / (4 * K),
        label=-sp.Function("s")(t) - c * t,
    )
    argument.result(
        two_layer_norm_squared=squared.subs(offset, 0).subs(x, 4 * K * t),
        two_layer_norm_squared_with_kink=with_kink.subs(x, 4 * K * t),
        two_layer_minus_log_tan_half_angle=c * t,
    )


def _more_layers(argument: Argument) -> None:
    elapsed = (N / (N + 2) * r ** (1 + 2 / N) + N * beta / (2 - N) * r ** (2 / N - 1)) / (N * K)
    argument.equal(
        "N layers, N not 2: time as a function of the norm, t + t_0 up to terms that vanish; its derivative is 1/r' to this order.",
        sp.simplify(sp.diff(elapsed, r)),
        sp.powsimp(sp.expand(r ** (2 / N) * (1 + beta / r**2) / (N * K))),
        label=sp.Derivative(sp.Function("t")(r), r),
    )
    extra = sp.Symbol("m", positive=True)  # N - 2
    argument.at_most(
        "For N = 2 + m > 2 the term of beta decays, r^(2/N-1) -> 0, while the start's t_0 stays:",
        (2 / N - 1).subs(N, 2 + extra),
        sp.Integer(0),
        extra / (2 + extra),
        strict=True,
    )
    shifted: Any = {t: t + shift}
    norm = argument.results["norm"].subs(shifted)
    argument.let("so a shift of time is the next order of the norm", sp.Function("r")(t), norm)
    log_tan = argument.results["minus_log_tan_half_angle"].subs(shifted)
    argument.let("and of the direction,", -sp.Function("s")(t), log_tan)
    leading = argument.results["minus_log_tan_half_angle"]
    first = argument.equal(
        "its first term being t_0 times the leading speed, of exponent (N-2)/(N+2) > 0.",
        sp.simplify(sp.diff(log_tan, shift).subs(shift, 0)),
        sp.simplify(leading / t * 2 * N / (N + 2)),
        label=-sp.Symbol("s_1") / shift,
    )
    argument.result(shifted_norm=norm, shifted_minus_log_tan_half_angle=log_tan, shift_coefficient_of_minus_s=first)


def _kinked_density(argument: Argument) -> None:
    bent = (N / (N + 2) * r ** (1 + 2 / N) - kink * N / 2 * r ** (2 / N)) / (N * K)
    argument.equal(
        "A kink in the density (gamma not 0) brings an earlier order at every depth. Time against norm:",
        sp.simplify(sp.diff(bent, r)),
        sp.powsimp(sp.expand(r ** (2 / N) * (1 - kink / r) / (N * K))),
        label=sp.Derivative(sp.Function("t")(r), r),
    )
    offset = argument.equal(
        "its second term, kept at the same time t, moves the norm by a constant,",
        sp.powsimp(kink * N / 2 * r ** (2 / N) / (N * K) / (r ** (2 / N) / (N * K))),
        N * kink / 2,
        label=sp.Symbol("r") - R,
    )
    with_kink = argument.results["minus_s_of_norm_with_kink"].subs(r, R + offset)
    bend = argument.equal(
        "and the direction, by the law without time, by a multiple of the norm that vanishes for N = 2.",
        sp.limit((with_kink - c / N * R**2 / (2 * K)) / R, R, sp.oo),
        c * kink * (N - 2) / (2 * K * N),
        label=(-sp.Symbol("s") - c * R**2 / (2 * K * N)) / R,
    )
    x = sp.Symbol("x", positive=True)  # 1/R
    aligned = sp.series(argument.results["aligned_risk_of_norm"].subs(r, 1 / x + offset), x, 0, 3).removeO()
    loss = argument.equal(
        "The risk keeps its leading form for one layer.",
        aligned.subs(x, 1 / R),
        K / R - K * kink * (N - 1) / (2 * R**2),
        label=sp.Symbol("L"),
    )
    argument.result(
        norm_with_kink=argument.results["norm"] + offset,
        kink_coefficient_of_minus_s_over_norm=bend,
        risk_with_kink=loss.subs(R, argument.results["norm"]),
    )
