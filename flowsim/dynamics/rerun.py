"""A run again, from what it (or its file) says of itself."""

import re
from typing import Any

import diffrax

from flowsim.dynamics.corrected import modified_flow
from flowsim.dynamics.descent import Schedule, gradient_descent
from flowsim.dynamics.flow import SOLVERS, Solver, gradient_flow
from flowsim.dynamics.trajectory import Trajectory


def rerun(run: Trajectory, times: Any = None) -> Trajectory:
    """The same run again, from its risk, start, depth and configuration.

    run: a Trajectory, fresh or loaded.  times: for a flow, other times to record, (T,); a descent is recorded at the same steps.

    Raises ValueError where ``times`` is given for a descent, or the flow's solver was neither in `SOLVERS` nor a diffrax class.

    >>> import flowsim as fs, flowsim.dynamics
    >>> flow = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), [1.0, 10.0])
    >>> again = flowsim.dynamics.rerun(flow, times=[10.0])
    >>> bool(abs(again.log_norm[-1] - flow.log_norm[-1]) < 1e-9)
    True
    """
    risk = run.risks if run.shape else run.problem
    config = run.config
    if run.kind == "flow" and config["function"] == "modified_flow":
        return modified_flow(risk, run.start, run.time if times is None else times, config["step_size"], run.depth, config["rtol"])
    if run.kind == "flow":
        solver = _solver(config["solver"])
        return gradient_flow(risk, run.start, run.time if times is None else times, run.depth, solver, config["rtol"], config["max_steps"])
    if times is not None:
        raise ValueError("`times` cannot be chosen for a descent, which is recorded at its steps")
    step_size = Schedule(config["schedule"]) if "schedule" in config else run.step_size
    rules = {name: config[name] for name in ("max_exact_steps", "stop_at_burst", "estimate_error") if name in config}
    return gradient_descent(risk, run.start, step_size, run.step, run.depth, config["method"], **rules)


def _solver(name: str) -> Solver:
    """The solver by the name a configuration holds: "diffrax.Dopri8" or "SciPy(method='Radau')"."""
    match = re.fullmatch(r"diffrax\.(\w+)|SciPy\(method='(\w+)'\)", name)
    found = match and (match[1] or match[2])
    if found and found.lower() in SOLVERS:
        return SOLVERS[found.lower()]()
    if found and hasattr(diffrax, found):
        return getattr(diffrax, found)()
    raise ValueError(f"`run` used the solver {name!r}, which cannot be made again from its name")
