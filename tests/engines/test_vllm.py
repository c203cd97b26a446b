"""The vllm engine without vLLM: its arguments, its identity, its prompts, and what its outputs become."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from prefgen.engines.vllm_start import arguments
from prefgen.engines.vllm_wire import Output, Ranks, Template, response_of, settings_of, tokens_of
from prefgen.errors import EngineError
from prefgen.judging.item_rows import Items
from prefgen.judging.presentations import Orders
from prefgen.judging.prompts import Prompts
from prefgen.judging.questionnaire import Questionnaire
from prefgen.judging.readout import read
from prefgen.records import Request
from prefgen.spec.models import VllmModel
from prefgen.store.table import Table


def spec(**keys):
    return VllmModel(engine="vllm", **{"model": "org/name", **keys})


class Words:
    """A tokenizer of whole words, and of single characters for what it does not know; `refuses`, `drops` a system message."""

    def __init__(self, *words, space="\u0120", refuses=False, drops=False, template=True):
        known = [*words, *(space + word for word in words)]
        self._ids = {word: number for number, word in enumerate(known)}
        self._refuses, self._drops, self._template = refuses, drops, template

    def get_vocab(self):
        return self._ids

    def encode(self, text, *, add_special_tokens):
        assert not add_special_tokens, "the template has written them already"
        return [ord(letter) for letter in text]

    def decode(self, tokens):
        return "".join(map(chr, tokens))

    def apply_chat_template(self, messages, *, tokenize, add_generation_prompt, **told):
        if not self._template:
            raise ValueError("Cannot use chat template functions because tokenizer.chat_template is not set")
        roles = [message["role"] for message in messages]
        if self._refuses and "system" in roles:
            raise RuntimeError("System role not supported")
        shown = [one for one in messages if not (self._drops and one["role"] == "system")]
        begin = "<assistant>" if add_generation_prompt else ""
        return "".join(f"<{one['role']}>{one['content']}" for one in shown) + begin + "".join(map(str, told))


def request(readout="logprobs", *, choices=("A", "B"), begun=True, **keys):
    messages = (("system", "You are Ann."), ("user", "A or B?"), *([("assistant", "Answer:")] if begun else []))
    return Request("m", None, messages, readout, choices, max_tokens=keys.pop("max_tokens", 60), **keys)


def output(text="", logprobs=(), finish="length"):
    return Output(text, finish, logprobs, prompt_tokens=40, cached_tokens=32, completion_tokens=1)


# --- settings and identity


@pytest.mark.parametrize(
    "keys",
    [
        {"tensor_parallel": 4},
        {"data_parallel": 2},
        {"concurrency": 8},
        {"max_model_len": 1024},
        {"engine_args": {"gpu_memory_utilization": 0.5, "block_size": 32, "enforce_eager": True}},
    ],
    ids=str,
)
def test_how_fast_and_where_it_answers_is_no_part_of_the_identity(keys):
    assert spec(**keys).identity is None


def test_what_changes_answers_is_part_of_the_identity_and_each_of_it_differently():
    changed = [
        {"revision": "v2"},
        {"dtype": "half"},
        {"quantization": "fp8"},
        {"engine_args": {"kv_cache_dtype": "fp8"}},
        {"engine_args": {"load_format": "dummy"}},
        {"engine_args": {"an_argument_of_tomorrow": 1}},
        {"chat_template_kwargs": {"enable_thinking": True}},
    ]
    found = {spec(**keys).identity for keys in changed}
    assert None not in found
    assert len(found) == len(changed)


@pytest.mark.parametrize("name", ["tensor_parallel_size", "model", "max_num_seqs"])
def test_an_argument_with_a_key_of_its_own_is_refused_with_that_key(name):
    with pytest.raises(ValidationError, match="has a key of its own\nfix: use `"):
        spec(engine_args={name: 1})


def test_a_folder_stands_beside_the_file_that_names_it_and_rows_say_its_last_part(tmp_path):
    told = {"engine": "vllm", "model": "./weights/tiny"}
    found = VllmModel.model_validate(told, context=tmp_path)
    assert (found.folder, found.name) == (tmp_path / "weights" / "tiny", "tiny")
    assert VllmModel.model_validate({**told, "model": "org/name"}, context=tmp_path).folder is None
    home = VllmModel.model_validate({**told, "model": "~/tiny"}, context=tmp_path)
    assert home.folder == Path.home() / "tiny"


def test_arguments_are_those_of_vllm_and_the_users_win():
    said = arguments(
        spec(tensor_parallel=2, quantization="fp8", concurrency=32, engine_args={"enable_prefix_caching": False})
    )
    assert said == {
        "model": "org/name",
        "tensor_parallel_size": 2,
        "data_parallel_size": 1,
        "quantization": "fp8",
        "dtype": "auto",
        "max_num_seqs": 32,
        "enable_prefix_caching": False,
        "disable_log_stats": True,
    }
    assert arguments(spec())["enable_prefix_caching"] is True


# --- prompts


def shown(template, asked):
    return "".join(map(chr, template.tokens(asked)))


def test_a_begun_answer_goes_on_after_the_template_has_opened_the_assistants_message():
    template = Template(Words(), {})
    assert shown(template, request()) == "<system>You are Ann.<user>A or B?<assistant>Answer:"
    assert shown(template, request(begun=False)).endswith("<assistant>")


@pytest.mark.parametrize("kind", [{"refuses": True}, {"drops": True}], ids=str)
def test_without_a_system_role_the_persona_opens_the_users_message(kind):
    template = Template(Words(**kind), {})
    assert not template.system_role
    assert shown(template, request()) == "<user>You are Ann.\n\nA or B?<assistant>Answer:"


def test_weights_without_a_chat_template_are_an_error_that_says_what_to_take():
    with pytest.raises(EngineError, match=r"no chat template that can be used[\s\S]*tuned for instructions"):
        Template(Words(template=False), {})


# --- the tokens of the choices


@pytest.mark.parametrize("space", ["\u0120", "\u2581"])
def test_a_choice_is_its_token_with_a_space_in_front_and_without(space):
    found = tokens_of(Words("A", "B", "C", space=space), ("A", "B"))
    assert Counter(found.values()) == Counter(["A", " A", "B", " B"])


def test_a_choice_of_several_tokens_is_what_begins_it_and_no_other():
    found = tokens_of(Words("A", "T", "TI", "N", "NA", "TIER"), ("A", "TIE", "NA"))
    assert {text.strip() for text in found.values()} == {"A", "T", "TI", "N", "NA"}
    clash = tokens_of(Words("A", "T", "TI", "TA"), ("A", "TIE", "TAB"))
    assert {text.strip() for text in clash.values()} == {"A", "TI", "TA"}


def test_a_choice_that_no_token_begins_alone_is_asked_for_as_text():
    assert tokens_of(Words("A"), ("A", "\u00e9")) is not None  # found by its own first token
    assert tokens_of(Words("A", "T"), ("A", "TIE", "TIN")) is None
    asked = settings_of(request(choices=("A", "TIE", "TIN")), None)
    assert (asked["logprobs"], "structured_outputs" in asked) == (20, False)


def test_all_letters_of_the_alphabet_fit_into_what_vllm_tells_of():
    letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert len(tokens_of(Words(*letters), letters)) == 52


# --- outputs


TOKENS = {0: "A", 1: " A", 2: "B", 3: " B"}


def said(**p):
    """Log-probabilities by token id: the engine's own token, which is no choice, first."""
    ids = {text: token for token, text in TOKENS.items()}
    return [{99: ("", math.log(0.4))} | {ids[text.replace("_", " ")]: ("", math.log(one)) for text, one in p.items()}]


