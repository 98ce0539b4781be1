"""The arguments that make a problem: the law of x, label noise, and a start in the plane."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np

from flowsim.problem import LAWS, PopulationRisk, Radial, Start
from flowsim.sweeps.kinds.kind import Argument, Columns

NAMED_LAWS = tuple(name for name, law in LAWS.items() if law is not Radial)

LAW = (
    Argument("law", "name", "gaussian", "law of x", names=NAMED_LAWS, rank=8),
    Argument("dim", "whole", None, "dimension d of x", low=2, rank=7),
    Argument("scale", "number", None, "scale of the law of x", low=0.0, strict=True, rank=3),
    Argument("radius", "number", None, "radius of the law of x", low=0.0, strict=True, rank=3),
    Argument("df", "number", None, "degrees of freedom of the law of x", low=1.0, strict=True, rank=3),
    Argument("label_noise", "number", 0.0, "probability with which a label is flipped", low=0.0, high=0.5, rank=3),
)
"""Of these, a law has those that its class has."""

START = (
    Argument("norm", "number", 1.0, "|w| at the start", low=0.0, strict=True, rank=1, batched=True),
    Argument("angle", "number", 1.5, "angle theta between w and v at the start", "rad", low=0.0, high=float(np.pi), rank=2, batched=True),
)

_OWN = ("dim", "scale", "radius", "df")


def risk_of(values: Mapping[str, Any]) -> PopulationRisk:
    """The risk of one element; ValueError naming the argument that its law does not have."""
    law = LAWS[values["law"]]
    given = {name: values[name] for name in _OWN if values.get(name) is not None}
    own = list(signature(law).parameters)
    for name in given:
        if name not in own:
            raise ValueError(f"`{name}` does not belong to the law {values['law']!r}, whose arguments are {', '.join(own)}")
    return PopulationRisk(law(**given), values.get("label_noise", 0.0))


def start_of(columns: Columns) -> Start:
    return Start(columns["norm"], columns["angle"])
