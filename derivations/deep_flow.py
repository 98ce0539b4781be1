"""w' = -r^(2-2/N) (grad L + (N-1) <grad L, w/r> w/r): the end-to-end flow of N layers, from their matrices.

Source: Lin, Sun, Zhang (NeurIPS 2021, submitted version), equation 7 and Lemma 3; the plane coordinates, the
exact two-layer direction, the orbits and the unbalanced two-layer flow are derived here.
"""

from __future__ import annotations

from functools import cache, reduce
from typing import Any

import sympy as sp

from derivations import risk
from derivations.derivation import Argument, Derivation
from derivations.symbols import N, c, h, r, t, theta

__all__ = ["derive"]


@cache
def derive() -> Derivation:
    """The flow at depth N: matrices, end-to-end predictor, plane coordinates, orbits."""
    argument = Argument(
        "deep_flow",
        "Gradient flow of N layers, end to end",
        "Lin, Sun, Zhang 2021 (submitted version), equation 7 and Lemma 3; the rest: here",
    )
    for depth in (2, 3):
        _layers(argument, depth)
        _balanced_layers(argument, depth)
    _rank_one(argument)
    _plane(argument)
    _two_layers_unbalanced(argument)
    return argument.close()


def _product(matrices: list[sp.Matrix], size: int) -> sp.Matrix:
    return reduce(lambda left, right: left * right, matrices, sp.eye(size))


def _rates(layers: list[sp.Matrix], gradient: sp.Matrix) -> list[sp.Matrix]:
    """W_j' = -(W_N...W_{j+1})^T grad L(w)^T (W_{j-1}...W_1)^T, layers[0] being W_1."""
    rates = []
    for j, layer in enumerate(layers):
        above = _product(layers[:j:-1], 1 if j < len(layers) - 1 else layer.rows)
        below = _product(layers[:j][::-1], layer.cols)
        rates.append(-above.T * gradient.T * below.T)
    return rates


def _layers(argument: Argument, depth: int) -> None:
    layers = [sp.Matrix(2, 2, sp.symbols(f"a{j}_:4", real=True)) for j in range(1, depth)]
    layers.append(sp.Matrix(1, 2, sp.symbols(f"a{depth}_:2", real=True)))
    gradient = sp.Matrix(sp.symbols("g_1 g_2", real=True))
    end_to_end = _product(layers[::-1], 1)
    rates = _rates(layers, gradient)
    slope = (end_to_end * gradient)[0]
    for j, (layer, rate) in enumerate(zip(layers, rates, strict=True), start=1):
        argument.equal(
            f"N = {depth}, any matrices, g = grad L at the end-to-end predictor: by the chain rule layer {j} "
            "follows minus the derivative of <g, W_N...W_1>, entry by entry.",
            -sp.Matrix(layer.rows, layer.cols, [sp.diff(slope, entry) for entry in layer]),
            rate,
            label=sp.Symbol(f"Wprime_{j}"),
        )
    for j in range(1, depth):
        lower, upper = layers[j - 1], layers[j]
        lower_rate, upper_rate = rates[j - 1], rates[j]
        argument.equal(
            f"N = {depth}: W_{j + 1}^T W_{j + 1} - W_{j} W_{j}^T is conserved; once balanced, always balanced.",
            (upper_rate.T * upper + upper.T * upper_rate - lower_rate * lower.T - lower * lower_rate.T).expand(),
            sp.zeros(2, 2),
            label=sp.Symbol("d/dt imbalance"),
        )


def _balanced_layers(argument: Argument, depth: int) -> None:
    # The last layer is one row, so balance makes each lower layer rank one with the same singular value:
    # W_{N-1} W_{N-1}^T = W_N^T W_N has rank one, and so on down.
    size = sp.Symbol("sigma", positive=True)
    angles = sp.symbols(f"alpha_1:{depth + 1}", real=True)
    units = [sp.Matrix([sp.cos(angle), sp.sin(angle)]) for angle in angles]
    layers = [size * units[j + 1] * units[j].T for j in range(depth - 1)] + [size * units[-1].T]
    gradient = sp.Matrix(sp.symbols("g_1 g_2", real=True))
    for j in range(depth - 1):
        argument.equal(
            f"N = {depth}: balance with a last layer of one row makes every layer sigma u_(j+1) u_j^T "
            "with one "
            f"common sigma; layers {j + 1} and {j + 2} are balanced,",
            sp.simplify(layers[j + 1].T * layers[j + 1] - layers[j] * layers[j].T),
            sp.zeros(2, 2),
            label=sp.Symbol("imbalance"),
        )
    rates = _rates(layers, gradient)
    velocity = sp.zeros(1, 2)
    for j, rate in enumerate(rates):
        velocity += _product([*layers[:j:-1], rate, *layers[:j][::-1]], 1)
    norm, unit = size**depth, units[0]
    expected = -(norm ** (2 - sp.Rational(2, depth))) * (gradient + (depth - 1) * gradient.dot(unit) * unit)
    argument.equal(
        f"and the end-to-end predictor w = sigma^{depth} u_1 moves by the sum over its layers.",
        velocity.T.applyfunc(sp.simplify),
        expected.applyfunc(sp.powdenest),
        label=sp.Symbol("wprime"),
    )


