"""The documentation: the site builds without a warning and reads offline, says something of every public name, derivation and claim, and
its links lead somewhere; examples print what they show; every public name has a docstring with its arguments and an example."""

import doctest
import inspect
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import derivations
import flowsim as fs
from flowsim.claims import registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ROOMS = [name for _, name, package in iter_modules(fs.__path__) if package and name != "commands"]


def _public() -> Iterator[tuple[str, str, Any]]:
    """Full name, kind and object of everything public: names that rooms hand on, and what their classes define."""
    for room in ROOMS:
        module = import_module(f"flowsim.{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            front = f"flowsim.{name}" if getattr(fs, name, None) is thing and name in fs.__all__ else f"flowsim.{room}.{name}"
            yield front, "class" if inspect.isclass(thing) else "function" if inspect.isfunction(thing) else "value", thing
            for part, value in vars(thing).items() if inspect.isclass(thing) else ():
                value = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
                kind = "method" if inspect.isfunction(value) else "property" if isinstance(value, (property, cached_property)) else ""
                if kind and not part.startswith("_") and not _inherited(thing, part, value):
                    yield f"{front}.{part}", kind, value


def _inherited(thing: type, part: str, value: Any) -> bool:
    """An override that says no more than what it overrides."""
    return not value.__doc__ and any(hasattr(base, part) for base in thing.__mro__[1:])


PUBLIC = {name: (kind, thing) for name, kind, thing in _public()}
NAMES = {kind: [name for name, (of, _) in PUBLIC.items() if of == kind] for kind in ("class", "function", "method", "property")}


def _doc(name: str) -> str:
    return inspect.cleandoc(PUBLIC[name][1].__doc__ or "")


@pytest.mark.parametrize("name", NAMES["class"] + NAMES["function"] + NAMES["method"])
def test_each_public_name_has_an_example(name: str) -> None:
    assert doctest.DocTestParser().get_examples(_doc(name)), f"{name} has no example"


@pytest.mark.parametrize("name", NAMES["property"])
def test_each_property_is_in_an_example_of_its_own_or_of_its_class(name: str) -> None:
    owner, _, part = name.rpartition(".")
    shown = "".join(example.source for example in doctest.DocTestParser().get_examples(_doc(owner)))
    assert doctest.DocTestParser().get_examples(_doc(name)) or re.search(rf"\.{part}\b", shown), f"no example shows {name}"
    assert _doc(name)


@pytest.mark.parametrize("name", NAMES["class"] + NAMES["function"] + NAMES["method"])
def test_each_argument_is_in_the_docstring(name: str) -> None:
    """As "name: what it may be", or as ``name`` in a sentence."""
    thing = PUBLIC[name][1]
    unsaid = inspect.isabstract(thing) or (inspect.isclass(thing) and issubclass(thing, BaseException))
    parameters = [] if unsaid else [p for p in inspect.signature(thing).parameters if p not in ("self", "cls") and p[0] != "_"]
    missing = [p for p in parameters if not re.search(rf"\b{p}\b(?:, \w+)*: |``{p}``", _doc(name))]
    assert not missing, f"the docstring of {name} does not say what {', '.join(missing)} may be"


def test_the_names_that_are_checked_are_those_of_the_contract() -> None:
    handed_on = {name for name in PUBLIC if name.count(".") == 1}
    assert handed_on == {f"flowsim.{name}" for name in fs.__all__ if not inspect.ismodule(getattr(fs, name))}
    assert len(NAMES["method"]) > 40
    assert len(NAMES["property"]) > 40


def test_the_tutorial_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "tutorial.md").read_text(encoding="utf-8"), flags=re.S)
    parsed = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "tutorial.md", "tutorial.md", 0)
    assert len(parsed.examples) > 30
    said: list[str] = []
    results = doctest.DocTestRunner().run(parsed, out=said.append)
    assert results.failed == 0, "".join(said)


# the site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, made once for all workers."""
    for package in ("sphinx", "furo", "myst_parser"):
        if find_spec(package) is None:
            pytest.skip(f"the site needs {package}, of the extra `docs`")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    log = folder.with_suffix(".log")
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 300.0
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.5)
    else:
        words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-b", "html", "docs", str(folder)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        part = log.with_suffix(".part")
        part.write_text(f"{done.returncode}\n{done.stdout}\n{done.stderr}", encoding="utf-8")
        part.rename(log)
    status, said = log.read_text(encoding="utf-8").split("\n", 1)
    assert status == "0", said
    return folder


