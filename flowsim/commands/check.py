"""check: every claim, measured, with its verdict; a report."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowsim.commands.claims_table import explain_claim, list_claims, print_verdicts
from flowsim.commands.options import LAW_GROUP, OUTPUT_GROUP, RUN_GROUP, LawOptions, Whole
from flowsim.commands.output import DONE, FAILED, INTERRUPTED, check_writable, complain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowsim.claims import Claim, Report
    from flowsim.problem import Law

DEFAULT = Path("flowsim-report")
NEAR = 0.7
"""How alike a name has to be to be offered beside the nearest."""

RATES_CAPTION = (
    "Direction and norm of the gradient flow at depths 1, 2, 3 and 5 (solid) with the theory's leading order (dashed), and the local "
    "exponents below. Gaussian law in two dimensions, from r = 1, theta = 1.5, whatever the claims were measured on."
)
PAPER_CAPTION = (
    "The paper's figure 1 with the gradient of the population risk in the place of samples: flow (line), descent (points) and the bounds "
    "of Theorems 1 and 5, from the start and from where the paper starts them anew (dashed). One and four layers on the circle."
)


def check(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)] = None,
    json: Annotated[bool, Parameter(negative="", group=OUTPUT_GROUP)] = False,
    figures: Annotated[bool, Parameter(group=OUTPUT_GROUP)] = True,
    only: Annotated[list[str] | None, Parameter(consume_multiple=(1, None), negative="")] = None,
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    explain: str | None = None,
    law: Annotated[LawOptions | None, Parameter(group=LAW_GROUP)] = None,
    depth: Annotated[list[int] | None, Whole] = None,
    seed: Annotated[int | None, Parameter(group=RUN_GROUP)] = None,
    thorough: Annotated[bool, Parameter(negative="", group=RUN_GROUP)] = False,
) -> int:
    """Measure every claim of the theory and write a report. Exit code 0 if each comes out as it should.

    Each claim has laws, depths and starts of its own; --law, --depth and --seed put others in their place, and claims that do not speak of
    these are left out.

    Parameters
    ----------
    output
        Folder for report.html, checks.json, claims.tex, figures/ and the figures rates and paper [default: flowsim-report].
    json
        Print checks.json, and nothing else, on standard output.
    figures
        Whether to draw figures.
    only
        Names of the claims to measure; --list knows them.
    list_
        List the claims and measure nothing.
    explain
        Name of a claim: print what it states, where it comes from, how it is measured and what would make it fail; measure nothing.
    law
        The law, in the place of each claim's own.
    depth
        Numbers of layers, 1 to 100, in the place of each claim's own.
    seed
        Of samples, random step sizes and random starts [default: 0].
    thorough
        Measure longer and with more cases; minutes instead of one.
    """
    from flowsim import arguments, claims

    chapters = claims.chapters()
    every = [claim for inside in chapters.values() for claim in inside]
    given = {
        "--output": output is not None,
        "--law and its options": law is not None,
        "--depth": depth is not None,
        "--seed": seed is not None,
        "--thorough": thorough,
    }
    if explain is not None:
        _refuse("--explain", {"--list": list_, "--only": only is not None, **given})
        explain_claim(_find(every, explain), chapters, json)
        return DONE
    names = None if only is None else {_find(every, name).name for name in only}
    wanted = [claim for claim in every if names is None or claim.name in names]
    if list_:
        _refuse("--list", given)
        list_claims(wanted, chapters, json)
        return DONE
    depths = None if depth is None else [int(n) for n in arguments.whole("depth", depth, low=1, high=100)]
    number = int(arguments.whole("seed", 0 if seed is None else seed, low=0))
    chosen = _law(law)
    folder = DEFAULT if output is None else output
    _make_folder(folder, figures)
    report = _measure(wanted, {"laws": chosen, "depths": depths, "seed": number, "thorough": thorough})
    if not json:
        print_verdicts(report, chapters)
    code = _write(report, folder, _command(law, depth, seed, thorough), chapters, figures)
    if json:
        from flowsim.present.report.page import dump

        print(dump(report.to_dict()))
    elif (folder / "report.html").is_file():
        print(f"report: {folder / 'report.html'}")
    if report.interrupted:
        return complain(f"interrupted after {len(report.verdicts)} of {len(wanted)} claims", INTERRUPTED)
    if not report.measured:
        return complain("nothing was measured: no claim speaks of what was asked for", FAILED)
    return code if report.passed else FAILED


def _refuse(mode: str, given: Mapping[str, bool]) -> None:
    """ValueError for options that would have no effect."""
    for option, there in given.items():
        if there:
            raise ValueError(f"{option} must be left out with {mode}, which measures nothing and writes no file")


def _find(every: Sequence["Claim"], name: str) -> "Claim":
    """The claim of this name; the refusal offers the nearest names."""
    import difflib

    known = {claim.name: claim for claim in every}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=NEAR) or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"no claim is named {name!r}{hint} (flowsim check --list has all names)")
    return known[name]


def _law(options: LawOptions | None) -> "Law | None":
    if options is None:
        return None
    if options.label_noise:
        raise ValueError("--label-noise must be left out with check: claims about label noise bring their own")
    return options.risk().law


def _command(law: LawOptions | None, depth: Sequence[int] | None, seed: int | None, thorough: bool) -> str:
    """The command line that measures the same again, without --only."""
    words = ["flowsim", "check"]
    for option in fields(LawOptions) if law is not None else ():
        value = getattr(law, option.name)
        if option.name == "law" or value != option.default:
            words += ["--" + option.name.replace("_", "-"), *map(str, value if isinstance(value, tuple) else (value,))]
    if depth is not None:
        words += ["--depth", *map(str, depth)]
    if seed is not None:
        words += ["--seed", str(seed)]
    return shlex.join([*words, *(["--thorough"] if thorough else [])])


def _make_folder(folder: Path, figures: bool) -> None:
    """Make it and see that it takes files, before anything is measured."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {str(folder)!r}: {error.strerror or error}") from error
    for name in ("checks.json", "report.html", "claims.tex"):
        check_writable(folder / name)
    inside = folder / "figures"
    if figures and inside.exists() and not inside.is_dir():
        raise ValueError(f"cannot make the folder {str(inside)!r}: a file of this name is there")


