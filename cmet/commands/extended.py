"""`cmet extended`: emotions beyond the basic ones, from folders of speech to a page."""

from pathlib import Path
from typing import Annotated

import typer

from cmet.commands.answer import Answer, answering
from cmet.commands.completing import encoders, models
from cmet.commands.edit import ManyValues


class ManyExtended(ManyValues):
    """A command whose `--neutral-speech` and `--video` take several values."""

    LISTS = frozenset({"--neutral-speech", "--video"})


@answering
def extended(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="A folder of speech per emotion, named after it (sub-folders: speakers), or one that holds them all.",
            metavar="FOLDER...",
        ),
    ],
    neutral_speech: Annotated[
        list[Path],
        typer.Option("--neutral-speech", help="Calm recordings, files or folders; ideally by the same voices."),
    ],
    video: Annotated[
        list[Path] | None, typer.Option("--video", help="Videos of one talking face, each edited with every emotion.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Folder of a trained model, or its address in MLflow; without one, only speech is measured.",
            autocompletion=models,
        ),
    ] = None,
    connector: Annotated[
        Path | None, typer.Option("--connector", help="The authors' checkpoint (.pth) instead of --model.")
    ] = None,
    basic: Annotated[
        Path | None,
        typer.Option(
            "--basic",
            help="Speech of the basic emotions to compare with: a MEAD tree, or a folder for each and for neutral.",
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            help="Speech encoder; default the model's; without a model, emotion2vec if all speech has vectors.",
            autocompletion=encoders,
        ),
    ] = None,
    speaker_in_name: Annotated[
        bool, typer.Option("--speaker-in-name", help="File names begin with the speaker: anna_03.wav.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Folder for the result; replaced if it exists.")] = Path(
        "data/extended"
    ),
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> Answer:
    """Measure the speech of any emotions, edit videos with it, and make a page that shows both."""
    from cmet.commands.edit import model_folder
    from cmet.editing.choice import ModelChoice
    from cmet.editing.emotions.speech import hearing_note
    from cmet.extended.request import Request
    from cmet.extended.running import write_extended
    from cmet.extended.table import printed_numbers
    from cmet.media.kinds import said_passed_over

    is_model = model is not None or connector is not None
    request = Request(
        folders=folders,
        neutral_speech=neutral_speech,
        videos=video or (),
        editor=ModelChoice(model_folder(model), connector).open() if is_model else None,
        basic=basic,
        space=space,
        is_speaker_in_name=speaker_in_name,
        seed=seed,
        is_quiet=quiet,
    )
    report = write_extended(request, out)
    said = [said_passed_over(report.passed_over)] if report.passed_over else []
    hearing = hearing_note(report.space)
    if hearing is not None:
        said.append(hearing)
    notes = "".join(f"note: {one}\n" for one in said)
    return Answer(
        report,
        f"{printed_numbers(report.table)}\n\n"
        f"{report.num_clips} clips of speech ({report.space}), {report.num_edits} edited video(s), "
        f"{report.num_left_out} file(s) left out; ground truth: none\n{notes}"
        f"Page: {report.result.page} ({report.page_mib:.1f} MiB), numbers: {report.result.numbers}",
    )
