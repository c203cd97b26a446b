"""No key and no value of any YAML file is left out of the matrix: a new one has no cell, and a test fails that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefgen.errors import SpecError
from prefgen.spec.models import OpenAIModel
from tests.matrix import documented as walk
from tests.matrix import engines
from tests.matrix.cells import Change, variants
from tests.matrix.documented import documented, exercised
from tests.matrix.making import loaded, write_files
from tests.matrix.populations import populations

EXCEPTIONS: dict[str, str] = {
    "steps.judge.Judge show all": "a `show` step of that size stands for it",
    "steps.judge.rank.Rank show all": "as for Judge",
}
"""Keys and values without a cell, each with its reason."""

_WITH_VLLM = ("spec.models.VllmModel ", "spec.models.BatchModel folder")
"""What only runs where vLLM is installed: tests/engines/test_vllm*.py and test_batch_folder.py."""


def cells() -> dict[str, Change]:
    """All of them."""
    others = (engines.batches, engines.holds, engines.embedded, engines.replays, engines.from_hub)
    told = {name: cell.change for each in others for name, cell in each()}
    return dict(variants()) | dict(populations()) | told


def without_cell(folder: Path) -> list[str]:
    """The keys and values that no cell says."""
    write_files(folder)
    keys, values = documented()
    for change in cells().values():
        try:
            said_keys, said_values = exercised(loaded(folder, change))
        except SpecError:
            continue  # what `check` refuses exercises nothing
        keys -= said_keys
        values -= said_values
    return sorted(" ".join(one) for one in (*keys, *values))


def test_every_key_and_every_value_has_a_cell(tmp_path: Path) -> None:
    left = without_cell(tmp_path)
    left = [one for one in left if not one.startswith(_WITH_VLLM)]
    assert left == sorted(EXCEPTIONS), "write a cell in tests/matrix, or a reason here"


class NewModel(OpenAIModel):
    """An engine with a key that nobody has tried."""

    verve: bool = False


def test_a_new_key_and_its_values_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = walk.specs()
    monkeypatch.setattr(walk, "specs", lambda: before | {NewModel})
    new = [one for one in without_cell(tmp_path) if "NewModel" in one]
    assert {one.rpartition(".")[2] for one in new} >= {"NewModel verve", "NewModel verve True", "NewModel verve False"}


def test_what_is_documented_is_what_the_specs_say() -> None:
    keys, values = documented()
    assert len(keys) > 130
    assert ("spec.models.BatchModel", "constrain", "structured_outputs") in values
    assert ("steps.judge.Judge", "as") in keys
    assert ("steps.table.source.FromHub", "hub") in keys
