"""The network of the paper's judge."""

import pytest
import torch

from cmet.judge.emotion_fan import PlainJudge


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
