"""What is recorded of a run at one W."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from flowsim.finite.field import Problem, State, place, split
from flowsim.finite.layered import Layered
from flowsim.finite.network import Network
from flowsim.finite.training_set import TrainingSet


@eqx.filter_jit
def _read(network: Network, unravel: Any, problem: Problem, test: Any, loss: str, rounding: float, state: State) -> tuple[Any, ...]:
    u = state.direction / jnp.linalg.norm(state.direction)
    flat = jnp.exp(state.log_norm) * u
    here = place(network, unravel, problem, loss, flat, rounding)
    along, across = split(here, u)
    turned, whole = jnp.linalg.norm(across), jnp.linalg.norm(here.descent)
    # 1 - cos = sin^2/(1 + cos) where cos > 0, and as it stands where it is not
    cosine, sine = along / whole, turned / whole
    gap = jnp.where(cosine > 0.0, sine**2 / (1.0 + jnp.maximum(cosine, 0.0)), 1.0 - cosine)
    error = jnp.nan if test is None else jnp.mean(test.y * network.outputs(unravel(flat), test.x, rounding) <= 0.0)
    return u, here.log_loss, gap, here.margins, here.weights, error, flat


def reader(network: Network, unravel: Any, data: TrainingSet, loss: str, rounding: float) -> Callable[[State], dict[str, Any]]:
    """A function from a state to what is recorded of it, arrays by the names of `HomogeneousRun`, and its outputs y_i f(W; x_i)."""
    problem = problem_of(data)
    test = None if data.test_x is None else Problem(np.asarray(data.test_x), np.asarray(data.test_y))

    def read(state: State) -> dict[str, Any]:
        with jax.enable_x64(True):
            u, log_loss, gap, margins, weights, error, flat = _read(network, unravel, problem, test, loss, rounding, state)
            out = {
                "log_norm": np.asarray(state.log_norm),
                "direction": np.asarray(u),
                "path_length": np.asarray(state.path),
                "log_loss": np.asarray(log_loss),
                "alignment_gap": np.asarray(gap),
                "outputs": np.asarray(margins),
                "weights": np.asarray(weights),
                "test_error": np.asarray(error),
            }
            tree = [np.asarray(w) for w in unravel(flat)] if isinstance(network, Layered) else []
        if isinstance(network, Layered) and network.linear:
            predictor = network.predictor(tree)
            out["predictor"] = predictor / max(float(np.linalg.norm(predictor)), np.finfo(float).tiny)
        return out

    return read


def problem_of(data: TrainingSet) -> Problem:
    """The arrays of a training set."""
    return Problem(np.asarray(data.x, dtype=np.float64), np.asarray(data.y, dtype=np.float64))
