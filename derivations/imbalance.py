"""W_j W_j^T - W_{j+1}^T W_{j+1} is conserved, so |W_k|_F^2 - |W_k|^2 stays bounded and adjacent layers line up.

Source: Ji, Telgarsky (ICLR 2019) for the statements; the constants, and the second bound on the alignment, are derived here.
|W| is the largest singular value.
"""

from __future__ import annotations

import random
from functools import cache, reduce
from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.descent import eta

__all__ = ["derive"]

top, above, shared = sp.symbols("S_k S_next D_next", real=True)
"""|W_k|^2, |W_{k+1}|^2 and D_{k+1}."""
least, spread = sp.Symbol("lambda_min(B_k)", real=True), sp.Symbol("e", nonnegative=True)
trace = sp.Symbol("T_k", real=True)
"""tr B_k."""
gaps: Any = sp.symbols("g_1 g_2", nonnegative=True)
parts: Any = sp.symbols("x_1 x_2", real=True)
"""Components of a unit vector on all but one of the eigenvectors; the remaining one is fixed by its length."""


@cache
def derive() -> Derivation:
    """Conservation, the step of descent, the bound on the excess over rank one, the two bounds on the alignment."""
    argument = Argument("imbalance", "Imbalances and what they hold together", "Ji, Telgarsky 2019; the constants: here")
    for depth in (2, 3, 4):
        _layers(argument, depth)
    _excess(argument)
    _alignment(argument)
    _random_matrices(argument)
    return argument.close()


def _layers(argument: Argument, depth: int) -> None:
    sizes = [3 if depth == 2 else 2, *[2] * (depth - 1), 1]
    layers: Any = [
        sp.Matrix(rows, cols, sp.symbols(f"w{j}_:{rows * cols}", real=True))
        for j, (rows, cols) in enumerate(zip(sizes[1:], sizes[:-1], strict=True), start=1)
    ]
    gradient = sp.Matrix(sp.symbols(f"g_1:{sizes[0] + 1}", real=True))
    # the derivative of <g, W_N...W_1> by a layer, g held, is that layer's gradient of the risk
    slope = (reduce(lambda below, layer: layer * below, layers) * gradient)[0]
    slopes = [sp.Matrix(layer.rows, layer.cols, [sp.diff(slope, entry) for entry in layer]) for layer in layers]
    moved = [layer - eta * change for layer, change in zip(layers, slopes, strict=True)]

    def imbalance(j: int, of: Any) -> Any:
        return of[j] * of[j].T - of[j + 1].T * of[j + 1]

    for j in range(depth - 1):
        change = (imbalance(j, moved) - imbalance(j, layers)).expand()
        argument.equal(
            f"N = {depth}, B_{j + 1} = W_{j + 1} W_{j + 1}^T - W_{j + 2}^T W_{j + 2}: to first order in a step, in the flow, it stays;",
            change.applyfunc(lambda entry: entry.coeff(eta, 1)),
            sp.zeros(*change.shape),
            label=sp.Symbol("Bprime"),
        )
        argument.equal(
            f"and a step of descent adds R = eta^2 (G_{j + 1} G_{j + 1}^T - G_{j + 2}^T G_{j + 2}) to it, G_j the gradient in W_j: in a "
            "unit of time, which is 1/eta steps, the order of eta.",
            (change - eta**2 * imbalance(j, slopes)).expand(),
            sp.zeros(*change.shape),
            label=sp.Symbol("DeltaB") - sp.Symbol("R"),
        )


def _squares() -> Any:
    return sum((gap * part**2 for gap, part in zip(gaps, parts, strict=True)), sp.Integer(0))


def _excess(argument: Argument) -> None:
    fixed = 1 - parts[0] ** 2 - parts[1] ** 2
    value = least * fixed + sum(((least + gap) * part**2 for gap, part in zip(gaps, parts, strict=True)), sp.Integer(0))
    argument.at_most(
        "In the eigenbasis of B_k, for any unit vector x: <x, B_k x> is at least its least eigenvalue.", least, value, _squares()
    )
    largest = top * fixed + sum(((top - gap) * part**2 for gap, part in zip(gaps, parts, strict=True)), sp.Integer(0))
    argument.at_most("In that of W_k W_k^T, <x, W_k W_k^T x> is at most S_k = |W_k|^2.", largest, top, _squares())
    slack = sp.Symbol("slack", nonnegative=True)
    at_top = argument.let(
        "Take x = v_{k+1}, the right singular vector of W_{k+1} to |W_{k+1}|: <x, W_k W_k^T x> = S_{k+1} + <x, B_k x>. "
        "So S_k is, with some slack,",
        top,
        above + least + slack,
    )
    frobenius = sp.Symbol("F_next", real=True)
    argument.let("The traces differ by that of B_k, T_k = tr B_k: F_k = |W_k|_F^2 is", sp.Symbol("F_k"), frobenius + trace)
    term = trace - least
    argument.at_most(
        "So what W_k has in excess of rank one is at most what W_{k+1} has, plus the sum of all but the least eigenvalue of B_k.",
        frobenius + trace - at_top,
        frobenius - above + term,
        slack,
    )
    argument.let(
        "The last layer is one row and has no excess: D_k is the sum from k to N-1 of these terms, conserved by the flow,",
        sp.Symbol("D_k"),
        shared + term,
    )
    norm, other = sp.Symbol("|B_k|", real=True), sp.Symbol("delta", nonnegative=True)
    argument.at_most(
        "and no larger than with the spectral norm, |B_k| >= -lambda_min(B_k), in place of -lambda_min.",
        trace - least,
        (trace + norm).subs(norm, -least + other),
        other,
    )
    lower: Any = sp.Matrix([[3, 0], [0, 2]])
    upper: Any = sp.Matrix([[sp.Rational(5, 2), 0]])
    difference = lower * lower.T - upper.T * upper
    argument.equal(
        "It is attained: W_1 = diag(3, 2) and W_2 = (5/2, 0), where the excess is 2^2.",
        difference.trace() - min(difference.eigenvals()),
        (lower * lower.T).trace() - 9,
        label=sp.Symbol("D_1"),
    )
    argument.result(excess_term=term)


