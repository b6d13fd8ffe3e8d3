import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import av
import numpy as np
import pytest

from cmet.editing.editor import Editor
from cmet.editing.reports import EmotionReport
from cmet.editing.result.provenance import SOURCE_TYPE, MadeEmotion, Provenance, bare_names, read_provenance
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions, NamedEmotion, Share
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.environment import own_version
from cmet.errors import UserError
from cmet.media.video import read_video, write_video

SECRET = "of-a-friend"


@pytest.fixture
def made(darkening: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]) -> Path:
    """An edit by recordings in a folder whose name is nobody's business."""
    folder = tmp_path / SECRET / "angry"
    folder.mkdir(parents=True)
    copyfile(sounds["speech"][0], folder / "1.wav")
    options = EditOptions(strength=2.0, sound=sounds["speech"][0], is_quiet=True)
    edit_video(darkening, [folder], sounds["neutral_speech"], tmp_path / "out.mp4", editor, options)
    return tmp_path / "out.mp4"


def test_an_edit_says_by_what_it_was_made_and_to_what(made: Path, editor: Editor) -> None:
    said = read_provenance(made)
    assert said == Provenance(
        made_by=f"cmet {own_version()}",
        model=editor.bundle.folder.name,
        model_sha256=editor.model_sha256,
        backbone="facemesh",
        speech_encoder="opensmile",
        emotions=(MadeEmotion("angry", 2.0),),
        settings={"sound": "happy.wav"},
    )
    assert len(said.model_sha256) == 64
    with av.open(str(made)) as container:
        comment = container.metadata["comment"]
    assert comment.startswith("AI-edited face: cmet ")
    assert "angry (strength 2)" in comment and SOURCE_TYPE in comment


def test_no_folder_stands_in_the_file(made: Path, tmp_path: Path) -> None:
    content = made.read_bytes()
    assert SECRET.encode() not in content
    assert str(tmp_path).encode() not in content


def test_programs_that_read_xmp_find_the_source_type(made: Path) -> None:
    content = made.read_bytes()
    start = content.index(bytes.fromhex("be7acfcb97a942e89c71999491e3afac")) - 8
    assert int.from_bytes(content[start : start + 4], "big") == len(content) - start
    assert content[start + 4 : start + 8] == b"uuid"
    assert f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"'.encode() in content[start:]


def test_what_a_file_says_changes_no_frame_and_no_sound(tmp_path: Path, sounds: dict[str, list[Path]]) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), np.uint8)
    paths = [tmp_path / "plain.mp4", tmp_path / "told.mp4"]
    for path, tags in zip(paths, (None, {"comment": "AI-edited face", "synopsis": "x" * 9999}), strict=True):
        write_video(path, frames, 25, sounds["speech"][0], tags=tags)
    Provenance("cmet", "m", "0", "facemesh", "opensmile", ()).put_into(paths[1])
    packets = []
    for path in paths:
        with av.open(str(path)) as container:
            packets.append([(one.pts, one.stream_index, bytes(one)) for one in container.demux() if one.size])
    assert packets[0] == packets[1]
    np.testing.assert_array_equal(read_video(paths[0]).frames, read_video(paths[1]).frames)


def test_the_same_edit_has_the_same_bytes(
    real: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]
) -> None:
    video, made = tmp_path / "v.mp4", [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    write_video(video, read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(7)).frames, 25)
    for out in made:
        edit_video(video, **sounds, out=out, editor=editor, options=EditOptions(is_quiet=True))
    assert made[0].read_bytes() == made[1].read_bytes()


def test_names_are_those_of_files_and_words_in_their_order() -> None:
    happy, sad = NamedEmotion("happy"), (Path("/home/anna/sad"), Path("/home/anna/more.wav"))
    odd = (Path(os.fsdecode(b"/home/caf\xe9")),)
    options = EditOptions(then=("neutral", sad, odd))
    assert bare_names(happy, options) == ("happy", "neutral", "sad and 1 more", "caf\\xe9")
    blend = (Share(happy, 0.5), Share(sad, 0.25))
    timeline = Timeline((Segment(0, 1, blend), Segment(1, None, (Share(happy),))))
    assert bare_names(timeline, EditOptions()) == ("0.5 happy + 0.25 sad and 1 more", "happy")


def test_emotions_with_times_are_told_with_them(editor: Editor) -> None:
    told = [EmotionReport("x/happy", 1.0, 1.23456, start_s=0.0, end_s=2.0), EmotionReport("neutral", 0.0, 0.0)]
    said = Provenance.of(editor, ("happy", "neutral"), told, EditOptions(is_marked=True))
    assert said.emotions == (MadeEmotion("happy", 1.2346, 0.0, 2.0), MadeEmotion("neutral", 0.0))
    assert "happy (strength 1.23) from 0 s, then no change, with" in said.sentence
    assert json.loads(said.tags["synopsis"])["settings"] == {"is_marked": True}


def no_file(path: Path) -> None:
    pass


def no_video(path: Path) -> None:
    path.write_text("hello")


def silent(path: Path) -> None:
    write_video(path, np.zeros((3, 64, 64, 3), np.uint8), 25)


def of_others(path: Path) -> None:
    write_video(path, np.zeros((3, 64, 64, 3), np.uint8), 25, tags={"synopsis": '{"made_by": "somebody"}'})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_file, "no such file"),
        (no_video, "cannot be read as a video"),
        (silent, "says nothing of an edit by cmet"),
        (of_others, "says nothing of an edit by cmet"),
    ],
)
def test_a_file_that_says_nothing_is_one_sentence(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    make(tmp_path / "v.mp4")
    with pytest.raises(UserError, match=f"v.mp4: {said}"):
        read_provenance(tmp_path / "v.mp4")


def test_what_somebody_else_wrote_cannot_move_the_cursor(tmp_path: Path) -> None:
    said = Provenance("cmet\x1b[2J", "m" * 999, "0", "facemesh", "opensmile", (MadeEmotion("a\nb", 1.0),))
    write_video(tmp_path / "v.mp4", np.zeros((3, 64, 64, 3), np.uint8), 25, tags=said.tags)
    read = read_provenance(tmp_path / "v.mp4")
    assert (read.made_by, read.emotions[0].name) == ("cmet [2J", "a b")
    assert len(read.model) < 210
