"""Does it: the claims, how each is measured, and the verdicts."""

from flowsim.claims.claim import Claim, Finding, Verdict, judge
from flowsim.claims.registry import Report, check, registry

__all__ = ["Claim", "Finding", "Report", "Verdict", "check", "judge", "registry"]
