"""The model that lies in the package, so that an edit needs nothing else; `make model` makes it anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

from cmet.connector.card import CONFIG, WEIGHTS, BundleConfig
from cmet.connector.product import Model
from cmet.outputs import fresh_folder, write_json
from cmet.records import read_record
from cmet.scores.measured import Interval, JudgedNumbers
from cmet.speech.scaling import FILE as SPEECH_SCALING
from cmet.text_tables import text_table
from cmet.vocabulary import in_order

BUILT_IN = Path(__file__).with_name("built_in_model")
"""Where it lies."""

RECIPE, CARD = "recipe.json", "README.md"
MAX_BYTES = 1_000_000
"""A package that carries no more is still fetched in a moment."""


@dataclass(frozen=True)
class Accuracy:
    """What one method of the evaluation reached."""

    acc_emo: float
    interval: Interval
    n: int


@dataclass(frozen=True)
class Recipe:
    """How the built-in model was made, and what was measured of it then."""

    command: str
    """What makes it anew."""
    base: str
    """The experiment whose parameters it takes."""
    changes: Mapping[str, Any]
    """In what its parameters differ from that one, by key with dots."""
    params: Mapping[str, Any]
    """All parameters, as params.yaml has them."""
    accuracy: Mapping[str, Accuracy]
    """By method."""
    chance: float
    confidence: float
    """Of the intervals."""
    judge: str
    """Who named the emotions, in words."""
    num_speakers: int
    """Speakers of the edited clips; training has heard and seen none of them."""

    @classmethod
    def of(cls, changes: Mapping[str, Any], params: Mapping[str, Any], base: str, scores: JudgedNumbers) -> "Recipe":
        """The recipe of a model whose edits were scored.

        Args:
            changes: In what the parameters differ from those of the base.
            params: All parameters.
            base: Name of the experiment.
            scores: Of the model's edits; the judge is one that was trained here.
        """
        judge = scores.judge
        assert scores.chance is not None
        return cls(
            command="make model",
            base=base,
            changes=changes,
            params=params,
            accuracy={name: Accuracy(found.acc_emo, found.interval, found.n) for name, found in scores.methods.items()},
            chance=scores.chance,
            confidence=scores.confidence,
            judge=f"a {judge.network} network {judge.source} on {judge.corpus}, classes {', '.join(judge.classes)}",
            num_speakers=params["sample"]["num_test_speakers"],
        )


def pack(model: Model, recipe: Recipe, out: Path = BUILT_IN) -> None:
    """Put what an edit needs of a trained model into a folder, with its recipe and its card; whole or not at all."""
    # the page lists models before anything imports torch, which takes seconds
    from cmet.connector.bundle import SPEECH_LIMIT

    with fresh_folder(out) as folder:
        for name in (CONFIG, WEIGHTS, SPEECH_SCALING, SPEECH_LIMIT):
            copyfile(model.folder / name, folder / name)
        # without the modes of the files: others install the package than who made it
        copytree(model.backbone, Model(folder).backbone, copy_function=copyfile)
        write_json(folder / RECIPE, recipe)
        (folder / CARD).write_text(model_card(read_recipe(folder), Model(folder).config), encoding="utf-8")


def read_recipe(folder: Path = BUILT_IN) -> Recipe:
    """How the model in a folder was made.

    Raises:
        UserError: Another version wrote it in another form.
    """
    return read_record(folder / RECIPE, Recipe, "make model")


def model_card(recipe: Recipe, config: BundleConfig) -> str:
    """The card of a model, from what is recorded with it."""
    accuracies = [
        [name, f"{100 * one.acc_emo:.1f} %", f"{100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f}", str(one.n)]
        for name, one in in_order(recipe.accuracy).items()
    ]
    manifest = recipe.params["manifest"]
    changes = ", ".join(f"`{key}: {_said(value)}`" for key, value in recipe.changes.items()) or "none"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(config.versions.items()))
    facts = [
        ["backbone", f"`{config.backbone}`, {config.expression_width} expression codes"],
        ["speech encoder", f"`{config.speech_encoder}`, {config.speech_width} features"],
        ["emotions", ", ".join(config.trained_emotions)],
        ["left out of training", _said(config.held_out_emotion)],
        [
            "corpus",
            f"`{manifest['corpus']}`, drawn faces and synthesised voices, made with seed {recipe.params['seed']}",
        ],
        ["parameters", f"`experiments/{recipe.base}.yaml`, changed: {changes}; all of them are in `{RECIPE}`"],
        ["weights of step", f"{config.step} of {recipe.params['train']['num_steps']}, seed {config.seed}"],
        ["libraries", versions],
        ["made by", f"`{recipe.command}`"],
    ]
    return f"""\
# The built-in model

Gives the face in a video the emotion of a voice, or one told by its name, where there is no other model.

{text_table(["", ""], facts, is_padded=False)}

## What was measured

Share of edited clips in which the judge sees the wanted emotion, on {recipe.num_speakers} speakers of the same drawn
corpus that training did not have. **No real face and no real voice is among the clips.** Chance is
{100 * recipe.chance:.1f} %. The judge is {recipe.judge}.

{text_table(["method", "accuracy", f"{100 * recipe.confidence:.0f} % interval", "clips"], accuracies, is_padded=False)}

`neutral` is the video unedited, `reference` the expression of another speaker's emotional clip, `cmet` this model,
`oracle` the true change, and `ground_truth` the true emotional clips.

## Limits and licences

It has heard only a speech synthesiser and hears real voices badly; what it does to a real face was learned on drawn
ones. For faces of people who agree to it. The model is under Apache-2.0, as cmet is; openSMILE, which it hears with, is
for non-commercial use.
"""


def _said(value: Any) -> str:
    return "none" if value is None else str(value)
