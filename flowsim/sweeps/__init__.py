"""Many runs: maps of what descent does, and sweeps of any size over any arguments, which survive what ends them."""

from flowsim.sweeps.axes import Axis, linear, listed, log, random
from flowsim.sweeps.chart import AXES, CLASSES, RegimeMap, load_map
from flowsim.sweeps.kinds import KINDS
from flowsim.sweeps.regimes import regime_map
from flowsim.sweeps.run import run_sweep
from flowsim.sweeps.store import is_store, open_sweep
from flowsim.sweeps.sweep import Sweep
from flowsim.sweeps.table import counts, names_of

__all__ = [
    "AXES",
    "CLASSES",
    "KINDS",
    "Axis",
    "RegimeMap",
    "Sweep",
    "counts",
    "is_store",
    "linear",
    "listed",
    "load_map",
    "log",
    "names_of",
    "open_sweep",
    "random",
    "regime_map",
    "run_sweep",
]
