"""d log(M/r^p)/dt = L |G|^2 (1/M - cos^2/Q): margin, norm and loss of a homogeneous network under gradient flow, and what they come to.

q_i = y_i f(W; x_i) is homogeneous of order p in W, r = |W|. Of n samples S = n L = sum of l(q_i), s = -l', pi_i = s(q_i)/S,
G = sum of pi_i grad q_i = -grad log L, so dW/dt = L G; Q = sum of pi_i q_i, l(M) = S, and cos is the cosine of W and G.

Source: Lyu, Li 2019 (arXiv 1906.05890) for the margin and the orders of the rates; constants and exponents are derived here. What is late
is formal: it assumes that W/|W| converges with cos -> 1, that what is not fed stays, and that the pi_i of support vectors tend to limits.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.symbols import r, t

__all__ = ["derive"]

p = sp.Symbol("p", positive=True)
"""The order of homogeneity; of a deep linear network its depth."""
gamma = sp.Symbol("gamma", positive=True)
"""The limit of the least q_i over r^p."""
logarithm = sp.Symbol("tau", positive=True)
"""log t."""
x = sp.Symbol("x", positive=True)
margin = sp.Symbol("q", positive=True)
"""The least margin."""
frozen = sp.Symbol("c", positive=True)
"""The size of the part of W that is not fed."""
level, total, weighted, smoothed, across = sp.symbols("L S Q M G_T", positive=True)
cosine = sp.Symbol("cos", positive=True)
growth_of_margin = sp.Derivative(sp.log(sp.Symbol("margin")), t)


class _Slope(sp.Function):
    """s(q) = -l'(q)."""


class _Loss(sp.Function):
    """l(q), a loss that falls."""

    def fdiff(self, argindex: int = 1) -> Any:
        """l' = -s."""
        return -slope(self.args[0])


_Loss.__name__, _Slope.__name__ = "l", "s"
loss: Any = _Loss
slope: Any = _Slope


@cache
def derive() -> Derivation:
    """The rates of loss and norm, the margin that never falls, the late law, the slackness, and what is frozen."""
    argument = Argument(
        "homogeneous_rates", "Homogeneous networks: margin, rates, what is frozen", "Lyu, Li 2019; derived here, formal where late"
    )
    _flow(argument)
    _margin(argument)
    _never_falls(argument)
    _late(argument)
    _slackness(argument)
    _frozen(argument)
    _layers(argument)
    return argument.close()


def _flow(argument: Argument) -> None:
    phi = sp.Symbol("phi", real=True)
    margins: Any = [r**p * sp.Function(f"m_{i}")(phi) for i in (1, 2)]
    argument.equal(
        "A margin is r^p times what depends on the direction alone. Euler: <W, grad q> = p q.",
        r * sp.diff(margins[0], r),
        p * margins[0],
        label=r * sp.Derivative(sp.Function("q")(r), r),
    )
    sums = sum(loss(q) for q in margins)
    argument.equal(
        "So G, of two samples here, as sums over samples are sums of single terms, has p Q/r along W;",
        -sp.diff(sp.log(sums / 2), r),
        p * sum(slope(q) * q for q in margins) / (r * sums),
        label=sp.Symbol("G_r"),
    )
    along = p * weighted / r
    log_loss = sp.Function("F")(r, phi)
    radial, tangential = -sp.diff(log_loss, r), -sp.diff(log_loss, phi) / r
    argument.equal(
        "across it G_T. In the plane of W and G dW/dt = L G is r' = L G_r, phi' = L G_T/r: F = log L falls at the rate L |G|^2,",
        -sp.diff(log_loss, r) * level * radial - sp.diff(log_loss, phi) * level * tangential / r,
        level * (radial**2 + tangential**2),
        label=-sp.Derivative(sp.Function("F")(t), t),
    )
    norm = sp.Function("r")(t)
    argument.equal(
        "and |W|^2 grows, whatever the direction does, at the rate 2 p L Q.",
        sp.diff(norm**2, t).subs(sp.Derivative(norm, t), level * along).subs(norm, r),
        2 * p * level * weighted,
        label=sp.Derivative(norm**2, t),
    )
    argument.result(along=along, loss_rate=level * (along**2 + across**2), norm_square_rate=2 * p * level * weighted)


