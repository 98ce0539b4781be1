"""Does it: the claims, how each is measured, and the verdicts."""

from flowsim.claims.claim import Claim, Control, Finding, Verdict, judge
from flowsim.claims.exponents import MeasuredRate, measure_rate
from flowsim.claims.paper import LATER, STATEMENTS
from flowsim.claims.picture import Curve, Picture
from flowsim.claims.registry import Report, chapters, check, registry
from flowsim.claims.settings import OutOfScope, Setting

__all__ = [
    "LATER",
    "STATEMENTS",
    "Claim",
    "Control",
    "Curve",
    "Finding",
    "MeasuredRate",
    "OutOfScope",
    "Picture",
    "Report",
    "Setting",
    "Verdict",
    "chapters",
    "check",
    "judge",
    "measure_rate",
    "registry",
]
