from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import soundfile

from cmet.editing.editor import Editor
from cmet.editing.emotions.speech import hear, hear_stretches, hearing_note, speech_files
from cmet.errors import UserError
from cmet.media.sound import write_sound
from cmet.speech.encoders.encoder import SpeechEncoder
from cmet.speech.encoders.precomputed import FEATURES_FOLDER
from cmet.speech.encoders.registry import ENCODERS, load_encoder
from tests.unit.corpora.trees import pointer
from tests.unit.editing.models import noise

VECTOR = np.linspace(-1, 1, 1024, dtype=np.float32)


@pytest.fixture
def absent() -> SpeechEncoder:
    """emotion2vec on a machine without FunASR."""

    def check() -> None:
        raise UserError("emotion2vec: FunASR is not installed")

    return replace(load_encoder("emotion2vec", Path("weights")), check=check)


def test_six_channels_at_48_khz_are_heard_like_any_other(tmp_path: Path, editor: Editor) -> None:
    wide = np.repeat(noise(1.5)[:, None], 6, axis=1)
    soundfile.write(tmp_path / "wide.wav", wide, 48_000, subtype="PCM_16")
    assert hear(editor.encoder, [tmp_path / "wide.wav"], "--speech").vectors_NS.shape == (1, 88)


def test_a_folder_of_speech_means_its_sound_files(tmp_path: Path, sounds: dict[str, list[Path]]) -> None:
    for name in ("notes.txt", "happy.txt", "._calm.wav", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).touch()
    np.save(tmp_path / "vector.npy", VECTOR)
    for name in ("memo.opus", "memo", "B.WAV"):
        copyfile(tmp_path / "calm.wav", tmp_path / name)
    files, passed_over = speech_files([tmp_path])
    assert [path.name for path in files] == ["B.WAV", "calm.wav", "happy.wav", "memo", "memo.opus"]
    assert [path.name for path in passed_over] == ["._calm.wav", "notes.txt", "vector.npy"]
    files, passed_over = speech_files([tmp_path], has_vectors=True)
    assert [path.name for path in files] == ["vector.npy"]
    assert len(passed_over) == 8
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no sound file in this folder"):
        speech_files([tmp_path / "empty"])


@pytest.mark.parametrize("name", ["none", "none.wav", "none.npy"])
def test_what_is_not_there_is_named_once(tmp_path: Path, editor: Editor, name: str) -> None:
    for encoder in (editor.encoder, load_encoder("precomputed", Path("weights"))):
        with pytest.raises(UserError, match=f"^--then: {tmp_path / name} does not exist$"):
            hear(encoder, [tmp_path / name], "--then")


@pytest.mark.parametrize("name", ["a.wav", "a.npy"])
def test_a_pointer_of_git_lfs_or_an_empty_file_is_named(tmp_path: Path, editor: Editor, name: str) -> None:
    file = tmp_path / name
    encoder = load_encoder("precomputed", Path("weights")) if name == "a.npy" else editor.encoder
    file.write_bytes(pointer("a" * 64, 9))
    with pytest.raises(UserError, match=f"^--speech: {file} is a git-lfs pointer to 9 bytes, .*--include .{name}.`$"):
        hear(encoder, [file], "--speech")
    file.write_bytes(b"")
    with pytest.raises(UserError, match=f"^--speech: {file} is empty$"):
        hear(encoder, [file], "--speech")


@pytest.mark.parametrize("name", ["emotion2vec", "precomputed"])
def test_vectors_of_the_release_need_no_encoder(tmp_path: Path, name: str) -> None:
    for number in (2, 1):
        np.save(tmp_path / f"{number}.npy", number * VECTOR)
    heard = hear(load_encoder(name, Path("weights")), [tmp_path], "--speech")
    np.testing.assert_array_equal(heard.vectors_NS, [VECTOR, 2 * VECTOR])
    assert heard.num_stored == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.full(1024, np.nan), "1024 value(s) are not finite"),
        (np.zeros((2, 1024)), r"float64 of shape \(2, 1024\), expected one vector of shape \(1024,\)"),
        (np.array(["a"] * 1024), "is an array of <U1"),
        (b"hello", "is not a numpy array"),
        (None, "does not exist"),
    ],
)
def test_a_vector_that_is_none_is_one_message(tmp_path: Path, content: np.ndarray | bytes | None, said: str) -> None:
    path = tmp_path / "a.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(UserError, match=f"--speech: .*a.npy.*{said}".replace("(s)", r"\(s\)")):
        hear(load_encoder("emotion2vec", Path("weights")), [path], "--speech")


