"""Writers and judges with known preferences for further recipes that ask a model."""

from __future__ import annotations

import json
import re

from tests.language.authors import number, options, picks
from tests.servers.ruled import Said

OF_WORK = {
    "nurse": ("a quiet", "a sharp", "a week by", "at noon", "about puzzles", "a phone"),
    "sheep": ("a quiet", "a sharp", "a week by", "at dawn", "about weather", "a phone"),
    "firmware": ("a loud", "a new", "a week by", "at noon", "about puzzles", "a dog"),
    "eight-year-olds": ("a quiet", "a sharp", "a week of", "at noon", "about puzzles", "a phone"),
}
UNSURE = "Which holiday"


def certain(system: str, page: str) -> Said:
    """Chooses as each person did and is sure, but for holidays, of which it knows nothing and says so; as nobody the first slot."""
    shown = options(page)
    mine = next((words for work, words in OF_WORK.items() if work in system), ())
    if UNSURE in page:
        letter = next((one for one, text in shown.items() if "museums" in text), "A")
        return f"{letter} 20"
    return f"{next((one for one, text in shown.items() if text.startswith(mine or ('-',))), 'A')} {90 if mine else 50}"


def profiler(system: str, page: str) -> Said:
    """Tells three kinds of people by their notes, and chooses by the kind that the profile names."""
    kinds = {
        "mending": ("radio", "tool", "joinery"),
        "novelty": ("gadget", "phone", "robotics"),
        "people": ("friends", "dinner", "choir"),
    }
    if options(page):
        return picks(page, next((words for kind, words in kinds.items() if kind in system), ()))
    if "Make this a profile" in page:
        return f"You care about {next(kind for kind in kinds if kind in page)}."
    told = {"bike": "mending", "launch": "novelty", "sister": "people"}
    return next(kind for word, kind in told.items() if word in page)


