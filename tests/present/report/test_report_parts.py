"""Statements become MathML, numbers become tables, and words stay as they were."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from flowsim.claims import registry
from flowsim.present.report.formulas import mathml
from flowsim.present.report.page import formula
from flowsim.present.report.tidy import FOLD, tables, text

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
CORE = {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded"}
CORE |= {"msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd"}
"""Elements of MathML Core, which browsers of today set."""


@pytest.mark.parametrize("claim", registry(), ids=lambda claim: claim.name)
def test_every_statement_converts_to_what_browsers_set(claim):
    root = ElementTree.fromstring(mathml(claim.statement))
    assert {element.tag for element in root.iter()} <= {NAMESPACE + name for name in CORE}
    assert root.get("alttext") == claim.statement
    shown = "".join(root.itertext())
    # letters and digits outside commands are all there
    plain = re.sub(r"\\math(?:cal|bb)\{.\}", "", claim.statement)
    plain = re.sub(r"\\text\{([^}]*)\}|\\(?:mathrm|operatorname)\{([^}]*)\}|\\[A-Za-z]+|\\.", r"\1\2", plain)
    kept = re.sub(r"\s", "", shown)
    for word in re.findall(r"[A-Za-z]+|[0-9.]+", plain):
        assert word in kept or all(letter in kept for letter in word), word


def operators(statement):
    root = ElementTree.fromstring(mathml(statement))
    return [(element.text, element.get("form"), element.get("lspace")) for element in root.iter(f"{NAMESPACE}mo")]


def test_a_minus_after_a_comma_or_a_relation_is_a_sign():
    forms = {statement: operators(statement) for statement in ("(0.6,-0.8)", r"x\le-2", "a-b", "-s")}
    assert ("−", "prefix", None) in forms["(0.6,-0.8)"]
    assert ("−", "prefix", None) in forms[r"x\le-2"]
    assert forms["a-b"] == [("−", None, None)]


def test_slashes_and_bars_stand_close():
    assert operators("w/r") == [("/", None, "0")]
    assert operators("|w|") == [("|", None, "0")] * 2
    assert operators(r"\lVert W\rVert") == [("‖", None, "0")] * 2


def test_functions_stand_apart():
    assert operators(r"r\log r") == [("log", "prefix", "0.17em")]
    after = mathml(r"\max(a,b)"), mathml(r"\cos\theta"), mathml(r"\lambda_{\max}")
    assert [re.search(r'rspace="([^"]*)">(?:max|cos)', element)[1] for element in after] == ["0", "0.17em", "0"]
    assert [name for name, _, _ in operators(r"\arg\min L")] == ["arg", "min"]


def test_relations_and_upright_letters():
    assert operators(r"a\sim b") == [("∼", None, None)]
    assert '<mi mathvariant="normal">&#x003A3;</mi>' in mathml(r"\Sigma")
    assert "mathvariant" not in mathml(r"\sigma + x")


@pytest.mark.parametrize("statement", [r"\unknowncommand{x}", r"\begin{aligned}a&=b\\c&=d\end{aligned}", r"\frac{a", r"a^b^c"])
def test_what_does_not_convert_is_refused_and_shown_as_latex(statement):
    with pytest.raises(ValueError, match="`statement` must be LaTeX that converts to MathML, but is"):
        mathml(statement)
    assert formula(statement).startswith("<code>")


def test_the_alternative_text_of_a_formula_is_no_markup():
    assert 'alttext="a&lt;b"' in mathml("a<b")
    assert formula("a<b").count("<math") == 1


# numbers


def test_single_numbers_make_two_columns():
    (table,) = tables({"margin": np.float64(1.25e-7), "flows": 144, "broken": False, "why": "a <b>", "gap": None, "list": []})
    assert table.head == ("quantity", "value")
    assert dict(table.rows) == {"margin": "1.25e-07", "flows": "144", "broken": "no", "why": "a <b>", "gap": "none", "list": "none"}


def test_dictionaries_of_the_same_keys_make_one_table():
    (table,) = tables({"N = 1": {"slope": 0.5, "error": 1e-3}, "N = 2": {"slope": 1.0, "error": 2e-3}})
    assert table.head == ("", "slope", "error")
    assert table.rows == (("N = 1", "0.5", "0.001"), ("N = 2", "1", "0.002"))


def test_dictionaries_of_other_keys_make_a_table_each():
    first, second = tables({"a": {"x": 1}, "b": {"y": 2}})
    assert (first.title, first.rows) == ("a", (("x", "1"),))
    assert (second.title, second.rows) == ("b", (("y", "2"),))


def test_lists_of_one_length_stand_side_by_side():
    (table,) = tables({"size": np.array([0.1, 0.2]), "gap": [1, 2]})
    assert table.head == ("", "size", "gap")
    assert table.rows == (("1", "0.1", "1"), ("2", "0.2", "2"))


def test_a_lone_short_list_stands_in_a_cell_and_a_long_one_in_rows():
    (short,) = tables({"slopes": [1.0, 2.0, 3.0]})
    assert short.rows == (("slopes", "1, 2, 3"),)
    (long,) = tables({"slopes": np.arange(20.0)})
    assert len(long.rows) == 20
    assert long.rows[3] == ("4", "3")


def test_no_table_is_wider_than_a_page():
    (across,) = tables({"rates": {f"case {i}": [0.5, 1.0] for i in range(240)}})
    assert (across.title, across.head) == ("rates", ("", "1", "2"))
    assert across.rows[7] == ("case 7", "0.5", "1")
    law = "StudentT(dim=2, df=3, scale=1), N = {}"
    (turned,) = tables({law.format(n): {"slope": n, "error": 0.5} for n in range(1, 6)})
    assert turned.head == ("", "slope", "error")
    (turned,) = tables({name: {law.format(n): n for n in range(1, 6)} for name in ("slope", "error")})
    assert turned.head == ("", "slope", "error")
    assert turned.rows[1] == (law.format(2), "2", "2")
    (turned,) = tables({law.format(n): [n, 0.5] for n in range(1, 6)})
    assert turned.rows[1] == (law.format(2), "2", "0.5")
    each = tables({f"case {i}": list(range(30)) for i in range(20)})
    assert [table.head for table in each] == [("", f"case {i}") for i in range(20)]
    assert all(len(table.rows) == 30 for table in each)


def test_a_matrix_keeps_its_rows():
    (table,) = tables({"m": [[1, 2, 3], [4, 5, 6]]})
    assert (table.title, table.rows) == ("m", (("1", "1", "2", "3"), ("2", "4", "5", "6")))


def every_number(value):
    if isinstance(value, dict):
        return [x for inner in value.values() for x in every_number(inner)]
    if isinstance(value, (list, tuple, np.ndarray)):
        return [x for inner in value for x in every_number(inner)]
    return [value]


def test_no_number_is_lost_however_deep_it_lies():
    """Every number of a nest is its own, so each has to turn up once."""
    count = iter(range(1000, 2000))

    def nest(depth, generator):
        kind = generator.integers(0, 4 if depth else 2)
        if kind == 0:
            return next(count)
        if kind == 1:
            return [next(count) for _ in range(generator.integers(1, 11))]
        if kind == 2:
            return {f"k{i}": nest(depth - 1, generator) for i in range(generator.integers(1, 4))}
        return [nest(depth - 1, generator) for _ in range(generator.integers(1, 3))]

    generator = np.random.default_rng(1)
    for _ in range(60):
        numbers = {f"key{i}": nest(3, generator) for i in range(3)}
        found = re.findall(r"\b1\d{3}\b", " ".join(cell for table in tables(numbers) for row in table.rows for cell in row))
        assert sorted(found) == sorted(map(str, every_number(numbers))), numbers
        count = iter(range(1000, 2000))


def test_a_long_table_is_folded():
    assert not tables({str(i): i for i in range(FOLD)})[0].long
    assert tables({str(i): i for i in range(FOLD + 1)})[0].long


def test_numbers_in_words():
    assert [text(x) for x in (1 / 3, 1e300, float("nan"), float("-inf"), 10**18, True)] == [
        "0.333333",
        "1e+300",
        "nan",
        "-inf",
        "1000000000000000000",
        "yes",
    ]
