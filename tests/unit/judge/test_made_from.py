"""A judge says how the clips were made that it was trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmet.clips.product import Clips
from cmet.environment import versions
from cmet.errors import UserError
from cmet.judge.card import CARD, read_card
from cmet.judge.classifier import Judge
from cmet.judge.released import open_judge
from cmet.judge.training import train_judge
from cmet.media.video import write_video
from cmet.params import ClipForm
from cmet.scores.other_methods import unlike_training, video_answers
from tests.unit.conftest import JUDGE, bars, write_clips
from tests.unit.judge.conftest import PAPER_ORDER

FORM = ClipForm(size_px=64, fps=25, sample_rate_hz=16_000, crop_rule="fomm-clip-1")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("judged")
    write_clips(root / "clips")
    train_judge(Clips(root / "clips", form=FORM), root / "judge", JUDGE.model_copy(update={"num_epochs": 1}), seed=1)
    return root / "judge"


def test_a_card_says_what_clips_and_which_libraries_made_the_judge(judge: Path) -> None:
    card = read_card(judge)
    assert card.clips == FORM
    assert card.versions == versions()
    assert card.as_scored().model_dump() == card.model_dump(exclude={"clips", "versions"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size_px": 256}, "clips.size_px 64, not 256; run `dvc repro`"),
        ({"crop_rule": "fomm-reflect-1"}, "clips.crop_rule fomm-clip-1, not fomm-reflect-1;"),
        ({"fps": 30}, "clips.fps 25, not 30;"),
    ],
)
def test_clips_that_were_made_otherwise_are_refused(judge: Path, changes: dict[str, Any], said: str) -> None:
    card = read_card(judge)
    card.expect_made_of(FORM, judge)
    with pytest.raises(UserError, match=f"judge: this judge was trained on clips made with {said}"):
        card.expect_made_of(FORM.model_copy(update=changes), judge)


def test_of_a_released_judge_nobody_says_and_it_takes_any_clips(save: Callable[..., Path], tmp_path: Path) -> None:
    card = open_judge(save(tmp_path / "judge.pth"), PAPER_ORDER).card
    assert (card.clips, card.versions) == (None, {})
    card.expect_made_of(FORM, tmp_path)


def test_single_videos_of_another_form_are_judged_with_a_remark(judge: Path, tmp_path: Path) -> None:
    other, same, broken = (tmp_path / name for name in ("other.mp4", "same.mp4", "broken.mp4"))
    write_video(other, np.zeros((6, 96, 96, 3), np.uint8), 30)
    write_video(same, bars("happy"), 25)
    broken.write_text("hello")
    opened = Judge.load(judge)
    assert [answer.predicted is None for answer in video_answers([other, same, broken], opened)] == [False, False, True]
    assert unlike_training([other, same, broken], opened) == [
        f"{other} has 96x96, the judge was trained on 64x64",
        f"{other} has 30 frames/s, the judge was trained on 25",
    ]


def test_a_card_from_before_is_refused_by_what_it_lacks(judge: Path, tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(read_card(judge).model_dump_json(exclude={"clips", "versions"}), encoding="utf-8")
    with pytest.raises(UserError, match=r"not a judge's card that this version can read \(clips\); run 'cmet judge'"):
        read_card(tmp_path)
