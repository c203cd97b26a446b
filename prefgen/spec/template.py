"""Portrayal templates: strict, sandboxed, and checked when they are read."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.sandbox import SandboxedEnvironment

from prefgen.errors import Complaint, one_of
from prefgen.spec.document import Document, Key

TEMPLATES = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
"""Where portrayals are rendered: no file or attribute access, and an undefined name is an error."""


def names_in(template: str) -> set[str]:
    """The attributes that a template names."""
    return meta.find_undeclared_variables(TEMPLATES.parse(template)) - set(TEMPLATES.globals)


def template_complaints(document: Document, key: Key, template: str, allowed: set[str]) -> Iterator[Complaint]:
    """What is wrong with a template at `key` that may name the attributes `allowed`."""
    try:
        wanted = names_in(template)
    except TemplateSyntaxError as error:
        yield document.complaint(key, f"not a template: {error.message} (line {error.lineno} of the text)", "write {{ attribute }}, or {% raw %} around braces")  # fmt: skip
        return
    except RecursionError:
        yield document.complaint(key, "the template is nested too deeply", "write it flat")
        return
    for name in sorted(wanted - allowed):
        fix = f"use {one_of(name, allowed)}" if allowed else "take it out"
        yield document.complaint(key, f"the template names {name!r}, which is no attribute", fix)
