"""Pairs, difference vectors and what is said of clips without a partner."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.clips.product import Clips
from cmet.errors import UserError
from cmet.expression.product import Faces
from cmet.outputs import content_digest
from cmet.pairs.deltas import pair_clips, write_deltas
from cmet.pairs.differences import expression_delta, mean_codes, speech_delta
from cmet.pairs.product import TABLE, UNPAIRED, UNPAIRED_CLIPS, Pairs
from cmet.pairs.sentences import neutral_sentence
from cmet.params import DeltasParams
from cmet.speech.product import Voices
from cmet.speech.scaling import SpeechScaling
from tests.layouts import rename
from tests.packing import pack_arrays

SCALED = DeltasParams(speech_encoder="opensmile", speech_scale="train-spread", speech_projection="none")
RAW = DeltasParams(speech_encoder="opensmile", speech_scale="none", speech_projection="none")

# clip id, speaker, emotion, intensity, sentence, split, status
CLIPS = [
    ("a-neutral-1", "a", "neutral", 1, "001", "train", "ok"),
    ("a-happy-2", "a", "happy", 2, "001", "train", "ok"),
    ("a-sad-3", "a", "sad", 3, "001", "train", "ok"),
    ("a-disgusted-3", "a", "disgusted", 3, "001", "train", "ok"),
    ("a-fear-2", "a", "fear", 2, "009", "train", "ok"),
    ("b-neutral-1", "b", "neutral", 1, "001", "test", "ok"),
    ("b-happy-2", "b", "happy", 2, "001", "test", "ok"),
    ("b-neutral-7", "b", "neutral", 1, "007", "test", "ok"),
    ("b-sad-2", "b", "sad", 2, "001", "test", "ok"),
    ("b-angry-2", "b", "angry", 2, "001", "test", "quarantined"),
]


def make_clips(corpus: str = "sample") -> pd.DataFrame:
    columns = ["clip_id", "speaker", "emotion", "intensity", "sentence", "split", "status"]
    return pd.DataFrame(CLIPS, columns=columns).astype({"intensity": "Int64"}).assign(corpus=corpus, view=None)


Inputs = tuple[Clips, Voices, Faces]


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """Clips, their embeddings and their codes; b-sad-2 has no codes."""
    table = make_clips()
    draw = np.random.default_rng(0)
    clips, voices, faces = Clips(tmp_path), Voices(tmp_path), Faces(tmp_path)
    table.to_parquet(clips.path)
    ok = table[table["status"] == "ok"]["clip_id"]
    rows = draw.normal(size=(len(ok), 4)).astype(np.float32)
    rows[:, 3] = 5.0
    pd.DataFrame({"clip_id": ok, "embedding": list(rows)}).to_parquet(voices.path)
    pack_arrays(
        faces.all_codes,
        {clip: draw.normal(size=(6 + number, 3)) for number, clip in enumerate(ok) if clip != "b-sad-2"},
    )
    return clips, voices, faces


def test_emotional_clips_meet_the_neutral_one_of_speaker_and_sentence() -> None:
    pairs, unpaired = pair_clips(make_clips())
    assert dict(zip(pairs["pair_id"], pairs["neutral_clip"], strict=True)) == {
        "a-disgusted-3": "a-neutral-1",
        "a-happy-2": "a-neutral-1",
        "a-sad-3": "a-neutral-1",
        "b-angry-2": "b-neutral-1",
        "b-happy-2": "b-neutral-1",
        "b-sad-2": "b-neutral-1",
    }
    assert unpaired.values.tolist() == [
        ["a-fear-2", "no neutral clip of the same speaker and sentence"],
        ["b-neutral-7", "no emotional clip of the same speaker and sentence"],
    ]


def test_an_emotional_clip_meets_the_neutral_one_of_its_own_view() -> None:
    front = make_clips().assign(view="front")
    side = front.assign(view="left_30", clip_id="side-" + front["clip_id"])
    pairs, unpaired = pair_clips(pd.concat([side, front]))
    assert len(pairs) == 2 * len(pair_clips(front).pairs)
    is_of_side = pairs["neutral_clip"].str.startswith("side-")
    assert (is_of_side == pairs["emotional_clip"].str.startswith("side-")).all()
    assert (is_of_side == (pairs["view"] == "left_30")).all()


def test_repeated_neutral_recordings_give_one_pair_with_the_first() -> None:
    clips = make_clips()
    again = clips[clips["clip_id"] == "a-neutral-1"].assign(clip_id="a-neutral-1-again")
    pairs, unpaired = pair_clips(pd.concat([again, clips]))
    assert pairs["pair_id"].is_unique
    assert "a-neutral-1-again" not in set(pairs["neutral_clip"])
    assert "a-neutral-1-again" in set(unpaired["clip_id"])


@pytest.mark.parametrize(
    ("corpus", "sentence", "expected"),
    [("sample", "021", "021"), ("mead", "001", "001"), ("mead", "003", "003"), ("mead", "021", "031")],
)
def test_mead_numbers_neutral_sentences_apart(corpus: str, sentence: str, expected: str) -> None:
    assert neutral_sentence(corpus, sentence) == expected


def test_deltas_are_differences_of_means() -> None:
    assert speech_delta(np.array([[1.0, 3], [3, 5]]), np.array([[5.0, 5]])).tolist() == [3, 1]
    assert expression_delta(np.zeros((4, 2)), np.array([[1.0, 0], [3, 4]])).tolist() == [2, 2]
    with pytest.raises(ValueError, match="neutral_NS is empty"):
        speech_delta(np.zeros((0, 2)), np.ones((1, 2)))


def test_stage_writes_pairs_deltas_and_reasons(inputs: Inputs, tmp_path: Path) -> None:
    report = write_deltas(*inputs, SCALED, "disgusted", tmp_path / "out")
    pairs = Pairs(tmp_path / "out").table.set_index("pair_id")
    assert sorted(pairs.index) == ["a-disgusted-3", "a-happy-2", "a-sad-3", "b-happy-2"]
    assert pairs["is_held_out"].to_dict()["a-disgusted-3"]
    assert pairs["is_held_out"].sum() == 1
    faces = inputs[2]
    face = faces.codes("a-happy-2").mean(0) - faces.codes("a-neutral-1").mean(0)
    assert pairs.loc["a-happy-2", "expression_delta"] == pytest.approx(face, abs=1e-6)
    assert report.num_pairs == 4
    assert report.pairs_per_split_and_emotion == {
        "test": {"happy": 1},
        "train": {"disgusted": 1, "happy": 1, "sad": 1},
    }
    assert report.unpaired_reasons == {
        "no emotional clip of the same speaker and sentence": 1,
        "no expression codes": 1,
        "no neutral clip of the same speaker and sentence": 1,
    }
    assert len(pd.read_csv(tmp_path / "out" / UNPAIRED)) == report.num_unpaired == 3
    assert report.speech_cosine_same_emotion is not None
    assert -1 <= report.speech_cosine_same_emotion <= 1


def test_usable_clips_that_are_in_no_pair_are_kept_for_training(inputs: Inputs, tmp_path: Path) -> None:
    write_deltas(*inputs, SCALED, "disgusted", tmp_path / "out")
    assert Pairs(tmp_path / "out").unpaired_clips["clip_id"].to_list() == ["a-fear-2", "b-neutral-7"]


def test_scale_is_the_spread_of_training_clips_without_the_held_out_emotion(inputs: Inputs, tmp_path: Path) -> None:
    write_deltas(*inputs, SCALED, "disgusted", tmp_path / "scaled")
    write_deltas(*inputs, RAW, "disgusted", tmp_path / "raw")
    voices = inputs[1]
    expected = SpeechScaling.fit(voices.of(["a-neutral-1", "a-happy-2", "a-sad-3", "a-fear-2"]))
    assert Pairs(tmp_path / "scaled").scaling.spread_S.tolist() == expected.spread_S.tolist()
    raw = voices.of(voices.clip_ids.to_list())
    np.testing.assert_array_equal(Pairs(tmp_path / "raw").scaling.apply(raw), raw)


def test_a_projection_is_fitted_on_training_speakers_and_goes_with_the_scaling(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows, vectors = [], []
    for speaker, split in zip("abcd", ("train", "train", "train", "test"), strict=True):
        for emotion, intensity in (("neutral", 1), ("happy", 2), ("sad", 2), ("fear", 2)):
            for sentence in ("001", "002", "003"):
                clip = f"{speaker}-{emotion}-{sentence}"
                rows.append((clip, speaker, emotion, intensity, sentence, split, "ok", "sample"))
                vectors.append(draw.normal(size=4) + 5 * np.eye(4)[["neutral", "happy", "sad", "fear"].index(emotion)])
    columns = ["clip_id", "speaker", "emotion", "intensity", "sentence", "split", "status", "corpus"]
    table = pd.DataFrame(rows, columns=columns).assign(view=None).astype({"intensity": "Int64"})
    clips, voices, faces = Clips(tmp_path), Voices(tmp_path), Faces(tmp_path)
    table.to_parquet(clips.path)
    pack_arrays(faces.all_codes, {clip: draw.normal(size=(5, 3)) for clip in table["clip_id"]})
    params = SCALED.model_copy(update={"speech_projection": "lda"})
    is_fitted_on = (table["split"] == "train") & (table["emotion"] != "fear")
    found = {}
    for name, chosen in (("all", is_fitted_on), ("others moved", ~is_fitted_on), ("these moved", is_fitted_on)):
        moved = [
            vector + draw.normal(size=4) * (name != "all" and move)
            for vector, move in zip(vectors, chosen, strict=True)
        ]
        pd.DataFrame({"clip_id": table["clip_id"], "embedding": moved}).to_parquet(voices.path)
        report = write_deltas(clips, Voices(tmp_path), faces, params, "fear", tmp_path / name)
        assert report.speech_projection == "lda"
        assert report.speech_projection_accuracy.keys() == {"none", "lda"}
        projection = Pairs(tmp_path / name).scaling.projection
        assert projection is not None
        # happy and sad
        assert (projection.matrix_PS.shape, projection.facts.num_speakers) == ((2, 4), 3)
        found[name] = projection.matrix_PS.tolist()
    assert found["all"] == found["others moved"] != found["these moved"]


def test_same_input_gives_the_same_bytes(inputs: Inputs, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_deltas(*inputs, SCALED, None, tmp_path / name)
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")


def test_an_emotion_outside_the_papers_is_left_out_and_said(inputs: Inputs, tmp_path: Path) -> None:
    clips, voices, faces = inputs
    table = make_clips()
    table.loc[table.clip_id == "a-sad-3", "emotion"] = "calm"
    table.to_parquet(clips.path)
    report = write_deltas(clips, voices, faces, RAW, None, tmp_path / "out")
    assert report.unpaired_reasons["calm is none of the paper's emotions"] == 1
    assert "a-sad-3" not in Pairs(tmp_path / "out").table.emotional_clip.to_list()


def test_no_neutral_clip_at_all_is_one_message(inputs: Inputs, tmp_path: Path) -> None:
    clips = make_clips()
    clips[clips["emotion"] != "neutral"].to_parquet(inputs[0].path)
    with pytest.raises(UserError, match="no emotional clip has a neutral clip of the same speaker and sentence"):
        write_deltas(*inputs, SCALED, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_uneven_embeddings_are_named(inputs: Inputs, tmp_path: Path) -> None:
    uneven = pd.DataFrame({"clip_id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]})
    uneven.to_parquet(inputs[1].path)
    with pytest.raises(UserError, match=r"expected embeddings of one width, found 2 of widths \[1, 2\]"):
        write_deltas(*inputs, SCALED, None, tmp_path / "out")


@pytest.mark.parametrize("name", [TABLE, UNPAIRED, UNPAIRED_CLIPS])
def test_a_file_is_called_by_one_name(
    inputs: Inputs, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed, pairs = rename(monkeypatch, "pairs", name), Pairs(tmp_path / "out")
    report = write_deltas(*inputs, SCALED, None, pairs.folder)
    assert len(pairs.table) == report.num_pairs
    assert len(pairs.unpaired_clips) == 2
    assert (pairs.folder / renamed).is_file()
    assert not (pairs.folder / name).exists()


def test_means_of_codes_give_the_delta_of_the_codes_bit_by_bit() -> None:
    draw = np.random.default_rng(0)
    neutral, emotional = (draw.normal(size=(length, 10)).astype(np.float32) for length in (75, 113))
    of_means = expression_delta(mean_codes(neutral), mean_codes(emotional))
    assert of_means.tobytes() == expression_delta(neutral, emotional).tobytes()
