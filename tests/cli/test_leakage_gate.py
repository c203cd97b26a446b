"""Near-duplicates across a split: counted, shown on the screen and the card, and a gate that exits 5."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import prefgen.store.leakage
from prefgen.cli import main
from tests.faults.pipelines import manifest

if importlib.util.find_spec("rensa") is None:
    pytest.skip("rensa is not installed", allow_module_level=True)

_PIPELINE = """
name: town
seed: 1
steps:
  items: {table: items.csv}
  parts: {split: items, by: [topic], test: 0.5}
expect: {parts: {max_near_duplicates: %s}}
publish: {exports: [items]}
"""


def written(folder: Path, least: float, *, alike: bool) -> Path:
    """Forty questions on forty topics; where they are `alike` every second one repeats the one before it."""
    words = ["river", "stone", "lantern", "violin", "harvest", "copper", "winter", "meadow", "engine", "ladder"]
    said = [
        f"{words[k % 10]} {words[(3 * k + k // 10) % 10]} {k * k * 7919} or {words[(7 * k) % 10]}{k}" for k in range(40)
    ]
    if alike:
        said = [said[k - k % 2] + "!" * (k % 2) for k in range(40)]
    rows = [f"Who of the two should have the {text}?,yes | no,topic {k}" for k, text in enumerate(said)]
    (folder / "items.csv").write_text("prompt,options,topic\n" + "\n".join(rows) + "\n")
    path = folder / "p.yaml"
    path.write_text(_PIPELINE % least)
    return path


def called(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["prefgen", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_more_than_the_gate_allows_exits_5_and_says_how_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(folder, 0.01, alike=True)
    assert called(monkeypatch, "run", path, "--out", folder / "out", "--no-report") == 5
    said = " ".join(capsys.readouterr().err.split())
    assert "questions held out are nearly the same as one of train" in said
    assert "parts.max_near_duplicates: found 0." in said
    (gate,) = manifest(folder / "out")["gates"]
    assert (gate["gate"], gate["wanted"], gate["passed"]) == ("max_near_duplicates", 0.01, False)
    assert gate["found"] > 0.2
    card = (folder / "out" / "README.md").read_text()
    assert "`parts.max_near_duplicates`" in card
    assert called(monkeypatch, "push", folder / "out", "user/town") == 5


def test_questions_that_differ_pass(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(folder, 0.0, alike=False)
    assert called(monkeypatch, "run", path, "--out", folder / "out", "--no-report") == 0
    assert "0 of " in capsys.readouterr().err


def test_without_rensa_the_gate_is_refused_before_anything_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(folder, 0.01, alike=False)
    monkeypatch.setitem(sys.modules, "rensa", None)  # as if it were not installed
    assert called(monkeypatch, "check", path) == 2
    said = capsys.readouterr().out
    assert f"{path}:7: expect.parts.max_near_duplicates: rensa is not installed" in said
    assert 'fix: pip install "prefgen[dedup]"' in said
    assert called(monkeypatch, "doctor", path) == 2
    assert "gate parts.max_near_duplicates: rensa is not installed" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("where", "words"), [("items", "'items' is a `table` step")])
def test_a_gate_on_a_step_that_parts_nothing_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str, words: str
) -> None:
    path = written(folder, 0.01, alike=False)
    path.write_text(path.read_text().replace("expect: {parts:", f"expect: {{{where}:"))
    assert called(monkeypatch, "check", path) == 2
    assert words in capsys.readouterr().out


def test_the_same_words_before_other_options_are_another_question() -> None:
    import polars as pl

    items = pl.DataFrame(
        {"item_id": ["a", "b"], "prompt": ["Which?"] * 2, "options": [["tea", "milk"], ["cats", "dogs"]]}
    )
    assert prefgen.store.leakage.question_texts(items)["prompt"].to_list() == [
        "Which?\ntea\nmilk",
        "Which?\ncats\ndogs",
    ]
