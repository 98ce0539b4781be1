"""theta ~ (h(r)/c) |Q^T B u| r^(-3/N): the direction from unbalanced layers of full rank is a power of time, not exponential.

W_1 = p v^T + Q, a = (W_N...W_2)^T, w = W_1^T a: along v it is <p, a>, across it q = Q^T a. u is the limit of p/|p|, P = I - u u^T.

Source: derived here, by formal asymptotics in epsilon = r^(-2/N); each order is checked, that the rest stays small is not proved.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations.asymptotics import a as tail
from derivations.asymptotics import power
from derivations.derivation import Argument, Derivation
from derivations.symbols import N, c, r, t

__all__ = ["derive"]

small = sp.Symbol("epsilon", positive=True)
"""r^(-2/N), the inverse square of a layer's singular value."""
order = sp.Symbol("j", positive=True)
"""a/|a| - p/|p| is a sum of k_j r^(-j/N)."""
coefficient = sp.Symbol("k_j", real=True)
growth, drag, pull_along = sp.Symbol("h", positive=True), sp.Symbol("D", positive=True), sp.Symbol("g", real=True)


@cache
def derive() -> Derivation:
    """The flow in p, Q and a; how a follows p; the part of w across v that this leaves; its law in time."""
    argument = Argument("generic_direction", "The direction from unbalanced layers of full rank", "derived here, formal")
    for depth in (2, 3):
        _flow(argument, depth)
    _first_lag(argument)
    _second_lag(argument)
    _adiabatic(argument)
    _law(argument)
    _exceptions(argument)
    return argument.close()


def _flow(argument: Argument, depth: int) -> None:
    # v = (1, 0), so W_1 = (p, Q) with one column each
    first = sp.Matrix(2, 2, sp.symbols("p_1 Q_1 p_2 Q_2", real=True))
    upper: Any = [sp.Matrix(2, 2, sp.symbols("m_:4", real=True)), sp.Matrix(1, 2, sp.symbols("n_:2", real=True))][3 - depth :]
    row = upper[-1] if depth == 2 else upper[1] * upper[0]
    p: Any = first.col(0)
    rest: Any = first.col(1)
    lead = row.T
    across = (rest.T * lead)[0]
    along = (p.T * lead)[0]
    gradient = sp.Matrix([drag * along - c, drag * across])
    force = pull_along * p - drag * rest * across
    argument.equal(
        f"N = {depth}, v = e_1, grad L = D w - c v: W_1' = -a grad^T, so with g = c - D <w, v> p' = g a and Q' = -D a q^T.",
        (-lead * gradient.T).subs(c, pull_along + drag * along) - (pull_along * lead).row_join(-drag * lead * across),
        sp.zeros(2, 2),
        label=sp.Symbol("W1prime") - sp.Symbol("(g*a,-D*a*q.T)"),
    )
    pushed = (-first * gradient).subs(c, pull_along + drag * along)
    if depth == 2:
        lead_rate, expected = pushed, force
    else:
        rates = [upper[1].T * pushed.T, (upper[0] * pushed).T]
        lead_rate = (rates[1] * upper[0] + upper[1] * rates[0]).T
        expected = ((upper[1] * upper[1].T)[0] * sp.eye(2) + upper[0].T * upper[0]) * force
    argument.equal(
        "The layers above give a' = S (g p - D Q q), S = sum over j of |W_N...W_{j+1}|^2 (W_{j-1}...W_2)^T (W_{j-1}...W_2).",
        lead_rate - expected,
        sp.zeros(2, 1),
        label=sp.Symbol("aprime") - sp.Symbol("S") * (sp.Symbol("g") * sp.Symbol("p") - drag * sp.Symbol("Q") * sp.Symbol("q")),
    )


def _perturbed(argument: Argument, sentence: str, label: str, entries: str) -> Any:
    """First order of the leading eigenvector of e_1 e_1^T + epsilon E: e_1 + epsilon P E e_1, checked to leave epsilon^2."""
    matrix: Any = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"{entries}_{min(i, j) + 1}{max(i, j) + 1}", real=True))
    lag = sp.Matrix([0, matrix[1, 0], matrix[2, 0]])
    vector = sp.Matrix([1, 0, 0]) + small * lag
    residual = (sp.diag(1, 0, 0) + small * matrix) * vector - (1 + small * matrix[0, 0]) * vector
    argument.equal(
        sentence,
        residual.applyfunc(lambda entry: sp.series(sp.expand(entry), small, 0, 2).removeO()),
        sp.zeros(3, 1),
        label=sp.Symbol(label),
    )
    return lag


