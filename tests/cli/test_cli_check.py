"""check: verdicts, files and exit codes, on a registry of a few tiny claims."""

import html
import json
import math
import re
import shlex
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

import flowsim as fs
import flowsim.claims
from flowsim.claims import Claim, Control, Curve, Finding, OutOfScope, Picture
from flowsim.commands.claims_table import NAME_WIDTH

ABOUT = {
    "statement": r"a\le b",
    "source": "derived",
    "setting": "one law",
    "method": "a is compared with b",
    "fails": "one case with a > b",
}
CONTROL = Control("2 b in the place of b", 2.0)
FIGURES = {"rates.pdf", "rates.png", "paper.pdf", "paper.png"}
REPORT = {"report.html", "checks.json", "claims.tex"}


def claim(name, verdict, expected="holds", picture=None, **numbers):
    finding = Finding(verdict, "exponent 2/3 [bold]", "0.6667", "1e-3", numbers=numbers, picture=picture)
    return measured_by(lambda setting, theory: finding, name, expected=expected)


def measured_by(measure, name="claim", **more):
    return Claim(name, theory=1.0, measure=measure, control=CONTROL, **{**ABOUT, **more})


def stop(setting, theory):
    raise KeyboardInterrupt


def outside(reason):
    def measure(setting, theory):
        raise OutOfScope(reason)

    return measure


@pytest.fixture
def registry(monkeypatch):
    """registry(*claims): these are all the claims there are; the first one has a chapter to itself."""

    def use(first, *others):
        chapters = {"The risk": (first,), "The flow": others}
        monkeypatch.setattr(flowsim.claims, "chapters", lambda: chapters)
        monkeypatch.setattr(sys.modules["flowsim.claims.registry"], "chapters", lambda: chapters)

    use(claim("slope", "holds", far=math.inf, slopes=np.array([1.0, 2.0])), claim("bound-as-printed", "violated", "violated"))
    return use


@pytest.fixture
def check(command):
    """check(...): without figures unless asked."""
    return lambda *words: command("check", "--no-figures", *words)


def written(tmp_path, folder="flowsim-report"):
    return json.loads((tmp_path / folder / "checks.json").read_text())


def one_line(text):
    return " ".join(text.split())


def test_all_as_it_should_is_exit_code_0_with_a_table(check, registry, tmp_path):
    outcome = check()
    assert outcome.code == 0
    assert outcome.err == ""
    assert "2 of 2 claims came out as they should" in outcome.out
    assert outcome.out.splitlines()[-1] == "report: flowsim-report/report.html"
    rows = [line.split("  ") for line in outcome.out.splitlines()]
    slope = next(row for row in rows if row[0].strip() == "slope")
    assert [cell.strip() for cell in slope if cell.strip()] == ["slope", "exponent 2/3 [bold]", "0.6667", "holds"]
    assert "violated, as it should" in one_line(outcome.out)
    assert max(map(len, outcome.out.splitlines())) <= 110
    assert {entry.name for entry in (tmp_path / "flowsim-report").iterdir()} == REPORT
    assert written(tmp_path)["passed"] is True


def test_the_table_goes_by_chapters(check, registry):
    registry(claim("slope", "holds"), claim("bound", "holds"), claim("floor", "violated"))
    out = check().out
    order = [out.index(words) for words in ("The risk (1 of 1)", "slope", "The flow (1 of 2)", "bound", "floor")]
    assert order == sorted(order)


