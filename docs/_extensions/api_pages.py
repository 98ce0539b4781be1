"""One page of the API for each room of flowsim: what its `__all__` lists, in sections by the modules that define it."""

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from house_docstrings import to_rst

import flowsim

STORY = ("problem", "dynamics", "theory", "layers", "samples", "relu", "sweeps", "claims", "present")
"""The rooms in the order of the story; one that is not named here comes after them."""

FRONT = ("commands",)
"""The command line, which is no library."""


@dataclass(frozen=True)
class Entry:
    """A public name: its full name, the room and the module that hold it, and the object."""

    full_name: str
    room: str
    module: str
    thing: Any

    @property
    def kind(self) -> str:
        """What Sphinx calls it: class, function, module or data."""
        if inspect.isclass(self.thing):
            return "class"
        return "module" if inspect.ismodule(self.thing) else "function" if callable(self.thing) else "data"

    @property
    def members(self) -> list[str]:
        """Full names of the documented public methods and properties that a class itself defines."""
        kinds = (property, cached_property, classmethod, staticmethod)
        if self.kind != "class":
            return []
        return [
            f"{self.full_name}.{name}"
            for name, value in vars(self.thing).items()
            if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds)) and _plain_doc(value)
        ]


def _plain_doc(value: Any) -> str | None:
    return (value.__func__ if isinstance(value, (classmethod, staticmethod)) else value).__doc__


@cache
def rooms() -> tuple[str, ...]:
    """Every room that says what it hands on."""
    found = [
        name
        for _, name, is_package in iter_modules(flowsim.__path__)
        if is_package and name not in FRONT and hasattr(_room(name), "__all__")
    ]
    return tuple(sorted(found, key=lambda name: (STORY.index(name) if name in STORY else len(STORY), name)))


def _room(name: str) -> ModuleType:
    return import_module(f"flowsim.{name}")


@cache
def entries() -> tuple[Entry, ...]:
    """Every public name of every room, once: as `flowsim.name` where flowsim hands it on itself."""
    return tuple(Entry(_full_name(room, name), room, *_found(room, name)) for room in rooms() for name in _room(room).__all__)


def _full_name(room: str, name: str) -> str:
    here = getattr(_room(room), name)
    return f"flowsim.{name}" if name in flowsim.__all__ and getattr(flowsim, name) is here else f"flowsim.{room}.{name}"


def _found(room: str, name: str) -> tuple[str, Any]:
    """The module of the room in which a name is defined, and what it stands for."""
    thing = getattr(_room(room), name)
    if inspect.ismodule(thing):
        return thing.__name__, thing
    for module, path in _files(room).items():
        if name in _defined(path):
            return module, thing
    return f"flowsim.{room}", thing


@cache
def _files(room: str) -> dict[str, Path]:
    """The modules of a room, by full name, with their files. Not by import: `flowsim.theory.rates` is a function by then."""
    folder = Path(_room(room).__path__[0])
    parts = {path: path.relative_to(folder).with_suffix("").parts for path in sorted(folder.rglob("*.py"))}
    return {".".join(["flowsim", room, *(part for part in names if part != "__init__")]): path for path, names in parts.items()}


