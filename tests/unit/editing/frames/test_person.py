from pathlib import Path

import cv2
import numpy as np

from cmet.editing.frames.person import face_of
from cmet.media.landmarks import find_faces
from cmet.media.video import read_video


def test_a_small_face_in_a_picture_is_cut_out(real: Path, tmp_path: Path) -> None:
    face = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", [0]).frames[0]
    picture = np.full((1080, 1920, 3), 90, np.uint8)
    picture[700:892, 1500:1692] = cv2.resize(face, (192, 192))
    cv2.imwrite(str(tmp_path / "person.png"), picture[..., ::-1])
    assert next(find_faces([picture])) == []
    (box,) = next(find_faces([face_of(tmp_path / "person.png", 256, "fomm-reflect-1")]))
    assert (box[2:] - box[:2]).min() > 120
