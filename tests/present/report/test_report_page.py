"""The report of a few made-up claims: what is in each file, that nothing else is, and that a file that cannot be written costs no other."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from flowsim.claims import LATER, STATEMENTS, Report, Setting, Verdict
from flowsim.present.report import page as report_module
from flowsim.present.report.page import write_report
from flowsim.problem import Gaussian

VOID = {"meta", "link", "input", "br", "mspace"}


class Page(HTMLParser):
    """Elements of a page with their attributes and texts; fails on tags that are not closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], text
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, **dict(attributes), "": [], "parts": [], "inside": [name for name, _ in self.open]}
        self.elements.append(element)
        for _, outer in self.open:
            outer["parts"].append(element)
        if tag not in VOID:
            self.open.append((tag, element))

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, **dict(attributes), "": [], "inside": [name for name, _ in self.open]})

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a beginning"
        name, _ = self.open.pop()
        assert name == tag, f"<{name}> is closed by </{tag}>"

    def handle_data(self, data):
        for _, element in self.open:
            element[""].append(data)

    def all(self, tag, **attributes):
        found = [e for e in self.elements if e["tag"] == tag]
        return [e for e in found if all(e.get(name.rstrip("_")) == value for name, value in attributes.items())]


def words(element):
    return " ".join("".join(element[""]).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, made_up):
    folder = tmp_path_factory.mktemp("report")
    assert write_report(made_up.report, folder, "flowsim check --seed 3", chapters=made_up.chapters) == []
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def write_again(made_up, folder, report=None, **more):
    assert write_report(report or made_up.report, folder, "flowsim check --seed 3", chapters=made_up.chapters, **more) == []
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_files_are_the_report_and_a_figure_for_each_picture(folder, made_up):
    assert {entry.name for entry in folder.iterdir()} == {"report.html", "checks.json", "claims.tex", "figures"}
    drawn = {v.claim.name for v in made_up.report.verdicts if v.finding.picture is not None}
    assert {entry.name for entry in (folder / "figures").iterdir()} == {f"{name}.pdf" for name in drawn}
    assert all(entry.read_bytes().startswith(b"%PDF") for entry in (folder / "figures").iterdir())
    assert len(drawn) > 2


def test_every_claim_unfolds_to_all_that_is_known_of_it(page, made_up):
    for verdict in made_up.report.verdicts:
        claim, finding = verdict.claim, verdict.finding
        (element,) = page.all("details", id=claim.name)
        inside = words(element)
        known = [
            claim.source,
            claim.setting,
            claim.method,
            claim.fails,
            claim.control.wrong,
            finding.measured,
            finding.tolerance,
            finding.worst,
        ]
        for text in known:
            assert " ".join(text.split()) in inside, f"{claim.name}: {text}"
        assert f"flowsim check --seed 3 --only {claim.name}" in inside
        assert (f"python -m derivations {claim.derivation}" in inside) == bool(claim.derivation)


def test_every_statement_of_the_paper_is_there_with_its_claims(page, made_up):
    rows = {words(e): e for e in page.all("tr") if e.get("id", "").startswith("statement-")}
    assert len(rows) == len(STATEMENTS)
    for number, says in STATEMENTS.items():
        (row,) = (text for text in rows if text.startswith(f"{number}{says}"))
        about = [claim.name for claims in made_up.chapters.values() for claim in claims if number in claim.about]
        assert all(name in row for name in about)
        if number in LATER:
            assert LATER[number] in row
        elif not about:
            assert "no claim" in row
    skipped = next(row for row in rows if row.startswith("Lemma 2"))
    assert "never-measured not in this run" in skipped


def test_the_table_of_verdicts_has_a_row_a_claim_that_leads_to_it(page, made_up):
    rows = [e for e in page.all("tr") if "data-claim" in e]
    assert [row["data-claim"] for row in rows] == [v.claim.name for v in made_up.report.verdicts]
    heads = [e for e in page.all("th", scope="col") if "aria-sort" in e]
    assert [words(head) for head in heads] == ["chapter", "claim", "of the paper", "predicted", "measured", "verdict", "s"]
    for row, verdict in zip(rows, made_up.report.verdicts, strict=True):
        assert verdict.finding.predicted in words(row)


