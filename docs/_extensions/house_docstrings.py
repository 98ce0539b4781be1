r"""Docstrings of flowsim as reStructuredText.

They are plain text for `help()`: equations in words and on indented lines, bars for sizes, `names` in single backticks, arguments as
"name: text" in the order of the signature, examples with `>>>`. Here bars, stars and underscores are escaped, indented lines become
literal blocks, names become links where they are documented and literals elsewhere, `derivations/name.py` a link to its page, arguments
a list; examples stay as they are.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

Resolve = Callable[[str], str | None]
"""From a name as a docstring writes it to the full name of what is documented, or None."""

_CODE = re.compile(r"``(?P<code>[^`]+)``|`(?P<name>[^`]+)`|derivations/(?P<derivation>\w+)\.py")
_SPECIAL = re.compile(r"[\\*_|`]")
_LIST = re.compile(r"(?=[-+:]\s|\(?\w[.)](?:\s|$)|\.\. )")
"""A paragraph that would begin a list, as "N. Depth ..." or "k." would."""


def to_rst(docstring: str, arguments: Iterable[str] = (), resolve: Resolve = lambda name: None) -> str:
    """The docstring, dedented, as reStructuredText.

    arguments: names of what "name: text" may describe: parameters, or fields of a class.  resolve: from names in backticks to links.
    """
    known = frozenset(arguments)
    out: list[str] = []
    for block in filter(None, re.split(r"\n\s*\n", docstring.strip("\n"))):
        lines = block.splitlines()
        if lines[0].lstrip().startswith(">>>"):
            out.append("\n".join(lines))
        elif all(line.startswith(" ") for line in lines):
            out.append("::\n\n" + "\n".join(f"    {line}" for line in lines))
        elif _names(lines[0], known):
            out.append(_argument_list(lines, known, resolve))
        else:
            out.append(_paragraph(" ".join(lines), resolve))
    return "\n\n".join(out) + "\n"


def _names(text: str, known: frozenset[str]) -> list[str]:
    """The names before the colon that ``text`` begins with, if all are known."""
    match = re.match(r"(\w+(?:, \w+)*): ", text)
    names = match[1].split(", ") if match else []
    return names if all(name in known for name in names) else []


def _argument_list(lines: list[str], known: frozenset[str], resolve: Resolve) -> str:
    """A definition list: one entry for each "name: text" or "name, name: text", at the start of a line or after a sentence's end."""
    text = "".join(f" {line.strip()}" if line.startswith(" ") else f"\n{line.strip()}" for line in lines)[1:]
    starts = [0]
    for match in re.finditer(r"(?:(?<=[.;)\]}`\"])\s+|\n)(?=\w+(?:, \w+)*: )", text):
        if _names(text[match.end() :], known):
            starts.append(match.end())
    rows = [".. rst-class:: arguments\n"]
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=True):
        names, said = text[begin:end].split(": ", 1)
        term = ", ".join(f"``{name}``" for name in names.split(", "))
        rows.append(f"{term}\n    {_paragraph(said, resolve)}")
    return "\n".join(rows)


def _paragraph(text: str, resolve: Resolve) -> str:
    line = " ".join(text.split())
    return ("\\" if _LIST.match(line) else "") + _inline(line, resolve)


def _inline(text: str, resolve: Resolve) -> str:
    out, last = [], 0
    for match in _CODE.finditer(text):
        out.append(_SPECIAL.sub(r"\\\g<0>", text[last : match.start()]))
        # inline markup has to stand apart from words around it; an escaped space prints nothing
        before = "\\ " if match.start() and re.match(r"[\w)\]]", text[match.start() - 1]) else ""
        after = "\\ " if re.match(r"\w", text[match.end() : match.end() + 1]) else ""
        out.append(f"{before}{_code(match, resolve)}{after}")
        last = match.end()
    return "".join([*out, _SPECIAL.sub(r"\\\g<0>", text[last:])])


def _code(match: re.Match[str], resolve: Resolve) -> str:
    if match["derivation"]:
        return f":doc:`{match[0]} </_generated/theory/{match['derivation']}>`"
    name = match["name"]
    target = resolve(name.split("(")[0]) if name else None
    return f":py:obj:`{name} <{target}>`" if target else f"``{name or match['code']}``"


def arguments_of(thing: Any) -> list[str]:
    """What a docstring may describe: the parameters of a callable, and the fields of a class."""
    fields = [name for base in getattr(thing, "__mro__", ()) for name in getattr(base, "__annotations__", {})]
    try:
        parameters = list(inspect.signature(thing).parameters) if callable(thing) else []
    except (TypeError, ValueError):
        parameters = []
    return [*parameters, *fields]


def setup(app: Any) -> dict[str, Any]:
    from api_pages import entries, public_bases, resolver

    known = entries()

    def process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
        lines[:] = to_rst("\n".join(lines), arguments_of(thing), resolver(name, known)).splitlines()

    def skip(app: Any, what: str, name: str, thing: Any, skipped: bool, options: Any) -> bool | None:
        # the fields of a NamedTuple say "Alias for field number 0"; the class says what they are
        return True if (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") else None

    def bases(app: Any, name: str, thing: Any, options: Any, shown: list[Any]) -> None:
        shown[:] = public_bases(thing)

    app.connect("autodoc-process-bases", bases)
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
