"""Naming the emotion of clips."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cmet.errors import ClipError, UserError
from cmet.judge.card import CARD, WEIGHTS
from cmet.judge.checkpoints import sha256_of
from cmet.judge.classifier import Judge
from cmet.judge.frames import read_frames
from cmet.vocabulary import TARGET_EMOTIONS
from tests.unit.conftest import JUDGE, Tiny, bars
from tests.unit.judge.conftest import logits_of


def test_a_clip_is_the_mean_of_the_logits_of_its_frames(tiny: Tiny) -> None:
    judge = Judge.load(tiny.judge.folder)
    path = tiny.clips.video("sample-D-happy-2-001")
    (frames,) = read_frames([path], JUDGE.num_frames, JUDGE.image_px)
    assert isinstance(frames, np.ndarray)
    np.testing.assert_allclose(logits_of(judge, path), judge.logits(frames).mean(axis=0), rtol=1e-4, atol=1e-5)


def test_the_largest_logit_names_the_emotion(tiny: Tiny) -> None:
    judge = Judge.load(tiny.judge.folder)
    assert judge.classes == TARGET_EMOTIONS
    assert [judge.name_of(row) for row in np.eye(7)] == list(TARGET_EMOTIONS)
    assert judge.name_of(logits_of(judge, tiny.clips.video("sample-D-happy-2-001"))) == "happy"


def test_frames_of_any_size_are_judged(tiny: Tiny) -> None:
    assert Judge.load(tiny.judge.folder).logits(bars("happy", 3)).shape == (3, len(TARGET_EMOTIONS))


def test_an_unreadable_clip_is_an_answer_with_a_reason(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    good = tiny.clips.video("sample-D-happy-2-001")
    judge = Judge.load(tiny.judge.folder)
    first, second, third, fourth = judge.classify_clips([good, tmp_path / "text.mp4", good, tmp_path / "none.mp4"])
    assert isinstance(second, ClipError) and isinstance(fourth, ClipError)
    assert (second.code, fourth.code) == ("unreadable_video", "missing_video")
    np.testing.assert_array_equal(first, third)
    assert "none.mp4" in str(fourth)


def test_no_clip_has_no_answer(tiny: Tiny) -> None:
    assert Judge.load(tiny.judge.folder).classify_clips([]) == []


def test_clips_that_cannot_be_read_count_as_wrong(tiny: Tiny, tmp_path: Path) -> None:
    paths = [tiny.clips.video("sample-D-happy-2-001"), tmp_path / "none.mp4"]
    assert Judge.load(tiny.judge.folder).accuracy(paths, ["happy", "happy"], "judge") == 0.5


def test_weights_that_are_not_the_described_ones_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    for name in (WEIGHTS, CARD):
        (tmp_path / name).write_bytes((tiny.judge.folder / name).read_bytes())
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes() + b" ")
    with pytest.raises(UserError, match="not the weights"):
        Judge.load(tmp_path)


def test_a_card_without_its_weights_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / CARD).write_bytes((tiny.judge.folder / CARD).read_bytes())
    with pytest.raises(UserError, match="not the weights"):
        Judge.load(tmp_path)


def broken_judge(tiny: Tiny, folder: Path, changes: dict[str, Tensor]) -> Path:
    """A judge with other weights, which its card describes."""
    save_file(load_file(tiny.judge.folder / WEIGHTS) | changes, folder / WEIGHTS)
    card = json.loads((tiny.judge.folder / CARD).read_text()) | {"sha256": sha256_of(folder / WEIGHTS)}
    (folder / CARD).write_text(json.dumps(card))
    return folder


def test_weights_that_are_no_numbers_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    weights = load_file(tiny.judge.folder / WEIGHTS)
    name, tensor = next((name, tensor) for name, tensor in weights.items() if tensor.ndim)
    with pytest.raises(UserError, match=f"judge.safetensors: NaN or infinity in 1 tensor.s., first {name}"):
        Judge.load(broken_judge(tiny, tmp_path, {name: tensor * torch.nan}))
    with pytest.raises(UserError, match="judge.safetensors: damaged .*run 'cmet judge' again"):
        Judge.load(broken_judge(tiny, tmp_path, {name: tensor[:1].clone()}))


def test_answers_that_are_no_numbers_are_not_taken_for_an_emotion(tiny: Tiny, tmp_path: Path) -> None:
    weights = {name: tensor for name, tensor in load_file(tiny.judge.folder / WEIGHTS).items() if tensor.ndim > 1}
    judge = Judge.load(broken_judge(tiny, tmp_path, {name: tensor * 1e30 for name, tensor in weights.items()}))
    with pytest.raises(UserError, match="the judge's answers are no numbers"):
        judge.logits(bars("happy", 3))
