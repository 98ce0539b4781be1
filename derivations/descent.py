"""z <- z - eta a^(N-1) G, a <- a - eta a^(N-2) <G, z>, G = grad L(a^(N-1) z): gradient descent on N layers, from their matrices.

Source: derived here. The gradient is that of `label_noise`; eps = 0 is the clean problem.
"""

from __future__ import annotations

from functools import cache, reduce
from typing import Any

import sympy as sp

from derivations import label_noise
from derivations.derivation import Argument, Derivation
from derivations.symbols import N, c, h, kappa, r

__all__ = ["derive", "eta", "layer", "noise", "z_par", "z_perp"]

eta = sp.Symbol("eta", positive=True)
"""Step size."""
noise = sp.Symbol("epsilon", positive=True)
"""Probability of a flipped label."""
layer = sp.Symbol("a", real=True, nonzero=True)
"""Signed size of each of the layers 2..N."""
z_par, z_perp = sp.symbols("z_par z_perp", real=True)
"""First layer W_1 = u z^T: its components along v and across it, in the plane of v and w."""


@cache
def derive() -> Derivation:
    """The layer-wise map, what it does across v, and its multipliers at the minimiser that label noise makes."""
    argument = Argument("descent", "Gradient descent on N layers", "derived here")
    for depth, width in ((2, 3), (3, 2), (4, 2)):
        _layers(argument, depth, width)
    _map(argument)
    _imbalance(argument)
    _noisy_minimiser(argument)
    return argument.close()


def _layers(argument: Argument, depth: int, width: int) -> None:
    shapes = [(width, 2), *[(width, width)] * (depth - 2), (1, width)]
    generic: Any = [sp.Matrix(rows, cols, sp.symbols(f"w{j}_:{rows * cols}")) for j, (rows, cols) in enumerate(shapes)]
    gradient, first = sp.Matrix(sp.symbols("g_1 g_2", real=True)), sp.Matrix(sp.symbols("z_1 z_2", real=True))
    # <G, W_N...W_1> with G held: its derivative by a layer is that layer's gradient of the risk.
    slope = (reduce(lambda below, above: above * below, generic) * gradient)[0]
    angle, lift = sp.symbols("alpha beta", real=True)
    unit: Any = sp.Matrix([sp.cos(angle), sp.sin(angle)])
    if width == 3:
        unit = sp.Matrix([sp.cos(lift) * unit[0], sp.cos(lift) * unit[1], sp.sin(lift)])

    def at(size: Any, vector: Any) -> Any:
        return [unit * vector.T, *[size * unit * unit.T] * (depth - 2), size * unit.T]

    now: Any = at(layer, first)
    here = {symbol: value for held, given in zip(generic, now, strict=True) for symbol, value in zip(held, given, strict=True)}
    step = [given - eta * sp.diff(slope, held).subs(here) for held, given in zip(generic, now, strict=True)]
    after = at(layer - eta * layer ** (depth - 2) * gradient.dot(first), first - eta * layer ** (depth - 1) * gradient)
    for j, (moved, expected) in enumerate(zip(step, after, strict=True), start=1):
        argument.equal(
            f"N = {depth}, width {width}, from W_1 = u z^T, W_j = a u u^T, W_{depth} = a u^T, G = grad L: "
            f"after one step W_{j} has the same form with the new a and z.",
            (moved - expected).applyfunc(sp.simplify),
            sp.zeros(*moved.shape),
            label=sp.Symbol(f"W_{j} - eta*grad_{j} - W_{j}(a_next, z_next)"),
        )


def _map(argument: Argument) -> None:
    power, less, norm = sp.Symbol("b", real=True, nonzero=True), sp.Symbol("b_less", real=True), sp.sqrt(z_par**2 + z_perp**2)
    known = label_noise.derive().results
    along_w, along_v = known["gradient_coefficient_of_unit_w"], known["gradient_coefficient_of_v"]
    first, teacher = sp.Matrix([z_par, z_perp]), sp.Matrix([1, 0])
    side = sp.sign(power)
    argument.let("With b = a^(N-1), w = b z has the norm |b||z|, and the direction of z only if b > 0.", r, sp.Abs(power) * norm)
    gradient = along_w * side * first / norm + along_v * teacher
    cosine = side * z_par / norm
    push = h(r) - c * (1 - cosine) - 2 * noise * c * cosine
    next_first = first - eta * power * gradient
    parallel = argument.equal(
        "Along v, where cos(theta) = sign(b) z_par/|z|; the form on the right does not cancel when aligned.",
        next_first[0],
        z_par + eta * power * (c * (1 - cosine) + h(r) * cosine - 2 * noise * c),
        label=sp.Symbol("z_par_next"),
    )
    sharpness = eta * sp.Abs(power) * (c - h(r)) / norm
    perpendicular = argument.equal(
        "Across v the two signs of b, in the step and in w/|w|, multiply to +1: a factor 1 - sigma, sigma = eta |b| (c - h)/|z|.",
        sp.expand(next_first[1]).replace(sp.sign, lambda b: b / sp.Abs(b)),
        sp.expand(z_perp * (1 - sharpness)).subs(sp.Abs(power), power**2 / sp.Abs(power)),
        label=sp.Symbol("z_perp_next"),
    )
    flipped, drag, length = sp.symbols("beta D zeta", positive=True)
    argument.at_most(
        "So b in place of |b| is wrong: for b = -beta < 0, c - h = D and |z| = zeta it would expand what contracts.",
        sp.expand(perpendicular.subs(power, -flipped) / z_perp).subs(h(r), c - drag).subs(norm, length),
        1 - eta * (-flipped) * drag / length,
        2 * eta * flipped * drag / length,
        strict=True,
    )
    size = argument.equal(
        "The other layers.",
        layer - eta * less * gradient.dot(first),
        layer + eta * less * side * norm * push,
        label=sp.Symbol("a_next"),
    )
    scale = r ** (1 / N)
    balanced_sharpness = argument.equal(
        "On balanced layers, |a| = |z| = r^(1/N):",
        sp.powsimp(eta * scale ** (N - 1) * (c - h(r)) / scale),
        eta * (c - h(r)) * r ** (1 - 2 / N),
        label=sp.Symbol("sigma"),
    )
    deep = {power: layer ** (N - 1), less: layer ** (N - 2)}
    argument.result(
        next_layer=size.subs(deep),
        next_parallel=parallel.subs(deep),
        next_perp=(z_perp * (1 - sharpness)).subs(deep),
        sharpness=sharpness.subs(deep),
        balanced_sharpness=balanced_sharpness,
    )