def _margin(argument: Argument) -> None:
    known, at = argument.results, slope(smoothed)
    rate = argument.equal(
        "The smoothed margin is M/r^p, l(M) = S. -s(M) M' = S' = -S L |G|^2, and log r^p grows at p L G_r/r: for any loss the margin moves "
        "by what turns W, and by Q S - s(M) M.",
        total * known["loss_rate"] / (at * smoothed) - p * level * known["along"] / r,
        level / (at * smoothed) * (total * across**2 + (p / r) ** 2 * weighted * (weighted * total - at * smoothed)),
        label=growth_of_margin,
    )
    exponential = argument.equal(
        "For the exponential loss s(M) = S.",
        rate.subs(at, total),
        level / smoothed * (across**2 + (p / r) ** 2 * weighted * (weighted - smoothed)),
        label=growth_of_margin,
    )
    length = sp.Symbol("|G|", positive=True)
    argument.equal(
        "With G_T^2 = |G|^2 (1 - cos^2) and p Q/r = |G| cos that is",
        exponential.subs(across, length * sp.sqrt(1 - cosine**2)).subs(r, p * weighted / (length * cosine)),
        level * length**2 * (1 / smoothed - cosine**2 / weighted),
        label=growth_of_margin,
    )
    argument.result(margin_rate=rate, margin_rate_exponential=exponential)


def _never_falls(argument: Argument) -> None:
    losses = sp.symbols("l_1 l_2", positive=True)
    shares = [one / sum(losses) for one in losses]
    argument.equal(
        "Exponential loss: q_i = -log l_i and M = -log S, so that Q - M is the entropy of the weights,",
        sum(-pi * sp.log(one) for pi, one in zip(shares, losses, strict=True)) + sp.log(sum(losses)),
        -sum(pi * sp.log(pi) for pi in shares),
        label=weighted - smoothed,
    )
    entropy = sp.log(1 + x) / (1 + x)
    argument.at_most(
        "of which every term is positive, pi = 1/(1 + x). So nothing in the margin's rate is negative once M > 0, which is n L < l(0).",
        sp.Integer(0),
        -1 / (1 + x) * sp.log(1 / (1 + x)),
        entropy,
        strict=True,
    )
    # x = e^(-q)
    value, fall = sp.log(1 + x), x / (1 + x)
    argument.equal(
        "Logistic loss, x = e^(-q): k = q s(q)/l(q) has a slope of log k that exceeds 1/q by s'/s + s/l,",
        sp.diff(sp.log(fall / value), x) * -x,
        (x - sp.log(1 + x)) / ((1 + x) * sp.log(1 + x)),
        label=sp.Derivative(sp.log(sp.Symbol("k")), margin) - 1 / margin,
    )
    argument.equal(
        "where x - log(1 + x) is an integral of something positive. So k grows; as l(q_i) < l(M), q_i > M, and the sum of s(q_i) q_i = "
        "k(q_i) l(q_i), which is Q S, is k(M) S = s(M) M or more: the margin never falls either.",
        sp.integrate(1 - 1 / (1 + x), x) - sp.integrate(1 - 1 / (1 + x), x).subs(x, 0),
        x - sp.log(1 + x),
        label=sp.Integral(sp.Symbol("y") / (1 + sp.Symbol("y")), (sp.Symbol("y"), 0, x)),
    )
    argument.result(entropy_term=entropy, ratio_slope_logistic=1 / margin + ((x - value) / ((1 + x) * value)).subs(x, sp.exp(-margin)))


