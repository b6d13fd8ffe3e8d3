"""The example of docs/backbones.md is a backbone."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cmet.backbones.backbone import Backbone
from cmet.backbones.registry import BackboneClass
from cmet.params import InferenceParams, Params

PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"
INFERENCE = InferenceParams(batch_size=None, precision="float32", compile=False)
FRAMES = np.random.default_rng(0).integers(0, 256, (7, 16, 24, 3), np.uint8)


def no_picture(clip_id: str) -> Path:
    raise AssertionError(f"{clip_id}: the example fits on tracks alone")


@pytest.fixture(scope="module")
def tint() -> Any:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "tint"}
    exec(compile(code, str(PAGE), "exec"), names)
    return SimpleNamespace(**names).Tint


def test_the_example_tracks_encodes_and_renders(tint: Any, tmp_path: Path, params: Params) -> None:
    track = tint.tracker(tmp_path, INFERENCE)(iter(FRAMES))
    clips = pd.DataFrame({"split": ["train"], "emotion": ["happy"]}, index=["clip"])
    fitted: Backbone = tint.fit(
        clips, no_picture, {"clip": track}.__getitem__, None, params.expression, tmp_path, INFERENCE
    )
    fitted.save(tmp_path)
    backbone: Backbone = tint.load(tmp_path, tmp_path, INFERENCE)
    codes = backbone.encode(track)
    assert (track.shape, track.dtype) == ((7, 6), np.dtype(np.float32))
    assert (codes.shape, codes.dtype) == ((7, backbone.width), np.dtype(np.float32))
    own, red = (list(backbone.render(iter(FRAMES), track, some)) for some in (codes, codes + np.float32([1, 0, 0] * 2)))
    assert (np.stack(own) == FRAMES).all()
    assert [(frame.shape, frame.dtype) for frame in red] == [((16, 24, 3), np.dtype(np.uint8))] * 7
    assert np.stack(red)[..., 0].mean() > FRAMES[..., 0].mean()
    assert (np.stack(red)[..., 1:] == FRAMES[..., 1:]).all()


def test_the_example_is_made_as_the_registry_makes_a_backbone(tint: Any) -> None:
    for name in ("tracker", "fit", "load"):
        ours, asked = (inspect.signature(getattr(kind, name)).parameters for kind in (tint, BackboneClass))
        assert list(ours) == [key for key in asked if key != "self"]


def test_the_example_has_what_the_registry_asks_of_a_class(tint: Any) -> None:
    needed = {*Backbone.__annotations__, *BackboneClass.__annotations__}
    assert [name for name in sorted(needed) if not hasattr(tint, name)] == []
