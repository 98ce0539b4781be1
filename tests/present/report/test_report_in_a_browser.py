"""The page in headless Chromium: light and dark, on a phone, on paper, sorted and filtered, without a word on the console."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib.image import imread

from flowsim.present.report.page import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for path in map(shutil.which, NAMES) if path), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--enable-logging=stderr", "--disable-sync")
OFFLINE = ("--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND")
DARK = "--blink-settings=preferredColorScheme=0"
WIDTH, HEIGHT = 1200, 1600


@pytest.fixture
def browse(tmp_path):
    """browse(page, *options): stdout, with nothing said on the console."""

    def run(page, *options):
        command = [BROWSER, *QUIET, *OFFLINE, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert not said, said
        return done.stdout

    return run


@pytest.fixture(scope="module")
def page(tmp_path_factory, made_up):
    folder = tmp_path_factory.mktemp("browser")
    assert write_report(made_up.report, folder, chapters=made_up.chapters) == []
    return folder / "report.html"


@pytest.fixture
def ask(browse, page, tmp_path):
    """ask(script): what the script in the page returns, an object."""

    def run(script):
        asking = f"<script>addEventListener('load', () => {{ const found = (() => {{ {script} }})();"
        asking += "const out = document.createElement('pre'); out.id = 'found'; out.textContent = JSON.stringify(found);"
        asking += "document.body.append(out); });</script></body>"
        (tmp_path / "asked.html").write_text(page.read_text(encoding="utf-8").replace("</body>", asking), encoding="utf-8")
        dom = browse(tmp_path / "asked.html", "--dump-dom")
        return json.loads(re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)[1].replace("&lt;", "<").replace("&amp;", "&"))

    return run


@pytest.fixture
def picture(browse, tmp_path):
    """picture(page, *options): what is seen, as (height, width, 3) from 0 to 1."""

    def shoot(page, *options):
        browse(page, f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={tmp_path / 'seen.png'}", *options)
        return imread(tmp_path / "seen.png")[..., :3]

    return shoot


def test_light_and_dark_are_what_the_reader_asks_for(picture, page):
    light, dark = picture(page), picture(page, DARK)
    assert light.shape == dark.shape == (HEIGHT, WIDTH, 3)
    assert light.mean() > 0.8
    assert dark.mean() < 0.25
    for seen in (light, dark):
        # neither is blank: text and rules stand out, all the way down
        assert np.std(seen) > 0.05
        assert all(np.std(band) > 0.01 for band in np.array_split(seen, 6))


def test_a_drawing_can_be_read_in_the_dark(picture, page, tmp_path):
    """Of one claim alone: its card is dark, and its lines and letters are not."""
    only = page.read_text(encoding="utf-8").replace("</style>", "body > *, .drawing ~ * { display: none } </style>")
    drawing = re.search(r'<div class="drawing">.*?</svg></div>', only, re.DOTALL)[0]
    shown = only.replace("</body>", f'<div class="drawing" style="display:block">{drawing}</div></body>')
    (tmp_path / "drawing.html").write_text(shown, encoding="utf-8")
    dark = picture(tmp_path / "drawing.html", DARK)
    assert np.median(dark) < 0.2
    assert (dark.min(axis=2) > 0.8).sum() > 50, "letters"
    assert (dark[..., 2] - dark[..., 0] > 0.3).sum() > 50, "the blue line"


PHONE = """<!DOCTYPE html><body style="margin:0"><iframe id="phone" style="width:390px;height:800px;border:0" src="asked.html"></iframe>
<pre id="found"></pre>
<script>addEventListener("message", (told) => { document.getElementById("found").textContent = told.data; });</script>"""

TELL = """<script>addEventListener("load", () => {
  document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  const wide = Array.from(document.body.querySelectorAll("*")).filter((e) => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest(".scroll, .drawing, .statement, pre, .skip")).map((e) => e.tagName + "." + e.className);
  parent.postMessage(JSON.stringify({ width: innerWidth, page: document.documentElement.scrollWidth, wide: wide }), "*");
});</script></body>"""


def test_on_a_phone_the_page_does_not_scroll_sideways(browse, page, tmp_path):
    """390 pixels wide, everything unfolded; tables, formulas and drawings scroll in boxes of their own."""
    (tmp_path / "asked.html").write_text(page.read_text(encoding="utf-8").replace("</body>", TELL), encoding="utf-8")
    (tmp_path / "phone.html").write_text(PHONE)
    dom = browse(tmp_path / "phone.html", "--dump-dom", "--virtual-time-budget=4000")
    told = json.loads(re.search(r'<pre id="found">(.+?)</pre>', dom)[1])
    assert told == {"width": 390, "page": 390, "wide": []}


def test_a_click_sorts_by_a_column_and_another_turns_it_round(ask, made_up):
    found = ask("""
        const table = document.getElementById("verdict-table"), out = {};
        const names = () => Array.from(table.tBodies[0].rows).map((row) => row.dataset.claim);
        const heads = Array.from(table.tHead.rows[0].cells);
        out.before = names();
        for (const [title, column] of [["claim", 1], ["verdict", 5], ["s", 6]]) {
          heads[column].querySelector("button").click();
          out[title] = names();
          out[title + " said"] = heads.map((head) => head.getAttribute("aria-sort"));
          heads[column].querySelector("button").click();
          out[title + " down"] = names();
          out[title + " down said"] = heads[column].getAttribute("aria-sort");
        }
        out.seconds = Array.from(table.tBodies[0].rows).map((row) => Number(row.cells[6].textContent));
        heads[0].querySelector("button").click();
        out.chapter = names();
        return out;
    """)
    names = [verdict.claim.name for verdict in made_up.report.verdicts]
    assert found["before"] == names
    assert found["claim"] == sorted(names)
    assert found["claim down"] == sorted(names, reverse=True)
    assert found["claim said"] == ["none", "ascending", "none", "none", "none", "none", "none"]
    assert found["claim down said"] == "descending"
    assert found["verdict"][0] == "wrong", "what is not as it should be comes first"
    assert found["seconds"] == sorted(found["seconds"], reverse=True)
    chapters = [title for title, claims in made_up.chapters.items() for _ in claims]
    order = dict(zip([claim.name for claims in made_up.chapters.values() for claim in claims], chapters, strict=True))
    titles = list(made_up.chapters)
    assert [titles.index(order[name]) for name in found["chapter"]] == sorted(titles.index(order[name]) for name in names)


def test_the_filter_keeps_what_has_every_term(ask):
    found = ask("""
        const filter = document.getElementById("filter"), out = {};
        for (const words of ["burst", "THEOREM 5", "holds, 1.02 TIMES , slope", "no such word", ""]) {
          filter.value = words;
          filter.dispatchEvent(new Event("input"));
          out[words] = [Array.from(document.querySelectorAll("#verdict-table tbody tr:not([hidden])")).map((row) => row.dataset.claim),
                        Array.from(document.querySelectorAll("details.claim:not([hidden])")).map((claim) => claim.id),
                        document.getElementById("shown").textContent];
        }
        return out;
    """)
    assert found["burst"] == [["burst"], ["burst"], "1 of 7 claims"]
    assert found["THEOREM 5"][0] == ["bound-as-printed"]
    assert found["holds, 1.02 TIMES , slope"][0] == ["slope"]
    assert found["no such word"] == [[], [], "0 of 7 claims"]
    assert [len(names) for names in found[""][:2]] == [7, 7]
    assert found[""][2] == ""


def test_claims_unfold_all_at_once_by_a_link_and_for_print(ask):
    found = ask("""
        const out = {}, claims = Array.from(document.querySelectorAll("details.claim"));
        const open = () => claims.filter((claim) => claim.open).map((claim) => claim.id);
        out.first = open();
        dispatchEvent(new Event("beforeprint"));
        out.print = [open().length, Array.from(document.querySelectorAll("details:not([open])")).length];
        dispatchEvent(new Event("afterprint"));
        out.after = open();
        document.getElementById("open-all").click();
        out.all = open().length;
        document.getElementById("close-all").click();
        out.none = open();
        return out;
    """)
    assert found == {"first": [], "print": [7, 0], "after": [], "all": 7, "none": []}


def test_a_link_to_a_claim_unfolds_it(browse, page, tmp_path):
    link = tmp_path / "link.html"
    tell = page.read_text(encoding="utf-8").replace("<script>", '<script>history.replaceState(null, "", "#burst");</script><script>', 1)
    link.write_text(tell, encoding="utf-8")
    dom = browse(link, "--dump-dom")
    assert re.findall(r'<details class="claim" id="([^"]+)" open=""', dom) == ["burst"]


def test_everything_can_be_read_without_scripts(browse, page, tmp_path):
    """Without them the tools that need them are not shown, and folds are the browser's own."""
    text = page.read_text(encoding="utf-8")
    bare = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    (tmp_path / "bare.html").write_text(
        bare.replace("</body>", "<script>document.title = getComputedStyle(document.querySelector('.tools')).display</script></body>"),
        encoding="utf-8",
    )
    dom = browse(tmp_path / "bare.html", "--dump-dom")
    assert "<title>none</title>" in dom
    assert dom.count("<summary>") == text.count("<summary>")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_on_paper_every_claim_is_unfolded(browse, page, tmp_path, made_up, scripts):
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine")
    text = page.read_text(encoding="utf-8")
    (tmp_path / "print.html").write_text(text if scripts else re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL), encoding="utf-8")
    browse(tmp_path / "print.html", f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer", DARK)
    done = subprocess.run(["pdftotext", "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True, timeout=60)
    printed = " ".join(done.stdout.split())
    assert printed.count("what would make it fail") == len(made_up.report.verdicts)
    assert "Gaussian(dim=19, scale=1), N = 3" in printed, "long tables are unfolded too"
    assert "Unfold all" not in printed


def test_paper_is_not_shrunk_by_what_is_too_wide(browse, page, tmp_path):
    """Chromium makes a whole document smaller until its widest part fits; letters of 9 points then are none."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine")
    browse(page, f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer")
    done = subprocess.run(["pdftotext", "-bbox", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True, timeout=60)
    found = re.findall(r'yMin="([\d.]+)" xMax="[\d.]+" yMax="([\d.]+)">tolerance<', done.stdout)
    heights = [float(bottom) - float(top) for top, bottom in found]
    assert max(heights) > 9.0, heights


@pytest.mark.parametrize("scheme", [(), (DARK,)], ids=["light", "dark"])
def test_paper_is_white(browse, page, tmp_path, scheme):
    if shutil.which("pdftoppm") is None:
        pytest.skip("no pdftoppm on this machine")
    browse(page, f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer", *scheme)
    subprocess.run(
        ["pdftoppm", "-png", "-r", "30", "-f", "1", "-l", "2", tmp_path / "page.pdf", tmp_path / "sheet"], check=True, timeout=60
    )
    sheets = [imread(path)[..., :3] for path in sorted(tmp_path.glob("sheet*.png"))]
    assert len(sheets) == 2
    assert all(sheet.mean() > 0.85 and sheet.min() < 0.6 for sheet in sheets)
