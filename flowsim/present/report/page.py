"""The report of a check: report.html, checks.json, claims.tex and the figures."""

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from flowsim.claims import LATER, STATEMENTS, Claim, Picture, Report, Setting, Verdict
from flowsim.claims import chapters as every_chapter
from flowsim.files import write_whole
from flowsim.present.report.formulas import mathml
from flowsim.present.report.inline_svg import inline_svg
from flowsim.present.report.latex_table import claims_table
from flowsim.present.report.pictures import draw_picture
from flowsim.present.report.tidy import tables
from flowsim.present.style import save_figure

TEMPLATES = Path(__file__).with_name("templates")
SCHEMA = Path(__file__).with_name("checks.schema.json")
"""JSON Schema of checks.json."""

MEANINGS = {
    "holds": "the measurement agrees with the statement within the tolerance",
    "violated": "the measurement contradicts the statement",
    "consistent": "a formal statement, which asymptotics suggest and nothing yet proves, agrees with the measurement",
    "contradicted": "a formal statement disagrees with the measurement",
    "undecided": "the measurement cannot tell, or broke off with an error",
    "outside": "the statement does not speak of the laws or depths asked for: left out, neither passed nor failed",
}


def write_report(
    report: Report,
    folder: str | Path,
    command: str = "flowsim check",
    *,
    figures: bool = True,
    further: Mapping[str, tuple[Figure, str]] | None = None,
    chapters: Mapping[str, Sequence[Claim]] | None = None,
    on_claim: Callable[[], None] | None = None,
) -> list[OSError]:
    """Write report.html, checks.json, claims.tex and figures/NAME.pdf of each claim with a picture into ``folder``, which it makes.

    report: what `flowsim.check` returned.  command: the command line that gave it, without names of claims.
    figures: whether to draw the claims' pictures.  further: other figures by name, each with a caption; written as NAME.pdf and NAME.png
        into ``folder`` and shown in the page.  chapters: every claim there is, by what it is about; the registry's by default.
    on_claim: called after each claim's picture.

    Each file is written whole or not at all. Returns the errors of those that could not be written, one each; none is raised.
    The same verdicts give the same files, but for the seconds they took.

    >>> import tempfile, flowsim as fs
    >>> from pathlib import Path
    >>> report = fs.check(["lemma-3-direction-speed"], laws=fs.Gaussian(dim=2), depths=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     errors = fs.present.write_report(report, folder, figures=False)
    ...     (Path(folder) / "report.html").is_file(), errors
    (True, [])
    """
    folder, further = Path(folder), dict(further or {})
    chapters = every_chapter() if chapters is None else chapters
    errors: list[OSError] = []

    def put(writer: Callable[[], Any]) -> None:
        try:
            writer()
        except OSError as error:
            errors.append(error)

    put(partial(folder.mkdir, parents=True, exist_ok=True))
    put(partial(_write, folder / "checks.json", dump(report.to_dict()) + "\n"))
    put(partial(_write, folder / "claims.tex", claims_table(report.verdicts, chapters, _caption(report), command)))
    drawn: dict[str, str] = {}
    pictures = [verdict for verdict in report.verdicts if figures and verdict.finding.picture is not None]
    if pictures:
        put(partial((folder / "figures").mkdir, parents=True, exist_ok=True))
    for verdict in pictures:
        name, picture = verdict.claim.name, verdict.finding.picture
        assert picture is not None
        figure = draw_picture(picture).get_figure(root=True)
        assert isinstance(figure, Figure)
        drawn[name] = inline_svg(figure, name, describe(picture))
        put(partial(save_figure, figure, folder / "figures" / f"{name}.pdf"))
        if on_claim is not None:
            on_claim()
    shown = []
    for name, (figure, caption) in further.items():
        shown.append((name, inline_svg(figure, f"figure-{name}", caption), caption))
        for kind in ("pdf", "png"):
            put(partial(save_figure, figure, folder / f"{name}.{kind}"))
    put(partial(_write, folder / "report.html", page(report, chapters, command, drawn, shown)))
    return errors


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def dump(data: Any) -> str:
    """``data`` as JSON; nan and infinities, which JSON does not have, as the words "nan", "inf" and "-inf"."""
    text = json.dumps(_plain(data), indent=2, allow_nan=False, ensure_ascii=False)
    # lists of numbers on one line; strings hold no line ends, so this changes nothing but the layout
    return re.sub(r"\[\n\s*([^\[\]{}\"]*?)\n\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def page(
    report: Report,
    chapters: Mapping[str, Sequence[Claim]],
    command: str,
    drawn: Mapping[str, str],
    shown: Sequence[tuple[str, str, str]] = (),
) -> str:
    """report.html as text. drawn: SVG of the claims' pictures by name.  shown: further figures: name, SVG, caption."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"formula": formula, "tables": tables, "said": said, "anchor": anchor}
    every = [claim for claims in chapters.values() for claim in claims]
    by_name = {verdict.claim.name: verdict for verdict in report.verdicts}
    measured = report.measured
    return environment.get_template("report.html").render(
        report=report,
        command=command,
        whole_command=_whole_command(report, command, every),
        setting=setting_words(report.setting),
        versions=report.to_dict()["versions"],
        good=sum(verdict.as_expected for verdict in measured),
        unexpected=[verdict for verdict in report.verdicts if not verdict.as_expected],
        counts={name: count for name in MEANINGS if (count := sum(verdict.finding.verdict == name for verdict in report.verdicts))},
        meanings=MEANINGS,
        coverage=coverage(every, by_name),
        chapters=[(title, [by_name[c.name] for c in claims if c.name in by_name]) for title, claims in chapters.items()],
        outside=left_out(report.verdicts),
        seconds=sum(verdict.seconds for verdict in report.verdicts),
        drawn=drawn,
        shown=shown,
    )


def formula(statement: str) -> str:
    """A statement as MathML; as LaTeX where it cannot be converted."""
    try:
        return mathml(statement)
    except ValueError:
        return f"<code>{escape(statement)}</code>"


def said(verdict: Verdict) -> str:
    """The verdict in words: whether it is the one it should be."""
    found, expected = verdict.finding.verdict, verdict.claim.expected
    if not verdict.as_expected:
        return f"{found}, should be {expected}" if expected != "holds" else f"{found}, should hold"
    return f"{found}, as it should be" if found in ("violated", "contradicted") else found


def coverage(claims: Sequence[Claim], by_name: Mapping[str, Verdict]) -> list[dict[str, Any]]:
    """For each numbered statement of the paper: what it says, the claims about it with their verdicts, and why there is none."""
    rows = []
    for number, says in STATEMENTS.items():
        about = [(claim.name, by_name.get(claim.name)) for claim in claims if number in claim.about]
        rows.append({"number": number, "says": says, "claims": about, "later": LATER.get(number, "")})
    return rows


def left_out(verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    """Names of the claims that do not speak of what was asked for, by the reason."""
    reasons: dict[str, list[str]] = {}
    for verdict in verdicts:
        if not verdict.measured:
            reasons.setdefault(verdict.finding.measured, []).append(verdict.claim.name)
    return reasons


def setting_words(setting: Setting) -> dict[str, str]:
    """Laws, depths, seed and length of the runs, as words."""
    return {
        "laws": "each claim's own" if setting.laws is None else ", ".join(law.label() for law in setting.laws),
        "depths": "each claim's own" if setting.depths is None else ", ".join(map(str, setting.depths)),
        "seed": str(setting.seed),
        "runs": "thorough: longer and more of them" if setting.thorough else "of ordinary length",
    }


def _caption(report: Report) -> str:
    good, words = sum(verdict.as_expected for verdict in report.measured), setting_words(report.setting)
    version = report.to_dict()["versions"]["flowsim"]
    return (
        f"Claims measured by flowsim {version}: {good} of {len(report.measured)} came out as they should. "
        f"Laws: {words['laws']}; depths: {words['depths']}; seed {words['seed']}; runs {words['runs']}."
    )


def _whole_command(report: Report, command: str, every: Sequence[Claim]) -> str:
    names = [verdict.claim.name for verdict in report.verdicts]
    return command if report.interrupted or len(names) == len(every) or not names else f"{command} --only {shlex.join(names)}"


def describe(picture: Picture) -> str:
    """A picture in words, for those who cannot see it."""
    parts = []
    for role, words in (("measured", "measured"), ("predicted", "predicted"), ("limit", "limits")):
        names = [curve.label for curve in picture.curves if curve.role == role]
        if names:
            named = ", ".join(dict.fromkeys(name for name in names if name))
            parts.append(f"{words}: {named or len(names)}")
    return _unmarked(f"{picture.y} against {picture.x}; {'; '.join(parts)}")


def _unmarked(text: str) -> str:
    return re.sub(r"[${}]|\\(?=[A-Za-z])", "", text)


def anchor(number: str) -> str:
    """The place of a numbered statement in the page."""
    return "statement-" + re.sub(r"[^a-z0-9]+", "-", number.lower())
