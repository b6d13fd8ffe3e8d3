import platform

import pytest
import torch

from cmet.connector.processes import own_device
from cmet.errors import UserError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What torch says on a machine with two GPUs, in the second of several processes."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    return monkeypatch


def test_each_process_of_a_machine_has_a_gpu_of_its_own(two_gpus: pytest.MonkeyPatch) -> None:
    assert own_device() == torch.device("cuda", 1)
    two_gpus.setenv("LOCAL_RANK", "0")
    assert own_device() == torch.device("cuda", 0)


def test_a_process_without_a_gpu_among_those_that_have_one_is_an_error(two_gpus: pytest.MonkeyPatch) -> None:
    two_gpus.setenv("LOCAL_RANK", "2")
    said = f"PET_NPROC_PER_NODE: 3 processes, but {platform.node()} has 2 GPU"
    with pytest.raises(UserError, match=said):
        own_device()