def test_json_is_all_there_is_on_stdout(check, registry, tmp_path):
    outcome = check("--json", "--output", "here")
    assert outcome.code == 0
    data = json.loads(outcome.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert data == written(tmp_path, "here")
    assert set(data) >= {"claims", "versions", "passed", "setting"}
    first, second = data["claims"]
    assert set(first) >= {"name", "verdict", "predicted", "measured", "source", "statement", "tolerance", "expected", "method", "fails"}
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
    assert said in one_line(outcome.out)
    assert "1 of 2 claims came out as they should" in outcome.out
    assert written(tmp_path)["passed"] is False


@pytest.mark.parametrize("figures", ["--no-figures", "--figures"])
def test_an_interrupted_check_keeps_what_was_measured(command, registry, tmp_path, figures):
    registry(claim("slope", "holds"), measured_by(stop, "long"), claim("never", "holds"))
    outcome = command("check", figures)
    assert outcome.code == 130
    assert "interrupted after 1 of 3 claims" in outcome.err
    data = written(tmp_path)
    assert [entry["name"] for entry in data["claims"]] == ["slope"]
    assert data["passed"] is False
    assert {entry.name for entry in (tmp_path / "flowsim-report").iterdir()} == REPORT
    page = (tmp_path / "flowsim-report" / "report.html").read_text()
    assert "The run was interrupted" in page
    assert 'id="slope"' in page
    assert 'id="never"' not in page


def test_ctrl_c_ends_the_check_even_where_a_run_takes_it_for_itself(check, registry, tmp_path):
    """A flow that is interrupted ends early and returns; the claim would be judged by half a run, and the check go on."""

    def swallow(setting, theory):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return Finding("violated", "", "half a run", "")

    before = signal.getsignal(signal.SIGINT)
    registry(claim("slope", "holds"), measured_by(swallow, "long"), claim("never", "holds"))
    outcome = check()
    assert outcome.code == 130
    assert "interrupted after 1 of 3 claims" in outcome.err
    assert [entry["name"] for entry in written(tmp_path)["claims"]] == ["slope"]
    assert written(tmp_path)["interrupted"] is True
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interruption_before_the_first_verdict_is_no_failure_of_the_theory(check, registry, tmp_path):
    registry(measured_by(stop, "long"))
    outcome = check()
    assert outcome.code == 130
    assert "interrupted after 0 of 1 claims" in outcome.err
    assert written(tmp_path)["claims"] == []


def test_only_the_claims_named_are_measured(check, registry):
    registry(claim("slope", "holds"), measured_by(stop, "long"), claim("floor", "holds"))
    outcome = check("--only", "floor", "slope", "--json")
    assert outcome.code == 0
    assert [entry["name"] for entry in json.loads(outcome.out)["claims"]] == ["slope", "floor"]


def test_an_unknown_claim_is_refused_with_the_nearest_names(check, registry, tmp_path):
    registry(claim("theorem-1-lower-bound", "holds"), claim("theorem-5-lower-bound", "holds"), claim("ray", "holds"))
    outcome = check("--only", "theorem-lower-bound")
    assert outcome.code == 2
    offered = "did you mean 'theorem-5-lower-bound' or 'theorem-1-lower-bound'? (flowsim check --list has all names)"
    assert f"no claim is named 'theorem-lower-bound'; {offered}" in outcome.err
    assert "no claim is named 'rey'; did you mean 'ray'?" in check("--explain", "rey").err
    assert "no claim is named 'xyzw' (flowsim" in check("--only", "ray", "xyzw").err
    assert not list(tmp_path.iterdir())


SETTING = ["--law", "student-t", "--dim", "3", "--df", "2.5", "--depth", "4", "2", "--seed", "7", "--thorough"]


def test_law_depths_seed_and_thoroughness_reach_the_measurement(check, registry):
    seen = []

    def measure(setting, theory):
        seen.append((setting, theory))
        return Finding("holds", "", "", "")

    registry(measured_by(measure))
    data = json.loads(check("--json", *SETTING).out)
    ((setting, theory),) = seen
    assert [law.label() for law in setting.laws] == [fs.StudentT(3, 2.5).label()]
    assert (setting.depths, setting.seed, setting.thorough, theory) == ((2, 4), 7, True, 1.0)
    assert data["setting"] == {"laws": [fs.StudentT(3, 2.5).label()], "depths": [2, 4], "seed": 7, "thorough": True}
    check()
    assert (seen[-1][0].laws, seen[-1][0].depths, seen[-1][0].seed, seen[-1][0].thorough) == (None, None, 0, False)


@pytest.mark.parametrize(
    "words",
    [
        [],
        SETTING,
        ["--law", "radial", "--dim", "3", "--radial-law", "gamma", "--radial-args", "0.5"],
        ["--dim", "5", "--scale", "0.1"],
    ],
    ids=" ".join,
)
def test_the_command_in_the_report_measures_the_same_again(command, registry, tmp_path, words):
    def measure(setting, theory):
        laws = [law.label() for law in setting.laws or ()]
        return Finding("holds", f"{laws} {setting.depths}", f"{setting.generator(1).random()} {setting.thorough}", "")

    registry(claim("other", "holds"), measured_by(measure, "draw"))
    command("check", "--no-figures", *words)
    first = written(tmp_path)
    page = html.unescape((tmp_path / "flowsim-report" / "report.html").read_text())
    (again,) = re.findall(r"<code>(flowsim check [^<]*--only draw)</code>", page)
    assert command(*shlex.split(again)[1:], "--no-figures", "--output", "again").code == 0
    assert written(tmp_path, "again")["setting"] == first["setting"]
    one, other = written(tmp_path, "again")["claims"][0], first["claims"][1]
    assert (one["name"], one["predicted"], one["measured"]) == (other["name"], other["predicted"], other["measured"])


def test_claims_that_do_not_speak_of_it_count_neither_way(check, registry, tmp_path):
    deep, log = outside("speaks of N >= 3, and not of N = 1"), outside("no power rate")
    registry(claim("slope", "holds"), measured_by(deep, "deep"), measured_by(log, "rate"), measured_by(deep, "deeper"))
    outcome = check("--depth", "1")
    assert outcome.code == 0
    assert "1 of 1 claims came out as they should" in outcome.out
    assert "left out, and counted neither way: 3, which do not speak of what was asked for" in outcome.out
    assert "2 (speaks of N >= 3, and not of N = 1): deep, deeper" in outcome.out
    assert "1 (no power rate): rate" in outcome.out
    assert written(tmp_path)["passed"] is True


def test_nothing_measured_is_exit_code_1(check, registry, tmp_path):
    registry(measured_by(outside("no second moment"), "sample"))
    outcome = check()
    assert outcome.code == 1
    assert "nothing was measured: no claim speaks of what was asked for" in outcome.err
    assert written(tmp_path)["passed"] is False


def test_list_measures_nothing_and_writes_nothing(check, registry, tmp_path):
    long = "a-very-long-name-of-a-claim-as-printed"
    registry(measured_by(stop, "long"), measured_by(stop, long, expected="violated", about=("Theorem 1",), derivation="bounds"))
    outcome = check("--list")
    assert outcome.code == 0
    assert all(words in outcome.out for words in ("The risk", "The flow", "long", "be violated"))
    assert len(long) > NAME_WIDTH
    entry = json.loads(check("--list", "--json").out)["claims"][1]
    known = {"name": long, "chapter": "The flow", "expected": "violated", "about": ["Theorem 1"], "derivation": "bounds"}
    assert entry == {**ABOUT, **known, "control": CONTROL.wrong}
    named = json.loads(check("--list", "--only", "long", "--json").out)["claims"]
    assert [one["name"] for one in named] == ["long"]
    assert not list(tmp_path.iterdir())


def test_explain_says_what_is_claimed_and_what_would_make_it_fail(check, registry, tmp_path):
    registry(measured_by(stop, "long"), measured_by(stop, "bound", about=("Theorem 1", "Lemma 2"), derivation="bounds"))
    outcome = check("--explain", "bound")
    assert outcome.code == 0
    said = one_line(outcome.out)
    for words in (*ABOUT.values(), CONTROL.wrong, "python -m derivations bounds", "flowsim check --only bound", "should hold"):
        assert words in said, words
    for number in ("Theorem 1", "Lemma 2"):
        assert f"{number}: {flowsim.claims.STATEMENTS[number]}" in said
    assert max(map(len, outcome.out.splitlines())) <= 110
    data = json.loads(check("--explain", "bound", "--json").out)
    assert data == json.loads(check("--list", "--json").out)["claims"][1]
    plain = one_line(check("--explain", "long").out)
    assert "derivation none" in plain
    assert "of the paper none of its numbered statements" in plain
    assert not list(tmp_path.iterdir())


def test_a_misprint_is_explained_as_one(check, registry):
    registry(claim("bound-as-printed", "violated", "violated"))
    assert "should be violated, since it is kept as printed and misprinted" in one_line(check("--explain", "bound-as-printed").out)


@pytest.mark.parametrize("mode", [["--list"], ["--explain", "slope"]], ids=lambda mode: mode[0])
@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--output a", "--output"),
        ("--thorough", "--thorough"),
        ("--seed 0", "--seed"),
        ("--depth 2", "--depth"),
        ("--law sphere", "--law and its options"),
        ("--dim 3", "--law and its options"),
    ],
)
def test_options_without_effect_are_refused(check, registry, tmp_path, mode, words, named):
    refused = check(*mode, *words.split())
    assert refused.code == 2
    assert f"{named} must be left out with {mode[0]}" in refused.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--explain slope --list", "--list must be left out with --explain"),
        ("--explain slope --only slope", "--only must be left out with --explain"),
        ("--label-noise 0.1", "--label-noise must be left out with check: claims about label noise bring their own"),
        ("--depth 0", "`depth` must be a whole number from 1 to 100, but is 0"),
        ("--depth 3 101", "`depth` must be a whole number from 1 to 100, but is 101"),
        ("--seed -1", "`seed` must be a whole number, 0 or more, but is -1"),
        ("--law sphere --df 3", "--df does not belong to the law 'sphere'"),
        ("--law student-t --df 1", "`df` of StudentT must be above 1"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_made(check, registry, tmp_path, words, said):
    registry(measured_by(stop, "slope"))
    outcome = check(*words.split())
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_files_is_found_out_before_measuring(check, command, registry, tmp_path):
    registry(measured_by(stop, "long"))
    (tmp_path / "file").write_text("")
    outcome = check("--output", "file/report")
    assert outcome.code == 2
    assert "cannot make the folder 'file/report': Not a directory" in outcome.err
    for name in REPORT:
        (tmp_path / name[:6] / name).mkdir(parents=True)
        outcome = check("--output", name[:6])
        assert outcome.code == 2
        assert f"cannot write '{name[:6]}/{name}': it is a folder" in outcome.err
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "figures").write_text("")
    outcome = command("check", "--output", "taken")
    assert outcome.code == 2
    assert "cannot make the folder 'taken/figures': a file of this name is there" in outcome.err


