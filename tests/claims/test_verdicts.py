"""Every claim comes out as a correct program's would, and its own measurement refuses a wrong theory."""

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest

import flowsim as fs
from flowsim.claims import LATER, STATEMENTS, Claim, Control, Finding, OutOfScope, Setting, Verdict, chapters, check, judge, registry

CLAIMS = {claim.name: claim for claim in registry()}


@cache
def verdict_of(name: str, control: bool = False) -> Verdict:
    """Measured once, whichever test asks."""
    return judge(CLAIMS[name], control=control)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_claim_has_the_verdict_of_a_correct_program(name: str) -> None:
    verdict = verdict_of(name)
    assert verdict.measured
    assert verdict.as_expected, verdict.finding
    assert verdict.finding.predicted
    assert verdict.finding.measured
    assert verdict.finding.tolerance


REFUSED = {"holds": "violated", "consistent": "contradicted", "violated": "holds"}


@pytest.mark.parametrize("name", CLAIMS)
def test_the_same_measurement_refuses_the_wrong_theory(name: str) -> None:
    """Not by an error, which would be no measurement, but by the opposite verdict."""
    verdict = verdict_of(name, control=True)
    assert verdict.finding.verdict == REFUSED[CLAIMS[name].expected], verdict.finding


@pytest.mark.parametrize("name", CLAIMS)
def test_the_claim_shows_what_it_looked_at(name: str) -> None:
    picture = verdict_of(name).finding.picture
    assert picture is not None
    assert picture.x
    assert picture.y
    assert any(curve.role == "measured" and np.isfinite(curve.y).any() for curve in picture.curves)


def test_names_are_unique_and_every_claim_says_what_it_is() -> None:
    assert len(CLAIMS) == len(registry())
    for claim in registry():
        for field in dataclasses.fields(Claim):
            if field.type == "str" and field.name != "derivation":
                assert getattr(claim, field.name), (claim.name, field.name)
        assert claim.control.wrong
        assert claim.name == claim.name.lower()


def test_every_numbered_statement_of_the_paper_has_a_claim_or_a_reason() -> None:
    about = {statement for claim in registry() for statement in claim.about}
    assert about <= set(STATEMENTS)
    assert about | set(LATER) == set(STATEMENTS)
    assert not about & set(LATER)


def test_every_derivation_named_exists() -> None:
    from derivations.catalogue import names

    assert {claim.derivation for claim in registry()} - {""} <= set(names())


def test_the_misprints_and_nothing_else_are_expected_to_be_violated() -> None:
    """The printed floor of Lemma 4 is weaker than the derived one, and right all the same."""
    printed = {claim.name for claim in registry() if "as-printed" in claim.name}
    violated = {claim.name for claim in registry() if claim.expected == "violated"}
    assert printed - violated == {"lemma-4-floor-as-printed"}
    assert violated <= printed


@pytest.mark.parametrize("name", [claim.name for claim in registry() if claim.expected == "violated"])
def test_a_misprint_names_a_start_that_shows_it(name: str) -> None:
    finding = verdict_of(name).finding
    assert "N = " in finding.worst
    assert "theta(0) = " in finding.worst
    assert finding.numbers["broken"] > 0


def test_formal_statements_are_consistent_or_contradicted_and_never_hold() -> None:
    formal = {claim.name for claim in registry() if claim.formal}
    assert formal == {claim.name for claim in registry() if "formal" in claim.source}
    assert formal


def test_chapters_hold_every_claim_once() -> None:
    assert [claim.name for claims in chapters().values() for claim in claims] == list(CLAIMS)


def test_check_measures_the_names_asked_for_and_calls_back() -> None:
    seen: list[str] = []
    report = check(["growth-bound", "gradient-bounds"], on_verdict=lambda v: seen.append(v.claim.name))
    assert sorted(seen) == ["gradient-bounds", "growth-bound"]
    assert report.passed
    entry = report.to_dict()["claims"][0]
    assert {"name", "verdict", "predicted", "measured", "source", "expected", "tolerance", "method", "fails", "control"} <= set(entry)


def test_check_offers_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'growth-bound'"):
        check(["growth-bond"])


def test_check_measures_over_the_laws_and_depths_asked_for() -> None:
    report = check(["growth-bound", "two-layer-exact-law"], laws=fs.Gaussian(5), depths=[3])
    bound, two = report.verdicts
    assert bound.finding.verdict == "holds"
    assert list(bound.finding.numbers) == ["Gaussian(dim=5, scale=1)"]
    assert two.finding.verdict == "outside"
    assert "speaks of N = 2, and not of N = 3" in two.finding.measured
    assert report.passed
    assert report.measured == (bound,)


def test_nothing_measured_is_not_passed() -> None:
    report = check(["two-layer-exact-law"], depths=[3])
    assert not report.passed
    assert report.to_dict()["claims"][0]["verdict"] == "outside"


def test_ctrl_c_keeps_the_verdicts_reached() -> None:
    def stop(verdict: Any) -> None:
        raise KeyboardInterrupt

    report = check(["growth-bound", "gradient-bounds"], on_verdict=stop)
    assert report.interrupted
    assert not report.passed
    assert len(report.verdicts) == 1


STILL: dict[str, Any] = {
    **dict.fromkeys(("name", "statement", "source", "setting", "method", "fails"), "x"),
    "theory": "right",
    "control": Control("x", "wrong"),
}


def test_the_control_is_handed_to_the_measurement_in_the_place_of_the_theory() -> None:
    claim = Claim(**STILL, measure=lambda setting, theory: Finding("holds", "", f"{theory}, seed {setting.seed}", "1"))
    assert judge(claim, Setting(seed=3)).finding.measured == "right, seed 3"
    assert judge(claim, control=True).finding.measured == "wrong, seed 0"


def test_a_measurement_that_raises_is_undecided_and_not_as_expected() -> None:
    def broken(setting: Setting, theory: str) -> Finding:
        raise RuntimeError("this run has no rate")

    verdict = judge(Claim(**STILL, measure=broken))
    assert verdict.finding.verdict == "undecided"
    assert "no rate" in verdict.finding.measured
    assert verdict.measured
    assert not verdict.as_expected


def test_a_statement_that_does_not_speak_of_the_law_is_outside() -> None:
    def silent(setting: Setting, theory: str) -> Finding:
        raise OutOfScope("needs a second moment")

    verdict = judge(Claim(**STILL, measure=silent))
    assert (verdict.finding.verdict, verdict.finding.measured) == ("outside", "needs a second moment")
    assert verdict.as_expected
    assert not verdict.measured


def test_theory_hands_on_the_registry() -> None:
    assert fs.theory.claims() == registry()
