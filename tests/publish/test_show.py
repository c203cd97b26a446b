"""A run on the terminal: what matters is there, and no text takes the terminal over."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from prefgen.analysis.findings import write_findings
from prefgen.errors import FileError
from prefgen.publish.show import plain, show_run, summary_of
from prefgen.store.folder import RunFolder
from tests.analysis.planted import plant, plant_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    evil = {"ada": "\x1b[2J\x1b]0;owned\x07 text", "prompt": " \x1b[31mred ‮turned [bold]not markup[/bold]"}
    folder = RunFolder(plant_run(tmp_path_factory.mktemp("run"), plant(texts=evil)))
    write_findings(folder, draws=40)
    return folder.path


def printed(run, **options):
    out = io.StringIO()
    show_run(run, Console(file=out, width=100, highlight=False), **options)
    return out.getvalue()


def test_the_funnel_the_findings_and_some_judgments_are_printed(run):
    text = printed(run, rows=3)
    assert "3,456 judgments by planted-judge as 5 personas and 1 control on 288 items." in text
    assert "refusal 140" in text or "refusal" in text
    assert "Krippendorff's alpha" in text
    assert "no persona" in text
    assert text.count("given, slots show") == 3


def test_no_text_of_a_stranger_moves_the_cursor_or_is_read_as_markup(run):
    text = printed(run, rows=8)
    assert "\x1b" not in text
    assert "‮" not in text
    assert "[bold]not markup[/bold]" in text
    assert plain("a\x1b[31mb\u202ec\td\n") == "a [31mb c\td\n"


def test_no_judgments_are_read_when_none_are_wanted(run):
    assert "slots show" not in printed(run, rows=0)


def test_the_summary_for_programs_is_json_with_the_same_facts(run):
    summary = json.loads(json.dumps(summary_of(run)))
    assert summary["steps"][-1]["dropped"].keys() == {"order_agreement", "refusal"}
    assert summary["agreement"]["alpha"]["low"] < summary["agreement"]["alpha"]["high"]
    assert {one["about"] for one in summary["headlines"]} >= {"flow", "position", "agreement", "control", "gaps"}


def test_a_folder_that_is_no_run_says_so(tmp_path):
    with pytest.raises(FileError, match="is not a run folder"):
        summary_of(tmp_path)


def test_before_the_analyses_the_funnel_is_shown_all_the_same(tmp_path):
    run = plant_run(tmp_path / "run", plant())
    assert "84 % of 3,456 judgments are kept" in printed(run, rows=1)
    assert summary_of(run)["agreement"] is None
