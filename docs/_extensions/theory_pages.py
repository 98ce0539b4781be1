"""The theory, from the derivations: one page for each, and an overview of which claims rest on which."""

import re
from collections.abc import Iterator
from typing import Any

import sympy as sp
from myst import display, plain
from sympy.core.alphabets import greeks

import derivations
from derivations import Derivation, Step
from flowsim.claims import Claim, registry

_RELATIONS = {"=": "=", "<=": r"\le", "<": "<"}
_CHECKS = {"definition": "definition", "symbolic": "by algebra"}


def pages() -> Iterator[tuple[str, str]]:
    """Paths and texts, in MyST."""
    derived = [derivations.derive(name) for name in derivations.names()]
    yield "theory/index.md", _overview(derived)
    for derivation in derived:
        yield f"theory/{derivation.name}.md", _page(derivation)


def _overview(derived: list[Derivation]) -> str:
    claims = registry()
    every = [step for derivation in derived for step in derivation.steps]
    algebra, definitions = (sum(step.witness == kind for step in every) for kind in ("symbolic", "definition"))
    lines = [
        "# Theory",
        "",
        f"{len(derived)} derivations in SymPy, from the law of the data to the edge of stability. They make {len(every)} steps: "
        f"{definitions} definitions, {algebra} equalities and bounds that SymPy proves, {len(every) - algebra - definitions} that hold to "
        "30 digits at several points. A step that does not hold stops the derivation, so what stands here has been checked while this page "
        "was made. flowsim does not use SymPy: the tests hold its functions against these results at random points.",
        "",
        "[F] marks formal asymptotics: averages and limits that are taken without proof, and measured.",
        "",
        "`python -m derivations` prints all of it as text, `--latex DIR` writes it for a paper.",
        "",
        "## What proves what",
        "",
    ]
    for derivation in derived:
        resting = [claim for claim in claims if claim.derivation == derivation.name]
        lines += [f"**[{plain(derivation.title)}]({derivation.name}.md)**", f": {plain(derivation.source)}.", ""]
        lines += [f"  {_resting(resting)}", ""]
    unproved = [claim for claim in claims if not claim.derivation]
    if unproved:
        lines += [f"Without a derivation here, measured only: {_links(unproved)}.", ""]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *(derivation.name for derivation in derived), "```", ""])


def _resting(claims: list[Claim]) -> str:
    return f"Claims: {_links(claims)}." if claims else "No claim rests on it alone; others build on its results."


def _links(claims: list[Claim]) -> str:
    return ", ".join(f"[{claim.name}](#{claim.name})" for claim in claims)


def _page(derivation: Derivation) -> str:
    lines = [f"# {plain(derivation.title)}", "", f"Source: {plain(derivation.source)}.", "", "## Steps", ""]
    for number, step in enumerate(derivation.steps, start=1):
        check = _CHECKS.get(step.witness, step.witness)
        lines += [f"**{number}.** {plain(step.sentence)} *({check})*", "", display(_equation(step)), ""]
    lines += ["## Results", "", f"What the tests hold flowsim against, by name in `derivations.derive({derivation.name!r}).results`.", ""]
    for name, value in derivation.results.items():
        lines += [f"`{name}`", "", display(_latex(value)), ""]
    return "\n".join(lines)


def _latex(expression: Any) -> str:
    """LaTeX, with labels such as "<v, grad L>" as what they say; SymPy takes their signs and underscores for a symbol's."""
    labels = [symbol for symbol in expression.atoms(sp.Symbol) if _is_label(symbol.name)]
    return sp.latex(expression, symbol_names={symbol: label(symbol.name) for symbol in labels})


def _is_label(name: str) -> bool:
    words = [word for word in re.findall(r"[A-Za-z]{3,}", name) if word not in _LETTERS and not re.fullmatch(r"\w+(prime|dot)", word)]
    return bool(words or re.search(r"[^\w']", name))


def label(name: str) -> str:
    r"""A label in plain text as LaTeX: "<v, grad L>" is \langle v, \nabla L\rangle, "defect_1" upright with an index."""
    text = re.sub(r"<([^<>]*)>", r"\\langle \1\\rangle ", name).replace("*", r"\,")
    text = re.sub(r"([A-Za-z])~", r"\\tilde{\1}", text)
    text = re.sub(r"_([A-Za-z0-9]+)_([A-Za-z0-9]+)", r"_{\1,\2}", text)
    text = re.sub(r"(?<!\\)\b[A-Za-z]{3,}|(?<=_)[A-Za-z]{2,}", _word, text)
    return re.sub(r"_(\\mathrm\{\w+\})", r"_{\1}", text).replace(r" \mathrm", r"\;\mathrm")


_LETTERS = {letter for name in greeks for letter in (name, name.capitalize())} | {"ell"}
_FUNCTIONS = {"grad": r"\nabla ", "log": r"\log ", "sin": r"\sin "}


def _word(match: re.Match[str]) -> str:
    word = match[0]
    return rf"\{word} " if word in _LETTERS else _FUNCTIONS.get(word, rf"\mathrm{{{word}}}")


def _equation(step: Step) -> str:
    """The chain of the step, a relation a line; a part that only repeats the one before it is left out."""
    links = [link for (_, before), link in zip([("", step.first), *step.links], step.links, strict=False) if link[1] != before]
    rows = [f"{_RELATIONS[relation]} {_latex(part)}" for relation, part in links or step.links[-1:]]
    first = _latex(step.first)
    if len(rows) == 1 and len(first) + len(rows[0]) < LONG:
        return f"{first} {rows[0]}"
    head = f"{first} & {rows[0]}" if len(first) < LONG / 4 else rf"{first} & \\ & {rows[0]}"
    return r"\begin{aligned}" + head + "".join(rf" \\ & {row}" for row in rows[1:]) + r"\end{aligned}"


LONG = 260
"""Characters of LaTeX above which an equation takes more than one line."""
