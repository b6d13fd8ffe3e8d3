from pathlib import Path

import pytest

from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap


def count_threads(job: Job, files: Path) -> Record:
    import torch

    return {"threads": torch.get_num_threads()}


@pytest.mark.workers
def test_torch_has_one_thread_in_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (record,) = ClipMap(count_threads, tmp_path, "threads").run([{"clip_id": "a"}], num_workers=1)
    assert record["threads"] == 1
