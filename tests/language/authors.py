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


def edits(system: str, page: str) -> Said:
    """Drafts plainly until it knows better; the reader wants a list or to be addressed, and learning finds out which."""
    if page.startswith("Sum this up"):
        told, document = page.split("\n\n", 1)
        style = "- " if "wants lists" in told else "You see: " if "wants to be addressed" in told else ""
        return f"{style}{document.split('.')[0]}."
    if "Draft: " in page:
        draft = page.split("Draft: ")[1].split("\n\n")[0]
        style = "- " if "list" in system else "You see: "
        fine = draft.startswith(style)
        return json.dumps({"fine": fine, "edited": draft if fine else f"{style}{draft}"})
    return "This reader wants lists." if "After: - " in page else "This reader wants to be addressed."


KINDS = {"by yourself": "alone", "with others": "company", "slow and quiet": "calm", "fast and hard": "speed"}


def beliefs(system: str, page: str) -> Said:
    """People hint at their kind in every answer; a reader is the surer the more hints there are."""
    if "Of 100 people" in page:
        hints = re.findall(r"hint-(\w+)", page)
        others = {1: 10, 2: 1}[len(hints)]
        return json.dumps({kind: 100 - 3 * others if kind == hints[-1] else others for kind in KINDS.values()})
    if "Find out what would suit" in system:
        return f"And what else, after {len(page)} letters?"
    return f"I say hint-{next(kind for words, kind in KINDS.items() if words in system)} to that."


def by_context(system: str, page: str) -> Said:
    """Wants by number: the first is met by a plain answer, the second is given away, the others come out by hints."""
    if "Four things" in page:
        who = re.findall(r"You are an? ([\w ]+),", page)[0].replace(" ", "-")
        one = [
            {"factor": f"{who}-thing-{k}", "kind": "tool", "want": f"{who}-want-{k}", "later": f"{who}-late-{k}"}
            for k in range(4)
        ]
        return json.dumps({"rows": one})
    if "Points that show" in page:
        return json.dumps({"rows": [{"point": f"point {k}"} for k in range(3)]})
    if "A request of theirs" in page:
        thing = page.splitlines()[-1].rsplit(" ", 1)[1].split("\n")[0]
        return f"Could you do {thing}?" + (f" As {thing.replace('thing', 'want')}." if thing.endswith("-1") else "")
    if "Could one know" in page:
        now, ask = re.findall(r"`(.+?)`\? (.+?)(?:\n|$)", page)[0]
        return {"yes": 0.9, "no": 0.1} if now in ask else {"yes": 0.1, "no": 0.9}
    if "Does this hold?" in page:
        wanted = page.split("it gives them this: ")[1].split("\n")[0]
        return (
            {"yes": 0.9, "no": 0.1}
            if wanted in page.split("it gives")[0].split("\n\n", 1)[1]
            else {"yes": 0.1, "no": 0.9}
        )
    if "Score the last answer" in system:
        wanted = re.findall(r"You want: (.+)", system)[0]
        met = wanted in page
        return json.dumps({"say": "That is it." if met else f"I miss {wanted}.", "score": 10 if met else 3})
    missed = re.findall(r"I miss (.+)\.", page)
    return f"Here is {missed[0]}." if missed else f"Plainly: {page.replace('thing-0', 'want-0')}"


def assistants(system: str, page: str) -> Said:
    """Who knows somebody's past helps at once, who does not asks first; what fits is rated 4, all else 2."""
    if "Reply with JSON" in page and "by domain" in page:
        return json.dumps(
            {"rows": [{"domain": "food", "liked": "leek soup"}, {"domain": "music", "liked": "slow waltzes"}]}
        )
    if "Two sentences" in page:
        return "It found them a table."
    if "Conversation to be rated" in page:
        fits = "answers fit this person" not in page or "KNOWN" in page
        return number(4 if fits else 2)
    if "Say in a sentence" in system:
        if "KNOWN" in page or "Maybe" in page:
            return json.dumps({"say": "Thank you.", "done": True})
        return json.dumps({"say": "That one." if "Which" in page else "I need something.", "done": False})
    if "What you know" in system:
        return "As KNOWN: this."
    return "Maybe this." if "That one" in page else "Which one?"


def just_in_time(system: str, page: str) -> Said:
    """Who is asked says what they want, and gets it; plain answers do not have it, and that to the train is wrong."""
    way = "a picture" if "picture" in system + page.split("They ask")[0] else "the steps"
    if "They ask:" in page:
        other = {"dimension": "kind of example", "kind": "expertise", "value": "from work", "importance": 1}
        return json.dumps(
            {"rows": [{"dimension": "way of telling", "kind": "personal", "value": way, "importance": 3}, other]}
        )
    if "How far does this hold?" in page:
        told, asked = page.split("How far does this hold?")
        met = any(one in told and one in asked for one in ("a picture", "the steps"))
        return number(5 if met else 2)
    if "Does this hold?" in page:
        return {"no": 0.9, "yes": 0.1} if "Roughly" in page else {"yes": 0.9, "no": 0.1}
    if "Answer only what" in system:
        return f"I like {way}."
    if "Ask what you must know" not in system:
        return "Roughly noon." if "train" in page else f"It is so: {len(page)}."
    liked = re.findall(r"I like (.+)\.", page)
    return json.dumps({"say": f"By {liked[0]}: done." if liked else "How do you like it told?", "final": bool(liked)})
