"""The report of a run whose truth is planted: complete, the same every time, and safe whatever the texts say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import orjson
import polars as pl
import pytest

from prefgen.analysis.findings import write_findings
from prefgen.errors import FileError
from prefgen.publish.report import write_report
from prefgen.publish.report.canvas import for_page
from prefgen.publish.report.words import count, decimal, interval, percent, short
from prefgen.store.folder import RunFolder
from tests.analysis.planted import Truth, plant, plant_run

HOSTILE = {
    "ada": "<script>document.title='owned'</script><img src=x onerror=alert(1)> {{ 7*7 }} {% raw %}",
    "bea": "w" * 3000,
    "cyd": "أنت شخص مسن ‮ reversed ‬ עברית",
    "dan": "👩‍🚀🔥 $x^2$ &amp; \x00\x1b[31m",
    "prompt": "</script><script>window.owned=1</script>",
}
VOID = {"meta", "br", "img", "input", "link", "hr", "path", "use", "rect", "circle", "line", "polygon"}


class Page(HTMLParser):
    """Tags, attributes and ids of a page, and whether every tag that opens closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "action", "srcset"):
                self.addresses.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def found_in(folder: Path, **texts) -> RunFolder:
    run = RunFolder(plant_run(folder, plant(texts=texts)))
    write_findings(run, draws=40)
    return run


def report_of(folder: Path, **texts) -> RunFolder:
    run = found_in(folder, **texts)
    write_report(run)
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("hostile"), **HOSTILE)


def html_of(run: RunFolder) -> str:
    return run.report_path.read_text(encoding="utf-8")


