"""Other trainers' own code reads the exports: LLaMA-Factory, Axolotl, OpenRLHF, veRL.

Their packages pin versions of everything that they stand on, so they are unpacked aside without it (`make parts`), and of each the module
that reads rows is loaded alone. NeMo-RL is not on an index: its columns are those of its guide
(docs.nvidia.com/nemo/rl, "Direct Preference Optimization", datasets).
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import orjson
import polars as pl
import pytest

import prefgen
from prefgen.errors import UsageError
from prefgen.store.folder import RunFolder
from tests.publish import made
from tests.training import tiny

ASIDE = Path(sys.prefix) / "trainers"
Theirs = Callable[..., Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made.run_in(tmp_path_factory.mktemp("others"), exports="dpo")


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Theirs]:
    """`theirs("a.b.c")` loads that module of a trainer; the packages above it are empty but for what is given."""
    before = set(sys.modules)

    def load(name: str, *aside: str, **given: Any) -> Any:
        root = name.partition(".")[0]
        if not (ASIDE / root).is_dir():
            pytest.skip(f"{root} is not unpacked: make parts")
        parents = [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]
        for package in (*parents, *aside):
            shell = types.ModuleType(package)
            shell.__path__ = [str(ASIDE.joinpath(*package.split(".")))]
            vars(shell).update(given)
            monkeypatch.setitem(sys.modules, package, shell)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as missing:
            pytest.skip(f"{name} needs {missing.name}")

    yield load
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("llamafactory", "axolotl", "openrlhf", "verl"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    pytest.importorskip("transformers")
    return tiny.tokenizer()


def exported(run: RunFolder, preset: str, out: Path, **how: Any) -> Any:
    prefgen.export(run.path, preset, out, jsonl=True, **how)
    return datasets.load_dataset("json", data_files=str(out / "train*.jsonl"), split="train", cache_dir=str(out / "c"))


def truth(run: RunFolder) -> pl.DataFrame:
    return prefgen.open_run(run.path).data("dpo", "train").collect()


INFO = {
    "formatting": "sharegpt",
    "ranking": True,
    "columns": {"messages": "prompt", "chosen": "chosen", "rejected": "rejected"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}
"""As docs/training.md has it for LLaMA-Factory's dataset_info.json."""


def test_llamafactory_reads_pairs_of_messages(run: RunFolder, tmp_path: Path, theirs: Theirs) -> None:
    parser = theirs("llamafactory.data.parser", "llamafactory.extras")
    converter = importlib.import_module("llamafactory.data.converter")
    (tmp_path / "dataset_info.json").write_bytes(orjson.dumps({"people": {"file_name": "x", **INFO}}))
    (attr,) = parser.get_dataset_list(["people"], str(tmp_path))
    read = converter.SharegptDatasetConverter(attr, SimpleNamespace(media_dir=""))
    for row, true in zip(exported(run, "llamafactory", tmp_path / "x"), truth(run).to_dicts(), strict=True):
        found = read(row)
        system, user = true["prompt"]
        assert found["_system"] == system["content"]
        assert found["_prompt"] == [user]
        assert [answer["content"] for answer in found["_response"]] == [
            true[side][0]["content"] for side in ("chosen", "rejected")
        ]
    (row,) = exported(run, "dpo", tmp_path / "dpo").select([0])
    assert read(row)["_prompt"] != [
        truth(run)["prompt"][0][1]
    ]  # why `dpo` will not do: it drops the question without a word


def test_axolotl_reads_dpo(run: RunFolder, tmp_path: Path, theirs: Theirs, tokenizer: Any) -> None:
    module = theirs(
        "axolotl.prompt_strategies.dpo.chat_template", "axolotl.utils", "axolotl.utils.schemas", "axolotl.utils.logging",
        get_logger=lambda *_, **__: SimpleNamespace(warning=print),
    )  # fmt: skip
    read, _ = module.default(_Config(chat_template="tokenizer_default", datasets=[{"field_messages": "prompt"}]))
    for row, true in zip(exported(run, "dpo", tmp_path / "x"), truth(run).to_dicts(), strict=True):
        found = read(row, tokenizer=tokenizer)
        assert found["prompt"] == tokenizer.apply_chat_template(
            true["prompt"], tokenize=False, add_generation_prompt=True
        )
        for side in ("chosen", "rejected"):
            assert found[side].startswith(true[side][0]["content"])


