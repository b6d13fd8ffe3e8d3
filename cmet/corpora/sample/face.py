"""The drawn actor: curves that follow the facial actions, head and speech.

In face units (see `painting.py`) from the middle of the head, x to the viewer's right, y down. An expression moves
and bends curves; it adds no texture of its own.
"""

from collections.abc import Iterator

import numpy as np

from cmet.corpora.sample.affect import ACTIONS
from cmet.corpora.sample.curves import between, ellipse, graph, shifted, smooth_curve
from cmet.corpora.sample.look import Colour, Look
from cmet.corpora.sample.motion import ClipMotion
from cmet.corpora.sample.painting import CENTRE, Drawing, Stroke

# T frames, N points of a curve, 2 coordinates


def draw_face(look: Look, motion: ClipMotion, light: float) -> Drawing:
    """The curves of all frames of a clip, in face units.

    Args:
        look: The actor.
        motion: The frames.
        light: Where the light comes from, -1 left ... 1 right.
    """
    face = _Face(look, motion)
    return Drawing(
        shadow=look.shade(-0.42),
        ears=list(face.ears()),
        outline=Stroke(face.placed(face.outline_TN2(), depth=0.0), look.skin),
        shading=list(face.shading(light)),
        features=[*face.nose(), *face.eyes(), *face.brows(), *face.mouth(), *face.hair()],
    )


_ALONG_LIPS = np.linspace(-1, 1, 21)
"""From the left corner of the mouth (of the picture) to the right one."""


