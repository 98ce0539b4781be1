"""Claims about the paper's figure 1: its bounds, its curves, and the samples it is drawn with."""

from flowsim.claims.claim import Claim
from flowsim.claims.figure_1 import bounds, curves, samples

__all__ = ["claims"]


def claims() -> list[Claim]:
    return [*bounds.claims(), *curves.claims(), *samples.claims()]
