"""Claims about layers as matrices: what they keep, when they are the plane, how they line up, and where their direction is a power."""

from flowsim.claims.claim import Claim
from flowsim.claims.layers import alignment, exceptions, generic, imbalance, plane, sharpness, two_layers

__all__ = ["claims"]


def claims() -> list[Claim]:
    """In the order of the report."""
    return [claim for part in (imbalance, plane, alignment, two_layers, generic, exceptions, sharpness) for claim in part.claims()]
