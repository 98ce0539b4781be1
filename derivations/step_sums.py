"""S_n = sum of eta_k/sqrt(V_k): the orders of the sums in Theorems 2 and 3, for powers of k, geometric and bounded step sizes.

Source: the sums are those of Lin, Sun, Zhang (NeurIPS 2021, submitted version), Theorems 2 and 3, their orders Remarks 1 and 2;
derived here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations import bounds
from derivations.derivation import Argument, Derivation
from derivations.symbols import c0

__all__ = ["derive", "drift", "eta", "mean", "mean_square", "n", "offset", "p", "q"]

n = sp.Symbol("n", positive=True)
"""Number of steps; in a term, k + 1."""
eta = sp.Symbol("eta", positive=True)
"""The first step size, or any single one."""
p = sp.Symbol("p", real=True)
"""eta_k = eta (k+1)^p."""
q = sp.Symbol("q", positive=True)
"""eta_k = eta q^k."""
offset = sp.Symbol("A", positive=True)
"""r(0)^2/c0^2."""
drift = sp.Symbol("C", positive=True)
"""0.6/c0^2."""
mean, mean_square = sp.symbols("m_1 m_2", positive=True)
"""Averages of eta_k and of eta_k^2."""
_shift = sp.Symbol("b", positive=True)
_gap, _more = sp.symbols("g m", positive=True)
_x = sp.Symbol("x", positive=True)
_V = sp.Symbol("V", positive=True)
_SIX_TENTHS = sp.Rational(6, 10)


@cache
def derive() -> Derivation:
    """The orders, how far they may be off at step n, and what no step sizes exceed."""
    argument = Argument(
        "step_sums",
        "The sums of Theorems 2 and 3: Remarks 1 and 2",
        "Lin, Sun, Zhang 2021 (submitted version), Theorems 2 and 3; the orders of their sums: derived here",
    )
    argument.let(
        "V_k = A + sum over i <= k of (eta_i^2 + C eta_i), with C = 0 in Theorem 2. S_n is the sum over k < n of",
        sp.Symbol("term"),
        eta / sp.sqrt(_V),
    )
    _power_sums(argument)
    _squares_lead(argument)
    _drift_leads(argument)
    _constant_leads(argument)
    _next_order(argument)
    _geometric(argument)
    _bounded(argument)
    _ceilings(argument)
    _divergence(argument)
    _consequences(argument)
    return argument.close()


def _power_sums(argument: Argument) -> None:
    power, j = sp.Symbol("q", real=True), sp.Symbol("j", integer=True, positive=True)
    relative = (1 - (1 - _x) ** (power + 1)) / ((power + 1) * _x) + (1 - (1 - _x) ** power) / 2 - 1
    argument.equal(
        "Sums of powers. With x = 1/m, the difference of m^(q+1)/(q+1) + m^q/2 from m-1 to m, over m^q and less 1, begins at x^2: what is "
        "left out of the sum over j <= m of j^q is a constant and O(m^(q-1)).",
        sp.expand(sp.series(relative, _x, 0, 3).removeO()),
        sp.expand(-power * (power - 1) * _x**2 / 12),
    )
    argument.same_numbers(
        "The constant is zeta(-q), by the exact sum with Hurwitz's zeta, here to m = 20; at q = -1 it is Euler's, with log m.",
        sp.Sum(j**power, (j, 1, 20)).doit(),
        sp.zeta(-power) - sp.zeta(-power, 21),
        at=[{power: value} for value in (sp.Rational(1, 2), sp.Rational(-1, 3), sp.Rational(-5, 4), 3)],
    )


def _order(argument: Argument, sentence: str, term: Any, step: Any, root: Any, order: Any) -> Any:
    """Check that the largest part of V has the steps ``step``, and that S_n ~ ``order``, whose slope is then the term."""
    argument.equal(f"{sentence} The largest part of V has the slope", sp.powsimp(sp.diff(root, n)), step, label=sp.Derivative(_V, n))
    argument.equal(
        "and the term the primitive below; both grow without bound, so S_n is asymptotic to it (Stolz, Cesaro).",
        sp.powsimp(sp.simplify(sp.diff(order, n) * sp.sqrt(root) / term)),
        sp.Integer(1),
        label=sp.Derivative(sp.Symbol("S"), n) * sp.sqrt(_V) / sp.Symbol("eta_n"),
    )
    return argument.let("That is,", sp.Symbol("S_n"), order)


def _squares_lead(argument: Argument) -> None:
    above: Any = {p: _more - sp.Rational(1, 2)}
    fast = _order(
        argument,
        "The squares lead: eta_k = eta (k+1)^p, p > -1/2 in Theorem 2, p > 0 in Theorem 3 (p = m - 1/2).",
        eta * (n**p).subs(above),
        (eta**2 * n ** (2 * p)).subs(above),
        (eta**2 * n ** (2 * p + 1) / (2 * p + 1)).subs(above),
        (2 * sp.sqrt((2 * p + 1) * n)).subs(above),
    ).subs(_more, p + sp.Rational(1, 2))
    both = eta**2 + drift * eta
    constant = _order(argument, "Constant step sizes, p = 0:", eta, both, both * n, 2 * sp.sqrt(n * eta / (eta + drift)))
    log, y = sp.log(n) + _shift, sp.Symbol("y", positive=True)
    dawson = sp.sqrt(sp.pi) / 2 * sp.exp(-(y**2)) * sp.erfi(y)
    middle = _order(
        argument,
        "Theorem 2, p = -1/2: b = gamma + A/eta^2, and with Dawson's D(y) = (sqrt(pi)/2) exp(-y^2) erfi(y):",
        eta / sp.sqrt(n),
        eta**2 / n,
        eta**2 * log,
        2 * sp.sqrt(2 * n) * dawson.subs(y, sp.sqrt(log / 2)),
    )
    argument.equal(
        "D(y) ~ 1/(2y), so to leading order this is 2 sqrt(n/log n).",
        sp.limit(2 * y * dawson, y, sp.oo),
        sp.Integer(1),
        label=sp.Symbol("limit of 2 y D"),
    )
    argument.result(squares_lead=fast, constant_steps=constant, squares_log=middle, squares_log_leading=2 * sp.sqrt(n / sp.log(n)))


def _drift_leads(argument: Argument) -> None:
    above: Any = {p: _more - 1}
    slow = _order(
        argument,
        "Theorem 3, the step sizes themselves lead: -1 < p < 0 (p = m - 1).",
        eta * (n**p).subs(above),
        (drift * eta * n**p).subs(above),
        (drift * eta * n ** (p + 1) / (p + 1)).subs(above),
        (2 * sp.sqrt(eta * n ** (1 + p) / (drift * (1 + p)))).subs(above),
    ).subs(_more, p + 1)
    log = sp.log(n) + _shift
    logarithmic = _order(
        argument,
        "Theorem 3, p = -1: b = gamma + (A + zeta(2) eta^2)/(C eta).",
        eta / n,
        drift * eta / n,
        drift * eta * log,
        2 * sp.sqrt(eta / drift) * sp.sqrt(log),
    )
    argument.result(drift_leads=slow, drift_log=logarithmic)


def _constant_leads(argument: Argument) -> None:
    limit = sp.Symbol("V_oo", positive=True)
    with_drift = argument.let(
        "V converges where its sums do: 2p < -1 in Theorem 2, without the part in C, and p < -1 in Theorem 3. Its limit is",
        limit,
        offset + eta**2 * sp.zeta(-2 * p) + drift * eta * sp.zeta(-p),
    )
    order, log = eta * n ** (1 + p) / ((1 + p) * sp.sqrt(limit)), eta * sp.log(n) / sp.sqrt(limit)
    argument.equal(
        "S_n, or for p < -1 minus what is missing of its limit, is the primitive of eta n^p/sqrt(V_oo):",
        sp.powsimp(sp.diff(order, n)),
        eta * n**p / sp.sqrt(limit),
        label=sp.Derivative(order, n),
    )
    argument.equal("and at p = -1", sp.diff(log, n), eta / n / sp.sqrt(limit), label=sp.Derivative(log, n))
    without = with_drift.subs(drift, 0)
    argument.result(
        constant_leads=order.subs(limit, without),
        constant_log=log.subs(limit, without.subs(p, -1)),
        constant_leads_with_drift=order.subs(limit, with_drift),
    )


def _next_order(argument: Argument) -> None:
    y, g = sp.symbols("y g", positive=True)
    argument.at_most(
        "How far off. Where V is its largest part times 1 + x, the term is off by 1 - (1+x)^(-1/2) <= x/2 (1 + x = (1+y)^2);",
        1 - 1 / (1 + y),
        ((1 + y) ** 2 - 1) / 2,
        y**2 * (y + 3) / (2 * (1 + y)),
        strict=True,
    )
    below = sp.Rational(3, 10) / (1 + g)
    x = 1 - (1 - below) ** 2
    argument.at_most(
        "where it is 1 - x, 0 < x < 1/2, by (1-x)^(-1/2) - 1 <= (x/2)(1 + 2x) (1 - x = (1-y)^2, y = 3/(10 (1+g))).",
        1 / (1 - below) - 1,
        x / 2 * (1 + 2 * x),
        9 * (2500 * g**3 + 5250 * g**2 + 3450 * g + 673) / (10000 * (g + 1) ** 4 * (10 * g + 7)),
        strict=True,
    )


def _geometric(argument: Argument) -> None:
    root = eta**2 * (q ** (2 * n) - 1) / (q**2 - 1) + drift * eta * (q**n - 1) / (q - 1)
    argument.equal(
        "Geometric steps eta q^k, q > 1: V - A = eta^2 (q^(2n) - 1)/(q^2 - 1) + C eta (q^n - 1)/(q - 1), which is 0 at n = 0 and grows by",
        sp.simplify(root - root.subs(n, n - 1)),
        (eta * q ** (n - 1)) ** 2 + drift * eta * q ** (n - 1),
        label=sp.Symbol("V(n) - V(n-1)"),
    )
    rest = drift * (q + 1) / eta * q**-n + (offset * (q**2 - 1) / eta**2 - 1 - drift * (q + 1) / eta) * q ** (-2 * n)
    argument.equal(
        "The squared term is",
        sp.simplify((eta * q ** (n - 1)) ** 2 / (offset + root)),
        sp.simplify((1 - q**-2) / (1 + rest)),
        label=sp.Symbol("term") ** 2,
    )
    argument.let("and the rest in the denominator vanishes with q^-n:", sp.Symbol("rest"), rest)
    argument.let("so S_n is linear in n up to a constant.", sp.Symbol("S_n"), n * sp.sqrt(1 - q**-2))
    argument.result(geometric=n * sp.sqrt(1 - q**-2), geometric_rest=rest)


def _bounded(argument: Argument) -> None:
    both = mean_square + drift * mean
    settled = _order(
        argument,
        "Bounded step sizes whose averages settle, of eta_k to m1 and of eta_k^2 to m2: summed by parts, S_n has only the averages in it.",
        mean,
        both,
        both * n,
        2 * mean * sp.sqrt(n / both),
    )
    variance = sp.Symbol("sigma", nonnegative=True)
    argument.at_most(
        "At C = 0 no more than the 2 sqrt(n) of constant step sizes, because m2 = m1^2 + sigma^2.",
        settled.subs(drift, 0).subs(mean_square, mean**2 + variance**2) ** 2,
        4 * n,
        4 * n * variance**2 / (mean**2 + variance**2),
    )
    low, extra, speed = sp.symbols("eta_low eta_high v", positive=True)
    floor = 2 * low / speed * (sp.sqrt(offset + (n + 1) * speed) - sp.sqrt(offset + speed))
    ceiling = 2 * extra / speed * (sp.sqrt(offset + n * speed) - sp.sqrt(offset))
    argument.equal(
        "Anywhere in [eta_low, eta_high]: V_k <= A + (k+1) v with v = eta^2 + C eta at eta_high, and the sum is at least the integral of",
        sp.simplify(sp.diff(floor, n)),
        low / sp.sqrt(offset + (n + 1) * speed),
    )
    argument.equal(
        "from 0 to n; V_k >= A + (k+1) v with v at eta_low, and the sum is at most the integral of",
        sp.simplify(sp.diff(ceiling, n)),
        extra / sp.sqrt(offset + n * speed),
    )
    argument.result(settled=settled, range_floor=floor, range_ceiling=ceiling)


def _ceilings(argument: Argument) -> None:
    argument.at_most(
        "No term exceeds 1, since V_k > eta_k^2 (V = eta^2 + g), so S_n < n:", eta**2 / (eta**2 + _gap), 1, _gap / (eta**2 + _gap)
    )
    argument.at_most(
        "And eta^2/V <= log(V/(V - eta^2)): with x = eta^2/(V - eta^2) that is x/(1+x) <= log(1+x), equal at x = 0, of slopes",
        sp.diff(_x / (1 + _x), _x),
        sp.diff(sp.log(1 + _x), _x),
        _x / (1 + _x) ** 2,
        strict=True,
    )
    squares, total = sp.symbols("Q t_n", positive=True)
    argument.let(
        "so the squares of the terms add up to at most log(1 + Q/A), Q the sum of eta_k^2, and by Cauchy and Schwarz S_n is at most",
        sp.Symbol("S_n"),
        sp.sqrt(n * sp.log(1 + squares / offset)),
    )
    tall, low = sp.Symbol("U", positive=True), sp.Symbol("W", positive=True)
    argument.at_most(
        "In Theorem 3 with U^2 = A + C t, W^2 = U^2 - C eta (U = W + g): the term is at most eta/U, and that at most (2/C)(U - W),",
        (((tall**2 - low**2) / drift) / tall).subs(tall, low + _gap),
        (2 / drift * (tall - low)).subs(tall, low + _gap),
        _gap**2 / (drift * (low + _gap)),
        strict=True,
    )
    ceiling = 2 / drift * (sp.sqrt(offset + drift * total) - sp.sqrt(offset))
    argument.let("and these add up to", sp.Symbol("S_n"), ceiling)
    argument.result(ceiling_squares=sp.sqrt(n * sp.log(1 + squares / offset)), ceiling_time=ceiling)


def _divergence(argument: Argument) -> None:
    root = sp.Symbol("W", positive=True)
    step = sp.Symbol("epsilon", positive=True)
    argument.at_most(
        "S_n grows without bound exactly where the sum of the eta_k does. If it does, either V converges and each term is at least a "
        "constant times eta_k, or V diverges and so does the sum of (eta_k^2 + C eta_k)/V_k (Abel, Dini); with sqrt(V) = W = eta + g it is",
        (step**2 + drift * step) / (step + _gap) ** 2,
        (step / root * (1 + drift / root)).subs(root, step + _gap),
        step * _gap / (step + _gap) ** 2,
        strict=True,
    )
    argument.at_most(
        "If it does not, each term is at most eta_k/sqrt(A) (V = A + g).",
        eta**2 / (offset + _gap),
        eta**2 / offset,
        eta**2 * _gap / (offset * (offset + _gap)),
    )


def _consequences(argument: Argument) -> None:
    cosine, time, norm = sp.Symbol("chi", real=True), sp.Symbol("t", positive=True), sp.Symbol("r_0", positive=True)
    exponent = (1 + cosine) / sp.pi * argument.results["ceiling_time"].subs(sp.Symbol("t_n", positive=True), time)
    exponent = exponent.subs({offset: norm**2 / c0**2, drift: _SIX_TENTHS / c0**2})
    known = bounds.derive().results["theorem_1_second_exponent"]
    gain = known - known.subs(sp.Symbol("tau", positive=True), 0)
    flow = gain.subs({sp.Symbol("tau", positive=True): time, sp.Symbol("r_T", positive=True): norm})
    argument.equal(
        "Vanishing step sizes, delta -> oo: Theorem 3 proves (1 + cos theta(0))/2 times what Theorem 1's exponent gains from T = 0 on.",
        sp.simplify(exponent / flow),
        (1 + cosine) / 2,
        label=sp.Symbol("ratio"),
    )
    log, rate = sp.symbols("ell B", positive=True)
    steps = argument.equal(
        "Constant step sizes of any size: S-_n = 2 sqrt(n) makes an obtuse start acute, ell = log(1 - cos theta(0)) = B S-_n, at",
        sp.solve(sp.Eq(log, rate * 2 * sp.sqrt(n)), n)[0],
        (log / (2 * rate)) ** 2,
        label=n,
    )
    enough = steps.subs({log: sp.log(1 - cosine), rate: (1 + cosine) / sp.pi})
    argument.result(theorem_3_over_theorem_1=(1 + cosine) / 2, steps_to_acute=enough)
