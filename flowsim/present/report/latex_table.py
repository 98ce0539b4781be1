"""claims.tex: the verdicts as a table for a plain article."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from flowsim.claims import Claim, Verdict

HEAD = r"""% The verdicts of `{command}`, for \input into any article:
%
%     \documentclass{{article}}
%     \usepackage{{amsmath,amssymb,longtable}}
%     \begin{{document}}
%     \input{{claims}}
%     \end{{document}}
%
\begingroup\footnotesize\setlength{{\emergencystretch}}{{3em}}%
\begin{{longtable}}{{@{{}}p{{0.23\textwidth}}p{{0.27\textwidth}}p{{0.27\textwidth}}p{{0.125\textwidth}}@{{}}}}
\caption{{{caption}}}\label{{tab:flowsim-claims}}\\
\hline
claim: statement\newline source & predicted & measured & verdict\\
\hline
\endfirsthead
\hline
claim: statement\newline source & predicted & measured & verdict\\
\hline
\endhead
\hline
\endfoot
"""
FOOT = "\\end{longtable}\\endgroup\n"

_COMMANDS = """
α alpha β beta γ gamma δ delta ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu ν nu ξ xi π pi ρ rho σ sigma τ tau υ upsilon φ
varphi χ chi ψ psi ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Φ Phi Ψ Psi Ω Omega ε varepsilon ≤ le ≥ ge ≠ ne ≈
approx ∼ sim ± pm × times · cdot ∞ infty ∫ int ∂ partial ∇ nabla √ surd ∑ sum ∈ in ∝ propto → to ⟨ langle ⟩ rangle ⪯ preceq ≪ ll
≫ gg ℓ ell ‖ Vert
"""
"""Sign and command, in turn."""

_LETTERS = dict(zip(_COMMANDS.split()[::2], _COMMANDS.split()[1::2], strict=True))
_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "−": "$-$",
    "′": "$'$", "–": "--", "—": "---", "…": r"\dots{}", "’": "'", "‘": "`", "“": "``", "”": "''", "\u00a0": "~", "°": r"$^\circ$",
    "½": "1/2", "¼": "1/4",
}  # fmt: skip
_RAISED = {**dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", strict=True))}
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₋₊", "0123456789-+", strict=True))


def escaped(text: str) -> str:
    r"""``text`` for LaTeX: its own signs escaped, Greek and mathematical signs as formulas, places to break in long words.

    A sign that plain LaTeX does not have is written as its number, [U+2603].

    >>> escaped("50 % of θ_rms² ≤ 1")
    '50 \\% of $\\theta$\\_rms$^{2}$ $\\le$ 1'
    """
    return " ".join(_word(word) for word in text.split())


def _word(word: str) -> str:
    parts = re.split(r"(?<=[-/=,()_])", word) if len(word) > 12 else [word]
    return r"\allowbreak{}".join("".join(_runs(part)) for part in parts if part)


def _runs(part: str) -> Iterable[str]:
    """Each sign as LaTeX; exponents and indices of several signs stay together."""
    for run in re.findall(f"[{''.join(_RAISED)}]+|[{''.join(_LOWERED)}]+|.", part):
        if run[0] in _RAISED:
            yield f"$^{{{''.join(map(_RAISED.__getitem__, run))}}}$"
        elif run[0] in _LOWERED:
            yield f"$_{{{''.join(map(_LOWERED.__getitem__, run))}}}$"
        elif run in _LETTERS:
            yield rf"$\{_LETTERS[run]}$"
        elif run in _SIGNS:
            yield _SIGNS[run]
        elif run.isascii() or (run.isalpha() and unicodedata.name(run, "").startswith("LATIN") and ord(run) < 0x180):
            yield run
        else:
            yield f"[U+{ord(run):04X}]"


def inline_formula(statement: str) -> str:
    r"""A statement between dollars that may break after a comma or a wide space outside all brackets.

    >>> inline_formula(r"a=f(x,y),\quad b")
    '$a=f(x,y),\\allowbreak \\quad \\allowbreak b$'
    """
    out, depth = [], 0
    for token in re.findall(r"\\(?:[A-Za-z]+|.)|.", statement, flags=re.DOTALL):
        if token in ("{", "(", "[", r"\left", r"\begin"):
            depth += 1
        elif token in ("}", ")", "]", r"\right", r"\end"):
            depth -= 1
        out.append(token)
        if depth == 0 and token in (",", ";", r"\quad", r"\qquad"):
            out.append(r" \allowbreak " if token.startswith("\\") else r"\allowbreak ")
    return f"${re.sub(' +', ' ', ''.join(out))}$"


def claims_table(verdicts: Sequence[Verdict], chapters: Mapping[str, Sequence[Claim]], caption: str, command: str) -> str:
    """The table: for each claim its name, statement and source, what is predicted, what was measured, and the verdict.

    chapters: the claims by what they are about, in order.  caption, command: plain text.
    """
    by_name = {verdict.claim.name: verdict for verdict in verdicts}
    lines = [HEAD.format(command=command.replace("\n", " "), caption=escaped(caption))]
    for chapter, claims in chapters.items():
        found = [by_name[claim.name] for claim in claims if claim.name in by_name and by_name[claim.name].measured]
        if found:
            lines.append(rf"\multicolumn{{4}}{{@{{}}l@{{}}}}{{\rule{{0pt}}{{3ex}}\textbf{{{escaped(chapter)}}}}}\\*")
        lines += map(_row, found)
    outside = [verdict for verdict in verdicts if not verdict.measured]
    if outside:
        lines.append(r"\hline")
        lines += [_across(f"{_name(v.claim)} {escaped('was left out: it ' + v.finding.measured)}") + r"\\" for v in outside]
    return "\n".join(lines) + "\n" + FOOT


def _row(verdict: Verdict) -> str:
    """Two rows that stay together: name and statement, then the rest."""
    claim, finding = verdict.claim, verdict.finding
    if verdict.as_expected:
        said = finding.verdict + (", as it should" if finding.verdict in ("violated", "contradicted") else "")
    else:
        said = rf"\textbf{{{finding.verdict.upper()}}}"
    cells = "".join(rf"\raggedright {escaped(text)} & " for text in (claim.source, finding.predicted, finding.measured))
    # the last cell is not set ragged: there the end of a row would be no more than the end of a line
    return f"{_across(f'{_name(claim)}: {inline_formula(claim.statement)}')}\\\\*\n{cells}{said}\\\\"


def _across(text: str) -> str:
    return rf"\multicolumn{{4}}{{@{{}}p{{\textwidth}}@{{}}}}{{\raggedright\rule{{0pt}}{{2.6ex}}{text}}}"


def _name(claim: Claim) -> str:
    return r"\texttt{" + escaped(claim.name).replace(r"\allowbreak{}", "").replace("-", r"-\allowbreak{}") + "}"
