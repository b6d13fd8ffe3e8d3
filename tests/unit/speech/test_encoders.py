import json
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import opensmile
import pandas as pd
import pytest
import soundfile
import yaml

from cmet.clips.product import Clips
from cmet.errors import ClipError, UserError
from cmet.media.sound import read_sound
from cmet.params import EncoderName, ParamsError, SpeechParams, parse_params
from cmet.speech.embeddings import SpeechReport, embed_clip, write_embeddings
from cmet.speech.encoders.egemaps import _smile, embed_opensmile
from cmet.speech.encoders.encoder import SpeechEncoder
from cmet.speech.encoders.precomputed import FEATURES_FOLDER, read_precomputed
from cmet.speech.encoders.registry import ENCODERS, load_encoder
from cmet.speech.product import TABLE, Voices
from tests.layouts import rename

PARAMS = Path(__file__).parents[3] / "params.yaml"
SPIED = {"clip_id": "a", "encoder": "spy", "weights": "", "raw": "", "form": {"layer": None, "pooling": "mean"}}


def test_opensmile_gives_88_finite_features(tone: Path) -> None:
    vector = embed_opensmile(read_sound(tone, 16_000))
    assert (vector.shape, vector.dtype) == ((88,), np.float32)
    assert np.isfinite(vector).all()


def test_opensmile_works_in_a_folder_of_any_name(tone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = read_sound(tone, 16_000)
    expected = embed_opensmile(samples)
    folder = tmp_path / "José 陽 #1 100% it's $x;y" / "config"
    shutil.copytree(opensmile.Smile.default_config_root.fget(None), folder)
    _smile.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(opensmile.Smile, "default_config_root", property(lambda _: str(folder)))
        found = embed_opensmile(samples)
    _smile.cache_clear()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - {"precomputed"}))
def test_speech_of_a_tenth_of_a_second_is_refused_before_a_model_is_loaded(name: str) -> None:
    embed = load_encoder(name, Path("weights")).embed
    assert embed is not None
    with pytest.raises(ClipError, match=r"too_short_speech: 0\.10 s of speech"):
        embed(np.zeros(1600, np.float32))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (None, "no_features"),
        (np.zeros(7, np.float32), r"bad_features: .*shape \(7,\)"),
        (np.full(1024, np.nan, np.float32), "bad_features: .*1024 value"),
        (np.array({"a": 1}, dtype=object), "bad_features: .*an array of Python objects"),
    ],
)
def test_bad_precomputed_features_are_refused(tmp_path: Path, array: np.ndarray | None, reason: str) -> None:
    (tmp_path / FEATURES_FOLDER).mkdir()
    if array is not None:
        np.save(tmp_path / FEATURES_FOLDER / "001.npy", array, allow_pickle=True)
    with pytest.raises(ClipError, match=reason):
        read_precomputed(tmp_path / "001.wav")


def test_a_sound_inside_an_archive_has_no_features(tmp_path: Path) -> None:
    (tmp_path / "audio.tar").touch()
    with pytest.raises(ClipError, match=r"no_features: .*audio\.tar/neutral/001\.m4a lies in an archive"):
        read_precomputed(tmp_path / "audio.tar/neutral/001.m4a")


def test_features_that_cannot_be_opened_are_no_features(tmp_path: Path) -> None:
    (tmp_path / FEATURES_FOLDER / "001.npy").mkdir(parents=True)
    with pytest.raises(ClipError, match=r"no_features: .*001\.npy: is a folder, not a file"):
        read_precomputed(tmp_path / "001.wav")


@pytest.fixture
def three_clips(tmp_path: Path) -> pd.DataFrame:
    """Sounds without pictures, whose column of videos is all missing; the first two have features."""
    (tmp_path / FEATURES_FOLDER).mkdir()
    for name in ("a", "b"):
        np.save(tmp_path / FEATURES_FOLDER / f"{name}.npy", np.ones(1024, np.float32))
    table = pd.DataFrame({"clip_id": ["a", "b", "c"], "status": "ok", "video": float("nan")})
    return table.assign(audio=table.clip_id + ".wav")


