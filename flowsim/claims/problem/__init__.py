"""Claims about the population risk: closed forms, samples, growth, Lemma 1, tails, label noise and other losses."""

from flowsim.claims.claim import Claim
from flowsim.claims.problem import growth, lemma_1, risk, samples, tails, variants

__all__ = ["claims"]


def claims() -> list[Claim]:
    return [claim for part in (risk, samples, growth, lemma_1, tails, variants) for claim in part.claims()]
