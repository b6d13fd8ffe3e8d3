"""What one rendered actor looks like: proportions and colours, fixed over all clips of the actor."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue, each 0 ... 255."""

SKINS = ((250, 218, 192), (243, 201, 168), (228, 178, 138), (205, 150, 108), (164, 110, 76), (122, 80, 58))
HAIRS = ((38, 30, 28), (70, 46, 34), (112, 72, 42), (168, 118, 66), (204, 164, 98), (126, 52, 30))
IRISES = ((84, 54, 34), (110, 76, 40), (82, 108, 74), (72, 104, 140), (96, 112, 120))
BACKDROPS = ((196, 204, 206), (176, 190, 204), (206, 198, 184), (184, 198, 184), (200, 188, 200), (156, 170, 182))
CLOTHES = ((58, 74, 102), (120, 52, 56), (62, 92, 78), (88, 88, 96), (154, 122, 74), (92, 66, 104), (44, 50, 58))


@dataclass(frozen=True)
class HairCut:
    """Outline of the hair, in face units (see `face.py`)."""

    crown_y: float
    side_y: float
    """Where the hair in front of the ears ends."""
    hairline: tuple[tuple[float, float], ...]
    """Edge of the hair on the forehead, from the viewer's right to left."""
    back_y: float
    """How far the hair falls behind the neck; above the ears there is none."""
    back_width: float


_MEN = (
    HairCut(-112, -18, ((52, -52), (30, -66), (0, -70), (-30, -66), (-52, -52)), -60, 70),
    HairCut(-118, -14, ((54, -44), (34, -64), (6, -70), (-28, -60), (-54, -42)), -60, 70),
    HairCut(-106, -24, ((50, -60), (34, -74), (0, -76), (-34, -74), (-50, -60)), -60, 70),
    HairCut(-116, -8, ((54, -42), (36, -54), (12, -57), (-18, -56), (-54, -40)), -60, 70),
)
_WOMEN = (
    HairCut(-115, 66, ((54, -36), (32, -60), (0, -76), (-32, -60), (-54, -36)), 150, 84),
    HairCut(-116, 40, ((54, -34), (34, -54), (16, -68), (-24, -58), (-54, -36)), 78, 84),
    HairCut(-118, 18, ((55, -34), (38, -46), (20, -58), (-12, -64), (-54, -40)), 58, 78),
    HairCut(-114, 30, ((55, -36), (38, -48), (0, -50), (-38, -48), (-55, -36)), 110, 90),
)


@dataclass(frozen=True)
class Look:
    """Proportions in face units (a face is about 185 high) and colours of one actor."""

    is_woman: bool
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    backdrop: Colour
    clothes: Colour
    cut: HairCut
    face_width: float
    jaw_width: float
    chin_y: float
    eye_x: float
    eye_y: float
    eye_half_width: float
    eye_height: float
    eye_tilt: float
    brow_rise: float
    """From the eye up to the brow."""
    brow_thickness: float
    brow_arch: float
    nose_y: float
    nose_half_width: float
    mouth_y: float
    mouth_half_width: float
    upper_lip: float
    lower_lip: float

    @classmethod
    def draw(cls, rng: np.random.Generator, number: int, is_woman: bool) -> "Look":
        """A random actor; neighbours by `number` differ in hair cut, skin and clothes."""
        skin = _vary(rng, SKINS[5 * number % len(SKINS)], 6)
        is_dark = sum(skin) < 480
        lips = _mix(skin, (172, 62, 66) if is_woman else (158, 84, 76), 0.62 if is_woman else 0.45)
        cuts = _WOMEN if is_woman else _MEN
        return cls(
            is_woman=is_woman,
            skin=skin,
            hair=_vary(rng, HAIRS[int(rng.integers(2 if is_dark else len(HAIRS)))], 8),
            iris=_vary(rng, IRISES[int(rng.integers(2 if is_dark else len(IRISES)))], 8),
            lips=lips,
            backdrop=_vary(rng, BACKDROPS[number % len(BACKDROPS)], 8),
            clothes=_vary(rng, CLOTHES[(3 * number) % len(CLOTHES)], 10),
            cut=cuts[(number // 2) % len(cuts)],
            face_width=rng.uniform(0.95, 1.05),
            jaw_width=rng.uniform(0.86, 0.98) if is_woman else rng.uniform(0.96, 1.10),
            chin_y=rng.uniform(86, 92) if is_woman else rng.uniform(90, 98),
            eye_x=rng.uniform(27.5, 31.5),
            eye_y=rng.uniform(-11, -6),
            eye_half_width=rng.uniform(14.0, 16.0),
            eye_height=rng.uniform(12.0, 14.0) if is_woman else rng.uniform(11.0, 13.0),
            eye_tilt=rng.uniform(-0.8, 1.8),
            brow_rise=rng.uniform(19, 22),
            brow_thickness=rng.uniform(3.2, 4.4) if is_woman else rng.uniform(4.8, 6.4),
            brow_arch=rng.uniform(3.5, 5.5) if is_woman else rng.uniform(2.0, 4.0),
            nose_y=rng.uniform(26, 31),
            nose_half_width=rng.uniform(10.5, 13.0) if is_woman else rng.uniform(12, 15),
            mouth_y=rng.uniform(50, 54),
            mouth_half_width=rng.uniform(22, 26),
            upper_lip=rng.uniform(5.0, 6.8) if is_woman else rng.uniform(3.8, 5.2),
            lower_lip=rng.uniform(7.0, 9.0) if is_woman else rng.uniform(5.5, 7.5),
        )

    def shade(self, amount: float) -> Colour:
        """Skin in shadow (amount below 0, down to -1) or in the light (above 0, up to 1)."""
        if amount < 0:
            return _mix(self.skin, (0.42 * self.skin[0], 0.30 * self.skin[1], 0.26 * self.skin[2]), -amount)
        bright = [min(255.0, 1.45 * value + 25) for value in self.skin]
        return _mix(self.skin, (bright[0], bright[1], bright[2]), amount)

    def brow_colour(self) -> Colour:
        """Darker than the hair, as brows mostly are."""
        return (0.68 * self.hair[0], 0.66 * self.hair[1], 0.66 * self.hair[2])

    def blush(self) -> Colour:
        """Skin of the cheeks."""
        return (min(255.0, 1.03 * self.skin[0] + 3), 0.88 * self.skin[1], 0.87 * self.skin[2])


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    blended = [(1 - share) * a + share * b for a, b in zip(first, second, strict=True)]
    return (blended[0], blended[1], blended[2])


def _vary(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    varied = np.clip(np.array(colour) + rng.uniform(-spread, spread, 3), 12, 250)
    return (float(varied[0]), float(varied[1]), float(varied[2]))
