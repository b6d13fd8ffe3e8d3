"""The job `study`: a door to `cmet sweep` and `cmet unseen`, whose runner is in `cmet.studies`."""

import base64
import io
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import dagster as dg

from assets.dvc_project import DvcProject, run_logged
from cmet.errors import UserError
from cmet.params import BackboneName, EmotionName
from cmet.project import Project

LAYER_FOLDER = "experiments/ablations"
STUDY_FILES = {"sweep": "ablations", "unseen": "unseen"}
"""What each study calls its files."""

MAX_WIDTH_PX = 900
"""Of the picture, which lands in the event database."""

SEEDS = dg.Field(dg.Array(dg.Int), is_required=False, description="Seeds of training; that of params.yaml by default.")


def study_job(root: Path) -> dg.JobDefinition:
    """The job, with a form that knows the layers of a project."""
    names = sorted(path.stem for path in (root / LAYER_FOLDER).glob("*.yaml"))
    sweep = {
        "layers": dg.Field(
            dg.Array(_names("layer", names)),
            description=f"Changes to compare, files of {LAYER_FOLDER}; `full` is the experiment as it is.",
        ),
        "seeds": SEEDS,
        "no_edits": dg.Field(dg.Bool, default_value=False, description="Train and validate only."),
    }
    unseen = {
        "emotions": dg.Field(
            dg.Array(_names("emotion", get_args(EmotionName))),
            is_required=False,
            description="Emotions to leave out, each in turn; all of the corpus by default.",
        ),
        "seeds": SEEDS,
    }
    said = {"sweep": "Ablations: as `cmet sweep`.", "unseen": "Emotions left out of training: as `cmet unseen`."}
    form = {
        "kind": dg.Field(
            dg.Selector(
                {
                    "sweep": dg.Field(dg.Shape(sweep), description=said["sweep"]),
                    "unseen": dg.Field(dg.Shape(unseen), description=said["unseen"]),
                }
            ),
            description="One of the two.",
        ),
        "backbone": dg.Field(
            _names("backbone", get_args(BackboneName)),
            is_required=False,
            description="Talking-face model; needed where params.yaml has several.",
        ),
    }

    @dg.op(config_schema=form, pool="heavy", out=dg.Out(dg.Nothing))
    def compare(context: dg.OpExecutionContext, project: DvcProject) -> None:
        """Train the variants, on the data that is there, and compare them; one that was stopped goes on."""
        _compare(context, project)

    @dg.graph
    def study() -> None:
        compare()

    return study.to_job(
        description="Variants over seeds, in one table: `cmet sweep` or `cmet unseen`.",
        config=dg.ConfigMapping(lambda given: {"ops": {"compare": {"config": given}}}, config_schema=form),
    )


def _names(name: str, values: Iterable[str]) -> dg.Enum:
    return dg.Enum(name, [dg.EnumValue(value) for value in values])


def _compare(context: dg.OpExecutionContext, dvc: DvcProject) -> None:
    [(command, given)] = context.op_config["kind"].items()
    try:
        project = Project.at(dvc.path / "params.yaml")
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    backbone = context.op_config.get("backbone") or project.params.backbones[0]
    arguments = _arguments(command, given, project.params.seed)
    if "backbone" in context.op_config:
        arguments += ["--backbone", backbone]
    if backbone in project.params.backbones:
        # the command names those there are, else
        dvc.wait_for_study(backbone, context.log)
    run_logged(
        [sys.executable, "-m", "cmet", command, *arguments],
        dvc.path,
        context.log,
        {"DAGSTER_RUN_ID": context.run_id},
        f"Study {command}",
    )
    results = project.places.folder(command, backbone) / STUDY_FILES[command]
    context.add_output_metadata(
        {
            "table": dg.MetadataValue.md(results.with_suffix(".md").read_text(encoding="utf-8")),
            "picture": _picture(results.with_suffix(".png")),
            "more": dg.MetadataValue.path(str(results.parent)),
        }
    )


def _arguments(command: str, given: Mapping[str, Any], seed: int) -> list[str]:
    """The form as the command line has it."""
    seeds = ["--seeds", *map(str, given.get("seeds") or [seed])]
    if command == "sweep":
        layers = [f"{LAYER_FOLDER}/{name}.yaml" for name in given["layers"]]
        return [*layers, *seeds, *(["--no-edits"] if given["no_edits"] else [])]
    return [*given.get("emotions", []), *seeds]


def _picture(path: Path) -> dg.MetadataValue:
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((MAX_WIDTH_PX, MAX_WIDTH_PX))
        image.convert("P", palette=Image.Palette.ADAPTIVE).save(stream, format="png", optimize=True)
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()})")
