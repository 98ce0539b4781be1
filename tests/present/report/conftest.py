"""A report of a few made-up claims: one of each kind, with texts that a page or a table could stumble over."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from flowsim.claims import Claim, Control, Curve, Finding, OutOfScope, Picture, Report, judge
from flowsim.claims.picture import picture_of_gaps

TIME = np.geomspace(1e-3, 1e12, 100)


class MadeUp(NamedTuple):
    report: Report
    chapters: dict[str, tuple[Claim, ...]]


def rates():
    curves = [Curve(TIME, TIME ** (2 * n / (n + 2)), "measured", f"$N={n}$") for n in (1, 2)]
    return Picture((*curves, Curve(TIME, 1.1 * TIME**0.6, "predicted", "theory")), "$t$", "$-s$", x_log=True, y_log=True)


def claim(name, verdict, expected="holds", statement=r"E=A_2\,(t-T)+B_2,\quad A_2=\tfrac{2c_0}{\pi}", **more):
    found = {"predicted": "2N/(N+2)", "measured": "0.6667 ± 2e-4", "tolerance": "1e-3 of max(|2 s|, 1)", "worst": "Ball(dim=4, radius=2)"}
    finding = Finding(verdict, **{**found, **{key: more.pop(key) for key in list(more) if key in (*found, "numbers", "picture")}})
    own = {
        "statement": statement,
        "source": "Lin, Sun, Zhang 2021 (submitted version), Theorem 1",
        "setting": "six laws, N = 3, 4, 5",
        "theory": 1.0,
        "measure": lambda setting, theory: finding,
        "method": "-2 s of every flow is compared with E",
        "fails": "one record with -2 s < E - 1e-9",
        "control": Control("A2 of 1.02 times its size", 1.02),
    }
    return Claim(name, expected=expected, **{**own, **more})


def out_of_scope(setting, theory):
    raise OutOfScope("speaks of N >= 3, and not of N = 1")


NUMBERS = {
    "one": {f"Gaussian(dim={d}, scale=1), N = 3": 10.0**-d for d in range(2, 20)},
    "wide": {f"Radial(dim=3, gamma(4)), N = 5, |w(0)| = {i}": [0.3333, 1e-12] for i in range(60)},
    "turned": {name: {f"StudentT(dim=2, df=3, scale=1), N = {n}": 0.25 * n for n in range(1, 7)} for name in ("slope", "error")},
    "two": {"N = 1": {"slope": 0.6667, "error": 1e-4}, "N = 2": {"slope": 1.0, "error": 3e-5}},
}
SPEEDS = [rf"\dot r_{n} = r_{n}^{{2-2/{n}}}(h-c(1-\cos\theta))" for n in range(1, 7)]
LONG = r",\ ".join([r"h(r)\le\frac{0.2785}{r}\ \text{for all } r>0", *SPEEDS])
EVIL = '<b>bold</b> & <script>alert(1)</script> 100 % of $x_1$ #7 {a}\\b ~ ^ "θ² ≤ 1 − ½", é, ☃'
GAPS = {f"{law}, N = {n}, |w(0)| = 1": 10.0**-n for n in (3, 4, 5) for law in ("Sphere(dim=2, radius=1)", "Ball(dim=4, radius=2)")}


@pytest.fixture(scope="session")
def made_up():
    """The report, and every claim there is by chapters."""
    chapters = {
        "The population risk": (
            claim("slope", "holds", about=("Theorem 1",), derivation="bounds", numbers=NUMBERS, picture=rates()),
            claim("cases", "holds", numbers=GAPS, picture=picture_of_gaps(GAPS, 1e-2)),
        ),
        "Bounds & <late> rates": (
            claim("bound-as-printed", "violated", "violated", about=("Theorem 5",), picture=rates()),
            claim("burst", "consistent", "consistent", r"\int_0^{\Sigma}\log|1-x|\,x^{4/(N-2)}\,dx=0"),
            claim("wrong", "violated"),
            claim(
                "sharp",
                "holds",
                statement=LONG,
                measured=EVIL,
                source=EVIL,
                worst="Radial(dim=3, radius=gamma(0.5)), " * 6,
                numbers={"nan": np.nan, "far": -np.inf, "list": np.array([1.0, np.inf]), "text": '[\n 1, "2"\n]'},
                picture=rates(),
            ),
        ),
        "Left over": (
            claim("deep", "holds", measure=out_of_scope),
            claim("never-measured", "holds", about=("Lemma 2",)),
        ),
    }
    verdicts = [judge(one) for claims in chapters.values() for one in claims if one.name != "never-measured"]
    seconds = (0.5, 12.0, 3.25, 100.0, 0.01, 7.0, 0.0)
    verdicts = [replace(verdict, seconds=took) for verdict, took in zip(verdicts, seconds, strict=True)]
    return MadeUp(Report(tuple(verdicts)), chapters)
