"""The command line: one command per stage, and `edit` for people who have a video and a voice.

Errors that are the user's to mend are one message and exit code 2; a traceback ends with 70, since 1 is an answer of
some commands (`corpus check`).
"""

import hashlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from cmet.commands import benchmark, completing, corpus, weights
from cmet.commands.answer import Answer, AsJson, answering, show
from cmet.commands.clean import clean
from cmet.commands.compare import compare
from cmet.commands.doctor import doctor
from cmet.commands.edit import ManyValues, edit
from cmet.commands.extended import ManyExtended, extended
from cmet.commands.promote import promote
from cmet.commands.provenance import provenance
from cmet.commands.score import ManyLabels, score
from cmet.commands.studio import studio
from cmet.commands.sweep import ManySeeds, sweep
from cmet.commands.unseen import unseen
from cmet.environment import missing_library, own_version
from cmet.errors import UserError
from cmet.launching import (
    USER_ERROR,
    LostProcess,
    die_with,
    end_soon_after_signals,
    is_first_process,
    is_under_torchrun,
    refuse_restart,
    run_under_torchrun,
    wanted_launch,
)
from cmet.native_logs import silence_native_logs
from cmet.outputs import full_disk, no_room_said
from cmet.places import WORK
from cmet.project import Project
from cmet.stages.registry import STAGES, Stage, run_stage, stage_digest
from cmet.stages.started_with import StartedWith

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

app.add_typer(corpus.app, name="corpus")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(weights.app, name="weights")
app.command(short_help="Say what this machine can run, and what to do.")(doctor)
app.command(short_help="List what the project can do without; remove it.")(clean)

ParamsFile = Annotated[Path, typer.Option("--params", help="Parameter file; its folder is the project.")]
INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and after SIGTERM, as shells have them."""


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"cmet {own_version()}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Cross-modal emotion transfer: hear the emotion in a voice, give it to the face in a talking video."""


app.command(cls=ManyValues)(edit)
app.command(short_help="Say how an edited video was made.")(provenance)
app.command(cls=ManyExtended, short_help="Emotions without a judge: measure, edit, show.")(extended)
app.command(cls=ManyLabels, short_help="Judge clips that any method made.")(score)
app.command(short_help="Compare two results clip by clip.")(compare)
app.command(short_help="Give an alias to the best model in MLflow.")(promote)
app.command(short_help="Open the page for people who do not write code.")(studio)
app.command(cls=ManySeeds, short_help="Train variants with several seeds and compare.")(sweep)
app.command(cls=ManySeeds, short_help="Leave each emotion out of training in turn.")(unseen)


@app.command()
@answering
def use(
    experiment: Annotated[Path, typer.Argument(help="A file of experiments/.", autocompletion=completing.experiments)],
    layers: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Layers to apply to it, in this order (files of experiments/ablations/).",
            autocompletion=completing.layers,
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder or inventory of the raw corpus, or the table.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", envvar="CMET_WEIGHTS", help="Folder of published checkpoints; default weights/."),
    ] = None,
    params: ParamsFile = Path("params.yaml"),
) -> Answer:
    """Make an experiment the current one: write it to params.yaml."""
    from cmet.experiments import use_experiment

    changed = use_experiment(experiment, params, root, layers or [], weights)
    names = " + ".join(path.stem for path in (experiment, *(layers or [])))
    lines = [f"{params}: now {names}; {len(changed)} value(s) changed", *(f"  {line}" for line in changed)]
    return Answer({"params": params, "experiment": names, "changed": changed}, "\n".join(lines))


@app.command()
@answering
def summary(params: ParamsFile = Path("params.yaml")) -> Answer:
    """Print the last report's accuracy table and where the page is."""
    from cmet.report.printed import print_table

    report = Project.at(params).report()
    return Answer(report.summary, f"{print_table(report.summary)}\n\nReport: {report.page}")