class _Face:
    """Geometry of one clip: where the curves of a look are when the face moves."""

    def __init__(self, look: Look, motion: ClipMotion) -> None:
        self.look = look
        self.motion = motion
        self.action = {name: motion.actions_TA[:, index] for index, name in enumerate(ACTIONS)}
        self.num_frames = len(motion.blink_T)
        self.gap_T = np.maximum(0, 17 * np.maximum(self.action["jaw_drop"], 0) + 11 * motion.open_T)
        """Between the lips."""
        self.chin_T = 15 * np.maximum(self.action["jaw_drop"], -0.1) + 6 * motion.open_T
        """How far the chin has come down."""

    # --- placing -----------------------------------------------------------------------------------------------

    def placed(self, points: np.ndarray, depth: float | None = None) -> np.ndarray:
        """Turn and shift points with the head; without a depth they lie on the face's round front."""
        motion = self.motion
        points_TN2 = np.broadcast_to(points, (self.num_frames, *points.shape[-2:]))
        x, y = points_TN2[..., 0], points_TN2[..., 1]
        z = _front_depth(x, y) if depth is None else np.full_like(x, depth)
        yaw, pitch, roll = motion.yaw_T[:, None], motion.pitch_T[:, None], motion.roll_T[:, None]
        turned_x = x * np.cos(yaw) + z * np.sin(yaw)
        turned_y = y * np.cos(pitch) - z * np.sin(pitch)
        rolled_x = turned_x * np.cos(roll) - turned_y * np.sin(roll)
        rolled_y = turned_x * np.sin(roll) + turned_y * np.cos(roll)
        rolled = np.stack([rolled_x, rolled_y], axis=-1) * motion.scale_T[:, None, None]
        return rolled + CENTRE + motion.shift_T2[:, None]

    def _fill(self, points: np.ndarray, colour: Colour, depth: float | None = None) -> Stroke:
        return Stroke(self.placed(points, depth), colour)

    def _line(self, points: np.ndarray, colour: Colour, pen: float) -> Stroke:
        return Stroke(self.placed(points), colour, pen)

    # --- head --------------------------------------------------------------------------------------------------

    def outline_TN2(self) -> np.ndarray:
        """The edge of the face, from the crown round to the crown."""
        look = self.look
        width, jaw = look.face_width, look.face_width * look.jaw_width
        right = np.array(
            [
                (0, -94),
                (36, -88),
                (60 * width, -58),
                (67 * width, -20),
                (66 * width, 14),
                (59 * jaw, 48),
                (43 * jaw, 0.78 * look.chin_y),
                (22 * jaw, 0.95 * look.chin_y),
                (0, look.chin_y),
            ]
        )
        half_TN2 = np.repeat(right[None], self.num_frames, axis=0)
        falls_N = np.clip((right[:, 1] - 5) / (look.chin_y - 5), 0, 1)
        half_TN2[..., 1] += self.chin_T[:, None] * falls_N
        half_TN2[:, 4:7, 0] += 2.5 * np.maximum(self.action["corner_raise"], 0)[:, None]
        half_TN2[:, 5:8, 0] -= 0.12 * self.chin_T[:, None]
        other_TN2 = half_TN2[:, -2:0:-1] * (-1, 1)
        return smooth_curve(np.concatenate([half_TN2, other_TN2], axis=1), is_closed=True)

    def ears(self) -> Iterator[Stroke]:
        """Behind the edge of the face."""
        for side in (-1, 1):
            centre = (side * 67 * self.look.face_width, 2)
            yield self._fill(ellipse(centre, 8, 17), self.look.shade(-0.12), depth=-8)
            yield self._fill(ellipse(centre, 4, 10), self.look.shade(-0.35), depth=-8)

    def shading(self, light: float) -> Iterator[Stroke]:
        """Light and shadow on the skin, painted small and blurred."""
        look, action = self.look, self.action
        outline = self.outline_TN2()
        yield self._fill(outline * (0.90, 0.94) + (4 * light, -2), look.skin, depth=0)
        yield self._fill(ellipse((14 * light, -56), 34, 15), look.shade(0.16))
        lift_T = action["cheek_raise"] * 5 + action["nose_wrinkle"] * 2.5 + action["corner_raise"] * 2.5
        for side in (-1, 1):
            eye = (side * look.eye_x, look.eye_y - 1)
            yield self._fill(ellipse(eye, 21, 14), look.shade(-0.13))
            yield self._fill(ellipse((side * 9, look.eye_y + 2), 5, 14), look.shade(-0.16 + 0.08 * side * light))
            cheek_T2 = np.stack([np.full(self.num_frames, side * 38.0), 26 - lift_T], axis=-1)
            yield self._fill(shifted(cheek_T2, ellipse((0, 0), 15, 10)), look.blush())
            glow_T2 = np.stack([np.full(self.num_frames, side * 36.0), 15 - lift_T], axis=-1)
            yield self._fill(shifted(glow_T2, ellipse((0, 0), 12, 5)), look.shade(0.20 + 0.10 * side * light))
            yield Stroke(self.placed(self._fold_TN2(side)), look.shade(-0.30), 3.5)
        tip_T2 = np.stack([np.zeros(self.num_frames), look.nose_y - 2.5 * action["nose_wrinkle"]], axis=-1)
        width = look.nose_half_width
        yield self._fill(shifted(tip_T2, ellipse((0, -2), width, 8)), look.shade(-0.14))
        yield self._fill(np.array([(-3.5, look.eye_y - 8), (3.5, look.eye_y - 8), (4, 22), (-4, 22)]), look.shade(0.14))
        yield self._fill(shifted(tip_T2, ellipse((2 * light, -5), 6, 5)), look.shade(0.26))
        yield self._fill(shifted(tip_T2, ellipse((0, 7), width, 3)), look.shade(-0.24))
        chin_T2 = np.stack([np.zeros(self.num_frames), look.mouth_y + 16 + 0.95 * self.chin_T], axis=-1)
        yield self._fill(shifted(chin_T2, ellipse((0, 0), 15, 4)), look.shade(-0.26))
        yield self._fill(shifted(chin_T2, ellipse((0, 11), 11, 5)), look.shade(0.10))

    def _fold_TN2(self, side: int) -> np.ndarray:
        """From the wing of the nose to the corner of the mouth."""
        look = self.look
        corner_T2 = self._corner_T2(side)
        wing_T2 = np.stack(
            [
                np.full(self.num_frames, side * (look.nose_half_width + 3.0)),
                look.nose_y - 5 - 5 * self.action["nose_wrinkle"],
            ],
            axis=-1,
        )
        end_T2 = corner_T2 + (side * 5, -4)
        middle_T2 = (wing_T2 + end_T2) / 2 + (side * 3, -1)
        return smooth_curve(np.stack([wing_T2, middle_T2, end_T2], axis=1), is_closed=False)

    # --- features ----------------------------------------------------------------------------------------------

    def eyes(self) -> Iterator[Stroke]:
        """White, iris, pupil, glint, lashes and the fold of the lid."""
        for side in (-1, 1):
            yield from self._eye(side)

    def _eye(self, side: int) -> Iterator[Stroke]:
        look = self.look
        upper_T, lower_T = self._lids()
        along_N = np.linspace(-1, 1, 17)
        x_N = side * look.eye_x + look.eye_half_width * along_N
        middle_N = look.eye_y - look.eye_tilt * side * along_N
        round_N = (1 - along_N**2) ** 0.8
        upper_TN2 = graph(x_N, middle_N - upper_T[:, None] * round_N)
        lower_TN2 = graph(x_N, middle_N + lower_T[:, None] * round_N)
        yield self._fill(between(upper_TN2, lower_TN2), (244, 242, 240))
        radius = 0.47 * look.eye_height
        for size, colour in ((1.0, look.iris), (0.46, (18, 14, 14))):
            disc = ellipse((side * look.eye_x, look.eye_y - 0.8), size * radius, size * radius)
            yield self._fill(self._within_lids(disc, side, upper_T, lower_T), colour)
        glint = ellipse((side * look.eye_x + 2.0, look.eye_y - 3.2), 1.5, 1.5)
        yield self._fill(self._within_lids(glint, side, upper_T, lower_T), (250, 250, 250))
        yield self._line(lower_TN2[:, 2:-2] + (0, 0.6), look.shade(-0.45), 1.0)
        yield self._line(upper_TN2, (40, 28, 26), 2.6 if look.is_woman else 1.8)
        if look.is_woman:
            outer = upper_TN2[:, -1 if side > 0 else 0]
            yield self._line(np.stack([outer, outer + (3.5 * side, -2.5)], axis=1), (40, 28, 26), 2.0)
        fold_T = np.maximum(0.45 * upper_T + 0.36 * look.eye_height, upper_T + 1.5) + 2.2
        fold_TN2 = graph(x_N, middle_N - fold_T[:, None] * (0.25 + 0.75 * round_N))
        yield self._line(fold_TN2[:, 2:-2], look.shade(-0.38), 1.2)

    def _lids(self) -> tuple[np.ndarray, np.ndarray]:
        """Height of the upper and the lower lid over the line between the corners of the eye."""
        action, look, shut_T = self.action, self.look, self.motion.blink_T
        upper_T = 0.60 * look.eye_height * (1 + 0.62 * action["lid_raise"] - 0.16 * action["lid_tighten"])
        lower_T = (
            0.40
            * look.eye_height
            * (1 - 0.75 * action["cheek_raise"] - 0.65 * action["lid_tighten"] + 0.15 * action["lid_raise"])
        )
        lower_T = np.maximum(lower_T, -0.06 * look.eye_height)
        upper_T = (1 - shut_T) * upper_T - shut_T * (lower_T - 0.8)
        return np.maximum(upper_T, 0.8 - lower_T), lower_T

    def _within_lids(self, disc_N2: np.ndarray, side: int, upper_T: np.ndarray, lower_T: np.ndarray) -> np.ndarray:
        look = self.look
        along_N = np.clip((disc_N2[:, 0] - side * look.eye_x) / look.eye_half_width, -1, 1)
        middle_N = look.eye_y - look.eye_tilt * side * along_N
        round_N = (1 - along_N**2) ** 0.8
        top_TN, bottom_TN = middle_N - upper_T[:, None] * round_N, middle_N + lower_T[:, None] * round_N
        return graph(disc_N2[:, 0], np.clip(disc_N2[:, 1], top_TN, bottom_TN))

    def brows(self) -> Iterator[Stroke]:
        """Two tapered bands."""
        look, action = self.look, self.action
        along_N = np.linspace(0, 1, 11)
        arch_N = look.brow_arch * np.sin(np.pi * along_N**1.25)
        thickness_N = look.brow_thickness * (0.55 + 0.45 * np.minimum(1, along_N / 0.3)) * (1 - 0.8 * along_N**2.2)
        rise_TN: np.ndarray = (
            9.5 * action["inner_brow_raise"][:, None] * (1 - along_N) ** 1.3
            + 8.5 * action["outer_brow_raise"][:, None] * along_N**0.7
            - 8.0 * action["brow_lower"][:, None] * (1 - 0.65 * along_N)
        )
        inward_TN = 5.0 * action["brow_lower"][:, None] * (1 - along_N) + 1.5 * action["inner_brow_raise"][:, None] * (
            1 - along_N
        )
        y_TN = look.eye_y - look.brow_rise + 1.5 - arch_N - rise_TN
        for side in (-1, 1):
            x_TN = side * (look.eye_x - 16.5 + 36 * along_N - inward_TN)
            top_TN2 = np.stack([x_TN, y_TN - thickness_N / 2], axis=-1)
            bottom_TN2 = np.stack([x_TN, y_TN + thickness_N / 2], axis=-1)
            yield self._fill(between(top_TN2, bottom_TN2), look.brow_colour())

    def nose(self) -> Iterator[Stroke]:
        """Wings and nostrils; the bridge is shading."""
        look, wrinkle_T = self.look, self.action["nose_wrinkle"]
        width = look.nose_half_width
        for side in (-1, 1):
            wing = np.array([(0.86, -10), (1.05, -5), (1.06, 0), (0.85, 3.5), (0.62, 3.0)]) * (side * width, 1)
            lift_T2 = np.stack([1.5 * side * wrinkle_T, look.nose_y - 5.0 * wrinkle_T], axis=-1)
            yield self._line(shifted(lift_T2, smooth_curve(wing[None], is_closed=False)[0]), look.shade(-0.45), 1.5)
            nostril_T2 = np.stack([side * 0.42 * width + 0 * wrinkle_T, look.nose_y + 3 - 3.5 * wrinkle_T], axis=-1)
            yield self._fill(shifted(nostril_T2, ellipse((0, 0), 0.22 * width, 1.7)), look.shade(-0.78))
        base = np.array([(-0.2, 4.5), (0, 5.2), (0.2, 4.5)]) * (width, 1)
        base_T2 = np.stack([0 * wrinkle_T, look.nose_y - 3 * wrinkle_T], axis=-1)
        yield self._line(shifted(base_T2, base), look.shade(-0.35), 1.2)

    def _corner_T2(self, side: int) -> np.ndarray:
        """A corner of the mouth."""
        action, look, motion = self.action, self.look, self.motion
        lift_T = 12.0 * np.maximum(action["corner_raise"], 0) + 9.0 * np.minimum(action["corner_raise"], 0)
        spread_T = 7.0 * np.maximum(action["corner_raise"], 0) + 8.5 * action["lip_stretch"] - 2 * action["lip_press"]
        if side > 0:
            lift_T = lift_T + 9.5 * action["smirk"]
            spread_T = spread_T + 5.0 * action["smirk"]
        spread_T = spread_T - 7.5 * motion.round_T - 3.5 * np.maximum(action["jaw_drop"], 0)
        drop_T = 0.30 * self.chin_T + 2.5 * action["lip_stretch"]
        return np.stack([side * (look.mouth_half_width + spread_T), look.mouth_y - lift_T + drop_T], axis=-1)

    def mouth(self) -> Iterator[Stroke]:
        """Lips around the opening, in it the dark and the tongue.

        No teeth: what appears in a face that opens its mouth should be what lay between its lips before.
        """
        red = self.look.lips
        top, seam_top, seam_bottom, bottom = self._lip_edges()
        middle_TN2 = seam_bottom + 0.42 * (bottom - seam_bottom)
        gap_TN2 = seam_bottom - seam_top
        yield self._fill(between(top, bottom), red)
        yield self._fill(between(top, seam_top + (0, 0.3)), (0.82 * red[0], 0.78 * red[1], 0.78 * red[2]))
        yield self._line(middle_TN2[:, 7:-7], (0.75 * red[0] + 60, 0.75 * red[1] + 60, 0.75 * red[2] + 60), 1.6)
        yield self._fill(between(seam_top, seam_bottom), (78, 26, 30))
        hump_N = np.maximum(0, 1 - (_ALONG_LIPS / 0.75) ** 2)
        yield self._fill(between(seam_bottom - 0.36 * gap_TN2 * hump_N[:, None], seam_bottom), (112, 44, 48))
        yield self._line(seam_top, (0.45 * red[0], 0.35 * red[1], 0.36 * red[2]), 1.3)

    def _lip_edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """From above: edge of the upper lip, of the opening, again of the opening, edge of the lower lip."""
        look, action, along_N = self.look, self.action, _ALONG_LIPS
        left_T2, right_T2 = self._corner_T2(-1), self._corner_T2(1)
        corner_TN2 = np.where(along_N[:, None] < 0, left_T2[:, None], right_T2[:, None])
        smile_T = np.maximum(action["corner_raise"], 0)
        middle_T2 = np.stack(
            [
                0.15 * (left_T2[:, 0] + right_T2[:, 0]),
                look.mouth_y - 4.4 * action["nose_wrinkle"] - 2.5 * smile_T,
            ],
            axis=-1,
        )
        bend_N2 = np.stack([np.abs(along_N), np.abs(along_N) ** 1.7], axis=-1)
        seam_TN2 = middle_T2[:, None] * (1 - bend_N2) + corner_TN2 * bend_N2
        fullness_T = (1 - 0.62 * np.clip(action["lip_press"], -0.2, 1.2)) * (1 + 0.15 * self.motion.round_T)
        gap_T = np.maximum(0, self.gap_T + 4.5 * smile_T - 2.5 * np.clip(action["lip_press"], 0, 1))
        belly_N = (1 - np.abs(along_N) ** 2.4) ** 0.9
        bow_N = 0.22 * np.exp(-((along_N / 0.13) ** 2)) - 0.12 * np.exp(-(((np.abs(along_N) - 0.27) / 0.2) ** 2))
        seam_top = _lowered(seam_TN2, -0.10 * gap_T, belly_N)
        seam_bottom = _lowered(seam_TN2, 0.90 * gap_T, belly_N)
        top = _lowered(seam_top, -look.upper_lip * fullness_T, belly_N - bow_N)
        return top, seam_top, seam_bottom, _lowered(seam_bottom, look.lower_lip * fullness_T, belly_N)

    def hair(self) -> Iterator[Stroke]:
        """The hair in front."""
        cut, width = self.look.cut, self.look.face_width
        right = [(30, cut.crown_y + 3), (62 * width, -88), (77 * width, -40), (70 * width, cut.side_y)]
        left = [(-x, y) for x, y in reversed(right)]
        edge = [(61 * width, cut.side_y - 2), *cut.hairline, (-61 * width, cut.side_y - 2)]
        ring = np.array([[*left, (0, cut.crown_y), *right, *edge]])
        colour = self.look.hair
        yield self._fill(smooth_curve(ring, is_closed=True)[0], colour, depth=4)
        lift = 0.35 * (112 + cut.crown_y)
        sheen = np.array([[(-44.0, -84.0), (-22, -98), (6, -101), (30, -97)]]) + (0, lift)
        light = (0.82 * colour[0] + 34, 0.82 * colour[1] + 34, 0.82 * colour[2] + 34)
        yield Stroke(self.placed(smooth_curve(sheen, is_closed=False)[0], 10), light, 3.0)


def _front_depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the face stands out at a place: a rounded front with a nose."""
    front = 55 * np.sqrt(np.clip(1 - (x / 74) ** 2 - (y / 112) ** 2, 0.0, 1))
    return front + 14 * np.exp(-((x / 11) ** 2) - ((y - 22) / 16) ** 2)


def _lowered(curve_TN2: np.ndarray, by_T: np.ndarray, shape_N: np.ndarray) -> np.ndarray:
    """A curve moved down by so much, at every point in proportion to a shape."""
    return graph(curve_TN2[..., 0], curve_TN2[..., 1] + by_T[:, None] * shape_N)