def _imbalance(argument: Argument) -> None:
    power, size = sp.symbols("b a", real=True, nonzero=True)
    first, gradient = sp.Matrix([z_par, z_perp]), sp.Matrix(sp.symbols("G_par G_perp", real=True))
    next_first, next_size = first - eta * power * gradient, size - eta * power / size * gradient.dot(first)
    squares = next_first.dot(next_first) - next_size**2 - (first.dot(first) - size**2)
    imbalance = argument.equal(
        "The imbalance |z|^2 - a^2 is no longer conserved: it moves by eta^2,",
        squares,
        eta**2 * power**2 * (gradient.dot(gradient) - gradient.dot(first) ** 2 / size**2),
        label=sp.Symbol("Delta(imbalance)"),
    )
    known, norm = label_noise.derive().results, sp.sqrt(z_par**2 + z_perp**2)
    actual = known["gradient_coefficient_of_unit_w"] * sp.sign(power) * first / norm + known["gradient_coefficient_of_v"] * sp.Matrix(
        [1, 0]
    )
    balanced = argument.equal(
        "and from balance, |a| = |z|, only by the part of G across w, c (1 - 2 eps) sin(theta).",
        imbalance.subs(dict(zip(gradient.T.tolist()[0], actual.T.tolist()[0], strict=True))).subs(size, norm),
        eta**2 * power**2 * c**2 * (1 - 2 * noise) ** 2 * z_perp**2 / norm**2,
        label=sp.Symbol("Delta(imbalance)"),
    )
    argument.result(balanced_imbalance_step=balanced.subs(power, layer ** (N - 1)))


def _noisy_minimiser(argument: Argument) -> None:
    known, size, along = argument.results, sp.Symbol("a", positive=True), sp.Symbol("z_par", positive=True)
    stationary = 2 * noise * c
    argument.let("With label noise the aligned minimiser is at h(r*) = 2 eps c; balanced layers there have the size", size, r ** (1 / N))
    on_ray = {layer: size, z_par: along, z_perp: 0}
    pair: Any = sp.Matrix(
        [known[key].subs(on_ray).replace(h, lambda _: h(size ** (N - 1) * along)) for key in ("next_layer", "next_parallel")]
    )
    slopes = pair.applyfunc(sp.simplify).jacobian([size, along]).subs(along, size)
    slopes = slopes.replace(h, lambda _: stationary).replace(kappa, lambda _: kappa(r))
    matrix = slopes.applyfunc(lambda entry: sp.powsimp(sp.simplify(entry.subs(size, r ** (1 / N))), force=True))
    radial = 1 - eta * N * r ** (2 - 2 / N) * kappa(r)
    for sentence, vector, multiplier in (
        (
            "The map linearised there, kappa = -h': (da, dz) = (1, 1), balanced, is multiplied by 1 - eta N r*^(2-2/N) kappa(r*),",
            sp.Matrix([1, 1]),
            radial,
        ),
        ("and (1, 1 - N), which leaves r and moves the imbalance, by 1.", sp.Matrix([1, 1 - N]), sp.Integer(1)),
    ):
        scaled: Any = sp.Matrix([multiplier * entry for entry in vector.T.tolist()[0]])
        argument.equal(sentence, (matrix * vector).applyfunc(sp.expand), scaled.applyfunc(sp.expand), label=sp.Symbol("J*(da,dz)"))
    across = argument.equal(
        "The direction is multiplied by 1 - sigma.",
        (1 - known["balanced_sharpness"]).subs(h(r), stationary),
        1 - eta * c * (1 - 2 * noise) * r ** (1 - 2 / N),
        label=sp.Symbol("z_perp_next") / z_perp,
    )
    bounds = [2 / (N * r ** (2 - 2 / N) * kappa(r)), 2 / (c * (1 - 2 * noise) * r ** (1 - 2 / N))]
    argument.equal(
        "Each falls as eta grows and is -1, the end of stability, at 2 over the rate it has in the flow; the larger rate is first.",
        sp.Matrix([multiplier.subs(eta, bound) for multiplier, bound in zip((radial, across), bounds, strict=True)]),
        sp.Matrix([-1, -1]),
        label=sp.Symbol("multipliers"),
    )
    argument.result(radial_multiplier=radial, direction_multiplier=across, largest_step_size=sp.Min(*bounds))
