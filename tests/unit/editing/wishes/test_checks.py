from pathlib import Path

import pytest

from cmet.editing.messages import named
from cmet.editing.wishes.checks import check_emotions, check_files
from cmet.editing.wishes.options import EditOptions, NamedEmotion, Share, WantedEmotion
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import UserError
from tests.unit.corpora.trees import pointer

NAMES = ("v.mp4", "happy.wav", "calm.wav", "lips.mp4", "person.png", "sound.mp4")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        (tmp_path / name).write_bytes(b"medium")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/one.mp4").touch()
    return tmp_path


def check(out: str, video: str = "v.mp4", **options: str) -> None:
    named = EditOptions(**{name: Path(path) for name, path in options.items()})
    check_files(Path(video), [Path("happy.wav"), Path("folder")], [Path("calm.wav")], Path(out), named)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("folder", "--out folder: is a folder; name a file in it, such as folder/edited.mp4"),
        ("out.avi", "--out out.avi: expected a name that ends in .mp4"),
        ("happy.wav/new/out.mp4", "happy.wav is a file, so no folder can be made there"),
        (f"new/{'a' * 252}.mp4", "a name of 256 bytes is too long"),
        (f"{'ä' * 200}.mp4", "File name too long"),
        ("v.mp4", "--out is the video itself"),
        ("folder/../v.mp4", "--out is the video itself"),
        ("folder/one.mp4", "--out is the file of --speech"),
    ],
)
def test_a_result_that_cannot_be_is_refused(folder: Path, out: str, said: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match=said):
        check(out)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (pointer("a" * 64, 9), 'is a git-lfs pointer to 9 bytes, not the file; run `git lfs pull --include "{}"`'),
        (b"<html>", "is a web page or an error message (a refused download); fetch it again"),
    ],
)
def test_what_lies_in_the_place_of_a_file_is_named(folder: Path, content: bytes, said: str) -> None:
    (folder / "v.mp4").write_bytes(content)
    with pytest.raises(UserError) as caught:
        check("out.mp4")
    assert str(caught.value) == f"v.mp4 {said.format('v.mp4')}"
    (folder / "v.mp4").write_bytes(b"medium")
    (folder / "sound.mp4").write_bytes(content)
    with pytest.raises(UserError) as caught:
        check("out.mp4", sound="sound.mp4")
    assert str(caught.value) == f"--sound sound.mp4 {said.format('sound.mp4')}"


@pytest.mark.parametrize("out", ["out.mp4", "new/folder/out.MP4", f"{'a' * 251}.mp4"])
def test_a_result_may_lie_anywhere_else(folder: Path, out: str) -> None:
    check(out, lips="lips.mp4", source="person.png", sound="sound.mp4")


def test_a_result_that_is_a_recording_of_a_later_emotion_is_refused(folder: Path) -> None:
    options = EditOptions(then=("neutral", [Path("folder")]))
    check_files(Path("v.mp4"), "neutral", [Path("calm.wav")], Path("out.mp4"), options)
    with pytest.raises(UserError, match="--out is the file of --then"):
        check_files(Path("v.mp4"), "neutral", [Path("calm.wav")], Path("folder/one.mp4"), options)


