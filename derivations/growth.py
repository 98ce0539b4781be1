"""h(r) = K/r^2 + ... at large r and c - E[x_1^2] r/4 + ... at small r, for any density f of |x_1|.

Source: derived here (the leading K = f(0) pi^2/12 included). eta is Dirichlet's: the sum of (-1)^(k-1)/k^n.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.symbols import K, c, r, u

__all__ = ["derive", "dirichlet_eta"]

a = sp.Symbol("a", positive=True)
y = sp.Symbol("y", positive=True)


def dirichlet_eta(order: sp.Expr) -> sp.Expr:
    """eta(n) = (1 - 2^(1-n)) zeta(n), in closed form where zeta has one; eta(1) = log 2."""
    return sp.log(2) if order == 1 else (1 - 2 ** (1 - sp.sympify(order))) * sp.zeta(order)


@cache
def derive() -> Derivation:
    """The two series of h, the series of A, and power-law tails."""
    argument = Argument("growth", "Growth h and aligned risk A: small and large norms", "derived here")
    _moments(argument)
    _large_norms(argument)
    _tails(argument)
    _density_at_zero(argument)
    _small_norms(argument)
    return argument.close()


def _moments(argument: Argument) -> None:
    k = sp.Symbol("k", positive=True, integer=True)
    x = sp.Symbol("x", positive=True)  # e^(-y), below 1 away from y = 0
    partial = x * (1 - (-x) ** k) / (1 + x)
    argument.equal(
        "The sigmoid layer is a geometric series in x = e^(-y): the sums s_k = x (1 - (-x)^k)/(1 + x) grow by",
        partial - partial.subs(k, k - 1),
        -((-x) ** k),
        label=sp.Symbol("s_k") - sp.Symbol("s_{k-1}"),
    )
    argument.equal(
        "and tend, as (-x)^k goes to 0, to the sigmoid.",
        partial.subs((-x) ** k, 0).subs(x, sp.exp(-y)),
        1 / (1 + sp.exp(y)),
    )
    term = argument.equal(
        "whose terms have the moments",
        sp.integrate(y**a * sp.exp(-k * y), (y, 0, sp.oo)),
        sp.gamma(a + 1) * k ** (-a - 1),
        label=sp.Integral(y**a * sp.exp(-k * y), (y, 0, sp.oo)),
    )
    moment = sp.gamma(a + 1) * (1 - 2 ** (-a)) * sp.zeta(a + 1)
    argument.let(
        "Summed with their signs: Gamma(a+1) eta(a+1), and eta(n) = (1 - 2^(1-n)) zeta(n).",
        sp.Integral(y**a / (1 + sp.exp(y)), (y, 0, sp.oo)),
        moment,
    )
    argument.same_numbers(
        "That sum, in numbers.",
        sp.Integral(y**a / (1 + sp.exp(y)), (y, 0, sp.oo)),
        moment,
        at=[{a: "1/2"}, {a: 1}, {a: 2}, {a: "37/10"}],
    )
    argument.result(sigmoid_moment=moment, sigmoid_moment_term=term)


def _large_norms(argument: Argument) -> None:
    values = sp.symbols("f0:6", real=True)
    taylor = sum((value * u**k / sp.factorial(k) for k, value in enumerate(values)), sp.Integer(0))
    argument.let(
        "Large r: only u of order 1/r counts. Expand the density there; f_k is its k-th derivative at 0+.",
        sp.Function("f")(u),
        taylor,
    )
    series = sp.Integer(0)
    for k, value in enumerate(values):
        series += value / sp.factorial(k) * sp.gamma(k + 2) * dirichlet_eta(sp.Integer(k + 2)) / r ** (k + 2)
    order = sp.Symbol("k", integer=True, nonnegative=True)
    coefficient = argument.equal(
        "With y = r u each power of u gives one power of 1/r; the coefficient of f_k/r^(k+2), with n = k + 2:",
        sp.gamma(order + 2) / sp.factorial(order),
        order + 1,
        label=sp.Symbol("coefficient / eta(n)"),
    )
    written = sum(
        ((k + 1) * dirichlet_eta(sp.Integer(k + 2)) * value / r ** (k + 2) for k, value in enumerate(values)),
        sp.Integer(0),
    )
    series = argument.equal(
        "so h(r) = sum over k of (k+1) eta(k+2) f_k/r^(k+2), up to the smallest term (asymptotic).",
        series,
        written,
        label=sp.Function("h")(r),
    )
    leading = argument.equal(
        "The leading coefficient, K.",
        sp.expand(series).coeff(r, -2),
        values[0] * sp.pi**2 / 12,
        label=K,
    )
    slope, curvature = sp.symbols("p_0 p_2", real=True)
    smooth = {values[0]: 2 * slope, values[1]: 0, values[2]: 2 * curvature, values[3]: 0}
    fourth = argument.equal(
        "When the density p of x_1 on the line (f = 2 p) is smooth at 0, odd derivatives vanish; the next term is",
        sp.expand(series).coeff(r, -4).subs(smooth),
        7 * sp.pi**4 / 120 * curvature,
        label=sp.Symbol("h_4"),
    )
    third = argument.equal(
        "A kink at 0 (the Laplace law) brings the odd power r^-3 before it.",
        sp.expand(series).coeff(r, -3),
        sp.Rational(3, 2) * sp.zeta(3) * values[1],
        label=sp.Symbol("h_3"),
    )
    beta = argument.equal(
        "The number that enters the rates: beta = -h_4/K.",
        -fourth / leading.subs(smooth),
        -7 * sp.pi**2 * curvature / (20 * slope),
        label=sp.Symbol("beta"),
    )
    general = sp.Symbol("k", integer=True, nonnegative=True)
    argument.result(
        large_norm_series=series,
        tail_constant=leading,
        next_coefficient_smooth=fourth,
        cubic_coefficient=third,
        beta_smooth=beta,
        coefficient_over_eta=coefficient.subs(order, general),
    )


def _tails(argument: Argument) -> None:
    constant = sp.Symbol("C", positive=True)
    density = sp.diff(constant * u**a, u)
    argument.let("A power law at 0: P(|x_1| < u) = C u^a, with the density", sp.Function("f")(u), density)
    moment = argument.results["sigmoid_moment"]
    tail = argument.equal(
        "With y = r u the mean of u/(1 + e^(r u)) becomes",
        (density * u).subs(u, y / r) / r / y**a * moment,
        constant * a * moment * r ** (-1 - a),
        label=sp.Function("h")(r),
    )
    argument.equal(
        "At a = 1 it is K/r^2 with C = f(0).",
        tail.subs(a, 1),
        constant * sp.pi**2 / 12 / r**2,
        label=sp.Function("h")(r),
    )
    farther = sp.Symbol("R", positive=True)
    power = sp.Symbol("K_a", positive=True)
    aligned = argument.equal(
        "The aligned risk is the integral of h from r on, A' = -h and A(oo) = 0: with h = K_a r^(-1-a)",
        sp.integrate(power * farther ** (-1 - a), (farther, r, sp.oo)),
        power / (a * r**a),
        label=sp.Function("A")(r),
    )
    argument.result(
        power_tail_constant=sp.simplify(tail * r ** (1 + a)),
        power_tail_growth=tail,
        power_tail_aligned_risk=aligned,
    )


def _density_at_zero(argument: Argument) -> None:
    d, radius, x = sp.symbols("d rho x", positive=True)
    on_sphere = (1 - u**2) ** ((d - 3) / 2)
    mass = sp.gamma((d - 1) / 2) * sp.sqrt(sp.pi) / (2 * sp.gamma(d / 2))
    argument.same_numbers(
        "Where f(0) comes from: one coordinate of a unit vector in R^d has a density in u proportional to (1 - u^2)^((d-3)/2), of mass",
        sp.Integral(on_sphere, (u, 0, 1)),
        mass,
        at=[{d: 3}, {d: 4}, {d: 5}, {d: 10}],
    )
    at_zero = argument.equal(
        "so |x| = rho contributes f(0) = 1/(rho mass): f(0) is a multiple of E[1/|x|], finite or not with it.",
        on_sphere.subs(u, 0) / mass / radius,
        2 * sp.gamma(d / 2) / (sp.sqrt(sp.pi) * sp.gamma((d - 1) / 2) * radius),
        label=sp.Symbol("f(0)"),
    )
    scaled = on_sphere.subs(u, u / radius) / mass / radius
    curvature = argument.equal(
        "Its second derivative at 0 is a multiple of E[1/|x|^3].",
        sp.diff(scaled, u, 2).subs(u, 0),
        -(d - 3) * at_zero / radius**2,
        label=sp.Symbol("f_2"),
    )
    inverse_moment = sp.gamma(d / 2) * sp.gamma((1 - a) / 2) / (sp.sqrt(sp.pi) * sp.gamma((d - a) / 2))
    argument.same_numbers(
        "If E[1/|x|] is infinite because P(|x| < t) = C t^a, a < 1, then P(|x_1| < t) = C t^a "
        "E[|u_1|^(-a)]; that mean, with u = x^10 in the integral:",
        sp.Integral(10 * x ** (9 - 10 * a) * on_sphere.subs(u, x**10), (x, 0, 1)) / mass,
        inverse_moment,
        at=[{d: 3, a: "1/2"}, {d: 4, a: "1/4"}, {d: 7, a: "9/10"}],
    )
    argument.result(
        density_at_zero_per_inverse_radius=at_zero * radius,
        density_curvature_per_inverse_cube=curvature * radius**3,
        inverse_moment_on_sphere=inverse_moment,
    )


def _small_norms(argument: Argument) -> None:
    second, fourth, sixth = sp.symbols("m_2 m_4 m_6", positive=True)
    sigmoid = sp.series(1 / (1 + sp.exp(y)), y, 0, 6).removeO()
    argument.let("Small r: the sigmoid layer at a small margin.", 1 / (1 + sp.exp(y)), sigmoid)
    integrand = sp.expand(u * sigmoid.subs(y, r * u))
    means = {u: 2 * c, u**2: second, u**4: fourth, u**6: sixth}
    growth = sum((integrand.coeff(u, k) * means[u**k] for k in (1, 2, 4, 6)), sp.Integer(0))
    growth = argument.equal(
        "Mean over u, with E u = 2 c and m_k = E u^k (where these moments are finite).",
        growth,
        c - second * r / 4 + fourth * r**3 / 48 - sixth * r**5 / 480,
        label=sp.Function("h")(r),
    )
    aligned = argument.equal(
        "The aligned risk, from A(0) = log 2 and A' = -h.",
        sp.log(2) - sp.integrate(growth, (r, 0, r)),
        sp.log(2) - c * r + second * r**2 / 8 - fourth * r**4 / 192 + sixth * r**6 / 2880,
        label=sp.Function("A")(r),
    )
    argument.result(small_norm_growth=growth, small_norm_aligned_risk=aligned)
