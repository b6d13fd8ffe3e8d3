"""A speaker's voice: espeak-ng says the sentence, and signal processing gives it the affect.

The directions follow what is known of emotional speech: arousal raises pitch, rate, loudness and the high
frequencies; valence widens the pitch range, lifts the formants and takes roughness away; dominance lowers the
formants and strengthens the low end, and its lack makes the voice breathe and tremble.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from cmet.errors import UserError

SAMPLE_RATE_HZ = 22050

SENTENCES = (
    "He put the blue coat back.",
    "They will come home by noon.",
    "I left the key on the table.",
    "We saw him near the old mill.",
    "She bought a loaf of bread.",
    "Nobody knew about the letter.",
    "My brother opened the window.",
    "You may have the other room.",
    "All the boats are out today.",
    "The phone was under my bag.",
    "Tell me where the road goes.",
    "It was raining when we met.",
    "A man is waiting by the door.",
    "They moved the meeting to May.",
    "Our neighbour feeds the birds.",
    "The paper came this morning.",
    "I heard you walk up the stairs.",
    "We never found the other shoe.",
    "Somebody painted the fence.",
    "The morning train was late again.",
)

VARIANTS_HZ = {"Reed": 113.0, "klatt6": 99.0, "benjamin": 99.0, "edward2": 99.0}
"""espeak's voices with a formant synthesiser of the Klatt kind, and their pitch.

Only of these does the same text give the same samples whatever was said before in the process."""

_VISEMES = {
    "a": (0.9, 0.0),
    "A": (1.0, 0.0),
    "V": (0.7, 0.0),
    "0": (0.8, 0.2),
    "E": (0.6, 0.0),
    "e": (0.55, 0.0),
    "I": (0.35, 0.0),
    "i": (0.25, 0.0),
    "@": (0.4, 0.1),
    "3": (0.45, 0.3),
    "O": (0.7, 0.6),
    "o": (0.6, 0.7),
    "U": (0.35, 0.7),
    "u": (0.25, 0.9),
    "w": (0.15, 1.0),
    "S": (0.25, 0.5),
    "Z": (0.25, 0.5),
    "r": (0.25, 0.4),
    "p": (0.0, 0.1),
    "b": (0.0, 0.1),
    "m": (0.0, 0.1),
    "f": (0.08, 0.0),
    "v": (0.08, 0.0),
}
"""Opening and rounding of the lips by the first letter of espeak's phoneme name."""
_OTHER_CONSONANT = (0.2, 0.0)
_SILENCE = (0.0, 0.0)


@dataclass(frozen=True)
class Voice:
    """The voice of one speaker when calm."""

    variant: str
    pitch_hz: float
    formants: float
    """Factor on all formants, that is, on one over the length of the vocal tract."""
    rate: float
    tilt_db: float
    """Per octave, on top of what espeak makes."""
    breath: float
    level_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator, is_woman: bool) -> "Voice":
        """A random speaker."""
        return cls(
            variant="Reed" if is_woman else list(VARIANTS_HZ)[int(rng.integers(len(VARIANTS_HZ)))],
            pitch_hz=rng.uniform(150, 172) if is_woman else rng.uniform(96, 116),
            formants=rng.uniform(1.14, 1.24) if is_woman else rng.uniform(0.95, 1.06),
            rate=rng.uniform(0.92, 1.08),
            tilt_db=rng.uniform(-1, 1),
            breath=rng.uniform(0.01, 0.03),
            level_db=rng.uniform(-29, -26),
        )


@dataclass(frozen=True)
class Manner:
    """How one sentence is said, relative to the speaker's calm voice; all zero is calm."""

    pitch_semitones: float
    pitch_range: float
    """Change as a share of the calm range."""
    log_rate: float
    log_formants: float
    level_db: float
    tilt_db: float
    low_end_db: float
    roughness: float
    tremor: float
    breath: float

    @classmethod
    def of(cls, affect: np.ndarray, rng: np.random.Generator, noise: float) -> "Manner":
        """The manner that goes with an affect, the same map for every emotion, and the noise of one clip."""
        valence, arousal, dominance = affect
        means = cls(
            pitch_semitones=4.6 * arousal + 0.5 * valence - 0.8 * dominance,
            pitch_range=0.80 * valence + 0.25 * arousal,
            log_rate=0.20 * arousal + 0.05 * valence,
            log_formants=0.085 * valence - 0.035 * dominance,
            level_db=7.0 * arousal + 1.5 * dominance,
            tilt_db=2.4 * arousal + 0.3 * dominance,
            low_end_db=7.0 * dominance,
            roughness=0.55 * _onset(-valence + 0.15 * dominance),
            tremor=0.50 * _onset(-dominance + 0.35 * arousal),
            breath=0.14 * _onset(-dominance - 0.25 * arousal),
        )
        spreads = cls(0.35, 0.06, 0.03, 0.008, 0.8, 0.25, 0.5, 0.03, 0.03, 0.008)
        pairs = zip(_values(means), _values(spreads), strict=True)
        return cls(*(mean + noise * spread * rng.standard_normal() for mean, spread in pairs))


