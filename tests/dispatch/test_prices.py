"""What models cost, who says so, and how tokens are counted before anybody is asked."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.dispatch import tokens
from prefgen.dispatch.prices import own_prices_path, price_of
from prefgen.dispatch.tokens import estimate_tokens
from prefgen.errors import SpecError
from prefgen.spec.models import BatchModel, EmbeddedModel, OpenAIModel


@pytest.fixture(autouse=True)
def own_prices(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_prices_path().parent.mkdir()
    return own_prices_path()


def openai(model: str) -> OpenAIModel:
    return OpenAIModel(engine="openai", model=model)


def test_a_hosted_model_has_a_dated_price_with_its_source():
    price = price_of(openai("gpt-4o-mini"))
    assert (price.input_usd_per_mtok, price.cached_usd_per_mtok, price.output_usd_per_mtok) == (0.15, 0.075, 0.6)
    assert "https://" in price.said_by
    assert "(20" in price.said_by


def test_a_snapshot_costs_what_its_model_costs():
    assert price_of(openai("gpt-4o-mini-2024-07-18")) == price_of(openai("gpt-4o-mini"))


def test_a_batch_costs_half():
    assert price_of(BatchModel(engine="batch", model="gpt-4.1")).batch_factor == 0.5


def test_nobody_knows_what_an_unknown_model_costs_and_ones_own_costs_nothing():
    assert price_of(openai("my-qwen")) is None
    assert price_of(EmbeddedModel(engine="embedded")).input_usd_per_mtok == 0.0


def test_the_users_own_table_wins_and_may_change_during_a_run(own_prices):
    own_prices.write_text("prices:\n  my-qwen: {input: 0, output: 0}\n  gpt-4.1: {input: 1, output: 2}\n")
    assert price_of(openai("my-qwen")).output_usd_per_mtok == 0
    assert price_of(openai("gpt-4.1")).cached_usd_per_mtok == 1
    assert price_of(openai("gpt-4o")).input_usd_per_mtok == 2.5
    own_prices.write_text("as_of: 2027-01-01\nsource: us\nprices:\n  my-qwen: {input: 3, output: 4}\n\n")
    assert price_of(openai("my-qwen")).said_by == "us (2027-01-01)"


def test_a_table_that_is_not_right_is_a_complaint_with_its_line(own_prices):
    own_prices.write_text("prices:\n  my-qwen: {input: -1, output: 4}\n")
    with pytest.raises(SpecError, match=r"prices\.yaml:2: prices\.my-qwen\.input"):
        price_of(openai("my-qwen"))


@given(st.lists(st.text(), max_size=4))
def test_any_prompts_have_a_rate_and_the_rule_is_stated(sample):
    found = estimate_tokens(sample, model="smollm2")
    assert 0 < found.tokens_per_char <= 1
    assert found.method.startswith("estimated at 4 characters a token")


def test_a_real_tokenizer_counts_where_its_vocabulary_is_here(monkeypatch, tmp_path):
    class Words:
        def encode_ordinary(self, text: str) -> list[str]:
            return text.split()

    installed = types.ModuleType("tiktoken")
    installed.__spec__ = types.SimpleNamespace()
    installed.encoding_name_for_model = {"gpt-4o": "o200k_base"}.__getitem__
    installed.get_encoding = lambda name: Words()
    monkeypatch.setitem(sys.modules, "tiktoken", installed)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert estimate_tokens(["a b c d"], model="gpt-4o").method.startswith("estimated"), "it would have to be fetched"
    tokens._vocabulary("o200k_base").touch()
    found = estimate_tokens(["aaa bb"], model="gpt-4o")
    assert found.method == "counted with tiktoken o200k_base"
    assert found.tokens_per_char == pytest.approx(2 / 6)
    assert estimate_tokens(["a b"], model="llama").method.startswith("estimated")
