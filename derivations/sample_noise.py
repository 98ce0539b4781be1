"""theta_n^2 = (d-1) V(r)/(n c^2) ~ (d-1)(2 log 2 - 1)/(c n r): what n samples do to gradient and direction, and when they are felt.

Source: derived here, of leading order in 1/n. V(r) = E[x_2^2 s(r|x_1|)^2], s(z) = 1/(1 + e^z), is the variance across v of one sample's
gradient at w = r v; f is the density of |x_1|, and M(u) = E[x_2^2 given |x_1| = u].
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations import asymptotics, deep_flow, growth, laws
from derivations.derivation import Argument, Derivation
from derivations.symbols import A, K, N, c, r, t, theta, u

__all__ = ["derive", "dimension", "samples"]

samples = sp.Symbol("n", positive=True)
dimension = sp.Symbol("d", positive=True)
y = sp.Symbol("y", positive=True)
"""A margin r u."""
f0 = sp.Symbol("f0", real=True)
"""f(0)."""
sigmoid = 1 / (1 + sp.exp(y))
variance = sp.Symbol("V", positive=True)


@cache
def derive() -> Derivation:
    """The noise across v for any law, the direction it makes, and the two crossovers."""
    argument = Argument("sample_noise", "A finite sample: noise, direction, crossovers", "derived here, of leading order in 1/n")
    _conditional_moment(argument)
    _known_laws(argument)
    _variance(argument)
    _direction(argument)
    _crossovers(argument)
    return argument.close()


def _conditional_moment(argument: Argument) -> None:
    density, height = sp.Function("G"), sp.Symbol("x_2", positive=True)
    radial = density(u**2 + height**2)
    argument.equal(
        "In the plane of x_1 and x_2 a spherically symmetric law has a density G(x_1^2 + x_2^2). For it,",
        sp.diff(height**2 * radial, u),
        u * sp.diff(height * radial, height) - u * radial,
        label=sp.Derivative(height**2 * sp.Function("G")(u), u),
    )
    moment = sp.Function("M")(u) * sp.Function("f")(u)
    argument.let(
        "Integrated over x_2 the first term on the right has no rest, so (M f)' = -u f, and as M f vanishes at oo: M f, for any law and "
        "dimension, is the integral of x f(x) from u on. At 0 that is E|x_1| = 2c.",
        moment,
        sp.Integral(sp.Symbol("x") * sp.Function("f")(sp.Symbol("x")), (sp.Symbol("x"), u, sp.oo)),
    )


def _known_laws(argument: Argument) -> None:
    known, (d, nu, b) = laws.derive().results, (laws.d, laws.nu, laws.b)
    cases: dict[str, tuple[str, Any]] = {
        "gaussian": ("A Gaussian has independent coordinates: M = b^2;", b**2),
        "sphere": ("on the sphere d - 1 coordinates share b^2 - u^2;", (b**2 - u**2) / (d - 1)),
        "ball": ("in the ball the slice is a ball of dimension d - 1;", (b**2 - u**2) / (d + 1)),
        "student": (
            "given x_1 a Student t vector is one of nu + 1 degrees of freedom, with the scale^2 (nu b^2 + u^2)/(nu + 1);",
            (nu * b**2 + u**2) / (nu - 1),
        ),
        "laplace": ("and Laplace, a mixture of Gaussians, has M = b (b + u).", b * (b + u)),
    }
    for name, (sentence, moment) in cases.items():
        density = known[f"{name}_density"]
        argument.equal(
            f"{sentence} (M f)'/f is -u.",
            sp.simplify(sp.diff(moment, u) + moment * sp.simplify(sp.diff(density, u) / density)),
            -u,
            label=sp.Symbol("(M*f)'/f"),
        )
        argument.equal(
            "M(0) f(0) is 2c.",
            sp.gammasimp(sp.simplify((moment * density).subs(u, 0) / (2 * known[f"{name}_pull"]))),
            sp.Integer(1),
            label=sp.Symbol("M(0)*f(0)") / (2 * c),
        )


def _variance(argument: Argument) -> None:
    integral = sp.log(2) - sp.log(1 + sp.exp(-y)) - sp.Rational(1, 2) + sigmoid
    argument.equal("T(y), the integral of s^2 from 0 on: its derivative,", sp.diff(integral, y), sigmoid**2, label=sp.Symbol("Tprime"))
    argument.equal("its value at 0,", integral.subs(y, 0), sp.Integer(0), label=sp.Function("T")(0))
    limit = argument.equal(
        "and its limit.",
        sp.limit(integral, y, sp.oo),
        sp.log(2) - sp.Rational(1, 2),
        label=sp.Function("T")(sp.oo),
    )
    argument.let(
        "By parts, with M f for the integral of x f: V, the integral of s(ru)^2 M f, is E[|x_1| T(r|x_1|)]/r,",
        variance,
        sp.Integral(u * sp.Function("T")(r * u) * sp.Function("f")(u), (u, 0, sp.oo)) / r,
    )
    rest = sp.log(1 + sp.exp(-y)) - sigmoid
    series = c * (2 * sp.log(2) - 1) / r - f0 * (sp.Rational(3, 4) * sp.zeta(3) - sp.pi**2 / 12) / r**3
    argument.same_numbers(
        "where T falls short of its limit by log(1 + e^-y) - s, which counts where |x_1| is of the order of 1/r: its first moment is "
        "eta(3) - eta(2), eta(k) = (1 - 2^(1-k)) zeta(k).",
        sp.Integral(y * rest, (y, 0, sp.oo)),
        growth.dirichlet_eta(sp.Integer(3)) - growth.dirichlet_eta(sp.Integer(2)),
        at=[{}],
    )
    leading = argument.equal(
        "So V at large r, with E|x_1| = 2c, whatever the law:",
        2 * c * limit / r - f0 / r**3 * (growth.dirichlet_eta(sp.Integer(3)) - growth.dirichlet_eta(sp.Integer(2))),
        series,
        label=variance,
    )
    argument.same_numbers(
        "Second witness: uniform on the unit sphere in R^3, f = 1 and M = (1 - u^2)/2, at r = 2, 5 and 20.",
        sp.Integral((1 - u**2) / 2 * sigmoid.subs(y, r * u) ** 2, (u, 0, 1)),
        sp.Integral(u * integral.subs(y, r * u), (u, 0, 1)) / r,
        at=[{r: 2}, {r: 5}, {r: 20}],
    )
    argument.result(square_integral=integral, variance_large_norm=leading, variance_leading=c * (2 * sp.log(2) - 1) / r)


def _direction(argument: Argument) -> None:
    noise = sp.Symbol("xi", real=True)
    argument.let(
        "n samples, w = r v: across v the gradient is -(1/n) sum of y x s(r|x_1|), of mean 0 because x_2 is as likely as -x_2, and of the "
        "covariance (1/n)(E[x x^T s^2] - grad grad^T). Of its d - 1 components across v each has the variance",
        sp.Symbol("Var(xi)"),
        variance / samples,
    )
    slope = argument.equal(
        "On the sphere of norm r the risk A(r) + c r (1 - cos theta) has the slope c r theta, to which the gradient's noise xi adds r xi:",
        sp.series(sp.diff(A(r) + c * r * (1 - sp.cos(theta)), theta), theta, 0, 2).removeO() + r * noise,
        r * (c * theta + noise),
        label=sp.Derivative(sp.Function("L_n")(theta), theta),
    )
    still = argument.equal("it rests at", sp.solve(slope, theta)[0], -noise / c, label=theta)
    push = sp.series(deep_flow.derive().results["angle_rate"], theta, 0, 2).removeO()
    argument.equal(
        "which is also where the flow of N layers rests, whose angle moves at r^(-2/N) times minus that slope.",
        sp.simplify(push - r ** (1 - 2 / N) * noise - -(r ** (-2 / N)) * slope),
        sp.Integer(0),
        label=sp.Symbol("thetaprime") + r ** (-2 / N) * sp.Symbol("slope"),
    )
    squared = argument.equal(
        "Over d - 1 components, in the mean over samples,",
        (dimension - 1) * sp.expand(still**2).subs(noise**2, variance / samples),
        (dimension - 1) * variance / (samples * c**2),
        label=sp.Symbol("theta_n") ** 2,
    )
    late = argument.equal(
        "and at large r, for every law,",
        sp.simplify(squared.subs(variance, argument.results["variance_leading"])),
        (dimension - 1) * (2 * sp.log(2) - 1) / (c * samples * r),
        label=sp.Symbol("theta_n") ** 2,
    )
    argument.result(angle_squared=squared, angle_squared_late=late)


def _crossovers(argument: Argument) -> None:
    flow = asymptotics.derive().results
    time = (sp.log(samples) / (2 * flow["direction_constant"])) ** (1 / flow["direction_exponent"])
    reached: Any = sp.powdenest(flow["minus_log_tan_half_angle"].subs(t, time), force=True)
    argument.equal(
        "The population's theta = 2 exp(s) falls below theta_n, of the order n^(-1/2), where to leading order -s = log(n)/2: at the time",
        sp.simplify(reached),
        sp.log(samples) / 2,
        label=-sp.Function("s")(sp.Symbol("t_n")),
    )
    exponent, constant = sp.symbols("a C", positive=True)
    survival = sp.exp(-samples * constant * u**exponent)
    least = argument.equal(
        "The least of n values of |x_1|, P(|x_1| < u) = C u^a: it is above u with the probability exp(-n C u^a), and its mean",
        sp.simplify(sp.integrate(survival, (u, 0, sp.oo))),
        sp.gamma(1 + 1 / exponent) * (samples * constant) ** (-1 / exponent),
        label=sp.Symbol("E(min)"),
    )
    argument.equal(
        "is 1/(n f(0)) at a = 1. Its inverse is the norm at which it is felt.",
        least.subs(exponent, 1),
        1 / (samples * constant),
        label=sp.Symbol("E(min)"),
    )
    norm = sp.Symbol("r_n", positive=True)
    margin_time = norm ** ((N + 2) / N) / ((N + 2) * K)
    argument.equal(
        "The norm gets there, r = ((N+2) K t)^(N/(N+2)), at r^((N+2)/N)/((N+2) K).",
        sp.powdenest(flow["norm"].subs(t, margin_time), force=True),
        norm,
        label=sp.Function("r")(sp.Symbol("t")),
    )
    argument.result(direction_time=time, least_margin=least, margin_time=margin_time.subs(norm, r))
