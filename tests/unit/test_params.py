import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmet.experiments import read_experiment, use_experiment
from cmet.params import (
    EVERYTHING,
    PAPER_NETWORK,
    Params,
    ParamsError,
    Undeclared,
    declared,
    load_params,
    parse_params,
)
from cmet.project import Project
from tests.hostile import DEEP_YAML, alias_bomb

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
        ("manifest", "views", ["front", "left_45"], "manifest.views.1: Input should be 'front', 'left_30'"),
        ("manifest", "views", ["top"], "sample has the frontal view alone"),
        ("manifest", "corpus", "meed", "manifest.corpus: Input should be 'sample', 'mead', 'cremad'"),
        ("train", "num_steps", -1, "train.num_steps: Input should be greater than or equal to 0"),
        ("train", "num_steps", 0, "train: Value error, num_steps is 0, so begin_from must name the checkpoint"),
        ("train", "sampler", "paper", "train.sampler: Input should be 'official' or 'corrected'"),
        ("train", "num_processes", 1, "train.num_processes: Extra inputs are not permitted"),
        ("train", "begin_from", "cmet-connector", "train: Value error, begin_from cmet-connector has the paper's"),
        ("train", "learning_rate", "fast", "train.learning_rate: Input should be a valid number"),
        ("deltas", "speech_encoder", "whisper", "not one of speech_encoders"),
        ("train", "learning_rate", math.inf, "train.learning_rate: Input should be a finite number (got inf)"),
        ("train", "weight_decay", math.nan, "train.weight_decay: Input should be a finite number (got nan)"),
        ("clips", "time_limit_s", math.inf, "clips.time_limit_s: Input should be a finite number (got inf)"),
        ("clips", "min_rms_db", -math.inf, "clips.min_rms_db: Input should be a finite number (got -inf)"),
        ("train", "num_steps", 10**400, "train.num_steps: "),
        ("edits", "strength", 1e300, "edits.strength: Value error, Input should be at most 9,007,199,254,740,992"),
        ("clips", "size_px", 16 * 10**9, "clips.size_px: Input should be less than or equal to 8192"),
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


@pytest.mark.parametrize("num_steps", [0, 5])
def test_a_published_checkpoint_is_begun_from_at_the_papers_size_only(num_steps: int) -> None:
    values = read_experiment(ROOT / "experiments/mead-edtalk-official.yaml")
    train = values["train"]
    train |= {"num_steps": num_steps, "network": PAPER_NETWORK.model_dump()}
    train["network"]["dropout"] = 0.0
    assert parse_params(values, "params.yaml").train.begin_from == "cmet-connector"
    train["network"] |= {"window": 6, "num_heads": 8}
    with pytest.raises(ParamsError, match="but network.num_heads is 8, not 4, network.window is 6, not 5"):
        parse_params(values, "params.yaml")


