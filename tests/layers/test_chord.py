"""The iterates of an implicit step: they solve its equations, at the speed and with the refusals that a step's solver counts on."""

from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
from jax.flatten_util import ravel_pytree

from flowsim.layers.chord import RelaxationChord, inverse


class _State(NamedTuple):
    """As the flow's: ``unit`` relaxes, ``slow`` feeds it."""

    slow: Any
    unit: Any


def _stage(stiff: float, k: int = 4) -> Any:
    """x - h rate(x) - y of a step in which unit relaxes some ``stiff`` times."""
    rng = np.random.default_rng(k)
    turn = rng.normal(size=(k, k))
    relax = stiff * (np.eye(k) + 0.3 * turn @ turn.T / k + 0.2 * (turn - turn.T))
    feed = stiff * rng.normal(size=(k, 6)) / 6.0

    def left(x: _State, args: Any) -> tuple[_State, None]:
        slow = x.slow - 0.05 * jnp.sin(x.slow) - 1e-3 * jnp.sum(x.unit**2) - 1.0
        return _State(slow, x.unit + jnp.asarray(relax) @ x.unit - jnp.asarray(feed) @ x.slow**2), None

    return left


def _solve(left: Any, chord: RelaxationChord, start: _State, most: int = 30) -> optimistix.Solution:
    with jax.enable_x64(True):
        start = jax.tree.map(jnp.asarray, start)
        return optimistix.root_find(lambda x, args: left(x, args)[0], chord, start, max_steps=most, throw=False)


START = _State(np.linspace(0.8, 1.3, 6), np.ones(4))
CHORD = RelaxationChord(rtol=1e-10, atol=1e-11, norm=optimistix.rms_norm)


@pytest.mark.parametrize("stiff", [1.0, 1e3, 1e8])
def test_the_iterates_solve_the_stage_however_stiff_it_is(stiff: float) -> None:
    left = _stage(stiff)
    found = _solve(left, CHORD, START)
    assert found.result == optimistix.RESULTS.successful
    assert int(found.stats["num_steps"]) <= 12
    witness = _newton(left, START)
    # the tolerance, of each array's size
    np.testing.assert_allclose(found.value.slow, witness.slow, rtol=1e-10)
    np.testing.assert_allclose(found.value.unit, witness.unit, rtol=1e-9, atol=1e-10)


def _newton(left: Any, start: _State) -> _State:
    """Twenty full steps: as far as rounding allows."""
    with jax.enable_x64(True):
        flat, unravel = ravel_pytree(jax.tree.map(jnp.asarray, start))
        residual = lambda x: ravel_pytree(left(unravel(x), None)[0])[0]  # noqa: E731
        for _ in range(20):
            flat = flat - jnp.linalg.solve(jax.jacfwd(residual)(flat), residual(flat))
        return unravel(flat)


def test_an_entry_near_zero_asks_for_no_more_than_the_array_it_stands_in() -> None:
    """The digits that an entry of 1e-20 beside entries of 1 would ask for are not there: a correction of it never falls below rounding."""

    def left(x: _State, args: Any) -> tuple[_State, None]:
        # the first entry is the difference of two numbers of size 1e3, which jitters at 1e-13
        jitter = (1e3 + x.slow[1]) - 1e3 - x.slow[1] + 1e-13 * jnp.sign(x.slow[0])
        return _State(jnp.concatenate([(x.slow[0] + jitter)[None], x.slow[1:] - 0.1 * jnp.cos(x.slow[1:])]), 2.0 * x.unit), None

    start = _State(np.array([1e-13, 0.5, 0.5]), np.ones(2))
    tight = RelaxationChord(rtol=1e-10, atol=1e-18, norm=optimistix.rms_norm)
    assert _solve(left, tight, start).result == optimistix.RESULTS.successful


@pytest.mark.parametrize("grows", [lambda x: -4.0 * x + 1.0, lambda x: 10.0 * x**2, lambda x: jnp.exp(100.0 * x)])
def test_iterates_that_grow_are_never_a_solution(grows: Any) -> None:
    def left(x: _State, args: Any) -> tuple[_State, None]:
        return _State(x.slow - grows(x.slow), 2.0 * x.unit), None

    # ten are what a solver allows; by fifty, the squares have overflowed
    for most in (10, 50):
        assert _solve(left, CHORD, START, most).result != optimistix.RESULTS.successful


def test_a_solver_gives_the_chord_its_own_tolerances() -> None:
    made = diffrax.Kvaerno5(root_finder=diffrax.with_stepsize_controller_tols(RelaxationChord)())

    def rate(t: Any, y: _State, args: Any) -> _State:
        return _State(-0.1 * y.slow, 1e6 * (jnp.sum(y.slow) - y.unit))

    with jax.enable_x64(True):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(rate),
            made,
            t0=0.0,
            t1=10.0,
            dt0=1e-6,
            y0=_State(jnp.ones(2), jnp.zeros(1)),
            stepsize_controller=diffrax.PIDController(rtol=1e-10, atol=1e-11),
        )
    # y' = -0.1 y, and unit = 2 exp(-0.1 t) (1 - 1e-7)^-1 behind it
    assert float(solution.ys.slow[0, 0]) == pytest.approx(np.exp(-1.0), rel=1e-8)
    assert float(solution.ys.unit[0, 0]) == pytest.approx(2.0 * np.exp(-1.0) / (1.0 - 1e-7), rel=1e-8)
    assert int(solution.stats["num_steps"]) < 500


@pytest.mark.parametrize("k", [1, 5, 40])
def test_the_inverse_is_linear_algebras(k: int) -> None:
    turn = np.random.default_rng(k).normal(size=(k, k))
    matrix = np.eye(k) + 1e3 * turn @ turn.T + 50.0 * (turn - turn.T)
    with jax.enable_x64(True):
        found = np.asarray(inverse(jnp.asarray(matrix)))
    np.testing.assert_allclose(found @ matrix, np.eye(k), atol=1e-12 * np.linalg.cond(matrix))
