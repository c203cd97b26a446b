"""Counts the work of a template, so that none is endless: loops, texts, lists and numbers are bounded before they are made."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from jinja2 import Environment, TemplateRuntimeError, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

MOST_WORK = 1_000_000  # a turn of a loop, a call, a value in a list or 16 characters each; about a second
MOST_SIZE = 4_000_000  # characters, or values in a list that is made of a shorter one
_MOST_WIDTH = 1_000  # of a column, in digits, in batches
_MOST_BITS = 10_000  # of a whole number
_CHARS = 16  # in a unit of work

# What Python's % may be asked for: a width and a precision of at most three digits.
_PERCENT = re.compile(r"%(?:\([^()]*\))?[-+ #0]*\d{0,3}(?:\.\d{0,3})?[hlL]?[a-zA-Z%]")
_WIDE_FIELD = re.compile(r"\{[^{}]*:[^{}]*(?:\d{4,}|\{)")


class TooMuchError(TemplateRuntimeError):
    """A template that would go on for ever, or fill the memory."""


class Work:
    """How much a template may still do. `begin` before every filling."""

    def __init__(self) -> None:
        self.left = MOST_WORK

    def begin(self) -> None:
        self.left = MOST_WORK

    def take(self, units: int) -> None:
        """Count some work; TooMuchError where none is left."""
        self.left -= units
        if self.left < 0:
            raise TooMuchError(
                f"it does not come to an end within {MOST_WORK:,} turns and calls, or makes endless text"
            )

    def weighed(self, value: Any) -> Any:
        """A value that was made, its size counted; what comes one by one is a list now."""
        if type(value) is str and len(value) <= MOST_SIZE:
            self.take(1 + len(value) // _CHARS)
            return value
        if isinstance(value, Iterator) and not hasattr(value, "index0"):  # a `loop` is none to be used up
            value = list(islice(value, MOST_WORK + 1))
        self.take(self._units_of(value))
        return value

    def _units_of(self, value: Any) -> int:
        """The work of a value, whatever is inside: no more than there may be, and one."""
        found, ahead = 0, [value]
        while ahead and found <= self.left:
            one = ahead.pop()
            found += 1
            if isinstance(one, str | bytes):
                self._check(len(one) <= MOST_SIZE, f"a text of more than {MOST_SIZE:,} characters")
                found += len(one) // _CHARS
            elif isinstance(one, int):
                self._check(one.bit_length() <= _MOST_BITS, f"a number of more than {_MOST_BITS:,} bits")
            elif isinstance(one, Mapping):
                ahead += [*one.keys(), *one.values()]
            elif isinstance(one, list | tuple | set | frozenset):
                ahead += one
        return found

    def check_operator(self, operator: str, left: Any, right: Any) -> None:
        """Refuse what would be too large before it is made."""
        if operator == "%" and isinstance(left, str):
            self.check_percent(left)
        elif operator == "*":
            for one, times in ((left, right), (right, left)):
                if isinstance(times, int) and isinstance(one, str | bytes | Sequence):
                    self._check(len(one) * times <= MOST_SIZE, f"a text or list of more than {MOST_SIZE:,}")
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            self._check(left.bit_length() * right <= _MOST_BITS, f"a number of more than {_MOST_BITS:,} bits")

    def check_call(self, called: Any, args: Sequence[Any]) -> None:
        """Refuse a method of a text or number that would make something large."""
        owner, name = getattr(called, "__self__", None), getattr(called, "__name__", "")
        if not isinstance(owner, str | bytes | int | float):
            return
        self.check_widths(args)
        if name == "replace" and len(args) > 1:
            self.check_replaced(owner, args[0], args[1])
        elif name == "join" and args and isinstance(args[0], Sequence):
            self._check(len(str(owner)) * len(args[0]) <= MOST_SIZE, "a text without end")

    def check_percent(self, text: str) -> None:
        self._check("%" not in _PERCENT.sub("", text), f"a format wider than {_MOST_WIDTH - 1}")

    def check_format(self, text: str) -> None:
        self._check(_WIDE_FIELD.search(text) is None, f"a format wider than {_MOST_WIDTH - 1}")

    def check_widths(self, args: Sequence[Any]) -> None:
        for one in args:
            self._check(not isinstance(one, int) or abs(one) <= _MOST_WIDTH, f"a width of more than {_MOST_WIDTH:,}")

    def check_replaced(self, text: Any, old: Any, new: Any) -> None:
        if isinstance(text, str) and isinstance(old, str):
            size = text.count(old) * len(str(new))
            self._check(size <= MOST_SIZE, f"a text of more than {MOST_SIZE:,} characters")

    @staticmethod
    def _check(fine: bool, what: str) -> None:
        if not fine:
            raise TooMuchError(f"it makes {what}")


def fenced_filters(filters: Mapping[str, Callable[..., Any]], work: Work) -> dict[str, Callable[..., Any]]:
    """The same filters, what they make counted, and the three that `Fenced` writes."""
    fenced = {name: _fenced(name, function, work) for name, function in filters.items()}

    @pass_context  # so that Jinja does not work it out while it compiles
    def each(context: Context, values: Any, units: int) -> Any:  # noqa: ARG001 - as a filter has it
        """What a loop goes through, every turn counted before the first."""
        if isinstance(values, Iterator):
            values = list(islice(values, MOST_WORK + 1))
        work.take(units * len(values) if hasattr(values, "__len__") else units)
        return values

    @pass_context
    def made(context: Context, value: Any, units: int = 0) -> Any:  # noqa: ARG001
        """A list as it was written, or the beginning of a part that can be called."""
        work.take(units)
        return work.weighed(value)

    def joined(values: list[Any]) -> Any:
        """What `~` does."""
        return work.weighed("".join([str(value) for value in values]))

    return fenced | {"_each": each, "_made": made, "_joined": joined}


def _fenced(name: str, function: Callable[..., Any], work: Work) -> Callable[..., Any]:
    check = _checks(name, work)
    if check is None:

        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            return work.weighed(function(*args, **kwargs))

        return counted
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0  # the context comes before the value

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        check(args[skipped], (*args[skipped + 1 :], *kwargs.values()))
        return work.weighed(function(*args, **kwargs))

    return checked


def _checks(name: str, work: Work) -> Callable[[Any, Sequence[Any]], None] | None:
    """What is looked at before a filter works: its value, and what else it is given."""
    if name in ("center", "batch", "slice", "round", "tojson"):
        return lambda _, said: work.check_widths(said)
    if name in ("indent", "wordwrap", "replace", "join", "xmlattr"):
        return lambda value, said: _check_grown(value, said, work)
    if name == "format":
        return lambda value, _: work.check_percent(str(value))
    return _check_summed if name == "sum" else None


def _check_summed(_: Any, said: Sequence[Any]) -> None:
    if any(isinstance(one, list | tuple) for one in said):
        raise TooMuchError("it sums up lists")


def _check_grown(value: Any, said: Sequence[Any], work: Work) -> None:
    """Texts that are set in at many places of a text: replace counts the places, for the others every place may be one."""
    texts = [one for one in said if isinstance(one, str)]
    if isinstance(value, str) and len(texts) > 1:
        work.check_replaced(value, texts[0], texts[1])
    elif texts and hasattr(value, "__len__"):
        work.check_operator("*", max(texts, key=len), len(value))
    elif isinstance(value, str):
        widest = max((one for one in said if isinstance(one, int)), default=4)
        work.check_operator("*", " ", widest * (1 + value.count("\n")))


class Fenced(NodeTransformer):
    """Writes into a parsed template where its work is counted: loops, parts that are called, lists, and `~`."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - as Jinja's visitor has it
        if node.recursive:
            raise TemplateSyntaxError("loops that call themselves are not offered", node.lineno)
        units = _units(node)
        self.generic_visit(node)
        node.iter = self._through("_each", node.iter, units)
        return node

    def _visit_called(self, node: Any) -> Any:
        units = _units(node)
        self.generic_visit(node)
        empty = nodes.Const("").set_lineno(node.lineno)
        node.body.insert(0, nodes.Output([self._through("_made", empty, units)]).set_lineno(node.lineno))
        return node

    visit_Macro = visit_CallBlock = visit_Block = _visit_called  # noqa: N815

    def _visit_literal(self, node: Any) -> Any:
        self.generic_visit(node)
        store = getattr(node, "ctx", "load") != "load"
        return node if store or not any(True for _ in node.find_all(nodes.Name)) else self._through("_made", node)

    visit_List = visit_Dict = visit_Tuple = _visit_literal  # noqa: N815

    def visit_Concat(self, node: nodes.Concat) -> Any:  # noqa: N802
        self.generic_visit(node)
        return self._through("_joined", nodes.List(node.nodes).set_lineno(node.lineno))

    def _through(self, name: str, node: Any, *args: int) -> Any:
        given: list[nodes.Expr] = [nodes.Const(one) for one in args]
        made = nodes.Filter(node, name, given, [], None, None)
        return made.set_lineno(node.lineno).set_environment(self._environment)


def _units(node: nodes.Node) -> int:
    """The work of one turn of a part: the text that always stands in it."""
    return 1 + sum(len(text.data) for text in node.find_all(nodes.TemplateData)) // _CHARS
