"""`cmet edit`: for people who have a video and a voice."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from cmet.commands import completing
from cmet.commands.answer import Answer, answering
from cmet.editing.wishes.timeline import MAX_STRENGTH
from cmet.environment import many_imports
from cmet.errors import UserError

if TYPE_CHECKING:
    from cmet.editing.reports import EditReport, EmotionReport
    from cmet.editing.wishes.options import LipsFrom, WantedEmotion
    from cmet.editing.wishes.timeline import Segment, Timeline

MIN_SECOND_COSINE = 0.5
"""Likeness from which the second most like emotion is told too."""

NEUTRAL: Literal["neutral"] = "neutral"
"""In the place of recordings: no change."""

COMPILER_ERRORS = frozenset({"BackendCompilerFailed", "InvalidCxxCompiler", "CppCompileError"})
"""Of torch.compile, by name: its modules take seconds to import."""


class ManyValues(TyperCommand):
    """A command whose list options take all values up to the next option: `--speech a.wav b.wav`."""

    LISTS = frozenset({"--speech", "--neutral-speech"})
    """All their values are one list, however often they are given."""

    GROUPS = frozenset({"--then", "--at"})
    """Their values are a list of its own each time they are given; it comes as one text, parted by `PART`."""

    PART = "\0"
    """No name of a file has it."""

    def parse_args(self, context: Any, args: list[str]) -> list[str]:
        """Give a list option one value each time, as Click wants it.

        Raises:
            UserError: A list option has no value, and the line is not one that a shell asks to complete.
        """
        return super().parse_args(context, self._repeated(args, is_whole=not context.resilient_parsing))

    def _repeated(self, args: Sequence[str], is_whole: bool = True) -> list[str]:
        result: list[str] = []
        for name, values in self._with_values(args):
            if is_whole and name in self.LISTS | self.GROUPS and not values:
                raise UserError(f"{name}: expected at least one value")
            if name in self.LISTS:
                result += [word for value in values for word in (name, value)]
            elif name in self.GROUPS:
                result += [name, self.PART.join(values)]
            else:
                result += [name, *values] if name else values
        return result

    def _with_values(self, args: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Each option with what stands between it and the next one; what stands before the first has no name."""
        found: list[tuple[str, list[str]]] = [("", [])]
        for arg in args:
            name, equals, value = arg.partition("=")
            if equals and name in self.LISTS | self.GROUPS:
                found.append((name, [value]))
            elif arg.startswith("--"):
                found.append((arg, []))
            else:
                found[-1][1].append(arg)
        return found


