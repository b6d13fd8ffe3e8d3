"""The published checkpoints the project can use, and the key sets of the networks in them.

A value that no publication states is None and printed as "not stated".
"""

import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from cmet.errors import UserError
from cmet.params import PAPER_CLIPS, PUBLISHED_CONNECTOR, ClipForm, load_params
from cmet.weights.routes import Download, DriveRoute, HubRoute, ManualRoute, WebRoute

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
    file: str
    """The name that it has in its home."""
    downloads: tuple[Download, ...]
    """What is fetched for it; of a folder, several files."""
    is_folder: bool = False
    parts: tuple[str, ...] = ()
    """Files that are read of a folder."""
    home: str = ""
    """Folder among the weights where it lies; a stage that reads the folder runs anew when a file in it changes."""
    enables: str | None = None
    """What can be done once it is there; None when nothing waits for it."""
    licence: str | None = None
    extra: str | None = None
    """The extra of cmet without which it cannot be used."""
    network: Network | None = None
    clips: ClipForm | None = None
    """How the clips look and sound that it works on; None where that is not stated or decides nothing here."""

    def located(self, folder: Path) -> Path | None:
        """Where it lies among the weights; None where it is not in its home.

        Raises:
            UserError: It is in a linked folder, whose files DVC does not see.
        """
        return watched_file(folder, self.home, self.file)

    @property
    def size_bytes(self) -> int | None:
        """As published, of a single file."""
        return self._single.size_bytes if self._single else None

    @property
    def sha256(self) -> str | None:
        """As published, of a single file."""
        return self._single.sha256 if self._single else None

    @property
    def _single(self) -> Download | None:
        return next((one for one in self.downloads if one.path == self.file), None)

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        return "; ".join(dict.fromkeys(str(route) for one in self.downloads for route in one.routes))


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

_CMET_REPO = "coldhyuk/C-MET"
_PDFGC = Download(
    "checkpoints.tar",
    (DriveRoute("1UtFpTnRvUNGNSsr1LDU6W5nNtzacIB9J"),),
    members=(
        ("appearance_model.pth", "appearance_model.pth"),
        ("motion_model.pth", "motion_model.pth"),
        # so in the readme of PD-FGC, not in its configuration
        ("motion_mode.pth", "motion_model.pth"),
        ("audio_model.pth", "audio_model.pth"),
        ("generator_model.pth", "generator_model.pth"),
    ),
)
_FAN_PAGE = "https://github.com/Open-Debin/Emotion-FAN"


def _edtalk(file: str, about_bytes: int | None = None) -> Download:
    return Download(
        file,
        (
            HubRoute(_CMET_REPO, f"pretrained_weights/{file}"),
            # EDTalk's readme has the first name, others have the second
            HubRoute("tanhshuai0219/EDTalk", file),
            HubRoute("tanshuai0219/EDTalk", file),
        ),
        about_bytes=about_bytes,
    )


def _emotion2vec(file: str, size_bytes: int | None = None, sha256: str | None = None) -> Download:
    name = "emotion2vec_plus_large"
    return Download(
        f"{name}/{file}",
        (
            HubRoute(f"emotion2vec/{name}", file, "6c303ba987b86b93193de93e34bb2b077a6bedc4"),
            WebRoute(f"https://modelscope.cn/models/iic/{name}/resolve/v2.0.5/{file}"),
        ),
        size_bytes,
        sha256=sha256,
    )


def _whisper(name: str, sha256: str) -> Checkpoint:
    return Checkpoint(
        f"whisper-{name}",
        f"the encoder of Whisper {name}, which hears emotions too",
        f"whisper-{name}.pt",
        (
            Download(
                f"whisper-{name}.pt",
                (WebRoute(f"https://openaipublic.azureedge.net/main/whisper/models/{sha256}/{name}.pt"),),
                sha256=sha256,
            ),
        ),
        home="speech",
        licence="MIT",
    )


def _bundle(name: str, file: str, licence: str) -> Checkpoint:
    return Checkpoint(
        name,
        f"speech encoder {name}, through torchaudio",
        file,
        (Download(file, (WebRoute(f"https://download.pytorch.org/torchaudio/models/{file}"),)),),
        home="speech",
        licence=licence,
    )


CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint(
            PUBLISHED_CONNECTOR,
            "the authors' trained Connector: voice to change of expression, for EDTalk",
            "_epoch_2105_checkpoint_step000200000.pth",
            (
                Download(
                    "_epoch_2105_checkpoint_step000200000.pth",
                    (HubRoute(_CMET_REPO, "checkpoints/_epoch_2105_checkpoint_step000200000.pth"),),
                ),
            ),
            enables="editing with the authors' trained Connector",
            home="connector",
            network=_CONNECTOR,
            clips=PAPER_CLIPS,
        ),
        Checkpoint(
            "edtalk",
            "backbone edtalk: expression codes and rendering",
            "EDTalk.pt",
            (_edtalk("EDTalk.pt", about_bytes=483_000_000),),
            enables="backbone edtalk",
            home="edtalk",
            licence="Apache-2.0",
            network=_EDTALK,
        ),
        Checkpoint(
            "edtalk-v",
            "published beside EDTalk.pt; the authors' inference does not read it",
            "EDTalk-V.pt",
            (_edtalk("EDTalk-V.pt"),),
            home="edtalk",
            licence="Apache-2.0",
            network=_EDTALK,
        ),
        Checkpoint(
            "audio2lip",
            "backbone edtalk: lips from speech",
            "Audio2Lip.pt",
            (_edtalk("Audio2Lip.pt", about_bytes=10_800_000),),
            enables="backbone edtalk",
            home="edtalk",
            licence="Apache-2.0",
            network=_AUDIO2LIP,
        ),
        *(
            Checkpoint(
                network.name.replace("_", "-"),
                f"backbone pdfgc: {purpose}",
                file,
                (_PDFGC,),
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
        *(
            Checkpoint(
                name,
                purpose,
                file,
                (Download(file, (ManualRoute(_FAN_PAGE, f"the link to {file} (OneDrive or Baidu)"),), None, size),),
                enables=enables,
                home="judge",
                licence="MIT",
                network=_RESNET,
            )
            for name, purpose, file, size, enables in (
                (
                    "emotion-fan-ferplus",
                    "what the paper's judge is fine-tuned from (FER+)",
                    "Resnet18_FER+_pytorch.pth.tar",
                    43_000_000,
                    "fine-tuning a judge as the paper does",
                ),
                ("emotion-fan-ms1m", "Emotion-FAN's other start (MS1M)", "Resnet18_MS1M_pytorch.pth.tar", None, None),
            )
        ),
        *(
            Checkpoint(
                name,
                f"the paper's judge of emotion on {corpus}: a ResNet-18",
                file,
                (Download(file, (DriveRoute(drive_id),)),),
                home="judge",
                enables=f"accuracy of emotion on {corpus} as in the paper",
            )
            for name, corpus, file, drive_id in (
                ("judge-mead", "MEAD", "Emotion-FAN_MEAD.pth", "1H0tqOEe5-EqlmomB_FujgbrG8C7dadf1"),
                ("judge-crema-d", "CREMA-D", "Emotion-FAN_CREMA_D.pth", "1QZQj39N05lx_3Qidhs3wzArx6SPdHXFU"),
            )
        ),
        Checkpoint(
            "fid-inception",
            "FID as in the paper: Inception v3, 2048 features",
            "pt_inception-2015-12-05-6726825d.pth",
            (
                Download(
                    "pt_inception-2015-12-05-6726825d.pth",
                    (
                        WebRoute(
                            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                            "pt_inception-2015-12-05-6726825d.pth"
                        ),
                        WebRoute(
                            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                            "weights-inception-2015-12-05-6726825d.pth"
                        ),
                    ),
                    95_628_359,
                    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                ),
            ),
            enables="FID as in the paper",
            home="metrics",
            licence="Apache-2.0",
            network=_INCEPTION,
        ),
        Checkpoint(
            "fvd-i3d",
            "FVD: I3D of Kinetics-400, 400 logits; TF-Hub's deepmind/i3d-kinetics-400/1 converted to torch",
            "i3d_pretrained_400.pt",
            (
                Download(
                    "i3d_pretrained_400.pt",
                    (
                        WebRoute(
                            "https://github.com/JunyaoHu/common_metrics_on_video_quality/raw/5f75173/"
                            "fvd/videogpt/i3d_pretrained_400.pt"
                        ),
                        HubRoute(
                            "LanguageBind/Open-Sora-Plan-v1.0.0",
                            "opensora/eval/fvd/videogpt/i3d_pretrained_400.pt",
                            kind="space",
                        ),
                    ),
                    about_bytes=49_000_000,
                    git_sha1="a867b87ac3a9097d200598b1d48a1b890d8ec744",
                ),
            ),
            enables="FVD",
            home="metrics",
            network=_I3D,
        ),
        Checkpoint(
            "syncnet",
            "sync confidence: SyncNet, features of lips and voice",
            "syncnet_v2.model",
            (
                Download(
                    "syncnet_v2.model",
                    (
                        WebRoute("https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model"),
                        HubRoute("ByteDance/LatentSync-1.6", "auxiliary/syncnet_v2.model"),
                    ),
                    # no exact size, or else a file that was saved anew would be refused
                    about_bytes=54_573_114,
                    sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
                ),
            ),
            home="metrics",
            enables="sync confidence",
            licence="MIT for the code, disputed for the weights",
            network=_SYNCNET,
        ),
        Checkpoint(
            "arcface",
            "identity similarity: ArcFace, iresnet50 trained on MS1MV3",
            "backbone.pth",
            (
                Download(
                    "backbone.pth",
                    # a copy: insightface's own links lead to OneDrive and Baidu
                    (HubRoute("lithiumice/ArcFace_PyTorch", "ms1mv3_arcface_r50_fp16.pth"),),
                    about_bytes=175_000_000,
                ),
            ),
            home="metrics",
            enables="identity similarity",
            licence="non-commercial research only",
            network=_ARCFACE,
        ),
        Checkpoint(
            "emotion2vec",
            "speech encoder emotion2vec (emotion2vec+ large, 1024 features), through FunASR",
            "emotion2vec_plus_large",
            (
                _emotion2vec(
                    "model.pt", 1_945_790_254, "be501a01f26fcdc7663a062dff86af839afbaef7c4de32f5e42d7e1ad2784da4"
                ),
                _emotion2vec("config.yaml"),
                _emotion2vec("tokens.txt"),
                _emotion2vec("configuration.json"),
            ),
            is_folder=True,
            parts=("config.yaml", "model.pt"),
            home="speech",
            enables="speech encoder emotion2vec",
            licence='"other", as its card says',
            extra="emotion2vec",
        ),
        *(
            _whisper(name, sha256)
            for name, sha256 in (
                ("tiny", "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9"),
                ("tiny.en", "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"),
                ("base", "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e"),
                ("base.en", "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead"),
            )
        ),
        # licences: as the page of torchaudio.pipelines states them, WavLM's as its authors do
        _bundle("hubert-base", "hubert_fairseq_base_ls960.pth", "MIT"),
        _bundle("hubert-large", "hubert_fairseq_large_ll60k.pth", "MIT"),
        _bundle("wav2vec2-base", "wav2vec2_fairseq_base_ls960.pth", "MIT"),
        _bundle("wav2vec2-large", "wav2vec2_fairseq_large_ls960.pth", "MIT"),
        _bundle("wav2vec2-large-lv60k", "wav2vec2_fairseq_large_lv60k.pth", "MIT"),
        _bundle("wavlm-base", "wavlm_base.pth", "CC BY-SA 3.0"),
        _bundle("wavlm-base-plus", "wavlm_base_plus.pth", "CC BY-SA 3.0"),
        _bundle("wavlm-large", "wavlm_large.pth", "CC BY-SA 3.0"),
    )
}

