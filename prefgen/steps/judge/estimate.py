"""What a judge step will ask, and what people should know of it before they pay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prefgen.judging.presentations import is_balanced, orders_of
from prefgen.judging.questionnaire import Questionnaire
from prefgen.records import Readout
from prefgen.seeds import one_of_each
from prefgen.spec.models import ModelSpec
from prefgen.steps.context import Asked, Bound, Context
from prefgen.steps.judge.asking import max_tokens

if TYPE_CHECKING:
    from prefgen.steps.judge import Judge
    from prefgen.steps.judge.rank import Rank

_SAMPLE = 64  # pages whose tokens are counted, to estimate those of all
_CHARS_PER_TOKEN = 4
_TOKENS_OF_PLACE = 8  # of a ranking: `"place_2": "B",`
_RENDERED = 20_000  # items whose pages are all rendered
_OF_MORE = 5_000  # about so many where there are more
_LEAST_TAUGHT = 10  # items below which a slot prior is a guess


def asked_of(step: Judge | Rank, asked: Questionnaire, name: str, context: Context) -> Asked:
    """The distinct requests of a questionnaire to one model."""
    model = context.ask.spec(name)
    systems = {system for system, _ in asked.systems()}
    pages = _seen(asked, context)
    at_most = asked.n_presentations
    if step.readout == "likelihood" and step.likelihood == "gain":
        systems, at_most = systems | {()}, at_most + pages.n
    system_chars = sum(len(text) for system in systems for _, text in system)
    some = [system[0][1] for system in sorted(systems) if system][:8]
    n_requests = min(len(systems) * pages.n * step.repeats, at_most)
    chars = system_chars / max(len(systems), 1) + pages.chars / max(pages.n, 1)
    if step.readout == "likelihood":
        passes = pages.choices / max(pages.n, 1) if model.tells_likelihood == "by prompt" else 1.0
        tokens = round(n_requests * pages.choice_chars / max(pages.n, 1) / _CHARS_PER_TOKEN)
        return Asked(name, n_requests, round(n_requests * chars * passes), tokens, (*some, *pages.some))
    tokens = n_requests * (
        _TOKENS_OF_PLACE * len(asked.letters) if step.judge == "rank" else _expected_tokens(step, model)
    )
    return Asked(name, n_requests, round(n_requests * chars), tokens, (*some, *pages.some))


def notes_on(spec: Judge | Rank, asked: Questionnaire, model: ModelSpec) -> Iterator[str]:
    """What of this step people should know before they pay for it."""
    if spec.repeats > 1 and model.temperature == 0:
        yield f"{spec.repeats} repeats at temperature 0 are {spec.repeats} times the same answer: set the model's `temperature`, or `repeats: 1`"
    shapes = asked.items.shape.select("n_options", "neither").unique(maintain_order=True)
    if asked.orders.prior_share is not None:
        taught = sum(map(asked.orders.in_full, asked.items.shape["item_id"]))
        if taught < _LEAST_TAUGHT:
            yield f"the slot prior rests on {taught} of {asked.items.height} items: raise `orders: {{prior: ...}}`, or write `orders: balanced`"
        return
    rules = asked.orders.rules
    tilted = [
        k for k, neither in shapes.iter_rows() if not is_balanced(frozenset(orders_of(rules, k, neither)), k, neither)
    ]
    if tilted and len(rules) > 1:
        yield (
            f"orders {', '.join(rules)} do not show every one of {max(tilted)} options in every slot equally often, so p keeps some of the "
            "slots' bias: write `orders: balanced`"
        )


def bound_of(asked: Questionnaire, step: Judge | Rank) -> Bound:
    """Whether as many requests are told as will be asked: of very many items only where their pages are sure to differ."""
    if not asked.n_presentations:
        return "unknown"  # nothing may be known yet of who is asked what
    if asked.items.height <= _RENDERED:
        return "exact"
    plain = step.judge == "rank" or step.template is None
    different = plain and asked.items.shape["content"].n_unique() == asked.items.height
    return "exact" if different else "at most"


@dataclass(frozen=True, slots=True)
class _Seen:
    """The different pages of a questionnaire: how many, their characters together, and a few of them."""

    n: int
    chars: int
    some: tuple[str, ...]
    choices: int = 0  # of a likelihood: the options of all pages together, and their characters
    choice_chars: int = 0


def _seen(asked: Questionnaire, context: Context) -> _Seen:
    # Only the hash of a page is kept: fifty thousand pages are half of the time of a plan, if they are all held.
    known: set[int] = set()
    every = 1 if asked.items.height <= _RENDERED else asked.items.height // _OF_MORE
    whole = asked
    if every > 1:
        asked = replace(whole, items=whole.items.some(one_of_each(whole.items.height, every)))
    chars, some, each = 0, [], max(1, asked.items.height // _SAMPLE)
    choices = choice_chars = 0
    try:
        for row, _, page in asked.pages():
            name = hash(page)
            if name not in known:
                known.add(name)
                chars += sum([len(text) for _, text in page.messages])
                choices += len(page.choices)
                choice_chars += sum(map(len, page.choices))
                if row % each == 0:
                    some.append(page.messages[0][1])
    except Exception as error:  # a stranger's template may raise anything
        columns = ", ".join(asked.items.schema)
        raise context.error("template", f"{type(error).__name__}: {error}", f"use item.<column>: {columns}") from None
    if every == 1:
        return _Seen(len(known), chars, tuple(some[:_SAMPLE]), choices, choice_chars)
    n = int(whole.orders_per_item().sum())
    scaled = (round(number * n / max(1, len(known))) for number in (choices, choice_chars))
    return _Seen(n, round(chars * n / max(1, len(known))), tuple(some[:_SAMPLE]), *scaled)


def _expected_tokens(spec: Judge, model: ModelSpec) -> int:
    typical: dict[Readout, int] = {"logprobs": 1, "text": 2, "certainty": 5, "reason": 60}
    return min(typical[spec.readout], max_tokens(spec, model))
