"""Training: how fast samples are drawn, what a step costs, how much memory a corpus of MEAD's size takes, and being
killed at any moment.

`python -m tests.bench_training` prints all of it. Every part is measured in a process of its own.
"""

import io
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, suppress
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmet.experiments import read_experiment
from cmet.params import TrainParams

# heavy imports are inside the functions: processes that measure something else import this module too
if TYPE_CHECKING:
    from torch import Tensor, nn

    from cmet.connector.batches import BankBatches
    from cmet.connector.losses import LossTerms
    from cmet.connector.network import Connector, Prediction
    from cmet.connector.sampler import Batch, Sampler
    from cmet.shards import PairSample

ROOT = Path(__file__).parents[1]
NUM_DRAWN_SPEAKERS = 6
TIMED_S = 5.0
NUM_SPEED_ROUNDS = 3
NUM_LOADER_PROCESSES = 2

NUM_ROUNDS = 8
NUM_STEPS_PER_ROUND = 2
SAME = 1e-4

NUM_TEST_SPEAKERS = 4
PAIRS_PER_SHARD = 512
NUM_FRAMES = (40, 160)

NUM_KILLS = 10
AGENTS_S = 180.0
NUM_TRAINED_STEPS = 400
SEED = 7
POLL_S = 0.001


def paper_params(**changes: Any) -> TrainParams:
    """The recipe of the experiment that reproduces the paper, with some of it changed."""
    return TrainParams(**read_experiment(ROOT / "experiments/mead-edtalk.yaml")["train"] | changes)


def sampling_speeds(scratch: Path) -> dict[str, float]:
    """Samples per second of one core, ours and by the published procedure, and of the procedure in two processes.

    The procedure reads a tree of 6 speakers x 670 clips, files warm, through torch's loader, which puts batches of 128
    together; our sampler has the same clips in memory. The two take turns, and the fastest round of each counts.
    """
    return apart(_sampling_speeds, scratch / "tree")


def _sampling_speeds(root: Path) -> dict[str, float]:
    import torch
    from torch.utils.data import DataLoader

    from cmet.connector.bank import FeatureBank
    from cmet.connector.sampler import Sampler
    from cmet.corpora.mead import TRAIN
    from tests.official_sampler import OfficialDataset, mead_clips, seed_worker, write_tree

    torch.set_num_threads(1)
    clips = mead_clips(TRAIN[:NUM_DRAWN_SPEAKERS])
    write_tree(root, clips)
    params = paper_params()
    sampler = Sampler(FeatureBank.from_clips(clips, torch.device("cpu")), params, SEED)
    size, dataset = params.batch_size, OfficialDataset(root)
    ours, published = [], []
    drawn = iter(lambda: sampler.draw(size), None)
    loaded = endless(DataLoader(dataset, size, shuffle=True, drop_last=True))
    for _ in range(NUM_SPEED_ROUNDS):
        ours.append(speed(drawn, size))
        published.append(speed(loaded, size))
    loader = DataLoader(
        dataset,
        size,
        shuffle=True,
        drop_last=True,
        num_workers=NUM_LOADER_PROCESSES,
        worker_init_fn=seed_worker,
        multiprocessing_context="spawn",
    )
    in_two_processes = speed(endless(loader), size)
    return {
        "num_clips": len(clips),
        "samples_per_s": max(ours),
        "published_samples_per_s": max(published),
        "published_in_two_processes_samples_per_s": in_two_processes,
        "speedup": max(ours) / max(published),
        "speedup_over_two_processes": max(ours) / in_two_processes,
    }


