"""Many runs: maps of what descent does, over step sizes and starts or depths."""

from flowsim.sweeps.chart import AXES, CLASSES, RegimeMap, load_map
from flowsim.sweeps.regimes import regime_map

__all__ = ["AXES", "CLASSES", "RegimeMap", "load_map", "regime_map"]