@dataclass(frozen=True)
class SpokenSentence:
    """One spoken sentence."""

    samples: np.ndarray
    """float64, -1 ... 1, at `SAMPLE_RATE_HZ`."""
    lips: list[tuple[float, float, float]]
    """From which second on the lips are how far open and how round."""


def speak(text: str, voice: Voice, manner: Manner, rng: np.random.Generator) -> SpokenSentence:
    """Say a sentence, without silence around it."""
    formants = voice.formants * np.exp(manner.log_formants)
    # resampling by a factor moves formants, pitch and rate together, so pitch and rate are asked for without it
    pitch_hz = voice.pitch_hz * 2 ** (manner.pitch_semitones / 12) / formants
    rate = voice.rate * np.exp(manner.log_rate) / formants
    spoken, phonemes = _Espeak.shared().say(text, voice.variant, pitch_hz, 1 + manner.pitch_range, rate)
    samples = _speed_up(spoken, formants)
    samples /= np.sqrt(np.mean(samples**2))
    samples = _shape_spectrum(samples, voice.tilt_db + manner.tilt_db, manner.low_end_db)
    samples = _tremble(samples, manner, rng)
    samples += _breath(samples, voice.breath + max(0.0, manner.breath), rng)
    gain = 10 ** ((voice.level_db + manner.level_db) / 20) / np.sqrt(np.mean(samples**2))
    lips = [(sample / SAMPLE_RATE_HZ / formants, *_lip_shape(name)) for sample, name in phonemes]
    return SpokenSentence(np.tanh(gain * samples), lips)


def room_noise(rng: np.random.Generator, num_samples: int, level_db: float) -> np.ndarray:
    """The noise of a quiet room, more in the low than in the high frequencies."""
    noise = _filter(rng.standard_normal(num_samples), lambda hz: 1 / np.sqrt(1 + hz / 200))
    return noise / np.sqrt(np.mean(noise**2)) * 10 ** (level_db / 20)


