"""f~ = g - (eta/2) g'g + eta^2 (g'g'g/3 + g''(g,g)/12) - ...: the field whose flow passes through the iterates y + eta g(y).

Source: derived here (backward error analysis of the explicit Euler step).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations.derivation import Argument, Derivation
from derivations.descent import eta
from derivations.symbols import N, h, t

__all__ = ["derive"]

MOST_TERMS = 4
"""Terms of the difference series whose truncation is checked."""


@cache
def derive() -> Derivation:
    """The modified field to third order in eta, the difference series for it, and the gap of descent to flow."""
    argument = Argument("modified_equation", "The field that descent follows", "derived here")
    _coefficients(argument)
    _descended(argument)
    _difference_series(argument)
    _truncation(argument)
    _gap(argument)
    return argument.close()


def _along(field: Any, function: Any, y: Any) -> Any:
    """The derivative of `function` along `field`, entry by entry: columns in, column out."""
    return (function.jacobian(y) * field).expand()


def _exponential(terms: list[Any], y: Any, order: int) -> list[Any]:
    """Coefficients of eta^0..eta^order of exp(eta f~) y, f~ = terms[0] + eta terms[1] + ..., by its Lie series."""
    summed, power = [y, *[sp.zeros(y.rows, 1)] * order], [y, *[sp.zeros(y.rows, 1)] * order]
    for n in range(1, order + 1):
        following = [sp.zeros(y.rows, 1) for _ in range(order + 1)]
        for i, term in enumerate(terms):
            for j in range(order - i):
                following[i + j + 1] += _along(term, power[j], y)
        power = [entry / n for entry in following]
        summed = [a + b for a, b in zip(summed, power, strict=True)]
    return summed


def _smooth() -> tuple[Any, Any]:
    """Any smooth scalar field."""
    y = sp.Symbol("y")
    return sp.Matrix([y]), sp.Matrix([sp.Function("g")(y)])


def _quadratic() -> tuple[Any, Any]:
    """A quadratic field of the plane; at the origin its value and first two derivatives are any numbers."""
    y: Any = sp.Matrix(sp.symbols("y_1 y_2"))
    monomials = [sp.Integer(1), y[0], y[1], y[0] ** 2, y[0] * y[1], y[1] ** 2]
    return y, sp.Matrix([sum(x * m for x, m in zip(sp.symbols(f"p{i}_:6"), monomials, strict=True)) for i in (1, 2)])


def _differentials(g: Any, y: Any) -> tuple[Any, Any, Any]:
    """g'g, g'g'g and g''(g, g)."""
    once = _along(g, g, y)
    chained = (g.jacobian(y) * once).expand()
    return once, chained, (_along(g, once, y) - chained).expand()


FIELDS = (("of one variable, g any smooth function", _smooth), ("of the plane, g any quadratic, at the origin", _quadratic))


def _coefficients(argument: Argument) -> None:
    unknowns = sp.symbols("alpha_1 alpha_2 alpha_3")
    found = sp.Matrix([-sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 12)])
    for kind, make in FIELDS:
        y, g = make()
        once, chained, curved = _differentials(g, y)
        series = _exponential([g, unknowns[0] * once, unknowns[1] * chained + unknowns[2] * curved], y, 3)
        # exp(eta f~) y = y + eta g: nothing is left at eta^2 and eta^3.
        left = [sp.expand(entry.subs(dict.fromkeys(y, 0)) if make is _quadratic else entry) for part in series[2:] for entry in part]
        generators = sorted(set().union(*(entry.atoms(sp.Function, sp.Derivative) | entry.free_symbols for entry in left)), key=str)
        equations = [x for entry in left for x in sp.Poly(entry, *(s for s in generators if s not in unknowns)).coeffs()]
        solution: Any = sp.solve(equations, unknowns, dict=True)
        argument.equal(
            f"A field {kind}: one step y -> y + eta g(y) is the time-eta map of "
            "f~ = g + eta alpha_1 g'g + eta^2 (alpha_2 g'g'g + alpha_3 g''(g,g)) + O(eta^3) for these alone:",
            sp.Matrix([solution[0][name] for name in unknowns]),
            found,
            label=sp.Matrix(unknowns),
        )
    (y,), (g,) = _smooth()
    first, second = (sp.Symbol(f"g_{j}") for j in "12")
    scalar = g - eta / 2 * first * g + eta**2 * (first**2 * g / 3 + second * g**2 / 12)
    argument.result(modified_field=scalar.subs(g, sp.Symbol("g")), modified_coefficients=found)


