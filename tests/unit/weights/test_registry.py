import argparse
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from cmet.commands.weights import app
from cmet.errors import UserError
from cmet.weights.containers import kind_of, load_content, not_finite
from cmet.weights.identify import identify, load_weights
from cmet.weights.registry import (
    CHECKPOINTS,
    HOMES,
    NETWORKS,
    PURPOSES,
    Checkpoint,
    MissingWeights,
    find_weight,
    get_command,
    project_weights,
    weights_folder,
)

GOLDEN = Path(__file__).parents[2] / "golden"

Tensors = dict[str, torch.Tensor]


def filled(network: str) -> Tensors:
    """Every tensor of a network, without the memory: the values of each are one number, repeated."""
    return {key: torch.ones(()).expand(shape) for key, shape in NETWORKS[network].shapes.items()}


def save(path: Path, value: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path, **options)
    return path


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


# The registry


@pytest.mark.parametrize("checkpoint", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_an_entry_says_what_it_is_for_and_where_users_get_it(checkpoint: Checkpoint) -> None:
    assert checkpoint.purpose and checkpoint.source
    assert "/" not in checkpoint.file
    assert all(one.path.split("/")[0] == checkpoint.file or one.members for one in checkpoint.downloads)
    assert all(one.routes for one in checkpoint.downloads)
    assert checkpoint.network is None or checkpoint.network is NETWORKS[checkpoint.network.name]


def test_no_two_entries_have_one_file() -> None:
    files = [checkpoint.file for checkpoint in CHECKPOINTS.values()]
    assert len(set(files)) == len(files)


def test_the_key_set_of_the_connector_is_the_golden_one() -> None:
    golden = json.loads((GOLDEN / "keys_connector_10.json").read_text())["state"]
    assert NETWORKS["connector"].shapes == {key: tuple(value["shape"]) for key, value in golden.items()}


def test_a_missing_weight_is_one_sentence_with_the_command_that_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingWeights) as caught:
        find_weight("audio2lip", tmp_path)
    said = "Audio2Lip.pt (backbone edtalk: lips from speech) is missing"
    assert str(caught.value) == (f"{said} in {tmp_path}/edtalk/; run `cmet weights get audio2lip --folder {tmp_path}`")
    assert caught.value.reason == f"{said}; run `cmet weights get audio2lip`"
    monkeypatch.setenv("CMET_WEIGHTS", str(tmp_path))
    assert get_command("--for edit", tmp_path) == "cmet weights get --for edit"


def test_every_purpose_is_made_of_registered_checkpoints() -> None:
    assert {name for names in PURPOSES.values() for name in names} <= set(CHECKPOINTS)


@pytest.mark.parametrize("place", ["EDTalk.pt", "pretrained_weights/EDTalk.pt"])
def test_a_weight_is_found_in_its_home_and_named_where_it_lies_elsewhere(tmp_path: Path, place: str) -> None:
    path, home = tmp_path / place, tmp_path / "edtalk"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(UserError, match=rf"{path} \(.*\) belongs in {home}/; move or link it there"):
        find_weight("edtalk", tmp_path)
    home.mkdir()
    (home / "EDTalk.pt").symlink_to(path)
    assert find_weight("edtalk", tmp_path) == home / "EDTalk.pt"


def test_weights_in_a_linked_folder_are_refused_unless_it_is_the_home_itself(tmp_path: Path) -> None:
    (tmp_path / "weights/speech").mkdir(parents=True)
    (tmp_path / "lab/emotion2vec_plus_large").mkdir(parents=True)
    (tmp_path / "lab/emotion2vec_plus_large/model.pt").touch()
    (tmp_path / "weights/speech/emotion2vec_plus_large").symlink_to(tmp_path / "lab/emotion2vec_plus_large")
    with pytest.raises(UserError, match="emotion2vec_plus_large: in a linked folder, which DVC does not look into"):
        find_weight("emotion2vec", tmp_path / "weights")
    shutil.rmtree(tmp_path / "weights/speech")
    (tmp_path / "weights/speech").symlink_to(tmp_path / "lab")
    find_weight("emotion2vec", tmp_path / "weights")


