"""Prediction over a whole clip; test_golden_values compares it with the published routine, which drops the tail."""

import numpy as np

from cmet.connector.inference import predict_deltas
from tests.golden.fill import normal
from tests.golden.ours import filled_connector


def test_without_dropping_the_tail_all_frames_are_covered_and_the_others_stay() -> None:
    connector = filled_connector(10)
    codes = normal("infer/source23", (23, 10), 0.8).numpy()
    speech = normal("infer/speech_emo", (10, 1024), 0.4).mean(0).numpy()
    dropped = predict_deltas(connector, speech, codes, drop_tail=True)
    whole = predict_deltas(connector, speech, codes)
    assert (len(dropped), whole.shape) == (20, codes.shape)
    np.testing.assert_allclose(whole[: len(dropped)], dropped, atol=1e-6)