PICTURE = Picture((Curve(np.array([1.0, 2.0]), np.array([1.0, 4.0]), "measured", "slope"),), "$t$", "$r$")


def test_the_figures_are_written_beside_the_verdicts(command, registry, tmp_path):
    registry(claim("slope", "holds", picture=PICTURE), claim("other", "holds"))
    outcome = command("check")
    assert outcome.code == 0
    folder = tmp_path / "flowsim-report"
    assert {entry.name for entry in folder.iterdir()} == REPORT | FIGURES | {"figures"}
    assert [entry.name for entry in (folder / "figures").iterdir()] == ["slope.pdf"]
    assert all((folder / name).stat().st_size > 1000 for name in FIGURES)
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 3


@pytest.fixture
def light(monkeypatch):
    """The two further figures without the runs they take."""
    from matplotlib.figure import Figure

    import flowsim.present

    for name in ("rates_figure", "paper_figure"):
        monkeypatch.setattr(flowsim.present, name, lambda *_: Figure(figsize=(1.0, 1.0)))
    monkeypatch.setattr(flowsim.present, "late_flows", lambda: None)
    monkeypatch.setattr(flowsim.present, "paper_runs", lambda: (None, None))


def test_figures_that_cannot_be_written_do_not_lose_the_verdicts(command, registry, light, monkeypatch, tmp_path):
    def full(figure, path):
        raise OSError(f"cannot write {str(path)!r}: No space left on device")

    monkeypatch.setattr("flowsim.present.report.page.save_figure", full)
    registry(claim("slope", "holds", picture=PICTURE))
    outcome = command("check", "--json")
    assert outcome.code == 1
    assert outcome.err.count("No space left on device") == 5
    assert json.loads(outcome.out)["passed"] is True
    assert written(tmp_path)["passed"] is True
    assert (tmp_path / "flowsim-report" / "report.html").read_text().count("<svg") == 3