_EDIT = (PUBLISHED_CONNECTOR, "edtalk", "audio2lip", "emotion2vec")
PURPOSES = {
    "edit": _EDIT,
    "paper-table": (*_EDIT, "judge-mead", "judge-crema-d", "fid-inception", "fvd-i3d", "syncnet"),
    "hear": ("emotion2vec",),
}
"""Checkpoints that go together: to edit as the authors do, for the numbers of their table, to hear emotions best."""


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


class MissingWeights(UserError):
    """A registered checkpoint is not among the weights."""

    def __init__(self, name: str, folder: Path) -> None:
        """Say which one, where it belongs and how it gets there."""
        checkpoint = CHECKPOINTS[name]
        self._said = f"{checkpoint.file} ({checkpoint.purpose}) is missing"
        self._name = name
        super().__init__(f"{self._said} in {folder / checkpoint.home}/; run `{get_command(name, folder)}`")

    @property
    def reason(self) -> str:
        """The message without a folder, the same wherever the weights lie."""
        return f"{self._said}; run `cmet weights get {self._name}`"


def get_command(asked: str, folder: Path) -> str:
    """The command that brings checkpoints, by their names or `--for` a purpose, into a folder of weights."""
    is_usual = os.path.realpath(folder) == os.path.realpath(weights_folder())
    where = "" if is_usual else f" --folder {shlex.quote(str(folder))}"
    return f"cmet weights get {asked}{where}"


def find_weight(name: str, folder: Path | None = None) -> Path:
    """Path of a registered checkpoint.

    Args:
        name: Its name in the registry.
        folder: Where to look; `weights_folder()` when None.

    Raises:
        MissingWeights: It is not there.
        UserError: It lies somewhere else among the weights, or the name is unknown.
    """
    checkpoint = checkpoint_named(name)
    folder = weights_folder() if folder is None else folder
    path = checkpoint.located(folder)
    if path is None:
        home = folder / checkpoint.home
        for astray in (folder / checkpoint.file, *sorted(folder.glob(f"*/{checkpoint.file}"))):
            if astray.exists():
                raise UserError(f"{astray} ({checkpoint.purpose}) belongs in {home}/; move or link it there")
        raise MissingWeights(name, folder)
    return path