def test_one_token_has_the_exact_probability_of_every_choice_and_what_else_might_have_been_said():
    asked = settings_of(request(), TOKENS)
    assert asked == {"temperature": 0.0, "max_tokens": 1, "detokenize": False, "logprob_token_ids": [0, 1, 2, 3]}
    response = response_of(request(), output(logprobs=said(_A=0.3, A=0.1, _B=0.15, B=0.05)), TOKENS)
    assert (response.text, response.chosen, response.method) == ("A", " A", "logprobs+token_ids+prefill")
    assert (response.raw, response.finish) == (True, "stop")
    assert (response.prompt_tokens, response.cached_tokens, response.completion_tokens) == (40, 32, 1)
    assert response.alternatives[0] == (" A", math.log(0.3))
    reading = read(response, ("A", "B"), "logprobs")
    assert reading.symbol == "A"
    assert reading.p == pytest.approx((0.4 / 0.6, 0.2 / 0.6))
    assert reading.p_read == pytest.approx(0.6)


def test_a_tie_that_is_begun_is_read_as_a_tie():
    tokens = {0: "A", 1: "B", 2: "T"}
    logprobs = [{0: ("", -3.0), 1: ("", -4.0), 2: ("", -1.0)}]
    response = response_of(request(choices=("A", "B", "TIE")), output(logprobs=logprobs), tokens)
    assert response.text == "TIE"
    assert read(response, ("A", "B", "TIE"), "logprobs").status == "tie"


