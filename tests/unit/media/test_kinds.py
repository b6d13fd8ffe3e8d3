import os
from pathlib import Path

import pytest

from cmet.media.kinds import begins_like_medium, sorted_out


def test_a_folder_is_sorted_into_media_and_other_files(tmp_path: Path, tone: Path, moving_square: Path) -> None:
    content = tone.read_bytes()
    for name in ("B.WAV", "voice", "take.bin", "._tone.wav", ".DS_Store", "Thumbs.db", "cover.jpg"):
        (tmp_path / name).write_bytes(b"" if name in (".DS_Store", "Thumbs.db", "cover.jpg") else content)
    (tmp_path / "notes.txt").write_text("RIFF and other words")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "broken.wav").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.wav")
    media, others = sorted_out(tmp_path.iterdir())
    assert [path.name for path in media] == ["B.WAV", "square.mp4", "take.bin", "tone.wav", "voice"]
    assert [path.name for path in others] == ["._tone.wav", "broken.wav", "cover.jpg", "notes.txt", "pipe.wav"]


@pytest.mark.parametrize(
    ("head", "is_medium"),
    [
        (b"\0\0\0\x1cftypisom", True),
        (b"\0\0\0\x1cftypheic", False),
        (b"\0\0\0\x08wide", True),
        (b"RIFF\0\0\0\0WAVEfmt ", True),
        (b"RIFF\0\0\0\0WEBPVP8 ", False),
        (b"FORM\0\0\0\0AIFC", True),
        (b"G" + bytes(187) + b"G" + bytes(187) + b"G", True),
        (b"GIF89a", False),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", False),
        (b"\xff\xfea\0", False),
        (b"", False),
    ],
)
def test_first_bytes_tell_a_medium(head: bytes, is_medium: bool) -> None:
    assert begins_like_medium(head) is is_medium
