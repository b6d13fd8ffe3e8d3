"""How fast stored results become tables, and what scoring takes."""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.edits.rows import official_clips
from cmet.packs import Packs, read_packed
from cmet.params import load_params
from cmet.scores.results import RESULTS, ROW, read_results, write_results
from cmet.vocabulary import TARGET_EMOTIONS
from tests.processes import tree_bytes

PARAMS = Path(__file__).parents[1] / "params.yaml"
METHODS = ("neutral", "reference", "cmet", "oracle", "ground_truth")
VALUES = ("fid/pairwise-mean", "fvd/pairwise-mean", "sync_conf", "identity_similarity", "lmd/mouth", "lmd/face")
POLL_S = 0.1


def stored_results() -> pd.DataFrame:
    """Results of every method on all official rows of MEAD, drawn at random: only their size is real."""
    draw = np.random.default_rng(0)
    clips = official_clips("mead")
    rows = pd.DataFrame(
        [(c.clip_id, c.speaker, c.sentence, c.emotion, c.intensity, "source", c.clip_id) for c in clips], columns=ROW
    ).astype({"intensity": "Int64"})
    parts = []
    for method in METHODS:
        facts = rows.assign(
            sample_id="bench-00000000." + rows.row_id + f".{method}", corpus="mead", backbone="edtalk", method=method,
            protocol="bench-00000000", judge="0" * 64, is_held_out=False, answer=None, reason=None,
        )  # fmt: skip
        said = draw.choice(TARGET_EMOTIONS, len(rows))
        parts.append(facts.assign(metric="acc_emo", value=(said == rows.emotion).astype(float), answer=said))
        names = [f"logit/{name}" for name in TARGET_EMOTIONS] + list(VALUES if method != "ground_truth" else ())
        parts += [facts.assign(metric=name, value=draw.normal(size=len(rows))) for name in names]
    return pd.concat(parts, ignore_index=True)


def tables_of_all_of_mead(scratch: Path) -> float:
    """Seconds from the stored file to all numbers with their intervals, and the paper's tables with ours below."""
    from cmet.report.labels import paper_rows
    from cmet.report.paper import beside, of_corpus, paper_tables, printed_tables
    from cmet.scores.tables import measure

    write_results(stored_results(), scratch / RESULTS)
    params = load_params(PARAMS)
    started = time.perf_counter()
    metrics = measure(read_results(scratch / RESULTS), params.evaluate, params.seed)
    ours = paper_rows(metrics, {"corpus": "mead"}, {}, "edtalk")
    tables = of_corpus(paper_tables(), "mead")
    joined = {name: table if "emotion" in table else beside(table, ours) for name, table in tables.items()}
    text = printed_tables(joined)
    seconds = time.perf_counter() - started
    assert "edtalk cmet" in text
    return seconds


def memory_while_scoring(project: Path, scratch: Path, sizes: tuple[int, int]) -> tuple[float, float]:
    """Peak MiB of judging prepared clips and measuring their landmarks, workers included, for two numbers of copies."""
    packs = Packs(project / "data/clips/video")
    names = packs.names()
    context = multiprocessing.get_context("spawn")
    peaks = []
    for size in sizes:
        folder = scratch / f"scoring-{size}"
        folder.mkdir()
        for number in range(size):
            (folder / f"{number}.mp4").write_bytes(read_packed(packs.path(names[number % len(names)])))
        # the processes of a Pool may have none of their own
        with ProcessPoolExecutor(1, context) as pool:
            pid = pool.submit(os.getpid).result()
            scored = pool.submit(_score, folder, project / "data/judge")
            peak = 0
            while not scored.done():
                peak = max(peak, tree_bytes(pid))
                time.sleep(POLL_S)
            scored.result()
            peaks.append(peak / 2**20)
    return peaks[0], peaks[1]


def frechet_difference() -> float:
    """Largest relative difference of both kinds of FID to a computation by singular values, on drawn features."""
    from cmet.scores.metrics.frechet import RunningStatistics, distance_of_sets, frechet_distance

    draw = np.random.default_rng(0)
    found = 0.0
    for num_first, num_second in ((75, 60), (700, 900)):
        first = draw.normal(size=(num_first, 256))
        second = 0.5 + draw.normal(size=(num_second, 256)) @ np.diag(np.linspace(0.5, 2, 256))
        expected = _by_singular_values(first, second)
        sums = []
        for features in (first, second):
            total = RunningStatistics(256)
            for part in np.array_split(features, 7):
                total.add(part)
            sums.append(total.statistics())
        for value in (distance_of_sets(first, second), frechet_distance(*sums)):
            found = max(found, abs(value - expected) / expected)
    return found


def _by_singular_values(first: np.ndarray, second: np.ndarray) -> float:
    """The distance of two normal distributions, its mixed term as the sum of the singular values of A B^T."""
    spread = [(features - features.mean(axis=0)) / np.sqrt(len(features) - 1) for features in (first, second)]
    mixed = np.linalg.svd(spread[0] @ spread[1].T, compute_uv=False).sum()
    means = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    return float(means + np.square(spread[0]).sum() + np.square(spread[1]).sum() - 2 * mixed)


def _score(folder: Path, judge: Path) -> None:
    from cmet.judge.classifier import Judge
    from cmet.scores.metrics.metric import Shown
    from cmet.scores.metrics.registry import metric_class

    videos = sorted(folder.iterdir())
    answers = Judge.load(judge).classify_clips(videos)
    shown = [Shown(video, videos[0], videos[0], None) for video in videos]
    measured = metric_class("landmarks").load(folder).measure(shown, "landmarks")
    assert len(answers) == len(measured.per_clip) == len(videos)