def test_no_figures_means_none(command, registry, light, tmp_path):
    registry(claim("slope", "holds", picture=PICTURE))
    assert command("check", "--no-figures").code == 0
    folder = tmp_path / "flowsim-report"
    assert {entry.name for entry in folder.iterdir()} == REPORT
    assert "<svg" not in (folder / "report.html").read_text()


def test_a_claim_that_raises_is_undecided_and_named(check, registry):
    def broken(setting, theory):
        raise ValueError("no such law")

    registry(measured_by(broken, "broken"))
    outcome = check()
    assert outcome.code == 1
    assert "UNDECIDED, should hold" in one_line(outcome.out)
    assert "no such law" in one_line(outcome.out)


def test_seventy_claims_stay_readable(check, registry):
    """A row takes a few lines at most, whatever is in it, and every name is there."""
    long = Finding("holds", "an exponent of some length, 2N/(N+2)", "largest gap 1.2e-12 over 288 flows, at t = 1e12", "")
    names = [f"claim-number-{i}-about-the-late-rates" for i in range(70)]
    registry(*(replace(claim(name, "holds"), measure=lambda *_: long) for name in names))
    out = check().out
    assert len(out.splitlines()) < 70 * 3 + 12
    assert max(map(len, out.splitlines())) <= 110
    for i in range(70):
        assert re.search(rf"claim-number-{i}-", out)
