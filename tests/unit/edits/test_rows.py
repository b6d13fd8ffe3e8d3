"""Which clips are edited, from which speech."""

from collections import Counter
from typing import Any

import pandas as pd
import pytest

from cmet.edits.pools import choose_speech
from cmet.edits.product import EditsProtocol
from cmet.edits.rows import official_clips, planned_rows, protocol_facts
from cmet.errors import UserError
from cmet.params import EditsParams, load_params
from tests.unit.conftest import ROOT

PARAMS = load_params(ROOT / "params.yaml").edits
OFFICIAL = PARAMS.model_copy(update={"rows": "official"})
STATIC = PARAMS.model_copy(update={"pools": "static-folder", "num_speech_clips": 3})


def clip(
    corpus: str, speaker: str, emotion: str, level: int | None, sentence: str, split: str = "test"
) -> dict[str, Any]:
    """One prepared clip."""
    clip_id = f"{corpus}-{speaker}-{emotion}-{level}-{sentence}"
    return {"clip_id": clip_id, "corpus": corpus, "speaker": speaker, "emotion": emotion, "intensity": level,
            "sentence": sentence, "view": None, "split": split, "status": "ok", "reason": None}  # fmt: skip


def pairs_of(clips: pd.DataFrame, partner: dict[str, str]) -> pd.DataFrame:
    """Pairs of the emotional clips with the neutral sentence that goes with theirs."""
    emotional = clips[(clips.emotion != "neutral") & (clips.status == "ok")]
    neutral = emotional.apply(
        lambda row: f"{row.corpus}-{row.speaker}-neutral-1-{partner.get(row.sentence, row.sentence)}", axis=1
    )
    return emotional.assign(
        pair_id=emotional.clip_id, emotional_clip=emotional.clip_id, neutral_clip=neutral,
        is_held_out=emotional.emotion == "sad",
    )  # fmt: skip


@pytest.fixture
def mead() -> pd.DataFrame:
    """Two of the manifest's clips, one of them quarantined, one that it leaves out, and what goes with them."""
    rows = [
        clip("mead", "M003", "neutral", 1, "001"), clip("mead", "M003", "neutral", 1, "030"),
        clip("mead", "M003", "angry", 2, "020"), clip("mead", "M003", "sad", 1, "001"),
        clip("mead", "M003", "happy", 1, "001") | {"status": "quarantined", "reason": "no_face: lost"},
        clip("mead", "M003", "angry", 2, "019"),
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"intensity": "Int64"})


@pytest.mark.parametrize(("name", "num_rows", "num_speakers"), [("mead", 1143, 4), ("cremad", 1546, 91)])
def test_the_official_rows_are_all_there(name: str, num_rows: int, num_speakers: int) -> None:
    clips = official_clips(name)
    assert len(clips) == len({clip.clip_id for clip in clips}) == num_rows
    assert len({clip.speaker for clip in clips}) == num_speakers


def test_official_rows_that_the_corpus_lacks_stay_planned_with_a_reason(mead: pd.DataFrame) -> None:
    rows = planned_rows(pairs_of(mead, {"020": "030"}), mead, OFFICIAL, "sad").set_index("row_id")
    assert len(rows) == 1143
    whole = rows[rows.reason.isna()]
    assert whole.index.to_list() == ["mead-M003-sad-1-001", "mead-M003-angry-2-020"]
    assert whole.source_clip.to_list() == ["mead-M003-neutral-1-001", "mead-M003-neutral-1-030"]
    assert rows.reason["mead-M003-happy-1-001"] == "quarantined: mead-M003-happy-1-001: no_face: lost"
    assert rows.reason["mead-W015-sad-3-030"] == "not_in_corpus: mead-W015-sad-3-030"
    # 020 is left out of the manifest for this emotion and level elsewhere, 019 everywhere
    assert "mead-M003-angry-2-019" not in rows.index
    assert rows.is_held_out.sum() == 165
    assert Counter(rows.emotion)["happy"] == 168


def test_official_rows_are_of_the_frontal_view(mead: pd.DataFrame) -> None:
    front = mead.assign(view="front")
    side = front.assign(view="left_30", clip_id=front.clip_id.str.replace("M003", "M003-left_30"))
    pairs = pd.concat([pairs_of(clips, {"020": "030"}) for clips in (side, front)])
    rows = planned_rows(pairs, pd.concat([side, front]), OFFICIAL, "sad")
    pd.testing.assert_frame_equal(rows, planned_rows(pairs_of(front, {"020": "030"}), front, OFFICIAL, "sad"))


