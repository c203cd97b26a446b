"""What a program or a notebook calls; `import prefgen` gives it. The command line does the same with files and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from prefgen.errors import Complaint, FileError, SpecError
from prefgen.flow import pipeline as pipelines
from prefgen.flow.planned import Plan
from prefgen.spec.pipeline import Pipeline
from prefgen.store.finished import finished, finished_manifest
from prefgen.store.folder import RunFolder
from prefgen.store.table import Table

if TYPE_CHECKING:
    from prefgen.engines.open import Place
    from prefgen.personas.draw import Drawn

__all__ = ["Run", "draw", "draw_audited", "export", "load", "open_run", "plan", "run"]


@dataclass(frozen=True)
class Run:
    """A finished run, read where it lies. Frames are lazy: a run may be larger than the memory.

    path        its folder
    manifest    steps with rows, kept, dropped by reason; requests, tokens, cost, gates, files
    fresh       False where it stood already and nothing was made
    """

    path: Path
    manifest: Mapping[str, Any]
    fresh: bool = False

    @property
    def judgments(self) -> pl.LazyFrame:
        """One row per persona, item, order and repeat, dropped rows included with their `reject_reason`."""
        return self._side("judgments")

    @property
    def personas(self) -> pl.LazyFrame:
        """One row per persona: persona_id, text, weight, control, and the attributes drawn."""
        return self._side("personas")

    @property
    def items(self) -> pl.LazyFrame:
        """One row per item: item_id, prompt, options, and the user's own columns."""
        return self._side("items")

    @property
    def preferences(self) -> pl.LazyFrame:
        """One row per persona and item, over all orders: data/preferences. FileError where it was not published."""
        return self.data("preferences")

    def table(self, step: str) -> pl.LazyFrame:
        """The table of one step. FileError where there is none of that name."""
        names = [one["name"] for one in self.manifest["steps"]]
        if step not in names:
            raise FileError(f"{self.path}: no step {step!r}", fix=f"its steps: {', '.join(names)}")
        return self._folder.table(step).scan()

    def data(self, config: str, split: str | None = None) -> pl.LazyFrame:
        """What was published under a name (`dpo`, `judgments`, ...), of one split or of all."""
        found = sorted((self._folder.data / config).glob(f"{split or '*'}-*.parquet"))
        if not found:
            names = [one["name"] for one in self.manifest["configs"]]
            what = config if split is None else f"{config}/{split}"
            raise FileError(f"{self.path}: no data/{what}", fix=f"its data: {', '.join(names)}")
        return pl.scan_parquet(found)

    @cached_property
    def _folder(self) -> RunFolder:
        return RunFolder(self.path)

    def _side(self, side: str) -> pl.LazyFrame:
        found: Table | None = getattr(finished(self._folder, self.manifest), side)
        if found is None:
            raise FileError(f"{self.path}: the run has no {side}", fix="look at `run.manifest['steps']`")
        return found.scan()

    def _repr_html_(self) -> str:
        """In a notebook: what it made, in one table. All text is data, and escaped."""
        rows = "".join(
            f"<tr><td>{escape(one['name'])}</td><td>{escape(one['kind'])}</td><td>{one['rows']:,}</td><td>{one['kept']:,}</td></tr>"
            for one in self.manifest["steps"]
        )
        head = "<tr><th>step</th><th>kind</th><th>rows</th><th>kept</th></tr>"
        return f"<p><b>{escape(self.manifest['name'])}</b> in {escape(str(self.path))}</p><table>{head}{rows}</table>"


def load(path: str | Path, settings: Mapping[str, object] | Sequence[str] = ()) -> Pipeline:
    """A pipeline from its YAML file.

    settings    dotted keys and values written over the file's, e.g. `{"models.judge.base_url": "http://127.0.0.1:8000/v1"}`;
                or texts as `--set` has them, e.g. `["models.judge.temperature=0.7"]`

    Raises SpecError with every complaint: path:line: key: problem, and the fix.
    """
    if isinstance(settings, Mapping):
        settings = [f"{key}={_as_yaml(value)}" for key, value in settings.items()]
    return pipelines.load(Path(path), settings)


def plan(pipeline: Pipeline | str | Path) -> Plan:
    """Rows, requests, tokens, cost and time of every step, before any call. Raises SpecError."""
    from prefgen.flow.plan import make_plan

    return make_plan(_loaded(pipeline))