def _first_lag(argument: Argument) -> None:
    _perturbed(
        argument,
        "The largest eigenvalue's vector of e_1 e_1^T + epsilon E is e_1 + epsilon P E e_1, P the projection across e_1, up to epsilon^2.",
        "residual",
        "E",
    )
    p, rest, lead = (sp.Matrix(sp.symbols(f"{name}_1:3", real=True)) for name in ("p", "Q", "a"))
    imbalance = p * p.T + rest * rest.T - lead * lead.T
    argument.equal(
        "N = 2: a a^T = p p^T + Q Q^T - B, exactly, with the conserved B = W_1 W_1^T - W_2^T W_2. Applied to p:",
        (lead * lead.dot(p)).expand(),
        (p * p.dot(p) + rest * rest.dot(p) - imbalance * p).applyfunc(sp.expand),
        label=sp.Symbol("a") * sp.Symbol("<a,p>"),
    )
    second = sp.Symbol("PBu", real=True)
    argument.let(
        "Any N: W_2^T W_2 = p p^T + Q Q^T - B, where |p|^2 = 1/epsilon to leading order. E u = Q Q^T u - B u, and Q^T u, which decays with "
        "the direction, is of the order of epsilon itself. So the right singular vector of W_2 to its largest singular value is off "
        "p/|p| by",
        sp.Symbol("lag_2"),
        -small * second,
    )
    argument.result(second_order_lag=-second)


def _second_lag(argument: Argument) -> None:
    # s = (W_N...W_3)^T, W_2 = sigma u_2 v_2^T + R with R^T u_2 = 0, in the frame e_1 = s/|s|
    lag = _perturbed(
        argument,
        "N >= 3: s = (W_N...W_3)^T lags likewise behind the left singular vector u_2 of W_2, an eigenvector of W_3^T W_3 + C with the "
        "conserved C = W_2 W_2^T - W_3^T W_3: in the frame of s it is e_1 + epsilon P C e_1, again up to epsilon^2.",
        "residual",
        "C",
    )
    rest: Any = sp.Matrix(3, 2, sp.symbols("R_1:7", real=True))
    left = sp.Matrix([1, 0, 0]) + small * lag
    # R^T u_2 = 0 fixes its first row
    orthogonal = sp.Matrix(rest)
    for column in range(2):
        orthogonal[0, column] = -small * (lag[1] * rest[1, column] + lag[2] * rest[2, column])
    argument.equal(
        "With R = W_2 less its largest singular value's part, R^T u_2 = 0:",
        (orthogonal.T * left).applyfunc(sp.expand),
        sp.zeros(2, 1),
        label=sp.Symbol("R.T") * sp.Symbol("u_2"),
    )
    moved = orthogonal.T * sp.Matrix([1, 0, 0])
    column = sp.Matrix([sp.Symbol("C_11", real=True), lag[1], lag[2]])
    argument.equal(
        "a = W_2^T s is then along the right singular vector up to R^T s, which is -epsilon R^T C s/|s| times |s|;",
        (moved + small * orthogonal.T * column).applyfunc(lambda entry: sp.series(sp.expand(entry), small, 0, 2).removeO()),
        sp.zeros(2, 1),
        label=sp.Symbol("R.T") * sp.Symbol("s") + small * sp.Symbol("R.T") * sp.Symbol("C") * sp.Symbol("s"),
    )
    third = sp.Symbol("RTCs", real=True)
    argument.equal(
        "and relative to |a| = r^(1/N) |s| it is of the order r^(-3/N).",
        sp.powsimp(-(r ** (-2 / N)) * third / r ** (1 / N)),
        -third * r ** (-3 / N),
        label=sp.Symbol("lag_3"),
    )
    argument.result(third_order_lag=-third)


def _adiabatic(argument: Argument) -> None:
    norm_rate = N * r ** (2 - 2 / N) * growth
    lag = coefficient * r ** (-order / N)
    lead, first = r ** (1 - 1 / N), r ** (1 / N)
    turn = argument.equal(
        "p' = h a turns p/|p| towards a/|a|: for a lag k_j r^(-j/N), with |a| = r^(1-1/N) and |p| = r^(1/N),",
        sp.powsimp(growth * lead / first * lag),
        growth * coefficient * r ** (1 - (2 + order) / N),
        label=sp.Symbol("pprime"),
    )
    lead_turn = argument.equal(
        "so a/|a| = p/|p| + lag turns at this rate, r' = N r^(2-2/N) h:",
        sp.powsimp(sp.expand(sp.diff(lag, r) * norm_rate + turn)),
        sp.expand(-(order - 1) * growth * coefficient * r ** (1 - (2 + order) / N)),
        label=sp.Symbol("aprime"),
    )
    across = argument.equal(
        "q' = -D |a|^2 q + Q^T a': as Q^T a itself stays small, Q^T a' is |a| times Q^T (a/|a|)'. q follows it, D = c/r, at",
        sp.powsimp(sp.simplify(lead * lead_turn / (c / r * lead**2))),
        sp.powsimp(sp.expand(-growth / c * (order - 1) * coefficient * r ** (1 - (1 + order) / N))),
        label=sp.Symbol("q"),
    )
    relaxation = c / r * lead**2
    argument.equal(
        "and is behind it by a relative (q'/q)/(D |a|^2), of the order of h: nothing against r^(-2/N).",
        sp.simplify(sp.diff(r ** (1 - (1 + order) / N), r) * norm_rate / r ** (1 - (1 + order) / N) / relaxation),
        sp.simplify(growth / c * (N - 1 - order)),
        label=sp.Symbol("qprime") / (sp.Symbol("q") * sp.Symbol("D|a|^2")),
    )
    argument.equal(
        "It fits the limits: Q^T u decays by D |a| q, and Q^T (a/|a|) = Q^T u + Q^T (a/|a| - u) is 0 to leading order, u being p/|p| plus "
        "the rest of its turning, integrated over r' from r to oo.",
        sp.simplify(
            # of Q^T u, and of a/|a| - u = lag + p/|p| - u, both as integrals of a power of r
            _rest(sp.powsimp(c / r * lead * across)) + lag - _rest(turn)
        ),
        sp.Integer(0),
        label=sp.Symbol("Q.T") * sp.Symbol("a/|a|"),
    )
    argument.result(angle_of_lag=across / r)


