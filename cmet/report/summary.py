"""The machine-readable result of an experiment; the form of summary.json is a contract with its readers."""

from dataclasses import dataclass

from cmet.scores.measured import Floor, Gain, HeldOut, MethodScores


@dataclass(frozen=True)
class RowLabels:
    """What a row of a table of one backbone must say of itself."""

    corpus: str
    numbering: str
    """Whose numbers of sentences the true clips have."""
    rows_planned: int
    rows_generated: int
    rows_scored: int
    coverage: float
    """Share of clips with an answer."""
    dropped: list[str]
    """The first clips without one, each with the reason."""
    num_dropped: int
    protocol: str
    pools_sha256: str
    num_speech_clips: int
    judge_sha256: str
    judge_source: str
    judge_corpus: str
    """What it was trained on, in words."""
    judge_saw_test_speakers: bool | str
    """Or that nobody says so."""
    fid_kind: str | None
    fvd_kind: str | None
    """Kinds that were measured, None without."""
    absent: dict[str, str]
    """Metrics that could not be measured, with the reason."""
    media: str
    backbone: str
    checkpoint_sha256: str
    backbone_weights: list[str]
    strength: float
    lips: str
    training_steps: int
    seed: int
    test_speakers: list[str]
    uncertainty: str
    """What the intervals are."""
    whole_number_check: str
    train_speakers_in_rows: int
    synthetic: bool


@dataclass(frozen=True)
class Labels(RowLabels):
    """The same with how far it can be set beside the paper's rows, and why not further."""

    comparability: str
    comparability_reasons: list[str]


@dataclass(frozen=True)
class BackboneSummary:
    """All numbers of one backbone."""

    methods: dict[str, MethodScores]
    """Without the true clips."""
    ground_truth: MethodScores
    """The judge on the true clips."""
    held_out: HeldOut | None
    comparisons: dict[str, Gain]
    floor: Floor | None
    num_clusters: int
    labels: Labels


@dataclass(frozen=True)
class JudgeSummary:
    """Who named the emotions."""

    acc_ground_truth: float | None
    """On the true clips."""
    acc_train: float | None
    acc_val: float | None
    sha256: str
    corpus: str | None


@dataclass(frozen=True)
class Summary:
    """What summary.json holds.

    Seconds are no part of it: all in it is the same in every run of a seed. `Timing` has them.
    """

    backbones: dict[str, BackboneSummary]
    judge: JudgeSummary
    chance: float
    confidence: float
    seed: int
    synthetic: bool
    """Whether the corpus is the built-in sample."""
