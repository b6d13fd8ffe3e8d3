"""The card of a judge."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.judge.card import CARD, read_card
from tests.unit.conftest import Tiny


def test_reading_a_card_does_not_wait_for_torch() -> None:
    code = "import sys; from cmet.judge.card import read_card; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_missing_judge_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run 'cmet judge'"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"sha256": None}, "sha256"),
        ({"weights": "../elsewhere"}, "weights"),
        ({"jury": 1}, "jury"),
        ({"image_px": 10**9}, "image_px"),
        ({"num_frames": 0}, "num_frames"),
        ({"classes": ["happy", "happy"]}, "classes"),
        ({"classes": ["happy", "glad"]}, "classes"),
    ],
)
def test_a_card_of_another_version_is_refused(
    tiny: Tiny, tmp_path: Path, changes: dict[str, object], where: str
) -> None:
    card = json.loads((tiny.judge.folder / CARD).read_text(encoding="utf-8"))
    (tmp_path / CARD).write_text(json.dumps(card | changes), encoding="utf-8")
    with pytest.raises(UserError, match=rf"not a judge's card that this version can read \({where}\)"):
        read_card(tmp_path)


def test_text_that_is_no_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / CARD).write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="not readable as JSON"):
        read_card(tmp_path)
