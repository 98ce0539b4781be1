"""Claims about finite data and homogeneous networks: directions, margins, linear networks, neurons, and where the theorems stop."""

from flowsim.claims.claim import Claim
from flowsim.claims.finite import benign, controls, linear, margins, neurons, paths

__all__ = ["claims"]


def claims() -> list[Claim]:
    """In the order of the report."""
    return [claim for part in (paths, margins, linear, neurons, benign, controls) for claim in part.claims()]
