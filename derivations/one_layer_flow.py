"""r' = h - c (1 - cos theta), s' = -c/r: the gradient flow of one layer in coordinates that never saturate.

Source: Lin, Sun, Zhang (NeurIPS 2021, submitted version), Lemmas 2 and 3 at N = 1; coordinates (q, ell)
derived here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations import risk
from derivations.derivation import Argument, Derivation
from derivations.symbols import c, h, r, s, theta

__all__ = ["derive"]


@cache
def derive() -> Derivation:
    """The flow of w' = -grad L in (r, theta), in s, in (q, ell), and its orbits."""
    argument = Argument(
        "one_layer_flow",
        "Gradient flow of one layer",
        "Lin, Sun, Zhang 2021 (submitted version), Lemmas 2 and 3; coordinates (q, ell): here",
    )
    rates = _polar(argument)
    _direction(argument, *rates)
    _parallel_and_perpendicular(argument, *rates)
    _turning_point(argument, *rates)
    return argument.close()


def _polar(argument: Argument) -> tuple[sp.Expr, sp.Expr]:
    gradient = risk.derive().results
    velocity: Any = -(
        gradient["gradient_coefficient_of_unit_w"] * sp.Matrix([sp.cos(theta), sp.sin(theta)])
        + gradient["gradient_coefficient_of_v"] * sp.Matrix([1, 0])
    )
    argument.let(
        "In the plane of v = (1, 0) and w = r (cos theta, sin theta), w' = -grad L.",
        sp.Symbol("wprime"),
        velocity,
    )
    norm_rate = argument.equal(
        "Along w",
        velocity.dot(sp.Matrix([sp.cos(theta), sp.sin(theta)])),
        h(r) - c * (1 - sp.cos(theta)),
        label=sp.Symbol("rprime"),
    )
    angle_rate = argument.equal(
        "and across it, divided by r.",
        velocity.dot(sp.Matrix([-sp.sin(theta), sp.cos(theta)])) / r,
        -c * sp.sin(theta) / r,
        label=sp.Symbol("thetaprime"),
    )
    argument.result(norm_rate=norm_rate, angle_rate=angle_rate)
    return norm_rate, angle_rate


def _direction(argument: Argument, norm_rate: sp.Expr, angle_rate: sp.Expr) -> None:
    log_tan = sp.log(sp.tan(theta / 2))
    argument.let("The direction as the logarithm of a tangent.", s, log_tan)
    rate = argument.equal(
        "It takes the sine out: s' depends on the norm alone.",
        sp.diff(log_tan, theta) * angle_rate,
        -c / r,
        label=sp.Symbol("sprime"),
    )
    one_minus_cosine = argument.equal(
        "What the norm needs of it, without cancellation at small angles.",
        1 - sp.cos(2 * sp.atan(sp.exp(s))),
        2 / (1 + sp.exp(-2 * s)),
        label=1 - sp.cos(theta),
    )
    orbit = argument.equal(
        "The orbits, with time divided out.",
        rate / (norm_rate / r),
        -c / (h(r) - c * (1 - sp.cos(theta))),
        label=sp.Derivative(sp.Function("s")(sp.Symbol("log r")), sp.Symbol("log r")),
    )
    argument.result(log_tan_half_angle_rate=rate, one_minus_cosine=one_minus_cosine, orbit_slope=orbit)


def _parallel_and_perpendicular(argument: Argument, norm_rate: sp.Expr, angle_rate: sp.Expr) -> None:
    q, drag = sp.Symbol("q", real=True), sp.Symbol("D", positive=True)
    argument.let("Write D for (c - h)/r, which is regular at r = 0.", drag, (c - h(r)) / r)
    small = sp.Symbol("u", positive=True)
    argument.equal(
        "At the origin D is E[x_1^2]/4: here for one value of |x_1| = u.",
        sp.limit((small / 2 - small / (1 + sp.exp(r * small))) / r, r, 0),
        small**2 / 4,
        label=sp.Limit(drag, r, 0),
    )
    parallel = r * sp.cos(theta)
    parallel_rate = argument.equal(
        "The component q = r cos(theta) along v",
        sp.diff(parallel, r) * norm_rate + sp.diff(parallel, theta) * angle_rate,
        c - (c - h(r)) / r * parallel,
        label=sp.Symbol("qprime"),
    )
    log_perpendicular = sp.log(r * sp.sin(theta))
    perpendicular_rate = argument.equal(
        "and ell = log(r sin theta): linear but for D, hence smooth through the origin.",
        sp.diff(log_perpendicular, r) * norm_rate + sp.diff(log_perpendicular, theta) * angle_rate,
        -(c - h(r)) / r,
        label=sp.Symbol("ellprime"),
    )
    at_origin = argument.equal(
        "On the ray theta = pi, w = q v with q < 0: at the origin it crosses with speed c.",
        (c - drag * q).subs(q, 0),
        c,
        label=sp.Symbol("qprime"),
    )
    argument.result(parallel_rate=parallel_rate, log_perp_rate=perpendicular_rate, speed_at_origin=at_origin)


def _turning_point(argument: Argument, norm_rate: sp.Expr, angle_rate: sp.Expr) -> None:
    stationary = c * (1 - sp.cos(theta))
    acceleration = sp.diff(norm_rate, r) * norm_rate + sp.diff(norm_rate, theta) * angle_rate
    turning = argument.equal(
        "Where the norm is stationary, h = c (1 - cos theta), its second derivative",
        acceleration.subs(h(r), stationary),
        c**2 * sp.sin(theta) ** 2 / r,
        label=sp.Symbol("rprimeprime"),
    )
    sine = sp.Symbol("sin(theta)", positive=True)
    argument.at_most(
        "is positive: the norm has one minimum at most, first falls (if at all) and then grows.",
        sp.Integer(0),
        turning.subs(sp.sin(theta), sine),
        c**2 * sine**2 / r,
        strict=True,
    )
    argument.result(norm_acceleration_at_minimum=turning)