def _rest(rate: Any) -> Any:
    """The integral of rate/r' over r from r to oo, for a power of r that falls."""
    integrand = sp.powsimp(sp.expand(rate / (N * r ** (2 - 2 / N) * growth)))
    slope = sp.simplify(r * sp.diff(integrand, r) / integrand)
    return sp.simplify(-integrand * r / (slope + 1))


def _law(argument: Argument) -> None:
    known = argument.results
    second, third = sp.Symbol("PBu", real=True), sp.Symbol("RTCs", real=True)
    leading, following = (
        known["angle_of_lag"].subs({order: number, coefficient: known[key]})
        for number, key in ((2, "second_order_lag"), (3, "third_order_lag"))
    )
    angle = argument.equal(
        "With k_2 = -P B u and k_3 = -R^T C s, both under Q^T: the part of w/r across v.",
        sp.powsimp(sp.expand(leading + following)),
        sp.expand(growth / c * r ** (-3 / N) * (second + 2 * third * r ** (-1 / N))),
        label=sp.Symbol("q") / r,
    )
    lead = sp.Symbol("QTPBu", positive=True)
    exponent = (N * (1 + tail) + 3) / (tail * N + 2)
    norm = ((tail * N + 2) * power * t) ** (N / (tail * N + 2))
    constant = power / c * lead * ((tail * N + 2) * power) ** (-exponent)
    in_time: Any = leading.subs({second: lead, growth: power * r ** (-1 - tail)}).subs(r, norm)
    quotient: Any = sp.powdenest(in_time / (constant * t**-exponent), force=True)
    argument.equal(
        "In time, h = K_a r^(-1-a) and r = ((aN+2) K_a t)^(N/(aN+2)): theta is constant t^(-exponent).",
        sp.simplify(quotient),
        sp.Integer(1),
        label=sp.Symbol("theta") / (sp.Symbol("constant") * t ** (-sp.Symbol("exponent"))),
    )
    ordinary: Any = exponent.subs(tail, 1)
    argument.equal(
        "The exponents at a = 1 for N = 2, 3, 4 and as N grows.",
        sp.Matrix([*(ordinary.subs(N, depth) for depth in (2, 3, 4)), sp.limit(ordinary, N, sp.oo)]),
        sp.Matrix([sp.Rational(7, 4), sp.Rational(9, 5), sp.Rational(11, 6), 2]),
        label=sp.Symbol("exponent"),
    )
    argument.result(angle=angle, exponent=exponent, constant=constant)


def _exceptions(argument: Argument) -> None:
    unit = sp.Matrix([sp.cos(sp.Symbol("alpha", real=True)), sp.sin(sp.Symbol("alpha", real=True))])
    first, second = sp.symbols("zeta a", positive=True)
    imbalance = first**2 * unit * unit.T - second**2 * unit * unit.T
    argument.equal(
        "P B u vanishes, and the direction is exponential, for rank-one layers W_1 = u z^T, W_2 = a u'' u^T, however unbalanced;",
        ((sp.eye(2) - unit * unit.T) * imbalance * unit).applyfunc(sp.simplify),
        sp.zeros(2, 1),
        label=sp.Symbol("PBu"),
    )
    argument.equal(
        "for layers of width 1, where nothing is across u;",
        1 - (sp.Symbol("p", real=True, nonzero=True) / sp.Abs(sp.Symbol("p", real=True, nonzero=True))) ** 2,
        sp.Integer(0),
        label=sp.Symbol("P"),
    )
    argument.equal(
        "and for balanced layers, B = 0.",
        sp.zeros(2, 2) * unit,
        sp.zeros(2, 1),
        label=sp.Symbol("PBu"),
    )
