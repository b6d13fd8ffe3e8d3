from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from cmet.editing.preview import Preview


@pytest.mark.parametrize(
    ("presence", "telling_s"),
    [
        ([1, 1, 1, 1, 1], 0.2),
        # the middle is looked at where the face is turned away least
        ([0, 1, 0, 0, 1], 0.1),
        ([0.5, 0.2, 0, 0.2, 0.2], 0.0),
        ([1], 0.0),
    ],
)
def test_the_first_look_is_at_a_telling_moment(presence: list[float], telling_s: float) -> None:
    prepared: Any = SimpleNamespace(presence_T=np.array(presence), source=SimpleNamespace(fps=10.0))
    preview = Preview(cast(Any, None), prepared, tuple(range(len(presence))), ())
    assert preview.telling_s == telling_s