def _late(argument: Argument) -> None:
    power, factor, scale = 2 - 2 / p, p**2 * gamma ** (2 / p), sp.Symbol("C", positive=True)
    norm = (margin / gamma) ** (1 / p)
    argument.equal(
        "Late: q = gamma r^p with Q/q -> 1. By r' = p L q/r",
        sp.powsimp(sp.simplify((p * margin / r * (p * level * margin / r)).subs(r, norm)), force=True),
        factor * level * margin**power,
        label=sp.Derivative(sp.Function("q")(t), t),
    )
    # b, k for the power and the factor times C: what follows holds for any
    b, k = sp.symbols("b k", positive=True)
    clock = sp.exp(margin) * margin**-b * (1 + b / margin) / k
    argument.equal(
        "L = C e^(-q), b = 2 - 2/p and k = C p^2 gamma^(2/p): q' = k q^b e^(-q). t = e^q q^(-b) (1 + b/q)/k has the right slope but for "
        "b (b+1)/q^2, and so in the limit the right ratio,",
        sp.simplify(sp.diff(clock, margin) * k * margin**b * sp.exp(-margin)),
        1 - b * (b + 1) / margin**2,
        label=sp.Derivative(sp.Function("t")(margin), margin) * sp.Derivative(sp.Function("q")(t), t),
    )
    log_clock = margin - b * sp.log(margin) + sp.log(1 + b / margin) - sp.log(k)
    argument.equal("with this logarithm, log t.", sp.expand_log(sp.log(clock), force=True), sp.expand_log(log_clock), label=logarithm)
    argument.equal(
        "So q ~ log t:", sp.limit(log_clock / margin, margin, sp.oo), sp.Integer(1), label=sp.Limit(logarithm / margin, margin, sp.oo)
    )
    # L t = C e^(-q) t
    product = (1 + b / margin) * (log_clock / margin) ** b
    argument.equal(
        "L t p^2 gamma^(2/p) is (k e^(-q)) t, and times (log t)^b",
        sp.simplify(k * sp.exp(-margin) * clock * logarithm**b),
        sp.simplify(product.subs(log_clock, logarithm)),
        label=level * t * k / scale * logarithm**b,
    )
    tending = sp.Limit(level * t * k / scale * logarithm**b, margin, sp.oo)
    argument.equal("it tends to 1.", sp.limit(product, margin, sp.oo), sp.Integer(1), label=tending)
    late_norm = (logarithm / gamma) ** (1 / p)
    late_loss = argument.equal(
        "The same from the rate of log(1/L), which log(1/L) ~ log t asks to be 1/t: t L |G|^2 = 1 with |G| = p q/(r cos). On the way to "
        "its limit t L is cos^2 of it.",
        sp.powsimp(sp.simplify((cosine**2 * r**2 / (p * margin) ** 2).subs(r, late_norm).subs(margin, logarithm)), force=True),
        cosine**2 / (factor * logarithm**power),
        label=t * level,
    )
    argument.result(late_norm=late_norm, late_time_loss=late_loss, late_loss_exponent=power, late_factor=factor, late_log_time=log_clock)


def _slackness(argument: Argument) -> None:
    bound, count = x * sp.exp(-x), sp.Symbol("n", positive=True)
    argument.let(
        "For the exponential loss pi_i/pi_min = e^(-x), x = q_i - q_min. The slackness sum of pi_i (q_i - q_min) over q_min sum of pi_i is "
        "then, as the least margin has x = 0, over q_min the sum of n - 1 of these, over 1 or more,",
        sp.Function("y")(x),
        bound,
    )
    rise = sp.diff(bound, x)
    argument.at_most(
        "which rise below x = 1, here 1/(1 + x),", sp.Integer(0), rise.subs(x, 1 / (1 + x)), x / (1 + x) * sp.exp(-1 / (1 + x)), True
    )
    argument.at_most("and fall above, here 1 + x:", rise.subs(x, 1 + x), sp.Integer(0), x * sp.exp(-1 - x), True)
    largest = argument.equal("they are 1/e at most.", bound.subs(x, 1), sp.exp(-1), label=sp.Function("y")(1))
    argument.result(slackness_bound=(count - 1) * largest)


def _frozen(argument: Argument) -> None:
    fed, rho = sp.sqrt(r**2 - frozen**2), sp.Symbol("rho", positive=True)
    sine = argument.equal(
        "W has the part c that is not fed, of which G has nothing: the sine of the angle between them.",
        sp.sqrt(1 - (fed / r) ** 2),
        frozen / r,
        label=sp.sin(sp.Symbol("angle")),
    )
    rest = sp.asin(frozen / rho)
    argument.equal(
        "u = W/|W| turns by the change of that angle: the path that is left at r is asin(c/r),",
        sp.simplify(rest.subs(rho, r) - sp.limit(rest, rho, sp.oo)),
        sp.asin(sine),
        label=sp.Integral(sp.Abs(sp.Derivative(sp.Function("u")(rho), rho)), (rho, r, sp.oo)),
    )
    argument.equal(
        "which is c/r once more.", sp.limit(r * sp.asin(frozen / r), r, sp.oo), frozen, label=sp.Limit(r * sp.asin(frozen / r), r, sp.oo)
    )
    exponent = argument.equal(
        "In log t, of which r is the power 1/p, both have the exponent",
        sp.simplify(logarithm * sp.diff(sp.log(frozen / argument.results["late_norm"]), logarithm)),
        -1 / p,
        label=sp.Symbol("exponent"),
    )
    argument.result(frozen_sine=sine, frozen_path=sp.asin(sine), frozen_exponent=exponent)


