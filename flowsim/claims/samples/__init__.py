"""Claims about finite samples: the gradient's noise, the direction it makes, when it is seen, where the flow ends, and SGD."""

from flowsim.claims.claim import Claim
from flowsim.claims.samples import crossovers, directions, gradients, margins, separators, sgd

__all__ = ["claims"]


def claims() -> list[Claim]:
    """In the order of the report."""
    return [claim for part in (gradients, directions, crossovers, margins, separators, sgd) for claim in part.claims()]
