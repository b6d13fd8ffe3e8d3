"""Training a judge."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cmet.clips.product import Clips
from cmet.errors import ClipError, UserError
from cmet.judge.card import CARD, HISTORY, WEIGHTS, read_card
from cmet.judge.classifier import Judge
from cmet.judge.training import train_judge
from cmet.vocabulary import TARGET_EMOTIONS
from tests.unit.conftest import JUDGE, Tiny
from tests.unit.judge.conftest import RESNET, logits_of, params


def two_emotions(tiny: Tiny, folder: Path) -> Clips:
    """The clips of one sentence and two emotions."""
    rows = tiny.clips.table.query("sentence == '001' and emotion in ('happy', 'sad')")
    return tiny.clips_of(rows, folder / "clips")


def test_it_learns_what_the_training_clips_show(tiny: Tiny) -> None:
    card = tiny.judge.card
    assert card.acc_train is not None and card.acc_train > 0.7
    assert card.acc_val == card.acc_train  # all speakers show the same bars


def test_it_is_trained_on_emotional_clips_of_training_speakers_only(tiny: Tiny) -> None:
    card = tiny.judge.card
    assert card.train_speakers == ["A", "B"]
    assert card.num_train_clips == 2 * len(TARGET_EMOTIONS) * 2
    assert card.classes == list(TARGET_EMOTIONS)


def test_the_card_says_all_that_a_score_must_say(tiny: Tiny) -> None:
    card = tiny.judge.card
    assert (card.source, card.network, card.has_neutral) == ("trained here", "small", False)
    assert (card.image_px, card.num_frames) == (JUDGE.image_px, JUDGE.num_frames)
    assert card.alignment == "prepared crop; the paper aligns with dlib"
    assert card.num_clips_per_class == dict.fromkeys(TARGET_EMOTIONS, 4)
    assert card.sha256 == hashlib.sha256((tiny.judge.folder / WEIGHTS).read_bytes()).hexdigest()
    assert (card.begin_from, card.begin_from_sha256, card.trained_on) == (None, None, None)


def test_same_clips_and_seed_give_the_same_bytes(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # nor does it import torch's compiler
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    train_judge(tiny.clips, tmp_path / "again", JUDGE, seed=1)
    for name in (WEIGHTS, CARD, HISTORY):
        assert (tmp_path / "again" / name).read_bytes() == (tiny.judge.folder / name).read_bytes()


@pytest.mark.parametrize("num_threads", [1, 3])
def test_the_number_of_torchs_threads_changes_no_byte(tiny: Tiny, tmp_path: Path, num_threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        train_judge(tiny.clips, tmp_path / "judge", JUDGE, seed=1)
        assert torch.get_num_threads() == num_threads
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "judge" / WEIGHTS).read_bytes() == (tiny.judge.folder / WEIGHTS).read_bytes()


def test_training_leaves_torchs_random_state_alone(tiny: Tiny, tmp_path: Path) -> None:
    clips = tiny.clips_of(tiny.clips.table.query("sentence == '001'"), tmp_path / "clips")
    before = torch.get_rng_state()
    train_judge(clips, tmp_path / "judge", params(num_epochs=1), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_judge_with_neutral_may_answer_neutral(tiny: Tiny, tmp_path: Path) -> None:
    report = train_judge(tiny.clips, tmp_path / "judge", params(has_neutral=True), seed=1)
    judge = Judge.load(tmp_path / "judge")
    assert judge.classes == (*TARGET_EMOTIONS, "neutral")
    assert judge.card.has_neutral
    assert report.num_train_clips == 2 * 8 * 2
    assert judge.card.num_clips_per_class["neutral"] == 4
    assert judge.name_of(logits_of(judge, tiny.clips.video("sample-D-neutral-2-001"))) == "neutral"


def test_a_class_without_training_clips_is_counted(tiny: Tiny, tmp_path: Path) -> None:
    clips = tiny.clips_of(tiny.clips.table.query("emotion in ('happy', 'sad')"), tmp_path / "clips")
    train_judge(clips, tmp_path / "judge", params(num_epochs=1), seed=1)
    card = read_card(tmp_path / "judge")
    assert card.classes == list(TARGET_EMOTIONS)
    assert card.num_clips_per_class == dict.fromkeys(TARGET_EMOTIONS, 0) | {"happy": 4, "sad": 4}


def test_without_training_clips_there_is_no_judge(tiny: Tiny, tmp_path: Path) -> None:
    clips = tiny.clips_of(tiny.clips.table.assign(split="test"), tmp_path / "clips")
    with pytest.raises(UserError, match="no training speaker has a usable emotional clip"):
        train_judge(clips, tmp_path / "judge", JUDGE, seed=1)
    assert not (tmp_path / "judge").exists()


def test_one_emotion_is_not_enough(tiny: Tiny, tmp_path: Path) -> None:
    clips = tiny.clips_of(tiny.clips.table.query("emotion == 'happy'"), tmp_path / "clips")
    with pytest.raises(
        UserError, match="all 4 usable clips of the training speakers show one emotion, happy; .+ needs two or more"
    ):
        train_judge(clips, tmp_path / "judge", JUDGE, seed=1)
    assert not (tmp_path / "judge").exists()


@pytest.mark.parametrize("network", ["small", "resnet18"])
def test_a_training_clip_that_is_gone_stops_the_training(tiny: Tiny, tmp_path: Path, network: str) -> None:
    clips = tiny.clips_of(tiny.clips.table.query("sentence == '001'"), tmp_path / "clips")
    (clips.folder / "video").unlink()
    with pytest.raises(ClipError, match="missing_video"):
        train_judge(clips, tmp_path / "judge", params(**RESNET | {"network": network}), seed=1)


def test_a_resnet18_is_trained_from_a_published_trunk(
    tiny: Tiny, save: Callable[..., Path], trunk_and_head: Mapping[str, Tensor], tmp_path: Path
) -> None:
    clips = tiny.clips_of(
        tiny.clips.table.query("sentence == '001' and emotion in ('happy', 'sad')"), tmp_path / "clips"
    )
    start = save(tmp_path / "start.pth.tar", prefix="module.")
    # so slow that the weights stay where they began
    section = params(**RESNET, begin_from="start.pth.tar", batch_size=2, learning_rate=1e-9)
    report = train_judge(clips, tmp_path / "judge", section, 1, start)
    judge = Judge.load(tmp_path / "judge")
    assert report.num_train_clips == 4
    assert (judge.card.network, judge.card.begin_from) == ("resnet18", "start.pth.tar")
    assert judge.card.begin_from_sha256 == hashlib.sha256(start.read_bytes()).hexdigest()
    weights = load_file(tmp_path / "judge" / WEIGHTS)
    torch.testing.assert_close(weights["layer4.1.conv2.weight"], trunk_and_head["layer4.1.conv2.weight"])
    assert not torch.allclose(weights["fc.weight"], trunk_and_head["fc.weight"])
    assert logits_of(judge, tiny.clips.video("sample-D-happy-2-001")).shape == (7,)


def test_a_resnet18_learns_whole_clips_and_the_same_from_the_same_seed(tiny: Tiny, tmp_path: Path) -> None:
    clips = tiny.clips_of(
        tiny.clips.table.query("sentence == '001' and emotion in ('happy', 'sad')"), tmp_path / "clips"
    )
    section = params(**RESNET | {"num_epochs": 3}, batch_size=4)
    for name in ("first", "second"):
        train_judge(clips, tmp_path / name, section, seed=3)
    assert (tmp_path / "first" / WEIGHTS).read_bytes() == (tmp_path / "second" / WEIGHTS).read_bytes()
    losses = pd.read_parquet(tmp_path / "first" / HISTORY).query("metric == 'loss'")["value"].to_numpy()
    assert losses[-1] < 0.8 * losses[0]
