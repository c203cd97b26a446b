"""A test double of the network for Fair-PP: an OpenAI-compatible endpoint that answers from a seeded utility model.

It reads who is asked (the portrait), about whom, what and which dimension, and answers as planted below: blocs of
personas that think alike, groups that are judged otherwise, a leaning to the first slot, some refusals. So the truth of
every statistic is known in closed form. It also writes the vignettes of `fair_pp_vignettes.yaml`, some of them badly, and
reads them back: what a scene tells stands in where it happens and what is carried there.
`python -m tests.analysis.utility_judge` serves until it is stopped.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import math
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from tests.servers.wire import Asked, Delivery, Wire, reply

ROOT = Path(__file__).parents[2]
PIPELINE = ROOT / "pipelines" / "fair_pp.yaml"
VIGNETTES = ROOT / "pipelines" / "fair_pp_vignettes.yaml"
WORDINGS = ROOT / "pipelines" / "fair_pp" / "wordings.csv"
PEOPLE = ROOT / "persona_specs" / "britain_seven.yaml"

DIMENSIONS = (
    "liberty or equality",
    "procedure or outcome",
    "individual or community",
    "custom or fairness",
    "conscience or law",
)
BLOCS = {
    "progressive_activists": "left",
    "civic_pragmatists": "left",
    "established_liberals": "left",
    "disengaged_battlers": "apart",
    "loyal_nationals": "right",
    "disengaged_traditionalists": "right",
    "backbone_conservatives": "right",
    "none": "nobody",
}
LEAN = {
    "left": (0.25, 0.4, 0.35, 0.2, 0.6),
    "right": (0.7, 0.65, 0.6, 0.7, 0.4),
    "apart": (0.45, 0.3, 0.5, 0.4, 0.5),
    "nobody": (0.5, 0.5, 0.5, 0.5, 0.5),
}
"""P(first pole) of a bloc, by dimension."""
GAPS = {"women": -0.1, "war refugees": 0.12, "drug victims": -0.15}
"""Added to P(first pole) for a group, whoever is asked."""
LOYALTY = 0.9
"""Chance that a persona thinks with its bloc on a cell; else it throws a coin of its own."""
STEADY = 0.8
"""Chance that a cell is judged alike in both forms."""
FOLLOWS = {
    "progressive_activists": 0.02,
    "civic_pragmatists": 0.05,
    "established_liberals": 0.05,
    "disengaged_battlers": 0.25,
    "loyal_nationals": 0.1,
    "disengaged_traditionalists": 0.15,
    "backbone_conservatives": 0.1,
    "none": 0.4,
}
"""Chance that an item is answered by slot, the first in every order."""
REFUSES = {"drug victims": 0.03}

HOPELESS = 0.04
"""Share of the cells whose second vignette tells the first reason, however often it is written."""
BAD = {"leak": 0.03, "long": 0.03, "short": 0.02, "other": 0.03, "refusal": 0.02}
"""Chance of each fault of one vignette at one try."""


class Leaning(NamedTuple):
    """Log-weights of one answer. They add, so balanced orders cancel the slot's whole weight."""

    slot_a: float
    preferred: float
    neither: float


SLOT_FIRST = Leaning(slot_a=2.5, preferred=0.3, neither=-0.5)
"""Slot A in every order, whatever stands there; beneath it the opinion."""
OPINION_FIRST = Leaning(slot_a=0.0, preferred=2.0, neither=-1.2)

_ABOUT = re.compile(
    r"(?:This is|Two short scenes are) about (.+?) and one matter: (.+?)\. (In your view|Suppose|Which of them)"
)
_SHOWS = re.compile(r"^It shows this answer: (.+)$", re.M)
_CUE = re.compile(r"meet at the (\w+), and \w+ carries an? (\w+)")
_PLACES = ("harbour", "bakery", "station", "orchard", "library", "kitchen", "bridge", "garden", "market", "school")
_THINGS = ("lantern", "basket", "ladder", "letter", "kettle", "blanket")
_NAMES = ("Mara", "Tom", "Ines", "Femi", "Rosa", "Jan", "Leila", "Owen", "Asha", "Pavel")
_OPTION = re.compile(r"^([A-C])\) (.+)$", re.M)


