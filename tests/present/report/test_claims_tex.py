"""claims.tex holds every claim, compiles in a plain article and fits its page."""

import re
import shutil
import subprocess

import pytest

from flowsim.claims import Finding, Verdict, chapters, registry
from flowsim.present.report.latex_table import claims_table, escaped, inline_formula

ARTICLE = r"""\documentclass{article}
\usepackage{amsmath,amssymb,longtable}
\begin{document}
\input{claims}
\end{document}
"""
BODY = re.compile(r"\\endfoot\n(.*)\\end\{longtable\}", re.DOTALL)


@pytest.fixture(scope="module")
def table(made_up):
    return claims_table(made_up.report.verdicts, made_up.chapters, "5 of 6 claims, 100 % of them", "flowsim check --seed 3")


def test_every_claim_has_its_rows(table, made_up):
    body = BODY.search(table)[1]
    plain = body.replace(r"\allowbreak{}", "")
    for verdict in made_up.report.verdicts:
        assert rf"\texttt{{{verdict.claim.name}}}" in plain
        if verdict.measured:
            assert inline_formula(verdict.claim.statement) in body
    assert "never-measured" not in plain
    assert r"\textbf{VIOLATED}" in body
    assert "violated, as it should" in body
    assert "was left out: it speaks of N $>$= 3, and not of N = 1" in plain
    assert r"Bounds \& $<$late$>$ rates" in plain
    assert r"\caption{5 of 6 claims, 100 \% of them}" in table


def test_a_row_has_as_many_cells_as_the_table_columns(table):
    rows = [row for row in BODY.search(table)[1].splitlines() if row.startswith(r"\raggedright")]
    assert len(rows) == 6
    assert all(len(re.findall(r"(?<!\\)&", row)) == 3 for row in rows)


@pytest.mark.parametrize(
    ("plain", "latex"),
    [
        ("50 % of $5 & #1 {a}_b", r"50 \% of \$5 \& \#1 \{a\}\_b"),
        (r"a\b ~ ^", r"a\textbackslash{}b \textasciitilde{} \textasciicircum{}"),
        ("|s| < 1 > 0", "$|$s$|$ $<$ 1 $>$ 0"),
        ("θ² ≤ 10⁻¹²", r"$\theta$$^{2}$ $\le$ 10$^{-12}$"),
        ("x₁₂ → ∞", r"x$_{12}$ $\to$ $\infty$"),
        ("é – ½ −1", "é -- 1/2 $-$1"),
        ("☃", "[U+2603]"),
        ("StudentT(dim=2,df=3)", r"StudentT(\allowbreak{}dim=\allowbreak{}2,\allowbreak{}df=\allowbreak{}3)"),
    ],
)
def test_text_is_escaped(plain, latex):
    assert escaped(plain) == latex


def test_a_formula_breaks_outside_brackets_only():
    broken = inline_formula(r"w(0)=(0.6,-0.8),\ N=1,4,\quad \left[a,b\right],\ f_{i,j}")
    parts = [part.strip() for part in broken.strip("$").split(r"\allowbreak")]
    assert parts == ["w(0)=(0.6,-0.8),", r"\ N=1,", "4,", r"\quad", r"\left[a,b\right],", r"\ f_{i,j}"]


def unmeasured():
    """Every claim there is, with its own words in every column: what LaTeX has to take whatever is measured."""
    claims = registry()
    verdicts = [Verdict(claim, Finding(claim.expected, claim.method, f"{claim.fails} {claim.control.wrong}", ""), 0.0) for claim in claims]
    return claims_table(verdicts, chapters(), "every claim", "flowsim check")


@pytest.fixture(scope="module", params=["made up", "every claim"])
def log(request, tmp_path_factory, table):
    """What pdflatex says of an article with the table."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex on this machine")
    folder = tmp_path_factory.mktemp("tex")
    (folder / "claims.tex").write_text(table if request.param == "made up" else unmeasured(), encoding="utf-8")
    (folder / "article.tex").write_text(ARTICLE)
    done = None
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "article.pdf").stat().st_size > 10_000
    return (folder / "article.log").read_text(encoding="latin-1")


def test_it_compiles_in_a_plain_article_without_errors(log):
    assert not re.search(r"^!", log, re.MULTILINE)
    assert "Missing character" not in log
    assert "Output written on article.pdf" in log


def test_nothing_sticks_out_of_the_page(log):
    sizes = [float(size) for size in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
    assert max(sizes, default=0.0) < 20.0, sizes


def test_the_article_in_its_head_is_the_one_that_compiles(table):
    head = [line.removeprefix("%").strip() for line in table.splitlines() if line.startswith("%     ")]
    assert head == ARTICLE.splitlines()
