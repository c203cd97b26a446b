"""Card, report and `show` have a part for every step that held conversations."""

from __future__ import annotations

import json

from rich.console import Console

import prefgen
from prefgen.publish.hub.pooled import added_up
from prefgen.publish.show import show_run
from prefgen.publish.talked import talked_steps
from prefgen.store.shape import wrong_manifest
from tests.language.conftest import Run, whole
from tests.language.test_talk import STEPS, TWO, guessing

__all__ = ["whole"]


def test_card_report_and_screen_say_how_conversations_went(whole: Run) -> None:
    done = whole(TWO | {"steps": STEPS | {"chats": STEPS["chats"] | {"talk": 3}}}, guessing)
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert wrong_manifest(manifest) is None
    (found,) = talked_steps(manifest)
    assert found.said == (
        "2 conversations: 100 % to the last turn",
        "those kept have 6.0 messages on average (6 to 6)",
        "person: 6 messages of 2 words on average",
        "assistant: 6 messages of 3 words on average",
    )
    assert f"**chats**: {'; '.join(found.said)}." in (done.folder / "README.md").read_text()
    prefgen.run(prefgen.load(done.folder / "pipeline.yaml"), done.folder, report=True)
    page = (done.folder / "report.html").read_text()
    assert 'id="talked"' in page
    assert "<bdi>chats</bdi>" in page
    console = Console(record=True, width=120)
    show_run(done.folder, console, rows=1)
    shown = console.export_text()
    assert "2 conversations" in shown
    assert "assistant  Perhaps green tea?" in shown


def test_what_was_left_out_is_told(whole: Run) -> None:
    def half(system: str, page: str) -> str:
        return "no JSON" if "mint" in system else guessing(system, page)

    done = whole(TWO | {"steps": STEPS}, half)
    manifest = json.loads((done.folder / "manifest.json").read_text())
    (found,) = talked_steps(manifest)
    assert "for want of a reply (person unparsed)" in found.said[0]
    summary = manifest["steps"][-1]["summary"]
    both = {key: added_up(value, value, (2, 2), key) for key, value in summary.items()}
    assert both["ended"] == {end: 2 * n for end, n in summary["ended"].items()}
    assert both["words"]["person"] == 2 * summary["words"]["person"]
