from collections import Counter
from pathlib import Path

import pytest

from cmet.corpora import ravdess
from cmet.corpora.clip import NotWanted
from cmet.corpora.listing import list_corpus
from cmet.corpora.scan import scan
from cmet.errors import ClipError
from tests.properties import assume, given
from tests.properties import strategies as st
from tests.unit.corpora.trees import HTML, fill, pointer, write_zip

TWO = st.sampled_from(["01", "02"])


@given(st.sampled_from(sorted(ravdess.EMOTIONS)), TWO, TWO, TWO, st.sampled_from(ravdess.ACTORS))
def test_labels_survive_the_way_through_a_path(
    emotion: str, intensity: str, statement: str, repetition: str, actor: str
) -> None:
    assume((emotion, intensity) != ("01", "02"))
    clip = ravdess.parse(Path(f"Actor_{actor}/01-01-{emotion}-{intensity}-{statement}-{repetition}-{actor}.mp4"))
    assert (clip.speaker, clip.emotion) == (actor, ravdess.EMOTIONS[emotion])
    assert (clip.intensity, clip.sentence) == (int(intensity), f"{statement}-{repetition}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("02-01-05-01-01-01-03.mp4", "picture_only"),
        ("03-01-05-01-01-01-03.wav", "sound_only"),
        ("01-02-05-01-01-01-03.mp4", "song"),
    ],
)
def test_copies_and_songs_are_not_wanted(name: str, reason: str) -> None:
    with pytest.raises(NotWanted, match=reason):
        ravdess.parse(Path(name))


@pytest.mark.parametrize(
    "name", ["01-01-01-02-01-01-03.mp4", "01-01-09-01-01-01-03.mp4", "01-01-05-01-01-01-25.mp4", "1-1-5-1-1-1-3.mp4"]
)
def test_near_misses_are_bad_names(name: str) -> None:
    with pytest.raises(ClipError, match="bad_name"):
        ravdess.parse(Path(name))


def test_the_complete_corpus_has_1440_clips_and_calm_is_not_neutral() -> None:
    clips = ravdess.expected(Path())
    assert len({clip.clip_id for clip in clips}) == len(clips) == 1440
    assert set(Counter(clip.speaker for clip in clips).values()) == {60}
    assert Counter(clip.emotion for clip in clips)["calm"] == 192
    assert Counter(clip.emotion for clip in clips)["neutral"] == 96


def test_a_zip_is_read_as_a_folder_and_only_picture_with_sound_is_taken(tmp_path: Path) -> None:
    trial = "01-05-01-01-01-03.mp4"
    write_zip(tmp_path / "Video_Speech_Actor_03.zip", [f"Actor_03/01-{trial}", f"Actor_03/02-{trial}"])
    rows = scan(ravdess, tmp_path)
    assert rows.video.to_list() == [f"Video_Speech_Actor_03.zip/Actor_03/01-{trial}"]


def test_every_file_twice_is_every_clip_once(tmp_path: Path) -> None:
    names = [f"Actor_03/01-01-0{emotion}-01-01-01-03.mp4" for emotion in range(1, 5)]
    fill(tmp_path, names)
    fill(tmp_path / "video_speech_actors", names)
    # a third copy, in archives that lie beside one another
    only_packed = ["Actor_03/01-01-05-01-01-01-03.mp4"]
    for archive in ("Video_Speech_Actor_03.zip", "all/Video_Speech_Actor_03.zip"):
        write_zip(tmp_path / archive, [*names, *only_packed])
    listing = list_corpus(ravdess, tmp_path)
    assert {found.video for found in listing.found} == {*names, f"Video_Speech_Actor_03.zip/{only_packed[0]}"}
    assert not listing.rejected
    assert listing.not_wanted == {"also_in_archive": 8, "copy": 5}


@pytest.mark.parametrize("stand_in", [b"", pointer("a" * 64, 9), HTML])
def test_a_whole_file_beside_an_empty_one_or_a_pointer_is_the_clip(tmp_path: Path, stand_in: bytes) -> None:
    name = "01-01-03-01-01-01-03.mp4"
    fill(tmp_path, [f"a/{name}"], stand_in)
    fill(tmp_path, [f"b/{name}"])
    listing = list_corpus(ravdess, tmp_path)
    assert [found.video for found in listing.found] == [f"b/{name}"]
    assert listing.not_wanted == {"copy": 1}


def test_two_different_clips_of_one_name_are_ambiguous(tmp_path: Path) -> None:
    name = "01-01-03-01-01-01-03.mp4"
    fill(tmp_path, [f"a/{name}"], b"one")
    fill(tmp_path, [f"b/{name}", f"c/{name}"], b"two")
    listing = list_corpus(ravdess, tmp_path)
    assert [rejected.message for rejected in listing.rejected] == [
        f"ravdess-03-happy-1-01-01 has 2 videos: a/{name}, b/{name}"
    ]


def test_archives_inside_an_archive_are_told_and_not_passed_over(tmp_path: Path) -> None:
    write_zip(
        tmp_path / "archive.zip", ["Actor_03/01-01-03-01-01-01-03.mp4", "Video_Speech_Actor_04.zip", "more.tar.gz"]
    )
    listing = list_corpus(ravdess, tmp_path)
    assert len(listing.found) == 1
    assert [(rejected.code, rejected.message) for rejected in listing.rejected] == [
        (
            "unsupported_archive",
            f"archive.zip/{name}: an archive inside another, which is not looked into; unpack archive.zip",
        )
        for name in ("Video_Speech_Actor_04.zip", "more.tar.gz")
    ]
