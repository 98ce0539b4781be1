"""A claim: a statement with its source, the theory it stands for, how it is measured, and the verdict with the numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal

from flowsim.claims.picture import Picture, picture_of_gaps
from flowsim.claims.settings import OutOfScope, Setting

VerdictName = Literal["holds", "violated", "consistent", "contradicted", "undecided", "outside"]
Measure = Callable[[Setting, Any], "Finding"]


@dataclass(frozen=True)
class Finding:
    """One measurement of a claim.

    verdict: "holds" or "violated"; of a formal statement, which a measurement can support but nothing yet proves, "consistent" or
        "contradicted"; "undecided" where the measurement cannot tell; "outside" where the statement does not speak of what was asked for.
    predicted, measured: what theory says and what was found, one line each, with numbers.
    tolerance: what difference would have changed the verdict, one line.
    worst: the case that decides: law, depth, start.
    numbers: anything else, JSON.
    picture: what was looked at, where there is something to see.

    >>> from flowsim.claims import Finding
    >>> Finding("holds", predicted="slope 1", measured="slope 1.001", tolerance="0.01").verdict
    'holds'
    """

    verdict: VerdictName
    predicted: str
    measured: str
    tolerance: str
    worst: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    picture: Picture | None = None


@dataclass(frozen=True)
class Control:
    """A theory that is wrong, which the claim's own measurement must tell from the right one.

    wrong: what is wrong with it, one line.  theory: it, in the place of the claim's.

    >>> import flowsim as fs
    >>> control = next(claim.control for claim in fs.theory.claims() if claim.name == "lemma-3-direction-speed")
    >>> control.wrong
    '1 - 2.0001/N in the exponent'
    """

    wrong: str
    theory: Any


@dataclass(frozen=True)
class Claim:
    """A statement about the dynamics that a measurement can contradict.

    name: short and unique; contains "as-printed" where the paper's submitted version is known to be misprinted.
    statement: LaTeX.  source: paper and number, or "derived".  derivation: name in derivations/, empty where there is none.
    about: the numbered statements of the paper it is about, keys of `claims.paper.STATEMENTS`.
    setting: laws, depths and starts measured where nothing else is asked for.
    theory: what is predicted, as code; ``measure`` holds runs against it, and nothing else it uses comes from the prediction.
    method: how it is measured.  fails: what would make it fail.
    control: a wrong theory, for which the same measurement does not give ``expected``.
    expected: the verdict a correct program gives; "consistent" marks a formal statement.

    >>> import flowsim as fs
    >>> claim = next(claim for claim in fs.theory.claims() if claim.name == "lemma-3-direction-speed")
    >>> claim.source, claim.derivation, claim.expected, claim.formal
    ('Lin, Sun, Zhang 2021 (submitted version), Lemma 3', 'deep_flow', 'holds', False)
    """

    name: str
    statement: str
    source: str
    setting: str
    theory: Any
    measure: Measure
    method: str
    fails: str
    control: Control
    expected: VerdictName = "holds"
    derivation: str = ""
    about: tuple[str, ...] = ()

    @property
    def formal(self) -> bool:
        """Whether it is suggested by asymptotics and not proved."""
        return self.expected == "consistent"


@dataclass(frozen=True)
class Verdict:
    """A claim with its finding. Made by `judge` and `check`.

    claim: what was measured.  finding: what was found.  seconds: how long it took.

    >>> import flowsim as fs
    >>> verdict = fs.check(["lemma-3-direction-speed"], laws=fs.Gaussian(dim=2), depths=2).verdicts[0]
    >>> verdict.finding.verdict, verdict.as_expected, verdict.measured
    ('holds', True, True)
    """

    claim: Claim
    finding: Finding
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one a correct program gives, or the claim was left out as outside."""
        return self.finding.verdict in (self.claim.expected, "outside")

    @property
    def measured(self) -> bool:
        """Whether the statement speaks of what was asked for."""
        return self.finding.verdict != "outside"

    def to_dict(self) -> dict[str, Any]:
        """One entry of checks.json.

        >>> import flowsim as fs
        >>> verdict = fs.check(["lemma-3-direction-speed"], laws=fs.Gaussian(dim=2), depths=2).verdicts[0]
        >>> verdict.to_dict()["verdict"]
        'holds'
        """
        claim, finding = self.claim, self.finding
        return {
            "name": claim.name,
            "verdict": finding.verdict,
            "expected": claim.expected,
            "as_expected": self.as_expected,
            "predicted": finding.predicted,
            "measured": finding.measured,
            "tolerance": finding.tolerance,
            "worst": finding.worst,
            "source": claim.source,
            "about": list(claim.about),
            "derivation": claim.derivation,
            "statement": claim.statement,
            "setting": claim.setting,
            "method": claim.method,
            "fails": claim.fails,
            "control": claim.control.wrong,
            "numbers": finding.numbers,
            "picture": None if finding.picture is None else finding.picture.to_dict(),
            "seconds": round(self.seconds, 3),
        }


def finding_of_gaps(
    gaps: dict[str, float], limit: float, predicted: str, measured: str, tolerance: str, what: str = "gap", picture: Picture | None = None
) -> Finding:
    """Holds if every gap, by the name of its case, is below ``limit``. ``measured`` has places for {gap}, the largest, and {count}.

    what: names the gap in the picture, which shows every case unless another is given.
    """
    worst = max(gaps, key=lambda case: gaps[case] if gaps[case] == gaps[case] else float("inf"))
    said = measured.format(gap=f"{gaps[worst]:.1e}", count=len(gaps))
    # a gap that is nan is not below the limit
    holds = all(gap < limit for gap in gaps.values())
    shown = picture_of_gaps(gaps, limit, what) if picture is None else picture
    return Finding("holds" if holds else "violated", predicted, said, tolerance, worst, dict(gaps), shown)


def as_formal(finding: Finding) -> Finding:
    """The finding about a formal statement: "consistent" or "contradicted" for "holds" or "violated"."""
    names: dict[VerdictName, VerdictName] = {"holds": "consistent", "violated": "contradicted"}
    return replace(finding, verdict=names.get(finding.verdict, finding.verdict))


def judge(claim: Claim, setting: Setting | None = None, control: bool = False) -> Verdict:
    """Measure one claim.

    claim: of the registry, or one of your own.  setting: what to measure over; default: the claim's own choice.
    control: hold the same measurement against the wrong theory.

    A measurement that raises is "undecided", with the error as what was measured; one that does not speak of the setting is "outside".

    >>> import flowsim as fs
    >>> from flowsim.claims import Setting, judge
    >>> claim = next(claim for claim in fs.theory.claims() if claim.name == "lemma-3-direction-speed")
    >>> [judge(claim, Setting(fs.Gaussian(dim=2), 2), control).finding.verdict for control in (False, True)]
    ['holds', 'violated']
    """
    begin = perf_counter()
    try:
        finding = claim.measure(setting or Setting(), claim.control.theory if control else claim.theory)
    except OutOfScope as reason:
        finding = Finding("outside", "", str(reason), "")
    except (ArithmeticError, RuntimeError, ValueError) as error:
        finding = Finding("undecided", "", f"{type(error).__name__}: {error}", "")
    return Verdict(claim, finding, perf_counter() - begin)
