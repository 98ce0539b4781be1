"""check: every claim, measured, with its verdict."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowsim.commands.output import DONE, FAILED, INTERRUPTED, check_writable, complain, write_all
from flowsim.files import write_whole

if TYPE_CHECKING:
    from flowsim.claims import Claim, Report, Verdict

DEFAULT = Path("flowsim-report")
WIDTH = 110
"""Of the table where the output is no terminal."""
NAME_WIDTH, VERDICT_WIDTH = 26, 13


def check(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    only: Annotated[list[str] | None, Parameter(consume_multiple=(1, None), negative="")] = None,
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    thorough: Annotated[bool, Parameter(negative="")] = False,
    figures: bool = True,
) -> int:
    """Measure every claim of the theory and write a report. Exit code 0 if each comes out as it should.

    Parameters
    ----------
    output
        Folder for checks.json and the figures rates and paper, as .pdf and .png [default: flowsim-report].
    json
        Print the report as JSON, and nothing else, on standard output.
    only
        Names of the claims to measure; --list knows them.
    list_
        List the claims and measure nothing.
    thorough
        Measure some claims longer and with more cases; minutes instead of half a minute.
    figures
        Whether to draw the figures.
    """
    from flowsim import claims

    wanted = _wanted(claims.registry(), only)
    if list_:
        if output is not None:
            raise ValueError("--output must be left out with --list, which writes no file")
        if thorough:
            raise ValueError("--thorough must be left out with --list, which measures nothing")
        _list(wanted, json)
        return DONE
    folder = DEFAULT if output is None else output
    _make_folder(folder)
    report = _measure(wanted, thorough)
    data = _plain(report.to_dict())
    code = write_all(partial(write_whole, folder / "checks.json", lambda part: part.write_text(_dump(data) + "\n", encoding="utf-8")))
    if json:
        print(_dump(data))
    else:
        _print_report(report, folder)
    if report.interrupted:
        return complain(f"interrupted after {len(report.verdicts)} of {len(wanted)} claims", INTERRUPTED)
    if figures:
        code = _draw(folder) or code
    return code if report.passed else FAILED


def _wanted(registry: Sequence["Claim"], only: Sequence[str] | None) -> list["Claim"]:
    """The claims of these names in the registry's order, all without names."""
    import difflib

    known = [claim.name for claim in registry]
    for name in only or []:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no claim is named {name!r}{hint} (flowsim check --list has all names)")
    return [claim for claim in registry if only is None or claim.name in only]


def _make_folder(folder: Path) -> None:
    """Make it and see that it takes files, before anything is measured."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {str(folder)!r}: {error.strerror or error}") from error
    check_writable(folder / "checks.json")


def _measure(wanted: Sequence["Claim"], thorough: bool) -> "Report":
    from flowsim import claims
    from flowsim.dynamics.progress import Progress

    with Progress("claims", len(wanted), "claims") as progress:

        def advance(_: "Verdict") -> None:
            progress.advance(1)

        return claims.check([claim.name for claim in wanted], advance, thorough)


def _draw(folder: Path) -> int:
    from flowsim.present import late_flows, paper_figure, paper_runs, rates_figure, save_figure

    writers = []
    for name, figure in (("rates", rates_figure(late_flows())), ("paper", paper_figure(*paper_runs()))):
        writers += [partial(save_figure, figure, folder / f"{name}.{kind}") for kind in ("pdf", "png")]
    return write_all(*writers)


def _plain(value: Any) -> Any:
    """JSON has no nan and no infinity, and knows no NumPy: words and lists for them."""
    import math

    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _dump(data: Any) -> str:
    import json

    return json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False)


def _list(wanted: Sequence["Claim"], as_json: bool) -> None:
    if as_json:
        names = ("name", "statement", "source", "setting", "expected")
        print(_dump({"claims": [{name: getattr(claim, name) for name in names} for claim in wanted]}))
        return
    table = _table("claim", "source", "setting", "should")
    for claim in wanted:
        table.add_row(_name(claim), *map(_text, (claim.source, claim.setting, _should(claim.expected))))
    _console().print(table)


def _should(expected: str) -> str:
    return {
        "holds": "hold",
        "violated": "be violated",
        "consistent": "be consistent (formal)",
        "contradicted": "be contradicted",
        "undecided": "stay undecided",
    }[expected]


def _print_report(report: "Report", folder: Path) -> None:
    table = _table("claim", "predicted", "measured", "verdict")
    for verdict in report.verdicts:
        finding = verdict.finding
        if verdict.as_expected:
            said, colour = finding.verdict + (", as it should" if finding.verdict == "violated" else ""), "green"
        else:
            said, colour = f"{finding.verdict.upper()}, should {_should(verdict.claim.expected)}", "bold red"
        table.add_row(_name(verdict.claim), _text(finding.predicted), _text(finding.measured), _text(said, colour))
    console = _console()
    console.print(table)
    good = sum(verdict.as_expected for verdict in report.verdicts)
    seconds = sum(verdict.seconds for verdict in report.verdicts)
    console.print(_text(f"{good} of {len(report.verdicts)} claims came out as they should, in {seconds:.0f} s; report in {folder}/"))


def _table(*names: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1), expand=True)
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