def _measure(wanted: Sequence["Claim"], setting: Mapping[str, Any]) -> "Report":
    from flowsim import claims
    from flowsim.dynamics.progress import Progress

    with Progress("claims", len(wanted), "claims") as progress:
        return claims.check([claim.name for claim in wanted], on_verdict=lambda _: progress.advance(1), **setting)


def _write(report: "Report", folder: Path, command: str, chapters: Mapping[str, Sequence["Claim"]], figures: bool) -> int:
    """The report's files; FAILED if one could not be written, with a line on stderr for each."""
    from flowsim.dynamics.progress import Progress
    from flowsim.present.report.page import write_report

    # the two further figures take runs of their own, which nobody waits for after Ctrl-C
    further = _further() if figures and not report.interrupted else {}
    pictures = sum(verdict.finding.picture is not None for verdict in report.verdicts) if figures else 0
    with Progress("figures", pictures, "figures") as progress:
        errors = write_report(
            report, folder, command, figures=figures, further=further, chapters=chapters, on_claim=lambda: progress.advance(1)
        )
    for error in errors:
        complain(error, FAILED)
    return FAILED if errors else DONE


def _further() -> dict[str, tuple["Figure", str]]:
    from flowsim.present import late_flows, paper_figure, paper_runs, rates_figure

    return {"rates": (rates_figure(late_flows()), RATES_CAPTION), "paper": (paper_figure(*paper_runs()), PAPER_CAPTION)}