def test_a_weight_that_nobody_knows_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown checkpoint 'edtalc'; expected one of"):
        find_weight("edtalc", tmp_path)


def test_the_folder_is_what_the_variable_or_the_parameters_or_nobody_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CMET_WEIGHTS", raising=False)
    assert weights_folder(tmp_path) == tmp_path / "weights"
    text = (Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("weights: weights", "weights: lab"), encoding="utf-8")
    assert weights_folder(tmp_path) == tmp_path / "lab"
    monkeypatch.setenv("CMET_WEIGHTS", "elsewhere")
    assert (weights_folder(tmp_path), project_weights(tmp_path)) == (Path("elsewhere"), tmp_path / "lab")


def test_every_checkpoint_has_a_home_that_dvc_asks_for() -> None:
    assert {checkpoint.home for checkpoint in CHECKPOINTS.values()} | {"facemesh"} == set(HOMES)


# What a file is


PUBLISHED = [
    ("connector", {"place": "state_dict", "more": {"optimizer": {"state": {0: {"step": 1}}}, "global_step": 200_000}}),
    ("edtalk", {"place": "gen"}),
    ("audio2lip", {"place": "audio2lip"}),
    ("pdfgc_appearance", {"keys": {"fc.weight": (5995, 2048), "fc.bias": (5995,)}}),
    ("pdfgc_motion", {"keys": {"classifier.weight": (2, 2)}}),
    ("pdfgc_audio", {"keys": {"model.layer4_exp.0.weight": (2, 2), "exp_embed.1.bias": (2,)}}),
    ("pdfgc_generator", {"keys": {"something.else": (2,)}}),
    ("resnet18", {"place": "state_dict", "prefix": "module.", "keys": {"module.fc.weight": (8, 512)}}),
]


@pytest.mark.parametrize(("network", "container"), PUBLISHED, ids=[name for name, _ in PUBLISHED])
def test_a_published_container_is_recognised_and_all_keys_match(
    tmp_path: Path, network: str, container: dict[str, Any]
) -> None:
    tensors = {container.get("prefix", "") + key: tensor for key, tensor in filled(network).items()}
    tensors |= {key: torch.ones(()).expand(shape) for key, shape in container.get("keys", {}).items()}
    place = container.get("place")
    path = save(tmp_path / "any.pt", {place: tensors, **container.get("more", {})} if place else tensors)
    found = identify(path)
    assert found.loads, found.sentence
    assert found.best is not None and found.best.network.name == network
    assert found.sentence.startswith(f"this is {NETWORKS[network].title} (")
    assert found.sentence.endswith(f"), all {len(NETWORKS[network].shapes)} keys match")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "_orig_mod.module.", "model._orig_mod."])
@pytest.mark.parametrize("network", ["audio2lip", "pdfgc_audio"])
def test_what_a_network_was_wrapped_in_when_it_was_saved_changes_nothing(
    tmp_path: Path, network: str, prefix: str
) -> None:
    tensors = {prefix + key: tensor for key, tensor in filled(network).items()}
    found = identify(save(tmp_path / "any.pt", {"state_dict": tensors}))
    assert found.loads, found.sentence
    assert found.best is not None and found.best.network.name == network