@cache
def _defined(path: Path) -> dict[str, str]:
    """The names that a module's own source defines, each with the docstring under its assignment, if it is one."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = {}
    for node, after in pairwise([*body, ast.Pass()]):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = ""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        found |= {target.id: str(said) for target in targets if isinstance(target, ast.Name)}
    return found


def resolver(where: str, known: tuple[Entry, ...]) -> Callable[[str], str | None]:
    """From a name in backticks to what it means in the docstring of ``where``: in its class, its room, flowsim, or any room if only one."""
    every = {entry.full_name for entry in known} | {member for entry in known for member in entry.members}

    def resolve(name: str) -> str | None:
        text = name.replace("fs.", "flowsim.", 1) if name.startswith("fs.") else name
        scope = where
        while scope:
            if f"{scope}.{text}" in every:
                return f"{scope}.{text}"
            scope = scope.rpartition(".")[0]
        if text in every:
            return text
        anywhere = [full for full in (every if "." in text else [entry.full_name for entry in known]) if full.endswith(f".{text}")]
        return anywhere[0] if len(anywhere) == 1 else None

    return resolve


def pages() -> Iterator[tuple[str, str]]:
    """Paths and texts, in reStructuredText: that is what autodoc makes of docstrings."""
    yield "api/index.rst", _index()
    for room in rooms():
        yield f"api/{room}.rst", _page(room)


def _index() -> str:
    lines = [
        *_heading("API", "="),
        "Each room of flowsim, and what it hands on. ``import flowsim as fs`` gives the names without a room.",
        "",
    ]
    for room in rooms():
        links = ", ".join(f":py:obj:`{_shown(entry)} <{entry.full_name}>`" for entry in entries() if entry.room == room)
        lines += [f":doc:`{room}`", "    " + _rst(_room(room).__doc__, f"flowsim.{room}").strip(), "", f"    {links}", ""]
    return "\n".join([*lines, ".. toctree::", "   :hidden:", "", *(f"   {room}" for room in rooms()), ""])


def _shown(entry: Entry) -> str:
    return entry.full_name.removeprefix("flowsim.")


def _heading(title: str, underline: str) -> list[str]:
    return [title, underline * len(title), ""]


def _page(room: str) -> str:
    names = [entry for entry in entries() if entry.room == room]
    lines = [*_heading(room, "="), f".. py:module:: flowsim.{room}", "", _rst(_room(room).__doc__, f"flowsim.{room}")]
    for module in dict.fromkeys(entry.module for entry in names):
        here = [entry for entry in names if entry.module == module]
        lines += _heading(module.removeprefix(f"flowsim.{room}."), "-")
        if any(entry.kind == "module" for entry in here):
            lines += [f".. py:module:: {module}", ""]
        if module != f"flowsim.{room}":
            lines += [_rst(ast.get_docstring(ast.parse(_files(room)[module].read_text(encoding="utf-8"))), f"flowsim.{room}")]
        lines += [_directive(entry) for entry in here if entry.kind != "module"]
    return "\n".join(lines)


def _directive(entry: Entry) -> str:
    if entry.kind != "data":
        options = ["members:", "member-order: bysource", *(["show-inheritance:"] if public_bases(entry.thing) else [])]
        listed = "".join(f"   :{option}\n" for option in options)
        return f".. auto{entry.kind}:: {entry.full_name}\n{listed if entry.kind == 'class' else ''}"
    said = _rst(_defined(_files(entry.room)[entry.module])[entry.full_name.rpartition(".")[2]], entry.full_name)
    indented = "\n".join(f"   {line}".rstrip() for line in said.splitlines())
    module, _, name = entry.full_name.rpartition(".")
    return f".. py:data:: {name}\n   :module: {module}\n   :value: {_value(entry.thing)}\n\n{indented}\n"


def _value(thing: Any) -> str:
    """What a name of data stands for: the keys of a table, a file by its place in the package, any other value as it is."""
    if isinstance(thing, Path):
        return f"'{thing.relative_to(Path(flowsim.__path__[0]).parent).as_posix()}'"
    return f"{{{', '.join(map(repr, thing))}}}" if isinstance(thing, dict) else repr(thing)


def public_bases(thing: Any) -> list[type]:
    """The documented classes that a class is made from, through those that are not."""
    public = {entry.thing for entry in entries() if entry.kind == "class"}
    bases = [base for parent in getattr(thing, "__bases__", ()) for base in ([parent] if parent in public else public_bases(parent))]
    return list(dict.fromkeys(bases))


def _rst(docstring: str | None, where: str) -> str:
    return to_rst(inspect.cleandoc(docstring or ""), (), resolver(where, entries()))
