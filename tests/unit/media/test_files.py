import os
from pathlib import Path

import av
import numpy as np
import pytest

from cmet.errors import ClipError
from cmet.media.files import open_media
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import VideoFile, write_video

NAMES = [
    "2024-01-01T12:30:00.mp4", "http:x.mp4", "file:x.mp4", "data:x.mp4", "concat:a.mp4|b.mp4", "-", "-x.mp4",
    "%03d.mp4", "a\nb.mp4", "[a]*?.mp4", "' $HOME ;.mp4", "Mu\u0308ller.mp4", os.fsdecode(b"caf\xe9.mp4"),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_that_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving_square: Path, tone: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    moving_square.rename(name)
    file = VideoFile(Path(name))
    assert (len(file), file.reader) == (30, "decord")
    (frame,) = file.frames_at([29])
    assert len(read_sound(Path(name), 16_000)) > 15_000
    sound = Path(name).with_name(f"{name}.wav")
    tone.rename(sound)
    assert len(read_sound(sound, 16_000)) == 16_000
    folder = Path(f"{name}:1")
    folder.mkdir()
    write_sound(folder / sound, np.zeros(800), 16_000)
    assert write_video(folder / name, [frame] * 3, 30, folder / sound) == 3
    assert len(VideoFile(folder / name)) == 3


LISTS = {
    "concat.mp4": "ffconcat version 1.0\nfile square.mp4\n",
    "concat.wav": "ffconcat version 1.0\nfile square.mp4\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsquare.mp4\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/square.ts\n#EXT-X-ENDLIST\n",
    "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "img%03d.png": "hello",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_files_or_addresses_is_no_medium(tmp_path: Path, moving_square: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(LISTS[name])
    with pytest.raises(av.FFmpegError):
        open_media(path)
    with pytest.raises(ClipError, match="unreadable_video"):
        VideoFile(path)
    with pytest.raises(ClipError, match="unreadable_audio"):
        read_sound(path, 16_000)
