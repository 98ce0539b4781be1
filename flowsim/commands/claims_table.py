"""What check prints: verdicts by chapter, lists of claims, and one claim explained."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsim.claims import Claim, Report, Verdict

Chapters = Mapping[str, Sequence["Claim"]]

WIDTH = 110
"""Of the table where the output is no terminal."""
NAME_WIDTH, VERDICT_WIDTH = 26, 13


def print_verdicts(report: "Report", chapters: Chapters) -> None:
    """A row for each claim that was measured, under its chapter; then how many were as they should be, and how many were left out."""
    from flowsim.present.report.page import left_out

    console = _console()
    by_name = {verdict.claim.name: verdict for verdict in report.measured}
    heads = ("claim", "predicted", "measured", "verdict")
    for title, claims in _filled(chapters, by_name):
        good = sum(by_name[claim.name].as_expected for claim in claims)
        table = _table(*heads, title=f"{title} ({good} of {len(claims)})")
        for claim in claims:
            finding = by_name[claim.name].finding
            said, colour = _said(by_name[claim.name])
            table.add_row(_name(claim), _text(finding.predicted), _text(finding.measured), _text(said, colour))
        console.print(table)
        console.print()
    good = sum(verdict.as_expected for verdict in report.measured)
    seconds = sum(verdict.seconds for verdict in report.verdicts)
    console.print(_text(f"{good} of {len(report.measured)} claims came out as they should, in {seconds:.0f} s"))
    outside = left_out(report.verdicts)
    if outside:
        console.print(
            _text(f"left out, and counted neither way: {sum(map(len, outside.values()))}, which do not speak of what was asked for")
        )
        for reason, names in outside.items():
            console.print(_text(f"  {len(names)} ({reason}): {', '.join(names)}"))


def list_claims(wanted: Sequence["Claim"], chapters: Chapters, as_json: bool) -> None:
    """Names, sources and settings of these claims, by chapter; or all that is known of each before it is measured, as JSON."""
    by_name = {claim.name: claim for claim in wanted}
    if as_json:
        from flowsim.present.report.page import dump

        print(dump({"claims": [record(claim, title) for title, claims in _filled(chapters, by_name) for claim in claims]}))
        return
    console = _console()
    for title, claims in _filled(chapters, by_name):
        table = _table("claim", "source", "setting", "should", title=title)
        for claim in claims:
            table.add_row(_name(claim), *map(_text, (claim.source, claim.setting, _should(claim.expected))))
        console.print(table)
        console.print()


def explain_claim(claim: "Claim", chapters: Chapters, as_json: bool) -> None:
    """All that is known of a claim before it is measured."""
    from rich.table import Table

    from flowsim.claims import STATEMENTS

    title = next(title for title, _ in _filled(chapters, {claim.name: claim}))
    if as_json:
        from flowsim.present.report.page import dump

        print(dump(record(claim, title)))
        return
    rows = {
        "statement": claim.statement,
        "source": claim.source,
        "of the paper": "; ".join(f"{number}: {STATEMENTS[number]}" for number in claim.about) or "none of its numbered statements",
        "derivation": f"{claim.derivation} (python -m derivations {claim.derivation})" if claim.derivation else "none",
        "setting": claim.setting,
        "how measured": claim.method,
        "fails at": claim.fails,
        "control": f"{claim.control.wrong} (must not come out as this claim should)",
        "should": _should(claim.expected) + (", since it is kept as printed and misprinted" if claim.expected == "violated" else ""),
        "measure it": f"flowsim check --only {claim.name}",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(width=12)
    table.add_column(overflow="fold")
    for name, words in rows.items():
        table.add_row(_text(name, "bold"), _text(words))
    console = _console()
    console.print(_text(f"{claim.name} ({title})", "bold"))
    console.print(table)


def record(claim: "Claim", chapter: str) -> dict[str, Any]:
    """What is known of a claim before it is measured, for JSON; names as in checks.json."""
    names = ("statement", "source", "derivation", "setting", "method", "fails", "expected")
    about = {"about": list(claim.about), "control": claim.control.wrong}
    return {"name": claim.name, "chapter": chapter, **{name: getattr(claim, name) for name in names}, **about}


def _filled(chapters: Chapters, wanted: Mapping[str, Any]) -> Iterator[tuple[str, list["Claim"]]]:
    """Each chapter with the wanted claims in it, unless there are none."""
    for title, claims in chapters.items():
        inside = [claim for claim in claims if claim.name in wanted]
        if inside:
            yield title, inside


def _said(verdict: "Verdict") -> tuple[str, str]:
    """The verdict in words, and its colour."""
    found = verdict.finding.verdict
    if verdict.as_expected:
        return found + (", as it should" if found == "violated" else ""), "green"
    return f"{found.upper()}, should {_should(verdict.claim.expected)}", "bold red"


def _should(expected: str) -> str:
    return {
        "holds": "hold",
        "violated": "be violated",
        "consistent": "be consistent (formal)",
        "contradicted": "be contradicted",
        "undecided": "stay undecided",
        "outside": "be left out",
    }[expected]


def _table(*names: str, title: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1), expand=True, title=_text(title, "bold"), title_justify="left", title_style=""
    )
    table.add_column(names[0], width=NAME_WIDTH)
    for name, ratio in zip(names[1:-1], (1, 1), strict=True):
        table.add_column(name, ratio=ratio, overflow="fold")
    table.add_column(names[-1], width=VERDICT_WIDTH)
    return table


def _name(claim: "Claim") -> Any:
    """Broken at hyphens where it is too long for its column."""
    import textwrap

    return _text("\n".join(textwrap.wrap(claim.name, NAME_WIDTH)))


def _text(words: str, style: str = "") -> Any:
    """Brackets in a formula are no markup."""
    from rich.text import Text

    return Text(words, style)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH, highlight=False)
