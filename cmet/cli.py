"""The command line: one command per stage, and `edit` for people who have a video and a voice.

Errors that are the user's to mend are one message and exit code 2; a traceback ends with 70, since 1 is an answer of
some commands (`corpus check`).
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from cmet.commands import benchmark, corpus, weights
from cmet.commands.doctor import doctor
from cmet.errors import UserError
from cmet.native_logs import silence_native_logs
from cmet.stages import STAGES, Stage, run_stage

if TYPE_CHECKING:
    from cmet.editing import EditReport

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

app.add_typer(corpus.app, name="corpus")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(weights.app, name="weights")
app.command()(doctor)

ParamsFile = Annotated[Path, typer.Option("--params", help="Parameter file; its folder is the project.")]
DEFAULT_MODEL = Path("data/train/facemesh")
MAX_STRENGTH = 5.0
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
FAINT_CHANGE = 0.6
"""Share of a typical emotional change below which `edit` tells how to get more."""


@app.callback()
def about() -> None:
    """Cross-modal emotion transfer: hear the emotion in a voice, give it to the face in a talking video."""


class ManyValues(TyperCommand):
    """A command whose list options take all values up to the next option: `--speech a.wav b.wav`."""

    LISTS = frozenset({"--speech", "--neutral-speech"})

    def parse_args(self, context: Any, args: list[str]) -> list[str]:
        """Repeat the name of a list option before each of its values, as Click wants it."""
        return super().parse_args(context, self._repeated(args))

    def _repeated(self, args: Sequence[str]) -> list[str]:
        result: list[str] = []
        current: str | None = None
        num_values = 0
        for arg in args:
            if arg.startswith("--"):
                current, num_values = (arg, 0) if arg in self.LISTS else (None, 0)
                result.append(arg)
                continue
            if current is not None and num_values:
                result.append(current)
            num_values += 1
            result.append(arg)
        return result


@app.command(cls=ManyValues)
def edit(
    video: Annotated[Path, typer.Argument(help="Video of one talking face.")],
    speech: Annotated[
        list[Path], typer.Option("--speech", help="Recordings with the wanted emotion; files or folders.")
    ],
    neutral_speech: Annotated[list[Path], typer.Option("--neutral-speech", help="Calm recordings; files or folders.")],
    out: Annotated[Path, typer.Option("--out", help="The edited video (mp4).")],
    model: Annotated[Path, typer.Option("--model", help="Folder of a trained model.")] = DEFAULT_MODEL,
    strength: Annotated[
        float, typer.Option(min=0.0, max=MAX_STRENGTH, help="Factor on the change of expression.")
    ] = 1.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Give the face in a video another emotion, heard from speech."""
    from cmet.editing import Editor, edit_video

    report = edit_video(video, speech, neutral_speech, out, Editor.load(model), strength, quiet)
    print(
        f"{out}: {report.num_frames} frames of {report.width_px}x{report.height_px} at {report.fps:.5g} frames/s, "
        f"face in {report.face_ratio:.0%} of them, change of expression {report.mean_change:.2f} "
        "(1 is a typical emotional one)"
    )
    for note in _edit_notes(report, strength):
        print(f"note: {note}")


def _edit_notes(report: "EditReport", strength: float) -> list[str]:
    notes = []
    if report.clamped_share > 0.25:
        notes.append(
            f"{report.clamped_share:.0%} of the speech features lie outside of what this model was trained on "
            "and were brought back to its limits; expect an approximate emotion"
        )
    if 0 < report.mean_change < FAINT_CHANGE:
        typical = min(MAX_STRENGTH, strength / report.mean_change)
        if typical > strength:
            notes.append(f"the change is faint; `--strength {typical:.1f}` makes it a typical one")
    return notes


@app.command()
def use(
    experiment: Annotated[Path, typer.Argument(help="A file of experiments/.")],
    root: Annotated[Path | None, typer.Option("--root", help="Folder of the raw corpus (manifest.root).")] = None,
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Make an experiment the current one: write it to params.yaml."""
    from cmet.experiments import use_experiment

    changed = use_experiment(experiment, params, root)
    print(f"{params}: now {experiment.stem}; {len(changed)} value(s) differ from before")
    for line in changed:
        print(f"  {line}")


@app.command()
def summary(params: ParamsFile = Path("params.yaml")) -> None:
    """Print the accuracy table of the last report and where the page is."""
    from cmet.evaluation.report import print_table
    from cmet.project import Project

    page = Project.at(params).folder("report") / "index.html"
    path = page.with_name("summary.json")
    if not path.is_file():
        raise UserError(f"{path}: there is no report yet; run `dvc repro`")
    print(print_table(json.loads(path.read_text(encoding="utf-8"))))
    print(f"\nReport: {page}")


def _add_stage(name: str, stage: Stage) -> None:
    def run(params: Path, variant: str | None = None) -> None:
        from cmet.project import Project

        project = Project.at(params)
        _check_variant(project.params, name, stage, variant)
        report = run_stage(name, project, variant)
        print(f"{name}{'@' + variant if variant else ''}: " + _one_line(report))

    app.command(name, help=stage.summary)(_with_options(run, stage))


def _with_options(run: Callable[..., None], stage: Stage) -> Callable[..., None]:
    if stage.per == "encoder":

        def per_encoder(
            encoder: Annotated[str, typer.Option("--encoder", help="Speech encoder.")],
            params: ParamsFile = Path("params.yaml"),
        ) -> None:
            run(params, encoder)

        return per_encoder
    if stage.per == "backbone":

        def per_backbone(
            backbone: Annotated[str, typer.Option("--backbone", help="Talking-face model.")],
            params: ParamsFile = Path("params.yaml"),
        ) -> None:
            run(params, backbone)

        return per_backbone

    def once(params: ParamsFile = Path("params.yaml")) -> None:
        run(params)

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
    try:
        app()
    except UserError as error:
        print(f"cmet: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        # typer makes this of a KeyboardInterrupt and says nothing
        if end.code == INTERRUPTED:
            print("cmet: interrupted; run the same command again to go on", file=sys.stderr)
        raise
    except Exception:
        traceback.print_exc()
        sys.exit(os.EX_SOFTWARE)
