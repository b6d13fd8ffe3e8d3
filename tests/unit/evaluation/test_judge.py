"""The judge of emotion."""

from pathlib import Path

import numpy as np
import pytest

from cmet.errors import ClipError, UserError
from cmet.evaluation.card import CARD, read_card
from cmet.evaluation.judge import WEIGHTS, Judge, read_frames, train_judge
from cmet.evaluation.protocol import video_path
from cmet.params import TARGET_EMOTIONS
from tests.unit.evaluation.conftest import JUDGE, Tiny, bars


def test_it_learns_what_the_training_clips_show(tiny: Tiny) -> None:
    card = read_card(tiny.judge)
    assert card.acc_train > 0.7
    assert card.acc_val == card.acc_train  # all speakers show the same bars


def test_it_is_trained_on_emotional_clips_of_training_speakers_only(tiny: Tiny) -> None:
    card = read_card(tiny.judge)
    assert card.train_speakers == ["A", "B"]
    assert card.num_train_clips == 2 * len(TARGET_EMOTIONS) * 2
    assert card.classes == list(TARGET_EMOTIONS)


def test_same_clips_and_seed_give_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    train_judge(tiny.clip_table(), tiny.clips, tmp_path / "again", JUDGE, seed=1)
    for name in (WEIGHTS, CARD, "history.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (tiny.judge / name).read_bytes()


def test_a_clip_is_the_mean_of_the_logits_of_its_frames(tiny: Tiny) -> None:
    judge = Judge.load(tiny.judge)
    path = video_path(tiny.clips, "sample-D-happy-2-001")
    (frames,) = read_frames([path], JUDGE.num_frames, JUDGE.image_px)
    assert isinstance(frames, np.ndarray)
    np.testing.assert_allclose(judge.classify_clip(path), judge.logits(frames).mean(axis=0), rtol=1e-4, atol=1e-5)


def test_frames_of_any_size_are_judged(tiny: Tiny) -> None:
    assert Judge.load(tiny.judge).logits(bars("happy", 3)).shape == (3, len(TARGET_EMOTIONS))


@pytest.mark.parametrize(
    ("num_frames", "taken"), [(4, [0, 1, 3, 4]), (6, [0, 1, 2, 3, 4, 5]), (12, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])]
)
def test_frames_are_evenly_spaced_from_the_first(tmp_path: Path, num_frames: int, taken: list[int]) -> None:
    from cmet.media import write_video

    frames = np.stack([np.full((64, 64, 3), 40 * number, np.uint8) for number in range(6)])
    write_video(tmp_path / "grey.mp4", frames, 25)
    (read,) = read_frames([tmp_path / "grey.mp4"], num_frames, 64)
    assert isinstance(read, np.ndarray)
    assert [round(float(frame.mean()) / 40) for frame in read] == taken


def test_an_unreadable_clip_is_an_answer_with_a_reason(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    good = video_path(tiny.clips, "sample-D-happy-2-001")
    first, second, third = Judge.load(tiny.judge).classify_clips([good, tmp_path / "text.mp4", good])
    assert isinstance(second, ClipError)
    assert second.code == "unreadable_video"
    np.testing.assert_array_equal(first, third)


def test_weights_that_are_not_the_described_ones_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    for name in (WEIGHTS, CARD):
        (tmp_path / name).write_bytes((tiny.judge / name).read_bytes())
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes() + b" ")
    with pytest.raises(UserError, match="not the weights"):
        Judge.load(tmp_path)


def test_a_missing_judge_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run 'cmet judge'"):
        Judge.load(tmp_path)


def test_without_training_clips_there_is_no_judge(tiny: Tiny, tmp_path: Path) -> None:
    clips = tiny.clip_table().assign(split="test")
    with pytest.raises(UserError, match="no emotional clip of a training speaker"):
        train_judge(clips, tiny.clips, tmp_path / "judge", JUDGE, seed=1)
    assert not (tmp_path / "judge").exists()
