"""The published Connector as a model, as the beginning of training, and as what a trained one is written to."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from fill import fill
from safetensors.torch import load_file
from typer.testing import CliRunner

from cmet.commands.weights import app
from cmet.connector.beginning import beginning_path
from cmet.connector.bundle import Bundle, load_bundle, save_bundle
from cmet.connector.inference import predict_deltas
from cmet.connector.network import Connector
from cmet.connector.official import EXPRESSION_WIDTH, SPEECH_WIDTH, export_official, load_official
from cmet.connector.processes import Processes
from cmet.connector.product import LAST, Model
from cmet.connector.training import Purpose, TrainReport, Untracked, train_connector
from cmet.errors import UserError
from cmet.optimizers import uncompiled
from cmet.outputs import fresh_folder, write_json
from cmet.pairs.differences import speech_delta
from cmet.params import PAPER_NETWORK, TrainParams
from cmet.scores.figures import curves_figure
from cmet.shards import FORMAT, LISTING, PairSample, Shards, write_tar
from cmet.speech.scaling import SpeechScaling
from cmet.weights.registry import CHECKPOINTS, NETWORKS
from tests.connector_shards import CLIPS

MakeParams = Callable[..., TrainParams]
MakePairs = Callable[[str], list[PairSample]]
FILE, HOME = CHECKPOINTS["cmet-connector"].file or "", CHECKPOINTS["cmet-connector"].home
STEP = 200_000


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Gone after the test: a connector of the paper's size takes 100 MB."""
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def network() -> Connector:
    connector = Connector(PAPER_NETWORK, EXPRESSION_WIDTH, SPEECH_WIDTH)
    fill(connector)
    return connector.eval()


@pytest.fixture(scope="module")
def weights(network: Connector) -> Iterator[Path]:
    """Folder of weights with the container that the authors' trainer writes."""
    optimizer = uncompiled(torch.optim.AdamW)(network.parameters(), lr=0.0, weight_decay=0.0)
    for parameter in network.projector.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert optimizer.state_dict()["state"]
    with TemporaryDirectory() as name:
        save(Path(name) / HOME / FILE, network.state_dict(), optimizer=optimizer.state_dict())
        yield Path(name)


def save(path: Path, tensors: dict[str, torch.Tensor], **more: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    torch.save({"state_dict": tensors, "global_step": STEP, "global_epoch": 2105, **more}, path)
    return path


@pytest.fixture(scope="module")
def official(weights: Path) -> Bundle:
    """The container as a model."""
    return load_official(weights / HOME / FILE)


def hollow(network: str = "connector") -> dict[str, torch.Tensor]:
    """Every tensor of a network, without the memory."""
    return {key: torch.ones(()).expand(shape) for key, shape in NETWORKS[network].shapes.items()}


def assert_equal(found: Connector, expected: Connector) -> None:
    expected_tensors = expected.state_dict()
    assert found.state_dict().keys() == expected_tensors.keys()
    for name, tensor in found.state_dict().items():
        assert torch.equal(tensor, expected_tensors[name]), name


# As a model


def test_the_published_file_predicts_what_its_network_does(official: Bundle, network: Connector) -> None:
    assert_equal(official.connector, network)
    assert not official.connector.training
    official.expect(backbone="edtalk", speech_encoder="emotion2vec")
    assert (official.config.step, official.config.seed, official.config.held_out_emotion) == (STEP, 0, None)
    generator = np.random.default_rng(0)
    # far from anything heard in training: raw embeddings are used as they are
    neutral, emotional = (100 * generator.normal(size=(n, SPEECH_WIDTH)).astype(np.float32) for n in (3, 2))
    codes = generator.normal(size=(13, EXPRESSION_WIDTH)).astype(np.float32)
    direction = speech_delta(neutral, emotional)
    assert np.array_equal(official.scaled_speech_delta(neutral, emotional), direction)
    expected = predict_deltas(network, direction, codes)
    assert np.array_equal(predict_deltas(official.connector, direction, codes), expected)
    assert np.isfinite(expected).all() and expected.any()


def test_a_file_without_a_step_is_of_step_0(folder: Path, network: Connector) -> None:
    torch.save(network.state_dict(), folder / "any.pth")
    assert load_official(folder / "any.pth").config.step == 0


def write_not_finite(path: Path) -> None:
    save(path, hollow() | {"Norm.weight": torch.full((1024,), torch.nan)})


def write_cut(path: Path) -> None:
    save(path, hollow())
    path.write_bytes(path.read_bytes()[:-1000])


def write_30_wide(path: Path) -> None:
    shape = (30, 30)
    save(path, hollow() | {"projector.projector.2.weight": torch.ones(()).expand(shape)})


BAD: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: save(path, hollow("audio2lip")), "this is Audio2Lip, .*, not .*: 243 of 243 keys missing"),
    (write_30_wide, r"but 1 of another shape \(projector.projector.2.weight: 30x30, expected 10x10\)"),
    (write_not_finite, r"NaN or infinity in 1 of its 243 tensors \(Norm.weight\), though this is"),
    (write_cut, "this file is damaged or cut short, download it again"),
    (lambda path: save(path, hollow(), optimizer=Malicious()), "this file is refused: it asks for posix.system"),
    (
        lambda path: save(path, hollow(), optimizer=torch.optim.SGD(torch.nn.Linear(1, 1).parameters())),
        "this file is refused: it asks for torch.optim.sgd.SGD, which is not weights",
    ),
    (lambda path: path.write_text("<!DOCTYPE html>"), "this file is a web page"),
    (lambda path: path.mkdir(), "not a file; name one file"),
    (lambda path: None, "cannot be read"),
]


