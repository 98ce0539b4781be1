"""h and A in closed form: trigamma for the Laplace law, dilogarithm for the sphere in R^3.

Source: derived here.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.symbols import r, u

__all__ = ["derive"]

scale = sp.Symbol("b", positive=True)
"""x_1 of the Laplace law has the density exp(-|u|/b)/(2b)."""
radius = sp.Symbol("R", positive=True)
"""Radius of the sphere in R^3."""

LAPLACE_POINTS = [{r: "1/100", scale: 1}, {r: 1, scale: "1/2"}, {r: 3, scale: 2}, {r: 200, scale: 1}]
SPHERE_POINTS = [{r: "1/100", radius: 1}, {r: 1, radius: "1/2"}, {r: 3, radius: 2}, {r: 40, radius: 1}]


@cache
def derive() -> Derivation:
    """Closed forms, each against its own integral at 30 digits."""
    argument = Argument("closed_forms", "Closed forms: Laplace law and sphere in R^3", "derived here")
    _laplace(argument)
    _sphere(argument)
    return argument.close()


def _laplace(argument: Argument) -> None:
    k, y = sp.Symbol("k", positive=True, integer=True), sp.Symbol("y", positive=True)
    density = sp.exp(-u / scale) / scale
    term = argument.equal(
        "Laplace: with 1/(1 + e^(ru)) = sum over k of (-1)^(k-1) e^(-k r u), each term of h is, y = 1/(b r),",
        sp.integrate(u * density * sp.exp(-k * r * u), (u, 0, sp.oo)),
        1 / (scale * r**2 * (k + 1 / (scale * r)) ** 2),
    )
    pairs = argument.equal(
        "Odd k minus even k; the sum over n >= 0 of 1/(n + x)^2 is the trigamma function psi_1(x),",
        (1 / (2 * k - 1 + y) ** 2 - 1 / (2 * k + y) ** 2),
        (1 / (k - 1 + (1 + y) / 2) ** 2 - 1 / (k - 1 + 1 + y / 2) ** 2) / 4,
    )
    argument.result(laplace_series_term=term, laplace_pair=pairs)
    inverse = 1 / (scale * r)
    growth = (sp.polygamma(1, (1 + inverse) / 2) - sp.polygamma(1, 1 + inverse / 2)) / (4 * scale * r**2)
    argument.same_numbers(
        "so the growth is a difference of two trigammas:",
        sp.Integral(u * density / (1 + sp.exp(r * u)), (u, 0, sp.oo)),
        growth,
        at=LAPLACE_POINTS,
        label=sp.Function("h")(r),
    )
    by_parts = argument.equal(
        "The aligned risk by parts is log 2 minus r times the mean of b/(1 + e^(ru)), of terms",
        r * sp.integrate(scale * density * sp.exp(-k * r * u), (u, 0, sp.oo)),
        1 / (k + inverse),
    )
    aligned = sp.log(2) - (sp.polygamma(0, 1 + inverse / 2) - sp.polygamma(0, (1 + inverse) / 2)) / 2
    argument.equal(
        "which pair to digammas; its derivative is -h.",
        -sp.diff(aligned, r),
        growth,
        label=-sp.Derivative(sp.Function("A")(r), r),
    )
    argument.same_numbers(
        "The aligned risk.",
        sp.Integral(sp.log(1 + sp.exp(-r * u)) * density, (u, 0, sp.oo)),
        aligned,
        at=LAPLACE_POINTS,
        label=sp.Function("A")(r),
    )
    argument.result(laplace_growth=growth, laplace_aligned_risk=aligned, laplace_aligned_term=by_parts)


def _sphere(argument: Argument) -> None:
    margin = sp.Symbol("y", positive=True)
    primitive = sp.polylog(2, -sp.exp(-margin))
    argument.equal(
        "Sphere in R^3: |x_1| is uniform on (0, R). Li_2(-e^(-y)) is a primitive of log(1 + e^(-y)):",
        sp.expand_func(sp.diff(primitive, margin)),
        sp.log(1 + sp.exp(-margin)),
        label=sp.Derivative(primitive, margin),
    )
    at_zero = argument.equal("and at 0 it is", primitive.subs(margin, 0), -(sp.pi**2) / 12)
    aligned = (sp.polylog(2, -sp.exp(-radius * r)) - at_zero) / (radius * r)
    argument.same_numbers(
        "The mean of log(1 + e^(-ru)) over (0, R), with y = r u.",
        sp.Integral(sp.log(1 + sp.exp(-r * u)), (u, 0, radius)) / radius,
        aligned,
        at=SPHERE_POINTS,
        label=sp.Function("A")(r),
    )
    growth = argument.equal(
        "Its derivative: the growth.",
        sp.expand_func(-sp.diff(aligned, r)),
        aligned / r - sp.log(1 + sp.exp(-radius * r)) / r,
        label=sp.Function("h")(r),
    )
    argument.same_numbers(
        "The same from the mean of u/(1 + e^(ru)).",
        sp.Integral(u / (1 + sp.exp(r * u)), (u, 0, radius)) / radius,
        growth,
        at=SPHERE_POINTS,
        label=sp.Function("h")(r),
    )
    tail = argument.equal(
        "At large r, up to terms of order e^(-Rr): h = K/r^2 and nothing else, so beta = 0.",
        sp.limit(growth * r**2, r, sp.oo),
        sp.pi**2 / (12 * radius),
        label=sp.Symbol("K"),
    )
    argument.result(sphere3_growth=growth, sphere3_aligned_risk=aligned, sphere3_tail_constant=tail)
