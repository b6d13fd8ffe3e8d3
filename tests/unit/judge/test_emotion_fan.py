"""The judge networks; numbers are in tests/golden."""

import pytest
import torch

from cmet.judge.emotion_fan import EmotionFan, Form, PlainJudge


@torch.no_grad()
def test_a_video_is_judged_by_the_mean_of_its_frames() -> None:
    judge = PlainJudge().eval()
    frames = torch.rand(2, 3, 3, 64, 64)
    logits_VL = judge.videos(frames)
    assert logits_VL.shape == (2, 7)
    torch.testing.assert_close(logits_VL[1], torch.cat([judge(frame[None]) for frame in frames[1]]).mean(0))


@torch.no_grad()
def test_the_plain_judge_is_the_resnet18_of_torchvision_on_imagenet_colours() -> None:
    models = pytest.importorskip("torchvision.models")
    transforms = pytest.importorskip("torchvision.transforms")
    published = models.resnet18(num_classes=7).eval()
    judge = PlainJudge(7).eval()
    judge.load_state_dict(published.state_dict())
    frames = torch.rand(2, 3, 64, 64)
    normalised = transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])(frames)
    torch.testing.assert_close(judge(frames), published(normalised))


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
