"""Claims about the late flow: exponents and constants, next orders, label noise."""

from flowsim.claims.claim import Claim
from flowsim.claims.late import next_orders, noise, rates

__all__ = ["claims"]


def claims() -> list[Claim]:
    return [claim for part in (rates, next_orders, noise) for claim in part.claims()]