def _add_stage(name: str, stage: Stage) -> None:
    def opened(params: Path, variant: str | None) -> tuple[StartedWith, Project]:
        # first: what is edited between the two is seen at the end
        started = StartedWith.now(params.absolute())
        project = Project.at(params)
        _check_variant(project.params, name, stage, variant)
        return started, project

    def facts(params: Path, variant: str | None) -> dict[str, str]:
        _, project = opened(params, variant)
        values = hashlib.sha256(project.params.model_dump_json().encode()).hexdigest()
        found = {f"digest of {params.name}": values, f"code of cmet {name}": stage_digest(name, variant)}
        return {what: digest[:8] for what, digest in found.items()}

    def run(params: Path, as_json: bool, variant: str | None = None) -> None:
        with _met(params, lambda: facts(params, variant)) if is_under_torchrun() else nullcontext():
            started, project = opened(params, variant)
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(project.places.compiled))
            num_shares = stage.num_shares(project.params)
            if num_shares > 1 and not is_under_torchrun() and (launch := wanted_launch(num_shares)) is not None:
                # each process takes the same options
                raise typer.Exit(run_under_torchrun(launch))
            show(lambda: _stage_answer(name, project, variant, started), as_json)

    app.command(name, help=stage.summary)(_with_options(run, stage))


def _met(params: Path, facts: Callable[[], dict[str, str]]) -> AbstractContextManager[None]:
    die_with(os.getppid())
    from cmet.connector.meeting import meeting

    root = params.absolute().parent
    return meeting(root, root / WORK, facts)


def _stage_answer(name: str, project: Project, variant: str | None, started: StartedWith) -> Answer | None:
    report = run_stage(name, project, variant, started)
    text = f"{name}{'@' + variant if variant else ''}: {_one_line(report)}"
    return Answer(report, text) if is_first_process() else None


def _with_options(run: Callable[..., None], stage: Stage) -> Callable[..., None]:
    if stage.per == "encoder":

        def per_encoder(
            encoder: Annotated[
                str, typer.Option("--encoder", help="Speech encoder.", autocompletion=completing.encoders)
            ],
            params: ParamsFile = Path("params.yaml"),
            as_json: AsJson = False,
        ) -> None:
            run(params, as_json, encoder)

        return per_encoder
    if stage.per == "backbone":

        def per_backbone(
            backbone: Annotated[
                str, typer.Option("--backbone", help="Talking-face model.", autocompletion=completing.backbones)
            ],
            params: ParamsFile = Path("params.yaml"),
            as_json: AsJson = False,
        ) -> None:
            run(params, as_json, backbone)

        return per_backbone

    def once(params: ParamsFile = Path("params.yaml"), as_json: AsJson = False) -> None:
        run(params, as_json)

    return once


def _check_variant(params: Any, name: str, stage: Stage, variant: str | None) -> None:
    known = {"project": [None], "encoder": params.speech_encoders, "backbone": params.backbones}[stage.per]
    if variant not in known:
        key = "speech_encoders" if stage.per == "encoder" else "backbones"
        raise UserError(f"{name}: {variant!r} is not one of {key} in params.yaml ({', '.join(known)})")


def _one_line(report: dict[str, Any]) -> str:
    values = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in report.items())
    return ", ".join(value for value in values if not value.endswith(("{}", "None")))


for _name, _stage in STAGES.items():
    _add_stage(_name, _stage)


def main() -> None:
    """Run the command line; a user error is one message and exit code 2."""
    silence_native_logs()
    if isinstance(sys.stdout, TextIOWrapper):
        # names of files need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _end)
    # a terminal that is closed ends what runs in it, unless it was started with nohup
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _end)
    end_soon_after_signals()
    try:
        app()
    except UserError as error:
        print(f"cmet: {error}", file=sys.stderr)
        # torchrun ends the others of a process that fails, some of which are on their way out
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not isinstance(error, LostProcess):
            refuse_restart()
        sys.exit(USER_ERROR)
    except SystemExit as end:
        # typer makes this of a KeyboardInterrupt and says nothing
        if end.code == INTERRUPTED:
            is_whole = sys.argv[1:2] in (["edit"], ["extended"], ["score"]) and not any(
                word.partition("=")[0] == "--batch" for word in sys.argv
            )
            hint = "nothing was written" if is_whole else "run the same command again to continue"
            print(f"cmet: interrupted; {hint}", file=sys.stderr)
        raise
    except Exception as error:
        if said := no_room_said(error):
            print(f"cmet: {full_disk(getattr(error, 'filename', None) or 'the disk', said)}", file=sys.stderr)
            sys.exit(2)
        if isinstance(error, ImportError | OSError) and (said := missing_library(str(error))):
            print(f"cmet: {said}", file=sys.stderr)
            sys.exit(2)
        traceback.print_exc()
        sys.exit(os.EX_SOFTWARE)


def _end(*_: object) -> None:
    """Leave by an exception, so that unfinished outputs and worker processes are cleared away."""
    sys.exit(TERMINATED)
