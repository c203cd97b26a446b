"""Templates of strangers: texts with places to fill, without files, dice, the clock or endless work.

One sandbox for all of them: prompts, portraits, forms and chat templates. A template sees the facts it is given and
`range`, and what it may do is counted in units of work that do not depend on the machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, meta, nodes, pass_context
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

from prefgen.errors import Complaint, one_of
from prefgen.spec.document import Document, Key
from prefgen.spec.fence import Fenced, TooMuchError, Work, fenced_filters

OFFERED: Mapping[str, Any] = {"range": safe_range}
"""What every template may name besides its facts; a fact of the same name hides it."""

_MOST_CHARS = 200_000

_TEXT_METHODS = frozenset(
    [
        "capitalize",
        "casefold",
        "center",
        "count",
        "decode",
        "endswith",
        "find",
        "format",
        "format_map",
        "hex",
        "index",
        "isalnum",
        "isalpha",
        "isascii",
        "isdecimal",
        "isdigit",
        "islower",
        "isnumeric",
        "isspace",
        "istitle",
        "isupper",
        "join",
        "ljust",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "replace",
        "rfind",
        "rindex",
        "rjust",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "swapcase",
        "title",
        "upper",
        "zfill",
    ]
)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja as it is used for strangers: an unknown name is an error, and a template can reach nothing.

    options    as Jinja's environment takes them: loader, trim_blocks, extensions, ...

    Whatever does not compile is a TemplateSyntaxError, and work without end is a TooMuchError.
    """

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self, **options: Any) -> None:
        work = Work()
        # Not optimised: what is folded while it is compiled would be counted only there.
        super().__init__(undefined=StrictUndefined, finalize=_shown_in(work), optimized=False, **options)
        self.work = work
        self.globals.clear()  # Blank gives what a template may name
        del self.filters["random"]  # two runs would differ
        self.filters.update(fenced_filters(self.filters, self.work))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As Jinja has it, but a key of a row comes before a method of the same name (`item.copy`)."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str | bytes) and attr not in _TEXT_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Any:
        formatted = super().wrap_str_format(value)
        if formatted is not None:
            self.work.check_format(value.__self__)
        return formatted

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self.work.check_operator(operator, left, right)
        return self.work.weighed(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as Jinja has it
        __self.work.check_call(__obj, args)
        return __self.work.weighed(super().call(__context, __obj, *args, **kwargs))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > _MOST_CHARS:
            raise TemplateSyntaxError(f"{len(source):,} characters, at most {_MOST_CHARS:,}", 1)
        with _compiling():
            return super()._parse(source, name, filename)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        with _compiling():
            Fenced(self).visit(source)
            return super()._generate(source, *args, **kwargs)

    def _compile(self, source: str, filename: str) -> Any:
        with _compiling():
            return super()._compile(source, filename)


@contextlib.contextmanager
def _compiling() -> Iterator[None]:
    try:
        yield
    except TemplateSyntaxError:
        raise
    except (RecursionError, MemoryError, SyntaxError):
        raise TemplateSyntaxError("it is nested too deeply", 1) from None
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise TemplateSyntaxError(f"it cannot be read: {str(error)[:100]}", 1) from None


def _shown_in(work: Work) -> Callable[[Context, Any], Any]:
    """A value as it goes into the text, its length counted."""

    @pass_context  # so that Jinja does not work it out while it compiles
    def shown(context: Context, value: Any) -> Any:  # noqa: ARG001 - as Jinja has it
        kind = type(value)
        if kind is str:
            work.take(1 + len(value) // 16)
            return value
        if kind in (int, float, bool) or isinstance(value, Undefined):
            return value  # an unknown name raises where it becomes a text
        if callable(value):
            # It is no text, and its address would differ every time.
            name = getattr(value, "__name__", "this")
            raise SecurityError(f"{name!r} is a function, not a text: call it with ()")
        return work.weighed(value)

    return shown


class Blank:
    """A template that is filled many times, over the facts given and `range` alone.

    As `Template.render`, without the context that it makes anew each time: that is two thirds of the time of a small
    template, and a questionnaire has a hundred thousand. For one thread at a time.
    """

    def __init__(self, template: Template, offered: Mapping[str, Any] = OFFERED) -> None:
        self._template = template
        self._offered = offered
        self._work: Work = getattr(template.environment, "work", Work())  # the house's own templates are not counted
        self._context = template.new_context({}, shared=True)

    def filled(self, facts: Mapping[str, Any]) -> str:
        """The text; nothing of an earlier filling is left."""
        context = self._context
        context.parent = {**self._offered, **facts}
        context.vars.clear()
        context.exported_vars.clear()
        self._work.begin()
        return "".join(self._template.root_render_func(context))


PLAIN = Sandbox()
"""The sandbox of templates that take in no other: portraits and forms."""


def blank_of(text: str) -> Blank:
    """A text with places to fill; TemplateSyntaxError where it is none."""
    return Blank(PLAIN.from_string(text))


def names_in(template: str) -> set[str]:
    """The names that a template looks at and does not set itself; `range` among them."""
    return meta.find_undeclared_variables(PLAIN.parse(template))


def in_words(error: Exception) -> str:
    """What went wrong while a template was filled, shortly."""
    ours = isinstance(error, TooMuchError | UndefinedError)
    words = str(error).replace("\n", " ")[:200]
    return words if ours else f"{type(error).__name__}: {words}"


def template_complaints(document: Document, key: Key, template: str, allowed: set[str]) -> Iterator[Complaint]:
    """What is wrong with a template at `key` that may name the attributes `allowed`."""
    try:
        PLAIN.compile(template)
        wanted = names_in(template)
    except TemplateSyntaxError as error:
        yield document.complaint(
            key,
            f"not a template: {error.message} (line {error.lineno} of the text)",
            "write {{ attribute }}, or {% raw %} around braces",
        )
        return
    for name in sorted(wanted - allowed - set(OFFERED)):
        fix = f"use {one_of(name, allowed)}" if allowed else "take it out"
        yield document.complaint(key, f"the template names {name!r}, which is no attribute", fix)
