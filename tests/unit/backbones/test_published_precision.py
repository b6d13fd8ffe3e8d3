"""What networks draw becomes frames, or an error."""

import io

import pytest
import torch

from cmet.backbones.published.precision import levels
from cmet.editing.parity import stretched
from cmet.errors import UserError


def test_pictures_become_levels_and_what_is_beyond_is_clamped() -> None:
    assert levels(torch.tensor([-torch.inf, -1, 0, 1, 7])).tolist() == [0, 0, 128, 255, 255]


def test_what_is_no_number_is_never_shown() -> None:
    picture = torch.zeros(3, 2, 2)
    picture[0, 0, 0] = torch.nan
    with pytest.raises(UserError, match="the network draws values that are no numbers"):
        levels(picture[None])
    with pytest.raises(UserError, match="the network draws values that are no numbers"):
        list(stretched([picture], io.BytesIO()))
