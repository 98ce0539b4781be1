r"""The equations of an implicit step where the state is large: q relaxes many times in it, and all else changes little.

A stage of a step of length h asks for F(x) = x - rate(y + gamma h x) = 0. F' = I - gamma h rate'. Of its blocks only those that end in q,
which is ``unit`` to the solver, are large, with the number of relaxations in h: of E, of as many rows as q has numbers, the inverse is
held, from a step's first stage on; what the rest does to q is one product with F'. So

    x <- x - dx,   dx_rest = F_rest,   E dx_q = F_q - (F' (dx_rest, 0))_q

leaves of an error what a step changes the rest, some hundredths. The matrices' rates are outer products: F' times a direction costs two
evaluations of the rate, and E as many as q has numbers, but of vectors only.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optimistix
from jax import lax

ENOUGH = 0.01
"""Of the tolerance: what may be left of an error where the iterates end."""
LEAST = 1e-13
"""Of the tolerance: a correction that none is to follow, however they shrink."""


class Iterates(NamedTuple):
    """inverse: of E.  size, before: of the last correction and of the one before, in units of the tolerance.  count: of corrections."""

    inverse: Any
    size: Any
    before: Any
    count: Any


class RelaxationChord(optimistix.AbstractRootFinder):
    """The iterates above, of states that are named tuples with ``unit``, until ENOUGH: as `diffrax.VeryChord` judges it."""

    rtol: float
    atol: float
    norm: Callable[[Any], Any]

    def init(self, fn: Any, y: Any, args: Any, options: Any, f_struct: Any, aux_struct: Any, tags: Any) -> Iterates:
        """E at y, or what was made of it at the step's first stage."""
        if "init_state" in options:
            return options["init_state"]
        block = jax.jacfwd(lambda unit: fn(y._replace(unit=unit), args)[0].unit)(y.unit)
        return Iterates(inverse(block), jnp.asarray(jnp.inf), jnp.asarray(1.0), jnp.asarray(0))

    def step(self, fn: Any, y: Any, args: Any, options: Any, state: Iterates, tags: Any) -> tuple[Any, Iterates, Any]:
        """The next iterate."""
        left, aux = fn(y, args)
        of_rest = left._replace(unit=jnp.zeros_like(left.unit))
        _, pushed = jax.jvp(lambda x: fn(x, args)[0].unit, (y,), (of_rest,))
        change = left._replace(unit=state.inverse @ (left.unit - pushed))
        following = jax.tree.map(jnp.subtract, y, change)
        # of a whole array, for an entry that happens to be small is known only to the rounding of the others
        relative = jax.tree.map(lambda dx, x: dx / (self.atol + self.rtol * rms(x)), change, following)
        return following, Iterates(state.inverse, self.norm(relative), state.size, state.count + 1), aux

    def terminate(self, fn: Any, y: Any, args: Any, options: Any, state: Iterates, tags: Any) -> tuple[Any, Any]:
        """Whether the iterates have converged, or never will."""
        shrinks = state.size / state.before
        converged = (state.size < LEAST) | ((shrinks < 1.0) & (state.size * shrinks < ENOUGH * (1.0 - shrinks)))
        lost = ~converged & ~(shrinks <= 2.0)
        failed = optimistix.RESULTS.where(lost, optimistix.RESULTS.nonlinear_divergence, optimistix.RESULTS.successful)
        known = state.count >= 2
        return known & (converged | lost), optimistix.RESULTS.where(known, failed, optimistix.RESULTS.successful)

    def postprocess(self, fn: Any, y: Any, aux: Any, args: Any, options: Any, state: Iterates, tags: Any, result: Any) -> Any:
        """Nothing more."""
        return y, aux, {}


def rms(x: Any) -> Any:
    """Root mean square; nan where the squares overflow, for an infinite size would make any correction small."""
    mean = jnp.mean(x * x)
    return jnp.sqrt(jnp.where(jnp.isfinite(mean), mean, jnp.nan))


def inverse(matrix: Any) -> Any:
    """By Gauss and Jordan, (k, k), without exchanges of rows, which E does not need: where q relaxes its symmetric part is at least I.

    In XLA's own loops: LAPACK's threads, woken for so small a matrix, wait for each other longer than all of it takes.
    """
    k = matrix.shape[0]

    def eliminate(i: Any, now: Any) -> Any:
        here = jnp.arange(k) == i
        row = jnp.where(here, 1.0, now[i]) / now[i, i]
        column = jnp.where(here, 0.0, now[:, i])
        return jnp.where(here[:, None], row, jnp.where(here, 0.0, now) - jnp.outer(column, row))

    return lax.fori_loop(0, k, eliminate, matrix)
