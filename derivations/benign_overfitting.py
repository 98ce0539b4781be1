"""R = rho e^2/(e^2 + (1 - e^2)(1 + rho')^2): the test error Phi(-|mu| sqrt(R/(1+R))) of a fitted mixture of which every sample is support.

x_i = (clean label) mu + z_i, i = 1, ..., n, |z_i|^2 = d and z_i orthogonal, the labels y_i flipped with the share eps, e = 1 - 2 eps; the
network has leaky ReLUs of slope gamma, half of the m outer weights +1/sqrt(m) and half -1/sqrt(m).

Source: the network's limit is that of Hashimoto 2025 (arXiv 2505.16204); the rest is derived here, of leading order in n/d and 1/n.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from derivations.derivation import Argument, Derivation

__all__ = ["derive"]

n, d, mu = sp.symbols("n d mu", positive=True)
"""Samples, dimension, |mu|."""
eps = sp.Symbol("epsilon", positive=True)
"""The share of flipped labels."""
e = sp.Symbol("e", positive=True)
"""1 - 2 eps."""
gamma = sp.Symbol("gamma", positive=True)
"""The slope of the leaky ReLU."""
rho, coupled = sp.symbols("rho rhoprime", positive=True)
"""n |mu|^2/d, and rho g/s."""
own, mean = sp.symbols("s g", positive=True)
"""What a sample's multiplier does to its own margin, and to others' in the mean over both classes."""
ratio = sp.Symbol("R", positive=True)
right, wrong, pull = sp.symbols("lambda_c lambda_f A", real=True)


@cache
def derive() -> Derivation:
    """The multipliers of clean and of flipped samples, the predictor's direction, its error, and where that changes its behaviour."""
    argument = Argument("benign_overfitting", "A fitted mixture: its test error", "derived here, of leading order in n/d and 1/n")
    _couplings(argument)
    _multipliers(argument)
    _direction(argument)
    _clean(argument)
    _noisy(argument)
    return argument.close()


def _couplings(argument: Argument) -> None:
    slopes = {1: (sp.Integer(1), gamma), -1: (gamma, sp.Integer(1))}
    # of the limit's w_+ and w_-, each with the multipliers lambda_k of the constraints
    product = {(a, b): (slopes[a][0] * slopes[b][0] + slopes[a][1] * slopes[b][1]) / 2 for a in slopes for b in slopes}
    argument.equal(
        "The programme's conditions: w_+ = sum of lambda_k y_k z_k^+ x_k/sqrt(m) and w_- = -sum of lambda_k y_k z_k^- x_k/sqrt(m), for "
        "multipliers 2 lambda_k. In the margin of i lambda_k y_i y_k <x_i, x_k> has (z_i^+ z_k^+ + z_i^- z_k^-)/2: for labels that agree",
        product[1, 1],
        product[-1, -1],
        (1 + gamma**2) / 2,
        label=own,
    )
    argument.equal("and for labels that differ.", product[1, -1], product[-1, 1], gamma, label=sp.Symbol("s_2"))
    shared = argument.equal(
        "A sample on itself has s; with both classes alike others have the mean of the two.",
        (product[1, 1] + product[1, -1]) / 2,
        (1 + gamma) ** 2 / 4,
        label=mean,
    )
    argument.equal(
        "As the leaky ReLU rises, f > 0 where <w_+ - w_-, x> > 0. Sample k counts there by z_k^+ + z_k^-, the same for both labels: the "
        "boundary is a plane, across w = sum of lambda_k y_k x_k.",
        sum(slopes[1]),
        sum(slopes[-1]),
        1 + gamma,
        label=sp.Symbol("z_k^+") + sp.Symbol("z_k^-"),
    )
    coupling = argument.equal(
        "The ratio of both is 1 for a linear network and tends to 1/2 for ReLU.",
        shared / product[1, 1],
        (1 + gamma) ** 2 / (2 * (1 + gamma**2)),
        label=mean / own,
    )
    argument.result(own=product[1, 1], mean=shared, coupling=coupling)


def _multipliers(argument: Argument) -> None:
    equations = (
        own * d * right + mean * mu**2 * pull - 1,
        own * d * wrong - mean * mu**2 * pull - 1,
        n * ((1 + e) / 2 * right - (1 - e) / 2 * wrong) - pull,
    )
    argument.let(
        "Each sample is support, so each margin is 1. y_i x_i has mu along it where the label is clean, -mu where flipped:",
        sp.Integer(1),
        own * d * right + mean * mu**2 * pull,
    )
    argument.let("for the flipped;", sp.Integer(1), own * d * wrong - mean * mu**2 * pull)
    argument.let(
        "sum of lambda_k y_k x_k has this times mu, where eps are flipped and e = 1 - 2 eps.",
        pull,
        n * ((1 + e) / 2 * right - (1 - e) / 2 * wrong),
    )
    found = sp.solve(equations, (right, wrong, pull), dict=True)[0]
    back = {n: rho * d / mu**2, mean: coupled * own / rho}
    share = argument.equal(
        "Solved, with rho = n |mu|^2/d and rho' = rho g/s:",
        sp.simplify((mean * mu**2 * found[pull]).subs(back)),
        e * coupled / (1 + coupled),
        label=mean * mu**2 * pull,
    )
    multipliers = [(1 - sign * share) / (own * d) for sign in (1, -1)]
    argument.equal("So clean samples have the multiplier", sp.simplify(found[right].subs(back)), multipliers[0], label=right)
    argument.equal(
        "and flipped ones, which have to hold out against the others,", sp.simplify(found[wrong].subs(back)), multipliers[1], label=wrong
    )
    argument.equal(
        "The former is positive for any signal, as it has to be for every sample to be support.",
        sp.factor(own * d * multipliers[0]),
        (1 + coupled * (1 - e)) / (1 + coupled),
        label=own * d * right,
    )
    argument.result(pull=share / (mean * mu**2), clean_multiplier=multipliers[0], flipped_multiplier=multipliers[1])


