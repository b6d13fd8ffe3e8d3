"""The published checkpoints the project can use, and the key sets of the networks in them.

A value that no publication states is None and printed as "not stated".
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from cmet.errors import UserError
from cmet.params import PAPER_CLIPS, PUBLISHED_CONNECTOR, ClipForm, load_params

FOLDER_VARIABLE = "CMET_WEIGHTS"
NOT_STATED = "not stated"

HOMES = ("connector", "edtalk", "facemesh", "judge", "metrics", "pdfgc", "speech")
"""Folders among the weights, one for each kind of reader; DVC needs all of them, even empty ones."""


@dataclass(frozen=True)
class Network:
    """What a published file of this network holds; its keys and shapes lie in `keys/<name>.json`."""

    name: str
    title: str
    """What a person calls it."""
    place: str = ""
    """Entry of the file's dict that holds the tensors; empty: they are the dict."""
    skip: str | None = None
    """Pattern of file keys that the published loader passes over."""
    optional: str | None = None
    """Pattern of keys that may be missing: no result depends on them."""
    ignores_others: bool = False
    """Whether the published loader passes over every key it does not know."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape by key."""
        return _shapes(self.name)

    def skips(self, key: str) -> bool:
        """Whether the published loader passes over this key of the file."""
        return self.skip is not None and re.search(self.skip, key) is not None

    def needs(self, key: str) -> bool:
        """Whether a file without this key cannot be used."""
        return self.optional is None or re.search(self.optional, key) is None


@cache
def _shapes(network: str) -> Mapping[str, tuple[int, ...]]:
    text = (resources.files("cmet.weights") / "keys" / f"{network}.json").read_text(encoding="utf-8")
    return {key: tuple(shape) for key, shape in json.loads(text).items()}


@dataclass(frozen=True)
class Checkpoint:
    """A published file or folder of weights."""

    name: str
    purpose: str
    source: str
    """Where users get it."""
    file: str | None = None
    """Its published name; None where none is stated."""
    is_folder: bool = False
    parts: tuple[str, ...] = ()
    """Files that are read of a folder, or of what has no name of its own."""
    home: str = ""
    """Folder among the weights where it lies; a stage that reads the folder runs anew when a file in it changes."""
    enables: str | None = None
    """What can be done once it is there; None when nothing waits for it."""
    licence: str | None = None
    network: Network | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    clips: ClipForm | None = None
    """How the clips look and sound that it works on; None where that is not stated or decides nothing here."""

    def located(self, folder: Path) -> Path | None:
        """Where it lies among the weights; None where it is not in its home.

        Raises:
            UserError: It is in a linked folder, whose files DVC does not see.
        """
        return watched_file(folder, self.home, self.file) if self.file else None


def watched_file(folder: Path, home: str, name: str) -> Path | None:
    """A file or folder of a home among the weights; None where it is not there.

    DVC walks the home itself and follows links to files, but not links to folders.

    Raises:
        UserError: It is, or is in, a linked folder.
    """
    place = folder / home
    path = place / name
    if not path.exists():
        return None
    if not is_watched(path, place):
        raise UserError(
            f"{path}: in a linked folder, which DVC does not look into; make it a real folder with links to the files"
        )
    return path


def is_watched(path: Path, home: Path) -> bool:
    """Whether DVC sees a file, or the files of a folder, when it looks at a home."""
    real = os.path.realpath(path if path.is_dir() else path.parent)
    return Path(real).is_relative_to(os.path.realpath(home))


_CONNECTOR = Network("connector", "C-MET's Connector", "state_dict")
_EDTALK = Network("edtalk", "EDTalk's renderer", "gen")
_AUDIO2LIP = Network("audio2lip", "Audio2Lip, EDTalk's lip network", "audio2lip")
# the identity classifier `fc` is not read, `model.fc` is never used
_APPEARANCE = Network(
    "pdfgc_appearance", "PD-FGC's appearance network", skip=r"^(?!.*model).*fc", optional=r"^model\.fc\."
)
_MOTION = Network("pdfgc_motion", "PD-FGC's motion network", optional=r"^mouth_embed\.", ignores_others=True)
_AUDIO = Network(
    "pdfgc_audio",
    "PD-FGC's audio network",
    skip=r"^(?!.*model).*fc|model\.layer4_exp|model\.attention_exp|model\.fc_exp|exp_embed",
)
_GENERATOR = Network("pdfgc_generator", "PD-FGC's generator", ignores_others=True)
# the counters of batch norm change nothing once training is over, and torch before 0.4.1 wrote none
_RESNET = Network(
    "resnet18",
    "a ResNet-18, as Emotion-FAN starts from",
    "state_dict",
    skip=r"^fc\.(weight|bias)$",
    optional=r"\.num_batches_tracked$",
)
_SYNCNET = Network("syncnet", "SyncNet", optional=r"\.num_batches_tracked$")
_ARCFACE = Network("arcface", "ArcFace, an iresnet50", optional=r"\.num_batches_tracked$")
_INCEPTION = Network("inception", "FID's Inception v3", optional=r"\.num_batches_tracked$")
_I3D = Network("i3d", "I3D of Kinetics-400", optional=r"\.num_batches_tracked$")
NETWORKS = {
    network.name: network
    for network in (
        _CONNECTOR,
        _EDTALK,
        _AUDIO2LIP,
        _APPEARANCE,
        _MOTION,
        _AUDIO,
        _GENERATOR,
        _RESNET,
        _SYNCNET,
        _ARCFACE,
        _INCEPTION,
        _I3D,
    )
}

