import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from cmet.errors import UserError
from cmet.media.sound import read_sound, write_sound
from cmet.speech.encoders import emotion2vec
from cmet.speech.encoders.emotion2vec import check_emotion2vec, embed_emotion2vec

# the parts FunASR asks for, with two layers instead of the published model's depth
AUDIO: dict[str, Any] = {
    "type": "AUDIO",
    "extractor_mode": "layer_norm",
    "feature_encoder_spec": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
    "conv_pos_width": 95,
    "conv_pos_groups": 16,
    "conv_pos_depth": 5,
    "conv_pos_pre_ln": False,
    "prenet_depth": 1,
    "prenet_layerdrop": 0.05,
    "prenet_dropout": 0.1,
    "start_drop_path_rate": 0.0,
    "end_drop_path_rate": 0.0,
    "model_depth": 1,
    "num_extra_tokens": 10,
    "init_extra_token_zero": True,
    "mask_noise_std": 0.01,
    "mask_prob": 0.5,
    "mask_length": 5,
    "inverse_mask": False,
    "add_masks": False,
    "remove_masks": False,
    "mask_dropout": 0.0,
    "encoder_zero_mask": True,
    "mask_channel_prob": 0.0,
    "mask_channel_length": 64,
    "ema_local_encoder": False,
    "local_grad_mult": 1.0,
    "use_alibi_encoder": True,
    "alibi_scale": 1.0,
    "learned_alibi": False,
    "alibi_max_pos": None,
    "learned_alibi_scale": True,
    "learned_alibi_scale_per_head": True,
    "learned_alibi_scale_per_layer": False,
    "num_alibi_heads": 16,
    "decoder": {
        "decoder_dim": 32,
        "decoder_groups": 16,
        "decoder_kernel": 7,
        "decoder_layers": 1,
        "input_dropout": 0.1,
        "add_positions_masked": False,
        "add_positions_all": False,
        "decoder_residual": True,
        "projection_layers": 1,
        "projection_ratio": 2.0,
    },
}
CONFIG: dict[str, Any] = {
    "model": "Emotion2vec",
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    "model_conf": {
        "embed_dim": 1024,
        "depth": 1,
        "num_heads": 16,
        "mlp_ratio": 4.0,
        "norm_eps": 1e-5,
        "norm_affine": True,
        "layer_norm_first": False,
        "end_of_block_targets": False,
        "average_top_k_layers": 8,
        "normalize": True,
        "clone_batch": 8,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "encoder_dropout": 0.1,
        "post_mlp_drop": 0.1,
        "attention_dropout": 0.1,
        "activation_dropout": 0.0,
        "dropout_input": 0.0,
        "layerdrop": 0.05,
        "loss_beta": 0.0,
        "loss_scale": None,
        "modalities": {"audio": AUDIO},
    },
}
SOUND = np.random.default_rng(0).normal(scale=0.1, size=8000).astype(np.float32)


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for weights, and no hub caches."""
    folder = tmp_path / "weights"
    (folder / "speech").mkdir(parents=True)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    emotion2vec._load.cache_clear()
    yield folder
    emotion2vec._load.cache_clear()


def write_model(folder: Path, config: dict[str, Any] = CONFIG) -> Path:
    """A model folder with no usable weights."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "model.pt").touch()
    return folder


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    config = yaml.safe_load(yaml.safe_dump(CONFIG))
    change(config)
    return config


def test_an_absent_model_is_one_sentence(weights: Path) -> None:
    with pytest.raises(UserError) as caught:
        embed_emotion2vec(SOUND, weights)
    folder = weights / "speech/emotion2vec_plus_large"
    assert str(caught.value).startswith("emotion2vec_plus_large (speech encoder emotion2vec ")
    assert str(caught.value).endswith(f"{folder.parent}/; run `cmet weights get emotion2vec --folder {weights}`")


@pytest.mark.parametrize(
    ("present", "said"), [([], "no config.yaml and no model.pt"), (["config.yaml"], "no model.pt")]
)
def test_an_incomplete_model_folder_is_told_by_what_it_lacks(weights: Path, present: list[str], said: str) -> None:
    folder = weights / "speech/emotion2vec_plus_large"
    folder.mkdir()
    for name in present:
        (folder / name).touch()
    with pytest.raises(UserError, match=f"emotion2vec_plus_large has {said}"):
        embed_emotion2vec(SOUND, weights)