class _Page(HTMLParser):
    """What a page links to, loads, names, and says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.text: list[str] = []
        self.formulas = 0
        self._silent = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.ids |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(given["href"])
        self.formulas += tag == "math"
        self._silent += tag in ("script", "style", "pre", "code")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "pre", "code")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text.append(data)


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, _Page]:
    return {path: _Page(path) for path in sorted(site.rglob("*.html"))}


def test_each_public_name_has_an_entry(pages: dict[Path, _Page]) -> None:
    ids = {name.removeprefix("module-") for page in pages.values() for name in page.ids}
    assert {*PUBLIC, *(f"flowsim.{name}" for name in fs.__all__)} - ids == set()


def test_each_derivation_has_a_page(site: Path, pages: dict[Path, _Page]) -> None:
    for name in derivations.names():
        assert pages[site / f"_generated/theory/{name}.html"].formulas > 5, name


@pytest.mark.parametrize("name", ["risk", "growth", "bounds"])
def test_the_page_of_a_derivation_has_all_its_steps_and_results(name: str, site: Path, pages: dict[Path, _Page]) -> None:
    page, derivation = pages[site / f"_generated/theory/{name}.html"], derivations.derive(name)
    assert page.formulas == len(derivation.steps) + len(derivation.results)
    text = " ".join("".join(page.text).split())
    assert all(" ".join(step.sentence.split()) in text for step in derivation.steps)


def test_each_claim_has_a_section_that_tells_how_it_could_fail(site: Path, pages: dict[Path, _Page]) -> None:
    page = pages[site / "_generated/claims.html"]
    text = " ".join("".join(page.text).split())
    assert page.formulas >= len(registry())
    for claim in registry():
        assert claim.name in page.ids
        for said in (claim.source, claim.setting, claim.method, claim.fails, claim.control.wrong):
            assert " ".join(said.split()) in text, (claim.name, said)


def test_no_link_inside_the_site_is_broken(site: Path, pages: dict[Path, _Page]) -> None:
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.relative_to(site)} links to {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path.relative_to(site)} links to {link}"
            checked += 1
    assert checked > 1000


def test_pages_read_without_a_network(site: Path, pages: dict[Path, _Page]) -> None:
    for path, page in pages.items():
        for load in page.loads:
            parts = urlsplit(load)
            assert parts.scheme in ("", "data"), f"{path.relative_to(site)} loads {load}"
            assert not parts.netloc, f"{path.relative_to(site)} loads {load}"
            assert parts.scheme == "data" or (path.parent / unquote(parts.path)).is_file(), f"{path.relative_to(site)} loads {load}"


def test_no_page_shows_markup(site: Path, pages: dict[Path, _Page]) -> None:
    for path, page in pages.items():
        text = "".join(page.text)
        found = re.search(r":(?:py|doc|ref|param)\b|\.\. \w+::|\\(?:frac|left|begin|mathrm|theta)\b|``|\]\(", text)
        assert not found, f"{path.relative_to(site)}: {text[max(found.start() - 60, 0) : found.end() + 60]!r}"


# what turns docstrings and formulas into pages


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx", reason="the extensions of the site need sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))


def _rst(docstring: str, *arguments: str, **links: str) -> str:
    return import_module("house_docstrings").to_rst(inspect.cleandoc(docstring), arguments, links.get)


@pytest.mark.usefixtures("extensions")
def test_a_docstring_keeps_its_signs() -> None:
    said = _rst("|w|^2 = a*b and x_1, W_j* <- `rates` of ``a*b``, `no_name`s.", rates="flowsim.theory.rates")
    assert said == (r"\|w\|^2 = a\*b and x\_1, W\_j\* <- :py:obj:`rates <flowsim.theory.rates>` of ``a*b``, ``no_name``\ s." + "\n")


@pytest.mark.usefixtures("extensions")
def test_arguments_become_a_list_and_nothing_else_does() -> None:
    docstring = """r = R: the norm.

    risk, start: as in `f`.  depth: N; whole.
    step: k,
        or more of them: many.  end: k.

    Source: the paper."""
    said = _rst(docstring, "risk", "start", "depth", "step", "end")
    assert said.splitlines() == [
        "r = R: the norm.",
        "",
        ".. rst-class:: arguments",
        "",
        "``risk``, ``start``",
        "    as in ``f``.",
        "``depth``",
        "    N; whole.",
        "``step``",
        "    k, or more of them: many.",
        "``end``",
        "    \\k.",
        "",
        "Source: the paper.",
    ]


@pytest.mark.usefixtures("extensions")
def test_equations_and_examples_stay_as_they_are() -> None:
    docstring = """N. The map

        z <- z - eta a*|G|
          + ...

    >>> f(x_1)
    1"""
    assert _rst(docstring).splitlines() == [
        "\\N. The map",
        "",
        "::",
        "",
        "        z <- z - eta a*|G|",
        "          + ...",
        "",
        ">>> f(x_1)",
        "1",
    ]


@pytest.mark.usefixtures("extensions")
@pytest.mark.parametrize("name", [name for name, (kind, _) in PUBLIC.items() if kind != "value"])
def test_each_docstring_is_clean_markup(name: str) -> None:
    from docutils.core import publish_doctree

    house = import_module("house_docstrings")
    said = house.to_rst(_doc(name), house.arguments_of(PUBLIC[name][1])).replace(":doc:`", "`")
    tree = publish_doctree(said, settings_overrides={"report_level": 2, "halt_level": 2})
    assert not re.search(r"\\[*_|]", tree.astext())
    assert not any(tree.findall(lambda node: node.tagname in ("bullet_list", "enumerated_list", "field_list", "block_quote")))


@pytest.mark.usefixtures("extensions")
def test_formulas_are_mathml_and_unknown_commands_are_refused() -> None:
    mathml = import_module("mathml")
    element = mathml.to_mathml(r"\log\tan(\theta/2) \sim \langle v, x \rangle")
    assert element.startswith("<math")
    assert '<mi>log</mi><mspace width="0.167em" /><mi>tan</mi><mo' in element
    assert "∼</mo>" in element
    assert "⟨</mo><mi>v</mi>" in element
    assert 'form="prefix">−</mo>' in mathml.to_mathml("a = -b")
    assert "<mo>−</mo>" in mathml.to_mathml("a - b")
    rows = mathml.to_mathml(r"\begin{aligned} a & = b \\ & < c \end{aligned}", "block")
    assert rows.count("<mtr>") == 2
    assert rows.count("text-align: right") == rows.count("text-align: left") == 2
    with pytest.raises(ValueError, match=r"\\unheard is not known to the converter"):
        mathml.to_mathml(r"\unheard{x}")
    with pytest.raises(ValueError, match="this is not a formula"):
        mathml.to_mathml(r"\frac{")


@pytest.mark.usefixtures("extensions")
def test_labels_of_a_derivation_say_what_they_mean() -> None:
    label = import_module("theory_pages").label
    assert label("<v, grad L>").split() == [r"\langle", "v,", r"\nabla", r"L\rangle"]
    assert label("theta_rms") == r"\theta _{\mathrm{rms}}"
    assert label("z_par_next") == r"z_{\mathrm{par},\mathrm{next}}"
    assert label("eta*f~") == r"\eta \,\tilde{f}"


@pytest.mark.usefixtures("extensions")
def test_names_in_backticks_are_found_from_where_they_stand() -> None:
    api = import_module("api_pages")
    resolve = api.resolver("flowsim.theory.Theorem1.exponent", api.entries())
    assert resolve("Theorem5") == "flowsim.theory.Theorem5"
    assert resolve("PopulationRisk") == "flowsim.PopulationRisk"
    assert resolve("fs.theory.rates") == resolve("flowsim.theory.rates") == "flowsim.theory.rates"
    assert resolve("Trajectory.save") == "flowsim.Trajectory.save"
    assert resolve("SOLVERS") == "flowsim.dynamics.SOLVERS"
    # not a link to some class's member of that name
    assert resolve("time") is None
    assert resolve("no_such_name") is None
