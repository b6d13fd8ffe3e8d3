"""`cmet edit`: for people who have a video and a voice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from cmet.errors import UserError

if TYPE_CHECKING:
    from cmet.editing import Editor, EditReport
    from cmet.editing.options import LipsFrom
    from cmet.params import InferenceParams

MODELS = Path("data/train")
DEFAULT_BACKBONE = "facemesh"
OFFICIAL = "cmet-connector"
"""The authors' checkpoint, in the registry of weights."""

MAX_STRENGTH = 5.0
FAINT_CHANGE = 0.6
"""Share of a typical emotional change below which `edit` tells how to get more."""

MIN_SECOND_COSINE = 0.5
"""Likeness from which the second most like emotion is told too."""

COMPILER_ERRORS = frozenset({"BackendCompilerFailed", "InvalidCxxCompiler", "CppCompileError"})
"""Of torch.compile, by name: its modules take seconds to import."""


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
            name, equals, value = arg.partition("=")
            if equals and name in self.LISTS:
                result += [name, value]
                current, num_values = name, 1
                continue
            if arg.startswith("--"):
                current, num_values = (arg, 0) if arg in self.LISTS else (None, 0)
                result.append(arg)
                continue
            if current is not None and num_values:
                result.append(current)
            num_values += 1
            result.append(arg)
        return result


def edit(
    video: Annotated[Path, typer.Argument(help="Video of one talking face.")],
    speech: Annotated[
        list[Path],
        typer.Option(
            "--speech",
            help="Recordings with the wanted emotion, files or folders; .npy vectors too, for models of emotion2vec.",
        ),
    ],
    neutral_speech: Annotated[list[Path], typer.Option("--neutral-speech", help="Calm recordings, in the same way.")],
    out: Annotated[Path, typer.Option("--out", help="The edited video (mp4).")],
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of a trained model; default data/train/<backbone>.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="facemesh, edtalk or pdfgc; default the model's, or facemesh.")
    ] = None,
    connector: Annotated[
        Path | None, typer.Option("--connector", help="The authors' checkpoint (.pth) instead of --model.")
    ] = None,
    framing: Annotated[
        Literal["paste", "crop", "as-is"] | None,
        typer.Option(
            help="paste: the face square is edited and put back (default); crop: the edited square is the result; "
            "as-is: the video is a face square already."
        ),
    ] = None,
    lips: Annotated[
        str | None,
        typer.Option(help="own: the video's; speech: they follow its sound; or a sound file or a video to follow."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Another person to draw: a picture of a face, or a video, of which the first frame with a face counts."
        ),
    ] = None,
    sound: Annotated[
        Path | None,
        typer.Option(help="Sound of the result, from a sound file or a video; default that of the lips."),
    ] = None,
    strength: Annotated[
        str,
        typer.Option(
            help=f"Factor on the change of expression, 0 to {MAX_STRENGTH:g}; auto: what makes it a typical one, where "
            "codes have such a unit, and else 1."
        ),
    ] = "auto",
    parity: Annotated[
        bool,
        typer.Option(
            "--parity",
            help="Follow the authors' procedure exactly (edtalk); takes 0.79 MB of disk per frame meanwhile.",
        ),
    ] = False,
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(help="Of networks on a GPU; default bfloat16, with --parity float32."),
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Let torch.compile optimise the networks.")] = False,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures that go through a network at once.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Give the face in a video another emotion, heard from speech."""
    from cmet.editing import EditOptions, check_files, edit_video
    from cmet.params import InferenceParams

    options = EditOptions(
        framing=framing,
        lips=parsed_lips(lips),
        source=source,
        sound=sound,
        strength=parsed_strength(strength),
        is_parity=parity,
        is_quiet=quiet,
    )
    inference = InferenceParams(
        batch_size=batch_size, precision=precision or ("float32" if parity else "bfloat16"), compile=compile_
    )
    check_files(video, speech, neutral_speech, out, options)
    editor = chosen_editor(model, connector, backbone, inference)
    given = {"--precision": precision, "--compile": compile_, "--batch-size": batch_size}
    unused = [name for name, value in given.items() if value] if editor.kind.picture_px is None else []
    with told_of_compiler():
        report = edit_video(video, speech, neutral_speech, out, editor, options)
    print(f"{out}: {told(report)}")
    if unused:
        print(f"note: {', '.join(unused)} changed nothing: {editor.kind.name} draws without a network")
    for note in notes(report):
        print(f"note: {note}")


