"""Vignettes: what leaks, is out of balance or tells another option is dropped, what is mended is kept, nothing is asked twice."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan
from prefgen.flow.run import run
from prefgen.ids import file_sha256
from prefgen.judging.leaks import leaked, stem, telltale_words, without
from prefgen.judging.prose import count_sentences, prose
from prefgen.judging.vignettes import read_back_orders, read_back_slot
from prefgen.records import Request, Response
from prefgen.schemas import LETTERS
from prefgen.screen.console import plan_notes
from prefgen.spec.pipeline import replaying
from prefgen.steps import judge
from prefgen.steps.write import vignettes
from prefgen.store.table import Table
from tests.analysis.utility_judge import VIGNETTES, serving
from tests.faults.kills import killed_when, stored
from tests.steps.asking import PEOPLE, Answering, context, summary_of
from tests.test_run import Nobody

ITEMS = pl.DataFrame(
    {
        "item_id": ["bread", "wages"],
        "prompt": ["Who should get bread?", "Who should get wages?"],
        "options": [
            ["It is the law.", "It is right to give.", "Neither."],
            ["They earned it alone.", "All gain by it.", "Neither."],
        ],
        "neither": [2, 2],
        "topic": ["bread", "wages"],
        "pole_a": ["law", "individualism"],
        "pole_b": ["moral", "collectivism"],
    }
)
TABLES = {"items": Table.of("items", [ITEMS]), "people": Table.of("people", [PEOPLE])}
TELLS = {
    "It is the law.": "The baker reads from a matrix of paper.",
    "It is right to give.": "The baker cannot look away from the thin boy.",
    "They earned it alone.": "Ann counts every hour that she worked.",
    "All gain by it.": "The whole street comes to the feast.",
}


def scene(option: str) -> str:
    return f"Ann meets Bob at noon. {TELLS[option]} Bob smiles and says thanks. Ann feels light."


Tell = Callable[[str, Request], str | Response]


def author(tell: Tell = lambda option, _: scene(option)) -> Callable[[Request], str | Response]:
    """Writes by `tell`, and reads back honestly."""

    def says(request: Request) -> str | Response:
        page = request.messages[0][1]
        if request.readout == "prose":
            shows = re.search(r"^It shows this answer: (.+)$", page, re.M)
            assert shows is not None
            return tell(shows[1], request)
        slots = dict(re.findall(r"^([A-C])\) (.+)$", page, re.M))
        return next((slot for slot, text in slots.items() if TELLS.get(text, "-") in page), "C")

    return says


def spec(**facts: object) -> vignettes.Vignettes:
    said = {"write": "vignettes", "items": "items", "model": "m", "words": 20, "leaks": ["pole_a", "pole_b"]}
    return vignettes.Vignettes.model_validate(said | facts)


def made(here, **facts: object) -> pl.DataFrame:
    return pl.concat(spec(**facts).make(TABLES, here))


def reasons(tell: Tell, **facts: object) -> list[str | None]:
    return made(context(author(tell)), **facts)["reject_reason"].to_list()


def for_one(wrong: str | Response | Callable[[Request], str | Response]) -> Tell:
    """Tells everything well but the law."""

    def tell(option: str, request: Request) -> str | Response:
        if option != "It is the law.":
            return scene(option)
        said = wrong(request) if callable(wrong) else wrong
        return Response(request.request_id, failure=said.failure) if isinstance(said, Response) else said

    return tell


def test_every_option_but_neither_is_retold_and_the_coordinates_stay():
    here = context(author())
    rows = made(here, prompt="Which scene about {{ topic }}?")
    assert rows["options"].to_list() == [[*map(scene, options[:2]), "Neither."] for options in ITEMS["options"]]
    assert rows["prompt"].to_list() == ["Which scene about bread?", "Which scene about wages?"]
    assert rows.select("topic", "pole_a", "pole_b", "neither").equals(
        ITEMS.select("topic", "pole_a", "pole_b", "neither")
    )
    assert rows["retold"].struct.unnest().equals(ITEMS.select("item_id", "prompt", "options"))
    assert rows["item_id"].n_unique() == 2
    assert not set(rows["item_id"]) & set(ITEMS["item_id"])
    summary = summary_of(spec(prompt="Which scene about {{ topic }}?"), TABLES, here)
    assert summary == {"items": 2, "retold": 2, "words_mean": 20.75, "statuses": {"ok": 2}}


LAW = "It is the law."


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (scene(LAW).replace("a matrix of paper", "the laws"), "leak"),
        (scene(LAW).replace("thanks", "this is immoral"), "leak"),
        (scene(LAW).replace(". Bob smiles", ", " + "and waits " * 12 + ". Bob smiles"), "unbalanced"),
        ("Ann waits. " + TELLS[LAW], "sentences"),
        (scene(LAW) + " One. Two.", "sentences"),
        (scene("It is right to give."), "unfaithful"),
        ("I'm sorry, but I can't write that.", "refusal"),
        ("  ", "unparsed"),
        (Response("", failure="HTTP 400: no"), "failed"),
    ],
    ids=["leak", "unsaid-form", "unbalanced", "too-short", "too-long", "unfaithful", "refusal", "nothing", "failed"],
)
def test_a_vignette_that_fails_a_check_drops_its_item_and_says_why(wrong, reason):
    assert reasons(for_one(wrong)) == [reason, None]


def test_a_reader_who_always_says_the_same_letter_finds_nothing_faithful():
    def says(request: Request) -> str | Response:
        return author()(request) if request.readout == "prose" else "A"

    assert made(context(says))["reject_reason"].to_list() == ["unfaithful", "unfaithful"]


def test_an_answer_that_cannot_be_read_is_no_yes():
    def says(request: Request) -> str | Response:
        return author()(request) if request.readout == "prose" else "hard to say"

    assert made(context(says))["reject_reason"].to_list() == ["unread", "unread"]


def test_a_second_try_is_asked_only_of_items_that_need_it_and_may_mend_them():
    tell = for_one(lambda request: scene(LAW) if request.repeat else "Too short.")
    here = context(author(tell))
    assert made(here, tries=3)["reject_reason"].to_list() == [None, None]
    assert isinstance(here.ask, Answering)
    written = [request.repeat for request in here.ask.asked if request.readout == "prose"]
    assert sorted(written) == [0, 0, 0, 0, 1, 1]


def test_a_word_that_the_question_says_is_no_leak():
    tell = for_one(scene(LAW).replace("noon", "the law school"))
    assert reasons(tell) == ["leak", None]
    assert reasons(tell, prompt="Law and {{ topic }}: which scene?") == [None, None]


def test_the_plan_counts_what_is_then_asked():
    here = context(author())
    estimate = spec().estimate(TABLES, here)
    rows = made(here)
    assert isinstance(here.ask, Answering)
    assert estimate.requests == len(here.ask.asked) == 4 + 12
    assert estimate.asked[0].prompt_chars == pytest.approx(
        sum(len(text) for request in here.ask.asked for _, text in request.messages), rel=0.1
    )
    assert estimate.empty.schema == rows.schema
    assert estimate.rows == estimate.empty.height == 2
    assert estimate.empty["options"].n_unique() == 2


def test_a_limit_writes_only_so_many_items():
    here = context(author(), limit=1)
    assert made(here).height == spec().estimate(TABLES, here).rows == 1


def test_dropped_items_are_not_judged_and_what_was_retold_is_no_coordinate():
    items = made(context(author(for_one("Too short."))))
    tables = {**TABLES, "scenes": Table.of("scenes", [items])}
    asked = judge.Judge.model_validate({"judge": "pick", "items": "scenes", "as": "people", "model": "m"})
    rows = pl.concat(asked.make(tables, context()))
    assert rows["item_id"].unique().to_list() == items.filter(topic="wages")["item_id"].to_list()
    assert "retold" not in rows.columns
    nothing = {**TABLES, "scenes": Table.of("scenes", [items.filter(topic="bread")])}
    with pytest.raises(SpecError, match="no items that were kept"):
        list(asked.make(nothing, context()))


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"leaks": ["pole"]}, "the items have no column 'pole'"),
        ({"items": "people"}, "has no items"),
        ({"prompt": "{{ nothing }}"}, "'nothing' is undefined"),
    ],
)
def test_what_cannot_be_retold_is_refused(facts, sentence):
    with pytest.raises(SpecError, match=sentence):
        list(spec(**facts).make(TABLES, context()))


@given(st.sampled_from(["libertarianism", "fairness", "law", "norm", "community", "procedure", "custom"]), st.data())
def test_a_word_is_found_in_any_text_and_in_its_forms(word, data):
    forms = {
        "libertarianism": ["liberty", "Libertarian"],
        "fairness": ["unfair", "fairly", "fairest"],
        "law": ["unlawful", "laws"],
        "norm": ["norms", "normal"],
        "community": ["communities"],
        "procedure": ["procedural"],
        "custom": ["customs"],
    }[word]
    said = data.draw(st.sampled_from([word, word.title(), *forms]))
    around = data.draw(st.lists(st.sampled_from(["more", "lawn", "customer", "a", "claws", "form"])))
    assert leaked(" ".join(around), [word]) is None
    assert leaked(" ".join([*around, said, "!"]), [word]) == said
    assert stem(stem(word)) == stem(word)
    assert without([word], said) == ()


def test_names_of_poles_are_taken_word_by_word():
    assert telltale_words(["social norm", "conscience or law", "law"]) == ("social", "norm", "conscience", "law")


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("One. Two! Three?", 3),
        ('"Well!" says Mr. J. Lee. "Take it."', 2),
        ('"Why?" she asks. He shrugs...', 2),
        ("It costs 3.50 today\n\nthey say", 1),
        ("\u201cGo.\u201d \u201cI will.\u201d Then silence", 3),
    ],
)
def test_sentences_are_counted_as_people_count_them(text, n):
    assert count_sentences(text) == n


def test_somebody_in_a_scene_may_say_sorry():
    assert prose(Response("r", text="Ann says that she is sorry, she cannot help.")).nonresponse is None


def test_a_preset_that_there_is_not_is_named_with_those_that_there_are(tmp_path):
    (tmp_path / "items.jsonl").write_text('{"prompt": "?", "options": ["a", "b"]}')
    path = tmp_path / "p.yaml"
    path.write_text(
        "name: p\nmodels: {m: {engine: embedded}}\nsteps:\n  items: {table: items.jsonl}\n  told: {write: vignets, items: items, model: m}\n"
    )
    with pytest.raises(SpecError, match=r"p.yaml:5: steps.told.write: 'vignets' .*\n.*'vignettes', 'backstory'"):
        load(path)


# Over a real socket: the shipped pipeline, on a few groups and topics.


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with serving() as address:
        yield address


def small(folder: Path, base_url: str) -> Path:
    """`fair_pp_vignettes.yaml` on 3 groups and 3 topics: 45 items."""
    data = yaml.safe_load(VIGNETTES.read_text("utf-8"))
    for model in data["models"].values():
        model |= {"model": "utility", "base_url": base_url, "seed": 1}
    data["steps"]["personas"]["draw"] = str((VIGNETTES.parent / data["steps"]["personas"]["draw"]).resolve())
    for name, axis in data["steps"]["cells"]["product"].items():
        rows = pl.read_csv(VIGNETTES.parent / axis["file"])
        axis["file"] = str(folder / f"{name}.csv")
        (rows if name == "wording" else rows[:: rows.height // 3][:3]).write_csv(axis["file"])
    del data["expect"]
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in (folder / "data").rglob("*.parquet")}


def test_replayed_answers_give_the_same_bytes_and_the_account_counts_every_try(tmp_path, base_url):
    pipeline = load(small(tmp_path, base_url))
    outcome = run(pipeline, tmp_path / "run", Nobody(), report=False)
    told = next(step for step in outcome.manifest["steps"] if step["name"] == "vignettes")
    assert told["rows"] == 45 == told["kept"] + sum(told["dropped"].values())
    plan = next(step for step in make_plan(pipeline).steps if step.name == "vignettes")
    assert told["requests"]["planned"] >= plan.requests - 6 * 45  # a text with a fault is not read back
    assert told["requests"]["sent"] >= 90 + 4 * told["kept"]
    assert told["tokens"]["completion"] > 0
    items = pl.read_parquet(tmp_path / "run" / "tables" / "vignettes" / "*.parquet")
    texts = items.filter(pl.col("reject_reason").is_null())["options"].explode()
    assert not texts.str.contains("(?i)libertarian|egalitarian|procedur|individual|communit|conscience").any()
    again = replaying(pipeline, tmp_path / "run" / "responses.sqlite")
    run(again, tmp_path / "again", Nobody(), report=False)
    assert digests(tmp_path / "again") == digests(tmp_path / "run")
    assert digests(tmp_path / "run")


def test_a_run_killed_while_it_writes_goes_on_and_ends_with_the_same_bytes(tmp_path, base_url):
    path = small(tmp_path, base_url)
    out = tmp_path / "killed"

    assert killed_when(path, out, lambda: stored(out) >= 60) == -signal.SIGKILL
    assert not (out / "tables" / "vignettes").exists()
    resumed = run(load(path), out, Nobody(), report=False)
    told = next(step for step in resumed.manifest["steps"] if step["name"] == "vignettes")
    assert told["requests"]["stored"] >= 60
    run(load(path), tmp_path / "whole", Nobody(), report=False)
    assert digests(out) == digests(tmp_path / "whole")


def test_the_shipped_pipeline_plans_exactly_and_reaches_the_published_size():
    plan = make_plan(load(VIGNETTES))
    plans = {step.name: step for step in plan.steps}
    assert re.fullmatch(r"together 2\d\.\d\d USD; with `engine: batch` 1\d\.\d\d USD", plan_notes(plan)[-1])
    assert plans["questions"].rows == plans["vignettes"].rows == 13_720 == 28 * 98 * 5
    assert plans["vignettes"].requests == 13_720 * 2 * (1 + 3)
    assert plans["answers"].requests == plans["answers"].rows == 13_720 * 8 * 3
    for name, usd in (("vignettes", 5.02), ("answers", 18.39)):
        assert plans[name].cost_usd == pytest.approx(usd, rel=0.05)
        assert plans[name].batch_usd == pytest.approx(usd / 2, rel=0.05)
    gate = load(VIGNETTES).expect["answers"].min_rows
    assert gate is not None
    assert 28 * 98 * 5 * 2 * 7 + gate // (3 * 8) * 7 == 238_623


@pytest.mark.parametrize(("k", "neither"), [(2, None), (3, 2), (3, None), (4, 0), (5, None)])
def test_a_reader_sees_every_option_in_every_slot(k, neither):
    slots = [
        [read_back_slot(option, k, neither, order) for order in read_back_orders(k, neither)] for option in range(k)
    ]
    assert all(sorted(each) == list(LETTERS[:k]) for each in slots)