@pytest.mark.parametrize(("write", "said"), BAD, ids=[said for _, said in BAD])
def test_a_file_that_is_not_it_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object], said: str
) -> None:
    monkeypatch.chdir(folder)
    path = folder / FILE
    write(path)
    with pytest.raises(UserError, match=said) as caught:
        load_official(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert not (folder / "executed").exists()


# In the authors' container


def test_an_exported_connector_is_read_back_with_identical_tensors(official: Bundle, folder: Path) -> None:
    trained = folder / "trained"
    trained.mkdir()
    limit_S = np.ones(SPEECH_WIDTH, np.float32)
    save_bundle(trained, official.connector.state_dict(), official.config, official.scaling, limit_S)
    out = folder / "connector.pth"
    result = CliRunner().invoke(app, ["export-connector", str(trained), str(out)])
    assert (result.exit_code, result.stdout) == (
        0,
        f"{out}: step {STEP}; for edtalk and emotion2vec, which the file does not state\n",
    )
    content = torch.load(out, weights_only=True, mmap=True)
    assert {key: value for key, value in content.items() if key != "state_dict"} == {
        "optimizer": None,
        "global_step": STEP,
        "global_epoch": 0,
    }
    again = load_official(out)
    assert_equal(again.connector, official.connector)
    assert again.config == official.config
    assert sorted(path.name for path in folder.iterdir()) == ["connector.pth", "trained"]


def changed(bundle: Bundle, network: dict[str, int] | None = None, **config: Any) -> Bundle:
    size = bundle.config.network.model_copy(update=network or {})
    return replace(bundle, config=bundle.config.model_copy(update={"network": size, **config}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda bundle: changed(bundle, {"num_heads": 8}), "only takes the paper's sizes, but num_heads is 8, not 4$"),
        (
            lambda bundle: changed(bundle, {"hidden": 64}, speech_width=88),
            "hidden is 64, not 1024, speech_width is 88, not 1024$",
        ),
        (
            lambda bundle: replace(bundle, scaling=replace(bundle.scaling, spread_S=np.full(1024, 2, np.float32))),
            "scales or projects speech embeddings, for which the authors' container has no room",
        ),
    ],
)
def test_what_the_container_cannot_say_is_not_exported(
    official: Bundle, folder: Path, change: Callable[[Bundle], Bundle], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        export_official(change(official), folder / "out.pth")
    assert not list(folder.iterdir())


def test_an_export_onto_a_folder_is_refused(official: Bundle, folder: Path) -> None:
    with pytest.raises(UserError, match="is a folder; name the file to write"):
        export_official(official, folder)


# As the beginning of training


def write_shards(folder: Path, make_pairs: MakePairs, speakers: dict[str, str]) -> Path:
    """A few pairs with speech of the published width."""

    def widened(pair: PairSample) -> PairSample:
        names = ("neutral_speech", "emotional_speech", "speech_delta")
        wide = {name: np.pad(getattr(pair, name), (0, SPEECH_WIDTH - len(getattr(pair, name)))) for name in names}
        return replace(pair, **wide)

    with fresh_folder(folder / "shards") as unfinished:
        splits: dict[str, Any] = {"train": [], "val": [], "test": [], "unpaired": []}
        for split, names in speakers.items():
            pairs = [widened(pair) for name in names for pair in make_pairs(name) if pair.emotion in ("happy", "sad")]
            splits[split] = [write_tar(unfinished, f"{split}/000000.tar", pairs)]
        SpeechScaling.none(SPEECH_WIDTH).save(unfinished)
        write_json(unfinished / LISTING, {"format": FORMAT, "splits": splits})
    return folder / "shards"


def run(shards: Path, out: Path, params: TrainParams, weights: Path) -> TrainReport:
    return train_connector(
        Shards(shards),
        out,
        params,
        7,
        out.with_name("work"),
        Untracked(),
        Processes(0, 1, torch.device("cpu")),
        Purpose("edtalk", "emotion2vec", None, CLIPS, beginning=beginning_path(params.begin_from or "", out, weights)),
    )


@pytest.fixture
def begin_params(make_params: MakeParams) -> MakeParams:
    return lambda **changes: make_params(
        network=PAPER_NETWORK, begin_from="cmet-connector", batch_size=4, first_window_share=0.5, **changes
    )


@pytest.mark.parametrize("speakers", [{"train": "ab", "val": "c"}, {"train": "ab"}], ids=["validated", "unvalidated"])
def test_without_a_step_the_checkpoint_is_the_model(
    weights: Path,
    folder: Path,
    network: Connector,
    make_pairs: MakePairs,
    begin_params: MakeParams,
    speakers: dict[str, str],
) -> None:
    shards = write_shards(folder, make_pairs, speakers)
    report = run(shards, folder / "model", begin_params(num_steps=0), weights)
    bundle = load_bundle(folder / "model")
    assert_equal(bundle.connector, network)
    assert np.isposinf(bundle.speech_limit_S).all()
    assert (report.num_steps, report.kept_step, bundle.config.step, report.losses) == (0, 0, 0, {})
    history = Model(folder / "model").history
    assert set(history["step"]) == ({0} if "val" in speakers else set())
    assert ("delta_mse" in report.validation) == ("val" in speakers)
    if "val" in speakers:
        curves_figure(history)


def test_a_checkpoint_that_going_on_does_not_better_is_kept(
    weights: Path, folder: Path, network: Connector, make_pairs: MakePairs, begin_params: MakeParams
) -> None:
    shards = write_shards(folder, make_pairs, {"train": "ab", "val": "c"})
    report = run(shards, folder / "model", begin_params(num_steps=1, learning_rate=100.0), weights)
    assert (report.num_steps, report.kept_step) == (1, 0)
    bundle = load_bundle(folder / "model")
    assert_equal(bundle.connector, network)
    assert np.isfinite(bundle.speech_limit_S).all()
    history = Model(folder / "model").history
    assert sorted(history[history["metric"] == "val/delta_mse"]["step"]) == [0, 1]
    last = load_file(folder / "model" / LAST)
    assert not torch.equal(last["weights/Norm.weight"], network.Norm.weight)
    # the file's optimizer has made one step of the head, and of nothing else
    steps = {name: float(last[name]) for name in last if name.startswith("step/")}
    assert {name for name in steps if steps[name] == 2} == {name for name in steps if "projector" in name}
    assert {steps[name] for name in steps if "projector" not in name} == {1}


def test_shards_of_other_widths_are_refused(
    shards: Path, weights: Path, tmp_path: Path, begin_params: MakeParams
) -> None:
    said = "expects expression codes of 10 values and speech embeddings of 1024, but the shards have 10 and 12"
    with pytest.raises(UserError, match=said):
        run(shards, tmp_path / "model", begin_params(num_steps=0), weights)
    assert not (tmp_path / "model").exists()


def test_a_missing_checkpoint_is_named_with_the_command_that_gets_it(
    folder: Path, make_pairs: MakePairs, begin_params: MakeParams
) -> None:
    shards = write_shards(folder, make_pairs, {"train": "ab"})
    with pytest.raises(UserError, match=f"{FILE} .* is missing in .*run `cmet weights get cmet-connector"):
        run(shards, folder / "model", begin_params(num_steps=0), folder / "weights")