def test_at_a_temperature_the_token_is_drawn_as_the_model_would_and_by_the_requests_id():
    logprobs = said(_A=0.45, _B=0.15)
    n = 4000
    asked = [request(temperature=1.0, repeat=repeat) for repeat in range(n)]
    found = [response_of(one, output(logprobs=logprobs), TOKENS) for one in asked]
    share = sum(one.text == "A" for one in found) / n
    assert abs(share - 0.75) < 4 * math.sqrt(0.75 * 0.25 / n)
    assert [one.chosen for one in found[:50]] == [
        response_of(one, output(logprobs=logprobs), TOKENS).chosen for one in asked[:50]
    ]
    narrow = [
        response_of(request(temperature=1.0, top_p=0.7, repeat=k), output(logprobs=logprobs), TOKENS) for k in range(50)
    ]
    assert {one.text for one in narrow} == {"A"}


def test_numbers_that_are_none_make_a_failure_that_may_pass():
    response = response_of(request(), output(logprobs=[{0: ("", -math.inf)}]), TOKENS)
    assert (response.failure is not None, response.final) == (True, False)


def test_without_log_probabilities_of_given_tokens_the_twenty_likeliest_are_read():
    place = {3: (" B", math.log(0.6)), 1: (" A", math.log(0.3)), 7: (" I", math.log(0.05))}
    response = response_of(request(), output(" B", [place]), None)
    assert (response.text, response.method, response.chosen) == ("B", "logprobs+prefill", " B")
    assert read(response, ("A", "B"), "logprobs").p == pytest.approx((1 / 3, 2 / 3))
    assert response.cached_tokens == 32


def test_readouts_of_several_words_are_held_to_an_object_and_read_as_those_of_a_server():
    certainty = settings_of(request("certainty", begun=False), None)["structured_outputs"]["regex"]
    for said in ('{"answer": "B", "certainty": 80}', '{"answer": "A", "certainty": 100}'):
        assert re.fullmatch(certainty, said)
    for said in (
        '{"answer": "C", "certainty": 80}',
        '{"answer": "B", "certainty": 0}',
        '{ "answer": "B", "certainty": 1}',
    ):
        assert not re.fullmatch(certainty, said)
    reason = settings_of(request("reason", begun=False), None)["structured_outputs"]["regex"]
    assert re.fullmatch(reason, '{"reason": "It is warm, and I like that.", "answer": "A"}')
    assert not re.fullmatch(reason, '{"reason": "' + "a" * 121 + '", "answer": "A"}'), "more than 60 tokens hold"
    found = response_of(
        request("certainty", begun=False), output('{"answer": "B", "certainty": 80}', finish="stop"), None
    )
    assert (found.text, found.method, found.finish) == ("B 80", "text+json_schema", "stop")
    because = output('{"reason": "Warm.", "answer": "A"}', finish="stop")
    assert response_of(request("reason", begun=False), because, None).text == "Warm.\nAnswer: A"
    text = settings_of(request("text"), None)
    assert text["structured_outputs"] == {"choice": [" A", " B"]}
    assert response_of(request("text"), output(" A", finish="stop"), None).method == "text+structured_outputs+prefill"