@pytest.mark.parametrize("text", ["- 1\n", "a: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(path)


def test_no_number_of_an_experiment_may_be_infinite(values: dict[str, Any]) -> None:
    sections = [section for section in values.values() if isinstance(section, dict)]
    places = [
        (section, key)
        for section in [values, *sections, values["train"]["network"]]
        for key, value in section.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    assert len(places) > 60
    for section, key in places:
        before = section[key]
        for bad in (math.inf, -math.inf, math.nan):
            section[key] = bad
            with pytest.raises(ParamsError):
                parse_params(values, "params.yaml")
        section[key] = before


def test_a_key_given_twice_is_named_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    lines = (ROOT / "params.yaml").read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith("  learning_rate:"))
    path.write_text("\n".join([*lines[: number + 1], "  learning_rate: 1", *lines[number + 1 :]]))
    said = rf"train.learning_rate is given twice, in line {number + 1} and in line {number + 2}; keep one of them"
    with pytest.raises(ParamsError, match=said):
        load_params(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (DEEP_YAML.encode(), "nested too deeply, or contains itself"),
        (b"seed: 1\nsample: gr\xfcn\n", "not in UTF-8 (line 2); save it in UTF-8"),
        (b"", "params.yaml: is empty"),
        (alias_bomb().encode(), "holds more than 100,000 values once its aliases (*) are followed"),
        (b"seed: [" + b"9, " * 50_000 + b"]", "train: Field required"),
        (b"seed: '" + b"9" * 100_000 + b"'", "seed: Unable to parse input string as an integer"),
        (b"judge: {label_order: [" + b"a" * 100_000 + b"]}", "label_order"),
        (b"? " + b"a" * 1000 + b"\n: 1", " ...: Extra inputs are not permitted"),
        (b"\n".join(b"key%d: 1" % number for number in range(5000)), "and 5000 more"),
        (b"a: !!python/object/apply:os.system ['touch sign']", "could not determine a constructor"),
    ],
    ids=["deep", "latin-1", "empty", "bomb", "long list", "long text", "long name", "long key", "many keys", "code"],
)
def test_a_file_of_another_kind_is_refused_in_a_few_words(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 4000
    assert not (tmp_path / "sign").exists()


def test_what_is_no_file_is_said_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in [
        (tmp_path / "none", "no such file; run the command in the project folder"),
        (tmp_path, "a folder, not a file"),
        (tmp_path / "pipe", "a named pipe, not a file"),
        (Path("/dev/zero"), "a device, not a file"),
    ]:
        with pytest.raises(ParamsError, match=said):
            load_params(path)
        with pytest.raises(ParamsError):
            read_experiment(path)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_is_valid(path: Path) -> None:
    parse_params(read_experiment(path), path.name)


@pytest.mark.parametrize("name", ["mead-facemesh", "mead-edtalk", "mead-pdfgc", "cremad-edtalk"])
def test_no_setting_of_the_sample_gets_into_the_papers_recipe(name: str) -> None:
    train = parse_params(read_experiment(ROOT / f"experiments/{name}.yaml"), name).train
    assert train.network == PAPER_NETWORK
    assert (train.learning_rate, train.weight_decay, train.batch_size) == (1e-4, 1e-5, 128)
    assert (train.num_clips_per_mean, train.first_window_share, train.speech_draw) == (10, 0, "strided")
    assert (train.ema_decay, train.mixup_share) == (None, 0)


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
    manifest = load_params(params).manifest
    assert (manifest.root, manifest.files) == (kept.format(tmp_path), kept.format(tmp_path))
    assert Project.at(params).places.corpus == tmp_path / place


def test_using_an_experiment_says_what_changes_and_can_be_undone(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    (tmp_path / "MEAD").mkdir()
    use_experiment(ROOT / "experiments/sample.yaml", params, None)
    changed = [str(c) for c in use_experiment(ROOT / "experiments/mead-speech.yaml", params, tmp_path / "MEAD")]
    assert "manifest.root: data/sample/corpus -> MEAD" in changed
    assert "manifest.files: data/sample/corpus -> MEAD" in changed
    assert load_params(params).speech_encoders == ["opensmile", "precomputed"]
    use_experiment(ROOT / "experiments/sample.yaml", params, None)
    assert params.read_bytes() == (ROOT / "experiments/sample.yaml").read_bytes()


PUBLISHED_DELTAS = {"speech_encoder": "precomputed", "speech_scale": "none", "speech_projection": "none"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"held_out_emotion": "sad"}, "has seen every emotion"),
        ({"backbones": ["facemesh"]}, r"backbones is \['facemesh'\]"),
        (
            {"deltas": PUBLISHED_DELTAS | {"speech_scale": "train-spread"}},
            "speech_scale is 'train-spread'",
        ),
        ({"deltas": PUBLISHED_DELTAS | {"speech_projection": "lda"}}, "speech_projection is 'lda', not 'none'"),
    ],
)
def test_the_published_connector_is_used_as_it_was_trained(changes: dict[str, object], said: str) -> None:
    values = read_experiment(ROOT / "experiments/mead-edtalk-official.yaml")
    assert parse_params(values, "official").train.begin_from == "cmet-connector"
    with pytest.raises(ParamsError, match=f"needs other settings: .*{said}"):
        parse_params(values | changes, "official")


def test_the_published_connector_as_it_is_wants_clips_as_the_authors_make_them() -> None:
    values = read_experiment(ROOT / "experiments/mead-edtalk-official.yaml")
    values["clips"] |= {"fps": 30, "crop_rule": "fomm-reflect-1"}
    said = "it was trained on clips made with clips.fps 25, not 30 and clips.crop_rule fomm-clip-1, not fomm-reflect-1"
    with pytest.raises(ParamsError, match=f"needs other settings: {said}"):
        parse_params(values, "official")
    values["train"] |= {"num_steps": 5}
    assert parse_params(values, "official").clips.fps == 30


def test_a_stage_sees_what_it_declares_and_nothing_else(params: Params) -> None:
    seen = declared(params, ["seed", "train", "clips.crf", "train.network.hidden"])
    assert (seen.seed, seen.train, seen.clips.crf) == (params.seed, params.train, params.clips.crf)
    with pytest.raises(
        Undeclared,
        match=r"^params\.judge is read but not declared; declared are seed, train, clips\.crf, train\.network",
    ):
        seen.judge  # noqa: B018
    with pytest.raises(Undeclared, match=r"^params\.clips\.fps is read but not declared; declared are clips\.crf$"):
        seen.clips.fps  # noqa: B018


def test_a_section_of_which_one_value_is_declared_is_not_had_as_a_whole(params: Params) -> None:
    with pytest.raises(Undeclared, match="clips.model_dump_json is read"):
        declared(params, ["clips.crf"]).clips.model_dump_json()


def test_everything_may_be_declared(params: Params) -> None:
    assert declared(params, [EVERYTHING]) is params
