"""What can be swept: the flow, the descent, the map of regimes, the flow and descent of matrices, and networks that fit a mixture."""

from flowsim.sweeps.kinds.kind import Argument, Kind, Quantity
from flowsim.sweeps.kinds.maps import MAP
from flowsim.sweeps.kinds.matrices import LAYER_DESCENT, LAYER_FLOW
from flowsim.sweeps.kinds.mixtures import MIXTURE
from flowsim.sweeps.kinds.plane import DESCENT, FLOW

KINDS = {kind.name: kind for kind in (FLOW, DESCENT, MAP, LAYER_FLOW, LAYER_DESCENT, MIXTURE)}
"""By name."""

__all__ = ["KINDS", "Argument", "Kind", "Quantity"]