_CMET_HUB = "Hugging Face coldhyuk/C-MET"
_EDTALK_HUBS = (
    f"{_CMET_HUB}, folder pretrained_weights/; Hugging Face tanhshuai0219/EDTalk; EDTalk's Google Drive folder"
)
_PDFGC_DRIVE = "checkpoints.tar on Google Drive, link in the readme of PD-FGC"
_FAN_DRIVES = "OneDrive or Baidu, links in the readme of Emotion-FAN"
_JUDGE = "Google Drive, links in the readme of C-MET's evaluation scripts"

CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint(
            PUBLISHED_CONNECTOR,
            "the authors' trained Connector: voice to change of expression, for EDTalk",
            f"{_CMET_HUB}, folder checkpoints/; Google Drive, link in the readme of C-MET",
            "_epoch_2105_checkpoint_step000200000.pth",
            enables="editing with the authors' trained Connector",
            home="connector",
            licence="Apache-2.0",
            network=_CONNECTOR,
            clips=PAPER_CLIPS,
        ),
        Checkpoint(
            "edtalk",
            "backbone edtalk: expression codes and rendering",
            _EDTALK_HUBS,
            "EDTalk.pt",
            enables="backbone edtalk",
            home="edtalk",
            licence="Apache-2.0",
            network=_EDTALK,
        ),
        Checkpoint(
            "edtalk-v",
            "published beside EDTalk.pt; the authors' inference does not read it",
            _EDTALK_HUBS,
            "EDTalk-V.pt",
            home="edtalk",
            licence="Apache-2.0",
            network=_EDTALK,
        ),
        Checkpoint(
            "audio2lip",
            "backbone edtalk: lips from speech",
            _EDTALK_HUBS,
            "Audio2Lip.pt",
            enables="backbone edtalk",
            home="edtalk",
            licence="Apache-2.0",
            network=_AUDIO2LIP,
        ),
        *(
            Checkpoint(
                network.name.replace("_", "-"),
                f"backbone pdfgc: {purpose}",
                _PDFGC_DRIVE,
                file,
                home="pdfgc",
                enables="backbone pdfgc",
                licence="CC BY 4.0",
                network=network,
            )
            for network, file, purpose in (
                (_APPEARANCE, "appearance_model.pth", "the look of the person"),
                (_MOTION, "motion_model.pth", "head pose, eyes and emotion of driving frames"),
                (_AUDIO, "audio_model.pth", "mouth from speech"),
                (_GENERATOR, "generator_model.pth", "rendering"),
            )
        ),
        Checkpoint(
            "emotion-fan-ferplus",
            "what the paper's judge is fine-tuned from (FER+)",
            _FAN_DRIVES,
            "Resnet18_FER+_pytorch.pth.tar",
            enables="fine-tuning a judge as the paper does",
            home="judge",
            licence="MIT",
            network=_RESNET,
        ),
        Checkpoint(
            "emotion-fan-ms1m",
            "Emotion-FAN's other start (MS1M)",
            _FAN_DRIVES,
            "Resnet18_MS1M_pytorch.pth.tar",
            home="judge",
            licence="MIT",
            network=_RESNET,
        ),
        *(
            Checkpoint(
                name,
                f"the paper's judge of emotion on {corpus}: a ResNet-18",
                _JUDGE,
                file,
                home="judge",
                enables=f"accuracy of emotion on {corpus} as in the paper",
            )
            for name, corpus, file in (
                ("judge-mead", "MEAD", "Emotion-FAN_MEAD.pth"),
                ("judge-crema-d", "CREMA-D", "Emotion-FAN_CREMA_D.pth"),
            )
        ),
        Checkpoint(
            "fid-inception",
            "FID as in the paper: Inception v3, 2048 features",
            "the weights of pytorch-fid, release fid_weights of mseitzer/pytorch-fid",
            "pt_inception-2015-12-05-6726825d.pth",
            enables="FID as in the paper",
            home="metrics",
            licence="Apache-2.0",
            network=_INCEPTION,
            size_bytes=95_628_359,
        ),
        Checkpoint(
            "fvd-i3d",
            "FVD: I3D of Kinetics-400, 400 logits; TF-Hub's deepmind/i3d-kinetics-400/1 converted to torch",
            "links in public FVD code, such as VideoGPT's",
            "i3d_pretrained_400.pt",
            enables="FVD",
            home="metrics",
            network=_I3D,
        ),
        Checkpoint(
            "syncnet",
            "sync confidence: SyncNet, features of lips and voice",
            "www.robots.ox.ac.uk/~vgg/software/lipsync/data/, as download_model.sh of joonson/syncnet_python has it",
            "syncnet_v2.model",
            home="metrics",
            enables="sync confidence",
            licence="MIT",
            network=_SYNCNET,
        ),
        Checkpoint(
            "arcface",
            "identity similarity: ArcFace, iresnet50 trained on MS1MV3",
            "insightface's model zoo, folder ms1mv3_arcface_r50_fp16; OneDrive or Baidu, links in the readme of "
            "recognition/arcface_torch",
            "backbone.pth",
            home="metrics",
            enables="identity similarity",
            licence="non-commercial research only",
            network=_ARCFACE,
        ),
        Checkpoint(
            "emotion2vec",
            "speech encoder emotion2vec (emotion2vec+ large, 1024 features), through FunASR",
            "ModelScope iic/emotion2vec_plus_large",
            "emotion2vec_plus_large",
            is_folder=True,
            parts=("config.yaml", "model.pt"),
            home="speech",
            enables="speech encoder emotion2vec",
        ),
        Checkpoint(
            "torchaudio-bundles",
            "speech encoders WavLM, HuBERT, wav2vec 2.0; one file per bundle",
            "torchaudio.pipelines",
            parts=(
                "hubert_fairseq_base_ls960.pth",
                "hubert_fairseq_large_ll60k.pth",
                "wav2vec2_fairseq_base_ls960.pth",
                "wav2vec2_fairseq_large_ls960.pth",
                "wav2vec2_fairseq_large_lv60k.pth",
                "wavlm_base.pth",
                "wavlm_base_plus.pth",
                "wavlm_large.pth",
            ),
            home="speech",
        ),
        *(
            Checkpoint(
                f"whisper-{name}",
                f"speech encoder whisper-{name}: the encoder of Whisper {name}",
                f"https://openaipublic.azureedge.net/main/whisper/models/{sha256}/{name}.pt",
                f"whisper-{name}.pt",
                home="speech",
                licence="MIT",
                sha256=sha256,
            )
            for name, sha256 in (
                ("tiny", "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9"),
                ("tiny.en", "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"),
                ("base", "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e"),
                ("base.en", "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead"),
            )
        ),
    )
}


