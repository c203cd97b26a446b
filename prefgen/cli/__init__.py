"""The command line: parse flags, call one function, print, exit. Heavy imports wait until a command needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prefgen.cli.ending import Commands, ended

app = typer.Typer(
    name="prefgen",
    cls=Commands,
    help="Synthetic personalized preference data: personas, judgments, checks, Parquet.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override one key of the YAML; may be repeated.")
]
Where = Annotated[
    str, typer.Option(metavar="local|ray", help="Where models answer: here, or in actors of a Ray cluster.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")]
PipelineFile = Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline's YAML file.")]
RunDir = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `prefgen run` wrote.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def prefgen(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The version of prefgen.")
    ] = False,
) -> None:
    """Synthetic personalized preference data: personas, judgments, checks, Parquet."""


@app.command()
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pipelines and persona specs.")]) -> None:
    """Is this YAML right? One line per problem, with the fix."""
    from prefgen.cli.commands import check_files

    raise typer.Exit(check_files(files))


@app.command()
def plan(
    pipeline: PipelineFile,
    set_: Set = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge only so many items, drawn evenly from all.")] = None,
    json: Json = False,
) -> None:
    """Rows, requests, tokens, cost and time of a run, before any call."""
    from prefgen.cli.commands import print_plan

    print_plan(pipeline, _overrides(set_, limit), as_json=json)


@app.command()
def run(
    pipeline: PipelineFile,
    out: Annotated[Path | None, typer.Option(help="Run folder; by default outputs/<name of the pipeline>.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Judge only so many items, drawn evenly: a preview, in a folder of its own."),
    ] = None,
    set_: Set = None,
    budget: Annotated[
        float | None, typer.Option(min=0, metavar="USD", help="Stop, resumably, before more is spent.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Ask no model: answer from the responses of this run.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option(help="Ask again what failed for a reason that may have passed.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Also make the report page; some seconds.")
    ] = True,
    on: Where = "local",
    json: Json = False,
) -> None:
    """Make the dataset. The same command again goes on where it stopped; a finished run asks nothing."""
    from prefgen.cli.commands import run_pipeline

    overrides = _overrides(set_, limit)
    run_pipeline(
        pipeline,
        out,
        overrides,
        budget_usd=budget,
        replay=replay,
        retry_failed=retry_failed,
        report=report,
        on=on,
        as_json=json,
    )


@app.command()
def personas(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A persona spec.")],
    out: Annotated[Path, typer.Option(help="Where to write them: .parquet, .csv or .jsonl.")],
    n: Annotated[int | None, typer.Option("--n", min=1, help="How many people; portraits may do without.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    json: Json = False,
) -> None:
    """Draw people from a persona spec, and say how well they fit it."""
    from prefgen.cli.commands import draw_personas

    draw_personas(spec, n=n, seed=seed, out=out, as_json=json)


@app.command()
def export(
    run: RunDir,
    to: Annotated[str, typer.Option(metavar="PRESET", help="Name of the export, e.g. dpo.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    jsonl: Annotated[bool, typer.Option(help="Write JSON lines beside the Parquet files.")] = False,
    template: Annotated[
        str | None, typer.Option(help="Chat template (a name or a file): conversations become texts.")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Step to export; by default the run's judgments, or their pairs."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="An option of the export, as a pipeline writes it; may be repeated."
        ),
    ] = None,
) -> None:
    """Write a finished run once more, in the columns of another trainer."""
    from prefgen.cli.commands import export_preset

    export_preset(run, to, out, jsonl=jsonl, template=template, from_step=from_, overrides=options or ())


@app.command()
def report(run: RunDir) -> None:
    """Make a run's report page and figures again."""
    from prefgen.cli.commands import make_report

    make_report(run)


@app.command()
def show(
    run: RunDir, rows: Annotated[int, typer.Option(min=0, max=1000, help="Judgments to show.")] = 5, json: Json = False
) -> None:
    """What a run made and how far to trust it, on the terminal."""
    from prefgen.cli.commands import show_run_folder

    show_run_folder(run, rows=rows, as_json=json)