def lip_track(speech: SpokenSentence, start_s: float, num_frames: int, fps: int) -> np.ndarray:
    """Opening and rounding of the lips in every frame, shape (num_frames, 2), smoothed as lips are slow."""
    steps_per_frame = 8
    times = np.arange(num_frames * steps_per_frame) / (fps * steps_per_frame) - start_s
    starts = np.array([lips[0] for lips in speech.lips])
    shapes = np.array([_SILENCE, *(lips[1:] for lips in speech.lips)])
    raw = shapes[np.searchsorted(starts, times, side="right")]
    raw[times > len(speech.samples) / SAMPLE_RATE_HZ] = _SILENCE
    window = np.hanning(3 * steps_per_frame + 2)
    smooth = np.stack([np.convolve(channel, window / window.sum(), mode="same") for channel in raw.T], axis=-1)
    return smooth[steps_per_frame // 2 :: steps_per_frame]


# --- signal ----------------------------------------------------------------------------------------------------------


def _shape_spectrum(samples: np.ndarray, tilt_db: float, low_end_db: float) -> np.ndarray:
    """Turn the spectrum around 1 kHz and lift what is below 300 Hz."""

    def gain(hz: np.ndarray) -> np.ndarray:
        octaves = np.log2(np.clip(hz, 150, 6000) / 1000)
        return 10 ** ((tilt_db * octaves + low_end_db / (1 + (hz / 300) ** 4)) / 20)

    return _filter(samples, gain)


def _tremble(samples: np.ndarray, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    """Slow tremor of loudness and pitch, and fast irregular loudness, which is heard as roughness."""
    num_samples = len(samples)
    seconds = np.arange(num_samples) / SAMPLE_RATE_HZ
    wave = np.sin(2 * np.pi * rng.uniform(5.5, 6.5) * seconds + rng.uniform(0, 2 * np.pi))
    tremor = max(0.0, manner.tremor)
    # a shift of the time axis by this many samples bends the pitch by up to 4 % at full tremor
    places = np.arange(num_samples) + 0.04 * tremor * SAMPLE_RATE_HZ / 38 * wave
    shifted = np.interp(places, np.arange(num_samples), samples)
    flutter = _filter(rng.standard_normal(num_samples), lambda hz: ((hz > 25) & (hz < 90)).astype(float))
    flutter /= np.sqrt(np.mean(flutter**2))
    return shifted * (1 + 0.7 * tremor * wave) * np.exp(max(0.0, manner.roughness) * flutter)


def _breath(samples: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Noise that follows the loudness of the voice."""
    window = np.hanning(SAMPLE_RATE_HZ // 50)
    loudness = np.sqrt(np.convolve(samples**2, window / window.sum(), mode="same"))
    noise = rng.standard_normal(len(samples))
    return amount * loudness * (noise - 0.9 * np.roll(noise, 1))


def _filter(samples: np.ndarray, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Multiply the spectrum by a function of the frequency in Hz."""
    size = next_fast_len(len(samples), real=True)
    spectrum = rfft(samples, size) * gain(rfftfreq(size, 1 / SAMPLE_RATE_HZ))
    return irfft(spectrum, size)[: len(samples)]


def _speed_up(samples: np.ndarray, factor: float) -> np.ndarray:
    """Shorten a sound, all frequencies rising by the factor, by way of its spectrum."""
    # rounded to sizes that transform fast: half a percent of formant shift at most
    size = next_fast_len(len(samples), real=True)
    new_size = next_fast_len(round(size / factor), real=True)
    spectrum = rfft(samples, size)[: new_size // 2 + 1]
    return irfft(spectrum, new_size)[: round(len(samples) * new_size / size)] * new_size / size


def _lip_shape(phoneme: str) -> tuple[float, float]:
    name = phoneme.lstrip("',%=|")
    if not name or name[0] == "_":
        return _SILENCE
    return _VISEMES.get(name[0], _OTHER_CONSONANT)


def _onset(value: float) -> float:
    """Zero at zero, and for positive values nearly the value: a smooth bend instead of a corner."""
    return float((value + np.sqrt(value**2 + 0.15**2) - 0.15) / 2)


def _values(manner: Manner) -> list[float]:
    return list(vars(manner).values())


# --- espeak-ng -------------------------------------------------------------------------------------------------------


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _Espeak:
    """The espeak-ng library, which keeps its state in globals: one per process."""

    RATE, PITCH, RANGE = 1, 3, 4
    SYNCHRONOUS, PHONEME_EVENTS = 2, 1
    UTF8 = 1
    LIST_END, PHONEME = 0, 7

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._c = ctypes.CDLL(None)
        data = espeakng_loader.get_data_path()
        rate = self._library.espeak_Initialize(self.SYNCHRONOUS, 0, str(data).encode(), self.PHONEME_EVENTS)
        if rate != SAMPLE_RATE_HZ:
            raise UserError(f"espeak-ng cannot use its data in {data} (a path may have 150 characters at most)")
        self._chunks: list[np.ndarray] = []
        self._phonemes: list[tuple[int, str]] = []
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = signature(self._take)  # kept: the library holds only a pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    @staticmethod
    @cache
    def shared() -> "_Espeak":
        """The one of this process."""
        return _Espeak()

    def say(
        self, text: str, variant: str, pitch_hz: float, pitch_range: float, rate: float
    ) -> tuple[np.ndarray, list[tuple[int, str]]]:
        """Samples, and the first sample and name of every phoneme."""
        self._chunks.clear()
        self._phonemes.clear()
        # some sounds are made of rand()
        self._c.srand(1)
        if self._library.espeak_SetVoiceByName(f"en-us+{variant}".encode()) != 0:
            raise UserError(f"espeak-ng has no voice en-us+{variant}; install espeakng-loader again")
        # measured: an octave of the voice is 69 steps of the parameter
        pitch = 50 + 69 * np.log2(pitch_hz / VARIANTS_HZ[variant])
        settings = ((self.RATE, 175 * rate, 400), (self.PITCH, pitch, 99), (self.RANGE, 50 * pitch_range, 99))
        for key, value, top in settings:
            self._library.espeak_SetParameter(key, int(np.clip(round(value), 2, top)), 0)
        utf8 = text.encode()
        self._library.espeak_Synth(utf8, len(utf8) + 1, 0, 1, 0, self.UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._chunks) / 32768, list(self._phonemes)

    def _take(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).astype(float))
        index = 0
        while events[index].type != self.LIST_END:
            if events[index].type == self.PHONEME:
                self._phonemes.append((events[index].sample, events[index].id.string.decode("ascii", "replace")))
            index += 1
        return 0
