"""Random changes of training pictures."""

import torch

from cmet.judge.augmentation import augment


def test_same_generator_state_gives_the_same_pictures() -> None:
    pictures = torch.rand(4, 3, 32, 32)
    first, second = (augment(pictures, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def test_pictures_are_changed_and_keep_their_shape() -> None:
    pictures = torch.rand(4, 3, 32, 32)
    changed = augment(pictures, torch.Generator().manual_seed(3))
    assert changed.shape == pictures.shape
    assert torch.isfinite(changed).all()
    assert (changed - pictures).abs().mean() > 0.05


def test_each_picture_is_changed_in_its_own_way() -> None:
    pictures = torch.rand(1, 3, 32, 32).repeat(2, 1, 1, 1)
    first, second = augment(pictures, torch.Generator().manual_seed(3))
    assert not torch.allclose(first, second)