def test_clips_without_a_stated_level_are_official_rows_too() -> None:
    rows = [
        clip("cremad", "1001", "neutral", None, "DFA", "train"),
        clip("cremad", "1001", "fear", None, "DFA", "train"),
    ]
    clips = pd.DataFrame(rows).astype({"intensity": "Int64"})
    planned = planned_rows(pairs_of(clips, {}), clips, OFFICIAL, None)
    assert len(planned) == 1546
    assert planned[planned.reason.isna()].row_id.to_list() == ["cremad-1001-fear-None-DFA"]


def test_a_corpus_without_an_official_manifest_says_so(mead: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="the corpus is sample; C-MET has official manifests of mead and cremad only"):
        planned_rows(pairs_of(mead, {}).assign(corpus="sample"), mead, OFFICIAL, None)


def test_without_test_pairs_there_is_nothing_to_edit(mead: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="no test pairs"):
        planned_rows(pairs_of(mead.assign(split="train"), {}), mead, PARAMS, None)


@pytest.fixture
def corpus() -> pd.DataFrame:
    """Two speakers with four sentences, and a third who is in no row."""
    rows = [
        clip("sample", speaker, emotion, 1 if emotion == "neutral" else 2, sentence)
        for speaker in ("A", "B", "C") for emotion in ("neutral", "happy") for sentence in ("1", "2", "3", "4")
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"intensity": "Int64"})


def rows_of(corpus: pd.DataFrame) -> pd.DataFrame:
    return planned_rows(pairs_of(corpus[corpus.speaker != "C"], {}), corpus, PARAMS, None)


def test_pools_hold_the_speakers_of_the_rows_in_the_published_strides(corpus: pd.DataFrame) -> None:
    heard = pd.Index(corpus.clip_id)
    chosen = choose_speech(rows_of(corpus), corpus, heard, PARAMS)["happy", 2]
    pool = [f"sample-{speaker}-happy-2-{sentence}" for speaker in "AB" for sentence in "1234"]
    assert list(chosen.emotional) == [pool[7 * i % 8] for i in range(10)]
    assert list(chosen.neutral) == [f"sample-{s}-neutral-1-{n}" for s in "AB" for n in "1234"] + [
        "sample-A-neutral-1-1", "sample-A-neutral-1-2",
    ]  # fmt: skip


def test_a_pool_holds_each_utterance_once_however_many_views_it_has(corpus: pd.DataFrame) -> None:
    front = corpus.assign(view="front")
    side = front.assign(view="down", clip_id="side-" + front.clip_id)
    rows, both = rows_of(front), pd.concat([side, front])
    assert choose_speech(rows, both, pd.Index(both.clip_id), PARAMS) == choose_speech(
        rows, front, pd.Index(front.clip_id), PARAMS
    )
    alone = choose_speech(rows, side, pd.Index(side.clip_id), PARAMS)["happy", 2]
    assert all(clip_id.startswith("side-") for clip_id in (*alone.emotional, *alone.neutral))


def test_a_static_folder_is_drawn_once_by_its_own_seed(corpus: pd.DataFrame) -> None:
    heard = pd.Index(corpus.clip_id)
    rows = rows_of(corpus)
    first, again, other = (
        choose_speech(rows, corpus, heard, params)["happy", 2]
        for params in (STATIC, STATIC, STATIC.model_copy(update={"pool_seed": 43}))
    )
    assert first == again != other
    assert len(set(first.emotional)) == len(set(first.neutral)) == 3
    whole = choose_speech(rows, corpus, heard, STATIC.model_copy(update={"num_speech_clips": 99}))["happy", 2]
    assert len(whole.emotional) == 8


@pytest.mark.parametrize(
    "change", [{"pools": "static-folder"}, {"num_speech_clips": 9}, {"identity_frame": 3}, {"rows": "test-pairs"}]
)
def test_the_name_of_a_protocol_tells_one_from_another(corpus: pd.DataFrame, change: dict[str, Any]) -> None:
    def facts(params: EditsParams) -> EditsProtocol:
        rows = rows_of(corpus)
        return protocol_facts(rows, choose_speech(rows, corpus, pd.Index(corpus.clip_id), params), params)

    changed = facts(PARAMS.model_copy(update=change))
    is_same = change == {"rows": "test-pairs"}
    assert (changed.name == facts(PARAMS).name) is is_same
    assert changed.name.startswith(f"{change.get('pools', 'pool-by-intensity')}-")
    assert len(changed.name.split("-")[-1]) == 8
