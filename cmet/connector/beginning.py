"""Weights that training begins with, instead of drawn ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cmet.connector.bundle import load_bundle, refuse_not_finite, write_tensors
from cmet.connector.card import CONFIG, read_config
from cmet.connector.checkpoint import TrainingState
from cmet.connector.network import Connector
from cmet.connector.official import EXPRESSION_WIDTH, SPEECH_WIDTH
from cmet.connector.product import LAST
from cmet.errors import UserError
from cmet.params import PUBLISHED_CONNECTOR, ClipForm, SpeechForm
from cmet.speech.scaling import SpeechScaling
from cmet.weights.containers import not_finite, optimizer_state
from cmet.weights.identify import load_file_as
from cmet.weights.registry import CHECKPOINTS, find_weight, is_watched

SPREAD = "spread"

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW knows of each parameter."""


def save_last(state: TrainingState, path: Path) -> None:
    """Write what another training can begin from; the same bytes for the same state.

    Raises:
        UserError: A weight is not finite.
    """
    tensors = {f"weights/{name}": tensor for name, tensor in state.module.connector.state_dict().items()}
    for name, parameter in _trained(state).items():
        # there are none before the first step
        known = state.optimizer.state.get(parameter, {})
        tensors |= {f"{moment}/{name}": known[moment] for moment in MOMENTS if moment in known}
    tensors[f"weights/{SPREAD}"] = state.module.spread.detach()
    refuse_not_finite(tensors)
    write_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def beginning_path(name: str, root: Path, weights: Path) -> Path:
    """Where `train.begin_from` lies.

    Args:
        name: As params.yaml has it: the published Connector, or a path from the folder of params.yaml.
        root: Folder of params.yaml.
        weights: Folder of published checkpoints.

    Raises:
        UserError: There is nothing, or it lies where DVC does not see it.
    """
    if name == PUBLISHED_CONNECTOR:
        return find_weight(name, weights)
    path = root / name
    if not path.exists():
        raise UserError(
            f"train.begin_from: {name}: no such file or folder; expected {PUBLISHED_CONNECTOR}, the folder of a "
            f"trained model, the {LAST} in one, or a checkpoint in the authors' container"
        )
    home = weights / CHECKPOINTS[PUBLISHED_CONNECTOR].home
    if not is_watched(path, home):
        raise UserError(f"train.begin_from: {name}: DVC watches only {home}; copy it there and give the new path")
    return path


def begin_from(
    path: Path,
    state: TrainingState,
    backbone: str,
    speech_encoder: str,
    speech_form: SpeechForm,
    scaling: SpeechScaling,
) -> None:
    """Take over the weights of a model, and the state of its optimizer where the file has it.

    Args:
        path: Folder of a trained model, a `last.safetensors`, or a checkpoint in the authors' container.
        state: Filled in place; its step stays 0.
        backbone: What the new model is for; a folder must be for the same.
        speech_encoder: Likewise.
        speech_form: What is taken of the encoder; likewise.
        scaling: Of the shards; the model of a folder must project speech by the same, or by nothing, too.

    Raises:
        UserError: The weights are missing, damaged, not finite, of another size or made for another backbone, speech
            encoder or projection.
    """
    connector = state.module.connector
    if (path / CONFIG).is_file():
        bundle = load_bundle(path)
        bundle.expect(backbone=backbone, speech_encoder=speech_encoder, speech_form=speech_form)
        if not _is_same_projection(bundle.scaling, scaling):
            raise UserError(
                f"train.begin_from: {path}: this model projects speech otherwise than the shards do, and a projection "
                "belongs to the corpus it was fitted on; begin with a model that has none, and set "
                "deltas.speech_projection to none"
            )
        _fill(connector, bundle.connector.state_dict(), path)
    elif path.is_dir():
        raise UserError(f"train.begin_from: {path}: no {CONFIG} in this folder, so it is not a trained model")
    elif path.name == LAST:
        tensors = _read_last(path)
        weights = _part(tensors, "weights")
        state.module.spread.data.copy_(weights.pop(SPREAD))
        _fill(connector, weights, path)
        _fill_moments(state, {moment: _part(tensors, moment) for moment in MOMENTS}, path)
    else:
        tensors = load_file_as(path, PUBLISHED_CONNECTOR)
        if (connector.expression_width, connector.speech_width) != (EXPRESSION_WIDTH, SPEECH_WIDTH):
            raise UserError(
                f"train.begin_from: {path.name} expects expression codes of {EXPRESSION_WIDTH} values and speech "
                f"embeddings of {SPEECH_WIDTH}, but the shards have {connector.expression_width} and "
                f"{connector.speech_width}; choose another backbone or speech encoder, or set train.begin_from to null"
            )
        _fill(connector, tensors, path)
        published = optimizer_state(path)
        if published is not None:
            _fill_moments(state, _by_name(state, published), path)


