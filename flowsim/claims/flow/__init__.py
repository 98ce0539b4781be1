"""Claims about the gradient flow: equation 7, Lemmas 2 to 4, what is exact, and the rays."""

from flowsim.claims.claim import Claim
from flowsim.claims.flow import end_to_end, exact, norms, rays, two_phases

__all__ = ["claims"]


def claims() -> list[Claim]:
    return [claim for part in (end_to_end, two_phases, norms, exact, rays) for claim in part.claims()]
