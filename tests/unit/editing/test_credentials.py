from pathlib import Path

import av
import numpy as np
import pytest

from cmet.editing import credentials
from cmet.editing.credentials import sign_video, signature_of
from cmet.editing.editor import Editor
from cmet.editing.options import EditOptions
from cmet.editing.provenance import SOURCE_TYPE, MadeEmotion, Provenance, read_provenance
from cmet.editing.request import EditRequest, perform
from cmet.errors import UserError
from cmet.media.video import write_video

SAID = Provenance("cmet 1.2", "m", "0", "facemesh", "opensmile", (MadeEmotion("happy", 1.0),))


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


@pytest.fixture
def video(tmp_path: Path, tone: Path) -> Path:
    path = tmp_path / "v.mp4"
    write_video(path, np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), np.uint8), 25, tone, tags=SAID.tags)
    return path


def test_a_signed_video_has_the_same_pictures_and_says_the_same(video: Path, tmp_path: Path) -> None:
    assert signature_of(video) == "none"
    before = packets(video)
    sign_video(video, SAID)
    assert packets(video) == before
    assert read_provenance(video) == SAID
    assert signature_of(video) == "self-signed, unchanged since"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["tone.wav", "v.mp4"]


def test_the_credentials_have_the_source_type_and_no_folder(video: Path, tmp_path: Path) -> None:
    sign_video(video, SAID)
    content = video.read_bytes()
    assert SOURCE_TYPE.encode() in content and b"c2pa.actions" in content
    assert str(tmp_path).encode() not in content


def test_what_was_changed_since_is_found(video: Path) -> None:
    sign_video(video, SAID)
    content = bytearray(video.read_bytes())
    content[content.index(b"mdat") + 200] ^= 1
    video.write_bytes(content)
    assert signature_of(video) == "changed since"


def test_an_edit_and_both_side_by_side_are_signed(
    darkening: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]
) -> None:
    options = EditOptions(is_signed=True, is_quiet=True)
    speech, calm = map(tuple, sounds.values())
    outs = tmp_path / "o.mp4", tmp_path / "both.mp4"
    perform(EditRequest(darkening, speech, outs[0], calm, options=options, side_by_side=outs[1]), editor)
    assert {signature_of(out) for out in outs} == {"self-signed, unchanged since"}


def test_without_the_library_that_is_told_before_anything_slow(
    tmp_path: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch, video: Path
) -> None:
    monkeypatch.setattr(credentials, "is_installed", lambda extra: False)
    assert signature_of(video) is None
    request = EditRequest(tmp_path / "none.mp4", (Path("a.wav"),), tmp_path / "o.mp4", (Path("b.wav"),),
                          options=EditOptions(is_signed=True))  # fmt: skip
    with pytest.raises(UserError, match=r"--sign needs a library that is not here: .*c2pa"):
        perform(request, editor)