def _descended(argument: Argument) -> None:
    plane = sp.symbols("y_1 y_2")
    objective = sp.Function("F")(*plane)
    descent = -sp.Matrix([sp.diff(objective, x) for x in plane])
    argument.equal(
        "Descent on F, g = -grad F, is to this order the flow of F + (eta/4)|grad F|^2.",
        descent - eta / 2 * descent.jacobian(plane) * descent,
        -sp.Matrix([sp.diff(objective + eta / 4 * descent.dot(descent), x) for x in plane]),
        label=sp.Symbol("f~"),
    )


def _differences(g: Any, y: Any, count: int, order: int) -> list[Any]:
    """D^1 y, ..., D^count y along the iterates of y -> y + eta g(y), each as coefficients of eta^0..eta^order."""
    if y.rows == 1:  # Taylor's formula for phi(y + eta g) - phi(y), whatever the function
        found, current = [], [y, *[sp.zeros(1, 1)] * order]
        for _ in range(count):
            shifted = [sp.zeros(1, 1) for _ in range(order + 1)]
            for j, entry in enumerate(current):
                for n in range(1, order - j + 1):
                    shifted[j + n] += entry.diff(y[0], n) * g[0] ** n / sp.factorial(n)
            current = [entry.expand() for entry in shifted]
            found.append(current)
        return found
    iterates = [sp.zeros(y.rows, 1)]
    for _ in range(count):
        moved = iterates[-1] + eta * g.subs(dict(zip(y, iterates[-1], strict=True)), simultaneous=True)
        iterates.append(moved.applyfunc(lambda entry: sum(sp.expand(entry).coeff(eta, n) * eta**n for n in range(order + 1))))
    sums: list[Any] = [
        sum(((-1) ** (j - i) * sp.binomial(j, i) * iterates[i] for i in range(j + 1)), sp.zeros(y.rows, 1)) for j in range(1, count + 1)
    ]
    return [[total.applyfunc(lambda entry, n=n: sp.expand(entry).coeff(eta, n)) for n in range(order + 1)] for total in sums]


def _logarithm(differences: list[Any], terms: int, order: int) -> list[Any]:
    """Coefficients of D - D^2/2 + D^3/3 - ..., `terms` of them."""
    weights = [sp.Rational((-1) ** j, j + 1) for j in range(terms)]
    found = []
    for n in range(order + 1):
        total = differences[0][n] * 0
        for j, weight in enumerate(weights):
            total += weight * differences[j][n]
        found.append(total.expand())
    return found


def _difference_series(argument: Argument) -> None:
    for name, make in FIELDS:
        y, g = make()
        once, chained, curved = _differentials(g, y)
        expected = [g, -once / 2, chained / 3 + curved / 12]
        origin = dict.fromkeys(y, 0) if make is _quadratic else {}
        series = _logarithm(_differences(g, y, 3, 3), 3, 3)
        argument.equal(
            f"A field {name}: eta f~ = D - D^2/2 + D^3/3 - ..., D the forward difference of y along the iterates, up to eta^3.",
            sp.Matrix.hstack(*(series[n + 1] - expected[n].subs(origin) for n in range(3))).expand(),
            sp.zeros(y.rows, 3),
            label=sp.Symbol("D - D^2/2 + D^3/3 - eta*f~"),
        )