def test_a_vector_beside_its_sound_stands_in_for_an_encoder_that_is_not_here(
    tmp_path: Path, absent: SpeechEncoder
) -> None:
    write_sound(tmp_path / "a.wav", noise(1.0), 16_000)
    with pytest.raises(UserError, match="FunASR is not installed"):
        hear(absent, [tmp_path / "a.wav"], "--speech")
    with pytest.raises(UserError, match=r"--speech: .*a.npy does not exist; .*give \.npy files"):
        hear(load_encoder("precomputed", Path("weights")), [tmp_path / "a.wav"], "--speech")
    with pytest.raises(UserError, match=r"--speech: .*b\.wav does not exist"):
        hear(absent, [tmp_path / "b.wav"], "--speech")
    (tmp_path / FEATURES_FOLDER).mkdir()
    np.save(tmp_path / FEATURES_FOLDER / "a.npy", VECTOR)
    for encoder, num_stored in ((absent, 1), (load_encoder("precomputed", Path("weights")), 0)):
        heard = hear(encoder, [tmp_path / "a.wav"], "--speech")
        np.testing.assert_array_equal(heard.vectors_NS, [VECTOR])
        assert heard.num_stored == num_stored


def test_a_vector_is_no_sound_for_other_encoders(tmp_path: Path, editor: Editor) -> None:
    np.save(tmp_path / "a.npy", VECTOR)
    with pytest.raises(UserError, match=r"--speech: .*a\.npy"):
        hear(editor.encoder, [tmp_path / "a.npy"], "--speech")


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_whatever_hears_worse_than_emotion2vec_says_so_with_the_command_that_gets_it(name: str) -> None:
    note = hearing_note(name)
    if name in ("emotion2vec", "precomputed"):
        assert note is None
    else:
        assert note is not None
        assert note.startswith(f"{name} hears the emotion of a real voice worse than emotion2vec does")
        assert "`cmet weights get --for hear`" in note


def test_stretches_overlap_and_the_last_ends_with_the_recording(tmp_path: Path, editor: Editor) -> None:
    for name, seconds in (("long.wav", 3.2), ("short.wav", 1.5)):
        write_sound(tmp_path / name, noise(seconds), 16_000)
    long = hear_stretches(editor.encoder, [tmp_path / "long.wav"], "--speech", is_quiet=True)
    np.testing.assert_allclose(long.middles_s, [1, 1.4, 1.8, 2.2])
    short = hear_stretches(editor.encoder, [tmp_path / "short.wav"], "--speech", is_quiet=True)
    np.testing.assert_allclose(short.middles_s, [0.75])
    np.testing.assert_array_equal(short.vectors_MS, hear(editor.encoder, [tmp_path / "short.wav"], "").vectors_NS)


def test_only_one_sound_can_be_followed(tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]) -> None:
    with pytest.raises(UserError, match="^--speech: a face can follow one recording, but there are 2; name one"):
        hear_stretches(editor.encoder, [tmp_path], "--speech")
    np.save(tmp_path / "v.npy", VECTOR)
    with pytest.raises(
        UserError, match="^--speech: .*v.npy cannot be followed, since a stored vector stands for a who"
    ):
        hear_stretches(editor.encoder, [tmp_path / "v.npy"], "--speech")
    with pytest.raises(UserError, match="^row 2: .*none.wav does not exist"):
        hear_stretches(editor.encoder, [tmp_path / "none.wav"], "row 2")