def check_clips(path: Path, clips: ClipForm) -> None:
    """Make sure that a model which is kept as it is was trained on such clips; a bare checkpoint does not say.

    Raises:
        UserError: It was trained on others.
    """
    changes = read_config(path).clips.changes(clips) if (path / CONFIG).is_file() else ""
    if changes:
        raise UserError(
            f"train.begin_from: {path}: this model was trained on clips made with {changes}; with train.num_steps 0 it "
            "stays as it is, so prepare your clips in the same way"
        )


def _is_same_projection(one: SpeechScaling, other: SpeechScaling) -> bool:
    if one.projection is None or other.projection is None:
        return one.projection is other.projection
    return np.array_equal(one.projection.matrix_PS, other.projection.matrix_PS)


def _fill(connector: Connector, weights: dict[str, Any], path: Path) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in connector.state_dict().items()}
    wrong = [name for name, shape in shapes.items() if name not in weights or tuple(weights[name].shape) != shape]
    if wrong:
        found = tuple(weights[wrong[0]].shape) if wrong[0] in weights else "nothing"
        raise UserError(
            f"train.begin_from: {path}: {len(wrong)} of {len(shapes)} tensors do not have the size that train.network "
            f"and the shards ask for, first {wrong[0]}: expected {shapes[wrong[0]]}, found {found}"
        )
    connector.load_state_dict(weights)


def _trained(state: TrainingState) -> dict[str, nn.Parameter]:
    """What the optimizer moves, by name, in its order."""
    names = [name for name, _ in state.module.connector.named_parameters()] + [SPREAD]
    parameters = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
    return dict(zip(names, parameters, strict=False))


def _by_name(state: TrainingState, moments: Mapping[Any, Any]) -> dict[str, dict[str, Tensor]]:
    """Moments by name out of an optimizer's own state, whose numbers are the order of the parameters."""
    found: dict[str, dict[str, Tensor]] = {moment: {} for moment in MOMENTS}
    for number, name in enumerate(_trained(state)):
        values = moments.get(number)
        known = values if isinstance(values, Mapping) else {}
        for moment in MOMENTS:
            # older versions of torch kept the step as a plain number
            value = torch.tensor(float(known[moment])) if isinstance(known.get(moment), int) else known.get(moment)
            if isinstance(value, Tensor):
                found[moment][name] = value
    return found


def _fill_moments(state: TrainingState, moments: dict[str, dict[str, Tensor]], path: Path) -> None:
    """Put in the moments that there are."""
    for name, parameter in _trained(state).items():
        found = {moment: moments[moment].get(name) for moment in MOMENTS}
        if found["exp_avg"] is None or found["exp_avg_sq"] is None or found["step"] is None:
            continue
        if found["exp_avg"].shape != parameter.shape or found["exp_avg_sq"].shape != parameter.shape:
            raise UserError(f"train.begin_from: {path}: the optimizer state of {name} has the wrong shape")
        is_sound = found["step"].numel() == 1 and bool((found["exp_avg_sq"] >= 0).all())
        if not is_sound or not_finite({moment: value for moment, value in found.items() if value is not None}):
            raise UserError(f"train.begin_from: {path}: the optimizer state of {name} holds values that are no numbers")
        state.optimizer.state[parameter] = {
            moment: torch.as_tensor(value, dtype=torch.float32, device=parameter.device).clone()
            for moment, value in found.items()
        }


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}/")
    }


def _read_last(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"train.begin_from: {path}: not readable as weights: {error}") from error
    spread = tensors.get(f"weights/{SPREAD}")
    if spread is None or spread.numel() != 1:
        raise UserError(f"train.begin_from: {path}: not the {LAST} of a trained model")
    bad = not_finite(tensors)
    if bad:
        raise UserError(f"train.begin_from: {path}: NaN or infinity in {len(bad)} tensor(s), first {bad[0]}")
    return tensors