@app.command()
def place(
    run: RunDir,
    model: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUE,...",
            help="A model, e.g. engine=openai,model=NAME,base_url=URL,region=Europe; may be repeated.",
        ),
    ],
    json: Json = False,
) -> None:
    """Let models answer a run's questions without a persona, and place them among its personas."""
    from prefgen.cli.commands import place_in_run

    place_in_run(run, model, as_json=json)


@app.command()
def calibrate(
    run: RunDir,
    survey: Annotated[
        Path, typer.Argument(metavar="SURVEY", help="A YAML file that names the survey and what is compared.")
    ],
    json: Json = False,
) -> None:
    """Hold a run's answers against what real people said; exits 5 where a gate of the file is missed."""
    from prefgen.cli.commands import calibrate_against

    calibrate_against(run, survey, as_json=json)


@app.command()
def recipes(
    word: Annotated[str, typer.Argument(metavar="[WORD]", help="Only those that say this word.")] = "",
    json: Json = False,
) -> None:
    """The recipes of published datasets that come with prefgen: what each makes, and whether it needs a model."""
    from prefgen.cli.recipes import list_recipes

    list_recipes(word, as_json=json)


@app.command()
def new(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Its id or name; `prefgen recipes` lists them.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
) -> None:
    """Copy a recipe with its inputs, to be edited."""
    from prefgen.cli.recipes import new_from

    new_from(recipe, folder)


RepoId = Annotated[str, typer.Argument(metavar="REPO_ID", help="Dataset on the Hub: user/name.")]
Tag = Annotated[str | None, typer.Option(help="Tag of this version; by default the hash of its data.")]
Private = Annotated[bool, typer.Option("--private/--public", help="Of a dataset that is created now.")]
Force = Annotated[bool, typer.Option("--force", help="Also a run whose gates failed, or over another dataset.")]


@app.command()
def push(
    run: RunDir, repo_id: RepoId, private: Private = True, tag: Tag = None, force: Force = False, json: Json = False
) -> None:
    """Publish a finished run in one commit; safe to repeat at any moment."""
    from prefgen.cli import hub

    hub.push(run, repo_id, private=private, tag=tag, force=force, as_json=json)


@app.command()
def append(
    run: RunDir, repo_id: RepoId, private: Private = True, tag: Tag = None, force: Force = False, json: Json = False
) -> None:
    """Add a run's rows to a published dataset; what is there already is not added again."""
    from prefgen.cli import hub

    hub.append(run, repo_id, private=private, tag=tag, force=force, as_json=json)


@app.command()
def pull(
    repo_id: RepoId,
    revision: Annotated[str | None, typer.Option(help="Tag, branch or commit.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a checked copy; with --config a .parquet or .jsonl file.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="Stream the rows of one config.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Only rows for which this is true.")] = None,
    columns: Annotated[str, typer.Option(metavar="A,B", help="Only these columns.")] = "",
    head: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only the first rows.")] = None,
) -> None:
    """What a published dataset holds, a checked copy of it, or some of its rows."""
    from prefgen.cli import hub

    names = [name.strip() for name in columns.split(",") if name.strip()]
    hub.pull(repo_id, revision=revision, out=out, config=config, split=split, where=where, columns=names, head=head)


@app.command()
def doctor(
    pipeline: Annotated[
        Path | None, typer.Argument(metavar="[PIPELINE]", help="Also try the endpoints of this pipeline.")
    ] = None,
    set_: Set = None,
    json: Json = False,
) -> None:
    """What is installed, which keys are set, what an endpoint can do."""
    from prefgen.cli.doctor import examine

    raise typer.Exit(examine(pipeline, set_ or (), as_json=json))


@app.command()
def version() -> None:
    """The version of prefgen."""
    from prefgen.version import __version__

    typer.echo(__version__)


def _overrides(set_: list[str] | None, limit: int | None) -> list[str]:
    return [*(set_ or ()), *([f"limit={limit}"] if limit is not None else ())]


def main() -> None:
    """Run the command line; complaints become sentences and exit codes, and only our own bugs a traceback."""
    ended(lambda: app(standalone_mode=False))