def _direction(argument: Argument) -> None:
    known = argument.results
    along = known["pull"] ** 2 * mu**2
    noise = n * d * ((1 + e) / 2 * known["clean_multiplier"] ** 2 + (1 - e) / 2 * known["flipped_multiplier"] ** 2)
    quotient = argument.equal(
        "The square of w along mu over that across it, n d times the mean of lambda^2:",
        sp.factor((along / noise).subs(mean, coupled * own / rho).subs(n, rho * d / mu**2)),
        rho * e**2 / (e**2 + (1 - e**2) * (1 + coupled) ** 2),
        label=ratio,
    )
    rest = sp.Symbol("across", positive=True)
    squared = argument.equal(
        "so of the square of w the share along mu is",
        ratio * rest / (ratio * rest + rest),
        ratio / (1 + ratio),
        label=sp.cos(sp.Symbol("angle")) ** 2,
    )
    score = argument.equal(
        "A new sample errs where its noise along w, of unit variance, is below -|mu| cos: with the probability Phi of that.",
        -mu * sp.sqrt(squared),
        -mu / sp.sqrt(1 + 1 / ratio),
        label=-mu * sp.cos(sp.Symbol("angle")),
    )
    of_noise = {e: 1 - 2 * eps, coupled: rho * known["coupling"]}
    full = quotient.subs(of_noise).subs(rho, n * mu**2 / d)
    argument.result(ratio=quotient, squared_cosine=squared, score=score, full_ratio=full, full_score=score.subs(ratio, full))


def _clean(argument: Argument) -> None:
    known = argument.results
    clean = argument.equal("Clean labels, e = 1: gamma is gone.", known["ratio"].subs(e, 1), rho, label=ratio)
    score = known["score"].subs(ratio, clean)
    argument.equal(
        "Weak signals: |mu| sqrt(rho), which is 1",
        sp.limit((score**2).subs(rho, n * mu**2 / d) / mu**4, mu, 0),
        n / d,
        label=sp.Symbol("score") ** 2 / mu**4,
    )
    chance = argument.equal("where the error leaves chance;", sp.solve(n * mu**4 / d - 1, mu)[-1], (d / n) ** sp.Rational(1, 4), label=mu)
    radius = argument.equal("rho = 1 is the noise radius;", sp.solve(n * mu**2 / d - 1, mu)[-1], sp.sqrt(d / n), label=mu)
    argument.equal("beyond, the error is the best there is, Phi(-|mu|).", sp.limit(score, rho, sp.oo), -mu, label=sp.Symbol("score"))
    argument.result(clean_ratio=clean, chance=chance, noise_radius=radius)


def _noisy(argument: Argument) -> None:
    known, partly = argument.results, sp.Symbol("f", positive=True)
    # e = 1/sqrt(1 + f^2), between 0 and 1, so that signs are seen
    below: Any = {e: 1 / sp.sqrt(1 + partly**2)}
    of_rho = known["ratio"].subs(coupled, rho * mean / own)
    argument.equal(
        "Flipped labels, e = 1/sqrt(1 + f^2): R falls again like 1/rho,",
        sp.limit((of_rho * rho).subs(below), rho, sp.oo),
        (own / mean * e).subs(below) ** 2 / (1 - below[e] ** 2),
        label=ratio * rho,
    )
    squared = (known["score"] ** 2).subs(ratio, of_rho).subs(rho, n * mu**2 / d).subs(below)
    end = -sp.sqrt(d / n) * own / mean * e / sp.sqrt(1 - e**2)
    argument.equal(
        "so the error tends to Phi of this, which no signal makes smaller and which grows with n.",
        sp.simplify(sp.limit(sp.factor(squared), mu, sp.oo)),
        (end**2).subs(below),
        label=sp.Symbol("score") ** 2,
    )
    turning = sp.factor(sp.diff(1 / of_rho, rho).subs(mean, coupled * own / rho))
    argument.equal(
        "1/R falls with rho as long as this is negative,",
        turning,
        -(1 - (1 - e**2) * coupled**2) / (e**2 * rho**2),
        label=sp.Derivative(1 / sp.Function("R")(rho), rho),
    )
    best = 1 / sp.sqrt(1 - e**2)
    argument.equal(
        "which is up to 1/sqrt(1 - e^2).",
        sp.solve((1 - (1 - e**2) * coupled**2).subs(below), coupled)[0],
        best.subs(below),
        label=coupled,
    )
    from_noise = argument.equal("Here 1 - e^2 is", sp.expand(1 - (1 - 2 * eps) ** 2), 4 * eps * (1 - eps), label=1 - e**2)
    harmful = argument.equal(
        "and from this n on more samples make the error larger.",
        sp.solve(n * mu**2 / d * known["coupling"] - 1 / sp.sqrt(from_noise), n)[0],
        d / mu**2 / known["coupling"] / (2 * sp.sqrt(eps * (1 - eps))),
        label=n,
    )
    argument.result(best_coupled=best, strong_score=_in_noise(end, known), harmful_samples=harmful)


def _in_noise(expression: Any, known: Any) -> Any:
    """With gamma and eps."""
    return expression.subs({own: known["own"], mean: known["mean"]}).subs(e, 1 - 2 * eps)
