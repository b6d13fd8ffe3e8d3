"""Which model edits where a person names none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cmet.backbones.registry import backbone_class
from cmet.editing.built_in import BUILT_IN
from cmet.editing.editor import INFERENCE, Editor
from cmet.errors import UserError
from cmet.params import PUBLISHED_CONNECTOR, InferenceParams
from cmet.speech.encoders.registry import load_encoder
from cmet.weights.registry import CHECKPOINTS, PURPOSES, find_weight, weights_folder

MODELS = Path("data/train")
"""Folder of a project with its trained models."""

BUILT_IN_BACKBONE = "facemesh"
PUBLISHED_BACKBONE, PUBLISHED_ENCODER = "edtalk", "emotion2vec"
FOR_EDIT = tuple(name for name in PURPOSES["edit"] if name != PUBLISHED_ENCODER)
"""Checkpoints that the published edit needs besides its speech encoder."""

GET = "`cmet weights get --for edit`"


@dataclass(frozen=True)
class ModelChoice:
    """Which model edits, and how its networks are run; `default_editor` where neither model nor connector is named."""

    model: Path | None = None
    """Folder of a trained model."""
    connector: Path | None = None
    """The authors' checkpoint."""
    backbone: str | None = None
    """None for the model's."""
    inference: InferenceParams = INFERENCE

    def open(self, *, is_told: bool = False) -> Editor:
        """The model.

        Args:
            is_told: Whether emotions are told by their names.

        Raises:
            UserError: There is none, two are named, or it does not fit the backbone.
        """
        if self.model is not None and self.connector is not None:
            raise UserError("--model and --connector name two models; leave one out")
        if self.backbone is not None:
            backbone_class(self.backbone)  # an unknown name is told before a missing model
        if self.connector is not None:
            return Editor.official(self.connector, self.backbone, self.inference)
        if self.model is not None:
            return Editor.load(self.model, self.backbone, self.inference)
        return default_editor(self.backbone, self.inference, is_told=is_told)


def default_editor(
    backbone: str | None = None,
    inference: InferenceParams = INFERENCE,
    *,
    is_told: bool = False,
    models: Path = MODELS,
) -> Editor:
    """The model that the project has trained; or else the published one, if all it needs is here; or the built-in one.

    Of the last two it says so in its remarks.

    Args:
        backbone: The one that is wished for; None for any.
        inference: How networks are run.
        is_told: Whether emotions are told by their names, of which the published model knows none.
        models: Folder of the project's models.

    Raises:
        UserError: There is no model for that backbone, or the project's cannot be used.
    """
    trained = models / (backbone or BUILT_IN_BACKBONE)
    if trained.exists() or backbone not in (None, BUILT_IN_BACKBONE, PUBLISHED_BACKBONE):
        return Editor.load(trained, backbone, inference)
    weights = weights_folder()
    connector = CHECKPOINTS[PUBLISHED_CONNECTOR].located(weights)
    if backbone == PUBLISHED_BACKBONE:
        if connector is None:
            raise UserError(
                f"{trained}: no trained model, and the authors' is not here; train one with `dvc repro`, or get theirs "
                f"and all that it needs with {GET}, or name one with --connector"
            )
        return Editor.official(connector, backbone, inference)
    # looked at only where it is told: each weight that is missing takes a look at params.yaml
    lacks = [] if is_told or connector is None else list(_lacks(weights))
    if connector is not None and backbone is None and not is_told and not lacks:
        said = (
            "no model is named, so EDTalk is used with the authors' Connector and emotion2vec, whose weights are here; "
            f"`--backbone {BUILT_IN_BACKBONE}` takes the built-in model"
        )
        return replace(Editor.official(connector, inference=inference), remarks=(said,))
    return replace(Editor.load(BUILT_IN, backbone, inference), remarks=(_built_in_said(lacks, connector, is_told),))


def _built_in_said(lacks: list[str], connector: Path | None, is_told: bool) -> str:
    said = "no model is named, so the built-in one is used, which was trained on the drawn sample corpus"
    if is_told:
        return f"{said}; {GET} gets EDTalk with the authors' Connector, which takes recordings only"
    if connector is None:
        return f"{said}; {GET} gets EDTalk and the authors' Connector with emotion2vec, which hears them better"
    if lacks:
        return f"{said}; the authors' Connector, which is here, lacks something: {lacks[0]}"
    return f"{said}; `--backbone {PUBLISHED_BACKBONE}` takes the authors' Connector, which is here"


def _lacks(weights: Path) -> Iterator[str]:
    """What the published edit needs and is not here, in sentences."""
    for name in FOR_EDIT:
        try:
            find_weight(name, weights)
        except UserError as error:
            yield str(error)
    check = load_encoder(PUBLISHED_ENCODER, weights).check
    assert check is not None
    try:
        check()
    except UserError as error:
        yield str(error)