def endless(loader: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def speed(batches: Iterator[Any], size: int) -> float:
    """Samples per second of some seconds, after a first batch."""
    next(batches)
    num, started = 0, time.perf_counter()
    while time.perf_counter() - started < TIMED_S:
        next(batches)
        num += size
    return num / (time.perf_counter() - started)


def step_times(num_rounds: int = NUM_ROUNDS) -> dict[str, float]:
    """Seconds of a training step of the paper's size on the CPU: our loop, drawing included, and a plain one.

    The plain loop does what the published one does, with its batches drawn beforehand. The two take turns, so that
    other work on the machine slows both; medians count. Both use the threads that torch chooses.
    """
    return apart(_step_times, num_rounds)


def _step_times(num_rounds: int) -> dict[str, float]:
    import torch

    from cmet.connector.bank import FeatureBank
    from cmet.connector.batches import BankBatches
    from cmet.connector.checkpoint import TrainingState
    from cmet.connector.network import Connector
    from cmet.connector.processes import Processes
    from cmet.connector.sampler import Sampler
    from cmet.connector.step import TrainingStep
    from cmet.corpora.mead import TRAIN
    from tests.official_sampler import mead_clips

    alone = Processes(0, 1, torch.device("cpu"))
    # between logs: nothing is validated or saved
    params = paper_params(num_steps=10**9, log_every=25, validate_every=10**9, checkpoint_every=10**9)
    sampler = Sampler(FeatureBank.from_clips(mead_clips(TRAIN[:NUM_DRAWN_SPEAKERS]), alone.device), params, SEED)
    cached = [sampler.draw(params.batch_size) for _ in range(8)]
    torch.manual_seed(SEED)
    connector = Connector(params.network, 10, 1024)
    difference = _difference(connector, cached[0])
    if difference > SAME:
        raise AssertionError(f"the plain network predicts something else, by {difference}")
    plain = PlainLoop(deepcopy(connector).train(), params, cached)
    batches = TimedBatches(BankBatches(sampler, params.batch_size, alone))
    module = TrainingStep(connector.train(), params, alone)
    state = TrainingState.begin(module, batches, params)

    run_ours(state, params, batches, 2)
    plain.run(2)
    ours_s, waited_s, plain_s = [], [], []
    for _ in range(num_rounds):
        steps = run_ours(state, params, batches, NUM_STEPS_PER_ROUND)
        ours_s += [step_s for step_s, _ in steps]
        waited_s += [draw_s for _, draw_s in steps]
        plain_s += plain.run(NUM_STEPS_PER_ROUND)
    step_s, plain_step_s = statistics.median(ours_s), statistics.median(plain_s)
    return {
        "step_s": step_s,
        "plain_step_s": plain_step_s,
        "relative": step_s / plain_step_s,
        "relative_of_fastest": min(ours_s) / min(plain_s),
        "data_share": sum(waited_s) / sum(ours_s),
    }


class Enough(Exception):
    """Leaves the training loop before it logs, validates or saves for the last time."""


class TimedBatches:
    """Batches that note when they were asked for and when they were there, and end the loop after some."""

    def __init__(self, batches: "BankBatches") -> None:
        self.batches = batches
        self.sampler: Sampler = batches.sampler
        self.times: list[tuple[float, float]] = []
        self.num_left = 0

    def draw(self) -> "Batch":
        asked = time.perf_counter()
        if not self.num_left:
            self.times.append((asked, asked))
            raise Enough
        self.num_left -= 1
        batch = self.batches.draw()
        self.times.append((asked, time.perf_counter()))
        return batch

    def state(self) -> dict[str, Any]:
        return self.batches.state()

    def set_state(self, state: dict[str, Any]) -> None:
        self.batches.set_state(state)


def run_ours(state: Any, params: TrainParams, batches: TimedBatches, num_steps: int) -> list[tuple[float, float]]:
    """Seconds of each step of the real training loop, from one drawing to the next, and of its drawing."""
    from cmet.connector.features import PairFacts
    from cmet.connector.training import Untracked, _run_steps
    from cmet.connector.validation import Validator

    batches.times.clear()
    batches.num_left = num_steps
    module = state.module
    validator = Validator([], PairFacts(), PairFacts().speech_limit_S, params)
    with suppress(Enough), redirect_stderr(io.StringIO()):
        _run_steps(state, module, validator, params, Path("never-written"), Untracked(), module.processes)
    return [
        (following - asked, there - asked)
        for (asked, there), (following, _) in zip(batches.times, batches.times[1:], strict=False)
    ]


class PlainLoop:
    """The published training loop on cached batches: two passes, losses looked at in every step, plain AdamW."""

    def __init__(self, connector: "Connector", params: TrainParams, batches: list["Batch"]) -> None:
        import torch

        self.connector, self.params, self.batches = connector, params, batches
        self.optimizer = torch.optim.AdamW(
            connector.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay
        )
        self.logged: list[dict[str, float]] = []

    def run(self, num_steps: int) -> list[float]:
        """Seconds of each step."""
        times = []
        for batch in islice(endless(self.batches), num_steps):
            started = time.perf_counter()
            terms = self.losses(batch)
            self.optimizer.zero_grad()
            terms.total.backward()
            self.optimizer.step()
            self.logged.append({name: value.item() for name, value in terms._asdict().items()})
            times.append(time.perf_counter() - started)
        return times

    def losses(self, batch: "Batch") -> "LossTerms":
        import torch

        from cmet.connector.losses import loss_terms

        forward = plain_pass(self.connector, batch.reference_BTK, batch.speech_B1S, batch.source_BTK)
        backward = plain_pass(self.connector, -batch.reference_BTK, -batch.speech_B1S, batch.target_BTK)
        labels = batch.labels_B, batch.first_labels_B
        return loss_terms(forward, backward, batch.delta_BTK, *labels, self.params, torch.ones(()))


def plain_pass(
    connector: "Connector", reference_BTD: "Tensor", speech_B1S: "Tensor", source_BTD: "Tensor"
) -> "Prediction":
    """One pass in the published order of work: stream by stream, and every token through every layer."""
    import torch

    from cmet.connector.network import Prediction, SignalUnit

    def embedded(encoder: "nn.Module", frames_BTD: "Tensor") -> "Tensor":
        channels_MCL = frames_BTD.reshape(-1, 1, frames_BTD.shape[-1])
        for unit in encoder.children():
            assert isinstance(unit, SignalUnit)
            out_MCL = unit.conv_block(channels_MCL)
            channels_MCL = unit.activation(out_MCL + channels_MCL if unit.is_residual else out_MCL)
        embedding_BTH: Tensor = connector.Norm(channels_MCL.mean(-1)).view(*frames_BTD.shape[:2], -1)
        return embedding_BTH

    fusion = connector.fusion_transformer_encoder
    reference_BTH = embedded(connector.ref_encoder, reference_BTD)
    source_BTH = embedded(connector.exp_encoder, source_BTD)
    speech_B1H = connector.speaker_encoder(speech_B1S)
    tokens = [fusion.position_r(reference_BTH), speech_B1H, fusion.position_e(source_BTH)]
    tokens_BNH = fusion.dropout(torch.cat(tokens, 1) + fusion.modality(fusion.types_N))
    fused_BTH = fusion.transformer_encoder(tokens_BNH)[:, -connector.window :]
    return Prediction(connector.projector(fused_BTH), reference_BTH, speech_B1H, source_BTH)


def _difference(connector: "Connector", batch: "Batch") -> float:
    """Largest difference of what the two ways predict, without dropout."""
    import torch

    inputs = batch.reference_BTK, batch.speech_B1S, batch.source_BTK
    connector.eval()
    with torch.no_grad():
        pairs = zip(connector(*inputs), plain_pass(connector, *inputs), strict=True)
        return max(float((ours - plain).abs().max()) for ours, plain in pairs)


def memory_while_reading(scratch: Path, expression_width: int) -> dict[str, float]:
    """Peak MiB of a process that reads shards of all of MEAD's front views and draws batches; its seconds, too."""
    folder = scratch / f"shards-{expression_width}"
    num_samples = write_mead_shards(folder, expression_width)
    found: dict[str, float] = json.loads(child("read", folder))
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*.tar"))
    shutil.rmtree(folder)
    return {"num_samples": num_samples, "shards_mib": num_bytes / 2**20, **found}


def write_mead_shards(folder: Path, expression_width: int, speech_width: int = 1024) -> int:
    """Shards of the paper's 47 speakers with random features, no more than one shard in memory; number of samples."""
    from cmet.corpora.mead import TEST, TRAIN
    from cmet.outputs import write_json
    from cmet.pairs.sentences import neutral_sentence
    from cmet.shards import FORMAT, LISTING, UNPAIRED, write_tar
    from cmet.speech.scaling import SpeechScaling
    from cmet.vocabulary import SPLITS
    from tests.official_sampler import mead_clip, mead_labels

    def clip(*labels: Any) -> Any:
        return mead_clip(*labels, expression_width=expression_width, speech_width=speech_width, num_frames=NUM_FRAMES)

    def pair(speaker: str, emotion: str, level: int, sentence: int) -> "PairSample":
        partner = int(neutral_sentence("mead", f"{sentence:03d}"))
        return paired(clip(speaker, "neutral", 1, partner), clip(speaker, emotion, level, sentence))

    folder.mkdir()
    draw = random.Random(SEED)
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in (*SPLITS, UNPAIRED)}
    for split, speakers in (("train", TRAIN), ("test", TEST)):
        labels = [label for label in mead_labels(speakers) if label[1] != "neutral"]
        draw.shuffle(labels)
        for start in range(0, len(labels), PAIRS_PER_SHARD):
            batch = [pair(*label) for label in labels[start : start + PAIRS_PER_SHARD]]
            splits[split].append(write_tar(folder, f"{split}/{len(splits[split]):06d}.tar", batch))
    # the neutral sentences that no emotional one is a recording of
    unpaired = [clip(speaker, "neutral", 1, sentence) for speaker in TRAIN for sentence in range(4, 14)]
    splits[UNPAIRED].append(write_tar(folder, f"{UNPAIRED}/000000.tar", unpaired))
    SpeechScaling.none(speech_width).save(folder)
    write_json(folder / LISTING, {"format": FORMAT, "splits": splits})
    return sum(entry.n for entries in splits.values() for entry in entries)


