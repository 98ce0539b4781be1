"""check: verdicts, files and exit codes, on a registry of two tiny claims."""

import json
import math
import sys

import numpy as np
import pytest

import flowsim.claims
from flowsim.claims import Claim, Finding

STATEMENT = {"statement": "$a=b$", "source": "derived", "setting": "one law"}


def claim(name, verdict, expected="holds", **numbers):
    finding = Finding(verdict, "exponent 2/3 [bold]", "0.6667", "1e-3", numbers=numbers)
    return Claim(name, measure=lambda: finding, expected=expected, **STATEMENT)


def stop():
    raise KeyboardInterrupt


@pytest.fixture
def registry(monkeypatch):
    """registry(*claims): these are all the claims there are."""

    def use(*claims):
        monkeypatch.setattr(flowsim.claims, "registry", lambda: claims)
        monkeypatch.setattr(sys.modules["flowsim.claims.registry"], "registry", lambda: claims)

    use(claim("slope", "holds", far=math.inf, slopes=np.array([1.0, 2.0])), claim("bound-as-printed", "violated", "violated"))
    return use


@pytest.fixture
def check(command):
    """check(...): without figures unless asked."""
    return lambda *words: command("check", "--no-figures", *words)


def test_all_as_it_should_is_exit_code_0_with_a_table(check, registry, tmp_path):
    outcome = check()
    assert outcome.code == 0
    assert outcome.err == ""
    assert "2 of 2 claims came out as they should" in outcome.out
    rows = [line.split("  ") for line in outcome.out.splitlines()]
    slope = next(row for row in rows if row[0].strip() == "slope")
    assert [cell.strip() for cell in slope if cell.strip()] == ["slope", "exponent 2/3 [bold]", "0.6667", "holds"]
    assert "violated, as it should" in " ".join(outcome.out.split())
    assert max(map(len, outcome.out.splitlines())) <= 110
    assert json.loads((tmp_path / "flowsim-report" / "checks.json").read_text())["passed"] is True


def test_json_is_all_there_is_on_stdout(check, registry, tmp_path):
    outcome = check("--json", "--output", "here")
    assert outcome.code == 0
    data = json.loads(outcome.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert data == json.loads((tmp_path / "here" / "checks.json").read_text())
    assert set(data) >= {"claims", "versions", "passed"}
    first, second = data["claims"]
    assert set(first) >= {"name", "verdict", "predicted", "measured", "source", "statement", "tolerance", "expected"}
    assert (first["name"], first["verdict"], first["measured"]) == ("slope", "holds", "0.6667")
    assert first["numbers"] == {"far": "inf", "slopes": [1.0, 2.0]}
    assert (second["name"], second["verdict"]) == ("bound-as-printed", "violated")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (claim("slope", "violated"), "VIOLATED, should hold"),
        (claim("slope", "undecided"), "UNDECIDED, should hold"),
        (claim("bound-as-printed", "holds", "violated"), "HOLDS, should be violated"),
        (claim("burst", "contradicted", "consistent"), "CONTRADICTED, should be consistent (formal)"),
    ],
    ids=["a claim that fails", "a claim that cannot be decided", "a misprint unnoticed", "a formal statement contradicted"],
)
def test_anything_else_is_exit_code_1(check, registry, tmp_path, wrong, said):
    registry(claim("other", "holds"), wrong)
    outcome = check()
    assert outcome.code == 1
    assert said in " ".join(outcome.out.split())
    assert "1 of 2 claims came out as they should" in outcome.out
    assert json.loads((tmp_path / "flowsim-report" / "checks.json").read_text())["passed"] is False


def test_an_interrupted_check_keeps_what_was_measured(check, registry, tmp_path):
    registry(claim("slope", "holds"), Claim("long", measure=stop, **STATEMENT), claim("never", "holds"))
    outcome = check()
    assert outcome.code == 130
    assert "interrupted after 1 of 3 claims" in outcome.err
    data = json.loads((tmp_path / "flowsim-report" / "checks.json").read_text())
    assert [entry["name"] for entry in data["claims"]] == ["slope"]
    assert data["passed"] is False


def test_only_the_claims_named_are_measured(check, registry):
    registry(claim("slope", "holds"), Claim("long", measure=stop, **STATEMENT))
    outcome = check("--only", "slope", "--json")
    assert outcome.code == 0
    assert [entry["name"] for entry in json.loads(outcome.out)["claims"]] == ["slope"]


def test_thorough_takes_the_longer_measurements(check, registry):
    finding = Finding("consistent", "2.5116", "2.5117", "1e-3")
    registry(Claim("burst", measure=stop, expected="consistent", thorough=lambda: finding, **STATEMENT))
    assert check().code == 130
    outcome = check("--thorough", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["claims"][0]["measured"] == "2.5117"
    refused = check("--thorough", "--list")
    assert refused.code == 2
    assert "--thorough must be left out with --list" in refused.err


def test_list_measures_nothing_and_writes_nothing(check, registry, tmp_path):
    registry(Claim("long", measure=stop, **STATEMENT), Claim("a-very-long-name-of-a-claim-as-printed", measure=stop, **STATEMENT))
    outcome = check("--list")
    assert outcome.code == 0
    assert "long" in outcome.out
    assert json.loads(check("--list", "--json").out)["claims"][0] == {"name": "long", "expected": "holds", **STATEMENT}
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_files_is_found_out_before_measuring(check, registry, tmp_path):
    registry(Claim("long", measure=stop, **STATEMENT))
    (tmp_path / "file").write_text("")
    outcome = check("--output", "file/report")
    assert outcome.code == 2
    assert "cannot make the folder 'file/report': Not a directory" in outcome.err
    (tmp_path / "report" / "checks.json").mkdir(parents=True)
    outcome = check("--output", "report")
    assert outcome.code == 2
    assert "cannot write 'report/checks.json': it is a folder" in outcome.err


def test_the_figures_are_written_beside_the_verdicts(command, registry, tmp_path):
    outcome = command("check")
    assert outcome.code == 0
    folder = tmp_path / "flowsim-report"
    assert {entry.name for entry in folder.iterdir()} == {"checks.json", "rates.pdf", "rates.png", "paper.pdf", "paper.png"}
    assert all(entry.stat().st_size > 1000 for entry in folder.iterdir() if entry.suffix != ".json")


def test_figures_that_cannot_be_written_do_not_lose_the_verdicts(command, registry, monkeypatch, tmp_path):
    import flowsim.present

    def full(figure, path):
        raise OSError(f"cannot write {str(path)!r}: No space left on device")

    class Nothing:
        pass

    for name in ("rates_figure", "paper_figure"):
        monkeypatch.setattr(flowsim.present, name, lambda *_: Nothing())
    monkeypatch.setattr(flowsim.present, "late_flows", Nothing)
    monkeypatch.setattr(flowsim.present, "paper_runs", lambda: (Nothing(), Nothing()))
    monkeypatch.setattr(flowsim.present, "save_figure", full)
    outcome = command("check", "--json")
    assert outcome.code == 1
    assert outcome.err.count("No space left on device") == 4
    assert json.loads(outcome.out)["passed"] is True
    assert json.loads((tmp_path / "flowsim-report" / "checks.json").read_text())["passed"] is True


def test_a_claim_that_raises_is_undecided_and_named(check, registry):
    def broken():
        raise ValueError("no such law")

    registry(Claim("broken", measure=broken, **STATEMENT))
    outcome = check()
    assert outcome.code == 1
    assert "UNDECIDED, should hold" in " ".join(outcome.out.split())
    assert "no such law" in " ".join(outcome.out.split())