def test_verdicts_are_told_in_words(page, made_up):
    (misprint,), (formal,) = page.all("details", id="bound-as-printed"), page.all("details", id="burst")
    assert "as printed in the paper's submitted version, and known to be a misprint or a misreading of the print" in words(misprint)
    assert "violated, as it should be" in words(misprint)
    assert "asymptotics suggest it and nothing yet proves it" in words(formal)
    (wrong,) = page.all("details", id="wrong")
    assert "violated, should hold" in words(wrong)
    assert "5 of 6 claims came out as they should" in " ".join(words(e) for e in page.all("p"))
    (outside,) = page.all("details", id="deep")
    assert "the statement speaks of N >= 3, and not of N = 1" in words(outside)
    assert any("speaks of N >= 3, and not of N = 1: deep" in words(e) for e in page.all("li"))


def test_text_of_a_claim_is_never_markup(page, made_up):
    assert not page.all("b")
    assert len(page.all("script")) == 1
    (element,) = page.all("details", id="sharp")
    assert "<b>bold</b> & <script>alert(1)</script>" in words(element)


def test_the_page_is_whole_in_itself(page):
    for element in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            target = element.get(name)
            assert target is None or target.startswith("#") or target == "data:,", f"{element['tag']} {name}={target}"
    assert "@import" not in page.text
    assert all(target.startswith(("#", "data:")) for target in re.findall(r"url\(['\"]?([^)'\"]+)", page.text))
    assert not re.search(r"https?://(?!www\.w3\.org/(1998/Math/MathML|2000/svg))", page.text)


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [e["id"] for e in page.elements if "id" in e]
    assert len(ids) == len(set(ids))
    targets = {e["href"][1:] for e in page.elements if e.get("href", "").startswith("#")}
    targets |= {e["aria-labelledby"] for e in page.elements if "aria-labelledby" in e}
    targets |= {e["for"] for e in page.elements if "for" in e}
    targets |= set(re.findall(r"url\(#([^)]+)\)", page.text))
    assert len(targets) > 10
    assert targets <= set(ids), targets - set(ids)


def test_the_page_can_be_used_without_seeing_it(page):
    (html,) = page.all("html")
    assert html["lang"] == "en"
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert levels[0] == 1 == levels.count(1)
    assert all(b - a <= 1 for a, b in pairwise(levels)), levels
    assert all(e.get("scope") in ("col", "row") for e in page.all("th"))
    assert all(e.get("role") == "img" for e in page.all("svg"))
    titles = [words(e) for e in page.all("title") if "svg" in e["inside"]]
    assert len(titles) == len(page.all("svg"))
    assert any(title == "-s against t; measured: N=1, N=2; predicted: theory" for title in titles), titles
    assert all(e.get("aria-label") for e in page.elements if e.get("role") == "region")
    assert all(e.get("alttext") for e in page.all("math"))


def rules(name, text):
    """Custom properties of one block of the style sheet."""
    block = re.search(re.escape(name) + r"\s*\{\s*(?::root\s*\{)?([^}]*)", text)[1]
    return dict(re.findall(r"(--[\w-]+):\s*(#[0-9a-f]{6})", block))


def contrast(first, second):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [":root", "@media (prefers-color-scheme: dark)", "@media print"])
def test_text_stands_out_from_what_is_behind_it(page, scheme):
    colour = rules(scheme, page.text)
    pairs = [(text, back) for text in ("--ink", "--soft", "--link", "--good", "--bad") for back in ("--paper", "--card")]
    pairs += [(f"--{name}", f"--{name}-back") for name in ("good", "bad", "formal", "aside")] + [("--ink", "--aside-back")]
    pairs += [("--fig-ink", "--fig-paper"), ("--fig-grey", "--fig-paper")]
    for text, back in pairs:
        assert contrast(colour[text], colour[back]) >= 4.5, (text, back)
    for name in ("blue", "red", "green", "pink", "orange", "sky"):
        # lines on white are the style's own, which is chosen for colour vision; in the dark they are made to stand out
        assert contrast(colour[f"--fig-{name}"], colour["--fig-paper"]) >= (6.0 if "dark" in scheme else 2.0), name