def paired(neutral: Any, emotional: Any) -> "PairSample":
    """The pair of two clips."""
    from cmet.shards import PairSample

    return PairSample(
        key=emotional.clip_id,
        corpus=emotional.corpus,
        speaker=emotional.speaker,
        sentence=emotional.sentence,
        emotion=emotional.emotion,
        intensity=emotional.intensity,
        neutral_clip=neutral.clip_id,
        emotional_clip=emotional.clip_id,
        neutral_speech=neutral.speech,
        emotional_speech=emotional.speech,
        neutral_expression=neutral.expression,
        emotional_expression=emotional.expression,
        speech_delta=emotional.speech - neutral.speech,
        expression_delta=emotional.expression.mean(0) - neutral.expression.mean(0),
    )


def read_in_child(folder: Path) -> dict[str, float]:
    """Read shards and draw from them; the peak is that of this process alone, as the kernel counts it."""
    import torch

    from cmet.connector.features import read_features
    from cmet.connector.sampler import Sampler

    params = paper_params()
    before_mib = peak_mib()
    started = time.perf_counter()
    features = read_features(folder, params, torch.device("cpu"))
    wall_s = time.perf_counter() - started
    assert features.bank is not None
    sampler = Sampler(features.bank, params, SEED)
    for _ in range(10):
        sampler.draw(params.batch_size)
    return {
        "num_clips": features.num_clips,
        "num_pairs": features.facts.num_pairs,
        "wall_s": wall_s,
        "before_mib": before_mib,
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Largest resident memory so far. getrusage would count that of the parent before the start of this program."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    raise OSError("/proc/self/status has no VmHWM")


@dataclass(frozen=True)
class Killed:
    """What came of training that was killed again and again."""

    num_kills: int
    is_identical: bool
    kill_steps: list[int]
    """Steps that had been done when the signals were sent, or that training went on from."""


def killed_while_training(scratch: Path, seed: int = 0) -> Killed:
    """Kill training at random steps, let it end, and compare with a run that nobody disturbed."""
    from cmet.outputs import content_digest

    shards = scratch / "small-shards"
    write_small_shards(shards)
    calm, killed = scratch / "calm-training", scratch / "killed-training"
    child("train", shards, calm)
    draw = random.Random(seed)
    wanted = sorted(draw.sample(range(1, NUM_TRAINED_STEPS * 9 // 10), NUM_KILLS))
    reached = [step for step in (kill_at(step, shards, killed) for step in wanted) if step is not None]
    child("train", shards, killed)
    same = content_digest(calm / "model") == content_digest(killed / "model")
    return Killed(len(reached), same, reached)


def kill_at(step: int, shards: Path, out: Path) -> int | None:
    """Start training and kill it once it has come to a step; the step it was killed at, None if it ended before."""
    steps = out / "steps"
    steps.unlink(missing_ok=True)
    process = subprocess.Popen(command("train", shards, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if steps.exists() and steps.stat().st_size >= step:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return steps.stat().st_size
        time.sleep(POLL_S)
    if process.returncode:
        sys.exit(f"training failed before it could be killed at step {step}")
    return None


def killed_agents(scratch: Path, num_kills: int = NUM_KILLS, seed: int = 0) -> Killed:
    """Kill one agent of two that train together, start it again, and compare with a run that nobody disturbed.

    Where it is the one at which the other meets it, training ends on both, and both are started again.
    """
    from mlflow import MlflowClient

    from cmet.outputs import content_digest
    from tests.training_nodes import MODEL, QUICK, TrainingNodes, write_untrained

    folder, draw = scratch / "agents", random.Random(seed)
    folder.mkdir()
    store = folder / "empty.db"
    MlflowClient(f"sqlite:///{store}").search_experiments()
    write_untrained(folder / "untrained", store)

    def begun(name: str) -> tuple[TrainingNodes, list[subprocess.Popen[bytes]]]:
        """A pair of agents whose processes train."""
        root = shutil.copytree(folder / "untrained", folder / name)
        nodes = TrainingNodes(root, PET_NPROC_PER_NODE="1", PET_RDZV_CONF=QUICK)
        agents = nodes.start_two()
        while not list(root.glob(".work/train-facemesh/*/checkpoint.pt")):
            codes = [agent.poll() for agent in agents]
            if any(codes):
                sys.exit(nodes.said())
            if None not in codes:
                # all of it between two looks
                break
            time.sleep(POLL_S)
        return nodes, agents

    def end(nodes: TrainingNodes, agents: list[subprocess.Popen[bytes]]) -> str:
        if any([agent.wait(AGENTS_S) for agent in agents]):
            sys.exit(nodes.said())
        return content_digest(nodes.root / MODEL)

    nodes, agents = begun("calm")
    started = time.monotonic()
    calm = end(nodes, agents)
    wall_s = time.monotonic() - started
    steps, digests = [], []
    while len(steps) < num_kills:
        nodes, agents = begun(f"killed-{len(steps)}")
        lost = draw.randrange(2)
        # the second half is the end of the processes, where nothing can go on
        time.sleep(draw.uniform(0, wall_s / 2))
        is_too_late = any(agent.poll() is not None for agent in agents)
        agents[lost].kill()
        agents[lost].wait()
        if is_too_late:
            agents[1 - lost].wait(AGENTS_S)
            shutil.rmtree(nodes.root)
            continue
        if lost:
            again = nodes.start_restartable()
            digests.append(end(nodes, agents[:1]))
            # it waits for a while where the first one had its last step already
            again.wait(AGENTS_S)
        else:
            agents[1].wait(AGENTS_S)
            digests.append(end(nodes, nodes.start_two()))
        steps.append(max((int(step) for step in re.findall(r"goes on from step (\d+)", nodes.said())), default=0))
    return Killed(len(steps), set(digests) == {calm}, steps)


def train_in_child(shards: Path, out: Path) -> None:
    """Train a small network; the file `steps` is as many bytes long as steps were done."""
    import torch

    from cmet.connector.processes import Processes
    from cmet.connector.training import Purpose, Untracked, train_connector
    from cmet.params import ClipForm, NetworkParams
    from cmet.shards import Shards

    out.mkdir(exist_ok=True)

    class StepFile(Untracked):
        def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
            with (out / "steps").open("ab") as stream:
                stream.truncate(step)

    clips = ClipForm(size_px=256, fps=25, sample_rate_hz=16_000, crop_rule="fomm-reflect-1")
    network = NetworkParams(hidden=64, num_layers=1, num_heads=4, feedforward=64, window=5, dropout=0.1)
    params = paper_params(
        network=network,
        batch_size=16,
        learning_rate=1e-3,
        num_steps=NUM_TRAINED_STEPS,
        log_every=1,
        validate_every=10,
        checkpoint_every=3,
    )
    train_connector(
        Shards(shards),
        out / "model",
        params,
        SEED,
        out / "work",
        StepFile(),
        Processes(0, 1, torch.device("cpu")),
        Purpose("edtalk", "emotion2vec", None, clips),
    )


def write_small_shards(folder: Path) -> None:
    """Shards of two training speakers and a validation speaker with random features."""
    from cmet.outputs import write_json
    from cmet.shards import FORMAT, LISTING, UNPAIRED, write_tar
    from cmet.speech.scaling import SpeechScaling
    from cmet.vocabulary import SPLITS
    from tests.official_sampler import mead_clip

    def pairs_of(speaker: str) -> list["PairSample"]:
        return [
            paired(
                mead_clip(speaker, "neutral", 1, sentence, speech_width=16),
                mead_clip(speaker, emotion, level, sentence, speech_width=16),
            )
            for emotion in ("angry", "happy", "sad")
            for level in (1, 2)
            for sentence in (1, 2, 3)
        ]

    folder.mkdir()
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in (*SPLITS, UNPAIRED)}
    for split, speakers in (("train", ["M005", "M007"]), ("val", ["M009"])):
        pairs = [pair for speaker in speakers for pair in pairs_of(speaker)]
        splits[split].append(write_tar(folder, f"{split}/000000.tar", pairs))
    SpeechScaling.none(16).save(folder)
    write_json(folder / LISTING, {"format": FORMAT, "splits": splits})


def apart(measure: Any, *arguments: Any) -> dict[str, float]:
    """What a function gives in a process of its own."""
    # the processes of a Pool may have none of their own
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found: dict[str, float] = pool.submit(measure, *arguments).result()
    return found


def command(name: str, *paths: Path) -> list[str]:
    """This file as a program."""
    return [sys.executable, "-m", "tests.bench_training", name, *map(str, paths)]


def child(name: str, *paths: Path) -> str:
    """Last line that this file prints as a program of its own."""
    done = subprocess.run(command(name, *paths), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(done.args)} failed:\n{done.stderr[-3000:]}")
    return done.stdout.strip().rpartition("\n")[2]


def main() -> None:
    if len(sys.argv) > 1:
        name, *paths = sys.argv[1:]
        if name == "read":
            print(json.dumps(read_in_child(*map(Path, paths))))
        else:
            train_in_child(*map(Path, paths))
        return
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        print(sampling_speeds(scratch))
        print(step_times())
        for width in (10, 30):
            print(memory_while_reading(scratch, width))
        print(killed_while_training(scratch))


if __name__ == "__main__":
    main()
