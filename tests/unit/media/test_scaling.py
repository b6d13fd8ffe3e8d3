"""Pictures at another size."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import cmet
from cmet.media.scaling import scaled


@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_scaling_is_by_opencvs_own_code_and_leaves_ipp_as_it_was(interpolation: int, kind: type) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(kind)
    was = cv2.ipp.useIPP()
    try:
        cv2.ipp.setUseIPP(False)
        own = cv2.resize(picture, (200, 150), interpolation=interpolation)
        for is_used in (True, False):
            cv2.ipp.setUseIPP(is_used)
            np.testing.assert_array_equal(scaled(picture, 200, 150, interpolation), own)
            assert cv2.ipp.useIPP() == is_used
    finally:
        cv2.ipp.setUseIPP(was)


def test_everything_is_scaled_at_one_place() -> None:
    files = Path(cmet.__file__).parent.rglob("*.py")
    assert [file.name for file in files if "cv2.resize(" in file.read_text(encoding="utf-8")] == ["scaling.py"]
