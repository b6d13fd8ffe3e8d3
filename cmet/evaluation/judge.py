"""The judge: a small frame classifier that says which emotion a clip shows.

It is trained on unedited clips of the training speakers and knows nothing of any backbone or connector, so it
can compare them. Like the paper's judge it has the seven classes without neutral, and a clip's answer is the
mean of the logits of evenly spaced frames.
"""

# N frames, P pixels of a side, C classes (7)

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from cmet.engine import count_workers
from cmet.errors import ClipError, UserError
from cmet.evaluation.augmentation import augment
from cmet.evaluation.card import CARD, HISTORY, JudgeCard, read_card
from cmet.evaluation.protocol import video_path
from cmet.media import VideoFile
from cmet.outputs import fresh_folder, write_json
from cmet.params import TARGET_EMOTIONS, JudgeParams

WEIGHTS = "judge.safetensors"
CLIPS_AT_ONCE = 16
FRAMES_AT_ONCE = 256
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1
POOLED_PX = 2
"""The last maps are averaged to this size: brows and mouth, left and right stay apart."""
WARM_UP = 0.2
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True)
class JudgeReport:
    """What training the judge came to."""

    num_train_clips: int
    num_val_clips: int
    num_parameters: int
    acc_train: float
    acc_val: float | None
    sha256: str


class JudgeNetwork(nn.Module):
    """A strided network of a quarter of a million weights: small enough to be trained on a CPU within a minute."""

    def __init__(self) -> None:
        """Build it; the weights come from torch's current random state."""
        super().__init__()
        self.features = nn.Sequential(
            _convolution(3, 16, size=5),
            _convolution(16, 32),
            _convolution(32, 64),
            _convolution(64, 128),
            _Residual(128),
        )
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(128 * POOLED_PX**2, len(TARGET_EMOTIONS)))

    def forward(self, pictures_NCPP: Tensor) -> Tensor:
        """Logits of pictures with values 0-1, shape (N, 7)."""
        # each colour of each picture to mean 0 and spread 1: light and skin say nothing of the emotion
        normal = functional.instance_norm(pictures_NCPP, eps=1e-4)
        maps = self.features(normal.contiguous(memory_format=torch.channels_last))
        return self.head(functional.adaptive_avg_pool2d(maps, POOLED_PX).flatten(1))


class Judge:
    """A trained judge."""

    def __init__(self, network: JudgeNetwork, params: JudgeParams) -> None:
        """Take a network as it is; it is switched to inference."""
        self.network = network.eval()
        self.params = params

    @classmethod
    def load(cls, folder: Path) -> "Judge":
        """Read the folder that `train_judge` wrote.

        Raises:
            UserError: There is no judge, or its weights are not the ones its card describes.
        """
        card = read_card(folder)
        if _sha256(folder / WEIGHTS) != card.sha256:
            raise UserError(f"{folder / WEIGHTS}: not the weights that {CARD} describes; run 'cmet judge' again")
        network = JudgeNetwork()
        network.load_state_dict(load_file(folder / WEIGHTS))
        return cls(network, card.params)

    def logits(self, frames_NHWC: np.ndarray) -> np.ndarray:
        """Logits of RGB uint8 frames of any size, shape (N, 7), float32."""
        side = self.params.image_px
        if frames_NHWC.shape[1:3] != (side, side):
            frames_NHWC = np.stack([_resize(frame, side) for frame in frames_NHWC])
        parts = np.split(frames_NHWC, range(FRAMES_AT_ONCE, len(frames_NHWC), FRAMES_AT_ONCE))
        with torch.inference_mode():
            return np.concatenate([self.network(_to_tensor(part)).numpy() for part in parts])

    def classify_clip(self, path: Path) -> np.ndarray:
        """Mean logits of a clip, shape (7,).

        Raises:
            ClipError: The video cannot be read.
        """
        answer = self.classify_clips([path])[0]
        if isinstance(answer, ClipError):
            raise answer
        return answer

    def classify_clips(self, paths: Sequence[Path], label: str = "judge") -> list[np.ndarray | ClipError]:
        """Mean logits of each clip, or why it cannot be read."""
        answers: list[np.ndarray | ClipError] = []
        clips = read_frames(paths, self.params.num_frames, self.params.image_px)
        with tqdm(total=len(paths), desc=label, unit="clip", mininterval=1) as bar:
            while batch := list(islice(clips, CLIPS_AT_ONCE)):
                frames = [clip for clip in batch if not isinstance(clip, ClipError)]
                means = iter(self._mean_logits(frames))
                answers += [clip if isinstance(clip, ClipError) else next(means) for clip in batch]
                bar.update(len(batch))
        return answers

    def _mean_logits(self, clips: list[np.ndarray]) -> np.ndarray:
        if not clips:
            return np.zeros((0, len(TARGET_EMOTIONS)), np.float32)
        return self.logits(np.concatenate(clips)).reshape(len(clips), -1, len(TARGET_EMOTIONS)).mean(axis=1)


