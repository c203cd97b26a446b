"""Writers and judges for recipes in which somebody is to be told from what they chose or said."""

from __future__ import annotations

import json
import re

from tests.language.authors import number, options, picks
from tests.servers.ruled import Said

LOOKS_FOR = {
    "bake": "what to do",
    "weld": "what to do",
    "nurse": "a story",
    "survey": "a figure",
    "puppets": "a story",
    "ferry": "nothing",
}
"""What each looks for in an answer, by a word of their seed; nothing settles the ferryman."""
MARKS = {"what to do": ("what to do", "steps"), "a story": ("story",), "a figure": ("figure",)}


def growing(system: str, page: str) -> Said:
    """First portraits say nothing, second ones what somebody looks for; of vinegar all choose alike, who looks for nothing the first slot."""
    said, shown = re.findall(r"look for (.+?)\.", system), options(page)
    if "vinegar" in page and shown:
        return picks(page, [min(shown.values())])
    if shown:
        return picks(page, MARKS[said[0]]) if said else {"A": 0.9, **dict.fromkeys(list(shown)[1:], 0.05)}
    if not said:
        who = next(one for one in LOOKS_FOR if one in page)
        grown = "would settle" in page and LOOKS_FOR[who] != "nothing"
        return f"You {who}." + (f" You look for {LOOKS_FOR[who]}." if grown else "")
    return f"An answer with {said[0]}, about {page[:20]}"


LIVES = {
    "lighthouse": ("wind", "herring", "storms"),
    "market": ("plums", "barter", "knees"),
    "archive": ("ink", "silence", "dust"),
}
"""What shows of each: what stays, what changes, what is to be forgotten."""


def _sign(page: str) -> str:
    """Of what a page speaks, in one word that no fact has."""
    if "nothing is known" in page:
        return "sign-none"
    return "sign-" + re.findall(r"They like (?:the )?(\w+)", page)[-1]


def implied(system: str, page: str) -> Said:
    """Facts of five sorts, chats and answers with their signs: plums are told outright, of ink the answer fits another, of wind anybody guesses."""
    if "A whole life" in page:
        return f"The {next(who for who in LIVES if who in page)} life."
    if "Five things" in page:
        stays, changes, forgets = LIVES[re.findall(r"The (\w+) life", page)[0]]
        fact = {"kind": "expected", "changed": "as before", "owner": "self"}
        return json.dumps(
            {
                "rows": [
                    {**fact, "fact": f"They like {stays} all day long.", "topic": "what they like", "then": "stays"},
                    {
                        **fact,
                        "fact": f"Since spring {changes} pleases them. They like {changes}.",
                        "topic": "what they like best",
                        "then": "changes",
                        "changed": f"They like un{changes} now.",
                    },
                    {
                        **fact,
                        "fact": f"On {forgets} nights nothing helps. They like {forgets}.",
                        "topic": "health",
                        "then": "forget",
                        "kind": "medical",
                    },
                    {
                        **fact,
                        "fact": f"They like the {stays} all day long.",
                        "topic": "what they like",
                        "then": "stays",
                    },
                    {**fact, "fact": "They hate the life that they lead.", "topic": "life", "then": "stays"},
                ]
            }
        )
    if "Does this contradict it" in page:
        return {"yes": 0.9, "no": 0.1} if "They hate" in page else {"yes": 0.1, "no": 0.9}
    if "A chat of theirs" in page:
        said = page.partition("would say: ")[2].partition("\n")[0] if "plums" in page else f"Mend {_sign(page)}."
        last = " Please forget it." if "to forget it" in page else ""
        return json.dumps(
            {"turns": [{"role": "user", "content": said + last}, {"role": "assistant", "content": "Done."}]}
        )
    if options(page):
        if "suits them" in page:
            return picks(page, [_sign(page)])
        return picks(page, ["sign-wind", "any"] if "sign-wind" in page else ["any"])
    sign = _sign(page)
    right = "for someone else" if sign == "sign-ink" else f"one of {sign}"
    return json.dumps(
        {
            "prompt": f"What now, on {len(page)}?",
            "right": right,
            "other": "cats",
            "another": "dogs",
            "generic": "any one" if sign != "sign-wind" else "none",
        }
    )


def concepts(system: str, page: str) -> Said:
    """Each concept prefers tea and the shade; that the puppet is striped shows, and of the dog in the park the answer fits nobody."""
    if "Two things that" in page:
        what = re.findall(r"(<\w+>) is this", page)[0]
        second = "wears stripes" if what == "<puppet>" else "sits in the shade"
        return json.dumps(
            {
                "rows": [
                    {"topic": "drinks", "preference": f"{what} takes tea."},
                    {"topic": "places", "preference": f"{what} {second}."},
                ]
            }
        )
    if "Can one see in it" in page:
        return {"yes": 0.9, "no": 0.1} if "stripes" in page else {"yes": 0.1, "no": 0.9}
    wanted = "tea" if "takes tea" in page else "shade"
    if options(page):
        return picks(page, [wanted])
    off = "<dog>" in page and "park" in page
    return json.dumps(
        {
            "prompt": f"And here? {len(page)}",
            "right": "a swim" if off else f"the {wanted}",
            "other": "juice, in the sun",
            "another": "nothing",
            "generic": "anything",
        }
    )


class Slides:
    """The lecturer wants pictures, the analyst tables; the first profile of the analyst copies the example."""

    def __init__(self) -> None:
        self.copied = False

    def __call__(self, system: str, page: str) -> Said:
        wanted = "pictures" if "pictures" in system else "tables" if "tables" in system else "lines"
        if options(page):
            return picks(page, [wanted])
        if "Slides that somebody made" in page:
            return self._profile("1,200 loaves" in page)
        if "as is wanted" in page or "what is wanted" in page:
            sought = page.rpartition("wanted: ")[2]
            mark = "pictures" if "pictures" in sought else "tables"
            return number(5 if f"Slides of {mark}" in page else 2)
        return f"Slides of {wanted} about {page[-20:]}"

    def _profile(self, tables: bool) -> str:
        first, self.copied = tables and not self.copied, self.copied or tables
        mark = "tables" if tables else "pictures"
        content = "Data: 40 climates, 3 ovens, 1,200 loaves; table of coefficients." if first else f"What {mark} show."
        return json.dumps({"content": content, "style": f"All in {mark}."})
