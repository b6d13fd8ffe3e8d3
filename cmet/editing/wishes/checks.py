"""What can be told of an edit before anything slow: files that are not there, and wishes that do not fit."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cmet.archives import refuse_stand_in
from cmet.editing.editor import BackboneKind
from cmet.editing.messages import named
from cmet.editing.wishes.options import EditOptions, NamedEmotion, OneEmotion, WantedEmotion, recordings, shares_of
from cmet.editing.wishes.timeline import Timeline, where
from cmet.errors import ClipError, UserError
from cmet.inputs.files import oddity
from cmet.media.kinds import sorted_out

SUFFIX = ".mp4"


def check_files(
    video: Path,
    speech: WantedEmotion | Timeline,
    neutral_speech: Sequence[Path],
    out: Path,
    options: EditOptions,
    target: str = "--out",
) -> None:
    """Make sure that the files are there and that the result can be.

    Recordings are not looked for: a vector may stand in for one.

    Raises:
        UserError: One is missing, a folder, empty, a git-lfs pointer or a web page, or `out` cannot be written or is
            one of the files.
    """
    files = {"the video itself": video, **_named_files(options)}
    _check_out(out, target)
    heard = [("--neutral-speech", neutral_speech), *((name, recordings(one)) for name, one in _wanted(speech, options))]
    listed = [(name, path) for name, path in files.items()]
    listed += [(name, path) for name, paths in heard for path in _files(paths)]
    for name, path in listed:
        if _is_same(out, path):
            raise UserError(f"{target} is {_role(name)} ({path}); name another file")
    for name, path in files.items():
        option = f"{name} " if name.startswith("--") else ""
        odd = oddity(path)
        # of an empty one more is said below
        if odd is not None and not path.is_file():
            words = "own, speech, a sound file or a video" if name == "--lips" else "the path of a file"
            raise UserError(f"{option}{path}: {odd}; give {words}")
        try:
            refuse_stand_in(path)
        except ClipError as error:
            raise UserError(named(path, error.message, option.strip())) from error


def check_emotions(speech: WantedEmotion | Timeline, neutral_speech: Sequence[Path], options: EditOptions) -> None:
    """Make sure that the emotions make an edit.

    Raises:
        UserError: There is none, or there is one and a transition, or they are several or told and follow the authors,
            or they have times and others follow, or calm recordings are missing or not needed.
    """
    emotions = [one for _, one in _wanted(speech, options)]
    has_times = isinstance(speech, Timeline)
    if has_times and options.then:
        raise UserError("--then has no place on a timeline, whose segments follow each other; leave it out")
    if all(one == "neutral" for one in all_emotions(speech, options)):
        raise UserError(
            "neutral alone changes nothing; name an emotion with --then (./neutral is a folder of that name)"
        )
    is_heard = any(recordings(one) for one in emotions)
    if is_heard and not neutral_speech:
        raise UserError("--neutral-speech: recordings of an emotion need calm ones to compare with; name some")
    if neutral_speech and not is_heard:
        raise UserError("--neutral-speech is for recordings of an emotion, and there are none; leave it out")
    if options.is_parity and has_times:
        raise UserError("--parity takes one emotion for the whole video, as the authors do; leave out the timeline")
    if options.is_parity and isinstance(speech, NamedEmotion):
        raise UserError("--parity: the authors hear the emotion in recordings; name some with --speech")
    if options.is_parity and any(len(shares_of(one)) > 1 for one in emotions):
        raise UserError("--parity takes one emotion as it is, as the authors do; give no blend")
    if options.transition is not None and not options.then and not has_times:
        raise UserError(f"--transition {options.transition}: there is only one emotion; name another with --then")
    if options.then and options.is_parity:
        raise UserError("--parity takes one emotion for the whole video, as the authors do; leave out --then")


def check_wishes(kind: BackboneKind, options: EditOptions) -> None:
    """Make sure that the backbone can do what is wished for; lips are checked by `chosen_lips`.

    Raises:
        UserError: It cannot.
    """
    if options.is_parity and kind.name != "edtalk":
        raise UserError(f"--parity: the authors' procedure is for edtalk, but this model is for {kind.name}")
    if options.is_parity and options.framing not in (None, "as-is"):
        raise UserError(f"--parity takes frames as they are; leave out --framing {options.framing}")
    if kind.picture_px is None and options.framing not in (None, "paste"):
        raise UserError(f"--framing {options.framing}: {kind.name} changes frames in place; leave --framing out")
    if kind.picture_px is None and options.source is not None:
        raise UserError(f"--source {options.source}: {kind.name} changes the video's own face; leave --source out")


def all_emotions(speech: WantedEmotion | Timeline, options: EditOptions) -> list[OneEmotion]:
    """All emotions that an edit names, those of blends one by one."""
    return [share.emotion for _, one in _wanted(speech, options) for share in shares_of(one)]


def _wanted(speech: WantedEmotion | Timeline, options: EditOptions) -> list[tuple[str, WantedEmotion]]:
    """All emotions in their order, and where each was named."""
    if isinstance(speech, Timeline):
        return [(where(segment, number), segment.blend) for number, segment in enumerate(speech.segments)]
    return [("--speech", speech), *(("--then", one) for one in options.then)]


def _named_files(options: EditOptions) -> dict[str, Path]:
    found = {
        "--lips": options.lips,
        "--source": options.source,
        "--sound": options.sound,
        "--sign-key": options.sign_key,
        "--sign-certificate": options.sign_certificate,
    }
    return {name: path for name, path in found.items() if isinstance(path, Path)}


def _role(name: str) -> str:
    return name if name == "the video itself" else f"the file of {name}"


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as given, and what folders hold."""
    for path in paths:
        if path.is_dir():
            yield from sorted_out(path.iterdir())[0]
        else:
            yield path


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _check_out(out: Path, option: str) -> None:
    try:
        if out.is_dir():
            raise UserError(f"{option} {out}: is a folder; name a file in it, such as {out / f'edited{SUFFIX}'}")
        if out.suffix.lower() != SUFFIX:
            raise UserError(f"{option} {out}: expected a name that ends in {SUFFIX}")
        folder = next(parent for parent in out.absolute().parents if parent.exists())
        if not folder.is_dir():
            raise UserError(f"{option} {out}: {folder} is a file, so no folder can be made there; name another path")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"{option} {out}: {folder} cannot be written to; name another path")
        longest = max(len(os.fsencode(part)) for part in out.absolute().relative_to(folder).parts)
        if longest > os.pathconf(folder, "PC_NAME_MAX"):
            raise UserError(f"{option} {out}: a name of {longest} bytes is too long; name a shorter one")
    except OSError as error:
        raise UserError(f"{option} {out}: cannot be written ({error.strerror}); name another path") from error
