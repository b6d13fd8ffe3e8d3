"""Published files for a judge: the trunk it is fine-tuned from, or a whole ResNet-18 with its classifier."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from cmet.errors import UserError
from cmet.judge.emotion_fan import NUM_FEATURES, PlainJudge, ResNet18
from cmet.vocabulary import order_problem
from cmet.weights.containers import UnreadableWeights, kind_of, not_finite, state_dicts
from cmet.weights.identify import match
from cmet.weights.registry import CHECKPOINTS, NETWORKS, find_weight, get_command, is_watched

HOME = "judge"
"""Folder among the weights where such files belong."""

PLACES = ("", "state_dict")
"""Where in a file the tensors may be: they are the file, or an entry of it."""

WRAPPERS = re.compile(r"^((module|_orig_mod|model|base_model)\.)+")
"""Prefixes of keys: what torch and trainers wrap networks in, and the network that averages frames in the paper's
fine-tuning."""

TRUNK = NETWORKS["resnet18"]


def find_checkpoint(named: str, key: str, root: Path, weights: Path) -> Path:
    """Where a file lies that a parameter names.

    Args:
        named: A registered checkpoint, or a file in `weights/judge`: its name, or its path from the folder of
            params.yaml.
        key: The parameter, for the message.
        root: Folder of params.yaml.
        weights: Folder of published checkpoints.

    Raises:
        UserError: There is no such file, or it lies where DVC does not see it.
    """
    if named in CHECKPOINTS:
        return find_weight(named, weights)
    home = weights / HOME
    found = [path for path in (root / named, home / named) if path.is_file()]
    if not found:
        known = [one.name for one in CHECKPOINTS.values() if one.file == named]
        hint = f"; run `{get_command(known[0], weights)}`" if known else ""
        raise UserError(f"{key}: {named}: no such file, neither below {root} nor in {home}{hint}")
    if not is_watched(found[0], home):
        raise UserError(f"{key}: {named}: DVC watches only {home}; copy or link the file there and give its name")
    return found[0]


def read_resnet18(path: Path) -> dict[str, Tensor]:
    """The tensors of a ResNet-18 by the names of torchvision, as any of its published files has them.

    The trunk is whole, but for the counters of batch norm, which change nothing; a classifier `fc` may be there.

    Raises:
        UserError: The file cannot be read, is no ResNet-18 or holds values that are not finite.
    """
    try:
        places = state_dicts(path, kind_of(path))
    except UnreadableWeights as error:
        raise UserError(f"{path}: this file {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    place = next((place for place in PLACES if place in places), None)
    if place is None:
        raise UserError(f"{path}: expected the tensors at the top or under state_dict, found them under {min(places)}")
    tensors = {WRAPPERS.sub("", key): tensor for key, tensor in places[place].items()}
    found = match(TRUNK, place, {key: tuple(tensor.shape) for key, tensor in tensors.items()})
    if not found.fits:
        raise UserError(f"{path}: not a ResNet-18 with torchvision's keys: {found.differences}")
    bad = not_finite(tensors)
    if bad:
        raise UserError(f"{path}: NaN or infinity in {len(bad)} tensor(s), first {bad[0]}")
    return tensors


def start_from(network: ResNet18, path: Path) -> None:
    """Give a network the trunk of a file; its heads keep their values.

    Raises:
        UserError: As `read_resnet18`.
    """
    trunk = {key: tensor for key, tensor in read_resnet18(path).items() if not TRUNK.skips(key)}
    # not strict, for the heads; that the trunk is whole has been checked
    network.load_state_dict(trunk, strict=False)


def load_judge_network(path: Path, label_order: Sequence[str]) -> PlainJudge:
    """The network of a released judge.

    Args:
        path: Its file.
        label_order: The emotions of its logits. No file says them, so they must come from whoever published it.

    Raises:
        UserError: As `read_resnet18`, there is no classifier, or the order does not fit it.
    """
    tensors = read_resnet18(path)
    weight, bias = tensors.get("fc.weight"), tensors.get("fc.bias")
    if weight is None or bias is None or weight.shape != (len(bias), NUM_FEATURES):
        raise UserError(f"{path}: not a judge: expected a classifier fc with {NUM_FEATURES} columns and a bias")
    problem = order_problem(label_order)
    if problem:
        raise UserError(f"label_order {problem}")
    if len(label_order) != len(weight):
        raise UserError(f"label_order names {len(label_order)} emotions, but fc of {path} has {len(weight)} rows")
    network = PlainJudge(len(weight))
    # not strict, for the counters of batch norm
    network.load_state_dict(tensors, strict=False)
    return network


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
