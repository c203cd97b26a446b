"""One export of a finished run: the command's function, its formats and its complaints."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from prefgen.errors import FileError, UsageError
from prefgen.publish.exports.one import export_run
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from tests.publish import made
from tests.publish.test_trainers import GEMMA


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made.run_in(tmp_path_factory.mktemp("export"), exports="judgments")


def test_an_export_that_the_pipeline_did_not_publish_can_be_made_later(run: RunFolder, tmp_path: Path) -> None:
    config = export_run(run.path, "dpo", tmp_path / "out", jsonl=True)
    assert config["name"] == "dpo"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "train-00000-of-00001.jsonl",
        "train-00000-of-00001.parquet",
    ]
    rows = pl.read_parquet(tmp_path / "out/*.parquet")
    assert rows.height == config["splits"]["train"]
    lines = (tmp_path / "out/train-00000-of-00001.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows.to_dicts()


def test_a_template_turns_conversations_into_texts_that_continue_each_other(run: RunFolder, tmp_path: Path) -> None:
    export_run(run.path, "dpo", tmp_path / "chat")
    export_run(run.path, "dpo", tmp_path / "text", template="chatml")
    chat, text = pl.read_parquet(tmp_path / "chat/*.parquet"), pl.read_parquet(tmp_path / "text/*.parquet")
    for said, written in zip(chat.iter_rows(named=True), text.iter_rows(named=True), strict=True):
        assert written["prompt"].endswith("<|im_start|>assistant\n")
        assert said["prompt"][0]["content"] in written["prompt"]
        assert written["chosen"] == said["chosen"][0]["content"] + "<|im_end|>\n"


def test_a_template_can_be_a_file(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "t.jinja").write_text("{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}")
    export_run(run.path, "margin", tmp_path / "out", template=str(tmp_path / "t.jinja"))
    assert pl.read_parquet(tmp_path / "out/*.parquet")["chosen"][0].startswith("[system]You are person")


def test_a_template_without_a_system_role_takes_an_export_that_folds_the_persona(
    run: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "gemma.jinja").write_text(GEMMA)
    with pytest.raises(UsageError, match="System role not supported"):
        export_run(run.path, "dpo", tmp_path / "no", template=str(tmp_path / "gemma.jinja"))
    for preset in ("dpo", "margin", "kto", "cond", "fewshot"):
        export_run(
            run.path, preset, tmp_path / preset, template=str(tmp_path / "gemma.jinja"), options={"system_role": False}
        )
        assert pl.read_parquet(tmp_path / preset / "*.parquet").height
    rows = pl.read_parquet(tmp_path / "dpo/*.parquet")
    assert rows["prompt"].str.starts_with("<start_of_turn>user\nYou are person ").all()
    assert rows["prompt"].str.contains(r"\.\n\nQuestion \d").all()


def test_people_and_questions_can_be_exported_by_themselves(run: RunFolder, tmp_path: Path) -> None:
    for what in ("personas", "items"):
        export_run(run.path, what, tmp_path / what)
        assert pl.read_parquet(tmp_path / what / "*.parquet").equals(pl.read_parquet(run.data / what / "*.parquet"))
    assert set(pl.read_parquet(tmp_path / "items/*.parquet")["neither"]) == {None, "C"}


def test_a_run_folder_can_be_moved_away_from_the_files_that_it_was_made_from(tmp_path: Path) -> None:
    made.run_in(tmp_path / "here", exports="judgments").path.rename(tmp_path / "moved")
    assert export_run(tmp_path / "moved", "dpo", tmp_path / "out")["splits"]["train"] > 0


def test_complaints_name_what_is_allowed(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--to 'dppo': no such export\n  fix: use one of 'dpo'"):
        export_run(run.path, "dppo", tmp_path / "out")
    with pytest.raises(UsageError, match="fix: give a file, or one of 'chatml', 'plain'"):
        export_run(run.path, "dpo", tmp_path / "out", template="chatm")
    (tmp_path / "bad.jinja").write_text("{{ raise_exception('no system here') }}")
    with pytest.raises(UsageError, match="no system here"):
        export_run(run.path, "dpo", tmp_path / "out", template=str(tmp_path / "bad.jinja"))
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    with pytest.raises(UsageError, match=r"--from: no step named 'keptt'\n  fix: name one of 'kept'"):
        export_run(run.path, "dpo", tmp_path / "out", from_step="keptt")
    with pytest.raises(FileError, match=r"full: is not empty\n  fix: choose a new folder"):
        export_run(run.path, "dpo", tmp_path / "full")
    with pytest.raises(FileError, match="is not a run folder"):
        export_run(tmp_path, "dpo", tmp_path / "out")


def test_an_unfinished_run_exports_nothing(tmp_path: Path) -> None:
    run = made.run_in(tmp_path, exports="judgments")
    write_json(run.manifest_path, run.read_manifest() | {"status": "unfinished"})
    with pytest.raises(FileError, match="the run is not finished"):
        export_run(run.path, "dpo", tmp_path / "out")
