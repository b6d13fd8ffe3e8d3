from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fill import AUDIO2LIP, EDTALK, Profile, fill
from torch import nn

from cmet.backbones.edtalk.audio2lip import Audio2Lip
from cmet.backbones.edtalk.generator import EDTalkGenerator
from cmet.backbones.edtalk.loading import load_audio2lip, load_generator
from cmet.errors import UserError


@pytest.mark.parametrize(
    ("load", "make", "profile", "file", "place"),
    [
        (load_generator, EDTalkGenerator, EDTALK, "EDTalk.pt", "gen"),
        (load_audio2lip, Audio2Lip, AUDIO2LIP, "Audio2Lip.pt", "audio2lip"),
    ],
)
def test_a_published_container_loads(
    load: Callable[[Path], nn.Module],
    make: Callable[[], nn.Module],
    profile: Profile,
    file: str,
    place: str,
    tmp_path: Path,
) -> None:
    network = make()
    fill(network, profile)
    (tmp_path / "edtalk").mkdir()
    torch.save({place: network.state_dict(), "g_optim": {"step": 1}}, tmp_path / "edtalk" / file)
    loaded = load(tmp_path)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    expected = network.state_dict()
    assert all(tensor.equal(expected[key]) for key, tensor in loaded.state_dict().items())


def test_a_file_of_the_other_network_is_named_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "edtalk").mkdir()
    torch.save({"audio2lip": Audio2Lip().state_dict()}, tmp_path / "edtalk/EDTalk.pt")
    with pytest.raises(UserError, match=r"this is Audio2Lip.*, not EDTalk's renderer.*: 298 of 298 keys missing"):
        load_generator(tmp_path)


@pytest.mark.parametrize(("load", "file"), [(load_generator, "EDTalk.pt"), (load_audio2lip, "Audio2Lip.pt")])
def test_a_missing_file_is_named_with_the_command_that_gets_it(
    load: Callable[[Path], nn.Module], file: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"{file} .*is missing in .*run `cmet weights get "):
        load(tmp_path)
