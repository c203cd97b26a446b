"""Leakage: what is held out and nearly the same as what is trained on is found; what is different is not."""

from __future__ import annotations

import polars as pl
import pytest

from prefgen.store.leakage import near_duplicate_leakage, shared_ids

pytest.importorskip("rensa")

_WORDS = [
    "river",
    "stone",
    "lantern",
    "violin",
    "harvest",
    "copper",
    "winter",
    "meadow",
    "engine",
    "ladder",
    "pepper",
    "marble",
    "falcon",
    "velvet",
    "canyon",
    "ember",
    "thunder",
    "cradle",
    "anchor",
    "saffron",
]


def text(k: int) -> str:
    return f"Which of two families should be given the {_WORDS[k % 20]} before the {_WORDS[(7 * k + 3) % 20]} of {_WORDS[(k * k + 5) % 20]} number {k * 7919}?"


def frame(held_out: dict[str, str], n: int = 50) -> pl.DataFrame:
    rows = [(f"i{k}", text(k), "train") for k in range(n)] + [(name, said, "test") for name, said in held_out.items()]
    return pl.DataFrame(rows, schema=["item_id", "prompt", "split"], orient="row")


def test_a_held_out_text_that_was_only_retouched_is_found() -> None:
    found = near_duplicate_leakage(
        frame({"near": text(3).replace("Which", "which  ") + "!", "far": "Is tea better than coffee in the morning?"})
    )
    assert found is not None
    assert (found.held_out, found.near, found.share) == (2, 1, 0.5)
    assert found.examples[0][:2] == ("near", "i3")
    assert found.examples[0][2] > 0.9


def test_an_item_that_is_trained_on_is_not_held_out_elsewhere() -> None:
    found = near_duplicate_leakage(frame({"i1": text(1)}))
    assert found is not None
    assert (found.held_out, found.near) == (0, 0)


def test_nothing_held_out_leaks_nothing() -> None:
    found = near_duplicate_leakage(frame({}))
    assert found is not None
    assert found.share == 0.0


def test_shared_ids_are_counted() -> None:
    rows = pl.DataFrame({"persona_id": ["a", "b", "b", "c"], "split": ["train", "train", "test", "test"]})
    assert shared_ids(rows, "persona_id") == 1
