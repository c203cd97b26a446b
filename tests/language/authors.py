"""Writers and judges whose preferences are known, one for each recipe that asks a model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from tests.servers.ruled import Said

POLES = {
    "child": "ten-year-old",
    "expert": "scientist",
    "short": "one short sentence",
    "full": "full answer",
    "warm": "friendly",
    "dry": "cool tone",
}
WANTS = {"speed": ("instant", "at once"), "price": ("free",), "privacy": ("nothing",)}
STANCES = {
    "Odessa Vane": "hurry onward always",
    "Bram Tillotson": "linger with patience",
    "Ines Calloway": "automate each chore",
    "Jonas Reede": "carve by hand",
}


def options(page: str) -> dict[str, str]:
    """The options of a page by their letters."""
    return dict(re.findall(r"^([A-Z])\) (.+?)(?=\n[A-Z]\) |\n\n|\Z)", page, re.M | re.S))


def picks(page: str, good: Iterable[str]) -> Said:
    """The options that say something good share what there is; all do where none does."""
    shown, words = options(page), tuple(good)
    liked = [letter for letter, text in shown.items() if any(word in text for word in words)] or list(shown)
    rest = len(shown) - len(liked)
    share = 0.95 if rest else 1.0
    return {letter: share / len(liked) if letter in liked else (1 - share) / rest for letter in shown}


def number(value: int) -> Said:
    """Almost surely this number."""
    return {str(value): 0.96, str(3 if value != 3 else 2): 0.04}


def soups(system: str, page: str) -> Said:
    """Marks what is written with its pole, and likes the marks of the poles that are wanted."""
    mine = [tag for tag, words in POLES.items() if words in system]
    return picks(page, (f"<{tag}>" for tag in mine)) if options(page) else f"<{mine[0]}> about {page[:20]}"


def rubrics(system: str, page: str) -> Said:
    """Writes as much of a rubric as is asked (of the radio always a little), and counts it."""
    if "Looked for" in page:
        return number(page.count("very "))
    wanted = int(re.findall(r"write a (\d)", page)[0])
    return f"{'very ' * (1 if 'radio' in page else wanted)}much of it, about {page[:30]}"


def contexts(system: str, page: str) -> Said:
    """Short for those in a hurry and long for those with time; of phones everybody wants the short answer."""
    if "Reply with JSON" in page:
        short = {"criterion": "It is brief.", "scenario": "I am in a hurry.", "profile": "a busy nurse."}
        long = {"criterion": "It is rich.", "scenario": "I have all day.", "profile": "an idle teacher."}
        return json.dumps({"rows": [short, long]})
    if not options(page):
        return f"{'SHORT' if 'brief' in page else 'LONG'}: {page[:20]}"
    if "phone" in page or any(word in page for word in ("brief", "hurry", "nurse")):
        return picks(page, ["SHORT"])
    return picks(page, ["LONG"]) if any(word in page for word in ("rich", "all day", "idle")) else {"A": 0.9, "B": 0.1}


LEVELS = {"as one would talk": 1, "neither casual": 2, "to an authority": 3, "cold": 1, "polite": 2, "sympathy": 3}


def levels(system: str, page: str) -> Said:
    """Writes the level into the comment and reads it there (of libraries upside down); the council is formal, the kitchen warm."""
    if "Looked for" in page:
        level = int(re.findall(r"level (\d)", page)[0])
        return number(4 - level if "library" in page or "Many people" in page else level)
    if options(page):
        good = (
            ["formality level 3", "warmth level 1"] if "council" in system else ["formality level 1", "warmth level 3"]
        )
        return picks(page, good if system else [])
    attribute = re.findall(r"its (\w+) only", page)[0]
    level = next(level for words, level in LEVELS.items() if words in page)
    return f"{attribute} level {level}: {page.splitlines()[-1]}"


class Tools:
    """Asks for tools, picks by what is wanted, and calls the wrong one at the first try."""

    def __init__(self) -> None:
        self.tried: set[str] = set()

    def __call__(self, system: str, page: str) -> Said:
        if "Write a call" in page:
            tool = re.findall(r"of the tool (\w+)", page)[0] if page in self.tried else "hammer"
            self.tried.add(page)
            return json.dumps({"call": {"tool": tool, "arguments": {"goal": "here"}}})
        if "Reply with JSON" in page:
            return json.dumps({"rows": [{"prompt": f"I need what {page[7:40]} ({k})"} for k in range(2)]})
        wanted = next(
            (want for want in WANTS if {"speed": "fast", "price": "costs", "privacy": "keeps"}[want] in system), None
        )
        return picks(page, WANTS[wanted] if wanted else [])


def famous(system: str, page: str) -> Said:
    """Everybody has a stance; one question is answered badly under one of them."""
    axis = "machines" if "machines" in page else "pace of life"
    sides = list(STANCES.values())[2:] if axis == "machines" else list(STANCES.values())[:2]
    if page.startswith("Questions"):
        who = next((name for name in STANCES if name in page), "everybody")
        return json.dumps({"rows": [{"prompt": f"What of {axis}, asked by {who}, {k}?"} for k in range(2)]})
    if page.startswith("Different stances"):
        return json.dumps({"rows": [{"stance": side} for side in sides]})
    if "How far does this hold?" in page:
        return number(1 if "Bram Tillotson, 0" in page and "hurry" in page else 5)
    if "What does somebody value" in page:
        liked = [line for line in page.splitlines() if line.startswith("+")]
        return "Values " + max(STANCES.values(), key=lambda one: sum(one in line for line in liked))
    if options(page):
        return picks(page, [stance for name, stance in STANCES.items() if name in system])
    stance = page.split("Take this stance: ")[1]
    return f"{page.splitlines()[0]} {stance}, {' '.join(f'{word}{k}' for word in stance.split() for k in range(9))}"
