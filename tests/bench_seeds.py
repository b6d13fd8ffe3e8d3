"""The sample's accuracies over several seeds of everything: other actors, voices, clips, weights and judge each time.

`python -m tests.bench_seeds` runs the demo once for each seed in a fresh clone, about seven minutes each.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from cmet.params import load_params
from cmet.scores.measured import MethodScores
from cmet.scores.results import read_results
from cmet.scores.tables import measure
from cmet.text_tables import text_table

ROOT = Path(__file__).parents[1]
SEEDS = (5, 6, 7)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cmet-seeds-") as folder:
        print(seeds_table([run_seed(Path(folder), seed) for seed in SEEDS]))


def run_seed(scratch: Path, seed: int) -> pd.DataFrame:
    """Results of the demo with another seed, told from those of other seeds by their speakers and rows."""
    clone = scratch / f"seed-{seed}"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("seed: 7\n", f"seed: {seed}\n", 1))
    with (scratch / f"seed-{seed}.log").open("w") as log:
        command = [sys.executable, "-m", "dvc", "repro"]
        subprocess.run(command, cwd=clone, stdout=log, stderr=subprocess.STDOUT, check=True)
    return of_seed(read_results(clone / "data/evaluate/facemesh"), seed)


def of_seed(results: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Results whose rows and speakers carry the seed, since another seed has other actors under the same names."""
    named = {name: f"seed{seed}-" + results[name] for name in ("row_id", "speaker", "sample_id")}
    return results.assign(seed=seed, **named)


def seeds_table(parts: list[pd.DataFrame]) -> str:
    """Accuracies of every seed and of all together, intervals clustered by (seed, speaker, sentence)."""
    params = load_params(ROOT / "params.yaml")
    pooled = pd.concat(parts, ignore_index=True).assign(protocol="pooled", judge="one for each seed")
    named = [(str(part.seed.iloc[0]), measure(part, params.evaluate, 0)) for part in parts]
    rows = [
        [name, method, *_cells(scores), *_cells(metrics.held_out_methods[method])]
        for name, metrics in [*named, ("all", measure(pooled, params.evaluate, 0))]
        for method, scores in metrics.methods.items()
    ]
    headings = ["seed", "method", "accuracy", "interval", "n", "held out", "interval", "n"]
    return text_table(headings, rows, is_padded=False)


def _cells(scores: MethodScores) -> list[str]:
    low, high = scores.interval
    return [f"{100 * scores.acc_emo:.1f} %", f"{100 * low:.1f} - {100 * high:.1f}", str(scores.n)]


if __name__ == "__main__":
    main()