def test_the_page_is_whole_and_asks_nothing_of_the_network(plain):
    html = html_of(plain)
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith("#") for address in page.addresses)
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\((?!#)", html)


def test_every_figure_stands_in_the_page_and_as_a_file(plain):
    html = html_of(plain)
    shown = re.findall(r'<figure id="figure-(\w+)">', html)
    assert shown == [
        "flow",
        "position",
        "position_items",
        "control",
        "blocs",
        "profiles",
        "pairs",
        "map",
        "shares",
        "gaps",
        "forms",
        "nonresponse",
    ]
    assert sorted(path.stem for path in plain.figures.glob("*.png")) == sorted(shown)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plain.figures.glob("*.png"))
    assert html.count("<svg") == len(shown)


def test_ids_that_a_figure_uses_are_its_own(plain):
    page = Page(html_of(plain))
    used = {address[1:] for address in page.addresses if "-" in address}
    assert used <= set(page.ids)


def test_the_same_run_gives_the_same_bytes(plain, tmp_path):
    again = report_of(tmp_path / "again")
    assert again.report_path.read_bytes() == plain.report_path.read_bytes()
    assert (again.path / "report.json").read_bytes() == (plain.path / "report.json").read_bytes()
    for one in plain.figures.glob("*.png"):
        assert (again.figures / one.name).read_bytes() == one.read_bytes()


def test_what_strangers_wrote_stays_text(hostile):
    html = html_of(hostile)
    page = Page(html)
    assert page.tags.count("script") == 1
    assert page.handlers == []
    assert "img" not in page.tags
    assert "&lt;script&gt;document.title" in html
    assert "{{ 7*7 }}" in html
    assert page.open == []


def test_ten_judgments_are_there_to_read_and_every_persona_among_them(plain):
    html = html_of(plain)
    first = html.split('<details class="more">')[0]
    readers = re.findall(r'<article class="reading" data-persona="(\w+)"', first)
    assert len(readers) == 10
    assert set(readers) == {"ada", "bea", "cyd", "dan", "eve", "none"}
    assert 'data-status="refusal"' in html


def test_items_are_counted_by_their_own_position_bias_beside_chance(plain):
    html = html_of(plain)
    figure = html[html.index('<figure id="figure-position_items">') :].split("</figure>")[0]
    bias = orjson.loads((plain.path / "report.json").read_bytes())["position_bias"]
    assert "No item by itself has a position bias beyond chance" in figure
    assert 250 < sum(bias["items_by_bias"]) <= 288
    assert sum(bias["items_by_chance"]) == pytest.approx(sum(bias["items_by_bias"]))


def test_the_report_says_what_was_planted(plain):
    html = html_of(plain)
    assert "with group feminists it is" in html
    assert "the widest gap is war refugees over " in html
    assert "ada and bea answer more alike than" in html or "cyd and dan answer more alike than" in html


def test_findings_of_another_run_are_not_shown(tmp_path):
    run = found_in(tmp_path / "run")
    path = run.path / "report.json"
    path.write_bytes(path.read_bytes().replace(b'"fingerprint": "planted"', b'"fingerprint": "another"'))
    write_report(run)
    html = html_of(run)
    assert "nothing to compare" in html
    assert [one.stem for one in run.figures.glob("*.png")] == ["flow"]


def test_a_run_that_judged_nothing_still_has_a_report(tmp_path):
    planted = plant()
    run = RunFolder(plant_run(tmp_path / "run", planted))
    manifest = run.read_manifest()
    manifest["steps"] = manifest["steps"][:2]
    from prefgen.store.files import write_json

    write_json(run.manifest_path, manifest)
    write_findings(run)
    write_report(run)
    assert "288 rows of items" in html_of(run)


def test_many_personas_many_items_without_coordinates_and_many_options(tmp_path):
    blocs = {f"person {n:03d}": n % 3 for n in range(40)}
    planted = plant(Truth(blocs=blocs, follows={}, refusals={}, control=False))
    few = planted.items.head(30)
    rows = planted.judgments.join(few.select("item_id"), on="item_id", how="semi", maintain_order="left")
    coordinates = ["theme", "topic", "group_type", "group", "dimension", "form"]
    bare = type(planted)(planted.truth, planted.personas, few.drop(coordinates), rows.drop(coordinates))
    run = RunFolder(plant_run(tmp_path / "run", bare))
    write_findings(run, draws=20)
    write_report(run)
    html = html_of(run)
    assert "40 personas" in html
    assert {"blocs", "pairs", "map"} <= {one.stem for one in run.figures.glob("*.png")}


def test_a_folder_that_is_no_run_says_so(tmp_path):
    with pytest.raises(FileError, match="is not a run folder"):
        write_report(RunFolder(tmp_path))


def test_broken_findings_say_how_to_mend_them(tmp_path):
    run = RunFolder(plant_run(tmp_path / "run", plant()))
    (run.path / "report.json").write_text("{")
    with pytest.raises(FileError, match=r"report\.json: cannot be read"):
        write_report(run)


def test_judgments_without_probabilities_can_be_read(tmp_path):
    planted = plant()
    letters = pl.struct(pl.lit(None, pl.Float64).alias(name) for name in "ABC")
    bare = planted.judgments.with_columns(
        p=pl.when(pl.lit(False)).then(letters),
        p_A=pl.lit(None, pl.Float64),
        p_B=pl.lit(None, pl.Float64),
        p_C=pl.lit(None, pl.Float64),
        p_choice=pl.lit(None, pl.Float64),
    )
    run = RunFolder(plant_run(tmp_path / "run", type(planted)(planted.truth, planted.personas, planted.items, bare)))
    write_findings(run, draws=20)
    assert write_report(run).page.stat().st_size > 50_000


def test_numbers_read_as_people_write_them():
    assert percent(0.5) == "50 %"
    assert percent(0.996) == "99.6 %"
    assert percent(1.0) == "100 %"
    assert decimal(-0.001) == ".00"
    assert count(None) == "-"
    assert interval({"value": None, "low": None, "high": None}) == "unknown"
    assert short("a\n b_c") == "a b c"


def test_a_title_with_markup_stays_a_label():
    svg = for_page('<svg viewBox="0 0 1 1"><g id="a"/></svg>', "k", '"><script>')
    assert svg == '<svg viewBox="0 0 1 1" role="img" aria-label="&#34;&gt;&lt;script&gt;"><g id="k-a"/></svg>'


def test_reading_about_a_run_does_not_load_the_plotting_library():
    import subprocess
    import sys

    code = "import sys, prefgen.publish.report, prefgen.publish.show; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
