"""The list of claims, from the registry: each with its source, what is measured, what would make it fail, and its control."""

from collections.abc import Iterator

from myst import display, plain

import derivations
from flowsim.claims import LATER, STATEMENTS, Claim, chapters

_EXPECTED = {
    "violated": "Expected to be **violated**: the statement as printed is false, and a checker that passes it is broken.",
    "consistent": "Formal: asymptotics suggest it and nothing yet proves it, so the best verdict is `consistent`.",
}


def pages() -> Iterator[tuple[str, str]]:
    """Path and text, in MyST."""
    yield "claims.md", _page()


def _page() -> str:
    every = [claim for claims in chapters().values() for claim in claims]
    lines = [
        "# Claims",
        "",
        f"{len(every)} statements that `flowsim check` measures. Each has a control: a theory that is wrong, in the place of the right "
        "one, which the same measurement must tell from it. `flowsim check --list` prints this list.",
        "",
        "The paper is Lin, Sun, Zhang, *Faster Directional Convergence of Linear Neural Networks under Spherically Symmetric Data*, "
        "NeurIPS 2021, in the submitted version; the published one was not at hand.",
        "",
        "## The paper, statement by statement",
        "",
    ]
    for number, says in STATEMENTS.items():
        about = ", ".join(f"[{claim.name}](#{claim.name})" for claim in every if number in claim.about)
        later = f"not measured yet: {plain(LATER[number])}" if number in LATER else ""
        lines += [f"**{number}**, {plain(says)}", f": {'; '.join(part for part in (about, later) if part) or 'no claim'}.", ""]
    for chapter, claims in chapters().items():
        lines += [f"## {plain(chapter)}", ""]
        for claim in claims:
            lines += _section(claim)
    return "\n".join(lines)


def _section(claim: Claim) -> list[str]:
    derivation = f"[{claim.derivation}](theory/{claim.derivation}.md)" if claim.derivation in derivations.names() else ""
    about = f"; about {plain(', '.join(claim.about))}" if claim.about else ""
    rows = {
        "Source": plain(claim.source) + about,
        "Derivation": derivation,
        "Measured": plain(claim.method),
        "Over": plain(claim.setting),
        "Fails if": plain(claim.fails),
        "Control": plain(claim.control.wrong),
        "Expected": _EXPECTED.get(claim.expected, ""),
    }
    said = [f":{name}: {text}" for name, text in rows.items() if text]
    return [f"({claim.name})=", f"### {claim.name}", "", display(claim.statement), "", *said, ""]
