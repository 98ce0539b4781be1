"""L_eps = A(r) + c r (1 - (1 - 2 eps) cos theta), with a minimiser on v's ray at h(r*) = 2 eps c.

Source: derived here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.symbols import A, N, c, h, kappa, r, theta, z

__all__ = ["derive"]


@cache
def derive() -> Derivation:
    """The risk and the flow when each label is flipped with probability eps < 1/2."""
    argument = Argument("label_noise", "Label noise: a finite minimiser on the ray of v", "derived here")
    noise = sp.Symbol("epsilon", positive=True)
    loss = sp.log(1 + sp.exp(-z))
    argument.equal(
        "A label flipped with probability eps adds eps times the margin, because l(-z) - l(z) = z.",
        (1 - noise) * loss + noise * loss.subs(z, -z) - loss,
        noise * z,
    )
    angle = sp.Symbol("phi", real=True)
    mean_margin = argument.equal(
        "The mean of the clean margin: over the half circle cos(phi) > 0, with E rho = pi c.",
        sp.integrate(sp.pi * c * r * sp.cos(angle - theta), (angle, -sp.pi / 2, sp.pi / 2)) / sp.pi,
        2 * c * r * sp.cos(theta),
        label=sp.Symbol("E[y<w,x>]"),
    )
    risk = argument.equal(
        "So the noise weakens the pull in front of v alone.",
        A(r) + c * r * (1 - sp.cos(theta)) + noise * mean_margin,
        A(r) + c * r * (1 - (1 - 2 * noise) * sp.cos(theta)),
        label=sp.Symbol("L_eps"),
    )
    along = argument.equal(
        "The gradient along w/|w|",
        sp.diff(risk, r),
        c - h(r) - c * (1 - 2 * noise) * sp.cos(theta),
        label=sp.Symbol("<grad L, w/r>"),
    )
    across = argument.equal(
        "and across it.",
        sp.diff(risk, theta) / r,
        c * (1 - 2 * noise) * sp.sin(theta),
        label=sp.Symbol("<grad L, n>"),
    )
    on_ray = argument.equal(
        "On the ray of v the derivative vanishes where h(r) = 2 eps c: r falls from c to 0 under h, so once,",
        along.subs(theta, 0),
        2 * noise * c - h(r),
        label=sp.Symbol("<grad L, v>"),
    )
    argument.at_most(
        "and the risk curves upwards there: it is the minimiser.",
        sp.Integer(0),
        sp.diff(on_ray, r),
        kappa(r),
        strict=True,
    )
    power = r ** (1 - 2 / N)
    velocity: Any = argument.equal(
        "The flow of depth N: the norm,",
        -N * r ** (2 - 2 / N) * along,
        N * r ** (2 - 2 / N) * (h(r) - c * (1 - (1 - 2 * noise) * sp.cos(theta))),
        label=sp.Symbol("rprime"),
    )
    rotation = argument.equal(
        "and the direction, slowed by 1 - 2 eps and no longer for ever: r stops at r*.",
        -power * across / sp.sin(theta),
        -c * (1 - 2 * noise) * power,
        label=sp.Symbol("sprime"),
    )
    relaxation = argument.equal(
        "Near r*, aligned, the distance r - r* shrinks at minus the derivative of r' there.",
        -velocity.subs(theta, 0).diff(r).subs(h(r), 2 * noise * c),
        N * r ** (2 - 2 / N) * kappa(r),
        label=-sp.Derivative(sp.Symbol("rprime"), r),
    )
    argument.result(
        norm_relaxation_rate=relaxation,
        risk=risk,
        minimiser_condition=on_ray,
        gradient_coefficient_of_unit_w=c - h(r),
        gradient_coefficient_of_v=-c * (1 - 2 * noise),
        norm_rate=velocity,
        log_tan_half_angle_rate=rotation,
    )
    return argument.close()
