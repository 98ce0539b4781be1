"""r^(1+a) = 8 (1+a) K k/(c (1+kappa^2)), theta_rms^2 = (1-kappa^2)/(4 (1+a) k): two layers held at sigma = 2, eta c = 2/kappa > 2.

Source: derived here. [F] marks what is formal: leading orders at late k of averages over the swings about sigma = 2, for a tail
h ~ K r^(-1-a).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations import descent, modified_equation
from derivations.derivation import Argument, Derivation
from derivations.descent import eta, layer, noise, z_par, z_perp
from derivations.symbols import K, c, h, r

__all__ = ["derive"]

k = sp.Symbol("k", positive=True)
"""Step number."""
m = sp.Symbol("m", positive=True)
"""(eta c/2)^2 = 1/kappa^2; above the threshold m > 1."""
tail = sp.Symbol("a", positive=True)
"""Tail exponent; 1 for a density that is positive at 0."""
lam, y = sp.symbols("lambda y", real=True)
"""log(sigma/2) without h, and log u."""
H, Theta = sp.symbols("H Theta", positive=True)
"""h/c, and (z_perp/z_par)^2."""
G, u = sp.symbols("G u", positive=True)
"""2 (m - 1) H, and Theta over its mean."""
small = sp.Symbol("e", positive=True)
"""Counts orders: lambda ~ e, H and Theta ~ e^2."""
mean = sp.Symbol("M", positive=True)
"""Mean of lambda^2 over a swing."""


@cache
def derive() -> Derivation:
    """The map near sigma = 2, the averages that hold it there, and how its swings sharpen into bursts."""
    argument = Argument("two_layer_edge", "Two layers at the edge of stability", "derived here, formal where marked [F]")
    _increments(argument)
    _averages(argument)
    _energy(argument)
    _swings(argument)
    _bursts(argument)
    return argument.close()


def _increments(argument: Argument) -> None:
    known, root, length = descent.derive().results, sp.sqrt(m), sp.Symbol("q", positive=True)
    near = {
        z_par: length,
        z_perp: small * sp.sqrt(Theta) * length,
        layer: length / root * sp.exp(small * lam),
        sp.Symbol("N", positive=True): 2,
        noise: 0,
    }
    argument.let("eta c = 2 sqrt(m) > 2. Write eta c a/z_par = 2 exp(lambda), that is", layer / z_par, sp.exp(lam) / root)

    def log_ratio(key: str, over: Any, sign: int = 1) -> Any:
        ratio = sp.expand(known[key].subs(h(r), small**2 * c * H).subs(near, simultaneous=True).subs(eta, 2 * root / c) / over)
        ratio = ratio.replace(sp.sign, lambda _: sp.Integer(1)).replace(sp.Abs, lambda inner: inner)
        polynomial = sp.simplify(sp.series(sign * ratio, small, 0, 4).removeO())
        return sp.expand(sp.simplify(sp.series(sp.log(polynomial), small, 0, 4).removeO()))

    size, parallel = log_ratio("next_layer", near[layer]), log_ratio("next_parallel", length)
    perpendicular = log_ratio("next_perp", near[z_perp], -1)
    expected = {
        "log_sharpness_step": 2 * H * (m - 1) - Theta * (m + 1) - lam * (2 * H * (m + 1) - Theta * (m - 1)),
        "log_norm_step": 2 * H * (m + 1) - Theta * (m - 1),
        "log_angle_squared_step": 4 * lam - 2 * lam**2 - 8 * H - 4 * Theta,
    }
    steps = (
        (
            "[F] Late in the run H = h/c and Theta = theta^2 are of the order lambda^2. One step of the map: lambda to the third order,",
            size - parallel,
            3,
        ),
        ("log r to the second,", size + parallel, 2),
        ("and log Theta to the second. z_perp itself changes sign in every step.", 2 * (perpendicular - parallel), 2),
    )
    for (sentence, increment, order), name, kept in zip(steps, ("lambda", "log(r)", "log(Theta)"), expected.values(), strict=True):
        found = sum(sp.expand(increment).coeff(small, n) for n in range(order + 1))
        argument.equal(sentence, found, kept, label=sp.Symbol(f"Delta({name})"))
    argument.result(**expected)


def _averages(argument: Argument) -> None:
    known, ratio = argument.results, sp.Symbol("kappa", positive=True)
    balance = argument.equal(
        "[F] On average lambda stays at 0: above, the angle grows until it lowers sigma. Delta(lambda) = 0 gives the mean Theta.",
        sp.solve(known["log_sharpness_step"].subs(lam, 0), Theta)[0],
        2 * H * (m - 1) / (m + 1),
        label=Theta,
    )
    force = K / (c * r ** (1 + tail))
    rate = argument.equal(
        "With it and H = K r^(-1-a)/c:",
        sp.powsimp(sp.expand((1 + tail) * r ** (1 + tail) * known["log_norm_step"].subs(Theta, balance).subs(H, force))),
        8 * (1 + tail) * K * m / (c * (m + 1)),
        label=sp.Derivative(sp.Function("r")(k) ** (1 + tail), k),
    )
    power = argument.equal(
        "[F] so with kappa = 2/(eta c) = m^(-1/2): the norm,",
        (rate * k).subs(m, ratio**-2),
        8 * (1 + tail) * K * k / (c * (1 + ratio**2)),
        label=r ** (1 + tail),
    )
    angle = argument.equal(
        "[F] and the mean square of the angle.",
        balance.subs(H, K / (c * power)).subs(m, ratio**-2),
        (1 - ratio**2) / (4 * (1 + tail) * k),
        label=sp.Symbol("theta_rms") ** 2,
    )
    argument.equal("For a = 1:", power.subs(tail, 1), 16 * K * k / (c * (1 + ratio**2)), label=r**2)
    argument.equal("and", angle.subs(tail, 1), (1 - ratio**2) / (8 * k), label=sp.Symbol("theta_rms") ** 2)
    strength = argument.equal(
        "The restoring strength G = 2 (m-1) H falls as 1/k.",
        2 * (m - 1) * K / (c * rate * k),
        (m**2 - 1) / (4 * (1 + tail) * m * k),
        label=G,
    )
    threshold = {ratio: 2 / (eta * c)}
    argument.result(
        mean_angle_squared=balance,
        norm_to_one_plus_a=power.subs(threshold),
        angle_rms_squared=angle.subs(threshold),
        restoring_strength=strength,
    )


def _energy(argument: Argument) -> None:
    known = argument.results
    scaled = {Theta: u * known["mean_angle_squared"]}
    growth = known["log_norm_step"].subs(scaled)
    # y = log u = log Theta - log H + const, and H ~ r^(-1-a).
    angle = known["log_angle_squared_step"].subs(scaled) + (1 + tail) * growth
    sharpness, force = known["log_sharpness_step"].subs(scaled), -(1 + tail) * H * growth
    swing: Any = sp.Matrix([4 * lam, G * (1 - u)])
    argument.equal(
        "[F] u = Theta over its mean, y = log u. At leading order they swing, by 4 lambda and G (1 - u), G = 2 (m-1) H.",
        sp.Matrix([sp.expand(angle.subs({H: small**2 * H, lam: small * lam}, simultaneous=True)).coeff(small, 1), sharpness.subs(lam, 0)]),
        swing.subs(G, 2 * (m - 1) * H),
        label=sp.Matrix(sp.symbols("Delta(y) Delta(lambda)")),
    )
    over = {G: 2 * (m - 1) * H, u: sp.exp(y)}
    energy = (2 * lam**2 / G + u - 1 - y).subs(over)
    state, field = [y, lam, H], sp.Matrix([*swing.subs(over), 0])
    half = modified_equation.derive().results["modified_coefficients"][0]
    # The increments are a map's; the flow through its iterates has the term -g'g/2 besides.
    velocity = sp.Matrix([angle, sharpness, force]).subs(over) + half * field.jacobian(state) * field
    change = sum((sp.diff(energy, name) * rate for name, rate in zip(state, velocity, strict=True)), sp.Integer(0))
    orders = sp.expand(sp.simplify(change.subs({lam: small * lam, H: small**2 * H}, simultaneous=True)))
    argument.equal(
        "Their energy E = 2 lambda^2/G + u - 1 - y is kept at leading order",
        orders.coeff(small, 1),
        sp.Integer(0),
        label=sp.Symbol("Edot_1"),
    )
    climb = (m + 1) - u * (m - 1) ** 2 / (m + 1)
    drift = argument.equal(
        "[F] and changes at the next, at which the modified equation counts as well. For a = 1 it grows throughout.",
        sp.collect(sp.expand(orders.coeff(small, 2).subs(y, sp.log(u))), [lam, H], sp.factor),
        2 * lam**2 * (1 + 3 * u) + 2 * (tail - 1) * H * climb * (2 * lam**2 / (2 * (m - 1) * H) + u - 1),
        label=sp.Symbol("Edot_2"),
    )
    swing = swing.subs(u, sp.exp(y))
    argument.equal(
        "Rates average to 0 over a swing. That of lambda: the mean of u is 1; of lambda^3: those of u lambda^2 and lambda^2 are equal;",
        (sp.Matrix([[lam, lam**3]]).jacobian([y, lam]) * swing).subs(y, sp.log(u)),
        sp.Matrix([G * (1 - u), 3 * G * (lam**2 - u * lam**2)]),
        label=sp.Matrix(sp.symbols("rate_1 rate_3")),
    )
    argument.equal(
        "of u lambda: that of u^2 is 1 + 4 M/G, M being the mean of lambda^2.",
        (sp.Matrix([sp.exp(y) * lam]).jacobian([y, lam]) * swing)[0].subs(y, sp.log(u)),
        4 * u * lam**2 + G * (u - u**2),
        label=sp.Symbol("rate"),
    )
    means = {(0, 0): 1, (0, 1): 1, (0, 2): 1 + 4 * mean / (2 * (m - 1) * H), (2, 0): mean, (2, 1): mean}
    averaged = argument.equal(
        "[F] So E grows by, on average,",
        sp.collect(
            sp.expand(
                sp.simplify(
                    sum((sp.Poly(drift, lam, u).coeff_monomial(lam**i * u**j) * value for (i, j), value in means.items()), sp.Integer(0))
                )
            ),
            mean,
            sp.factor,
        ),
        8 * mean + 4 * mean * (tail - 1) * (2 * m - (m - 1) ** 2) / (m**2 - 1),
        label=sp.Symbol("Edot"),
    )
    argument.result(energy_drift=drift, mean_energy_drift=averaged)


def _swings(argument: Argument) -> None:
    phase, height = sp.Symbol("phi", real=True), sp.Symbol("Y", positive=True)
    strength, frequency = argument.results["restoring_strength"], 2 * sp.sqrt(G)
    wave = height * sp.cos(frequency * k)
    argument.equal(
        "Small swings: y'' = 4 lambda' = -4 G y,",
        sp.diff(wave, k, 2),
        -4 * G * wave,
        label=sp.Derivative(sp.Function("y")(k), (k, 2)),
    )
    pulse = argument.equal(
        "[F] at the frequency 2 sqrt(G) a step, for a = 1",
        frequency.subs(G, strength).subs(tail, 1),
        sp.sqrt((m - 1 / m) / (2 * k)),
        label=sp.Symbol("omega"),
    )
    quarter = (sp.diff(wave, k) / 4).subs(k, phase / frequency)
    square = argument.equal(
        "with E = Y^2/2 and lambda = y'/4.",
        sp.integrate(quarter**2, (phase, 0, 2 * sp.pi)) / (2 * sp.pi),
        G / 4 * (height**2 / 2),
        label=mean,
    )
    slope = k * argument.results["mean_energy_drift"].subs(mean, square) / (height**2 / 2)
    growth = argument.equal(
        "[F] They grow, for a = 1, as Y ~ k^p, p half the logarithmic slope of E.",
        sp.simplify(slope.subs(G, strength).subs(tail, 1) / 2),
        (m - 1 / m) / 8,
        label=sp.Symbol("p"),
    )
    argument.result(swing_frequency=pulse, swing_exponent=growth)


def _bursts(argument: Argument) -> None:
    energy, place = sp.Symbol("E", positive=True), sp.Symbol("p_1", real=True)
    strength, top = argument.results["restoring_strength"], sp.sqrt(G * energy / 2)
    square = argument.equal(
        "[F] Large ones: u is nearly 0 but for short bursts, and lambda climbs evenly from -sqrt(GE/2) to sqrt(GE/2):",
        sp.integrate(place**2, (place, -top, top)) / (2 * top),
        G * energy / 6,
        label=mean,
    )
    argument.equal(
        "At a burst's peak lambda = 0 and u - 1 - log(u) = E: u ~ E.",
        sp.limit((u - 1 - sp.log(u)) / u, u, sp.oo),
        sp.Integer(1),
        label=energy / u,
    )
    slope = k * argument.results["mean_energy_drift"].subs(mean, square) / energy
    exponent = argument.equal(
        "[F] The peaks of theta = sqrt(u) theta_rms go as k to the power -1/2, from theta_rms, and half the logarithmic slope of E.",
        sp.simplify(slope.subs(G, strength) / 2) - sp.Rational(1, 2),
        (3 * (m - 1) ** 2 - 4 * (m + 1) - tail * (m + 1) ** 2) / (12 * (1 + tail) * m),
        label=sp.Symbol("p_burst"),
    )
    argument.equal("For a = 1:", exponent.subs(tail, 1), (m**2 - 6 * m - 1) / (12 * m), label=sp.Symbol("p_burst"))
    root = (5 + tail + sp.sqrt((5 + tail) ** 2 + (3 - tail) * (1 + tail))) / (3 - tail)
    argument.equal(
        "[F] It is 0, and the bursts neither grow nor fade, at",
        sp.simplify(exponent.subs(m, root)),
        sp.Integer(0),
        label=sp.Symbol("p_burst"),
    )
    threshold = argument.equal(
        "with eta c = 2 sqrt(m), for a = 1:", 2 * sp.sqrt(root.subs(tail, 1)), 2 * sp.sqrt(3 + sp.sqrt(10)), label=eta * c
    )
    interval = argument.equal("[F] Bursts are this far apart:", 2 * top / G, sp.sqrt(2 * energy / G), label=sp.Symbol("Delta(k)"))
    argument.result(burst_exponent=exponent, burst_threshold=threshold, burst_threshold_m=root, burst_interval=interval.subs(G, strength))
