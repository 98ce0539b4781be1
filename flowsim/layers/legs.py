"""What flows share that are integrated leg by leg: what a solver's end says of a leg and of the next, and which networks go on."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

STATUS_OF = np.array(["ok", "step_cap", "solver_failed"], dtype="<U16")
"""Names of the result codes 0, 1, 2."""


def outcome(solution: diffrax.Solution, begin: Any, end: Any, dt: Any) -> tuple[Any, Any]:
    """The result code, and the first step to try on the next leg. begin, end: of this one.  dt: the first step tried on it."""
    ok = solution.result == diffrax.RESULTS.successful
    capped = solution.result == diffrax.RESULTS.max_steps_reached
    taken = solution.stats["num_accepted_steps"]
    # a leg of one step may have been cut short by its end
    typical = (end - begin) / jnp.maximum(taken, 1)
    return jnp.where(ok, 0, jnp.where(capped, 1, 2)), jnp.where(taken <= 1, jnp.maximum(2.0 * typical, dt), typical)


def pick(good: np.ndarray, new: Any, old: Any) -> Any:
    """``new`` of the networks that are good, (B,), ``old`` of the others; trees of arrays with a leading axis B."""
    return jax.tree.map(lambda a, b: np.where(good.reshape(-1, *(1,) * (np.ndim(b) - 1)), np.asarray(a), b), new, old)