@pytest.mark.parametrize("is_zip", [True, False])
def test_numbers_of_numpy_beside_weights_are_read_as_numbers(tmp_path: Path, is_zip: bool) -> None:
    kinds = ["?", "f2", "f4", "f8", ">f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
    numbers = {kind: np.array([3.0]).astype(kind)[0] for kind in kinds}
    others = {"c": np.complex64(1), "U": np.str_("a"), "M": np.datetime64("2020"), "g": np.longdouble(1)}
    content = {"audio2lip": filled("audio2lip"), **numbers, **others}
    path = save(tmp_path / "a.pt", content, _use_new_zipfile_serialization=is_zip)
    assert identify(path).loads
    read = load_content(path, kind_of(path))
    assert {kind: read[kind] for kind in kinds} == dict.fromkeys(kinds, 3) | {"?": True}
    assert [read[kind] for kind in others] == [None] * len(others)


def test_the_sentence_of_a_good_file(tmp_path: Path) -> None:
    path = save(tmp_path / "Audio2Lip.pt", {"audio2lip": filled("audio2lip")})
    assert identify(path).sentence == ("this is Audio2Lip, EDTalk's lip network (Audio2Lip.pt), all 93 keys match")


@pytest.mark.parametrize("form", ["torch zip", "legacy torch pickle", "safetensors"])
def test_every_readable_form_is_read(tmp_path: Path, form: str) -> None:
    tensors = {key: torch.zeros(shape) for key, shape in NETWORKS["audio2lip"].shapes.items()}
    path = tmp_path / "weights"
    if form == "safetensors":
        save_file(tensors, path)
    else:
        save(path, tensors, _use_new_zipfile_serialization=form == "torch zip")
    found = identify(path)
    assert (found.kind, found.loads) == (form, True)


def test_keys_that_change_no_result_may_be_missing(tmp_path: Path) -> None:
    tensors = {key: value for key, value in filled("resnet18").items() if not key.endswith("num_batches_tracked")}
    found = identify(save(tmp_path / "any.pt", {"state_dict": tensors}))
    assert found.sentence.endswith("all 100 keys match")


def damaged(change: Callable[[Tensors], object]) -> dict[str, Tensors]:
    tensors = filled("audio2lip")
    change(tensors)
    return {"audio2lip": tensors}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda tensors: [tensors.pop(key) for key in ("mapping.weight", "mapping.bias")],
            "but 2 of 93 keys missing (mapping.weight, mapping.bias)",
        ),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "but 1 unexpected (extra)"),
        (
            lambda tensors: tensors.update({"mapping.weight": torch.zeros(10, 512)}),
            "but 1 of another shape (mapping.weight: 10x512, expected 20x512)",
        ),
        (
            lambda tensors: tensors.update({"mapping.bias": torch.full((20,), torch.nan)}),
            "NaN or infinity in 1 of its 93 tensors (mapping.bias), though this is Audio2Lip, EDTalk's lip network "
            "(Audio2Lip.pt), all 93 keys match",
        ),
    ],
)
def test_what_does_not_fit_is_counted_and_named(tmp_path: Path, change: Callable[[Tensors], object], said: str) -> None:
    found = identify(save(tmp_path / "any.pt", damaged(change)))
    assert said in found.sentence
    assert not found.loads


def test_a_file_of_the_other_network_is_named_for_what_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "EDTalk.pt", {"audio2lip": filled("audio2lip")})
    assert not identify(path).loads
    assert identify(path).sentence == (
        "this is Audio2Lip, EDTalk's lip network (Audio2Lip.pt), not EDTalk's renderer (EDTalk.pt or EDTalk-V.pt): "
        "298 of 298 keys missing (enc.net_app.convs.0.0.weight, enc.net_app.convs.0.1.bias, "
        "enc.net_app.convs.1.conv1.0.weight, ...), 93 unexpected (audio_encoder.0.conv_block.0.weight, "
        "audio_encoder.0.conv_block.0.bias, audio_encoder.0.conv_block.1.weight, ...)"
    )
    assert identify(path, "audio2lip").loads


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"a": torch.zeros(1)}, "not a known checkpoint: none of its keys belongs to one (1 in all)"),
        (
            dict(list(filled("edtalk").items())[:84]),
            "not a known checkpoint; compared with EDTalk's renderer (EDTalk.pt or EDTalk-V.pt): "
            "214 of 298 keys missing",
        ),
    ],
)
def test_an_unknown_checkpoint_is_compared_with_the_nearest(tmp_path: Path, tensors: Tensors, said: str) -> None:
    found = identify(save(tmp_path / "any.pt", tensors))
    assert found.sentence.startswith(said)
    assert not found.loads


def test_a_file_of_another_size_is_not_the_published_one(tmp_path: Path) -> None:
    found = identify(save(tmp_path / "pt_inception-2015-12-05-6726825d.pth", {"a": torch.zeros(1)}))
    assert not found.loads
    assert "not a known checkpoint: none of its keys belongs to one (1 in all)" in found.sentence
    assert "but the published file has 95,628,359: damaged, or another file" in found.sentence
    assert identify(found.path, "judge-mead").loads


