"""What the order of requests is worth to the embedded model: `python tests/benchmarks/embedded_order.py`.

Prompts of the Fair-PP shape (7 personas x 9 cells x 2 orders), asked persona by persona as a run does it, and
shuffled. The reference of the ratio is the shuffled order in the same process.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence

from prefgen.engines.embedded import EmbeddedEngine
from prefgen.engines.engine import Meter
from prefgen.records import Request, Response
from prefgen.spec.models import EmbeddedModel
from tests.caches import own_caches
from tests.dispatch.answering import answer_all

PERSONAS = [
    f"You are {who}. You left school early, you have worked with your hands ever since, and you are proud of what you "
    "built. You think that honest work and order come first; you watch whether other people keep to the rules, and you "
    "take little interest in debates. Your family lives close by and you see them at weekends. You have lived in the "
    "same street for many years, you know the people there, and you doubt that anybody in the capital thinks of them.\n\n"
    "Answer every question as this person would: out of their life, their interests and their convictions, not out of yours."
    for who in ("a mason", "a nurse", "a farmer", "a baker", "a driver", "a teacher", "a clerk")
]
CELLS = list(itertools.product(("women", "teenagers", "war refugees"), ("food", "clean water", "energy")))
_POLES = ("what each has earned by their own effort", "that all end with about the same", "neither of them applies")


def request_for(persona: str, cell: tuple[str, str], order: Sequence[int]) -> Request:
    group, topic = cell
    options = "\n".join(f"{letter}) {_POLES[pole]}" for letter, pole in zip("ABC", order, strict=True))
    page = (
        f"In this country there is not enough {topic} for everybody, and it has to be decided how much of it {group} "
        f"get. Which of these criteria should decide?\n\n{options}\n\n"
        "Which one do you choose? Reply with one of A, B, C and nothing else."
    )
    messages = (("system", persona), ("user", page), ("assistant", "Answer:"))
    return Request("smollm2", None, messages, "logprobs", ("A", "B", "C"), 0.0, 1.0, 1, None, 0)


def _measure(name: str, engine: EmbeddedEngine, requests: Sequence[Request]) -> float:
    responses: list[Response] = []
    began = time.perf_counter()
    answer_all(engine, requests, lambda _, response: responses.append(response), Meter())
    rate = len(requests) / (time.perf_counter() - began)
    prompt = sum(response.prompt_tokens for response in responses)
    cached = sum(response.cached_tokens for response in responses) / prompt
    print(f"{name:<16}{len(requests):>9}{prompt / len(requests):>15.0f}{cached:>10.0%}{rate:>14.1f}", flush=True)
    return rate


@own_caches()
def main() -> None:
    orders = ((0, 1, 2), (1, 0, 2))
    major = [request_for(*one) for one in itertools.product(PERSONAS, CELLS, orders)]
    shuffled = random.Random(7).sample(major, len(major))
    engine = EmbeddedEngine(EmbeddedModel(engine="embedded"))
    answer_all(engine, [request_for("warm up", CELLS[0], orders[0])], lambda *_: None, Meter())
    print(f"{'order':<16}{'requests':>9}{'tokens/prompt':>15}{'cached':>10}{'judgments/s':>14}")
    ratio = _measure("persona-major", engine, major) / _measure("shuffled", engine, shuffled)
    print(f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
