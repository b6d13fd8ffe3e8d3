from collections import Counter
from pathlib import Path

import pytest

from cmet.corpora import cremad
from cmet.corpora.clip import NotWanted
from cmet.corpora.scan import scan
from cmet.errors import ClipError
from tests.properties import given
from tests.properties import strategies as st
from tests.unit.corpora.trees import touch

STEMS = [f"{clip.clip_id.removeprefix('cremad-').replace('-', '_')}" for clip in cremad.expected(Path())]
GOLDEN = Path(__file__).parents[2] / "golden/cremad_files.txt"


def test_the_complete_corpus_is_the_published_list() -> None:
    published = GOLDEN.read_text(encoding="utf-8").split()
    assert len(published) == 7442
    assert sorted(STEMS) == sorted(published)


def test_the_counts_are_those_of_the_documentation() -> None:
    clips = [cremad.parse(Path(f"VideoFlash/{stem}.flv")) for stem in GOLDEN.read_text(encoding="utf-8").split()]
    assert Counter(clip.emotion for clip in clips) == {
        "angry": 1271, "disgusted": 1271, "fear": 1271, "happy": 1271, "sad": 1271, "neutral": 1087,
    }  # fmt: skip
    assert Counter(clip.intensity for clip in clips) == {None: 6077, 1: 455, 2: 455, 3: 455}
    sentences = Counter(clip.sentence for clip in clips)
    assert sentences == {
        "IEO": 1456, "DFA": 546, "IOM": 546, "IWL": 546, "IWW": 546, "TAI": 546, "TSI": 546, "ITS": 545, "TIE": 545,
        "ITH": 540, "MTI": 540, "WSI": 540,
    }  # fmt: skip
    per_actor = Counter(clip.speaker for clip in clips)
    assert len(per_actor) == 91
    assert {actor: n for actor, n in per_actor.items() if n != 82} == {
        "1002": 81, "1076": 81, "1008": 76, "1009": 76, "1019": 76,
    }  # fmt: skip
    assert len(cremad.NEVER_RECORDED) == 20
    assert len(cremad.SILENT_IN_OLD_COPIES) == 28
    assert set(STEMS) >= cremad.SILENT_IN_OLD_COPIES | cremad.KNOWN_DEFECTS.keys()


@given(st.sampled_from(STEMS), st.sampled_from(["VideoFlash/{}.flv", "AudioWAV/{}.wav", "FPS25/{}.mp4", "{}.mp4"]))
def test_labels_survive_the_way_through_a_path(stem: str, place: str) -> None:
    clip = cremad.parse(Path(place.format(stem)))
    levels = {None: "XX", 1: "LO", 2: "MD", 3: "HI"}
    words = {word: code for code, word in cremad.EMOTIONS.items()}
    assert f"{clip.speaker}_{clip.sentence}_{words[clip.emotion]}_{levels[clip.intensity]}" == stem


@pytest.mark.parametrize(
    "stem",
    ["1040_ITH_SAD_X", "1092_ITH_SAD_XX", "1000_ITH_SAD_XX", "1001_IEO_SAD_XX", "1001_ITH_SAD_HI", "1001_ITH_CON_XX"],
)
def test_near_misses_are_bad_names(stem: str) -> None:
    with pytest.raises(ClipError, match=f"{stem}.flv: expected <actor>"):
        cremad.parse(Path(f"VideoFlash/{stem}.flv"))


def test_picture_and_sound_meet_and_the_mp3_is_not_wanted(tmp_path: Path) -> None:
    stem = "1001_ITH_SAD_XX"
    rows = scan(cremad, touch(tmp_path, f"VideoFlash/{stem}.flv", f"AudioWAV/{stem}.wav", f"AudioMP3/{stem}.mp3"))
    assert rows[["video", "audio"]].to_numpy().tolist() == [[f"VideoFlash/{stem}.flv", f"AudioWAV/{stem}.wav"]]
    with pytest.raises(NotWanted, match="other_format"):
        cremad.parse(Path(f"AudioMP3/{stem}.mp3"))


def test_a_known_defect_is_quarantined_with_its_story(tmp_path: Path) -> None:
    rows = scan(cremad, touch(tmp_path, "VideoFlash/1064_IEO_DIS_MD.flv", "VideoFlash/1064_IEO_DIS_HI.flv"))
    assert rows.reason.dropna().to_list() == [
        "known_defect: cremad-1064-IEO-DIS-MD: about a minute long, with several emotions"
    ]


def test_no_actor_is_in_two_splits() -> None:
    splits = {(clip.speaker, clip.split) for clip in cremad.expected(Path())}
    assert Counter(split for _, split in splits) == {"train": 73, "val": 9, "test": 9}
