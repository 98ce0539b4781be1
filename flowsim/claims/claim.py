"""A claim: a statement with its source, how it is measured, and the verdict with the numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal

VerdictName = Literal["holds", "violated", "consistent", "contradicted", "undecided"]


@dataclass(frozen=True)
class Finding:
    """One measurement of a claim.

    verdict: "holds" or "violated"; of a formal statement, which a measurement can support but nothing yet proves, "consistent" or
        "contradicted"; "undecided" where the measurement cannot tell.
    predicted, measured: what theory says and what was found, one line each, with numbers.
    tolerance: what difference would have changed the verdict, one line.
    worst: the case that decides: law, depth, start.
    numbers: anything else, JSON.
    """

    verdict: VerdictName
    predicted: str
    measured: str
    tolerance: str
    worst: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A statement about the dynamics that a measurement can contradict.

    name: short and unique; contains "as-printed" where the paper's submitted version is known to be misprinted.
    statement: LaTeX.  source: paper and number, or "derived" with the module.  setting: laws, depths and starts measured.
    expected: the verdict a correct program gives; "consistent" marks a formal statement.  measure: runs the measurement.
    thorough: a longer measurement of the same, where there is one.
    """

    name: str
    statement: str
    source: str
    setting: str
    measure: Callable[[], Finding]
    expected: VerdictName = "holds"
    thorough: Callable[[], Finding] | None = None


@dataclass(frozen=True)
class Verdict:
    """A claim with its finding. ``as_expected``: the verdict is the one a correct program gives."""

    claim: Claim
    finding: Finding
    seconds: float

    @property
    def as_expected(self) -> bool:
        return self.finding.verdict == self.claim.expected

    def to_dict(self) -> dict[str, Any]:
        """One entry of checks.json."""
        return {
            "name": self.claim.name,
            "verdict": self.finding.verdict,
            "expected": self.claim.expected,
            "predicted": self.finding.predicted,
            "measured": self.finding.measured,
            "tolerance": self.finding.tolerance,
            "worst": self.finding.worst,
            "source": self.claim.source,
            "statement": self.claim.statement,
            "setting": self.claim.setting,
            "numbers": self.finding.numbers,
            "seconds": round(self.seconds, 3),
        }


def finding_of_gaps(gaps: dict[str, float], limit: float, predicted: str, measured: str, tolerance: str) -> Finding:
    """Holds if every gap, by the name of its case, is below ``limit``. ``measured`` has places for {gap}, the largest, and {count}."""
    worst = max(gaps, key=lambda case: gaps[case] if gaps[case] == gaps[case] else float("inf"))
    said = measured.format(gap=f"{gaps[worst]:.1e}", count=len(gaps))
    # a gap that is nan is not below the limit
    holds = all(gap < limit for gap in gaps.values())
    return Finding("holds" if holds else "violated", predicted, said, tolerance, worst, dict(gaps))


def as_formal(finding: Finding) -> Finding:
    """The finding about a formal statement: "consistent" or "contradicted" for "holds" or "violated"."""
    names: dict[VerdictName, VerdictName] = {"holds": "consistent", "violated": "contradicted"}
    return replace(finding, verdict=names.get(finding.verdict, finding.verdict))


def judge(claim: Claim, thorough: bool = False) -> Verdict:
    """Measure one claim, by its longer measurement where ``thorough`` and there is one.

    A measurement that raises is "undecided", with the error as what was measured.
    """
    begin = perf_counter()
    try:
        finding = (claim.thorough or claim.measure)() if thorough else claim.measure()
    except (ArithmeticError, RuntimeError, ValueError) as error:
        finding = Finding("undecided", "", f"{type(error).__name__}: {error}", "")
    return Verdict(claim, finding, perf_counter() - begin)
