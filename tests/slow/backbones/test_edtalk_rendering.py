import json
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from fill import images
from torch import Tensor

from cmet.backbones.backbone import Backbone
from cmet.backbones.edtalk.generator import EXPRESSION, EDTalkGenerator
from cmet.backbones.edtalk.model import EDTalk, edtalk_frames, edtalk_picture
from cmet.backbones.edtalk.rendering import Renderer, SourceFeatures
from tests.filled_weights import narrow_edtalk

KEYS = Path(__file__).parents[2] / "golden" / "keys_edtalk_generator.json"
# relative to the largest magnitude; kernels for another batch size round otherwise
ROUNDING = 2e-5


@pytest.fixture(scope="module")
def generator() -> EDTalkGenerator:
    return narrow_edtalk()


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return images("edtalk/unit", 3, 256)


@pytest.fixture(scope="module")
def source(generator: EDTalkGenerator, pictures: Tensor) -> SourceFeatures:
    """The first picture."""
    return Renderer(generator).source(pictures[0])


@pytest.fixture(scope="module")
def coefficients(generator: EDTalkGenerator, pictures: Tensor) -> Tensor:
    """Of all pictures, in batches of two and one."""
    return Renderer(generator, batch_size=2).coefficients(pictures)


@pytest.fixture(scope="module")
def rendered(generator: EDTalkGenerator, source: SourceFeatures, coefficients: Tensor) -> Tensor:
    """Pictures drawn from them, in batches of two and one."""
    batches = list(Renderer(generator, batch_size=2).render(source, coefficients))
    assert [len(batch) for batch in batches] == [2, 1]
    return torch.cat(batches)


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=ROUNDING * float(expected.abs().max()), rtol=0)


def test_results_are_the_same_for_any_batch_size(
    generator: EDTalkGenerator, pictures: Tensor, source: SourceFeatures, coefficients: Tensor, rendered: Tensor
) -> None:
    # the fixtures' first two were a batch
    renderer = Renderer(generator, batch_size=1)
    same(renderer.coefficients(pictures[:1]), coefficients[:1])
    batches = list(renderer.render(source, coefficients[:1]))
    assert [len(batch) for batch in batches] == [1]
    same(torch.cat(batches), rendered[:1])


def test_lower_precision_stays_near_and_its_results_are_float32(
    generator: EDTalkGenerator, pictures: Tensor, source: SourceFeatures, coefficients: Tensor, rendered: Tensor
) -> None:
    lower = Renderer(generator, autocast=torch.bfloat16)
    found, expected = lower.coefficients(pictures[:1]), coefficients[:1]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.02 * float(expected.abs().max()), rtol=0)
    seen = []

    def watch(_: object, inputs: tuple[Tensor, ...], flow: Tensor) -> None:
        seen.append(flow.dtype)

    handles = [layer.register_forward_hook(watch) for layer in generator.dec.to_flows]
    (picture,) = lower.render(source, expected)
    for handle in handles:
        handle.remove()
    assert set(seen) == {torch.float32}
    assert picture.dtype == torch.float32
    torch.testing.assert_close(picture, rendered[:1], atol=0.06 * float(rendered[0].abs().max()), rtol=0)


def test_compiled_networks_give_the_same_and_are_compiled_once(
    generator: EDTalkGenerator,
    pictures: Tensor,
    source: SourceFeatures,
    coefficients: Tensor,
    rendered: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # captured like any other, but run as it is: generating C++ takes two minutes
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    compiled = Renderer(generator, batch_size=2, compiles=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        # the second batch is shorter
        same(compiled.coefficients(pictures), coefficients)
        same(torch.cat(list(compiled.render(source, coefficients))), rendered)


def test_tensors_the_published_code_does_not_use_do_not_matter(generator: EDTalkGenerator, pictures: Tensor) -> None:
    state = json.loads(KEYS.read_text())["state"]
    unused = [key for key, entry in state.items() if entry.get("unused_in_forward")]
    spoilt = deepcopy(generator)
    for key, parameter in spoilt.named_parameters():
        if key in unused:
            torch.nn.init.constant_(parameter, float("nan"))
    renderer = Renderer(spoilt)
    (picture,) = renderer.render(renderer.source(pictures[0]), torch.zeros(1, 36))
    assert len(unused) > 60
    assert picture.isfinite().all()


def test_rendering_encodes_no_picture(generator: EDTalkGenerator, source: SourceFeatures) -> None:
    calls = []
    handle = generator.enc.net_app.convs[0].register_forward_hook(lambda *_: calls.append(1))
    list(Renderer(generator).render(source, torch.zeros(1, 36)))
    handle.remove()
    assert not calls


def test_nothing_gives_nothing(generator: EDTalkGenerator, source: SourceFeatures) -> None:
    renderer = Renderer(generator)
    assert renderer.coefficients([]).shape == (0, 36)
    assert list(renderer.render(source, torch.zeros(0, 36))) == []


def test_what_does_not_fit_is_refused(generator: EDTalkGenerator, source: SourceFeatures) -> None:
    renderer = Renderer(generator)
    with pytest.raises(ValueError, match=r"pictures: expected \(3, 256, 256\), got \(3, 128, 128\)"):
        renderer.source(torch.zeros(3, 128, 128))
    with pytest.raises(ValueError, match=r"coefficients: expected \(frames, 36\), got \(2, 10\)"):
        list(renderer.render(source, torch.zeros(2, 10)))
    with pytest.raises(ValueError, match="batch size must be at least 1, got 0"):
        Renderer(generator, batch_size=0)


def test_the_backbone_changes_only_the_expression(generator: EDTalkGenerator, pictures: Tensor, tmp_path: Path) -> None:
    backbone: Backbone = EDTalk(Renderer(generator), tmp_path)
    frames = list(edtalk_frames(pictures[:1]))
    track = backbone.track(iter(frames))
    codes = backbone.encode(track)
    assert (track.shape, track.dtype, codes.shape) == ((1, 36), np.dtype(np.float32), (1, backbone.width))
    own, changed = (list(backbone.render(frames, track, some)) for some in (codes, codes + 3))
    assert [(frame.shape, frame.dtype) for frame in own] == [((256, 256, 3), np.dtype(np.uint8))]
    assert (own[0] != changed[0]).any()
    assert (codes == track[:, EXPRESSION]).all()
    assert list(backbone.render([], track, codes)) == []


def test_frames_of_another_size_are_resized(pictures: Tensor) -> None:
    assert edtalk_picture(np.zeros((100, 80, 3), np.uint8)).shape == (3, 256, 256)
    frames = edtalk_frames(pictures)
    assert (edtalk_frames(torch.stack([edtalk_picture(frame) for frame in frames])) == frames).all()
