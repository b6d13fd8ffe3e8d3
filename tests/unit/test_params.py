from pathlib import Path
from typing import Any

import pytest
import yaml

from cmet.experiments import read_experiment, use_experiment
from cmet.params import ParamsError, load_params, parse_params
from cmet.project import Project

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("train", "learning_rat", 0.1, "train.learning_rat: Extra inputs are not permitted"),
        ("train", "batch_size", 0, "train.batch_size: Input should be greater than 0"),
        ("clips", "min_face_ratio", 1.5, "clips.min_face_ratio: Input should be less than or equal to 1"),
        ("sample", "levels", [], "sample.levels: List should have at least 1 item"),
        ("manifest", "corpus", "meed", "manifest.corpus: Input should be 'sample', 'mead', 'cremad'"),
        ("train", "learning_rate", "fast", "train.learning_rate: Input should be a valid number"),
        ("deltas", "speech_encoder", "whisper", "not one of speech_encoders"),
    ],
)
def test_a_bad_value_is_named_with_its_key(
    values: dict[str, Any], section: str, key: str, value: object, said: str
) -> None:
    values[section][key] = value
    with pytest.raises(ParamsError) as caught:
        parse_params(values, "params.yaml")
    assert said in str(caught.value)


def test_a_missing_key_is_named(values: dict[str, Any]) -> None:
    del values["edits"]["strength"]
    with pytest.raises(ParamsError, match=r"edits\.strength: Field required"):
        parse_params(values, "params.yaml")


@pytest.mark.parametrize("hidden", [48, 96])
def test_a_width_the_connector_cannot_have_is_refused(values: dict[str, Any], hidden: int) -> None:
    values["train"]["network"]["hidden"] = hidden
    with pytest.raises(ParamsError, match="32 times a power of two"):
        parse_params(values, "params.yaml")


@pytest.mark.parametrize("text", ["- 1\n", "a: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(path)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_is_valid(path: Path) -> None:
    parse_params(read_experiment(path), path.name)


def test_the_committed_params_are_the_sample_experiment() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "experiments/sample.yaml").read_bytes()


@pytest.mark.parametrize(("place", "kept"), [("project/raw/MEAD", "raw/MEAD"), ("elsewhere/MEAD", "{}/elsewhere/MEAD")])
def test_a_root_from_the_current_folder_means_the_same_place_in_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, kept: str
) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / "project").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    params = tmp_path / "project/params.yaml"
    use_experiment(ROOT / "experiments/mead-speech.yaml", params, Path(place))
    assert load_params(params).manifest.root == kept.format(tmp_path)
    assert Project.at(params).corpus_root() == tmp_path / place


def test_using_an_experiment_says_what_changes_and_can_be_undone(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    use_experiment(ROOT / "experiments/sample.yaml", params, None)
    changed = use_experiment(ROOT / "experiments/mead-speech.yaml", params, tmp_path)
    assert f"manifest.root: data/sample/corpus -> {tmp_path}" in changed
    assert load_params(params).speech_encoders == ["opensmile", "precomputed"]
    use_experiment(ROOT / "experiments/sample.yaml", params, None)
    assert params.read_bytes() == (ROOT / "experiments/sample.yaml").read_bytes()
