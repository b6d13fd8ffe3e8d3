"""The numbers of an evaluation: what `measure` makes, metrics.json holds, and tables, figures and pages show."""

from dataclasses import dataclass

from cmet.judge.card import JudgeFacts

Interval = tuple[float, float]
"""Where it begins and ends."""


@dataclass(frozen=True)
class Value:
    """One metric of one method."""

    value: float | None
    """Mean over the clips that have it, or what only the whole set has; None where nothing could be measured."""
    interval: Interval | None
    """Of the mean."""
    n: int | None
    """Clips that have it; None for a value of the whole set."""
    num_failed: int
    """Clips that were made and have none."""


@dataclass(frozen=True)
class MethodScores:
    """What one method reached."""

    acc_emo: float
    """Share of clips that the judge names rightly; one that could not be made or read is wrong."""
    acc_emo_macro: float
    """Mean of the shares of the emotions."""
    interval: Interval
    """Of `acc_emo`."""
    n: int
    num_correct: int
    num_failed: int
    coverage: float
    """Share of clips with an answer."""
    per_emotion: dict[str, float]
    per_emotion_n: dict[str, int]
    per_level: dict[str, float]
    confusion: dict[str, dict[str, int]]
    """How often each answer was given, by true emotion."""
    metrics: dict[str, Value]
    """Everything besides accuracy, by name."""


@dataclass(frozen=True)
class Gain:
    """`cmet` less another method on the same rows."""

    difference: float
    interval: Interval


@dataclass(frozen=True)
class Floor:
    """The same answer for every clip."""

    acc_emo: float
    """The best that it can reach."""
    answer: str


@dataclass(frozen=True)
class HeldOut:
    """The emotion that was not trained on; the first numbers are those of `cmet`."""

    emotion: str
    acc_emo: float | None
    interval: Interval | None
    n: int
    chance: float | None
    methods: dict[str, MethodScores]


@dataclass(frozen=True)
class Numbers:
    """All numbers of one set of results."""

    methods: dict[str, MethodScores]
    comparisons: dict[str, Gain]
    """By name, such as `cmet-neutral`."""
    chance: float | None
    """None where no logits say how many classes there are."""
    floor: Floor | None
    num_clusters: int
    """Pairs of a speaker and a sentence, which intervals resample."""
    held_out: HeldOut | None
    confidence: float
    num_bootstrap: int
    protocol: str

    @property
    def held_out_methods(self) -> dict[str, MethodScores]:
        """What the methods reached on the held-out emotion; empty where there is none."""
        return self.held_out.methods if self.held_out else {}

    @property
    def is_one_class(self) -> bool:
        """Whether all rows want the same emotion, so that one constant answer is right in all of them."""
        return self.floor is not None and self.floor.acc_emo == 1.0


@dataclass(frozen=True)
class JudgedNumbers(Numbers):
    """Numbers with all that decided them: what `cmet evaluate` writes."""

    judge: JudgeFacts
    absent: dict[str, str]
    """Metrics that were asked for and could not be measured, with the reason."""


@dataclass(frozen=True)
class ManifestNumbers(JudgedNumbers):
    """Numbers of the clips that a manifest names: what `cmet score` writes."""

    manifest_sha256: str
    remarks: list[str]
