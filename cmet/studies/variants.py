"""The variants of a study: the current experiment with one layer of changes each, or with one emotion left out each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cmet.errors import UserError
from cmet.experiments import flat_values, lay_over, read_experiment, read_layer
from cmet.params import Params, parse_params

FULL = "full"
"""The layer without changes, which the others are compared with."""

SEEN = "seen"
"""The variant in which no emotion is left out."""

SECTIONS = ("train", "edits")
"""What a layer may change: all that is left of them (clips, codes, shards, judge) is there already and shared."""


@dataclass(frozen=True)
class Variant:
    """An experiment that was changed, under the name of what changed it: a layer, or an emotion."""

    name: str
    params: Params
    same: tuple[str, ...] = ()
    """Names of other layers that come to the same values."""


def read_variants(params: Path, layers: Sequence[Path]) -> list[Variant]:
    """The experiment in a parameter file with each of the layers; `full` first, layers that come to the same as one.

    Raises:
        ParamsError: A layer has an unknown key or a bad value.
        UserError: A layer changes what would have to be made anew first, or two have one name.
    """
    values = read_experiment(params)
    variants: list[Variant] = []
    names: set[str] = set()
    for layer in sorted(layers, key=lambda layer: layer.stem != FULL):
        name, merged = layer.stem, _laid_over(values, params, layer)
        if name in names:
            raise UserError(f"{layer}: two layers are called {name}; rename one")
        names.add(name)
        number = next((number for number, variant in enumerate(variants) if variant.params == merged), None)
        if number is None:
            variants.append(Variant(name, merged))
        else:
            variants[number] = replace(variants[number], same=(*variants[number].same, name))
    return variants


def leaving_out(experiment: Params, emotion: str | None) -> Variant:
    """The experiment without an emotion in anything that is fitted or trained.

    Raises:
        ParamsError: The experiment does not allow the emotion to be left out.
    """
    values = experiment.model_dump() | {"held_out_emotion": emotion}
    return Variant(emotion or SEEN, parse_params(values, f"the experiment without {emotion}"))


def _laid_over(values: dict[str, Any], params: Path, layer: Path) -> Params:
    merged = lay_over(values, layer)
    others = [key for key in flat_values(read_layer(layer)) if key.split(".")[0] not in SECTIONS]
    if others:
        raise UserError(
            f"{layer}: changes {', '.join(others)}, but a sweep works on the data that is there, so a layer may change "
            f"{' and '.join(SECTIONS)} only; to make the data again, run `cmet use EXPERIMENT {layer}` and "
            f"`dvc repro`, or `dvc exp run -S {others[0]}=...`"
        )
    return parse_params(merged, f"{params} + {layer}")