@contextmanager
def told_of_compiler() -> Iterator[None]:
    """Say in a sentence that torch.compile does not work here."""
    try:
        yield
    except RuntimeError as error:
        if not any(kind.__name__ in COMPILER_ERRORS for kind in type(error).__mro__):
            raise
        raise UserError(
            f"--compile: torch.compile does not work here ({str(error).strip().splitlines()[0]}); "
            "leave --compile out, or install a C++ compiler (g++)"
        ) from error


def parsed_lips(text: str | None) -> "LipsFrom | None":
    """A word of `EditOptions.lips`, or else a path."""
    words: dict[str | None, LipsFrom | None] = {None: None, "own": "own", "speech": "speech"}
    return words[text] if text in words or text is None else Path(text)


def parsed_strength(text: str) -> float | None:
    """The number, or None for auto.

    Raises:
        UserError: It is neither, or out of range.
    """
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_STRENGTH:
        raise UserError(f"--strength {text}: expected auto or a number from 0 to {MAX_STRENGTH:g}")
    return value


def chosen_editor(
    model: Path | None, connector: Path | None, backbone: str | None, inference: "InferenceParams"
) -> "Editor":
    """The model that the options name; the authors' where edtalk is wished for and none was trained here.

    Raises:
        UserError: There is none, both are named, or it does not fit the backbone.
    """
    from cmet.backbones.registry import backbone_class
    from cmet.editing import Editor
    from cmet.weights import CHECKPOINTS, weights_folder

    if model is not None and connector is not None:
        raise UserError("--model and --connector name two models; leave one out")
    if backbone is not None:
        backbone_class(backbone)  # an unknown name is told before a missing model
    if model is None and connector is None:
        model = MODELS / (backbone or DEFAULT_BACKBONE)
        if backbone == "edtalk" and not model.exists():
            official = CHECKPOINTS[OFFICIAL]
            connector = official.located(weights_folder())
            if connector is None:
                raise UserError(
                    f"{model}: no trained model; train one with `dvc repro`, or put the authors' {official.file} into "
                    f"{weights_folder() / official.home}/ (from {official.source}), or name it with --connector"
                )
    if connector is not None:
        return Editor.official(connector, backbone, inference)
    assert model is not None
    return Editor.load(model, backbone, inference)


def told(report: "EditReport") -> str:
    """One line of what was done."""
    from cmet.editing.options import frames_said

    seen = "" if report.face_ratio is None else f"face in {report.face_ratio:.0%} of them, "
    unit = " (1 is a typical emotional one)" if report.has_typical_unit else ""
    return (
        f"{frames_said(report.num_frames)} of {report.width_px}x{report.height_px} at {report.fps:.5g} frames/s, {seen}"
        f"change of expression {report.mean_change:.2f}{unit} at strength {report.strength:.3g}{_likeness(report)}"
    )


def _likeness(report: "EditReport") -> str:
    """What the model took the speech for, so that a wrong emotion shows before the video is watched."""
    if not report.likeness or not report.mean_change:
        return ""
    first, *others = report.likeness.items()
    others = [other for other in others if other[1] > MIN_SECOND_COSINE]
    second = f", then {others[0][0]} ({others[0][1]:.2f})" if others else ""
    return f", most like {first[0]} (cosine {first[1]:.2f}){second}"


def notes(report: "EditReport") -> list[str]:
    """What a person should know besides."""
    found = list(report.remarks)
    if report.clamped_share > 0.25:
        found.append(
            f"{report.clamped_share:.0%} of the speech features lie outside of what this model was trained on "
            "and were brought back to its limits; expect an approximate emotion"
        )
    if report.has_typical_unit and 0 < report.mean_change < FAINT_CHANGE:
        typical = min(MAX_STRENGTH, report.strength / report.mean_change)
        if typical > report.strength:
            found.append(f"the change is faint; `--strength {typical:.1f}` makes it a typical one")
    return found
