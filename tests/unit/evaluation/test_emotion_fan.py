"""The judge networks; numbers are in tests/golden."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fill import EMOTION_FAN, fill
from torch import Tensor

from cmet.errors import UserError
from cmet.evaluation.emotion_fan import EmotionFan, Form, PlainJudge, ResNet18, start_from

FILE = "Resnet18_FER+_pytorch.pth.tar"


def published_trunk() -> dict[str, Tensor]:
    trunk = ResNet18()
    fill(trunk, EMOTION_FAN)
    return trunk.state_dict()


@pytest.mark.parametrize("make", [PlainJudge, lambda: EmotionFan("self")], ids=["plain", "attention"])
def test_the_published_start_fills_the_trunk_and_leaves_the_heads(make: Callable[[], ResNet18], tmp_path: Path) -> None:
    network = make()
    trunk = published_trunk()
    # its own classifier has eight classes and is passed over
    state = trunk | {"fc.weight": torch.ones(8, 512), "fc.bias": torch.ones(8)}
    torch.save({"epoch": 1, "state_dict": {f"module.{key}": state[key] for key in state}}, tmp_path / FILE)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    start_from(network, "emotion-fan-ferplus", tmp_path)
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, trunk.get(key, before[key])), key


def test_another_file_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(3)}}, tmp_path / FILE)
    with pytest.raises(UserError, match="no known checkpoint"):
        start_from(PlainJudge(), "emotion-fan-ferplus", tmp_path)


@torch.no_grad()
def test_a_video_is_judged_by_the_mean_of_its_frames() -> None:
    judge = PlainJudge().eval()
    frames = torch.rand(2, 3, 3, 64, 64)
    logits_VL = judge.videos(frames)
    assert logits_VL.shape == (2, 7)
    torch.testing.assert_close(logits_VL[1], torch.cat([judge(frame[None]) for frame in frames[1]]).mean(0))


@pytest.mark.parametrize("form", ["self", "relation"])
def test_a_frame_without_attention_does_not_count(form: Form) -> None:
    network = EmotionFan(form).eval()
    features = torch.randn(1, 3, 512)
    weights = torch.tensor([[[0.3], [0.9], [0.0]]])
    torch.testing.assert_close(network.scores(features, weights), network.scores(features[:, :2], weights[:, :2]))


def test_the_published_evaluation_differs_only_in_the_relation_form() -> None:
    features, weights = torch.randn(1, 3, 512), torch.rand(1, 3, 1)
    for form, is_equal in (("self", True), ("relation", False)):
        network = EmotionFan(form).eval()  # type: ignore[arg-type]
        published = network.scores(features, weights, as_published=True)
        assert torch.allclose(network.scores(features, weights), published) is is_equal
