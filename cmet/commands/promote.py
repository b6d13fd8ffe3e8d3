"""`cmet promote`: the best model gets an alias."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmet.commands import completing
from cmet.commands.answer import Answer, answering

if TYPE_CHECKING:
    from cmet.tracking.promotion import Promotion

PARAMS = Path("params.yaml")
ALIAS = "champion"


@answering
def promote(
    backbone: Annotated[
        str, typer.Option("--backbone", help="Talking-face model.", autocompletion=completing.backbones)
    ] = "facemesh",
    alias: Annotated[str, typer.Option("--alias", help="The alias that moves.")] = ALIAS,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="RUN",
            help="MLflow run id of the evaluation that others must be like; default the newest.",
        ),
    ] = None,
    params: Annotated[Path, typer.Option("--params", help="Parameter file; its folder is the project.")] = PARAMS,
) -> Answer:
    """Give an alias to the model with the best acc_emo in MLflow.

    Ranked are evaluations with the same protocol, rows, judge and corpus. The model becomes a version of the registered
    model cmet-BACKBONE if it is none yet, and is then models:/cmet-BACKBONE@ALIAS.
    """
    from cmet.backbones.registry import backbone_class
    from cmet.tracking.promotion import promote_best

    backbone_class(backbone)
    promotion = promote_best(params.resolve().parent, backbone, alias, like)
    return Answer(promotion, printed_promotion(promotion))


def printed_promotion(promotion: "Promotion") -> str:
    """What was compared, and who won."""
    from cmet.text_tables import text_table

    best, before = promotion.best, promotion.version_before
    was = {None: "new", promotion.version: "as before"}.get(before, f"before version {before}")
    lines = [f"{promotion.address}: version {promotion.version} ({was}), acc_emo {best.acc_emo:.3f}, {best.model}"]
    lines += [f"note: {note}" for note in promotion.notes]
    lines.append(
        "\nCompared, all with " + ", ".join(f"{word} {value}" for word, value in promotion.alike.items()) + ":"
    )
    rows = [[f"{one.acc_emo:.3f}", one.name, one.run, one.model] for one in promotion.compared]
    lines.append(text_table(["acc_emo", "evaluation", "run", "model"], rows, ["acc_emo"]))
    if promotion.refused:
        rows = [[one.name, one.run, one.reason] for one in promotion.refused]
        lines += ["\nNot compared:", text_table(["evaluation", "run", "why"], rows)]
    return "\n".join(lines)
