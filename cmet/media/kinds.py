"""Which files are video or sound: by their names first, by their first bytes where a name says nothing."""

from collections.abc import Iterable, Sequence
from pathlib import Path

VIDEO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".3gpp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm",
    ".wmv",
})  # fmt: skip
SOUND_SUFFIXES = frozenset({
    ".3ga", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".awb", ".caf", ".eac3", ".flac", ".m4a",
    ".m4b", ".mka", ".mp2", ".mp3", ".mpga", ".oga", ".ogg", ".opus", ".rf64", ".spx", ".tta", ".w64", ".wav", ".wave",
    ".weba", ".wma", ".wv",
})  # fmt: skip
MEDIA_SUFFIXES = VIDEO_SUFFIXES | SOUND_SUFFIXES
"""What every door takes: edits, folders of speech, tables, corpora and results of other methods."""

MAX_NAMED = 5

SYSTEM_FILES = frozenset({".ds_store", "desktop.ini", "thumbs.db"})
"""What file managers leave in folders."""

NUM_SIGNATURE_BYTES = 1024
STARTS = (
    b"\x1aE\xdf\xa3", b"OggS", b"fLaC", b"ID3", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"\0\0\x01\xba", b"#!AMR", b"caff",
    b".snd\0", b"RF64", b".RMF", b"MAC ", b"wvpk", b"TTA1",
)  # fmt: skip
"""Of matroska, ogg, flac, mp3 with tags, flv, asf, mpeg, amr, caf, au, rf64, real media, ape, wavpack and tta."""

PICTURE_BRANDS = frozenset({b"avif", b"avis", b"crx ", b"heic", b"heim", b"heix", b"mif1", b"msf1"})
"""Kinds of mp4 that are photographs."""

BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")
"""With which mp4 and mov begin, after four bytes of length."""

TS_PACKET = 188
FRAME_STARTS = (b"\xff\xf1", b"\xff\xf9", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\x0bw")
"""Of aac, mp3 and ac3 without a container."""


def is_medium(path: Path) -> bool:
    """Whether a file is video or sound: by its suffix, or by its first bytes where that is none of ours."""
    if path.suffix.lower() in MEDIA_SUFFIXES:
        return True
    try:
        with path.open("rb") as stream:
            head = stream.read(NUM_SIGNATURE_BYTES)
    except OSError:
        return False
    return begins_like_medium(head)


def said_passed_over(files: Sequence[Path | str]) -> str:
    """A sentence that counts what was passed over and names the first."""
    more = f" and {len(files) - MAX_NAMED} more" if len(files) > MAX_NAMED else ""
    what = (
        "1 file is no video or sound and was"
        if len(files) == 1
        else f"{len(files)} files are no video or sound and were"
    )
    return f"{what} passed over: {', '.join(map(str, files[:MAX_NAMED]))}{more}"


def begins_like_medium(head: bytes) -> bool:
    """Whether a file that begins with these bytes is video or sound."""
    if head[4:8] in BOXES:
        return head[8:12] not in PICTURE_BRANDS
    if head[:4] in (b"RIFF", b"RIFX", b"FORM"):
        return head[8:12] in (b"WAVE", b"AVI ", b"AIFF", b"AIFC")
    is_transport = all(head[place : place + 1] == b"G" for place in range(0, 3 * TS_PACKET, TS_PACKET))
    return is_transport or head.startswith((*STARTS, *FRAME_STARTS))


def sorted_out(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Video and sound among the files of a folder, and what else there is; both in order.

    Hidden files, such as the `._take.wav` of macOS, are no media, nor are broken links and pipes; what file managers
    leave is neither.
    """
    media: list[Path] = []
    others: list[Path] = []
    for file in sorted(files):
        if file.name.lower() in SYSTEM_FILES or file.is_dir():
            continue
        # a pipe would wait for a writer
        is_wanted = not file.name.startswith(".") and file.is_file() and is_medium(file)
        (media if is_wanted else others).append(file)
    return media, others