def run(
    pipeline: Pipeline | str | Path,
    out: str | Path | None = None,
    *,
    budget_usd: float | None = None,
    replay: str | Path | None = None,
    retry_failed: bool = False,
    report: bool = True,
    on: Place = "local",
    progress: bool | Literal["json"] = True,
) -> Run:
    """Make the dataset, going on wherever an earlier run of the same pipeline stopped.

    out             folder; outputs/NAME if None, outputs/NAME-limit-N for a preview (`load(path, {"limit": N})`)
    budget_usd      most money to be spent; NotFinished when it is reached, and the same call goes on
    replay          a run folder, or a responses.sqlite: no model is asked, all answers are taken from there
    retry_failed    ask again what failed for a reason that may have passed
    report          also write the report page and its figures
    on              "ray": models answer in actors of the cluster that RAY_ADDRESS names, or of one started here
    progress        a bar on a terminal or in a notebook, plain lines elsewhere, on stderr; "json": one event a line on stdout

    A running event loop is no hindrance, and no signal handler is set. Raises SpecError before anything is asked;
    EngineError, FileError and NotFinished with everything answered so far stored; GateError when the data misses what
    `expect:` asks for.
    """
    from prefgen.flow.run import run as make
    from prefgen.screen.console import people
    from prefgen.screen.watch import watcher_for

    loaded = _loaded(pipeline)
    if replay is not None:
        loaded = _replaying(loaded, Path(replay))
    name = loaded.name if loaded.limit is None else f"{loaded.name}-limit-{loaded.limit}"
    folder = Path(out) if out is not None else Path("outputs") / name
    with watcher_for(people, as_json=progress == "json", silent=not progress) as reporter:
        outcome = make(loaded, folder, reporter, budget_usd=budget_usd, retry_failed=retry_failed, report=report, on=on)
        reporter.done(outcome)
    return replace(open_run(folder), fresh=outcome.fresh)


def open_run(path: str | Path) -> Run:
    """A finished run, from its folder. FileError where there is none, or one that is not finished."""
    return Run(Path(path), finished_manifest(RunFolder(Path(path))))


def draw(spec: str | Path, n: int | None = None, *, seed: int = 0) -> pl.DataFrame:
    """People drawn from a population file: persona_id, text, weight, control, and the attributes. Raises SpecError.

    n    how many; None for a population with portraits of its own, each once
    """
    return draw_audited(spec, n, seed=seed).people


def draw_audited(spec: str | Path, n: int | None = None, *, seed: int = 0, out: str | Path | None = None) -> Drawn:
    """`draw`, with how well the people fit what was asked for: `.people` and `.audit`.

    out    a .parquet, .csv or .jsonl to write them to, whole or not at all, with NAME.audit.json beside it

    Raises SpecError; UsageError for a name that cannot be written, FileError when writing fails.
    """
    from prefgen.personas.write import draw_from, write_personas

    return (
        draw_from(Path(spec), n=n, seed=seed)
        if out is None
        else write_personas(Path(spec), n=n, seed=seed, out=Path(out))
    )


def export(
    run: Run | str | Path,
    preset: str,
    out: str | Path,
    *,
    jsonl: bool = False,
    template: str | None = None,
    from_step: str | None = None,
    **options: Any,
) -> dict[str, int]:
    """Write one more export of a finished run into a folder of its own; rows by split.

    preset         dpo, margin, kto, ...: docs/reference.md names them all
    jsonl          the same rows as JSONL beside every Parquet file
    template       a chat template by name or file: conversations become texts
    from_step      step to make it from; by default the one that the run would take
    options        what a pipeline writes behind the export: shots=8, labels=["quality"], history="liked", ...

    UsageError for an unknown preset, FileError for a folder that is no finished run or an `out` that is not empty.
    """
    from prefgen.publish.exports.one import export_run

    path = run.path if isinstance(run, Run) else Path(run)
    config = export_run(
        path,
        preset,
        Path(out),
        jsonl=jsonl,
        template=template,
        from_step=from_step,
        options=options,
    )
    return dict(config["splits"])


def _loaded(pipeline: Pipeline | str | Path) -> Pipeline:
    return pipeline if isinstance(pipeline, Pipeline) else load(pipeline)


def _replaying(pipeline: Pipeline, replay: Path) -> Pipeline:
    from prefgen.dispatch.replay import responses_file
    from prefgen.spec.pipeline import replaying

    responses = responses_file(replay)
    if not responses.is_file():
        problem, fix = "there are no responses here", "give a run folder, or a responses.sqlite"
        raise SpecError(Complaint(str(replay), 1, "", problem, fix))
    return replaying(pipeline, responses)


def _as_yaml(value: object) -> str:
    import yaml

    return (
        value
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    )
