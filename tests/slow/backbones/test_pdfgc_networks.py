"""Loading the four files, and running the networks in batches, on weights filled by the golden rule."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fill import images, waveform
from torch import Tensor

from cmet.backbones.pdfgc.audio import AudioNetwork
from cmet.backbones.pdfgc.layers import Noise
from cmet.backbones.pdfgc.loading import Networks, load_networks
from cmet.backbones.pdfgc.motion import MotionNetwork
from cmet.backbones.pdfgc.rendering import TalkingFace
from cmet.backbones.published.loading import load_network
from cmet.errors import ClipError, UserError
from tests.filled_weights import write_filled_weights
from tests.pdfgc_procedure import Drivers, control_values

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def files(filled: Path) -> dict[str, Tensors]:
    """What the four files hold."""
    paths = write_filled_weights(filled, "pdfgc")
    return {path.name.removesuffix("_model.pth"): torch.load(path, weights_only=True) for path in paths}


@pytest.fixture(scope="module")
def networks(files: dict[str, Tensors], filled: Path) -> Networks:
    return load_networks(filled)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    pictures = (images("pdfgc/test", 3, 224) + 1) * 127.5
    return list(pictures.byte().permute(0, 2, 3, 1).numpy())


def as_published(files: dict[str, Tensors]) -> dict[str, Tensors]:
    """The same with the keys in them that the published loader passes over."""
    states = {name: dict(tensors) for name, tensors in files.items()}
    # another number of identities than ours: the classifier is not read
    states["appearance"] |= {"fc.weight": torch.ones(10, 2048), "fc.bias": torch.ones(10)}
    states["motion"]["classifier.weight"] = torch.ones(3, 3)
    states["audio"]["exp_embed.1.weight"] = torch.ones(3, 3)
    states["generator"]["latent_avg"] = torch.ones(3)
    return states


# Loading


def test_the_published_files_load_and_give_the_same_weights(
    files: dict[str, Tensors], networks: Networks, tmp_path: Path
) -> None:
    (tmp_path / "pdfgc").mkdir()
    for name, state in as_published(files).items():
        # as a network that was trained on several GPUs names them; those of `networks` have plain names
        torch.save({"module." + key: tensor for key, tensor in state.items()}, tmp_path / f"pdfgc/{name}_model.pth")
    loaded = load_networks(tmp_path)
    for name, read in loaded._asdict().items():
        assert not read.training
        weights = read.state_dict()
        for key, tensor in files[name].items():
            if not key.startswith(("fc.", "style.")):
                assert weights[key].dtype == tensor.dtype
                assert torch.equal(weights[key], tensor), key
    fields = [[m.field for m in n.generator.modules() if isinstance(m, Noise)] for n in (networks, loaded)]
    assert len(fields[0]) == 11
    assert all(torch.equal(one, other) for one, other in zip(*fields, strict=True))


def test_a_file_without_the_keys_that_nothing_depends_on_loads(networks: Networks, tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in networks.motion.state_dict().items() if not key.startswith("mouth_embed.")}
    (tmp_path / "pdfgc").mkdir()
    torch.save(state, tmp_path / "pdfgc/motion_model.pth")
    assert load_network(MotionNetwork, "pdfgc-motion", tmp_path).mouth_embed[1].weight.isfinite().all()


def test_half_precision_files_become_single_precision(networks: Networks, tmp_path: Path) -> None:
    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in networks.audio.state_dict().items()
    }
    (tmp_path / "pdfgc").mkdir()
    torch.save(state, tmp_path / "pdfgc/audio_model.pth")
    loaded = load_network(AudioNetwork, "pdfgc-audio", tmp_path)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_another_network_is_named_for_what_it_is(networks: Networks, tmp_path: Path) -> None:
    (tmp_path / "pdfgc").mkdir()
    torch.save(networks.audio.state_dict(), tmp_path / "pdfgc/motion_model.pth")
    with pytest.raises(UserError) as error:
        load_network(MotionNetwork, "pdfgc-motion", tmp_path)
    assert "this is PD-FGC's audio network (audio_model.pth), not PD-FGC's motion network (motion_model.pth)" in (
        str(error.value)
    )


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"appearance_model.pth .* is missing in .*run `cmet weights get pdfgc-appearance"
    ):
        load_networks(tmp_path)


# Running


def test_the_batch_size_changes_no_result(networks: Networks, frames: list[np.ndarray]) -> None:
    sound = waveform("pdfgc/test", 0.24)
    results = []
    for batch_size, rendered in ((1, [1]), (2, [2, 1])):
        face = TalkingFace(networks, batch_size)
        motion = face.motion(iter(frames))
        mouth_NM = face.mouth(sound)
        control_NC = control_values(mouth_NM, Drivers(motion.pose_B6, motion.expression_BE, motion.eye_B6))
        batches = list(face.render(face.appearance(frames[0]), control_NC[: sum(rendered)]))
        assert [len(batch) for batch in batches] == rendered
        results.append([*motion, mouth_NM, torch.cat(batches)])
    for one, other in zip(*results, strict=True):
        # rounding: torch has other kernels for other sizes
        torch.testing.assert_close(one, other[: len(one)], rtol=0, atol=1e-4 * float(other.abs().max()))


def test_frames_are_read_and_rendered_as_they_are_asked_for(networks: Networks, frames: list[np.ndarray]) -> None:
    face = TalkingFace(networks, batch_size=1)
    control_NC = torch.zeros(1_000_000, 1).expand(-1, 542)
    pictures = face.render(face.appearance(frames[0]), control_NC)
    assert next(pictures).shape == (1, 3, 224, 224)


def test_a_driving_video_without_frames_is_refused(networks: Networks) -> None:
    with pytest.raises(ClipError, match="the driving video has no frames"):
        TalkingFace(networks).motion([])
