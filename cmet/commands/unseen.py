"""`cmet unseen`: what survives of an emotion that training never saw."""

from pathlib import Path
from typing import Annotated

import typer

from cmet.commands.answer import Answer, answering
from cmet.commands.completing import backbones
from cmet.commands.completing import emotions as known_emotions
from cmet.commands.sweep import chosen_backbone, chosen_out


@answering
def unseen(
    emotions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Emotions to leave out, each in turn; default all of the corpus.", autocompletion=known_emotions
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option("--seeds", min=0, help="Seeds of training, one or more; default the experiment's."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="Talking-face model; default the experiment's, if it has only one.",
            autocompletion=backbones,
        ),
    ] = None,
    params: Annotated[Path, typer.Option("--params", help="Parameter file; its folder is the project.")] = Path(
        "params.yaml"
    ),
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results; default data/unseen in the project.")
    ] = None,
) -> Answer:
    """Leave each emotion out of training in turn and report how much of its accuracy survives."""
    from cmet.project import Project
    from cmet.studies.unseen import run_unseen

    project = Project.at(params)
    backbone = chosen_backbone("unseen", backbone, project.params.backbones, params)
    out = chosen_out(out, project.places.folder("unseen"))
    report = run_unseen(project, backbone, emotions or [], seeds or [project.params.seed], out)
    return Answer(report.result, f"{report.text}\n\nMore in {out / backbone}; all folds in MLflow (tag cmet.fold).")
