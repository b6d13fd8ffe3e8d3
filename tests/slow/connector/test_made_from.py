"""A model says how its clips were made, and refuses what was made otherwise."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cmet.connector.bundle import load_bundle
from cmet.connector.card import CONFIG, read_config
from cmet.connector.processes import Processes
from cmet.connector.product import Model
from cmet.connector.training import Purpose, Untracked, train_connector
from cmet.environment import versions
from cmet.errors import UserError
from cmet.outputs import content_digest, write_json
from cmet.params import ClipForm, TrainParams
from cmet.shards import Shards

MakeParams = Callable[..., TrainParams]
CLIPS = ClipForm(size_px=128, fps=30, sample_rate_hz=8_000, crop_rule="fomm-clip-1")
BASIS = b"what the backbone was fitted to"


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    (tmp_path / "fitted").mkdir()
    (tmp_path / "fitted" / "basis.safetensors").write_bytes(BASIS)
    return tmp_path / "fitted"


@pytest.fixture
def run(shards: Path, fitted: Path, tmp_path: Path, make_params: MakeParams) -> Callable[..., Path]:
    """Train for a step and return the folder of the model."""

    def train_one(name: str, clips: ClipForm = CLIPS, beginning: Path | None = None, **changes: Any) -> Path:
        purpose = Purpose("facemesh", "opensmile", None, clips, fitted, beginning)
        params, out = make_params(**{"num_steps": 1} | changes), tmp_path / name
        alone = Processes(0, 1, torch.device("cpu"))
        train_connector(Shards(shards), out, params, 7, tmp_path / f"{name}.work", Untracked(), alone, purpose)
        return out

    return train_one


def change_config(model: Path, **changes: Any) -> None:
    values = json.loads((model / CONFIG).read_text(encoding="utf-8"))
    write_json(model / CONFIG, values | changes)


def test_a_model_records_what_its_clips_its_voice_and_its_backbone_were(run: Callable[..., Path]) -> None:
    config = Model(run("model")).config
    assert config.format == 3
    assert config.clips == CLIPS
    assert config.speech_encoder == "opensmile"
    assert config.speech_settings == {
        "feature_set": "eGeMAPSv02", "feature_level": "Functionals", "sample_rate_hz": 16_000,
    }  # fmt: skip
    assert config.backbone_sha256 == {"basis.safetensors": hashlib.sha256(BASIS).hexdigest()}
    assert config.versions == versions() and config.versions["torch"]


def test_the_published_files_of_a_backbone_are_recorded_themselves(run: Callable[..., Path], fitted: Path) -> None:
    (fitted / "basis.safetensors").unlink()
    write_json(fitted / "weights.json", {"EDTalk.pt": "1" * 64})
    assert read_config(run("model")).backbone_sha256 == {"EDTalk.pt": "1" * 64}


def test_the_same_training_gives_the_same_model_byte_by_byte(run: Callable[..., Path]) -> None:
    one, other = run("one"), run("other")
    assert {path.name for path in one.iterdir()} >= {CONFIG, "connector.safetensors", "backbone"}
    assert content_digest(one) == content_digest(other)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (2, r"a model of format 2, which does not record how its clips were made; train it again"),
        (4, r"a model of format 4, but this version reads 3; train it again"),
    ],
)
@pytest.mark.parametrize("opened", [load_bundle, lambda folder: Model(folder).config], ids=["to predict", "to read"])
def test_a_model_of_another_format_is_refused_by_name(
    run: Callable[..., Path], opened: Callable[[Path], object], found: int, said: str
) -> None:
    model = run("model")
    change_config(model, format=found)
    with pytest.raises(UserError, match=rf"model: {said}"):
        opened(model)


def test_a_description_that_lacks_something_is_refused_by_what_it_lacks(run: Callable[..., Path]) -> None:
    model = run("model")
    values = json.loads((model / CONFIG).read_text(encoding="utf-8"))
    del values["clips"]["fps"]
    write_json(model / CONFIG, values)
    with pytest.raises(
        UserError, match=r"config.json: damaged, or written by another version \(clips.fps: Field required\); train"
    ):
        load_bundle(model)
    (model / CONFIG).write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"config.json: not the description of a trained model"):
        load_bundle(model)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fps": 25}, "clips.fps 30, not 25; run `dvc repro`"),
        ({"crop_rule": "fomm-reflect-1"}, "clips.crop_rule fomm-clip-1, not fomm-reflect-1;"),
        (
            {"size_px": 256, "sample_rate_hz": 16_000},
            "clips.size_px 128, not 256 and clips.sample_rate_hz 8000, not 16000;",
        ),
    ],
)
def test_clips_that_were_made_otherwise_are_refused(
    run: Callable[..., Path], fitted: Path, changes: dict[str, Any], said: str
) -> None:
    bundle = load_bundle(run("model"))
    bundle.expect_made_of(CLIPS, fitted)
    with pytest.raises(UserError, match=rf"model: this model was trained on clips made with {said}"):
        bundle.expect_made_of(CLIPS.model_copy(update=changes), fitted)


def test_codes_of_another_backbone_file_are_refused(run: Callable[..., Path], fitted: Path) -> None:
    bundle = load_bundle(run("model"))
    (fitted / "basis.safetensors").write_bytes(b"fitted anew")
    with pytest.raises(
        UserError, match=r"trained with another basis.safetensors than .*fitted holds now; put the old file back"
    ):
        bundle.expect_made_of(CLIPS, fitted)


def test_an_encoder_that_is_set_otherwise_now_is_refused(run: Callable[..., Path]) -> None:
    model = run("model")
    settings = read_config(model).speech_settings
    change_config(model, speech_settings=settings | {"feature_set": "eGeMAPSv01b"})
    said = r"trained with other settings of opensmile \(feature_set eGeMAPSv01b, not eGeMAPSv02\); train it again"
    with pytest.raises(UserError, match=said):
        load_bundle(model).expect(backbone="facemesh", speech_encoder="opensmile")


def test_a_beginning_that_stays_as_it_is_must_be_of_such_clips(run: Callable[..., Path]) -> None:
    beginning, other = run("beginning"), CLIPS.model_copy(update={"fps": 25})
    with pytest.raises(
        UserError, match=r"train.begin_from: .*clips made with clips.fps 30, not 25; with train.num_steps 0"
    ):
        run("kept", other, beginning, begin_from="beginning", num_steps=0)
    kept = run("kept", CLIPS, beginning, begin_from="beginning", num_steps=0)
    gone_on = run("gone_on", other, beginning, begin_from="beginning")
    assert (read_config(kept).clips.fps, read_config(gone_on).clips.fps) == (30, 25)