def train_judge(clips: pd.DataFrame, clips_folder: Path, out: Path, params: JudgeParams, seed: int) -> JudgeReport:
    """Train the judge on unedited emotional clips of the training speakers, and write it with its card.

    Args:
        clips: Prepared clips, of all splits; neutral and quarantined ones are left out here.
        clips_folder: Where `video/<clip_id>.mp4` lie.
        out: Folder of the judge.
        params: The `judge` section of params.yaml.
        seed: Decides the first weights, the order and every augmentation; identical input gives identical bytes.

    Raises:
        UserError: There are no clips to train on.
        ClipError: A prepared clip cannot be read.
    """
    usable = clips[(clips["status"] == "ok") & clips["emotion"].isin(TARGET_EMOTIONS)].sort_values("clip_id")
    train, val = (usable[usable["split"] == split] for split in ("train", "val"))
    if train.empty:
        raise UserError(f"{clips_folder}: no emotional clip of a training speaker is usable, so there is no judge")
    pictures_NHWC, labels_N = _training_pictures(train, clips_folder, params)
    network, history = _fit(pictures_NHWC, labels_N, params, seed)

    judge = Judge(network, params)
    with fresh_folder(out) as folder:
        save_file({name: weight.contiguous() for name, weight in network.state_dict().items()}, folder / WEIGHTS)
        history.to_parquet(folder / HISTORY, index=False)
        card = JudgeCard(
            classes=list(TARGET_EMOTIONS),
            params=params,
            seed=seed,
            corpus=", ".join(sorted(train["corpus"].unique())),
            train_speakers=sorted(train["speaker"].unique()),
            num_train_clips=len(train),
            num_parameters=sum(weight.numel() for weight in network.parameters()),
            sha256=_sha256(folder / WEIGHTS),
            acc_train=_accuracy_on(judge, pictures_NHWC, labels_N),
            acc_val=None if val.empty else _accuracy(judge, val, clips_folder),
        )
        write_json(folder / CARD, card.model_dump())
    return JudgeReport(len(train), len(val), card.num_parameters, card.acc_train, card.acc_val, card.sha256)


def read_frames(paths: Sequence[Path], num_frames: int, size_px: int) -> Iterator[np.ndarray | ClipError]:
    """Evenly spaced frames of each clip, shape (num_frames, size_px, size_px, 3) uint8, or why there are none."""

    def read(path: Path) -> np.ndarray | ClipError:
        try:
            return _spaced_frames(path, num_frames, size_px)
        except ClipError as error:
            return error

    with ThreadPoolExecutor(count_workers()) as pool:
        for start in range(0, len(paths), CLIPS_AT_ONCE):
            yield from pool.map(read, paths[start : start + CLIPS_AT_ONCE])


def _spaced_frames(path: Path, num_frames: int, size_px: int) -> np.ndarray:
    video = VideoFile(path)
    # the paper's judge: int(total / 16 * i), so the last part of a clip is not reached
    indices = [int(len(video) / num_frames * i) for i in range(num_frames)]
    return np.stack([_resize(frame, size_px) for frame in video.frames_at(indices)])


def _training_pictures(train: pd.DataFrame, clips_folder: Path, params: JudgeParams) -> tuple[np.ndarray, np.ndarray]:
    paths = [video_path(clips_folder, clip_id) for clip_id in train["clip_id"]]
    pictures = []
    read = read_frames(paths, params.num_train_frames, params.image_px)
    for frames in tqdm(read, total=len(paths), desc="judge: frames", unit="clip", mininterval=1):
        if isinstance(frames, ClipError):
            raise frames
        pictures.append(frames)
    labels = [TARGET_EMOTIONS.index(emotion) for emotion in train["emotion"]]
    return np.concatenate(pictures), np.repeat(labels, params.num_train_frames)


def _fit(pictures: np.ndarray, labels: np.ndarray, params: JudgeParams, seed: int) -> tuple[JudgeNetwork, pd.DataFrame]:
    order = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    num_batches = -(-len(labels) // params.batch_size)
    history = []
    # dropout and the first weights read torch's global random state: set it here, give it back afterwards
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = JudgeNetwork().train()
        optimizer = torch.optim.AdamW(network.parameters(), params.learning_rate, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, params.learning_rate, total_steps=num_batches * params.num_epochs, pct_start=WARM_UP
        )
        for epoch in tqdm(range(1, params.num_epochs + 1), desc="judge: training", unit="epoch"):
            losses, hits = [], 0
            for batch in np.array_split(order.permutation(len(labels)), num_batches):
                targets = torch.from_numpy(labels[batch])
                logits = network(augment(_to_tensor(pictures[batch]), generator))
                loss = functional.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
                hits += int((logits.argmax(dim=1) == targets).sum())
            history += [(epoch, "train", "loss", float(np.mean(losses))), (epoch, "train", "acc", hits / len(labels))]
    return network.eval(), pd.DataFrame(history, columns=["step", "split", "metric", "value"])


def _accuracy_on(judge: Judge, pictures_NHWC: np.ndarray, labels_N: np.ndarray) -> float:
    """Clips named rightly by the mean of the frames that the judge was trained on."""
    num_frames = judge.params.num_train_frames
    logits = judge.logits(pictures_NHWC).reshape(-1, num_frames, len(TARGET_EMOTIONS)).mean(axis=1)
    return float(np.mean(logits.argmax(axis=1) == labels_N[::num_frames]))


def _accuracy(judge: Judge, clips: pd.DataFrame, clips_folder: Path) -> float:
    paths = [video_path(clips_folder, clip_id) for clip_id in clips["clip_id"]]
    answers = judge.classify_clips(paths, "judge: validation")
    named = [None if isinstance(answer, ClipError) else TARGET_EMOTIONS[int(answer.argmax())] for answer in answers]
    return float(np.mean([said == truth for said, truth in zip(named, clips["emotion"], strict=True)]))


def _convolution(num_in: int, num_out: int, size: int = 3, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(num_in, num_out, size, stride, size // 2, bias=False), nn.BatchNorm2d(num_out), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(maps + self.change(maps))


def _to_tensor(frames_NHWC: np.ndarray) -> Tensor:
    return torch.from_numpy(frames_NHWC).permute(0, 3, 1, 2).float().div_(255)


def _resize(frame: np.ndarray, size_px: int) -> np.ndarray:
    if frame.shape[:2] == (size_px, size_px):
        return frame
    return cv2.resize(frame, (size_px, size_px), interpolation=cv2.INTER_AREA)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
