"""L(r, theta) = A(r) + c r (1 - cos theta): the population risk, from the polar integral over a plane.

Source: Lin, Sun, Zhang (NeurIPS 2021, submitted version), Propositions 1-3 and Lemma 1; the route over the
derivative in theta is derived here. The law of x enters through the density f of |x_1| alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.symbols import A, c, c0, h, kappa, r, rho, theta, u, z

__all__ = ["derive"]

phi = sp.Symbol("phi", real=True)
psi = sp.Symbol("psi", real=True)
HALF_TURN = (phi, -sp.pi / 2, sp.pi / 2)


def logistic(margin: sp.Expr) -> sp.Expr:
    """l(z) = log(1 + exp(-z))."""
    return sp.log(1 + sp.exp(-margin))


@cache
def derive() -> Derivation:
    """The risk, its gradient and Hessian, and the error rate."""
    argument = Argument(
        "risk",
        "Population risk: L = A(r) + c r (1 - cos theta)",
        "Lin, Sun, Zhang 2021 (submitted version), Propositions 1-3 and Lemma 1; derivation in theta: here",
    )
    _loss(argument)
    _reduction_to_a_half_circle(argument)
    _angular_part(argument)
    _whole_risk(argument)
    _gradient_and_hessian(argument)
    return argument.close()


def _loss(argument: Argument) -> None:
    margin_loss = sp.Function("l")
    argument.let("The logistic loss of a margin z.", margin_loss(z), logistic(z))
    argument.equal(
        "Changing the sign of the margin costs exactly the margin.",
        logistic(-z) - logistic(z),
        z,
        label=margin_loss(-z) - margin_loss(z),
    )


def _reduction_to_a_half_circle(argument: Argument) -> None:
    x: Any = rho * sp.Matrix([sp.cos(phi), sp.sin(phi)])
    teacher = sp.Matrix([1, 0])
    predictor: Any = r * sp.Matrix([sp.cos(theta), sp.sin(theta)])
    argument.equal(
        "In the plane of v and w the projection of x is rho (cos phi, sin phi), phi uniform and independent of rho; the teacher sees",
        teacher.dot(x),
        rho * sp.cos(phi),
        label=sp.Symbol("<v,x>"),
    )
    argument.equal(
        "and the predictor, at the angle theta from v, sees",
        predictor.dot(x),
        r * rho * sp.cos(phi - theta),
        label=sp.Symbol("<w,x>"),
    )
    margin = sp.sign(sp.cos(phi)) * r * rho * sp.cos(phi - theta)
    argument.equal(
        "A half turn of x changes both signs and so keeps the margin: the half circle cos(phi) > 0, "
        "where the "
        "label is +1, carries the whole risk.",
        margin.subs(phi, phi + sp.pi),
        margin,
    )


def _angular_part(argument: Argument) -> None:
    loss = sp.Function("l")
    ring = sp.Integral(loss(r * rho * sp.cos(psi)), (psi, -sp.pi / 2 - theta, sp.pi / 2 - theta)) / sp.pi
    argument.let(
        "The risk on one ring |projection| = rho, with psi = phi - theta; theta is now in the limits alone.",
        sp.Symbol("L_rho"),
        ring,
    )
    slope = argument.equal(
        "Its derivative in theta (any margin loss l): only the two ends of the arc contribute.",
        sp.diff(ring, theta),
        (loss(-r * rho * sp.sin(theta)) - loss(r * rho * sp.sin(theta))) / sp.pi,
        label=sp.Derivative(sp.Symbol("L_rho"), theta),
    )
    logistic_slope = argument.equal(
        "For the logistic loss the difference is the margin itself.",
        slope.replace(loss, logistic),
        r * rho * sp.sin(theta) / sp.pi,
        label=sp.Derivative(sp.Symbol("L_rho"), theta),
    )
    mean_slope = argument.equal(
        "Mean over rho, with c0 = E rho and c = c0/pi.",
        logistic_slope.subs(rho, c0).subs(c0, sp.pi * c),
        c * r * sp.sin(theta),
        label=sp.Derivative(sp.Symbol("L"), theta),
    )
    argument.equal(
        "The same constant from one coordinate: x_1 = rho cos(phi), so E|x_1| = 2 c.",
        sp.Integral(c0 * sp.cos(phi), HALF_TURN) / sp.pi,
        2 * c0 / sp.pi,
        label=sp.Symbol("E|x_1|"),
    )
    argument.result(margin_loss_slope_on_ring=slope.subs({r * rho * sp.sin(theta): z}), angular_slope=mean_slope)


def _whole_risk(argument: Argument) -> None:
    argument.let(
        "At theta = 0 the margin is r|x_1|: the aligned risk, u standing for |x_1|.",
        sp.Symbol("A(r)"),
        sp.Integral(logistic(r * u) * sp.Function("f")(u), (u, 0, sp.oo)),
    )
    argument.equal(
        "Its derivative, for one value of u, is minus the integrand of h(r) = E[u/(1 + exp(r u))].",
        sp.diff(logistic(r * u), r),
        -u / (1 + sp.exp(r * u)),
    )
    curvature = sp.diff(-u / (1 + sp.exp(r * u)), r)
    argument.equal("And h' = -kappa, for one value of u.", curvature, u**2 / (4 * sp.cosh(r * u / 2) ** 2))
    turned = sp.Symbol("tau", positive=True)
    risk = argument.equal(
        "Integrating the derivative from theta = 0, with L(r, 0) = A(r), gives the risk.",
        A(r) + sp.integrate(c * r * sp.sin(turned), (turned, 0, theta)),
        A(r) + c * r * (1 - sp.cos(theta)),
        label=sp.Symbol("L"),
    )
    arc_with_label_plus = sp.Integral(logistic(r * sp.cos(phi - theta)), HALF_TURN)
    arc_with_label_minus = sp.Integral(logistic(-r * sp.cos(phi - theta)), (phi, sp.pi / 2, 3 * sp.pi / 2))
    argument.same_numbers(
        "Second witness: the full circle of radius 1, integrated with its labels.",
        (arc_with_label_plus + arc_with_label_minus) / (2 * sp.pi),
        sp.Integral(logistic(r * sp.cos(phi)), HALF_TURN) / sp.pi + r * (1 - sp.cos(theta)) / sp.pi,
        at=[{r: "1/2", theta: "3/10"}, {r: 2, theta: "3/2"}, {r: 5, theta: "29/10"}],
    )
    error = argument.equal(
        "The signs of <v,x> and <w,x> differ on two sectors of opening theta: the error rate.",
        2 * sp.Integral(1, (phi, sp.pi / 2, sp.pi / 2 + theta)) / (2 * sp.pi),
        theta / sp.pi,
        label=sp.Symbol("P(error)"),
    )
    argument.result(risk=risk, error_rate=error, growth_integrand=u / (1 + sp.exp(r * u)))


def _gradient_and_hessian(argument: Argument) -> None:
    # Two distinct coordinates of R^d, and all others through their part m^2 of |w|^2 and b of <v,w>:
    # every entry of the gradient and the Hessian, in every dimension, is one of those computed here.
    wi, wj, vi, vj, b = sp.symbols("w_i w_j v_i v_j b", real=True)
    m = sp.Symbol("m", positive=True)
    norm = sp.sqrt(wi**2 + wj**2 + m**2)
    risk = A(norm) + c * (norm - wi * vi - wj * vj - b)
    argument.let(
        "In R^d: r cos(theta) = <v,w>; w_i, w_j are any two coordinates, m^2 and b what the others add to |w|^2 and <v,w>.",
        sp.Symbol("L"),
        risk,
    )
    gradient = (c - h(norm)) * wi / norm - c * vi
    argument.equal(
        "The gradient: (c - h) w/|w| - c v.",
        sp.diff(risk, wi),
        gradient,
        label=sp.Derivative(sp.Symbol("L"), wi),
    )
    drag = (c - h(norm)) / norm
    argument.equal(
        "The Hessian off the diagonal,",
        sp.diff(risk, wi, wj),
        kappa(norm) * wi * wj / norm**2 + drag * (0 - wi * wj / norm**2),
    )
    argument.equal(
        "and on it: kappa w w^T/|w|^2 + ((c - h)/r) (I - w w^T/|w|^2).",
        sp.diff(risk, wi, 2),
        kappa(norm) * wi**2 / norm**2 + drag * (1 - wi**2 / norm**2),
    )
    polar = A(r) + c * r * (1 - sp.cos(theta))
    along = argument.equal(
        "The gradient's component along w/|w|",
        sp.diff(polar, r),
        c * (1 - sp.cos(theta)) - h(r),
        label=sp.Symbol("<grad L, w/r>"),
    )
    across = argument.equal(
        "and along the direction of growing theta, which is -c v's.",
        sp.diff(polar, theta) / r,
        c * sp.sin(theta),
        label=sp.Symbol("<grad L, n>"),
    )
    argument.result(
        gradient_along_w=along,
        gradient_across_w=across,
        gradient_coefficient_of_unit_w=c - h(r),
        gradient_coefficient_of_v=-c,
        hessian_radial=kappa(r),
        hessian_tangential=(c - h(r)) / r,
    )