@answering
def edit(
    out: Annotated[Path, typer.Option("--out", help="The edited video (mp4); with --batch, a folder for them.")],
    video: Annotated[Path | None, typer.Argument(help="Video of one talking face; none with --batch.")] = None,
    speech: Annotated[
        list[str] | None,
        typer.Option(
            "--speech",
            metavar="PATH...",
            help="Recordings of the emotion you want, files or folders; for a model of emotion2vec, .npy vectors too. "
            "The word neutral: no change at first, and --then names what follows.",
        ),
    ] = None,
    neutral_speech: Annotated[
        list[Path] | None,
        typer.Option("--neutral-speech", metavar="PATH...", help="Calm recordings, given the same way."),
    ] = None,
    emotion: Annotated[
        str | None,
        typer.Option(
            "--emotion",
            help="The emotion you want by its name, in place of --speech and --neutral-speech: one that the model "
            "knows, such as happy; for an unknown one, they are listed. Or a blend: '0.5 happy + 0.4 surprised'. "
            "neutral: no change at first.",
            autocompletion=completing.emotions,
        ),
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option(
            "--then",
            metavar="PATH...",
            help="Recordings of the emotion that comes next, given the same way, or with --emotion its name; repeat "
            "for each further emotion. The word neutral: back to no change (./neutral is a folder of that name). The "
            "first and the last window (5 frames, at the rate of the model's clips) show the first and the last "
            "emotion fully; each emotion in between gets at least one window. A video with fewer windows than emotions "
            "is refused.",
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at",
            metavar="TIME EMOTION",
            help="What is shown from a time on: --at 4s happy, --at 0:06.5 angry/; repeat for each further change. An "
            "emotion by its name, recordings (with a / or a suffix, or existing), a blend or neutral. "
            "Before the first time: --speech or --emotion, or else no change.",
        ),
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(
            "--timeline",
            help="The same as a table (CSV) with the columns start, end, emotion or speech, strength, follow: a row "
            "for each part of the video; what lies between is not changed.",
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="The face follows each recording as it goes on, stretch by stretch, instead of showing what all of it "
            "sounds like. A recording is as long as the video, or as what is shown of it.",
        ),
    ] = False,
    transition: Annotated[
        Literal["smooth", "switch"] | None,
        typer.Option(
            help="smooth: from one emotion to the next without a jump (default; with --then in even steps over the "
            "whole video); switch: at once (with --then each is shown for an equal part)."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Folder of a trained model, or its address in MLflow (models:/cmet-facemesh@champion, models:/NAME/"
            "VERSION, models:/m-ID, runs:/RUN/NAME); default data/train/<backbone>, or else the authors' Connector "
            "with EDTalk and emotion2vec if their weights are here, or else the built-in model.",
            autocompletion=completing.models,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="facemesh, edtalk or pdfgc; default the model's, or facemesh.",
            autocompletion=completing.backbones,
        ),
    ] = None,
    connector: Annotated[
        Path | None, typer.Option("--connector", help="The authors' checkpoint (.pth) instead of --model.")
    ] = None,
    framing: Annotated[
        Literal["paste", "crop", "as-is"] | None,
        typer.Option(
            help="paste: the face square is edited and put back (default); crop: the edited square is the result; "
            "as-is: the video already is a face square."
        ),
    ] = None,
    lips: Annotated[
        str | None,
        typer.Option(
            help="own: the lips of the video; speech: lips that follow its sound; or a sound file or video to follow.",
            autocompletion=completing.lips,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Another person to draw: a picture of a face, or a video, whose first frame with a face is used."
        ),
    ] = None,
    sound: Annotated[
        Path | None,
        typer.Option(
            help="Sound of the result, from a sound file or a video; default the sound that goes with the lips."
        ),
    ] = None,
    strength: Annotated[
        str,
        typer.Option(
            help=f"Factor on the change of expression, 0 to {MAX_STRENGTH:g}; auto: the one that makes it typical, if "
            "the backbone knows what is typical, and otherwise 1. With --then, a number applies to all emotions, and "
            "auto finds one for each."
        ),
    ] = "auto",
    parity: Annotated[
        bool,
        typer.Option(
            "--parity",
            help="Follow the authors' procedure exactly (edtalk); needs 0.79 MB of disk per frame while it runs.",
        ),
    ] = False,
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(help="Precision of networks on a GPU; default bfloat16, or float32 with --parity."),
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Let torch.compile optimise the networks.")] = False,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures to put through a network at once.")] = None,
    batch: Annotated[
        Path | None,
        typer.Option(
            "--batch",
            metavar="TABLE|FOLDER",
            help="Make many edits, and a page of all: a CSV table with the columns video, out, emotion, speech, "
            "neutral_speech, timeline, strength (empty: what this command names), or a folder of videos. What is there "
            "already of the same files, settings, model and version is kept.",
        ),
    ] = None,
    mark: Annotated[bool, typer.Option("--mark", help="Write `AI-edited` into a corner of every frame.")] = False,
    side_by_side: Annotated[
        Path | None,
        typer.Option(
            "--side-by-side",
            help="Also write a video (mp4) of before and after, beside each other, wide ones above each other.",
        ),
    ] = None,
    sign: Annotated[
        bool,
        typer.Option(
            "--sign",
            help="Put Content Credentials (C2PA) into the result, signed with a key that nobody vouches for: they show "
            "that nothing was changed since. Needs the extra c2pa.",
        ),
    ] = False,
    sign_key: Annotated[
        Path | None,
        typer.Option(
            "--sign-key",
            help="Sign with this private key (PEM) instead; its password, if it has one, in CMET_SIGN_PASSWORD.",
        ),
    ] = None,
    sign_certificate: Annotated[
        Path | None,
        typer.Option("--sign-certificate", help="Certificate of that key (PEM), and after it those that vouch for it."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> Answer:
    """Give the face in a video another emotion.

    The emotion is heard in speech or given by its name.
    """
    # threads would wait for each other longer than they work at equations as small as those of a face
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with many_imports():
        from cmet.editing.choice import ModelChoice
        from cmet.editing.emotions.speech import hearing_note
        from cmet.editing.notes import edit_notes
        from cmet.editing.request import EditRequest, perform
        from cmet.editing.wishes.checks import check_emotions, check_files
        from cmet.editing.wishes.options import EditOptions
        from cmet.params import InferenceParams

    has_wish = any(one is not None for one in (emotion, speech, timeline, at, then))
    _check_target(video, batch, side_by_side)
    if follow and batch is not None and not has_wish:
        raise UserError("--follow goes with the --speech of all rows; name it, or follow in a row's timeline")
    wanted: WantedEmotion | Timeline
    later: tuple[WantedEmotion, ...] = ()
    if batch is not None and not has_wish:
        wanted = NEUTRAL
    elif timeline is None and at is None:
        wanted, later = wanted_emotions(emotion, speech, neutral_speech, then)
    else:
        wanted = wanted_timeline(timeline, at, emotion, speech, then)
    if follow:
        wanted = followed(wanted, later)
    options = EditOptions(
        framing=framing,
        lips=parsed_lips(lips),
        source=source,
        sound=sound,
        strength=parsed_strength(strength),
        then=later,
        transition=transition,
        is_parity=parity,
        is_quiet=quiet,
        is_marked=mark,
        is_signed=sign or sign_key is not None or sign_certificate is not None,
        sign_key=sign_key,
        sign_certificate=sign_certificate,
    )
    inference = InferenceParams(
        batch_size=batch_size, precision=precision or ("float32" if parity else "bfloat16"), compile=compile_
    )
    calm = tuple(neutral_speech or ())
    if has_wish or batch is None:
        check_emotions(wanted, calm, options)
    if video is not None:
        check_files(video, wanted, calm, out, options)
    choice = ModelChoice(model_folder(model), connector, backbone, inference)
    request = EditRequest(video or Path(), wanted, out, calm, choice, options, side_by_side)
    if batch is not None:
        from cmet.commands.batch import batch_answer
        from cmet.editing.batch.table import BatchDefaults

        with told_of_compiler():
            return batch_answer(batch, BatchDefaults(request, has_wish))
    editor = choice.open(is_told=request.is_told)
    given = {"--precision": precision, "--compile": compile_, "--batch-size": batch_size}
    unused = [name for name, value in given.items() if value] if editor.kind.picture_px is None else []
    with told_of_compiler():
        report = perform(request, editor, warn=said_at_once)
    said = [f"{', '.join(unused)} changed nothing: {editor.kind.name} draws without a network"] if unused else []
    said = [*report.warnings, *said, *edit_notes(report)]
    hearing = hearing_note(editor.encoder.name)
    if neutral_speech and hearing is not None:
        said.append(hearing)
    return Answer(
        {"out": out, **vars(report), "notes": said},
        "\n".join([f"{out}: {told(report)}", *(f"note: {note}" for note in said)]),
    )


def _check_target(video: Path | None, batch: Path | None, side_by_side: Path | None) -> None:
    """Make sure that there is one video, or one batch.

    Raises:
        UserError: There is neither, or there are both, or one file is named for all videos of a batch.
    """
    if batch is None and video is None:
        raise UserError("name a video, or with --batch a table or a folder of them")
    if batch is not None and video is not None:
        raise UserError(f"--batch {batch} names all videos; leave out {video}")
    if batch is not None and side_by_side is not None:
        raise UserError("--side-by-side names one file, and --batch makes many; leave it out")


def said_at_once(warning: str) -> None:
    """Tell what a person should know before the edit is made."""
    typer.secho(f"warning: {warning}", err=True, fg="yellow", bold=True)


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


def wanted_emotions(
    emotion: str | None, speech: Sequence[str] | None, neutral_speech: Sequence[Path] | None, then: Sequence[str] | None
) -> "tuple[WantedEmotion, tuple[WantedEmotion, ...]]":
    """The first emotion and those that follow it, all heard or all told.

    Args:
        emotion: Of `--emotion`.
        speech: Of `--speech`.
        neutral_speech: Of `--neutral-speech`.
        then: A text for each `--then`, with the parts between `ManyValues.PART`.

    Raises:
        UserError: There is none, or one is both heard and told.
    """
    groups = [group.split(ManyValues.PART) for group in then or ()]
    if emotion is None:
        if speech is None:
            raise UserError(
                "name the emotion: --speech with --neutral-speech, or --emotion; or several with --at or --timeline"
            )
        return parsed_emotion("--speech", speech), tuple(parsed_emotion("--then", group) for group in groups)
    given = {"--speech": speech, "--neutral-speech": neutral_speech}
    doubled = [option for option, values in given.items() if values]
    if doubled:
        raise UserError(f"--emotion {emotion} takes the place of recordings; leave out {' and '.join(doubled)}")
    several = next((group for group in groups if len(group) > 1), None)
    if several is not None:
        raise UserError(f"--then {' '.join(several)}: beside --emotion it takes the name of one emotion")
    return told_emotion("--emotion", emotion), tuple(told_emotion("--then", name) for (name,) in groups)


def wanted_timeline(
    table: Path | None,
    at: Sequence[str] | None,
    emotion: str | None,
    speech: Sequence[str] | None,
    then: Sequence[str] | None,
) -> "Timeline":
    """The timeline of a table, or that of `--at`, before which an emotion may come.

    Args:
        table: Of `--timeline`.
        at: A text for each `--at`, with the parts between `ManyValues.PART`.
        emotion: Of `--emotion`.
        speech: Of `--speech`.
        then: Of `--then`.

    Raises:
        UserError: The table or a time is wrong, or two options name emotions for the same time.
    """
    from cmet.editing.wishes.options import shares_of
    from cmet.editing.wishes.timeline import Segment, Timeline
    from cmet.editing.wishes.timetable import read_timetable

    given = {"--at": at, "--emotion": emotion, "--speech": speech, "--then": then}
    if table is not None:
        doubled = next((name for name, value in given.items() if value is not None), None)
        if doubled is not None:
            raise UserError(f"--timeline {table} names all emotions; leave out {doubled}")
        return read_timetable(table)
    if then is not None:
        raise UserError("--at and --then both name what follows; leave one of them out")
    segments = sorted(
        (_from_time(group.split(ManyValues.PART)) for group in at or ()), key=lambda segment: segment.start_s
    )
    if emotion is not None or speech is not None:
        # both are refused there
        first, _ = wanted_emotions(emotion, speech, None, None)
        name = "--speech" if emotion is None else "--emotion"
        segments.insert(0, Segment(0.0, None, shares_of(first), where=name))
    return Timeline(tuple(segments))


def followed(wanted: "WantedEmotion | Timeline", later: "Sequence[WantedEmotion]") -> "Timeline":
    """The same, with a face that follows the recordings.

    Raises:
        UserError: There are none, or others come after them at no given time.
    """
    from cmet.editing.wishes.options import shares_of
    from cmet.editing.wishes.timeline import Segment, Timeline

    if later:
        raise UserError("--follow: --then gives recordings no time; name what follows with --at")
    if not isinstance(wanted, Timeline):
        wanted = Timeline((Segment(0.0, None, shares_of(wanted), where="--speech"),))
    return wanted.following


def _from_time(values: Sequence[str]) -> "Segment":
    """The segment of one `--at`."""
    from cmet.editing.wishes.timeline import Segment
    from cmet.editing.wishes.timetable import parsed_emotions, parsed_time

    time, *texts = values
    option = f"--at {time}"
    try:
        start_s = parsed_time(time)
        if not texts:
            raise UserError("name what is shown from then on, such as happy, or recordings")
        return Segment(start_s, None, parsed_emotions(texts), where=option)
    except UserError as error:
        raise UserError(f"{option}: {error}") from error


def told_emotion(option: str, text: str) -> "WantedEmotion":
    """An emotion by its name, a blend, or no change.

    Raises:
        UserError: A name is empty, or a weight cannot be.
    """
    from cmet.editing.wishes.timetable import parsed_words

    if not text:
        raise UserError(f"{option}: the name is empty; name an emotion, such as happy")
    try:
        shares = parsed_words(text)
    except UserError as error:
        raise UserError(f"{option}: {error}") from error
    return shares[0].emotion if len(shares) == 1 and shares[0].weight == 1 else shares


def parsed_emotion(option: str, texts: Sequence[str]) -> "WantedEmotion":
    """The recordings that an option names, or no change.

    Raises:
        UserError: A name is empty, or the word neutral stands beside recordings.
    """
    if "" in texts:
        raise UserError(f"{option}: a name is empty; name a file or a folder")
    if NEUTRAL not in texts:
        return tuple(map(Path, texts))
    if len(texts) > 1:
        raise UserError(
            f"{option}: the word neutral cannot stand beside recordings; give it a --then of its own, or write "
            "./neutral for a folder of that name"
        )
    return NEUTRAL


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


def model_folder(text: str | None) -> Path | None:
    """Folder of the model that an option names; one in MLflow is fetched for the project in the current folder.

    Raises:
        UserError: MLflow does not have it, does not answer, or is not installed.
    """
    from cmet.tracking.registered import fetched_model, is_address

    if text is None:
        return None
    return fetched_model(text, Path.cwd()) if is_address(text) else Path(text)


def told(report: "EditReport") -> str:
    """One line of what was done."""
    from cmet.editing.messages import frames_said

    seen = "" if report.face_ratio is None else f"face in {report.face_ratio:.0%} of them, "
    unit = " (1 is a typical emotional one)" if report.has_typical_unit else ""
    done = (
        f"{frames_said(report.num_frames)} of {report.width_px}x{report.height_px} at {report.fps:.5g} frames/s, {seen}"
        f"change of expression {report.mean_change:.2f}{unit}"
    )
    if not report.emotions:
        towards = "" if report.told_emotion is None else f" towards {report.told_emotion}"
        return f"{done} at strength {report.strength:.3g}{towards}{_likeness(report, report.held_out_emotion)}"
    said = (_told_of(emotion, report.held_out_emotion) for emotion in report.emotions)
    return f"{done}: " + "; ".join(f"{n}. {one}" for n, one in enumerate(said, 1))


def _told_of(emotion: "EmotionReport", held_out: str | None) -> str:
    # not by the name: a folder may be called neutral
    when = "" if emotion.start_s is None else f"{emotion.start_s:.4g} to {emotion.end_s:.4g} s "
    if not emotion.mean_change:
        return f"{when}{emotion.name}, no change"
    did = f"{emotion.mean_change:.2f} at strength {emotion.strength:.3g}"
    return f"{when}{emotion.name}, {did}{_likeness(emotion, held_out)}"


def _likeness(report: "EditReport | EmotionReport", held_out: str | None) -> str:
    """What the model took the speech for, so that a wrong emotion shows before the video is watched."""
    if not report.likeness or not report.mean_change:
        return ""
    first, *others = report.likeness.items()
    others = [other for other in others if other[1] > MIN_SECOND_COSINE]
    second = f", then {others[0][0]} ({others[0][1]:.2f})" if others else ""
    unseen = ", which training left out" if first[0] == held_out else ""
    return f", most like {first[0]} (cosine {first[1]:.2f}{unseen}){second}"
