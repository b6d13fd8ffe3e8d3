from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchaudio
from torchaudio.models import wav2vec2_model, wavlm_model

from cmet.clips.product import Clips, sound_name
from cmet.errors import UserError
from cmet.packs import write_packs
from cmet.params import SpeechForm, SpeechParams
from cmet.speech.embeddings import write_embeddings
from cmet.speech.encoders import bundles
from cmet.speech.encoders.bundles import BUNDLES
from cmet.speech.encoders.encoder import SCALED
from cmet.speech.encoders.registry import load_encoder
from cmet.speech.encoders.settings import LAYERED
from cmet.speech.product import Voices
from cmet.weights.hubs import torch_checkpoints
from cmet.weights.registry import CHECKPOINTS

TINY = {
    "extractor_conv_layer_config": [(16, 10, 5), (16, 3, 2), (16, 3, 2), (16, 2, 2)],
    "encoder_num_layers": 2,
    "encoder_ff_interm_features": 32,
}
BOTH = SpeechForm(layer=None, pooling="mean-std")
SOUND = np.random.default_rng(0).normal(size=8000).astype(np.float32)


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for weights, and no others on this machine."""
    folder = tmp_path / "weights"
    (folder / "speech").mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    bundles._load.cache_clear()
    yield folder
    bundles._load.cache_clear()


def bundle_of(name: str) -> Any:
    return getattr(torchaudio.pipelines, BUNDLES[name].published)


def random_weights(name: str) -> dict[str, torch.Tensor]:
    bundle = bundle_of(name)
    torch.manual_seed(0)
    build = {"Wav2Vec2": wav2vec2_model, "WavLM": wavlm_model}[bundle._model_type]
    return build(**bundle._params).state_dict()


@pytest.fixture
def shrink(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a bundle's architecture small, except for its width."""

    def shrink_bundle(name: str) -> None:
        for key, value in TINY.items():
            monkeypatch.setitem(bundle_of(name)._params, key, value)
        for known in (BUNDLES, LAYERED):
            monkeypatch.setitem(known, name, replace(known[name], num_layers=2, usual_layer=2))

    return shrink_bundle


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_width_and_rate_are_those_of_the_bundle(name: str, weights: Path) -> None:
    bundle = bundle_of(name)
    assert load_encoder(name, weights).width == bundle._params["encoder_embed_dim"]
    assert load_encoder(name, weights, BOTH).width == 2 * bundle._params["encoder_embed_dim"]
    assert BUNDLES[name].num_layers == bundle._params["encoder_num_layers"]
    assert bundle.sample_rate == 16_000
    assert name not in SCALED


@pytest.mark.parametrize("name", ["wav2vec2-base", "wavlm-base-plus", "wavlm-large", "hubert-large"])
def test_an_embedding_is_the_time_mean_of_what_torchaudio_gives(name: str, shrink: Any, weights: Path) -> None:
    shrink(name)
    bundle = bundle_of(name)
    torch.save(random_weights(name), weights / "speech" / bundle._path)
    # torchaudio takes a file that is already there, too
    model = bundle.get_model(dl_kwargs={"model_dir": str(weights / "speech")})
    with torch.inference_mode():
        expected = model(torch.from_numpy(SOUND)[None])[0][0].mean(dim=0).numpy()
    # 2 is the number of the last layer here
    vector = bundles.embed_with_bundle(SOUND, name, weights, 2, "mean")
    assert (vector.shape, vector.dtype) == ((BUNDLES[name].width,), np.float32)
    np.testing.assert_allclose(vector, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["wav2vec2-base", "wavlm-large"])
