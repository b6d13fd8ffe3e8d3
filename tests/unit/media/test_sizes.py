"""Frames, pictures and sounds so large, or said to be, that the memory would not hold them."""

import struct
import zlib
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from cmet.errors import ClipError
from cmet.media.container import MAX_SIDE_PX, Container
from cmet.media.packets import picture_track
from cmet.media.pictures import read_picture
from cmet.media.readers import BATCH_BYTES, DecordReader
from cmet.media.sound import read_sound
from cmet.media.video import VideoFile
from tests.unit.media.making import encode_numbered, number_in, numbered


def flat_video(path: Path, width: int, height: int, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"preset": "ultrafast"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux([*stream.encode(frame), *stream.encode(None)])


def png(path: Path, width: int, height: int) -> None:
    """A black PNG, made line by line."""
    packed = zlib.compressobj(9)
    lines = b"".join(packed.compress(bytes(1 + 3 * width)) for _ in range(height)) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", lines), (b"IEND", b"")]
    packets = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packets))


def claims_a_size(path: Path) -> None:
    """A PNG of 64x64 whose header says 30000x30000."""
    png(path, 64, 64)
    content = path.read_bytes()
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])


@pytest.mark.parametrize(("width", "height"), [(6016, 6016), (20_000, 16)])
def test_a_frame_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    flat_video(tmp_path / "large.mkv", width, height, "ffv1" if width > MAX_SIDE_PX else "libx264")
    with pytest.raises(
        ClipError, match=rf"too_large: large\.mkv has frames of {width}x{height}; at most 36 megapixels"
    ):
        VideoFile(tmp_path / "large.mkv")


def test_a_wide_and_flat_video_is_read(tmp_path: Path) -> None:
    flat_video(tmp_path / "flat.mp4", MAX_SIDE_PX, 16, "libx264")
    (frame,) = VideoFile(tmp_path / "flat.mp4").frames_at([0])
    assert frame.shape == (16, MAX_SIDE_PX, 3)


@pytest.mark.parametrize(("width", "reader"), [(2, "pyav"), (48, "pyav"), (72, "pyav"), (74, "decord")])
def test_a_narrow_and_high_video_is_read(tmp_path: Path, width: int, reader: str) -> None:
    flat_video(tmp_path / "narrow.mp4", width, 256, "libx264")
    file = VideoFile(tmp_path / "narrow.mp4")
    (frame,) = file.frames_at([0])
    assert (file.reader, frame.shape) == (reader, (256, width, 3))


def test_large_frames_are_read_one_by_one(tmp_path: Path) -> None:
    flat_video(tmp_path / "large.mp4", 4096, 4096, "libx264")
    file = VideoFile(tmp_path / "large.mp4")
    assert (file.reader, len(list(file.frames_at([0])))) == ("pyav", 1)


@pytest.mark.parametrize("name", ["claims.png", "claims.mp4"])
def test_a_picture_given_as_video_is_held_to_the_same_limit(tmp_path: Path, name: str) -> None:
    claims_a_size(tmp_path / name)
    with pytest.raises(ClipError, match=rf"unreadable_video: {name} holds no frames, or frames of more than 36 mega"):
        VideoFile(tmp_path / name)


def test_the_first_batch_is_as_small_as_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode_numbered(tmp_path / "plain.mp4", "libx264")
    # frames of 12 MB, as the container says
    container = Container.read(path)
    large = replace(container.display, unturned_px=(2048, 2048))
    reader = DecordReader(path, replace(container, display=large))
    sizes = []
    get_batch = reader._reader.get_batch
    monkeypatch.setattr(
        reader._reader, "get_batch", lambda indices: [sizes.append(len(indices)), get_batch(indices)][1]
    )
    assert len(list(reader.frames_at(range(20)))) == 20
    assert sizes == [BATCH_BYTES // (2048 * 2048 * 3)] * 10


def test_a_picture_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    claims_a_size(tmp_path / "large.png")
    with pytest.raises(ClipError, match=r"too_large: large\.png has more than 120 megapixels"):
        read_picture(tmp_path / "large.png")


@pytest.mark.parametrize(("limit", "is_read"), [(40 * 40, True), (40 * 40 - 1, False)])
def test_only_our_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, limit: int, is_read: bool
) -> None:
    # Pillow warns of what is larger than its own
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr("cmet.media.pictures.MAX_PICTURE_PIXELS", limit)
    Image.new("RGB", (40, 40), "red").save(tmp_path / "photograph.png")
    with nullcontext() if is_read else pytest.raises(ClipError, match="too_large"):
        assert read_picture(tmp_path / "photograph.png")[0, 0].tolist() == [255, 0, 0]
    assert not list(recwarn)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_still_before_the_video_is_not_the_video(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"with_still.{suffix}"
    with av.open(str(path), "w") as container:
        still, moving = container.add_stream("mjpeg", rate=25), container.add_stream("libx264", rate=25)
        still.width, still.height, still.pix_fmt = 320, 240, "yuvj420p"
        moving.height, moving.width = numbered(0).shape[:2]
        moving.pix_fmt = "yuv420p"
        cover = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 200, np.uint8), format="rgb24")
        container.mux([*still.encode(cover), *still.encode(None)])
        for number in range(10):
            container.mux(moving.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        container.mux(moving.encode(None))
    file = VideoFile(path)
    assert (len(file), file.height, file.width) == (10, *numbered(0).shape[:2])
    assert number_in(next(file.frames_at([7]))) == 7
    with av.open(str(path)) as container:
        track = picture_track(container)
        assert track is not None
        assert track.index == 1


def test_a_file_whose_only_picture_is_a_still_is_a_video_of_one_frame(tmp_path: Path) -> None:
    Image.fromarray(numbered(5)).save(tmp_path / "still.png")
    assert len(VideoFile(tmp_path / "still.png")) == 1


def test_a_flac_that_promises_weeks_of_sound_does_not_get_the_memory_for_them(tmp_path: Path) -> None:
    path = tmp_path / "promise.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    content = bytearray(path.read_bytes())
    # the last 36 bits of these are the number of samples
    content[18:26] = (int.from_bytes(content[18:26], "big") | (1 << 36) - 1).to_bytes(8, "big")
    path.write_bytes(content)
    # libsndfile refuses it
    with suppress(ClipError):
        assert len(read_sound(path, 16_000)) == 16_000


def test_a_second_of_sound_does_not_become_hours(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.full(16_000, 0.1), 1)
    with pytest.raises(ClipError, match=r"bad_sound: slow\.wav says 1 samples per second; at least 1000 are needed"):
        read_sound(tmp_path / "slow.wav", 16_000)


def test_silence_before_the_sound_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        picture, sound = container.add_stream("libx264", rate=25), container.add_stream("pcm_s16le", rate=16_000)
        picture.height, picture.width = numbered(0).shape[:2]
        picture.pix_fmt, sound.codec_context.layout = "yuv420p", "mono"
        frame = av.VideoFrame.from_ndarray(numbered(0), format="rgb24")
        container.mux([*picture.encode(frame), *picture.encode(None)])
        block = av.AudioFrame.from_ndarray(np.full((1, 1024), 500, np.int16), format="s16", layout="mono")
        block.sample_rate, block.pts = 16_000, 4000 * 16_000
        container.mux([*sound.encode(block), *sound.encode(None)])
    with pytest.raises(
        ClipError, match=r"unreadable_audio: the sound of late\.mkv begins over an hour after the picture"
    ):
        read_sound(path, 16_000)
