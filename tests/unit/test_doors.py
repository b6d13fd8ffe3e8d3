"""Wherever a file is taken from, what is no file is said what it is; nothing waits for a pipe."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cmet.connector.bundle import load_bundle
from cmet.corpora.csv_files import read_csv
from cmet.corpora.table import find_table
from cmet.editing.emotions.speech import hear
from cmet.editing.wishes.checks import check_files
from cmet.editing.wishes.options import EditOptions
from cmet.errors import ClipError, UserError
from cmet.experiments import read_experiment, use_experiment
from cmet.extended.recordings import emotion_folders, neutral_recordings
from cmet.inputs.arrays import read_array
from cmet.judge.card import CARD, read_card
from cmet.judge.checkpoints import read_resnet18
from cmet.judge.released import open_judge
from cmet.media.sound import read_sound
from cmet.media.video import VideoFile
from cmet.params import load_params
from cmet.scores.manifest import read_manifest
from cmet.scores.results import read_results
from cmet.speech.encoders.precomputed import read_vector
from cmet.speech.encoders.registry import load_encoder
from cmet.weights.identify import identify, load_file_as

SAMPLE = Path(__file__).parents[2] / "experiments/sample.yaml"


def edit_of(path: Path) -> None:
    """An edit of a file."""
    check_files(path, [Path("a.wav")], [Path("b.wav")], Path("out.mp4"), EditOptions())


def edit_with(option: str) -> Callable[[Path], None]:
    """An edit with a file for an option."""
    return lambda path: check_files(
        Path(__file__), [Path("a.wav")], [Path("b.wav")], Path("out.mp4"), EditOptions(**{option: path})
    )


def scored_row(path: Path) -> None:
    """A manifest with a row that names a file."""
    manifest = path.with_name("manifest.csv")
    manifest.write_text(f"source_video_path,gt_video_path,gt_emotion,generated_path\n{path},{path},happy,{path}\n")
    read_manifest(manifest)


DOORS: dict[str, Callable[[Path], object]] = {
    "video": VideoFile,
    "sound": lambda path: read_sound(path, 16_000),
    "speech": lambda path: hear(load_encoder("opensmile", Path("weights")), [path], "--speech"),
    "edit": edit_of,
    **{f"edit --{option}": edit_with(option) for option in ("sound", "source", "lips")},
    "calm recordings": lambda path: neutral_recordings([path], has_vectors=False),
    "emotional recordings": lambda path: emotion_folders([path]),
    "vector": read_vector,
    "array": read_array,
    "params": load_params,
    "experiment": read_experiment,
    "csv": read_csv,
    "table": find_table,
    "manifest": read_manifest,
    "row of a manifest": scored_row,
    "results": read_results,
    "judge": lambda path: open_judge(path, ["happy", "sad"]),
    "resnet18": read_resnet18,
    "weights": identify,
    "model": load_bundle,
    "root": lambda path: use_experiment(SAMPLE, path.with_name("params.yaml"), path),
    "folder of weights": lambda path: use_experiment(SAMPLE, path.with_name("params.yaml"), None, (), path),
    "connector": lambda path: load_file_as(path, "cmet-connector"),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_pipe_and_a_device_are_called_so(tmp_path: Path, door: str) -> None:
    pipe, device = tmp_path / "pipe.wav", tmp_path / "device.wav"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path, said in ((pipe, "is a named pipe, not a file"), (device, "is a device, not a file")):
        with pytest.raises((UserError, ClipError), match=said):
            DOORS[door](path)


@pytest.mark.parametrize("door", ["video", "sound", "speech", "params", "experiment", "csv", "manifest", "weights"])
def test_an_empty_file_is_called_so(tmp_path: Path, door: str) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    if door == "weights":
        assert "empty" in identify(path).sentence
        return
    with pytest.raises((UserError, ClipError), match="is empty"):
        DOORS[door](path)


def test_the_files_of_a_model_and_a_judge_are_called_what_they_are(tmp_path: Path) -> None:
    for name in ("config.json", CARD):
        os.mkfifo(tmp_path / name)
    for read in (load_bundle, read_card):
        with pytest.raises(UserError, match="is a named pipe"):
            read(tmp_path)