def test_any_layer_is_taken_with_mean_and_standard_deviation(name: str, shrink: Any, weights: Path) -> None:
    shrink(name)
    bundle = bundle_of(name)
    torch.save(random_weights(name), weights / "speech" / bundle._path)
    model = bundle.get_model(dl_kwargs={"model_dir": str(weights / "speech")})
    with torch.inference_mode():
        frames = model.extract_features(torch.from_numpy(SOUND)[None])[0][0][0].numpy()
    encoder = load_encoder(name, weights, SpeechForm(layer=1, pooling="mean-std"))
    assert encoder.embed is not None
    expected = np.concatenate([frames.mean(axis=0), frames.std(axis=0)])
    np.testing.assert_allclose(encoder.embed(SOUND), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_weights_are_found_in_their_home(weights: Path, name: str) -> None:
    path = weights / "speech" / bundle_of(name)._path
    path.touch()
    assert bundles._find(name, weights) == path


def test_the_registry_knows_the_files_of_the_bundles() -> None:
    assert {name: CHECKPOINTS[name].file for name in BUNDLES} == {name: bundle_of(name)._path for name in BUNDLES}


@pytest.mark.parametrize("variables", [{}, {"XDG_CACHE_HOME": "~/cache"}, {"TORCH_HOME": "~/torch"}])
def test_the_folder_of_torch_hub_is_the_one_that_torch_takes(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert torch_checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"


def test_a_model_is_loaded_once(shrink: Any, weights: Path) -> None:
    shrink("wav2vec2-base")
    path = weights / "speech" / bundle_of("wav2vec2-base")._path
    torch.save(random_weights("wav2vec2-base"), path)
    first = bundles.embed_with_bundle(SOUND, "wav2vec2-base", weights, 2, "mean")
    path.unlink()
    np.testing.assert_array_equal(bundles.embed_with_bundle(SOUND, "wav2vec2-base", weights, 2, "mean"), first)


def test_weights_that_torchaudio_has_downloaded_are_told_with_the_command_to_copy_them(
    weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "torch/hub/checkpoints" / bundle_of("hubert-base")._path
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(UserError, match=f"its weights belong in {weights}/speech/; copy them: cp {path} "):
        bundles.check_bundle("hubert-base", weights)


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_absent_weights_are_one_sentence_and_no_download(
    name: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("downloads"))
    with pytest.raises(UserError) as caught:
        bundles.embed_with_bundle(SOUND, name, weights, 2, "mean")
    said = f"{bundle_of(name)._path} (speech encoder {name}, through torchaudio) is missing in {weights}/speech/"
    assert str(caught.value) == f"{said}; run `cmet weights get {name} --folder {weights}`"


def write_clips(folder: Path, *names: str) -> Clips:
    """Prepared clips without their files."""
    clips = Clips(folder, corpus=folder)
    pd.DataFrame({"clip_id": names, "status": "ok", "audio": None, "video": "v.mp4"}).to_parquet(clips.path)
    return clips


def test_absent_weights_are_told_before_any_process_starts(weights: Path, tmp_path: Path) -> None:
    clips = write_clips(tmp_path, "a")
    params, work = SpeechParams(layer=None, pooling="mean", max_rejected=0), tmp_path / "work"
    for name, said in (
        ("wavlm-base", "wavlm_base.pth .* is missing in .* run `cmet weights get wavlm-base"),
        ("emotion2vec", "emotion2vec_plus_large .* is missing in .* run `cmet weights get emotion2vec"),
    ):
        with pytest.raises(UserError, match=said):
            write_embeddings(clips, name, weights, tmp_path / "out", work, params)
        assert not work.exists()


def test_present_weights_pass_the_check(weights: Path) -> None:
    (weights / "speech" / bundle_of("wavlm-base")._path).touch()
    bundles.check_bundle("wavlm-base", weights)


def test_weights_of_another_architecture_are_refused_with_counts(shrink: Any, weights: Path) -> None:
    shrink("wav2vec2-base")
    state = random_weights("wav2vec2-base")
    removed = [key for key in state if "layers.1." in key]
    other = {key: value for key, value in state.items() if key not in removed} | {"aux.weight": torch.zeros(2)}
    torch.save(other, weights / "speech" / bundle_of("wav2vec2-base")._path)
    said = f"not the weights of wav2vec2-base: {len(removed)} of {len(state)} keys missing, 1 unexpected, 0 of another"
    with pytest.raises(UserError, match=said):
        bundles.embed_with_bundle(SOUND, "wav2vec2-base", weights, 2, "mean")


def test_a_corpus_is_embedded(shrink: Any, weights: Path, tone: Path, tmp_path: Path) -> None:
    shrink("wav2vec2-base")
    torch.save(random_weights("wav2vec2-base"), weights / "speech" / bundle_of("wav2vec2-base")._path)
    clips = write_clips(tmp_path, "a", "b", "c")
    write_packs(clips.sounds[0], map(sound_name, clips.table.clip_id), lambda _: tone.read_bytes(), "test")
    params = SpeechParams(layer=None, pooling="mean", max_rejected=0)
    report = write_embeddings(clips, "wav2vec2-base", weights, tmp_path / "out", tmp_path / "work", params)
    assert (report.num_clips, report.width) == (3, 768)
    vectors = Voices(tmp_path / "out").vectors
    assert np.isfinite(vectors["a"]).all()
    np.testing.assert_array_equal(vectors["a"], vectors["c"])