class _Config(dict[str, Any]):
    """A mapping whose keys are attributes too, as theirs are."""

    __getattr__ = dict.get


def test_openrlhf_reads_dpo_and_takes_no_margin_from_it(
    run: RunFolder, tmp_path: Path, theirs: Theirs, tokenizer: Any
) -> None:
    module = theirs("openrlhf.datasets.reward_dataset", "openrlhf.utils")
    for row, true in zip(exported(run, "dpo", tmp_path / "x"), truth(run).to_dicts(), strict=True):
        prompt, chosen, rejected, margin = module.preprocess_data(
            row, prompt_key="prompt", apply_chat_template=tokenizer.apply_chat_template, is_dpo=True
        )
        assert all(turn["content"] in prompt for turn in true["prompt"])
        assert chosen.strip().startswith(true["chosen"][0]["content"])
        assert rejected.strip().startswith(true["rejected"][0]["content"])
        assert margin == 0
    rows = exported(run, "margin", tmp_path / "margin")
    assert [module.preprocess_data(row, apply_chat_template=tokenizer.apply_chat_template)[3] for row in rows] == [
        pytest.approx(margin) for margin in truth(run)["p_margin"]
    ]


def test_verl_reads_pairs_of_texts(run: RunFolder, tmp_path: Path, theirs: Theirs, tokenizer: Any) -> None:
    module = theirs("verl.utils.dataset.rm_dataset", hf_tokenizer=None)
    exported(run, "dpo", tmp_path / "x", template="plain")
    (path,) = (tmp_path / "x").glob("train*.parquet")
    read = module.RMDataset(str(path), tokenizer, cache_dir=str(tmp_path / "cache"), max_length=64)
    true = pl.read_parquet(path)
    assert len(read) == true.height
    assert read.prompts == true["prompt"].to_list()
    assert read.chosen_responses == true["chosen"].to_list()
    assert read.rejected_responses == true["rejected"].to_list()
    assert all(isinstance(text, str) for text in read.prompts)
    assert tuple(read[0]["input_ids"].shape) == (2, 64)


def test_nemo_rl_gets_a_context_and_two_ranked_completions(run: RunFolder, tmp_path: Path) -> None:
    for row, true in zip(exported(run, "nemo_rl", tmp_path / "x"), truth(run).to_dicts(), strict=True):
        assert row["context"] == true["prompt"]
        assert row["completions"] == [
            {"rank": 0, "completion": true["chosen"]},
            {"rank": 1, "completion": true["rejected"]},
        ]
        assert {"weight", "p_margin", "p_chosen", "pair_id"} <= set(row)
        assert not {"prompt", "chosen", "rejected"} & set(row)


def test_sft_has_each_choice_once_as_a_whole_conversation(run: RunFolder, tmp_path: Path) -> None:
    once = {(row["persona_id"], row["item_id"]): [*row["prompt"], *row["chosen"]] for row in truth(run).to_dicts()}
    rows = exported(run, "sft", tmp_path / "x")
    assert {(row["persona_id"], row["item_id"]): row["messages"] for row in rows} == once
    assert len(rows) == len(once)


@pytest.mark.parametrize("preset", ["llamafactory", "nemo_rl"])
def test_what_is_read_as_conversations_is_not_made_texts(run: RunFolder, tmp_path: Path, preset: str) -> None:
    with pytest.raises(UsageError, match="is read as conversations"):
        prefgen.export(run.path, preset, tmp_path / "x", template="plain")
    assert not (tmp_path / "x").exists()
