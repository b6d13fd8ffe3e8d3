"""Released judges, and opening any judge by its place."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cmet.clips.product import Clips
from cmet.errors import UserError
from cmet.judge.card import CARD, HISTORY
from cmet.judge.classifier import Judge
from cmet.judge.product import JudgeFolder
from cmet.judge.released import adopt_judge, open_judge
from cmet.vocabulary import TARGET_EMOTIONS
from tests.unit.conftest import Tiny, bars
from tests.unit.judge.conftest import PAPER_ORDER, RELEASED, RESNET, logits_of, params

Save = Callable[..., Path]
HEAD_OF_8 = {"fc__weight": torch.ones(8, 512), "fc__bias": torch.arange(8.0)}


@pytest.fixture
def clips(tiny: Tiny, tmp_path: Path) -> Clips:
    """One happy clip of the validation speaker, and others that must not matter."""
    rows = tiny.clips.table.query("split != 'val' or (emotion == 'happy' and sentence == '001')")
    return tiny.clips_of(rows, tmp_path / "clips")


def test_a_released_judge_is_used_as_it_is(clips: Clips, save: Save, tmp_path: Path) -> None:
    path = save(tmp_path / "Emotion-FAN_MEAD.pth", prefix="base_model.module.")
    section = params(**RESNET, **RELEASED, checkpoint=path.name)
    report = adopt_judge(clips, tmp_path / "judge", section, path)
    judge = Judge.load(tmp_path / "judge")
    card = judge.card
    assert sorted(file.name for file in (tmp_path / "judge").iterdir()) == [path.name, HISTORY, CARD]
    assert judge.classes == tuple(PAPER_ORDER)
    assert (card.source, card.trained_on, card.corpus) == ("released checkpoint", "MEAD, 44 speakers", None)
    assert card.sha256 == report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (card.acc_train, card.train_speakers, card.num_train_clips) == (None, [], 0)
    assert (report.num_train_clips, report.num_val_clips, report.acc_train) == (0, 1, None)
    clip = clips.video("sample-C-happy-2-001")
    assert report.acc_val == card.acc_val == float(judge.name_of(logits_of(judge, clip)) == "happy")
    assert JudgeFolder(tmp_path / "judge").history.empty


def test_the_declared_order_names_the_answers(save: Save, tmp_path: Path) -> None:
    # whatever it sees, the third output is the largest
    head = {"fc__weight": torch.zeros(7, 512), "fc__bias": torch.eye(7)[2]}
    path = save(tmp_path / "judge.pth", **head)
    for order in (PAPER_ORDER, PAPER_ORDER[::-1]):
        judge = open_judge(path, order)
        assert judge.name_of(judge.logits(bars("happy", 1))[0]) == order[2]


def test_a_released_judge_with_neutral_may_answer_neutral(clips: Clips, save: Save, tmp_path: Path) -> None:
    order = [*PAPER_ORDER, "neutral"]
    path = save(tmp_path / "judge.pth", **HEAD_OF_8)
    changes = RELEASED | {"label_order": order, "has_neutral": True}
    adopt_judge(clips, tmp_path / "judge", params(**RESNET, **changes, checkpoint=path.name), path)
    judge = Judge.load(tmp_path / "judge")
    assert judge.card.has_neutral
    assert judge.name_of(logits_of(judge, clips.video("sample-D-happy-2-001"))) == "neutral"


def test_an_order_of_another_length_is_refused(clips: Clips, save: Save, tmp_path: Path) -> None:
    path = save(tmp_path / "judge.pth", **HEAD_OF_8)
    section = params(**RESNET, **RELEASED, checkpoint=path.name)
    with pytest.raises(UserError, match="label_order names 7 emotions, but fc of .+judge.pth has 8 rows"):
        adopt_judge(clips, tmp_path / "judge", section, path)
    assert not (tmp_path / "judge").exists()


def test_a_folder_is_opened_with_its_own_order(tiny: Tiny) -> None:
    assert open_judge(tiny.judge.folder, None).classes == TARGET_EMOTIONS
    assert open_judge(tiny.judge.folder, TARGET_EMOTIONS).card.network == "small"


def test_another_order_for_a_folder_is_refused(tiny: Tiny) -> None:
    with pytest.raises(UserError, match="this judge's label order is angry, .+, not happy, "):
        open_judge(tiny.judge.folder, PAPER_ORDER)


def test_a_checkpoint_is_opened_as_the_paper_feeds_it(save: Save, tmp_path: Path) -> None:
    path = save(tmp_path / "judge.pth")
    judge = open_judge(path, PAPER_ORDER)
    card = judge.card
    assert (card.image_px, card.num_frames, card.network) == (224, 16, "resnet18")
    assert (card.sha256, card.trained_on) == (hashlib.sha256(path.read_bytes()).hexdigest(), "not stated")
    assert np.isfinite(judge.logits(bars("happy", 1))).all()


def test_a_checkpoint_without_an_order_is_refused(save: Save, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say which emotion each of its outputs stands for; give the label"):
        open_judge(save(tmp_path / "judge.pth"), None)


@pytest.mark.parametrize("order", [["happy", "anger"], ["happy", "happy"]])
def test_a_wrong_order_is_refused(save: Save, tmp_path: Path, order: list[str]) -> None:
    with pytest.raises(UserError, match="label_order has"):
        open_judge(save(tmp_path / "judge.pth"), order)


def test_nothing_is_no_judge(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such judge; expected a folder that 'cmet judge' wrote, or a checkpoint"):
        open_judge(tmp_path / "none", None)
