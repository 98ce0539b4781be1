"""Statements in LaTeX as MathML, which every browser of today sets without help."""

import re
from html import escape

from latex2mathml.converter import convert

_NAMES = "arccos|arctan|cos|cosh|exp|log|sin|sinh|tan|tanh"
_BAR = "&#x0007C;|&#x02016;|&#x02225;"
_BEFORE_SIGN = r"\(|,|=|&#x00028;|&#x0002C;|&#x0003D;|&#x0003C;|&#x0003E;|&#x02264;|&#x02265;"
_FIXES: tuple[tuple[str, str], ...] = (
    # relations that come as letters
    (r"<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"),
    (r"<mi>&#x000B1;</mi>", "<mo>&#x000B1;</mo>"),
    # upright: capital Greek, as LaTeX sets it, and single letters of \mathrm
    (r"<mi>(&#x0(?:039[1-9A-F]|03A[0-9]);|&#x000[4-7][0-9A-F];)</mi>", r'<mi mathvariant="normal">\1</mi>'),
    # no space around a slash or a bar, and bars no higher than the line
    (r"<mo>(/|&#x0002F;)</mo>", r'<mo lspace="0" rspace="0">\1</mo>'),
    (rf'<mo(?: fence="false")?(?: stretchy="false")?>({_BAR})</mo>', r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>'),
    # a minus after a bracket, a comma or a relation is a sign
    (rf"(<mo[^>]*>(?:{_BEFORE_SIGN})</mo>(?:<mspace[^>]*/>)?)<mo>&#x02212;</mo>", r'\1<mo form="prefix">&#x02212;</mo>'),
    (r'width="negativethinmathspace"', 'width="-0.167em"'),
    # names of functions: thin spaces around them, none at the start of a group or before a bracket
    (rf"<mi>({_NAMES})</mi>", r"<mo>\1</mo>"),
    (r"<mo>([A-Za-z]{2,})</mo>", r'<mo form="prefix" lspace="0.17em" rspace="0.17em">\1</mo>'),
    (r'(<(?:mrow|mtd|msup|msub)>)<mo form="prefix" lspace="0.17em"', r'\1<mo form="prefix" lspace="0"'),
    (r'rspace="0.17em">([A-Za-z]+</mo>)(?=</mrow>|<mo[^>]*>(?:\(|&#x00028;))', r'rspace="0">\1'),
)


def mathml(statement: str) -> str:
    """``statement``, LaTeX without dollars, as a displayed MathML element that has its LaTeX as alternative text.

    Its style has the number of signs in it as --signs: paper cannot be scrolled, and a long formula has to be set smaller there.

    ValueError, naming the statement, where something in it is not converted.
    """
    try:
        # the one command of every LaTeX that the converter lacks
        element = convert(re.sub(r"\\arg(?![A-Za-z])", r"\\operatorname{arg}", statement), display="block")
    except Exception as error:
        raise ValueError(f"`statement` must be LaTeX that converts to MathML, but is {statement!r} ({error})") from error
    inside, plain = re.sub(r"<[^>]*>", "", element), re.sub(r"\\.", "", statement)
    # what is not known is handed through as it is, and a bracket that is missing is not missed
    if "\\" in inside or "<mi>&</mi>" in element or 'linebreak="newline"' in element or plain.count("{") != plain.count("}"):
        raise ValueError(f"`statement` must be LaTeX that converts to MathML, but is {statement!r}")
    for pattern, better in _FIXES:
        element = re.sub(pattern, better, element)
    signs = len(re.sub(r"<[^>]*>|\s", "", re.sub(r"&#?\w+;", "x", element)))
    return element.replace("<math ", f'<math alttext="{escape(statement)}" style="--signs: {signs}" ', 1)