@pytest.mark.parametrize(
    ("speech", "options", "said"),
    [
        ("neutral", EditOptions(), "^neutral alone changes nothing; name an emotion with --then"),
        ("neutral", EditOptions(then=("neutral",)), "^neutral alone changes nothing"),
        (
            [Path("a")],
            EditOptions(transition="smooth"),
            "^--transition smooth: there is only one emotion; name another",
        ),
        ([Path("a")], EditOptions(then=("neutral",), is_parity=True), "^--parity takes one emotion .*leave out --then"),
    ],
)
def test_emotions_that_make_no_edit_are_refused(speech: WantedEmotion, options: EditOptions, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_emotions(speech, [Path("calm")], options)


def test_an_edit_may_begin_or_end_without_change() -> None:
    calm = [Path("calm")]
    check_emotions([Path("a")], calm, EditOptions())
    check_emotions([Path("a")], calm, EditOptions(then=("neutral",), transition="switch"))
    check_emotions("neutral", calm, EditOptions(then=([Path("a")], "neutral")))


def test_calm_recordings_go_with_recordings_of_an_emotion() -> None:
    happy, then = NamedEmotion("happy"), EditOptions(then=([Path("a")],))
    check_emotions(happy, [], EditOptions())
    with pytest.raises(UserError, match="^--neutral-speech: recordings of an emotion need calm ones"):
        check_emotions(happy, [], then)
    with pytest.raises(UserError, match="^--neutral-speech is for recordings of an emotion, and there are none"):
        check_emotions(happy, [Path("calm")], EditOptions())
    with pytest.raises(UserError, match="^--parity: the authors hear the emotion in recordings"):
        check_emotions(happy, [], EditOptions(is_parity=True))


def test_a_timeline_is_no_place_for_then_and_parity() -> None:
    timeline = Timeline((Segment(1.0, None, (Share(NamedEmotion("happy")),)),))
    with pytest.raises(UserError, match="^--then has no place on a timeline"):
        check_emotions(timeline, [], EditOptions(then=("neutral",)))
    with pytest.raises(UserError, match="^--parity takes one emotion for the whole video"):
        check_emotions(timeline, [], EditOptions(is_parity=True))
    with pytest.raises(UserError, match="^--parity takes one emotion as it is"):
        check_emotions((Share([Path("a")], 0.5), Share([Path("b")])), [Path("calm")], EditOptions(is_parity=True))
    check_emotions(timeline, [], EditOptions(transition="switch"))


def test_a_result_that_is_a_recording_of_a_segment_is_refused(folder: Path) -> None:
    timeline = Timeline((Segment(0.0, None, (Share((Path("folder"),)),), where="t.csv, row 2"),))
    with pytest.raises(UserError, match="--out is the file of t.csv, row 2"):
        check_files(Path("v.mp4"), timeline, [], Path("folder/one.mp4"), EditOptions())


@pytest.mark.parametrize("option", ["lips", "sound"])
def test_a_result_that_is_a_hard_link_to_a_file_is_refused(folder: Path, option: str) -> None:
    (folder / "link.mp4").hardlink_to(folder / f"{option}.mp4")
    with pytest.raises(UserError, match=f"--out is the file of --{option}"):
        check("link.mp4", **{option: f"{option}.mp4"})


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"video": "folder"}, "^folder: is a folder"),
        ({"video": "none.mp4"}, "^none.mp4: no such file"),
        ({"lips": "none.wav"}, "^--lips none.wav: no such file; give own, speech, a sound file or a video"),
        ({"source": "folder"}, "^--source folder: is a folder"),
        ({"sound": "none.wav"}, "^--sound none.wav: no such file"),
    ],
)
def test_files_that_are_not_there_are_told(folder: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check("out.mp4", **files)


@pytest.mark.parametrize(
    ("path", "message", "option", "said"),
    [
        ("/a/v.mp4", "/a/v.mp4 does not exist", "", "/a/v.mp4 does not exist"),
        ("/a/v.mp4", "v.mp4 holds NaN", "", "/a/v.mp4 holds NaN"),
        ("/a/v.mp4", "the sound of v.mp4 is bad", "", "the sound of /a/v.mp4 is bad"),
        ("/a/v.mp4", "the sound of v.mp4 is bad", "--lips", "--lips: the sound of /a/v.mp4 is bad"),
        ("/a/v.mp4", "v.mp4 holds NaN", "--lips", "--lips /a/v.mp4 holds NaN"),
        ("/a/v.mp4", "two faces", "--lips", "--lips /a/v.mp4: two faces"),
        ("a", "a face in 30%", "", "a: a face in 30%"),
    ],
)
def test_a_message_names_its_file_once(path: str, message: str, option: str, said: str) -> None:
    assert named(Path(path), message, option) == said