def _layers(argument: Argument) -> None:
    top, low, off, angle = sp.symbols("b_11 b_22 b_12 a", real=True)
    small, tangent = sp.Symbol("epsilon", positive=True), sp.Symbol("T", real=True)
    size = argument.results["late_norm"]
    matrix: Any = sp.Matrix([[1 / small + top, off], [off, low]])
    side: Any = sp.Matrix([[-sp.sin(angle), sp.cos(angle)]])
    residual = argument.equal(
        "Deep linear networks, p = N: sigma_2 is frozen, so sigma_2/sigma_1 has the exponent -1/N. W_(j+1)^T W_(j+1) = W_j W_j^T + B "
        "with the conserved B: with sigma_1^2 = 1/epsilon and B in the plane of u_j and B u_j, a vector at the angle a from u_j "
        "leaves, across it,",
        (side * matrix * sp.Matrix([sp.cos(angle), sp.sin(angle)]))[0],
        off * sp.cos(2 * angle) - (1 / small + top - low) * sp.sin(2 * angle) / 2,
        label=sp.Symbol("residual"),
    )
    double = 2 * off / (1 / small + top - low)
    argument.equal(
        "which vanishes for v_(j+1), the first eigenvector: tan(2a) = T = 2 b_12/(1/epsilon + b_11 - b_22).",
        residual.subs(angle, sp.atan(double) / 2),
        sp.Integer(0),
        label=sp.Symbol("residual"),
    )
    short = argument.equal(
        "Its cosine falls short of 1 by T^2/8, up to T^4,",
        sp.series(1 - sp.cos(sp.atan(tangent) / 2), tangent, 0, 4).removeO(),
        tangent**2 / 8,
        label=1 - sp.cos(angle),
    )
    missed = argument.equal(
        "which is of the order of epsilon^2:",
        sp.limit(short.subs(tangent, double) / small**2, small, 0) * small**2,
        off**2 * small**2 / 2,
        label=1 - sp.cos(angle),
    )
    alignment = argument.equal(
        "with sigma_1^2 = r^2/N the exponent of log t is",
        sp.simplify(logarithm * sp.diff(sp.log(missed.subs(small, p / size**2)), logarithm)),
        -4 / p,
        label=sp.Symbol("exponent"),
    )
    one, two = sp.symbols("c_1 c_2", real=True)
    end = sp.Symbol("|a|", positive=True)
    argument.equal(
        "Weights pi_i of support vectors that tend to limits hold their margins to log t + c_i; of unit predictors they differ by 1/log t, "
        "and in the span of the support vectors, which these margins determine, so does the predictor from the separator.",
        sp.limit(logarithm * (1 - (logarithm + one) / (logarithm + two)), logarithm, sp.oo),
        two - one,
        label=sp.Limit(logarithm * (1 - sp.Symbol("q_1") / sp.Symbol("q_2")), logarithm, sp.oo),
    )
    argument.equal(
        "Across that span W_1 is frozen at c; of the predictor W_1^T a this is c |a| beside sigma_1 |a|.",
        frozen * end / (size / sp.sqrt(p) * end),
        sp.sqrt(p) * frozen / size,
        label=sp.Symbol("across"),
    )
    along, first, second = sp.symbols("w rho_1 rho_2", positive=True)
    argument.equal(
        "One layer: W = w_svm log t + O(1), whose rest, rho_1 along w_svm and rho_2 across it, gives an angle of tangent T,",
        sp.series(1 - 1 / sp.sqrt(1 + tangent**2), tangent, 0, 4).removeO(),
        tangent**2 / 2,
        label=1 - cosine,
    )
    argument.equal(
        "so that 1 - cos has the exponent -2.",
        sp.limit(logarithm**2 * (second / (along * logarithm + first)) ** 2 / 2, logarithm, sp.oo),
        second**2 / (2 * along**2),
        label=sp.Limit(logarithm**2 * (1 - cosine), logarithm, sp.oo),
    )
    argument.result(alignment_gap=missed, alignment_exponent=alignment, held_exponent=-1, separator_exponent=-2)