# Files that are no weights, or not to be trusted


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize(
    ("value", "name"), [(Malicious(), f"{os.name}.system"), (argparse.Namespace(a=1), "argparse.Namespace")]
)
def test_a_file_that_asks_for_code_is_refused_by_name_and_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object, name: str, is_zip: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "a.pt", {"gen": filled("audio2lip"), "x": value}, _use_new_zipfile_serialization=is_zip)
    found = identify(path)
    assert found.sentence.startswith(f"this file is refused: it asks for {name}, which is not weights")
    assert not found.loads
    assert not (tmp_path / "executed").exists()


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def write_tar(path: Path) -> None:
    for name in ("appearance_model.pth", "motion_model.pth"):
        (path.parent / name).write_bytes(b"x")
    with tarfile.open(path, "w") as archive:
        for name in ("appearance_model.pth", "motion_model.pth"):
            archive.add(path.parent / name, name)


def write_script(path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), path)


def write_cut(path: Path) -> None:
    save(path, {key: torch.zeros(shape) for key, shape in NETWORKS["audio2lip"].shapes.items()})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_cut_safetensors(path: Path) -> None:
    save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-8])


def write_cut_legacy(path: Path) -> None:
    save(path, {"a": torch.zeros(1000)}, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-100])


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 257123456\n"

