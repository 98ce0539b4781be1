"""dL/dtheta = (1/pi) E[D(r rho sin theta)], D(z) = l(-z) - l(z), for any margin loss l.

Source: derived here.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derivations import risk as logistic_risk
from derivations.derivation import Argument, Derivation
from derivations.symbols import r, rho, theta, z

__all__ = ["derive"]


@cache
def derive() -> Derivation:
    """The pull of other losses: linear D for even-plus-linear losses, the exponential loss in closed form."""
    argument = Argument("margin_losses", "Any margin loss: the risk's derivative in the angle", "derived here")
    _pull(argument)
    _linear_differences(argument)
    _exponential_loss(argument)
    return argument.close()


def _pull(argument: Argument) -> None:
    loss = sp.Function("l")
    on_ring = logistic_risk.derive().results["margin_loss_slope_on_ring"]
    slope = argument.equal(
        "From the ends of the half circle of correct labels, on the ring |projection| = rho with z = r rho sin(theta): D(z)/pi.",
        on_ring,
        (loss(-z) - loss(z)) / sp.pi,
        label=sp.Derivative(sp.Symbol("L_rho"), theta),
    )
    argument.result(angular_slope_on_ring=slope)


def _linear_differences(argument: Argument) -> None:
    even, odd, heat = sp.Function("e"), sp.Function("o"), sp.Symbol("tau", positive=True)
    parts = even(sp.Abs(z)) + odd(sp.Abs(z)) * sp.sign(z)
    argument.let("Any loss is an even part plus an odd part.", sp.Function("l")(z), parts)
    positive = sp.Symbol("z", positive=True)
    argument.equal(
        "D sees the odd part alone, so D is linear exactly when the odd part is: l even plus linear.",
        (parts.subs(z, -positive) - parts.subs(z, positive)).doit(),
        -2 * odd(positive),
        label=sp.Function("D")(positive),
    )
    tempered = sp.log(1 + sp.exp(-z))  # in units of the temperature: l/tau against z/tau
    argument.equal(
        "The logistic loss at temperature tau, in units of tau, is even",
        tempered,
        sp.log(2 * sp.cosh(z / 2)) - z / 2,
        label=sp.Function("l")(heat * z) / heat,
    )
    difference = argument.equal(
        "minus z/2: D(z) = z again, and the pull is the same constant at every temperature.",
        heat * (tempered.subs(z, -z) - tempered).subs(z, z / heat),
        z,
        label=sp.Function("D")(z),
    )
    argument.equal(
        "Not so for the exponential loss.",
        sp.exp(z) - sp.exp(-z),
        2 * sp.sinh(z),
        label=sp.Function("D")(z),
    )
    argument.result(logistic_difference=difference, exponential_difference=2 * sp.sinh(z))


def _exponential_loss(argument: Argument) -> None:
    normal = sp.erfc(-z / sp.sqrt(2)) / 2
    aligned_integrand = sp.sqrt(2 / sp.pi) * sp.exp(-(rho**2) / 2 - r * rho)
    aligned = argument.equal(
        "Exponential loss, Gaussian law: the aligned risk, Phi the normal distribution function,",
        sp.integrate(aligned_integrand, (rho, 0, sp.oo)),
        2 * sp.exp(r**2 / 2) * normal.subs(z, -r),
        label=sp.Symbol("L(r, 0)"),
    )
    b = sp.Symbol("b", positive=True)
    rayleigh = rho * sp.exp(-(rho**2) / 2)
    slope = argument.equal(
        "the derivative in the angle, with b = r sin(theta) and rho of the Rayleigh law,",
        sp.integrate(sp.expand(rayleigh * (sp.exp(b * rho) - sp.exp(-b * rho))), (rho, 0, sp.oo)) / sp.pi,
        sp.sqrt(2 / sp.pi) * b * sp.exp(b**2 / 2),
        label=sp.Derivative(sp.Symbol("L"), theta),
    )
    whole = 2 * sp.exp(r**2 / 2) * normal.subs(z, -r * sp.cos(theta))
    argument.equal(
        "and the risk that has both: L = 2 exp(r^2/2) Phi(-r cos theta). Its derivative,",
        sp.diff(whole, theta),
        slope.subs(b, r * sp.sin(theta)),
    )
    argument.equal("and its value at theta = 0.", whole.subs(theta, 0), aligned)
    argument.result(exponential_risk_gaussian=whole)
