"""`cmet sweep`: ablations of the current experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cmet.commands.answer import Answer, answering
from cmet.commands.completing import backbones
from cmet.commands.completing import layers as known_layers
from cmet.commands.edit import ManyValues
from cmet.errors import UserError


class ManySeeds(ManyValues):
    """A command whose `--seeds` takes several numbers."""

    LISTS = frozenset({"--seeds"})


@answering
def sweep(
    layers: Annotated[
        list[Path],
        typer.Argument(help="Layers to try (files of experiments/ablations/).", autocompletion=known_layers),
    ],
    seeds: Annotated[list[int], typer.Option("--seeds", min=0, help="Seeds of training, one or more.")],
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
        Path | None, typer.Option("--out", help="Folder for the results; default data/sweep in the project.")
    ] = None,
    no_edits: Annotated[bool, typer.Option("--no-edits", help="Train and validate only.")] = False,
) -> Answer:
    """Train variants of the experiment with several seeds and compare them."""
    from cmet.project import Project
    from cmet.studies.ablations import run_sweep
    from cmet.studies.variants import read_variants

    project = Project.at(params)
    backbone = chosen_backbone("sweep", backbone, project.params.backbones, params)
    variants = read_variants(params, layers)
    out = chosen_out(out, project.places.folder("sweep"))
    report = run_sweep(project, backbone, variants, seeds, out, not no_edits)
    return Answer(report.result, f"{report.text}\n\nMore in {out / backbone}; all runs in MLflow (tag cmet.ablation).")


def chosen_out(out: Path | None, default: Path) -> Path:
    """The folder that was named, or the default.

    Raises:
        UserError: It cannot be made where a file lies.
    """
    if out is None:
        return default
    place = next(place for place in (out, *out.parents) if place.exists())
    if not place.is_dir():
        raise UserError(f"--out {out}: {place} is a file; name a folder")
    return out


def chosen_backbone(command: str, name: str | None, known: Sequence[str], params: Path) -> str:
    """The backbone that was named, or the only one that an experiment has.

    Raises:
        UserError: It is none of the experiment's, or none was named and there are several.
    """
    if name not in (known if len(known) > 1 else [None, *known]):
        raise UserError(f"{command}: --backbone {name} is not one of backbones in {params} ({', '.join(known)})")
    return name or known[0]
