"""flowsim: gradient flow and descent of linear networks on spherically symmetric data, held against the theory."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsim import finite as finite
    from flowsim import layers as layers
    from flowsim import present as present
    from flowsim import relu as relu
    from flowsim import samples as samples
    from flowsim import sweeps as sweeps
    from flowsim import theory as theory
    from flowsim.claims import check as check
    from flowsim.claims import measure_rate as measure_rate
    from flowsim.dynamics import Schedule as Schedule
    from flowsim.dynamics import SciPy as SciPy
    from flowsim.dynamics import Trajectory as Trajectory
    from flowsim.dynamics import compare as compare
    from flowsim.dynamics import gap_order as gap_order
    from flowsim.dynamics import gradient_descent as gradient_descent
    from flowsim.dynamics import gradient_flow as gradient_flow
    from flowsim.dynamics import load as load
    from flowsim.dynamics import modified_flow as modified_flow
    from flowsim.layers import LayerRun as LayerRun
    from flowsim.layers import Layers as Layers
    from flowsim.layers import layer_descent as layer_descent
    from flowsim.layers import layer_flow as layer_flow
    from flowsim.problem import Ball as Ball
    from flowsim.problem import Gaussian as Gaussian
    from flowsim.problem import Laplace as Laplace
    from flowsim.problem import Law as Law
    from flowsim.problem import PopulationRisk as PopulationRisk
    from flowsim.problem import Profile as Profile
    from flowsim.problem import Radial as Radial
    from flowsim.problem import Sphere as Sphere
    from flowsim.problem import Start as Start
    from flowsim.problem import StudentT as StudentT
    from flowsim.problem import log_times as log_times
    from flowsim.sweeps import Sweep as Sweep
    from flowsim.sweeps import regime_map as regime_map

__version__ = "0.6.0"

_ROOMS = {
    "problem": "Ball Gaussian Laplace Law PopulationRisk Profile Radial Sphere Start StudentT log_times",
    "dynamics": "Schedule SciPy Trajectory compare gap_order gradient_descent gradient_flow load modified_flow",
    "layers": "LayerRun Layers layer_descent layer_flow",
    "claims": "check measure_rate",
    "sweeps": "Sweep regime_map",
}
_PUBLIC_ROOMS = ("finite", "layers", "present", "relu", "samples", "sweeps", "theory")
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "Ball",
    "Gaussian",
    "Laplace",
    "Law",
    "LayerRun",
    "Layers",
    "PopulationRisk",
    "Profile",
    "Radial",
    "Schedule",
    "SciPy",
    "Sphere",
    "Start",
    "StudentT",
    "Sweep",
    "Trajectory",
    "check",
    "compare",
    "finite",
    "gap_order",
    "gradient_descent",
    "gradient_flow",
    "layer_descent",
    "layer_flow",
    "layers",
    "load",
    "log_times",
    "measure_rate",
    "modified_flow",
    "present",
    "regime_map",
    "relu",
    "samples",
    "sweeps",
    "theory",
]


def __getattr__(name: str) -> Any:
    """Public names are imported on first use: `import flowsim` loads neither JAX nor matplotlib."""
    if name in _HOME:
        return getattr(import_module(f"flowsim.{_HOME[name]}"), name)
    if name in _PUBLIC_ROOMS:
        return import_module(f"flowsim.{name}")
    raise AttributeError(f"module 'flowsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
