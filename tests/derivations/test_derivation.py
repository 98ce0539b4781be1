"""The checker, the catalogue, the text and the LaTeX of the derivations."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sympy as sp

import derivations
from derivations import symbols
from derivations.__main__ import main
from derivations.checking import agree, vanishes
from derivations.derivation import Argument
from derivations.render import as_latex, as_text

x = sp.Symbol("x", positive=True)
ROOT = Path(derivations.__file__).resolve().parents[1]


@pytest.fixture
def argument():
    return Argument("example", "An example", "derived here")


def test_a_true_equality_is_recorded_and_its_last_member_returned(argument):
    assert argument.equal("Double angle.", sp.sin(2 * x), 2 * sp.sin(x) * sp.cos(x)) == 2 * sp.sin(x) * sp.cos(x)
    assert argument.close().steps[0].witness == "symbolic"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (sp.sin(2 * x), sp.sin(x) * sp.cos(x)),
        (sp.diff(x**3, x), 3 * x**2 + sp.Rational(1, 10**9)),
        (sp.log(1 + sp.exp(x)) - sp.log(1 + sp.exp(-x)), -x),
        (sp.Matrix([x, 1]), sp.Matrix([x, 2])),
    ],
)
def test_a_perturbed_equality_raises(argument, left, right):
    with pytest.raises(derivations.StepFailed, match="Perturbed"):
        argument.equal("Perturbed.", left, right)
    assert argument.steps == []


def test_every_link_of_a_chain_is_checked(argument):
    with pytest.raises(derivations.StepFailed):
        argument.equal("Wrong in the middle.", 2 * x, x, 2 * x)


def test_a_number_wrong_in_the_thirtieth_digit_raises(argument):
    gaussian = sp.Integral(sp.exp(-(x**2)), (x, 0, sp.oo))
    argument.same_numbers("Right.", gaussian, sp.sqrt(sp.pi) / 2, at=[{}])
    with pytest.raises(derivations.StepFailed):
        argument.same_numbers("Wrong.", gaussian, sp.sqrt(sp.pi) / 2 * (1 + sp.Rational(1, 10**29)), at=[{}])


def test_a_numerical_step_says_so(argument):
    argument.same_numbers("One.", sp.sin(x) ** 2 + sp.cos(x) ** 2, sp.Integer(1), at=[{x: 1}, {x: 2}])
    assert argument.close().steps[0].witness == "30 digits at 2 points"
    assert "checked numerically: 30 digits at 2 points" in as_text(argument.close())


def test_an_inequality_needs_a_gap_whose_sign_is_evident(argument):
    argument.at_most("Square.", 2 * x, x**2 + 1 + 2 * x, 1 + x**2, strict=True)
    with pytest.raises(derivations.StepFailed, match="not evident"):
        argument.at_most("Unclear.", x, sp.Integer(1), 1 - x)
    with pytest.raises(derivations.StepFailed):
        argument.at_most("Wrong gap.", 2 * x, x**2 + 1 + 2 * x, x**2)


def test_a_result_cannot_be_named_twice(argument):
    argument.result(slope=x)
    with pytest.raises(ValueError, match="already has a result 'slope'"):
        argument.result(slope=2 * x)


def test_logarithms_and_lambert_are_seen_through():
    z = sp.Symbol("z", real=True)
    assert vanishes(sp.log(1 + sp.exp(z)) - sp.log(1 + sp.exp(-z)), z)
    assert vanishes(sp.LambertW(x) * sp.exp(sp.LambertW(x)), x)
    assert not vanishes(sp.LambertW(x) * sp.exp(sp.LambertW(x)), 2 * x)


def test_numbers_agree_relative_to_their_size():
    assert agree(sp.Rational(1, 10**40), sp.Rational(1, 10**40), {}, 30)
    assert not agree(sp.Rational(1, 10**40), sp.Rational(2, 10**40), {}, 30)


def test_a_result_becomes_a_numpy_function():
    risk = derivations.derive("risk")
    function = risk.function("hessian_tangential", symbols.r, symbols.c, functions={"h": lambda _: 0.5})
    assert function(2.0, 1.5) == pytest.approx((1.5 - 0.5) / 2.0)
    with pytest.raises(KeyError, match="hessian_tangential"):
        risk.function("hessian", symbols.r)


@pytest.mark.parametrize("name", derivations.names())
def test_each_derivation_has_steps_checks_and_results(name):
    derivation = derivations.derive(name)
    assert derivation.name == name
    assert derivation.results
    checked = [step for step in derivation.steps if step.witness != "definition"]
    assert len(checked) >= len(derivation.steps) / 2
    assert derivations.derive(name) is derivation


@pytest.mark.parametrize("name", derivations.names())
def test_the_text_is_numbered_and_names_the_results(name):
    derivation = derivations.derive(name)
    text = as_text(derivation)
    assert text.startswith(derivation.title)
    assert f"\n{len(derivation.steps)}. " in text
    assert all(f"    {result} = " in text for result in derivation.results)


@pytest.mark.parametrize("name", derivations.names())
def test_the_latex_has_balanced_environments_and_braces(name):
    latex = as_latex(derivations.derive(name))
    for environment in ("align*", "equation*"):
        begun = latex.count(rf"\begin{{{environment}}}")
        assert begun == latex.count(rf"\end{{{environment}}}")
    bare = re.sub(r"\\[{}]", "", latex)
    assert bare.count("{") == bare.count("}")
    assert latex.isascii()
    prose = re.sub(r"\\begin\{(align|equation)\*\}.*?\\end\{\1\*\}|\$[^$]*\$", "", latex, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)[_^&#%]", prose.replace(r"\^{}", ""))


def test_the_command_line_lists_the_names(capsys):
    assert main(["--list"]) == 0
    assert tuple(capsys.readouterr().out.split()) == derivations.names()


def test_the_command_line_prints_one_derivation_as_a_module():
    command = [sys.executable, "-m", "derivations", "margin_losses"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("Any margin loss")
    assert "exponential_risk_gaussian" in done.stdout


def test_the_command_line_prints_all_derivations(capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(derivations.derive(name).title in printed for name in derivations.names())


def test_an_unknown_name_is_refused_with_the_nearest_one(capsys):
    assert main(["growht"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no derivation is called 'growht'; the nearest name is 'growth'" in captured.err


def test_the_command_line_writes_latex(tmp_path, capsys):
    folder = tmp_path / "new" / "tex"
    assert main(["--latex", str(folder)]) == 0
    assert len(capsys.readouterr().out.split()) == len(derivations.names()) + 1
    article = (folder / "derivations.tex").read_text()
    for name in derivations.names():
        assert rf"\input{{{name}}}" in article
        assert r"\section{" in (folder / f"{name}.tex").read_text()
    assert article.index(r"\begin{document}") < article.index(r"\input") < article.index(r"\end{document}")