def _rank_one(argument: Argument) -> None:
    scale, along, across = sp.symbols("a g_par g_perp", positive=True)
    argument.let(
        "Any N: W_1 = u_2 z^T, W_j = a_j u_(j+1) u_j^T, so w = a_2...a_N z. Balanced: a_j = |z| = a, r = a^N.",
        scale,
        r ** (1 / N),
    )
    # In the frame of w: z = a (1, 0), g = (along, across).
    gradient = sp.Matrix([along, across])
    direction = scale * sp.Matrix([1, 0])
    direction_rate = -(scale ** (N - 1)) * gradient
    scale_rate = -(scale ** (N - 2)) * gradient.dot(direction)
    argument.equal(
        "The layer gradients of W_j are a' = -<g, z> a^(N-2) and z' = -a^(N-1) g: balance zeta = |z| = a is kept.",
        2 * direction.dot(direction_rate) - 2 * scale * scale_rate,
        sp.Integer(0),
        label=sp.Derivative(sp.Function("zeta")(t) ** 2 - sp.Function("a")(t) ** 2, t),
    )
    velocity = (N - 1) * scale ** (N - 2) * scale_rate * direction + scale ** (N - 1) * direction_rate
    expected = -(r ** (2 - 2 / N)) * (gradient + (N - 1) * along * sp.Matrix([1, 0]))
    argument.equal(
        "So for every N, in the frame of w: -r^(2-2/N) (g + (N-1) <g, w/r> w/r).",
        velocity.subs(scale, r ** (1 / N)).applyfunc(lambda entry: sp.powsimp(sp.expand(entry))),
        expected,
        label=sp.Symbol("wprime"),
    )


def _plane(argument: Argument) -> None:
    known = risk.derive().results
    along, across = known["gradient_along_w"], known["gradient_across_w"]
    cosine, sine = sp.cos(theta), sp.sin(theta)
    norm_rate = argument.equal(
        "Along w the factor 1 + (N - 1) = N appears,",
        -(r ** (2 - 2 / N)) * (along + (N - 1) * along),
        N * r ** (2 - 2 / N) * (h(r) - c * (1 - cosine)),
        label=sp.Symbol("rprime"),
    )
    angle_rate = argument.equal(
        "and across it does not.",
        -(r ** (2 - 2 / N)) * across / r,
        -c * r ** (1 - 2 / N) * sine,
        label=sp.Symbol("thetaprime"),
    )
    direction_rate = argument.equal(
        "With s = log tan(theta/2):",
        sp.diff(sp.log(sp.tan(theta / 2)), theta) * angle_rate,
        -c * r ** (1 - 2 / N),
        label=sp.Symbol("sprime"),
    )
    two_layers = argument.equal("Two layers: s(t) = s(0) - c t, exactly.", direction_rate.subs(N, 2), -c, label=sp.Symbol("sprime"))
    orbit = argument.equal(
        "Orbits: depth only rescales s along the orbit of one layer.",
        direction_rate / (norm_rate / r),
        -c / (N * (h(r) - c * (1 - cosine))),
        label=sp.Derivative(sp.Function("s")(sp.Symbol("log r")), sp.Symbol("log r")),
    )
    parallel_rate = argument.equal(
        "The component along v, q = r cos(theta),",
        norm_rate * cosine - r * sine * angle_rate,
        r ** (2 - 2 / N) * (c * (1 - cosine) * (1 - (N - 1) * cosine) + N * h(r) * cosine),
        label=sp.Symbol("qprime"),
    )
    perpendicular_rate = argument.equal(
        "and ell = log(r sin theta).",
        norm_rate / r + cosine / sine * angle_rate,
        -(r ** (1 - 2 / N)) * (N * (c - h(r)) - (N - 1) * c * cosine),
        label=sp.Symbol("ellprime"),
    )
    acceleration = argument.equal(
        "Where the norm is stationary it curves upwards, as for one layer.",
        sp.diff(norm_rate, theta) * angle_rate + (sp.diff(norm_rate, r) * norm_rate).subs(h(r), c * (1 - cosine)),
        N * c**2 * r ** (3 - 4 / N) * sine**2,
        label=sp.Symbol("rprimeprime"),
    )
    argument.result(
        norm_rate=norm_rate,
        angle_rate=angle_rate,
        log_tan_half_angle_rate=direction_rate,
        two_layer_rate=two_layers,
        orbit_slope=orbit,
        parallel_rate=parallel_rate,
        log_perp_rate=perpendicular_rate,
        norm_acceleration_at_minimum=acceleration,
    )


def _two_layers_unbalanced(argument: Argument) -> None:
    scale, length = sp.symbols("a zeta", positive=True)
    growth = sp.Symbol("h(r)", positive=True)
    unit = sp.Matrix([sp.cos(theta), sp.sin(theta)])
    gradient: Any = (c - growth) * unit - c * sp.Matrix([1, 0])
    direction_rate, scale_rate = -scale * gradient, -gradient.dot(length * unit)
    argument.let("Two layers without balance: w = a z with |z| = zeta, h taken at r = a zeta.", r, scale * length)
    conserved = argument.equal(
        "z' = -a g and a' = -<g, z> conserve the imbalance,",
        2 * (length * unit).dot(direction_rate) - 2 * scale * scale_rate,
        sp.Integer(0),
        label=sp.Derivative(sp.Function("zeta")(t) ** 2 - sp.Function("a")(t) ** 2, t),
    )
    angle_rate = argument.equal(
        "and the angle is that of z.",
        direction_rate.dot(sp.Matrix([-sp.sin(theta), sp.cos(theta)])) / length,
        -c * scale / length * sp.sin(theta),
        label=sp.Symbol("thetaprime"),
    )
    length_rate = argument.equal(
        "The two lengths.",
        direction_rate.dot(unit),
        scale * (growth - c * (1 - sp.cos(theta))),
        label=sp.Symbol("zetaprime"),
    )
    argument.result(
        unbalanced_imbalance_rate=conserved,
        unbalanced_angle_rate=angle_rate,
        unbalanced_length_rate=length_rate,
    )
