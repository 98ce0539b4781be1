"""Derivations as plain text and as LaTeX."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import sympy as sp

from derivations.derivation import Derivation, Link, Step

__all__ = ["as_latex", "as_text", "write_latex"]

WIDTH = 100
_RELATIONS = {"=": sp.Eq, "<=": sp.Le, "<": sp.Lt}
_LATEX_RELATIONS = {"=": "=", "<=": r"\le", "<": "<"}
_ESCAPES = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"} | {mark: f"\\{mark}" for mark in "_%$&#{}"}


def as_text(derivation: Derivation, unicode: bool = True) -> str:
    """The derivation as readable text: a heading, numbered sentences with their equations, the results."""
    blocks = [f"{derivation.title}\n{'=' * len(derivation.title)}\n[{derivation.name}]  {derivation.source}"]
    for number, step in enumerate(derivation.steps, start=1):
        sentence = f"{number}. {step.sentence}  [{_described(step.witness)}]"
        heading = textwrap.fill(sentence, WIDTH, subsequent_indent="   ")
        blocks.append(f"{heading}\n\n{_equation_as_text(step, unicode)}")
    results = [f"    {name} = {sp.sstr(value)}" for name, value in derivation.results.items()]
    blocks.append("\n".join(["Results (SymPy)", *results]))
    return "\n\n".join(blocks) + "\n"


def as_latex(derivation: Derivation) -> str:
    r"""The derivation as a LaTeX fragment to `\input`: a section of sentences and displayed equations."""
    lines = [
        rf"\section{{{_escaped(derivation.title)}}}",
        rf"\noindent\emph{{Source: {_escaped(derivation.source)}.}}",
        "",
    ]
    for number, step in enumerate(derivation.steps, start=1):
        lines += [rf"\paragraph{{{number}.}} {_escaped(step.sentence)} ({_described(step.witness)})"]
        lines += [_equation_as_latex(step), ""]
    return "\n".join(lines)


def write_latex(derivations: Sequence[Derivation], folder: Path) -> list[Path]:
    """Write one fragment per derivation and `derivations.tex`, an article that inputs them all."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for derivation in derivations:
        path = folder / f"{derivation.name}.tex"
        path.write_text(as_latex(derivation), encoding="utf-8")
        written.append(path)
    inputs = "\n".join(rf"\input{{{derivation.name}}}" for derivation in derivations)
    main = folder / "derivations.tex"
    main.write_text(_ARTICLE.replace("INPUTS", inputs), encoding="utf-8")
    return [*written, main]


_ARTICLE = r"""\documentclass{article}
\usepackage{amsmath,amssymb}
\usepackage[margin=2cm]{geometry}
\allowdisplaybreaks
\title{Derivations}
\date{}
\begin{document}
\maketitle
\tableofcontents
INPUTS
\end{document}
"""


def _described(witness: str) -> str:
    if witness == "definition":
        return "definition"
    return "checked by algebra" if witness == "symbolic" else f"checked numerically: {witness}"


def _distinct(step: Step) -> list[Link]:
    links: list[Link] = []
    previous = step.first
    for relation, expression in step.links:
        if expression != previous:
            links.append((relation, expression))
        previous = expression
    return links or [step.links[-1]]


def _equation_as_text(step: Step, unicode: bool) -> str:
    left: sp.Basic = step.first
    width = max(map(len, sp.pretty(left, use_unicode=unicode, wrap_line=False).splitlines()))
    rows = []
    for relation, right in _distinct(step):
        equation = _RELATIONS[relation](left, right, evaluate=False)
        rows.append(sp.pretty(equation, use_unicode=unicode, wrap_line=False))
        left = sp.Symbol(" " * width)  # relations of the following rows stand below the first
    return "\n".join(textwrap.indent(row, "       ", lambda _: True) for row in rows)


_LONG = 420
"""Characters of LaTeX from which left and right no longer share a line."""


def _equation_as_latex(step: Step) -> str:
    left = sp.latex(step.first)
    rights = [f"{_LATEX_RELATIONS[relation]} {sp.latex(right)}" for relation, right in _distinct(step)]
    if len(left) + len(rights[0]) > _LONG:
        rows = [f"& {left}", *(rf"&\quad {right}" for right in rights)]
    elif len(rights) == 1:
        return f"\\begin{{equation*}}\n  {left} {rights[0]}\n\\end{{equation*}}"
    else:
        rows = [f"{left} &{rights[0]}", *(f"&{right}" for right in rights[1:])]
    body = " \\\\\n  ".join(rows)
    return f"\\begin{{align*}}\n  {body}\n\\end{{align*}}"


def _escaped(sentence: str) -> str:
    return re.sub(r"[\\^~_%$&#{}<>|]", lambda mark: _ESCAPES.get(mark[0], f"${mark[0]}$"), sentence)