def embed(rows: pd.DataFrame, root: Path, max_rejected: float) -> SpeechReport:
    """Read the features of clips whose raw sounds are in a folder, into `out` there."""
    clips = Clips(root, corpus=root)
    rows.to_parquet(clips.path)
    return write_embeddings(
        clips,
        "precomputed",
        Path("weights"),
        root / "out",
        root / "work",
        SpeechParams(layer=None, pooling="mean", max_rejected=max_rejected),
    )


def test_a_column_that_is_all_missing_is_passed_over_and_the_work_is_gone_at_the_end(
    tmp_path: Path, three_clips: pd.DataFrame
) -> None:
    for columns in ({}, {"audio": "video", "video": "audio"}):
        report = embed(three_clips.rename(columns=columns), tmp_path, max_rejected=0.5)
        assert report.quarantined_by_reason == {"no_features": 1}
        assert list(Voices(tmp_path / "out").clip_ids) == ["a", "b"]
        assert not (tmp_path / "work").exists()


def test_features_behind_a_linked_folder_are_refused_and_linked_files_are_not(
    tmp_path: Path, three_clips: pd.DataFrame
) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    (root / FEATURES_FOLDER).symlink_to(tmp_path / FEATURES_FOLDER)
    with pytest.raises(UserError, match=r"3 outside_root; .* is a link to another folder, and DVC does not follow it"):
        embed(three_clips, root, max_rejected=0.5)
    (root / FEATURES_FOLDER).unlink()
    (root / FEATURES_FOLDER).mkdir()
    for name in ("a", "b"):
        (root / FEATURES_FOLDER / f"{name}.npy").symlink_to(tmp_path / FEATURES_FOLDER / f"{name}.npy")
    assert embed(three_clips, root, max_rejected=0.5).num_clips == 2


def test_work_stays_while_too_many_clips_lack_features(tmp_path: Path, three_clips: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="1 of 3 clips rejected"):
        embed(three_clips, tmp_path, max_rejected=0)
    lines = (tmp_path / "work/records.jsonl").read_text().splitlines()
    kept = [json.loads(line)["record"]["clip_id"] for line in lines]
    assert set(kept) == {"a", "b", "c"}


def test_embeddings_are_called_by_one_name_and_come_in_any_order(
    tmp_path: Path, three_clips: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / FEATURES_FOLDER / "b.npy", np.full(1024, 2, np.float32))
    renamed, voices = rename(monkeypatch, "speech", TABLE), Voices(tmp_path / "out")
    embed(three_clips, tmp_path, max_rejected=0.5)
    assert voices.path == tmp_path / "out" / renamed
    assert voices.of(["b", "a", "b"])[:, 0].tolist() == [2, 1, 2]


def test_a_corpus_without_any_features_is_told_of_other_encoders(tmp_path: Path, three_clips: pd.DataFrame) -> None:
    with pytest.raises(
        UserError,
        match="none of the 1 clips has features of precomputed, first no_features: .*; the corpus has none beside its "
        "sounds, so use opensmile or emotion2vec",
    ):
        embed(three_clips[2:], tmp_path, max_rejected=1)


def test_real_emotion2vec_features_are_read_bit_for_bit(real: Path) -> None:
    files = sorted(real.rglob(f"{FEATURES_FOLDER}/*.npy"))
    assert len(files) > 100
    for file in files:
        vector = read_precomputed(file.parents[1] / f"{file.stem}.wav")
        assert file.read_bytes().endswith(vector.tobytes())
        # P15: the released vectors are not normalised
        assert 10 < np.linalg.norm(vector) < 20


def test_an_unknown_encoder_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(
        UserError, match=r"unknown speech encoder 'whisper'; expected one of emotion2vec, .*, opensmile, pre"
    ):
        load_encoder("whisper", Path("weights"))