def chance(persona: str, dimension: str, group: str) -> float:
    """Planted P(first pole)."""
    return LEAN[BLOCS[persona]][DIMENSIONS.index(dimension)] + GAPS.get(group, 0.0)


def unit(*names: str) -> float:
    """A number in [0, 1) that belongs to names."""
    return int.from_bytes(hashlib.blake2b("\x1f".join(names).encode(), digest_size=8).digest(), "big") / 2**64


class Judge:
    """What the endpoint says."""

    def __init__(self) -> None:
        portraits = yaml.safe_load(PEOPLE.read_text("utf-8"))["portraits"]
        self.people = {" ".join(one["text"].split())[:60]: one["id"] for one in portraits}
        self.poles: dict[str, tuple[str, int]] = {}
        self.reasons: list[str] = []
        self.other: dict[str, str] = {}
        self.names_pole: dict[str, str] = {}
        with WORDINGS.open(encoding="utf-8", newline="") as file:
            wordings = list(csv.DictReader(file))
        for one in wordings:
            for pole, (that, reason) in enumerate((("first", "first_reason"), ("second", "second_reason"))):
                self.poles[f"It should matter more {one[that]}."] = (one["dimension"], pole)
                self.poles[one[reason]] = (one["dimension"], pole)
                self.reasons.append(one[reason])
                self.names_pole[one[reason]] = one["pole_b" if pole else "pole_a"]
                self.other[one[reason]] = one["first_reason" if pole else "second_reason"]

    def probabilities(self, messages: list[dict[str, str]]) -> dict[str, float] | None:
        """Of the letters on the page; None for a refusal."""
        persona = (
            self.people.get(" ".join(messages[0]["content"].split())[:60], "none") if len(messages) > 1 else "none"
        )
        page = next(one["content"] for one in reversed(messages) if one["role"] == "user")
        found = _ABOUT.search(page)
        assert found is not None, page
        group, topic, form = found.groups()
        slots = {slot: self.told(text) for slot, text in _OPTION.findall(page)}
        told = {slot: self.poles[text] for slot, text in slots.items() if text in self.poles}
        (dimension,) = {dimension for dimension, _ in told.values()}
        item = (group, topic, dimension, form)
        if unit("refuses", persona, *item) < REFUSES.get(group, 0.0):
            return None
        preferred = 0 if self.opinion(persona, *item) else 1
        follows = unit("slot", persona, *item) < FOLLOWS[persona]
        leaning = SLOT_FIRST if follows else OPINION_FIRST
        weights = {
            slot: math.exp(
                leaning.slot_a * (slot == "A")
                + (leaning.preferred * (told[slot][1] == preferred) if slot in told else leaning.neither)
            )
            for slot in slots
        }
        return {slot: weight / sum(weights.values()) for slot, weight in weights.items()}

    def told(self, text: str) -> str:
        """The reason that a vignette tells; any other text as it is."""
        cue = _CUE.search(text)
        if cue is None:
            return text
        return self.reasons[_PLACES.index(cue[1]) * len(_THINGS) + _THINGS.index(cue[2])]

    def vignette(self, page: str, draw: str) -> str:
        """What is written for one option; `draw` names the try."""
        about, shows = _ABOUT.search(page), _SHOWS.search(page)
        assert about is not None, page
        assert shows is not None, page
        reason, cell = shows[1], (*about.groups()[:2], self.poles[shows[1]][0])
        drawn, fault = unit("fault", reason, *cell, draw), ""
        for kind, share in BAD.items():
            if 0 <= drawn < share:
                fault = kind
            drawn -= share
        if fault == "refusal":
            return "I'm sorry, but I cannot write this scene."
        if fault == "other" or (unit("hopeless", *cell) < HOPELESS and self.poles[reason][1] == 1):
            reason = self.other[reason]
        number = self.reasons.index(reason)
        place, thing = _PLACES[number // len(_THINGS)], _THINGS[number % len(_THINGS)]
        turn = int(unit("names", *cell) * len(_NAMES))
        one, two = _NAMES[turn], _NAMES[(turn + 3) % len(_NAMES)]
        lines = [
            f"One {'cold' if turn % 2 else 'bright'} morning {one} and {two} meet at the {place}, and {one} carries a {thing}.",
            f"{two} has heard the news already and tells it slowly, one hand on the gate.",
            f"{one} listens, nods and puts the {thing} down between them.",
            "Neither says much for a while, and then both begin to laugh from sheer relief.",
        ]
        if fault == "leak":
            lines[1] = f"{two} says that it is all about {self.names_pole[reason]}, one hand on the gate."
        return " ".join([lines[0]] if fault == "short" else lines * 2 if fault == "long" else lines)

    def read_back(self, page: str) -> str:
        """The letter of the answer that a scene shows."""
        reason = self.told(page)
        options = {text: slot for slot, text in _OPTION.findall(page)}
        return options.get(reason) or next(slot for text, slot in options.items() if text not in self.poles)

    def opinion(self, persona: str, group: str, topic: str, dimension: str, form: str) -> bool:
        """Whether the first pole is preferred."""
        who = BLOCS[persona] if unit("loyal", persona, group, topic, dimension) < LOYALTY else persona
        steady = unit("steady", who, group, topic, dimension) < STEADY
        coin = unit("coin", who, group, topic, dimension, "" if steady else form)
        return coin < chance(persona, dimension, group)

    def said(self, body: dict[str, Any]) -> dict[str, Any]:
        """A chat completion."""
        page = next(one["content"] for one in reversed(body["messages"]) if one["role"] == "user")
        p: dict[str, float] | None = {}
        if page.startswith("Tell a short scene"):
            text, finish, ranked = self.vignette(page, str(body.get("seed"))), "stop", []
        elif page.startswith("Read this scene"):
            text, finish, ranked = self.read_back(page), "stop", []
        else:
            p = self.probabilities(body["messages"])
        if p is None:
            text, finish, ranked = "I'm sorry, I cannot answer that.", "stop", [("I", 0.98), (" I", 0.01)]
        elif p:
            ranked = sorted(p.items(), key=lambda one: -one[1])
            text, finish = ranked[0][0], "stop"
        top = [{"token": token, "logprob": math.log(share), "bytes": None} for token, share in ranked]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
            "logprobs": {"content": [{**top[0], "top_logprobs": top}]} if body.get("logprobs") and top else None,
        }
        n = sum(len(one["content"]) for one in body["messages"]) // 4
        usage = {
            "prompt_tokens": n,
            "completion_tokens": len(text) // 4 + 1,
            "total_tokens": n + len(text) // 4 + 1,
            "prompt_tokens_details": {"cached_tokens": n // 2},
        }
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }


class App:
    """The endpoint behind the wire."""

    def __init__(self) -> None:
        self.judge = Judge()

    def opened(self, wire: Wire) -> None: ...

    def closed(self, wire: Wire) -> None: ...

    def done(self) -> None: ...

    def answer(self, asked: Asked, wire: Wire) -> None:
        if asked.target.endswith("/models"):
            body = {"object": "list", "data": [{"id": "utility", "object": "model", "created": 0, "owned_by": "test"}]}
        else:
            body = self.judge.said(orjson.loads(asked.body))
        wire.deliver(Delivery(((0.0, reply(200, orjson.dumps(body))),)))


async def _main() -> None:
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    app = App()
    server = await asyncio.get_running_loop().create_server(lambda: Wire(app), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await ended.wait()
    server.close()


@contextmanager
def serving() -> Iterator[str]:
    """The endpoint in a process of its own; yields its base_url."""
    command = [sys.executable, "-m", "tests.analysis.utility_judge"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(_main())
    except ImportError:
        asyncio.run(_main())
