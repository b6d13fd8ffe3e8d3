"""Names of files, which in every corpus of files say what a clip is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cmet.corpora import cremad, mead, ravdess
from cmet.corpora.clip import Clip, NotWanted
from cmet.errors import ClipError
from tests.properties import given
from tests.properties import strategies as st


@pytest.mark.parametrize("parse", [cremad.parse, mead.parse, ravdess.parse])
@given(name=st.text())
def test_any_name_is_read_not_wanted_or_refused_as_bad(parse: Callable[[Path], Clip], name: str) -> None:
    try:
        clip = parse(Path(name))
    except NotWanted:
        return
    except ClipError as error:
        assert error.code in ("bad_name", "unknown_speaker")
    else:
        assert clip.sentence in Path(name).stem
