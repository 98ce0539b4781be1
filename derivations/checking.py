"""The two checks every step passes: equal for SymPy, or equal to many digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mpmath
import sympy as sp

__all__ = ["StepFailed", "agree", "evaluate", "vanishes"]

GUARD_DIGITS = 20


class StepFailed(ValueError):
    """A step of a derivation does not hold."""

    def __init__(self, sentence: str, left: Any, right: Any) -> None:
        """Say which step it was, with both sides."""
        super().__init__(f"{sentence}\n    left:  {left}\n    right: {right}")


def vanishes(left: Any, right: Any = 0) -> bool:
    """Whether SymPy proves left - right = 0 (entry by entry for matrices)."""
    if isinstance(left, sp.MatrixBase):
        return all(vanishes(entry) for entry in left - right)
    gap = (sp.sympify(left) - sp.sympify(right)).doit()
    return any(form == 0 for form in _simpler_forms(gap))


def _simpler_forms(gap: Any) -> Iterator[Any]:
    # Cheapest first: most steps are polynomial identities and never reach `simplify`.
    yield gap
    yield sp.expand(gap)
    yield sp.simplify(sp.expand_trig(gap))
    yield sp.simplify(gap)
    yield sp.simplify(sp.expand(gap.rewrite(sp.exp)))
    yield sp.powsimp(sp.expand(sp.powdenest(gap, force=False)))
    yield sp.simplify(_without_exp_of_w(gap))
    yield sp.gammasimp(sp.expand_func(gap))
    # For real g: exp(g) = 1 only if g = 0. It undoes logarithms of sums.
    if gap.is_extended_real:
        yield sp.simplify(sp.exp(gap)) - 1


def _without_exp_of_w(expression: Any) -> Any:
    # Lambert's W is defined by W(a) exp(W(a)) = a, which SymPy does not use on its own.
    logarithm = sp.Wild("logarithm")
    return expression.replace(sp.exp(sp.LambertW(logarithm)), logarithm / sp.LambertW(logarithm))


def agree(left: Any, right: Any, point: Mapping[sp.Symbol, Any], digits: int) -> bool:
    """Whether both sides agree at `point` to `digits` digits, relative to the larger of the two."""
    with mpmath.workdps(digits + GUARD_DIGITS):
        a, b = evaluate(left, point), evaluate(right, point)
        scale = max(abs(a), abs(b))
        return bool(scale == 0 or abs(a - b) <= scale * mpmath.mpf(10) ** (-digits))


def evaluate(expression: Any, point: Mapping[sp.Symbol, Any]) -> Any:
    """The value of `expression` at `point` in mpmath, at the working precision in force.

    Integrals go to mpmath's quadrature, an infinite range in panels that end at 0.1, 1, 10 and 100.
    """
    value = sp.sympify(expression).subs({symbol: sp.nsimplify(number) for symbol, number in point.items()})
    stand_ins: dict[sp.Basic, Any] = {}
    for number, integral in enumerate(value.atoms(sp.Integral)):
        stand_ins[integral] = (sp.Symbol(f"integral_{number}"), _quadrature(integral))
    free = value.subs({integral: symbol for integral, (symbol, _) in stand_ins.items()})
    function = sp.lambdify([symbol for symbol, _ in stand_ins.values()], free, modules="mpmath")
    return mpmath.mpmathify(function(*[number for _, number in stand_ins.values()]))


def _quadrature(integral: Any) -> Any:
    ((variable, low, high),) = integral.limits
    integrand: Callable[..., Any] = sp.lambdify([variable], integral.function, modules="mpmath")
    ends = [sp.lambdify([], end, modules="mpmath")() for end in (low, high)]
    if high == sp.oo:
        ends = [ends[0], *(ends[0] + mpmath.mpf(10) ** k for k in range(-1, 3)), mpmath.inf]
    return mpmath.quad(integrand, ends)