def test_params_and_registry_know_the_same_encoders() -> None:
    assert set(get_args(EncoderName)) == set(ENCODERS)


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_encoder_can_stand_in_params(name: str) -> None:
    values = yaml.safe_load(PARAMS.read_text())
    values["speech_encoders"] = [name]
    values["deltas"]["speech_encoder"] = name
    assert parse_params(values, "params.yaml").speech_encoders == [name]


@pytest.mark.parametrize(
    ("encoders", "said"),
    [
        (
            ["opensmile", "whisper"],
            r"speech_encoders\.1: .*'opensmile', 'emotion2vec', .*'wavlm-large' \(got 'whisper'",
        ),
        (["WavLM-large"], r"speech_encoders\.0: "),
        ([], r"speech_encoders: List should have at least 1 item"),
    ],
)
def test_an_unknown_encoder_in_params_is_named_with_its_key(encoders: list[str], said: str) -> None:
    values: dict[str, Any] = yaml.safe_load(PARAMS.read_text())
    values["speech_encoders"] = encoders
    with pytest.raises(ParamsError, match=said):
        parse_params(values, "params.yaml")


@pytest.mark.parametrize(("key", "value"), [("layer", 3), ("pooling", "mean-std")])
def test_what_is_taken_of_layers_is_refused_where_no_encoder_has_any(key: str, value: int | str) -> None:
    values: dict[str, Any] = yaml.safe_load(PARAMS.read_text())
    values["speech"][key] = value
    with pytest.raises(
        ParamsError, match=rf"speech\.{key} {value!r} changes nothing of speech_encoders \['opensmile'\]"
    ):
        parse_params(values, "params.yaml")
    values["speech_encoders"] = ["opensmile", "whisper-tiny"]
    assert getattr(parse_params(values, "params.yaml").speech, key) == value


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the encoder `spy` was given."""
    sounds: list[np.ndarray] = []

    def listen(samples: np.ndarray) -> np.ndarray:
        sounds.append(samples)
        return np.zeros(1, np.float32)

    monkeypatch.setitem(ENCODERS, "spy", lambda weights, form: SpeechEncoder("spy", 1, embed=listen))
    return sounds


@pytest.mark.parametrize(("channels", "rate_hz"), [(6, 48_000), (1, 24_000), (2, 44_100), (2, 16_000), (1, 8_000)])
def test_any_wav_reaches_the_encoder_as_16_khz_mono(
    heard: list[np.ndarray], tmp_path: Path, channels: int, rate_hz: int
) -> None:
    wave = 0.6 * np.sin(2 * np.pi * 200 * np.arange(2 * rate_hz) / rate_hz)
    sound = np.zeros((len(wave), channels))
    sound[:, -1] = wave
    soundfile.write(tmp_path / "a.wav", sound, rate_hz)
    embed_clip(SPIED | {"sound": str(tmp_path / "a.wav")}, tmp_path)
    expected = 0.6 / channels * np.sin(2 * np.pi * 200 * np.arange(32_000) / 16_000)
    assert (heard[0].shape, heard[0].dtype) == ((32_000,), np.float32)
    # the ends ring
    np.testing.assert_allclose(heard[0][500:-500], expected[500:-500], atol=2e-3)


def test_real_wavs_of_every_format_reach_the_encoder_as_16_khz_mono(
    heard: list[np.ndarray], real: Path, tmp_path: Path
) -> None:
    wavs = sorted([*real.glob("MELD/**/*.wav"), *real.glob("extended/**/*.wav")])
    formats = set()
    for wav in wavs:
        embed_clip(SPIED | {"sound": str(wav)}, tmp_path)
        info = soundfile.info(wav)
        formats.add((info.channels, info.samplerate))
        assert heard[-1].ndim == 1
        assert len(heard[-1]) == pytest.approx(info.duration * 16_000, abs=1)
    assert len(formats) > 1