def _truncation(argument: Argument) -> None:
    y, g = _smooth()
    differences, derivative = _differences(g, y, MOST_TERMS, MOST_TERMS + 1), y
    for terms in range(1, MOST_TERMS + 1):
        derivative = _along(g, derivative, y)
        argument.equal(
            f"D^{terms} y starts at eta^{terms}, with the derivative of order {terms} of y along y' = g.",
            sp.Matrix.hstack(*differences[terms - 1][: terms + 1]),
            sp.Matrix.hstack(*[sp.zeros(1, 1)] * terms, derivative).expand(),
            label=sp.Symbol(f"D^{terms}*y"),
        )
        field = _logarithm(differences, terms, MOST_TERMS + 1)[1:]
        flowed = _exponential(field, y, terms + 1)
        defect = (-1) ** (terms + 1) * _along(g, derivative, y) / (terms + 1)
        argument.equal(
            f"The series cut after {terms} term{'s' * (terms > 1)} has a time-one map that misses the step from eta^{terms + 1} on. "
            "The coefficients of what it misses:",
            sp.Matrix.hstack(*(flowed[n] - (g if n == 1 else sp.zeros(1, 1)) for n in range(1, terms + 2))).expand(),
            sp.Matrix.hstack(*[sp.zeros(1, 1)] * terms, defect).expand(),
            label=sp.Symbol(f"defect_{terms}"),
        )


def _gap(argument: Argument) -> None:
    g, gap = sp.Function("g"), sp.Function("e")
    flow, start = sp.Function("y")(t), sp.Symbol("y_0", positive=True)
    moved = flow + eta * gap(t)
    y = sp.Symbol("y", positive=True)
    rate = (g(y) - eta / 2 * sp.diff(g(y), y) * g(y)).subs(y, moved).doit()
    law = argument.equal(
        "Descent at t = eta k is y + eta e + O(eta^2), y the flow: y' + eta e' = f~(y + eta e) at the order eta.",
        sp.simplify(sp.diff(rate, eta).subs(eta, 0).doit()),
        sp.diff(g(flow), flow) * gap(t) - sp.diff(g(flow), flow) * g(flow) / 2,
        label=sp.Derivative(gap(t), t),
    )
    solved = -g(flow) * sp.log(g(flow) / g(start)) / 2
    argument.equal(
        "For one variable e = -(1/2) g(y) log(g(y)/g(y_0)), which is 0 at y_0 and solves it, y' being g(y).",
        sp.diff(solved, t).subs(sp.Derivative(flow, t), g(flow)).doit(),
        law.subs(gap(t), solved).doit(),
        label=sp.Derivative(gap(t), t),
    )
    halving = sp.limit(sp.diff(sp.exp(t / eta * sp.log(1 - eta)), eta), eta, 0)
    argument.equal(
        "y' = -y, where both are known, (1 - eta)^(t/eta) and exp(-t): the gap's slope in eta at 0.",
        halving,
        solved.subs({flow: sp.exp(-t), start: 1}).replace(g, lambda x: -x),
        label=sp.Symbol("e"),
    )
    cube = (start**3 + 3 * t) ** sp.Rational(1, 3)
    lead = argument.equal(
        "y' = 1/y^2, the late form of one layer: descent runs ahead, by a gap that solves its equation",
        sp.diff(cube**-2 * sp.log(cube / start), t),
        (-2 * y**-3 * gap(t) + y**-5).subs({gap(t): cube**-2 * sp.log(cube / start), y: cube}),
        label=sp.Derivative(gap(t), t),
    )
    argument.equal(
        "and is the formula's.",
        sp.expand_log(sp.simplify(solved.subs(flow, cube).replace(g, lambda x: x**-2)), force=True),
        sp.expand_log(cube**-2 * sp.log(cube / start), force=True),
        label=sp.Symbol("e"),
    )
    size = sp.Symbol("a", positive=True)
    aligned = size ** (N - 1) * h(size**N)
    argument.let("Aligned and balanced, the layer moves by", sp.Function("g")(size), aligned)
    argument.result(
        scalar_gap=(solved.subs({g(flow): sp.Symbol("g"), g(start): sp.Symbol("g_0")})),
        inverse_square_gap_rate=lead,
        aligned_layer_rate=aligned,
    )
