"""flowsim: gradient flow and descent of linear networks on spherically symmetric data, held against the theory."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsim.problem import Ball, Gaussian, Laplace, Law, PopulationRisk, Profile, Radial, Sphere, Start, StudentT, log_times

__version__ = "0.1.0"

_ROOMS = {
    "flowsim.problem": (
        "Ball",
        "Gaussian",
        "Laplace",
        "Law",
        "PopulationRisk",
        "Profile",
        "Radial",
        "Sphere",
        "Start",
        "StudentT",
        "log_times",
    ),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
_SUBPACKAGES = ("claims", "dynamics", "present", "problem", "theory")

__all__ = sorted([*_HOME, "theory"])


def __getattr__(name: str) -> Any:
    """Public names are imported on first use: `import flowsim` loads neither JAX nor matplotlib."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"flowsim.{name}")
    raise AttributeError(f"module 'flowsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
