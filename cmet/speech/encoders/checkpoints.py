"""Filling a network with the weights of a file, and refusing those of another; reading files is `cmet.weights`."""

import re
from pathlib import Path

from torch import nn

from cmet.errors import UserError
from cmet.weights.containers import UnreadableWeights, kind_of, not_finite, state_dicts


def fill_model(
    model: nn.Module, path: Path, name: str, may_lack: re.Pattern[str] | None = None, may_hold_more: bool = False
) -> None:
    """Fill a model with the weights of a file, all of them or none; no code in the file is run.

    Args:
        model: Of the architecture that the file was made for.
        path: A file written by `torch.save`.
        name: What the weights should be, for the message.
        may_lack: Found in the names of weights that the file need not have.
        may_hold_more: Whether weights that the model does not have are passed over.

    Raises:
        UserError: The file is damaged, holds more than tensors, or belongs to another model.
    """
    try:
        places = state_dicts(path, kind_of(path))
    except UnreadableWeights as error:
        raise UserError(f"{path}: this file {error}") from error
    # training scripts keep the weights as one entry of a larger file
    state = max(places.values(), key=len)
    expected = model.state_dict()
    missing = [key for key in expected if key not in state and not (may_lack and may_lack.search(key))]
    unexpected = [key for key in state if key not in expected and not may_hold_more]
    misshapen = [key for key in expected if key in state and state[key].shape != expected[key].shape]
    if missing or unexpected or misshapen:
        raise UserError(
            f"{path}: not the weights of {name}: {len(missing)} of {len(expected)} keys missing, "
            f"{len(unexpected)} unexpected, {len(misshapen)} of another shape; "
            f"first {[*missing, *unexpected, *misshapen][0]}"
        )
    bad = not_finite({key: state[key] for key in expected if key in state})
    if bad:
        raise UserError(
            f"{path}: NaN or infinity in {len(bad)} tensor(s), first {bad[0]}; delete it and run `cmet weights get`"
        )
    model.load_state_dict({key: state.get(key, value) for key, value in expected.items()})