def weights_folder(project: Path = Path()) -> Path:
    """Where commands look for weights: what CMET_WEIGHTS names, or else the folder of the project.

    Stages look in the project's only, whatever the variable says: DVC reads params.yaml, but no variables.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else project_weights(project)


def project_weights(project: Path) -> Path:
    """What `weights` in params.yaml names, or `weights/` where there is no such file.

    Raises:
        ParamsError: As `load_params`.
    """
    params = project / "params.yaml"
    return project / (load_params(params).weights if params.is_file() else "weights")


def checkpoint_named(name: str) -> Checkpoint:
    """A registered checkpoint.

    Raises:
        UserError: The name is unknown.
    """
    if name not in CHECKPOINTS:
        raise UserError(f"unknown checkpoint {name!r}; expected one of {', '.join(CHECKPOINTS)}")
    return CHECKPOINTS[name]


def find_weight(name: str, folder: Path | None = None) -> Path:
    """Path of a registered checkpoint.

    Args:
        name: Its name in the registry.
        folder: Where to look; `weights_folder()` when None.

    Raises:
        UserError: It is not there, no file name of it is known, or the name is unknown.
    """
    checkpoint = checkpoint_named(name)
    folder = weights_folder() if folder is None else folder
    if checkpoint.file is None:
        raise UserError(
            f"{name}: its published file name is unknown, so cmet cannot look for it; source: {checkpoint.source}"
        )
    path = checkpoint.located(folder)
    if path is None:
        home = folder / checkpoint.home
        for astray in (folder / checkpoint.file, *sorted(folder.glob(f"*/{checkpoint.file}"))):
            if astray.exists():
                raise UserError(f"{astray} ({checkpoint.purpose}) belongs in {home}/; move or link it there")
        raise UserError(
            f"{checkpoint.file} ({checkpoint.purpose}) is missing: get it from {checkpoint.source}, "
            f"and put it into {home}/"
        )
    return path
