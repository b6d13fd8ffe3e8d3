from pathlib import Path

import numpy as np
import pytest
import torch

from cmet.params import SpeechParams
from cmet.speech.embeddings import write_embeddings
from cmet.speech.product import Voices
from tests.unit.speech.test_bundles import bundle_of, random_weights, write_clips


@pytest.mark.workers
@pytest.mark.slow
def test_a_whole_model_embeds_a_corpus_in_worker_processes(tone: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    (weights / "speech").mkdir(parents=True)
    torch.save(random_weights("wav2vec2-base"), weights / "speech" / bundle_of("wav2vec2-base")._path)
    clips = write_clips(tmp_path, "a", "b", "c")
    for name in clips.table.clip_id:
        clips.sound(name).parent.mkdir(exist_ok=True)
        clips.sound(name).symlink_to(tone)
    params = SpeechParams(max_rejected=0)
    report = write_embeddings(clips, "wav2vec2-base", weights, tmp_path / "out", tmp_path / "work", params)
    assert (report.num_clips, report.width) == (3, 768)
    vectors = Voices(tmp_path / "out").vectors
    assert np.isfinite(vectors["a"]).all()
    np.testing.assert_array_equal(vectors["a"], vectors["c"])