def test_prose_is_asked_for_with_the_models_own_settings():
    asked = request("prose", choices=(), begun=False, temperature=0.8, top_p=0.9, max_tokens=200, seed=5, repeat=2)
    assert settings_of(asked, None) == {"max_tokens": 200, "temperature": 0.8, "top_p": 0.9, "seed": 7}
    response = response_of(asked, output("Ann smiles.", finish="length"), None)
    assert (response.text, response.method, response.finish) == ("Ann smiles.", "text", "length")


# --- the order of requests


def _questionnaire(n_personas, n_items):
    personas = pl.DataFrame(
        {
            "persona_id": [f"p{n}" for n in range(n_personas)],
            "text": [f"You are number {n}. {'You like bread. ' * 20}" for n in range(n_personas)],
            "weight": [1.0] * n_personas,
            "control": [None] * n_personas,
        }
    )
    items = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(n_items)],
            "prompt": [f"Question {n}. {'It is a long story. ' * 40}" for n in range(n_items)],
            "options": [["yes", "no"]] * n_items,
            "neither": pl.Series([None] * n_items, dtype=pl.Int64),
        }
    )
    held = Items.of(Table.of("items", [items]))
    return Questionnaire(Prompts.load(readout="logprobs", extra=()), personas, held, Orders(), 1)


def _saved(prompts):
    """Characters that a prompt begins with as some earlier one did: what a prefix cache need not compute."""
    known, saved = {""}, 0
    for prompt in prompts:
        saved += next(end for end in range(len(prompt), -1, -1) if prompt[:end] in known)
        known |= {prompt[:end] for end in range(len(prompt) + 1)}
    return saved


def _saved_by_neighbours(prompts):
    """The same of a cache that holds no more than the prompt before."""
    shared = (
        itertools.takewhile(lambda two: two[0] == two[1], zip(*pair, strict=False))
        for pair in itertools.pairwise(prompts)
    )
    return sum(len(list(one)) for one in shared)


@pytest.mark.parametrize(("n_personas", "n_items"), [(2, 6), (6, 2)])
def test_a_judge_step_asks_in_the_order_in_which_most_is_shared(n_personas, n_items):
    asked = list(_questionnaire(n_personas, n_items).presentations())
    template = Template(Words(), {})

    def prompts(order):
        pages = (Request("m", messages=(*one.system, *one.page.messages)) for one in order)
        return [shown(template, page) for page in pages]

    by_persona = prompts(asked)
    by_item = prompts(sorted(asked, key=lambda one: (one.item, one.persona)))
    # The persona stands in front, so an item is never a beginning that two personas share, however long it is:
    # with room for everything the orders save the same, and with room for little only persona by persona saves.
    assert _saved(by_persona) == _saved(by_item)
    assert _saved_by_neighbours(by_persona) > _saved_by_neighbours(by_item)


def test_copies_of_the_weights_take_turns_and_one_personas_questions_stay_together():
    ranks = Ranks(2, 4)

    def asked(persona, n):
        return [ranks.take(Request("m", messages=(("system", persona), ("user", str(page))))) for page in range(n)]

    assert asked("Ann", 4) == [0, 0, 0, 0]
    assert asked("Bob", 3) == [1, 1, 1]
    assert asked("Ann", 4) == [1, 1, 1, 1]  # her streak is over, and the other copy has less to do
    for _ in range(7):
        ranks.done(1)
    assert asked("Eve", 1) == [1]