@pytest.mark.parametrize(
    "place",
    [
        "modelscope/hub/models/iic/emotion2vec_plus_large",
        "modelscope/hub/iic/emotion2vec_plus_large",
        "modelscope/models/iic/emotion2vec_plus_large",
        "modelscope/iic/emotion2vec_plus_large",
        "huggingface/hub/models--emotion2vec--emotion2vec_plus_large/snapshots/0123abcd",
    ],
)
def test_a_model_that_a_hub_has_is_told_with_the_command_to_copy_it(tmp_path: Path, weights: Path, place: str) -> None:
    folder = write_model(tmp_path / place)
    home = weights / "speech/emotion2vec_plus_large"
    with pytest.raises(UserError, match=f"its model belongs in {home}; copy it: cp -rL {folder} {home}"):
        check_emotion2vec(weights)
    shutil.copytree(folder, home)
    assert emotion2vec._find(weights) == home


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (changed(lambda config: config.update(model="Paraformer")), "describes Paraformer of width 1024"),
        (changed(lambda config: config["model_conf"].update(embed_dim=768)), "describes Emotion2vec of width 768"),
        (changed(lambda config: config.pop("model_conf")), "not a FunASR description"),
        (
            changed(
                lambda config: config["model_conf"]["modalities"]["audio"].update(
                    feature_encoder_spec="__import__('os').system('true')"
                )
            ),
            "not a plain list of layers",
        ),
    ],
)
def test_another_or_an_evil_description_is_refused(weights: Path, config: dict[str, Any], said: str) -> None:
    write_model(weights / "speech/emotion2vec_plus_large", config)
    with pytest.raises(UserError, match=said):
        embed_emotion2vec(SOUND, weights)


def test_a_missing_funasr_says_which_extra_to_install(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(weights / "speech/emotion2vec_plus_large")
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(UserError, match=r"FunASR cannot be imported .*\[emotion2vec\]'"):
        embed_emotion2vec(SOUND, weights)


def test_the_check_before_the_work_asks_for_the_model_and_for_funasr(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="emotion2vec_plus_large .* is missing"):
        check_emotion2vec(weights)
    write_model(weights / "speech/emotion2vec_plus_large")
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(UserError, match=r"FunASR is not installed: .*\[emotion2vec\]'"):
        check_emotion2vec(weights)


@pytest.fixture
def random_model(weights: Path) -> Path:
    """A small model of random weights, in the folder as the hub gives it."""
    funasr = pytest.importorskip("funasr")
    folder = write_model(weights / "speech/emotion2vec_plus_large")
    (folder / "tokens.txt").write_text("angry\nhappy\n<unk>\n")
    torch.manual_seed(0)
    model = funasr.AutoModel(model="Emotion2vec", model_conf=CONFIG["model_conf"], device="cpu", disable_update=True)
    state = {key: value for key, value in model.model.state_dict().items() if ".decoder." not in key}
    torch.save(
        {"model": state | {"proj.weight": torch.zeros(3, 1024), "proj.bias": torch.zeros(3)}}, folder / "model.pt"
    )
    return folder


def test_an_embedding_is_what_funasr_gives_for_the_folder_and_the_file(
    random_model: Path, weights: Path, tmp_path: Path
) -> None:
    from funasr import AutoModel

    write_sound(tmp_path / "a.wav", SOUND, 16_000)
    official = AutoModel(model=str(random_model), device="cpu", disable_update=True)
    result = official.generate(str(tmp_path / "a.wav"), granularity="utterance", extract_embedding=True)
    vector = embed_emotion2vec(read_sound(tmp_path / "a.wav", 16_000), weights)
    assert (vector.shape, vector.dtype) == ((1024,), np.float32)
    np.testing.assert_allclose(vector, result[0]["feats"], rtol=1e-5, atol=1e-5)


def test_a_missing_weight_is_refused_that_funasr_passes_over(random_model: Path, weights: Path) -> None:
    state = torch.load(random_model / "model.pt")["model"]
    del state["blocks.0.attn.proj.weight"]
    torch.save({"model": state}, random_model / "model.pt")
    with pytest.raises(UserError, match=r"not the weights of emotion2vec\+ large: 1 of \d+ keys missing, 0 unexp"):
        embed_emotion2vec(SOUND, weights)