def _alignment(argument: Argument) -> None:
    allowed, miss, remainder = sp.Symbol("D_k", nonnegative=True), sp.Symbol("mu"), sp.Symbol("slack", nonnegative=True)
    size, rho = sp.Symbol("S_k", positive=True), sp.Symbol("rho", positive=True)
    argument.let(
        "Alignment: mu = 1 - <u_k, v_{k+1}>^2, e = lambda_max(B_k) - lambda_min(B_k). At u_k, S_{k+1} >= S_k - lambda_max(B_k); so "
        "rho = <v, W_k W_k^T v> = S_{k+1} + <v, B_k v>, v = v_{k+1}, is at least S_k - e:",
        rho,
        size - spread + remainder,
    )
    first = argument.equal(
        "All but the first eigenvalue of W_k W_k^T are at most the excess, hence D_k: rho <= S_k (1 - mu) + D_k mu, and mu is at most",
        sp.solve(sp.Eq(size - spread, size * (1 - miss) + allowed * miss), miss)[0],
        spread / (size - allowed),
        label=miss,
    )
    low, high, mean = sp.symbols("l u b", real=True)
    inner = 1 - parts[0] ** 2 - parts[1] ** 2
    average = low * parts[0] ** 2 + high * parts[1] ** 2 + mean * inner
    variance = low**2 * parts[0] ** 2 + high**2 * parts[1] ** 2 + mean**2 * inner - average**2
    argument.equal(
        "Second bound: (W_k W_k^T - rho) v = B_k v - <v, B_k v> v, and its square is the variance in v of B_k's eigenvalues l <= b <= u, "
        "with the mean m. What it falls short of (u - m)(m - l) by is not negative,",
        (high - average) * (average - low) - variance,
        (high - mean) * (mean - low) * inner,
        label=(sp.Symbol("u") - sp.Symbol("m")) * (sp.Symbol("m") - sp.Symbol("l")) - sp.Symbol("variance"),
    )
    argument.at_most(
        "and that product is at most e^2/4, e = u - l.",
        (high - mean) * (mean - low),
        (high - low) ** 2 / 4,
        (high + low - 2 * mean) ** 2 / 4,
    )
    second = argument.equal(
        "Its part across u_k has at least the square (rho - D_k)^2 mu; with rho at its least, S_k - e > D_k, mu is at most",
        sp.solve(sp.Eq((rho - allowed) ** 2 * miss, spread**2 / 4), miss)[0].subs(rho, size - spread),
        (spread / (2 * (size - spread - allowed))) ** 2,
        label=miss,
    )
    argument.equal(
        "The first falls like 1/S_k,",
        sp.limit(first * size, size, sp.oo),
        spread,
        label=sp.Limit(size * miss, size, sp.oo),
    )
    argument.equal(
        "the second like 1/S_k^2.",
        sp.limit(second * size**2, size, sp.oo),
        spread**2 / 4,
        label=sp.Limit(size**2 * miss, size, sp.oo),
    )
    argument.result(alignment_gap_first=first, alignment_gap_second=second)


def _random_matrices(argument: Argument) -> None:
    draw, shares = random.Random(5), [mpmath.mpf(0)] * 2
    for _ in range(60):
        # a strong common direction, so that the bounds on the alignment have something to say
        layers = [
            mpmath.matrix([[draw.randint(-3, 3) + (40 if row == col == 0 else 0) for col in range(cols)] for row in range(rows)])
            for rows, cols in ((3, 4), (3, 3), (3, 3), (1, 3))
        ]
        allowed = mpmath.mpf(0)
        for lower, upper in reversed(list(pairwise(layers))):
            values, left = mpmath.eigsy(lower * lower.T)
            _, right = mpmath.eigsy(upper.T * upper)
            ends, _ = mpmath.eigsy(lower * lower.T - upper.T * upper)
            allowed += ends[1] + ends[2]
            width, miss = ends[2] - ends[0], 1 - sum(left[i, 2] * right[i, 2] for i in range(3)) ** 2
            bound = min(width / (values[2] - allowed), (width / (2 * (values[2] - width - allowed))) ** 2)
            shares = [max(shares[0], (values[0] + values[1]) / allowed), max(shares[1], miss / bound)]
    for name, share in zip(("excess over rank one", "misalignment"), shares, strict=True):
        largest = sp.Float(str(share), 15)
        argument.same_numbers(
            f"In 180 pairs of layers of random integers, N = 4: the largest share of its bound that the {name} uses is below 1.",
            sp.Min(largest, 1),
            largest,
            at=[{}],
            label=sp.Symbol("share"),
        )