class Viewers:
    """The first asked for a profile knows the viewer, every other time nobody does; who reads a good one foretells rightly."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def __call__(self, system: str, page: str) -> Said:
        if "Which would this viewer take" in page:
            return json.dumps({"guess": "fast" if "likes speed" in page else "slow"})
        times = self.asked[page] = self.asked.get(page, 0) + 1
        fast = "loud" in page
        if times % 2:
            return f"A viewer who likes {'speed' if fast else 'calm'}, told {times}."
        return f"A viewer who likes {'calm' if fast else 'speed'}, told {times}."


def features(system: str, page: str) -> Said:
    """Counts what shows each quality."""
    words = {"examples": "for instance", "understand": "plain words", "too long": "and so on"}
    return number(min(5, 1 + next(page.count(word) for about, word in words.items() if about in page)))


def panel(system: str, page: str) -> Said:
    """Votes by taste where there is a taste, and knows what is right; marks which is which."""
    if "1. " in page and "2. " in page and not system:
        kind = "taste" if "season" in page or "pet" in page else "alike" if "kinder" in page else "clear"
        shown = options(page)
        return picks(page, [kind]) if shown else kind
    if "season" in page:
        return picks(page, ["summer" if "heat" in system else "winter"])
    if "pet" in page:
        return picks(page, ["cat" if "cats" in system else "parrot"])
    if "kinder" in page:
        return {"A": 0.6, "B": 0.4}
    return picks(page, ["four", "Paris"])


def reasons(system: str, page: str) -> Said:
    """Reasons that name what is good about the better answer, but for fjords, of which nothing can be told."""
    if "One was found better" in page:
        first = page.partition("1. ")[2].partition("\n")[0]
        known = "four weeks" if "gives the time" in page else "Say what" if "names the deed" in page else ""
        if not known:
            return {"A": 0.7, "B": 0.3}
        return picks(page, ["the first" if known in first else "the second"])
    why = "It gives the time." if "eggs" in page else "It names the deed." if "neighbour" in page else "It is better."
    return json.dumps(
        {"general": why, "detailed": f"{why} The other one does not, and leaves the reader with nothing."}
    )


def qualities(system: str, page: str) -> Said:
    """Writes with the marks of a side, and finds them again."""
    sides = {
        "You write formally": "<formal>",
        "as little": "<brief>",
        "You joke": "<playful>",
        "care about": "<caring>",
    }
    if "Reply with" in page and re.search(r"it (is|cares)", page):
        about = next(
            mark
            for word, mark in (
                ("formal", "<formal>"),
                ("brief", "<brief>"),
                ("playful", "<playful>"),
                ("cares", "<caring>"),
            )
            if f"it is {word}" in page or (word == "cares" and "it cares" in page)
        )
        return number(5 if about in page else 2)
    mark = next((mark for word, mark in sides.items() if word in system), "<plain>")
    return f"{mark} about {page[:30]} {system[:20]}"


def hands(system: str, page: str) -> Said:
    """Lin writes short and loud, Ora long and stiff; rules say which, and a draft that follows them has their words."""
    if "Follow these rules" in page:
        off = "training" in page
        if "loud" in page:
            return "no training tonite!! bring cake thurs" if off else "thx Sam!!"
        return (
            "Dear all, I regret that training is cancelled. Yours, Ora"
            if off
            else "Dear Sam, I am obliged to you. Yours, Ora"
        )
    if "Rules for writing" in page:
        return "Be loud and short, use slang." if "!!" in page else "Be stiff and complete, sign with the name."
    return "Hello, there is a message for you here."


def tastes(system: str, page: str) -> Said:
    """Likes and dislikes in a comment; once an attribute that is not there."""
    if "What does the commenter feel" in page:
        liked = bool(re.search(r"like|love", page.partition("\n")[0]))
        return {letter: 0.9 if (text == "likes") == liked else 0.1 for letter, text in options(page).items()}
    comment = page.partition("A comment on it: ")[2].partition("\n")[0].lower()
    liked = "like" in comment or "love" in comment
    rows = [
        {
            "attribute": word,
            "feels": "likes" if liked else "dislikes",
            "weight": 5 if "so much" in comment or "love" in comment else 3,
        }
        for word in ("fog", "grey", "red")
        if word in comment
    ]
    return json.dumps({"rows": [*rows, {"attribute": "wooden", "feels": "likes", "weight": 1}]})


def drivers(system: str, page: str) -> Said:
    """Reads a scene by its words: the roundabout it takes for normal, which the rule does not."""
    kind = (
        "aggressive"
        if re.search("merging|overtaking|dusk", page)
        else "normal"
        if re.search("lorry|country|roundabout", page)
        else "calm"
    )
    shown = options(page)
    return picks(page, [kind]) if shown else kind


def editor(system: str, page: str) -> Said:
    """Drafts fit nobody; edits have the time of day of their reader, but one parrots the portrait and one stays as it was."""
    if "Reply with one whole number" in page:
        shown = page.partition("Answered: ")[2]
        fits = ("early" in shown and "balcony" in page) or ("late" in shown and "drum" in page)
        return "4" if fits and "suits this person" in page else "1"
    if "Edit this answer" in page:
        early = "early" in page
        if "fit" in page and early:
            return "You grow vegetables on a balcony and get up early."
        if "fit" in page:
            return "Do a little every day, and a little more every week."
        return f"Something {'early' if early else 'late'}, with tea, and then a walk of an hour or so."
    if "what should be otherwise" in page:
        return f"It should be {'early' if 'balcony' in page else 'late'}."
    return "Do a little every day, and a little more every week."


def feedback(system: str, page: str) -> Said:
    """Marks what was said after a reply, says what was wanted, and writes it."""
    wants = {"boil rice": "steps", "landlord": "friendly", "tides": "short words"}
    if "Does the reply do that" in page:
        wanted = page.partition("Wanted: ")[2].partition("\n")[0]
        return {"yes": 0.95, "no": 0.05} if f"with {wanted}" in page else {"yes": 0.1, "no": 0.9}
    if "Then they said" in page and options(page):
        after = page.partition("Then they said: ")[2]
        sad = any(word in after for word in ("Steps", "rude", "ten,"))
        return picks(
            page, ["displeased" if sad else "pleased" if "thanks" in after or "Perfect" in after else "neither"]
        )
    if "What did they want" in page:
        return next(said for word, said in wants.items() if word in page)
    return f"A reply with {page.partition('Mind this: ')[2]}."


def whys(system: str, page: str) -> Said:
    """Two reasons, said a little otherwise each time; of moats one that quotes the question."""
    number = len(page) % 2
    first = ("It says how to do it in full", "It says how to do it in full detail")[number]
    second = ("Nothing of it is vague or empty", "Nothing of it is vague or empty talk")[number]
    rows = [{"why": first}, {"why": "What is a moat it says" if "moat" in page else second}]
    return json.dumps({"rows": rows})


def timelines(system: str, page: str) -> Said:
    """Ivy prefers quiet things, but first what sings, Jon red ones; once the next item is named."""
    if "contradict" in page:
        return (
            {"yes": 0.95, "no": 0.05}
            if "loud" in page or "grey" in page or "silent" in page
            else {"yes": 0.05, "no": 0.95}
        )
    if "Turn this preference" in page:
        return (
            "They prefer loud things."
            if "quiet" in page
            else "They prefer grey things."
            if "red" in page
            else "They prefer silent things."
        )
    lines = page.count("\n- ")
    if "kettle" in page:
        return "They prefer things that sing." if lines == 1 else "They prefer quiet things."
    return "They would love a red bowl." if lines == 3 else "They prefer red things."


def tempting(system: str, page: str) -> Said:
    """Two preferences a topic; of films one whose question tempts nobody."""
    if "Would a common answer go against it" in page:
        return {"yes": 0.1, "no": 0.9} if "silent films" in page else {"yes": 0.9, "no": 0.1}
    topic = next((one for one in ("travel", "food", "films") if f"about {one}" in page), "")
    if topic:
        told = {
            "travel": ("night trains", "small inns"),
            "food": ("cold soups", "plain rice"),
            "films": ("silent films", "long films"),
        }[topic]
        return json.dumps(
            {
                "rows": [
                    {"preference": f"They prefer {one} over anything.", "question": f"What next for {one[:5]}?"}
                    for one in told
                ]
            }
        )
    wanted = page.partition("They prefer ")[2].partition(" over")[0]
    if "A short chat" in page:
        return f"User: rename my folder {wanted.split()[1]}.\nAssistant: Done."
    return json.dumps(
        {
            "right": f"Take {wanted}.",
            "other": "Take the fast one.",
            "another": "Take the cheap one.",
            "generic": "Take the usual.",
        }
    )


def rater(system: str, page: str) -> Said:
    """Rates by length and by what was searched for: the short ones 1, others 5, the tone always 4."""
    if "its tone is right" in page:
        return number(4)
    return number(5 if len(page.partition("Answered: ")[2].partition("\n\n")[0]) > 45 else 1)


def inducer(system: str, page: str) -> Said:
    """Tells who likes order and who does not; of recipes it tells nothing that helps."""
    orderly = {"order": True, "loose": False}
    if "Which do they choose" in page:
        first = page.partition("1. ")[2].partition("\n2. ")[0]
        likes = next((value for word, value in orderly.items() if word in page.partition("\n")[0]), None)
        if likes is None:
            return {"A": 0.6, "B": 0.4}
        return picks(page, ["the first" if any(sign in first for sign in ("1", "2.")) == likes else "the second"])
    if options(page):
        return picks(page, ["1. "] if "order" in system else ["Just"])
    if "Put these together" in page:
        return "You like order." if "order" in page else "You like things loose."
    if "recipe" in page:
        return "Somebody who eats."
    return "Somebody who likes order." if "1" in page.partition("Chosen: ")[2].partition("\n")[0] else "Somebody loose."
