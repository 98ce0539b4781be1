"""Density f of |x_1|, pull c, tail constant K and beta for each spherically symmetric law.

Source: derived here. beta = -(coefficient of r^-4 in h)/K = -(7 pi^2/20) p''(0)/p(0), p the density of x_1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sympy as sp

from derivations import growth
from derivations.derivation import Argument, Derivation
from derivations.symbols import u

__all__ = ["derive"]

d = sp.Symbol("d", positive=True)
"""Dimension."""
nu = sp.Symbol("nu", positive=True)
"""Degrees of freedom of the Student t law."""
b = sp.Symbol("b", positive=True)
"""Scale (or radius) of the law."""
e = sp.Symbol("e", positive=True)
"""Value of a mixing variable."""


@cache
def derive() -> Derivation:
    """The five laws in turn."""
    argument = Argument("laws", "Laws of x: density along a line, pull, tail", "derived here")
    _gaussian(argument)
    _sphere(argument)
    _ball(argument)
    _student(argument)
    _laplace(argument)
    return argument.close()


def _record(
    argument: Argument,
    law: str,
    density: sp.Expr,
    pull: sp.Expr,
    integrals: tuple[sp.Expr, sp.Expr] | None,
    upper: sp.Expr,
    at: Sequence[Mapping[sp.Symbol, Any]],
) -> None:
    """Check mass and mean of `density` (symbolically where `integrals` are given) and derive K and beta."""
    mean = sp.Integral(u * density, (u, 0, upper))
    if integrals is None:
        argument.same_numbers(f"{law}: f has mass 1", sp.Integral(density, (u, 0, upper)), sp.Integer(1), at=at)
        argument.same_numbers("and the mean 2c.", mean / 2, pull, at=at, label=sp.Symbol("c"))
    else:
        argument.equal(f"{law}: f has mass 1", integrals[0], sp.Integer(1))
        argument.equal("and the mean 2c.", integrals[1] / 2, pull, label=sp.Symbol("c"))
    constant = argument.equal(
        "K is pi^2/12 times the density at 0.",
        density.subs(u, 0) * growth.dirichlet_eta(sp.Integer(2)),
        sp.simplify(density.subs(u, 0) * sp.pi**2 / 12),
        label=sp.Symbol("K"),
    )
    name = law.lower().split()[0]
    argument.result(**{f"{name}_density": density, f"{name}_pull": pull, f"{name}_tail_constant": constant})


def _beta(argument: Argument, law: str, density: sp.Expr, expected: sp.Expr) -> None:
    p_0, p_2 = sp.symbols("p_0 p_2", real=True)
    general = growth.derive().results
    line = density / 2
    values = {p_0: line.subs(u, 0), p_2: sp.diff(line, u, 2).subs(u, 0)}
    beta = argument.equal(
        "The next order, from p''(0) and p(0).",
        sp.simplify(general["beta_smooth"].subs(values)),
        expected,
        label=sp.Symbol("beta"),
    )
    fourth = sp.simplify(general["next_coefficient_smooth"].subs(values))
    argument.result(**{f"{law}_beta": beta, f"{law}_next_coefficient": fourth})


def _gaussian(argument: Argument) -> None:
    density = sp.sqrt(2 / sp.pi) / b * sp.exp(-(u**2) / (2 * b**2))
    integrals = (sp.integrate(density, (u, 0, sp.oo)), sp.integrate(u * density, (u, 0, sp.oo)))
    _record(argument, "Gaussian of scale b", density, b / sp.sqrt(2 * sp.pi), integrals, sp.oo, [])
    _beta(argument, "gaussian", density, 7 * sp.pi**2 / (20 * b**2))


def _sphere_density(dimension: sp.Expr) -> sp.Expr:
    mass = sp.sqrt(sp.pi) * sp.gamma((dimension - 1) / 2) / (2 * sp.gamma(dimension / 2))
    return (1 - u**2 / b**2) ** ((dimension - 3) / 2) / (mass * b)


def _sphere(argument: Argument) -> None:
    angle = sp.Symbol("phi", positive=True)
    argument.equal(
        "Sphere: at the polar angle phi the surface is proportional to sin(phi)^(d-2); u = b cos(phi) turns it into",
        (sp.sin(angle) ** (d - 2) / sp.sin(angle)).subs(sp.sin(angle), sp.sqrt(1 - u**2 / b**2)),
        (1 - u**2 / b**2) ** ((d - 3) / 2),
    )
    pull = b * sp.gamma(d / 2) / (2 * sp.sqrt(sp.pi) * sp.gamma((d + 1) / 2))
    density = _sphere_density(d)
    beta_function = sp.gamma(sp.Rational(1, 2)) * sp.gamma((d - 1) / 2) / sp.gamma(d / 2) / 2
    mean_integral = 1 / (d - 1)  # of u (1-u^2)^((d-3)/2) on (0, 1), whose primitive is elementary
    primitive = -((1 - u**2) ** ((d - 1) / 2)) / (d - 1)
    argument.equal("For the mean, a primitive:", sp.diff(primitive, u), u * (1 - u**2) ** ((d - 3) / 2))
    integrals = (density.subs(u, 0) * b * beta_function, density.subs(u, 0) * b**2 * mean_integral)
    _record(argument, "Sphere of radius b in R^d", density, pull, integrals, b, [])
    argument.same_numbers(
        "Mass and mean once more, from their integrals, for d = 3, 4, 7: the mass",
        sp.Integral(density, (u, 0, b)),
        sp.Integer(1),
        at=[{d: 3, b: 1}, {d: 4, b: 2}, {d: 7, b: "1/3"}],
    )
    argument.same_numbers(
        "and the pull.",
        sp.Integral(u * density, (u, 0, b)) / 2,
        pull,
        at=[{d: 3, b: 1}, {d: 4, b: 2}, {d: 7, b: "1/3"}],
        label=sp.Symbol("c"),
    )
    argument.equal("On the circle c0 = pi c is the radius.", sp.pi * pull.subs(d, 2), b)
    _beta(argument, "sphere", density, 7 * sp.pi**2 * (d - 3) / (20 * b**2))


def _ball(argument: Argument) -> None:
    height = sp.sqrt(b**2 - u**2)
    argument.equal(
        "Ball: the slice at u is a ball of dimension d - 1 and radius sqrt(b^2 - u^2); its volume "
        "depends on u as "
        "the density of the sphere in R^(d+2) does.",
        height ** (d - 1) / b ** (d - 1),
        (1 - u**2 / b**2) ** (((d + 2) - 3) / 2),
    )
    sphere = argument.results
    density = sphere["sphere_density"].subs(d, d + 2)
    pull = sp.simplify(sphere["sphere_pull"].subs(d, d + 2))
    points = [{d: 2, b: 1}, {d: 3, b: 2}, {d: 6, b: "1/3"}]
    _record(argument, "Ball of radius b in R^d", density, pull, None, b, points)
    _beta(argument, "ball", density, 7 * sp.pi**2 * (d - 1) / (20 * b**2))


def _student(argument: Argument) -> None:
    mixing = e ** (nu / 2 - 1) * sp.exp(-e / 2) / (2 ** (nu / 2) * sp.gamma(nu / 2))
    conditional = sp.sqrt(2 * e / (sp.pi * nu)) / b * sp.exp(-e * u**2 / (2 * nu * b**2))
    rate = sp.Symbol("k", positive=True)
    moment = sp.integrate(e ** ((nu - 1) / 2) * sp.exp(-rate * e), (e, 0, sp.oo))
    front = sp.sqrt(2 / (sp.pi * nu)) / b / (2 ** (nu / 2) * sp.gamma(nu / 2))
    argument.equal(
        "Student t: a Gaussian over sqrt(e/nu), e of the chi-square law. Given e, the density of |x_1| times that of e:",
        conditional * mixing,
        front * e ** ((nu - 1) / 2) * sp.exp(-e * (1 + u**2 / (nu * b**2)) / 2),
    )
    density = argument.equal(
        "Integrated over e: the t law in one dimension, in any number of dimensions.",
        front * moment.subs(rate, (1 + u**2 / (nu * b**2)) / 2),
        2 * sp.gamma((nu + 1) / 2) / (sp.sqrt(nu * sp.pi) * sp.gamma(nu / 2) * b) * (1 + u**2 / (nu * b**2)) ** (-(nu + 1) / 2),
        label=sp.Function("f")(u),
    )
    pull = sp.sqrt(nu) * sp.gamma((nu + 1) / 2) * b / (sp.sqrt(sp.pi) * (nu - 1) * sp.gamma(nu / 2))
    points = [{nu: 3, b: 1}, {nu: 4, b: 2}, {nu: 9, b: "1/3"}]
    _record(argument, "Student t of nu degrees of freedom and scale b", density, pull, None, sp.oo, points)
    _beta(argument, "student", density, 7 * sp.pi**2 * (nu + 1) / (20 * nu * b**2))


def _laplace(argument: Argument) -> None:
    mixture = sp.exp(-e) * 2 / sp.sqrt(4 * sp.pi * b**2 * e) * sp.exp(-(u**2) / (4 * b**2 * e))
    density = argument.same_numbers(
        "Laplace: x = b sqrt(2E) times a standard Gaussian, E exponential of mean 1; integrated over E = e,",
        sp.Integral(mixture, (e, 0, sp.oo)),
        sp.exp(-u / b) / b,
        at=[{u: 1, b: 1}, {u: "1/2", b: 2}],
        label=sp.Function("f")(u),
    )
    integrals = (sp.integrate(density, (u, 0, sp.oo)), sp.integrate(u * density, (u, 0, sp.oo)))
    _record(argument, "Laplace of scale b", density, b / 2, integrals, sp.oo, [])
    general, slope = growth.derive().results, sp.Symbol("f1", real=True)
    cubic = argument.equal(
        "The density has a kink at 0, so the next order is r^-3: no beta.",
        general["cubic_coefficient"].subs(slope, sp.diff(density, u).subs(u, 0)),
        -3 * sp.zeta(3) / (2 * b**2),
        label=sp.Symbol("h_3"),
    )
    argument.result(laplace_cubic_coefficient=cubic)