def test_the_same_verdicts_give_the_same_files(folder, tmp_path, made_up):
    write_again(made_up, tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes(), path


def test_only_seconds_tell_two_runs_apart(folder, tmp_path, made_up):
    slower = replace(made_up.report, verdicts=tuple(replace(v, seconds=v.seconds + 7.25) for v in made_up.report.verdicts))
    first, second = (write_again(made_up, tmp_path, report, figures=False).splitlines() for report in (made_up.report, slower))
    assert (tmp_path / "claims.tex").read_bytes() == (folder / "claims.tex").read_bytes()
    changed = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    assert len(changed) == len(made_up.report.verdicts) + 1
    for a, b in changed:
        seconds = r'(?<=<td class="number">)\d+\.\d\d(?=</td></tr>)|(?<=together took )\d+(?= s)'
        assert re.sub(seconds, "", a) == re.sub(seconds, "", b)


def test_the_page_is_small(page, made_up):
    """Below 6 MB with 80 claims: what a claim takes, with a picture, and what they share."""
    alone = len(page.text) / len(made_up.report.verdicts)
    assert 80 * alone < 6e6


def test_a_setting_is_told(tmp_path, made_up):
    report = replace(made_up.report, setting=Setting(laws=Gaussian(5), depths=[3, 4], seed=3, thorough=True))
    page = Page(write_again(made_up, tmp_path, report, figures=False))
    told = dict(zip([words(e) for e in page.all("dt")][:4], [words(e) for e in page.all("dd")][:4], strict=True))
    assert told == {
        "laws of the data": "Gaussian(dim=5, scale=1)",
        "depths": "3, 4",
        "seed": "3",
        "runs": "thorough: longer and more of them",
    }


def test_an_empty_report_is_a_page_that_says_so(tmp_path, made_up):
    page = Page(write_again(made_up, tmp_path, Report((), interrupted=True)))
    said = " ".join(words(e) for e in page.all("p"))
    assert "The run was interrupted" in said
    assert "Nothing was measured." in said


def test_without_figures_there_are_none(tmp_path, made_up):
    assert "<svg" not in write_again(made_up, tmp_path, figures=False)
    assert not (tmp_path / "figures").exists()


def test_further_figures_are_written_and_shown(tmp_path, made_up):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0, 2.0))
    figure.subplots().plot([1.0, 2.0], label="x")
    text = write_again(made_up, tmp_path, further={"rates": (figure, "Rates < bounds.")})
    assert {"rates.pdf", "rates.png"} < {entry.name for entry in tmp_path.iterdir()}
    page = Page(text)
    (shown,) = page.all("figure", id="figure-rates")
    assert words(shown).endswith("Rates < bounds. Also in rates.pdf and rates.png.")


def test_a_file_that_cannot_be_written_costs_no_other(tmp_path, made_up):
    (tmp_path / "claims.tex").mkdir()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "slope.pdf").mkdir()
    errors = write_report(made_up.report, tmp_path, chapters=made_up.chapters)
    assert [str(error).split(":")[0] for error in errors] == [
        f"cannot write '{tmp_path / 'claims.tex'}'",
        f"cannot write '{tmp_path / 'figures' / 'slope.pdf'}'",
    ]
    assert json.loads((tmp_path / "checks.json").read_text())["claims"]
    assert "</html>" in (tmp_path / "report.html").read_text()
    assert len(list((tmp_path / "figures").iterdir())) == 4
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_made_is_all_errors_and_no_exception(tmp_path, made_up):
    (tmp_path / "file").write_text("")
    errors = write_report(made_up.report, tmp_path / "file" / "report", chapters=made_up.chapters, figures=False)
    assert len(errors) == 4
    assert all(isinstance(error, OSError) for error in errors)


def test_progress_is_told_for_each_picture(tmp_path, made_up):
    told = []
    write_again(made_up, tmp_path, on_claim=lambda: told.append(1))
    assert len(told) == sum(v.finding.picture is not None for v in made_up.report.verdicts)


def test_the_registry_is_taken_where_no_chapters_are_given(tmp_path, made_up, monkeypatch):
    monkeypatch.setattr(report_module, "every_chapter", lambda: made_up.chapters)
    assert write_report(made_up.report, tmp_path, figures=False) == []
    assert 'id="slope"' in (tmp_path / "report.html").read_text()


def test_an_error_in_a_measurement_is_shown(tmp_path, made_up):
    first = made_up.report.verdicts[0]
    broken = Verdict(first.claim, replace(first.finding, verdict="undecided", predicted="", measured="ValueError: no such law"), 0.0)
    page = Page(write_again(made_up, tmp_path, Report((broken,))))
    (element,) = page.all("details", id=first.claim.name)
    told = dict(zip(*([words(e) for e in element["parts"] if e["tag"] == tag] for tag in ("dt", "dd")), strict=True))
    assert told["predicted"] == "nothing, since the measurement broke off"
    assert told["measured"] == "ValueError: no such law"
