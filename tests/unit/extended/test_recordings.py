from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.extended.recordings import (
    Recording,
    basic_recordings,
    emotion_folders,
    has_kind,
    in_folder,
    mead_tree,
    neutral_recordings,
    passed_over,
)
from cmet.speech.encoders.precomputed import FEATURES_FOLDER


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_vector_goes_before_its_sound_and_a_sound_before_its_video(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.mp4",
        "a.wav",
        "b.wav",
        f"{FEATURES_FOLDER}/b.npy",
        f"{FEATURES_FOLDER}/c.npy",
        "notes.txt",
        ".d.wav",
    )
    heard = in_folder(tmp_path, "envious", has_vectors=True)
    assert [recording.path.name for recording in heard] == ["a.wav", "b.npy", "c.npy"]
    assert [recording.path.name for recording in in_folder(tmp_path, "envious", has_vectors=False)] == [
        "a.wav",
        "b.wav",
    ]


def test_the_list_of_edits_holds_here_too(tmp_path: Path) -> None:
    touch(
        tmp_path, "a.opus", "b.webm", "c.m4a", "c.wav", "d.mp3", "d.mp4", "._a.opus", "notes.txt", "anna/e.wma", "a.txt"
    )
    (tmp_path / "voice").write_bytes(b"OggS")
    found = [one.path.name for one in in_folder(tmp_path, "envious", has_vectors=False)]
    assert found == ["a.opus", "b.webm", "c.wav", "d.mp3", "voice", "e.wma"]
    assert has_kind(tmp_path / "anna", is_vector=False)
    assert passed_over([tmp_path], has_vectors=False) == [tmp_path / "notes.txt"]


def test_speakers_are_sub_folders_and_never_guessed_from_names(tmp_path: Path) -> None:
    touch(tmp_path, "dia185_utt5.wav", "anna/1.wav", "ben/1.wav", f"ben/{FEATURES_FOLDER}/2.npy")
    found = in_folder(tmp_path, "sarcastic", has_vectors=True)
    assert [(one.path.name, one.speaker) for one in found] == [
        ("dia185_utt5.wav", None), ("1.wav", "anna"), ("1.wav", "ben"), ("2.npy", "ben"),
    ]  # fmt: skip


def test_names_tell_speakers_where_a_person_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "anna_1.wav", "ben_1.wav")
    found = in_folder(tmp_path, "sarcastic", has_vectors=False, is_speaker_in_name=True)
    assert [one.speaker for one in found] == ["anna", "ben"]
    touch(tmp_path, "x1.wav")
    with pytest.raises(UserError, match="--speaker-in-name: .*x1.wav does not begin with a speaker and an underscore"):
        in_folder(tmp_path, "sarcastic", has_vectors=False, is_speaker_in_name=True)


def test_one_folder_without_recordings_holds_the_emotions(tmp_path: Path) -> None:
    touch(tmp_path, "root/charismatic/a.wav", "root/envious/a.wav")
    assert [folder.name for folder in emotion_folders([tmp_path / "root"])] == ["charismatic", "envious"]
    assert emotion_folders([tmp_path / "root/envious"]) == [tmp_path / "root/envious"]


@pytest.mark.parametrize(
    ("files", "given", "said"),
    [
        (["e/a.wav"], ["x"], "x: no such folder"),
        (
            ["a.wav"],
            ["a.wav"],
            "a.wav: is a file, not a folder; name the folder that holds",
        ),
        (["e/a.wav", "f/e/a.wav"], ["e", "f/e"], "two folders are called 'e'"),
        (["r/neutral/a.wav", "r/e/a.wav"], ["r"], "give it to --neutral-speech"),
    ],
)
def test_folders_that_are_no_emotions_are_one_message(
    tmp_path: Path, files: list[str], given: list[str], said: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=said):
        emotion_folders([tmp_path / name for name in given])


def test_a_folder_without_speech_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: an empty folder; put recordings of one emotion into it"):
        emotion_folders([tmp_path / "empty"])
    touch(tmp_path, "text/notes.txt", "vectors/a.npy")
    with pytest.raises(UserError, match="text: no sound file or .npy vector in this folder"):
        in_folder(tmp_path / "text", "text", has_vectors=True)
    with pytest.raises(UserError, match="vectors: no sound file .*, only .npy vectors, which are those of emotion2vec"):
        in_folder(tmp_path / "vectors", "vectors", has_vectors=False)


def test_a_tree_of_mead_tells_emotions_and_speakers_through_links_too(tmp_path: Path) -> None:
    touch(
        tmp_path / "store", "front/happy/level_3/021.mp4", "front/happy/level_3/021.wav",
        f"front/happy/level_3/{FEATURES_FOLDER}/021.npy", "front/neutral/level_1/001.wav", "top/sad/level_1/001.mp4",
    )  # fmt: skip
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/M003").symlink_to(tmp_path / "store")
    (tmp_path / "store/front/loop").symlink_to(tmp_path / "store")
    place = tmp_path / "tree/M003/front"
    happy, calm = place / "happy/level_3/021.wav", place / "neutral/level_1/001.wav"
    assert mead_tree(tmp_path / "tree", has_vectors=False) == [
        Recording(happy, "happy", "M003"), Recording(calm, "neutral", "M003"),
    ]  # fmt: skip
    assert mead_tree(tmp_path / "tree", has_vectors=True)[0].path.name == "021.npy"
    assert neutral_recordings([tmp_path / "tree"], has_vectors=False) == [Recording(calm, "neutral", "M003")]
    assert neutral_recordings([calm], has_vectors=False)[0].speaker == "M003"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["x/a.wav"], "no recording of a basic emotion; expected sub-folders angry, contempt"),
        (["happy/a.wav"], "no neutral recording; a direction leads from neutral to an emotion"),
        (["neutral/a.wav"], "no emotional recording"),
    ],
)
def test_basic_speech_needs_neutral_and_emotional_clips(tmp_path: Path, files: list[str], said: str) -> None:
    with pytest.raises(UserError, match=f"--basic .*: {said}"):
        basic_recordings(touch(tmp_path, *files), has_vectors=False)
