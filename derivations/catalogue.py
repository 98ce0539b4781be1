"""The derivations by name, in the order in which they build on each other."""

from __future__ import annotations

import difflib
from importlib import import_module

from derivations.derivation import Derivation

__all__ = ["UnknownDerivation", "derive", "names"]

_NAMES = (
    "risk",
    "smoothness",
    "label_noise",
    "margin_losses",
    "one_layer_flow",
    "deep_flow",
    "growth",
    "laws",
    "closed_forms",
    "asymptotics",
    "bounds",
    "step_sums",
    "descent",
    "modified_equation",
    "edge_of_stability",
    "two_layer_edge",
    "imbalance",
    "unbalanced_layers",
    "generic_direction",
    "sample_noise",
    "homogeneous_rates",
    "benign_overfitting",
    "rounded_kink",
)


class UnknownDerivation(LookupError):
    """No derivation has this name."""

    def __init__(self, name: str) -> None:
        """Name the nearest known name."""
        close = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.0)
        super().__init__(f"no derivation is called {name!r}; the nearest name is {close[0]!r} (all: {', '.join(_NAMES)})")


def names() -> tuple[str, ...]:
    """Names of all derivations."""
    return _NAMES


def derive(name: str) -> Derivation:
    """The derivation called `name`, built and checked on first use."""
    if name not in _NAMES:
        raise UnknownDerivation(name)
    return import_module(f"derivations.{name}").derive()
