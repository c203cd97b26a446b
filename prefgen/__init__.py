"""Synthetic personalized preference data: personas, judgments, checks, Parquet.

import prefgen
pipeline = prefgen.load("prefs.yaml")
prefgen.plan(pipeline).requests
run = prefgen.run(pipeline)
run.judgments.filter(persona_id="p-7").collect()
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefgen.face import Run, draw, draw_audited, export, load, open_run, plan, run

from prefgen.version import __version__

__all__ = ["Run", "__version__", "draw", "draw_audited", "export", "load", "open_run", "plan", "run"]


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is wanted: `prefgen --help` and every worker process import this package.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from prefgen import face

    return getattr(face, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
