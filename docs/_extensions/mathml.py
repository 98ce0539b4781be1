r"""Equations as MathML: pages read without a network, and without LaTeX at build time.

latex2mathml does most of it. What its output lacks for browsers' MathML (Core, without column alignment) is mended here: columns of
aligned equations, the space between a function's name and its argument, signs told from minuses, tight bars and slashes, upright capital
Greek, angle brackets and relations that it takes for letters.
A formula with a command it does not know is a warning, and so an error of the build: no page shows raw LaTeX.
"""

import re
from html import unescape
from typing import Any
from unicodedata import category
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert_to_element
from sphinx.util import logging

logger = logging.getLogger(__name__)

_OPERATORS = {"~": "∼", **{sign: sign for sign in "⟨⟩′″"}}
"""What comes as an identifier, and the operator that it is; so are Unicode's mathematical signs but for these letters."""
_LETTERS = "∂∇∞"
_TIGHT = "|/‖⟨⟩′″()[]"
_ROWS = ("math", "mrow", "mtd", "mstyle")
_SPLIT_COLUMNS = ("right", "left")


def to_mathml(tex: str, display: str = "inline") -> str:
    r"""The formula as one `<math>` element. display: "inline" or "block".

    ValueError where it is not a formula, or has a command that is not known: it would stand on the page as it is in the source.
    """
    source = re.sub(r"(\\(?:begin|end)\{)aligned\}", r"\1split}", tex.strip())
    source = re.sub(r"\\arg\b", r"\\operatorname{arg}", source)
    try:
        element = convert_to_element(source, display=display)
    except Exception as error:
        raise ValueError(f"this is not a formula: {tex!r} ({type(error).__name__}: {error})") from error
    for part in element.iter():
        part.text = unescape(part.text) if part.text else part.text
        if part.text and part.tag != "mtext" and (part.text.startswith("\\") or part.text == "&"):
            raise ValueError(f"{part.text} is not known to the converter, in {tex!r}")
    _mend(element)
    element.set("alttext", tex.strip())
    return ElementTree.tostring(element, encoding="unicode")


def _mend(element: ElementTree.Element) -> None:
    for parent in list(element.iter()):
        if parent.tag == "mtable":
            _align(parent)
        for index, child in reversed(list(enumerate(parent))):
            text = child.text or ""
            if child.tag == "mi" and (text in _OPERATORS or (len(text) == 1 and category(text) == "Sm" and text not in _LETTERS)):
                child.tag, text = "mo", _OPERATORS.get(text, text)
                child.text = text
            elif child.tag == "mo" and len(text) > 1 and text.isalpha():
                child.tag = "mi"
            if child.tag == "mo" and text and text in _TIGHT:
                child.attrib |= {"lspace": "0", "rspace": "0"}
                if text in "⟨⟩":
                    child.set("stretchy", "false")
                if text in "′″" and parent.tag == "msup":
                    # the sign is raised by itself
                    parent.tag = "mrow"
            elif child.tag == "mo" and text and text in "−+" and _is_sign(parent, index):
                child.set("form", "prefix")
            elif child.tag == "mi" and re.fullmatch("[Α-Ω]", text):
                child.set("mathvariant", "normal")
            if parent.tag in _ROWS and _is_function(child):
                if index + 1 < len(parent) and not _opens(parent[index + 1]):
                    parent.insert(index + 1, _thin_space())
                if index > 0 and parent[index - 1].tag not in ("mo", "mspace"):
                    parent.insert(index, _thin_space())


def _thin_space() -> ElementTree.Element:
    return ElementTree.Element("mspace", {"width": "0.167em"})


def _align(table: ElementTree.Element) -> None:
    """Columns by a style on each cell: right and left in turn in aligned equations, which have no alignment of their own."""
    aligned = table.attrib.get("displaystyle") == "true"
    for row in table:
        for column, cell in enumerate(row):
            side = cell.attrib.pop("columnalign", None)
            if aligned:
                side = _SPLIT_COLUMNS[column % 2]
            if side:
                ends = {"right": "padding-right: 0", "left": "padding-left: 0"}.get(side, "") if aligned else ""
                cell.set("style", f"text-align: {side}; {ends}".rstrip("; "))


def _is_sign(row: ElementTree.Element, index: int) -> bool:
    """Whether a minus or plus here is a sign: after a relation, a comma or an opening bracket."""
    before = [part for part in row[:index] if part.tag != "mspace"]
    return bool(before) and before[-1].tag == "mo" and (before[-1].text or "") in "=<>≤≥∼(,[{"


def _is_function(part: ElementTree.Element) -> bool:
    """log, or a power or index of it."""
    base = part[0] if part.tag in ("msup", "msub", "msubsup") else part
    return base.tag == "mi" and len(base.text or "") > 1 and (base.text or "").isalpha() and "mathvariant" not in base.attrib


def _opens(part: ElementTree.Element) -> bool:
    """Whether this is an opening bracket or begins with one, or is no argument at all."""
    while len(part) and part.tag in ("mrow", "msup", "msub", "mstyle"):
        part = part[0]
    return part.tag in ("mspace", "mtext") or (part.tag == "mo" and (part.text or " ") not in "∂∫∇")


def _shown(tex: str, display: str, node: nodes.Node) -> str:
    try:
        return to_mathml(tex, display)
    except ValueError as error:
        logger.warning("%s", error, location=node, type="mathml")
        return ""


def visit_inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(f'<span class="math">{_shown(node.astext(), "inline", node)}</span>')
    raise nodes.SkipNode


def visit_block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{_shown(node.astext(), "block", node)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
