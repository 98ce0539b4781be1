"""A figure as an SVG element inside a page: text as text, the page's own colours, and ids that no other figure has."""

import re
from io import StringIO

import matplotlib
from matplotlib.figure import Figure

from flowsim.present.style import styled

# the style's colours, and what a page calls them: a page in the dark has lighter ones
_NAMED = {
    "#0072b2": "blue",
    "#d55e00": "red",
    "#009e73": "green",
    "#cc79a7": "pink",
    "#e69f00": "orange",
    "#56b4e9": "sky",
    "#737373": "grey",
    "#d9d9d9": "grid",
    "#ffffff": "paper",
    "#000000": "ink",
}


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """``figure`` as an SVG element for a page: text as text, colours as the page's variables --fig-ink, --fig-blue, ...

    name: stands before every id inside, so that figures of different names can share a page.  title: what it shows, for those who
    cannot see it. The same figure and name give the same text.
    """
    out = StringIO()
    with styled(), matplotlib.rc_context({"svg.hashsalt": "flowsim"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r">\s*\n\s*<", "><", text)
    text = _own_ids(text, name)
    # only inside attributes: what is written in the figure stays as it is
    text = re.sub(r' (d|x|y|transform|style)="([^"]*)"', _tidy_attribute, text)
    text = re.sub(r"<defs></defs>|<g></g>", "", text)
    opening = re.compile(r"<svg[^>]*?viewBox=\"([^\"]*)\"[^>]*>")
    label = f"{name}-title"
    return opening.sub(
        lambda found: (
            f'<svg viewBox="{found[1]}" style="width:{float(found[1].split()[2]) / 72.0:.2f}in" role="img" aria-labelledby="{label}">'
            f'<title id="{label}">{_escaped(title)}</title>'
        ),
        text,
        count=1,
    ).strip()


def _own_ids(text: str, name: str) -> str:
    """Ids that something points at get ``name`` before them; the others go."""
    used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text))
    text = re.sub(r" id=\"([^\"]*)\"", lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    return re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", text).replace("xlink:href", "href")


def _tidy_attribute(found: re.Match[str]) -> str:
    """Lengths to 0.01 points, colours by their names, and the page's own type."""
    key, value = found[1], " ".join(found[2].split())
    if key == "style":
        value = re.sub(r"#[0-9a-f]{6}\b", lambda colour: f"var(--fig-{_NAMED[colour[0]]})" if colour[0] in _NAMED else colour[0], value)
        value = re.sub(r";?\s*font-family: '?STIXGeneral'?", "", value)
    else:
        value = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", value)
    return f' {key}="{value}"'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
