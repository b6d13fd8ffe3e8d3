"""Layers of changes over experiments."""

import shutil
from pathlib import Path

import pytest
import yaml

from cmet.errors import UserError
from cmet.experiments import deviation, flat_values, lay_over, read_experiment, read_layer, use_experiment
from cmet.objects.inventory import write_inventory
from cmet.params import ParamsError, load_params, parse_params
from cmet.weights.registry import HOMES
from tests.hostile import alias_bomb

ROOT = Path(__file__).parents[2]
LAYERS = sorted((ROOT / "experiments/ablations").glob("*.yaml"))
SAMPLE = ROOT / "experiments/sample.yaml"


def layer(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("experiment", ["sample", "mead-edtalk", "mead-pdfgc"])
@pytest.mark.parametrize("path", LAYERS, ids=lambda path: path.stem)
def test_every_ablation_fits_over_every_experiment_and_says_what_it_is(path: Path, experiment: str) -> None:
    values = read_experiment(ROOT / f"experiments/{experiment}.yaml")
    parse_params(lay_over(values, path), path.name)
    assert path.read_text().startswith("# ")


def test_the_ablations_of_the_paper_and_the_quirks_are_there() -> None:
    changes = {path.stem: flat_values(read_layer(path)) for path in LAYERS}
    assert changes["full"] == {}
    assert changes["recon-only"] == {"train.contrastive_weight": 0.0, "train.direction_weight": 0.0}
    assert changes["recon-contrastive"] == {"train.direction_weight": 0.0}
    assert changes["corrected-wmse"] == {"train.reconstruction": "wmse", "train.wmse_backward_label": "first"}
    assert {key for part in changes.values() for key in part} == {
        "train.contrastive_signs",
        "train.contrastive_weight",
        "train.direction",
        "train.direction_weight",
        "train.excluded_emotions",
        "train.reconstruction",
        "train.sampler",
        "train.speaker",
        "train.wmse_backward_label",
    }


def test_layers_are_laid_over_an_experiment_in_their_order(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    use_experiment(SAMPLE, params, None)
    first = layer(tmp_path, "first", "train: {direction: unidir, num_steps: 7}")
    second = layer(tmp_path, "second", "train: {num_steps: 8}")
    changed = use_experiment(SAMPLE, params, None, [first, second])
    num_steps = load_params(SAMPLE).train.num_steps
    assert [str(change) for change in changed] == [
        "train.direction: bidir -> unidir",
        f"train.num_steps: {num_steps} -> 8",
    ]
    assert load_params(params).train.network == load_params(SAMPLE).train.network
    assert params.read_text().startswith(f"# Written by `cmet use {SAMPLE} {first} {second}`")


@pytest.mark.parametrize(
    ("experiment", "is_elsewhere", "made"),
    [("sample", False, ["sample"]), ("sample", True, []), ("mead-speech", False, []), ("ravdess", True, [])],
)
def test_the_sample_corpus_is_made_only_where_it_is_read(
    tmp_path: Path, experiment: str, is_elsewhere: bool, made: list[str]
) -> None:
    params, corpus = tmp_path / "project/params.yaml", tmp_path / "corpus"
    for folder in (params.parent, corpus):
        folder.mkdir()
    use_experiment(ROOT / f"experiments/{experiment}.yaml", params, corpus if is_elsewhere else None)
    assert load_params(params).made_corpora == made


def test_a_layer_without_changes_leaves_the_experiment_as_it_is(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    use_experiment(SAMPLE, params, None)
    assert use_experiment(SAMPLE, params, None, [ROOT / "experiments/ablations/full.yaml"]) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {reconstructoin: mse}", r"odd\.yaml: unknown key\(s\): train\.reconstructoin"),
        ("trian: {}\ntrian2: 1", r"odd\.yaml: unknown key\(s\): trian2"),
        ("train: mse", r"odd\.yaml: unknown key\(s\): train"),
        ("train: {reconstruction: huber}", r"odd\.yaml: 1 bad value.*\n  train\.reconstruction: .*'huber'"),
        ("base: sample.yaml", r"odd\.yaml: has a `base`"),
        ("# nothing", r"odd\.yaml: expected keys and values"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    params = tmp_path / "params.yaml"
    with pytest.raises(ParamsError, match=said):
        use_experiment(SAMPLE, params, None, [layer(tmp_path, "odd", text)])
    assert not params.exists()


def test_an_experiment_under_layers_keeps_the_values_of_its_base(tmp_path: Path) -> None:
    path = ROOT / "experiments/mead-edtalk.yaml"
    values = lay_over(read_experiment(path), ROOT / "experiments/ablations/mse.yaml")
    before = yaml.safe_dump(read_experiment(path) | {"train": None})
    assert yaml.safe_dump(values | {"train": None}) == before
    assert values["train"] == read_experiment(path)["train"] | {"reconstruction": "mse"}


OWN = ROOT / "experiments/own-recordings.yaml"


def write_table(path: Path, *videos: str, make: bool = True) -> Path:
    """A table of clips and, where asked, the files it names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("video,speaker,emotion\n" + "".join(f"{video},Ann,sad\n" for video in videos))
    for video in videos if make else ():
        (path.parent / video).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / video).touch()
    return path


def used(project: Path, root: Path) -> tuple[str, str]:
    """What `cmet use --root` makes of a root."""
    project.mkdir(exist_ok=True)
    use_experiment(OWN, project / "params.yaml", root)
    manifest = load_params(project / "params.yaml").manifest
    return manifest.root, manifest.files


def test_the_files_of_a_table_are_below_the_deepest_folder_that_has_them_all(tmp_path: Path) -> None:
    project = tmp_path / "project"
    table = write_table(project / "clips.csv", "rec/ann/1.mp4", "rec/bob/x/2.mp4", str(tmp_path / "project/rec/3.mp4"))
    assert used(project, table) == ("clips.csv", "rec")
    assert used(project, write_table(project / "one.csv", "rec/ann/1.mp4")) == ("one.csv", "rec/ann")
    outside = write_table(tmp_path / "tables/clips.csv", "../disk/1.mp4", "../disk/b/2.mp4")
    assert used(project, outside) == (str(outside), str(tmp_path / "disk"))
    (project / "linked.csv").symlink_to(outside)
    assert used(project, project / "linked.csv") == (str(outside), str(tmp_path / "disk"))


def test_a_folder_with_a_table_is_watched_as_a_whole(tmp_path: Path) -> None:
    write_table(tmp_path / "project/rec/clips.csv", "ann/1.mp4")
    assert used(tmp_path / "project", tmp_path / "project/rec") == ("rec", "rec")


def test_a_name_that_looks_like_an_address_stays_a_folder(tmp_path: Path) -> None:
    write_table(tmp_path / "http:x/clips.csv", "1.mp4")
    assert used(tmp_path, tmp_path / "http:x") == ("./http:x", "./http:x")


def test_a_misspelt_file_of_a_table_does_not_widen_the_folder(tmp_path: Path) -> None:
    table = write_table(tmp_path / "clips.csv", "rec/1.mp4")
    table.write_text(table.read_text() + "reco/2.mp4,Ann,sad\n")
    assert used(tmp_path, table) == ("clips.csv", "rec")
    assert used(tmp_path, write_table(tmp_path / "planned.csv", "a/b/1.mp4", "a/c/1.mp4", make=False))[1] == "a"


def test_a_linked_folder_of_a_table_is_watched_where_its_files_are(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    project = tmp_path / "project"
    project.mkdir()
    (project / "rec").symlink_to(tmp_path / "disk")
    assert used(project, write_table(project / "clips.csv", "rec/1.mp4")) == ("clips.csv", str(tmp_path / "disk"))


def test_a_path_that_leads_astray_does_not_widen_the_folder(tmp_path: Path) -> None:
    project = tmp_path / "project"
    table = write_table(project / "clips.csv", "rec/1.mp4", "../disk/2.mp4", str(tmp_path / "disk/3.mp4"))
    assert used(project, table) == ("clips.csv", "rec")


@pytest.mark.parametrize("videos", [["1.mp4"], ["rec/1.mp4", "more/2.mp4"], ["../project/data/1.mp4", "1.mp4"]])
def test_files_that_have_only_the_project_in_common_are_refused(tmp_path: Path, videos: list[str]) -> None:
    table = write_table(tmp_path / "project/clips.csv", *videos)
    with pytest.raises(UserError, match=r"put the recordings into one folder beside the table, e\.g\. .*recordings/"):
        used(tmp_path / "project", table)
    assert not (tmp_path / "project/params.yaml").exists()


def test_the_project_itself_is_refused_as_a_corpus_and_so_is_a_linked_data_folder(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match="DVC cannot watch it; put the corpus into a folder of its own",
    ):
        used(tmp_path, tmp_path)
    (tmp_path / "disk/cmet").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "disk/cmet")
    with pytest.raises(UserError, match="so DVC cannot watch it"):
        used(tmp_path, tmp_path / "disk")


def test_a_file_is_no_root_of_a_corpus_in_a_folder(tmp_path: Path) -> None:
    table = write_table(tmp_path / "clips.csv", "rec/1.mp4")
    with pytest.raises(UserError, match=r"clips\.csv: a file, but the corpus mead is a folder"):
        use_experiment(ROOT / "experiments/mead-speech.yaml", tmp_path / "params.yaml", table)


def test_the_folder_of_weights_gets_what_dvc_asks_for_and_stands_in_the_parameters(tmp_path: Path) -> None:
    params, lab = tmp_path / "project/params.yaml", tmp_path / "lab"
    params.parent.mkdir()
    with pytest.raises(UserError, match=f"--weights {lab}: no such folder"):
        use_experiment(SAMPLE, params, None, weights=lab)
    lab.mkdir()
    (lab / "judge").touch()
    with pytest.raises(UserError, match=f"--weights {lab}: DVC needs the folders connector, .* cannot be made"):
        use_experiment(SAMPLE, params, None, weights=lab)
    assert not params.exists()
    (lab / "judge").unlink()
    use_experiment(SAMPLE, params, None, weights=lab)
    assert load_params(params).weights == str(lab)
    assert sorted(path.name for path in lab.iterdir()) == sorted(HOMES)


def test_a_key_given_twice_is_refused_in_experiments_and_layers(tmp_path: Path) -> None:
    twice = layer(tmp_path, "twice", "train: {num_steps: 1, num_steps: 2}")
    for read in (read_experiment, read_layer):
        with pytest.raises(ParamsError, match=r"twice\.yaml: train\.num_steps is given twice, in line 1"):
            read(twice)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("odd.yaml", "odd.yaml: is a `base` of itself"),
        ("between.yaml", "odd.yaml: is a `base` of itself"),
        ("[a]", "odd.yaml: `base` is not the name of a file"),
        ("none.yaml", "none.yaml: no such experiment"),
        (".", "a folder, not a file"),
    ],
)
def test_a_base_that_cannot_be_one_is_named(tmp_path: Path, base: str, said: str) -> None:
    layer(tmp_path, "between", "base: odd.yaml")
    with pytest.raises(ParamsError, match=said):
        read_experiment(layer(tmp_path, "odd", f"base: {base}"))


@pytest.mark.parametrize("text", ["- 1", "a: [", "seed: 1\nseed: 2", alias_bomb()])
def test_an_experiment_takes_the_place_of_a_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    params = layer(tmp_path, "params", text)
    changes = use_experiment(SAMPLE, params, None)
    assert load_params(params) == load_params(SAMPLE)
    assert all(change.before is None for change in changes)


def test_a_root_is_asked_of_a_valid_experiment_only(tmp_path: Path) -> None:
    odd = layer(tmp_path, "odd", "manifest: [1]")
    with pytest.raises(ParamsError, match=r"odd\.yaml: .*bad value"):
        use_experiment(odd, tmp_path / "params.yaml", tmp_path)


@pytest.mark.parametrize(
    ("name", "backbone", "changes", "said"),
    [
        ("sample", "facemesh", {}, "sample: "),
        ("sample", "edtalk", {"backbones": ["edtalk"]}, "sample: "),
        ("sample", "facemesh", {"seed": 8, "train": {"num_steps": 300}}, "sample: seed=8 num_steps=300"),
        ("mead-pdfgc", "pdfgc", {"weights": "/lab/weights", "manifest": {"root": "/lab/MEAD"}}, "mead-pdfgc: "),
        ("mead-edtalk", "edtalk", {"train": {"excluded_emotions": ["happy", "fear"]}},
         "mead-edtalk: excluded_emotions=happy,fear"),
    ],
)  # fmt: skip
def test_parameters_differ_from_the_experiment_that_is_most_like_them(
    name: str, backbone: str, changes: dict, said: str
) -> None:
    values = read_experiment(ROOT / f"experiments/{name}.yaml")
    for key, value in changes.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    found = deviation(parse_params(values, name), backbone, ROOT)
    assert found and f"{found.base}: {found}" == said


def test_a_folder_without_experiments_has_nothing_to_differ_from(tmp_path: Path) -> None:
    params = load_params(SAMPLE)
    assert deviation(params, "facemesh", tmp_path) is None
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    (tmp_path / "experiments/half.yaml").write_text("seed: [1")
    found = deviation(params, "facemesh", tmp_path)
    assert found and found.base == "sample"


def test_an_address_as_root_says_how_it_becomes_an_inventory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"s3:/+lab/MEAD: an address, .* `cmet corpus inventory CORPUS.inventory --of"):
        use_experiment(ROOT / "experiments/mead-facemesh.yaml", tmp_path / "params.yaml", Path("s3://lab/MEAD"))


def test_a_table_is_no_inventory(tmp_path: Path) -> None:
    inventory = tmp_path / "a.inventory"
    write_inventory(inventory, "s3://lab", [])
    with pytest.raises(
        UserError, match="the corpus table is a table; name that, with rows that say a.inventory/<object>"
    ):
        use_experiment(ROOT / "experiments/own-recordings.yaml", tmp_path / "params.yaml", inventory)