NO_WEIGHTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("empty file", lambda path: path.touch(), "this file is empty; download it again"),
    ("HTML page", lambda path: path.write_text("\n<!DOCTYPE html><html>"), "a web page, not the file"),
    ("git-lfs pointer", lambda path: path.write_text(POINTER), f"257,123,456 bytes, sha256 {'ab' * 32}; run `git lfs"),
    ("tar", write_tar, "a tar archive of appearance_model.pth, motion_model.pth; unpack it"),
    ("gzip", lambda path: path.write_bytes(b"\x1f\x8b\x08\x00" + bytes(20)), "compressed with gzip"),
    ("zip", write_zip, "a zip archive that torch.save did not write"),
    ("TorchScript", write_script, "a TorchScript program"),
    ("ONNX", lambda path: path.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x051.8.1:"), "an ONNX graph"),
    ("numpy array", lambda path: np.save(path.open("wb"), np.zeros(3)), "a numpy array"),
    ("pickle", lambda path: path.write_bytes(pickle.dumps(Malicious())), "a pickle that torch.save did not write"),
    ("unknown", lambda path: path.write_text("hello"), "of an unknown kind"),
    ("torch zip", write_cut, "failed reading zip archive: failed finding central directory)"),
    ("safetensors", write_cut_safetensors, "is damaged or cut short, download it again"),
    ("legacy torch pickle", write_cut_legacy, "is damaged or cut short, download it again"),
    ("torch zip", lambda path: save(path, [1, 2]), "holds no named tensors"),
]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("kind", "write", "said"), NO_WEIGHTS, ids=[f"{kind}: {said}" for kind, _, said in NO_WEIGHTS])
def test_a_file_that_holds_no_weights_is_named_for_what_it_is(
    tmp_path: Path, kind: str, write: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "EDTalk.pt"
    write(path)
    found = identify(path)
    assert found.kind == kind
    assert said in found.sentence
    assert not found.loads


# Reading


def test_loaded_weights_are_the_keys_of_the_network(tmp_path: Path) -> None:
    tensors = {f"module.{key}": tensor for key, tensor in filled("resnet18").items()}
    tensors["module.fc.weight"] = torch.zeros(8, 512)
    save(tmp_path / "judge/Resnet18_FER+_pytorch.pth.tar", {"state_dict": tensors, "epoch": 3})
    assert load_weights("emotion-fan-ferplus", tmp_path).keys() == NETWORKS["resnet18"].shapes.keys()


def test_the_wrong_file_is_not_loaded(tmp_path: Path) -> None:
    save(tmp_path / "edtalk/EDTalk.pt", {"audio2lip": filled("audio2lip")})
    with pytest.raises(UserError, match="this is Audio2Lip.*, not .*: 298 of 298 keys missing"):
        load_weights("edtalk", tmp_path)


def write_not_finite(path: Path) -> None:
    save(path, damaged(lambda tensors: tensors.update({"mapping.bias": torch.full((20,), torch.nan)})))


def test_values_that_float32_cannot_hold_are_found_and_those_that_only_sum_to_more_are_not() -> None:
    large = 3e38
    tensors = {
        "fine": torch.tensor([large, large]),
        "numbers": torch.tensor([1, 2]),
        "empty": torch.zeros(0),
        "nan": torch.tensor([1.0, torch.nan]),
        "infinities": torch.tensor([torch.inf, -torch.inf]),
        "double": torch.tensor([10 * large], dtype=torch.float64),
    }
    assert not_finite(tensors) == ["nan", "infinities", "double"]


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.touch(), "this file is empty"),
        (write_cut, "this file is damaged or cut short"),
        (write_not_finite, "NaN or infinity in 1 of its 93 tensors"),
        (lambda path: save(path, {"gen": filled("edtalk")}), "this is EDTalk's renderer"),
    ],
)
def test_a_file_that_does_not_load_is_refused_with_the_command_that_gets_it(
    tmp_path: Path, write: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "edtalk/Audio2Lip.pt"
    path.parent.mkdir()
    write(path)
    with pytest.raises(UserError) as caught:
        load_weights("audio2lip", tmp_path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert str(caught.value).endswith("; delete it and run `cmet weights get audio2lip`")


# Commands


def cmet_weights(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    return result.exit_code, result.stdout


def test_the_listing_fits_a_terminal_and_says_what_is_here(tmp_path: Path) -> None:
    (tmp_path / "edtalk").mkdir()
    (tmp_path / "edtalk/EDTalk.pt").touch()
    code, text = cmet_weights("--folder", tmp_path)
    lines = {line.split()[0]: line for line in text.splitlines() if line and not line.startswith(" ")}
    assert code == 0
    assert max(map(len, text.splitlines()[:-3])) <= 120
    assert lines["edtalk"].split() == ["edtalk", "EDTalk.pt", "about", "483", "MB", "298", "yes"]
    assert lines["audio2lip"].endswith("no")
    assert f"1 of {len(CHECKPOINTS)} are in {tmp_path}/" in text


def test_the_listing_for_machines_has_every_entry(tmp_path: Path) -> None:
    _, text = cmet_weights("--folder", tmp_path, "--json")
    rows = json.loads(text)["checkpoints"]
    assert [row["name"] for row in rows] == list(CHECKPOINTS)
    assert all(row["path"] is None for row in rows)


def test_every_listing_states_the_same_sizes(tmp_path: Path) -> None:
    listed, offered = (
        {
            row["name"]: row["size"]
            for row in json.loads(cmet_weights(*command, "--folder", tmp_path, "--json")[1])["checkpoints"]
        }
        for command in ((), ("get",))
    )
    assert listed == offered
    assert listed["emotion2vec"] == "1.95 GB"


@pytest.mark.parametrize(("content", "code"), [(filled("audio2lip"), 0), ({"a": torch.zeros(1)}, 1)])
def test_verify_ends_with_whether_the_file_loads(tmp_path: Path, content: Tensors, code: int) -> None:
    path = save(tmp_path / "a.pt", content)
    found = identify(path)
    assert cmet_weights("verify", path) == (
        code,
        f"{path}: torch zip, {found.size_bytes:,} bytes, sha256 {found.sha256}\n{found.sentence}\n",
    )
    _, text = cmet_weights("verify", path, "--json", "--as", "audio2lip")
    assert json.loads(text)["loads"] is (code == 0)
    assert json.loads(text)["compared"]["network"] == "audio2lip"


@pytest.mark.parametrize(("path", "said"), [("no.pt", "no.pt: cannot be read"), (".", ".: is a folder, not a file")])
def test_a_path_that_cannot_be_read_is_a_user_error(path: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        identify(Path(path))
