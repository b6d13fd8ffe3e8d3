"""Typed view of params.yaml, the one place where an experiment is described.

The YAML file holds every value once; the classes here hold meaning, unit and range, and no defaults, so a
value cannot live in two places. A misspelt key or a value out of range is an error that names the key.
"""

from collections.abc import Collection
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from cmet.errors import UserError
from cmet.inputs.files import MISSING, BadFile, oddity
from cmet.inputs.texts import SHOWN_CHARACTERS, read_yaml, shown
from cmet.vocabulary import NEUTRAL, order_problem

Fraction = Annotated[float, Field(ge=0, le=1)]
CorpusName = Literal["sample", "mead", "cremad", "ravdess", "meld", "table"]
ViewName = Literal["front", "left_30", "left_60", "right_30", "right_60", "top", "down"]
"""Cameras of MEAD."""

EmotionName = Literal["angry", "contempt", "disgusted", "fear", "happy", "sad", "surprised"]
Pooling = Literal["mean", "mean-std"]
TellingRule = Literal["none", "whitening", "lda"]
ProjectionRule = Literal["none", "whitening", "lda", "auto"]
SpeechDraw = Literal["strided", "random"]
MetricName = Literal["landmarks", "fid", "fvd", "sync", "identity", "descriptor", "fer", "faceapi"]
EncoderName = Literal[
    "opensmile",
    "emotion2vec",
    "precomputed",
    "whisper-tiny",
    "whisper-tiny.en",
    "whisper-base",
    "whisper-base.en",
    "hubert-base",
    "hubert-large",
    "wav2vec2-base",
    "wav2vec2-large",
    "wav2vec2-large-lv60k",
    "wavlm-base",
    "wavlm-base-plus",
    "wavlm-large",
]
"""Speech encoders by name; cmet.speech.encoders has them."""

BackboneName = Literal["facemesh", "edtalk", "pdfgc"]
"""Talking-face models by name; cmet.backbones.registry has them."""

EMOTION2VEC_ENCODERS = ("emotion2vec", "precomputed")
"""The encoders that give emotion2vec+ large vectors, as the paper uses."""

WITHOUT_LAYERS = ("opensmile", *EMOTION2VEC_ENCODERS)
"""The encoders that `speech.layer` and `speech.pooling` say nothing to."""

MAX_NUMBER = 2**53
"""Beyond it, whole numbers differ from one ledger to the next: JSON has them as floats."""

MAX_PX = 8192
MAX_FPS = 1000
MAX_SAMPLE_RATE_HZ = 768_000


class ParamsError(UserError):
    """params.yaml is unreadable, or a key of it is unknown or out of range."""


class Section(BaseModel):
    """A part of params.yaml: immutable, and an unknown key is an error."""

    # what is said of a parameter here is shown wherever it can be set
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*")
    @classmethod
    def _is_not_too_large(cls, value: Any) -> Any:
        if isinstance(value, int | float) and abs(value) > MAX_NUMBER:
            raise ValueError(f"Input should be at most {MAX_NUMBER:,} in size")
        return value


class SampleParams(Section):
    """The built-in corpus of rendered actors."""

    num_train_speakers: PositiveInt
    num_val_speakers: PositiveInt
    num_test_speakers: PositiveInt
    num_sentences: PositiveInt
    sentences_per_speaker: PositiveInt
    """Sentences that each speaker says, in every emotion and level; neighbouring speakers share some."""
    levels: Annotated[list[Literal[1, 2, 3]], Field(min_length=1)]
    """Intensity levels of the emotional clips; neutral has level 1 only."""
    frame_px: Annotated[int, Field(ge=256, le=MAX_PX, multiple_of=2)]
    """Width and height of the video."""
    style: NonNegativeFloat
    """How much speakers differ in the way they show an emotion; 1 is the standard spread, 0 is none."""
    noise: NonNegativeFloat
    """Noise of affect, voice and face from clip to clip and frame to frame; 1 is the standard spread."""


class ManifestParams(Section):
    """Which corpus is read, and from where."""

    corpus: CorpusName
    root: str
    """Folder of the raw corpus, the inventory of one in an object store (`cmet corpus inventory`), or the table itself;
    relative paths start at the folder of params.yaml."""
    files: str
    """Folder or inventory that holds all files of the corpus; DVC watches it together with `root`. The same as `root`
    unless that is a table. It must not hold what the stages write, so it cannot be the folder of params.yaml itself."""
    views: Annotated[list[ViewName], Field(min_length=1)]
    """Views of MEAD that are taken; each is a clip of its own. Other corpora have the frontal one alone."""

    @model_validator(mode="after")
    def _has_these_views(self) -> "ManifestParams":
        if len(set(self.views)) < len(self.views):
            raise ValueError(f"views: {', '.join(self.views)}: a view is named twice")
        if self.corpus != "mead" and self.views != ["front"]:
            raise ValueError(f"views: {self.corpus} has the frontal view alone: [front]; mead has more")
        return self


class ClipForm(Section):
    """How prepared clips look and sound; a model and a judge record it for the clips they were trained on."""

    size_px: Annotated[int, Field(ge=64, le=MAX_PX, multiple_of=16)]
    """Width and height of the square; a multiple of x264's blocks."""
    fps: Annotated[int, Field(ge=1, le=MAX_FPS)]
    sample_rate_hz: Annotated[int, Field(ge=1, le=MAX_SAMPLE_RATE_HZ)]
    crop_rule: Literal["fomm-reflect-1", "fomm-clip-1"]
    """Static square around the union of all boxes of the face, enlarged by a tenth. Beyond the edge of the picture it
    is filled by mirroring (`fomm-reflect-1`), or clipped and stretched to a square as in the official code
    (`fomm-clip-1`); see cmet.clips.crop."""

    @classmethod
    def of(cls, clips: "ClipForm") -> "ClipForm":
        """The form alone, of a section that says more."""
        return cls(**{name: getattr(clips, name) for name in cls.model_fields})

    def changes(self, wanted: "ClipForm") -> str:
        """In which parameters another form differs, in words; empty where both are the same."""
        pairs = [(name, getattr(self, name), getattr(wanted, name)) for name in ClipForm.model_fields]
        return " and ".join(f"clips.{name} {own}, not {other}" for name, own, other in pairs if own != other)


class ClipsParams(ClipForm):
    """How raw files become prepared clips."""

    detect_stride: PositiveInt
    """A face is looked for in every n-th frame; this is n."""
    min_face_ratio: Fraction
    """Share of these frames that must show the face (with several faces, the one seen longest)."""
    min_duration_s: PositiveFloat
    max_duration_s: PositiveFloat
    min_rms_db: Annotated[float, Field(le=0)]
    """Level below which a clip counts as silent, in dB of full scale."""
    crf: Annotated[int, Field(ge=0, le=51)]
    """Quality of the prepared H.264 video."""
    time_limit_s: PositiveFloat
    """Wall-clock time after which a clip is given up: some broken files keep a decoder busy forever."""
    max_rejected: Fraction
    """Share of clips that may be quarantined before the stage fails."""


class SpeechForm(Section):
    """What is taken of a network that hears, Whisper or a bundle of torchaudio; a model records it."""

    layer: PositiveInt | None
    """The layer whose frames are taken, counted from 1; null takes the encoder's usual one: the second of Whisper, the
    last of a bundle. The last one is taken after the network's own last normalisation."""
    pooling: Pooling
    """Mean over the frames, or mean and standard deviation, which makes an embedding of twice the width."""

    @classmethod
    def of(cls, speech: "SpeechForm") -> "SpeechForm":
        """The form alone, of a section that says more."""
        return cls(layer=speech.layer, pooling=speech.pooling)


USUAL_SPEECH = SpeechForm(layer=None, pooling="mean")
"""How encoders hear unless somebody says otherwise."""


class SpeechParams(SpeechForm):
    """Speech embeddings."""

    max_rejected: Fraction


class ExpressionParams(Section):
    """Expression codes. All but `max_rejected` is for facemesh; the published backbones have their own encoders."""

    num_components: Annotated[int, Field(ge=5)]
    """K, the width of facemesh's code; the Connector's frame encoders need at least 5."""
    ridge: PositiveFloat
    """Weight of plain noise, relative to speaker identity and lip motion, when a code is read off the landmarks."""
    num_calibration_clips: PositiveInt
    """Clips of the training speakers on which the gain of rendered movements is measured."""
    max_frames_per_clip: PositiveInt
    """Frames of each training clip, at most, that the basis is fitted on."""
    min_face_ratio: Fraction
    max_rejected: Fraction


class InferenceParams(Section):
    """How the networks of the published backbones run; facemesh has none."""

    batch_size: PositiveInt | None
    """Pictures that go through a network at once; null leaves the number to the backbone."""
    precision: Literal["float32", "bfloat16", "float16"]
    """Precision of rendering on a GPU. Codes are always read in float32, and a CPU always computes in float32."""
    compile: bool
    """Whether torch.compile optimises the networks: it takes minutes at first and pays off in long runs."""


class DeltasParams(Section):
    """Pairs of a neutral and an emotional clip and their difference vectors."""

    speech_encoder: str
    """Encoder whose speech embeddings the deltas are made of; one of `speech_encoders`."""
    speech_scale: Literal["train-spread", "none"]
    """`train-spread` centres each speech feature, divides it by its spread over the training clips and clips it at
    four spreads; `none` keeps the raw embedding, as the paper does for emotion2vec."""
    speech_projection: ProjectionRule
    """What scaled embeddings are projected by, fitted on what the training speakers' clips differ by from their own
    neutral ones, the held-out emotion left out. `whitening` gives all directions the same spread within an emotion;
    `lda` keeps of these the few in which the emotions differ; `auto` takes the one, or `none`, by which a training
    speaker who is left out is understood best."""


class ShardsParams(Section):
    """WebDataset tars."""

    pairs_per_shard: PositiveInt
    """Pairs in one tar file; the last one of a split may hold fewer."""


class NetworkParams(Section):
    """Size of the Connector; in the order below, the paper's is 1024, 4, 4, 1024, 5, 0.1."""

    hidden: Annotated[int, Field(ge=32, le=16_384)]
    """Width of a token: 32 times a power of two."""
    num_layers: Annotated[int, Field(ge=1, le=128)]
    num_heads: PositiveInt
    feedforward: Annotated[int, Field(ge=1, le=65_536)]
    window: Annotated[int, Field(ge=1, le=512)]
    """T, expression frames that the Connector reads and predicts at once; it knows 512 positions."""
    dropout: Annotated[float, Field(ge=0, lt=1)]

    @property
    def sizes(self) -> dict[str, int]:
        """What weights depend on: all but dropout."""
        return self.model_dump(exclude={"dropout"})

    @model_validator(mode="after")
    def _sizes_fit(self) -> "NetworkParams":
        ladder = self.hidden // 32
        if self.hidden % 32 or ladder & (ladder - 1):
            raise ValueError(f"hidden must be 32 times a power of two, got {self.hidden}")
        if self.hidden % self.num_heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of num_heads {self.num_heads}")
        return self


PUBLISHED_CONNECTOR = "cmet-connector"
"""The authors' checkpoint, by its name in the registry of weights."""

PAPER_NETWORK = NetworkParams(hidden=1024, num_layers=4, num_heads=4, feedforward=1024, window=5, dropout=0.1)

PAPER_CLIPS = ClipForm(size_px=256, fps=25, sample_rate_hz=16_000, crop_rule="fomm-clip-1")
"""Clips as the published preparation makes them. Its frame rate option stands where it has no effect, so clips may have
kept 30 frames/s; everything that reads them assumes 25."""


class TrainParams(Section):
    """C-MET's recipe."""

    network: NetworkParams
    begin_from: str | None
    """What training begins with; null for random weights. `cmet-connector` (the published checkpoint in the folder of
    weights), another checkpoint of that format, the folder of a trained model, or the `last.safetensors` in one. A file
    brings the optimizer's state, too. Paths are relative to the project folder."""
    num_steps: NonNegativeInt
    """0, only with `begin_from`: the checkpoint itself becomes the model."""
    batch_size: PositiveInt
    """Samples per step, over all processes."""
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None
    """Decay per step of a moving average of the weights, which is validated and kept in place of the weights
    themselves; null for no average, as in the paper."""
    patience: PositiveInt | None
    """Validations without a better `val/delta_mse` after which training stops; null trains for all steps."""
    sampler: Literal["official", "corrected"]
    """`official` draws samples as the published code does, quirks included. `corrected` also draws the level when the
    first emotion is neutral, draws speech with its own generator, and keeps excluded emotions out of every pair."""
    speaker: Literal["same", "different"]
    """Whose expression a sample shows: the drawn clip's speaker, or another speaker drawn from the split."""
    excluded_emotions: list[EmotionName]
    """`corrected` leaves out samples with any of them, `official` only those that lead from one of them to another."""
    num_clips_per_mean: PositiveInt
    """Clips averaged for a speech or expression mean; 10 in the paper."""
    first_window_share: Fraction
    """Share of training windows that start with the clip, where the reference is empty; 0 starts them anywhere, as in
    the paper."""
    mixup_share: Fraction
    """Share of samples that are mixed with another one of the batch, voice and face alike; 0 in the paper."""
    speech_draw: SpeechDraw
    """How the clips of a speech mean are picked from the list of their emotion and level: in the paper's strides from
    one random place, or each at random. With strides, a list of sixteen clips yields only sixteen means."""
    reconstruction: Literal["focal", "mse", "wmse", "bmse"]
    direction: Literal["bidir", "unidir"]
    wmse_backward_label: Literal["second", "first"]
    """Emotion whose class weight the backward term of `wmse` uses: the published code takes emotion 2 (`second`),
    though the error is that of emotion 1."""
    contrastive_signs: Literal["crossed", "equal"]
    """`crossed` pairs the negated visual delta with the forward speech embedding, as published; `equal` the delta
    itself."""
    contrastive_weight: NonNegativeFloat
    direction_weight: NonNegativeFloat
    precision: Literal["float32", "bfloat16"]
    """Precision of the network's passes on a GPU (autocast). Losses and optimizer stay in float32, and a CPU always
    computes in float32."""
    compile: bool
    """Whether torch.compile optimises a step, with CUDA graphs on a GPU: takes minutes at first, pays off in long
    runs."""
    shards_in_memory: PositiveInt | None
    """Shards held in memory at once, read again and again, for features that do not fit; null holds all of them."""
    log_every: PositiveInt
    """Steps between two readings of the loss; each one waits for the device."""
    validate_every: PositiveInt
    max_validation_pairs: PositiveInt
    """Pairs that a validation measures at most; of more, a fixed sample. A pair takes some 2 ms."""
    checkpoint_every: PositiveInt

    @model_validator(mode="after")
    def _beginning_fits(self) -> "TrainParams":
        if self.begin_from == PUBLISHED_CONNECTOR:
            found, expected = self.network.sizes, PAPER_NETWORK.sizes
            wrong = [
                f"network.{key} is {found[key]}, not {size}" for key, size in expected.items() if found[key] != size
            ]
            if wrong:
                raise ValueError(f"begin_from {self.begin_from} has the paper's network, but {', '.join(wrong)}")
        elif self.begin_from is None and not self.num_steps:
            raise ValueError("num_steps is 0, so begin_from must name the checkpoint that becomes the model")
        return self


class EditsParams(Section):
    """Edited test clips, made by every method from the same neutral clips."""

    rows: Literal["test-pairs", "official"]
    """`test-pairs`: every pair of a test speaker. `official`: the rows of C-MET's manifest (mead, cremad). Rows whose
    clips the corpus lacks stay planned, and then the report has no headline."""
    pools: Literal["pool-by-intensity", "static-folder"]
    """Which speech drives a row; cmet.edits.pools explains both."""
    pool_seed: NonNegativeInt
    """Seed of the draws of `static-folder`; 42 in the published command."""
    identity_frame: NonNegativeInt
    """Which frame of the source shows the person to a backbone that draws faces anew; the paper does not say."""
    strength: PositiveFloat
    """Factor on the predicted expression delta; 1 in the paper."""
    num_speech_clips: PositiveInt
    """Clips averaged for the emotional and for the neutral speech embedding; 10 in the paper."""
    lips: Literal["own", "speech"]
    """What the lips of a published backbone follow: the picture of the source clip (`own`) or its sound (`speech`).
    PD-FGC always follows the sound; facemesh keeps the lips of the picture."""


class JudgeParams(Section):
    """The frame classifier that measures emotion: trained on unedited clips of the training speakers, or released."""

    network: Literal["small", "resnet18"]
    """`small` learns within a minute on a CPU; `resnet18` is the paper's and learns as there: whole clips, with SGD."""
    begin_from: str | None
    """What a resnet18 is fine-tuned from, without its classifier: `emotion-fan-ferplus` as in the paper,
    `emotion-fan-ms1m`, a path, or a file name in weights/judge. null begins with random weights."""
    checkpoint: str | None
    """A released judge that is used as it is: a path, a file name in weights/judge, `judge-mead` or `judge-crema-d`.
    null trains one."""
    label_order: list[str] | None
    """The emotions of the checkpoint's logits in order, which no file records; null only without a checkpoint. The
    paper's judge of MEAD has happy, angry, disgusted, fear, sad, contempt, surprised; its fine-tuning script for
    CREMA-D has the first five."""
    trained_on: str | None
    """What the checkpoint was trained on, in words, to be shown with every score; null only without a checkpoint."""
    has_neutral: bool
    """Whether the judge has an eighth class `neutral`, learnt from neutral clips; not in the paper."""
    image_px: Annotated[int, Field(ge=32, le=MAX_PX)]
    """Side of a frame; 224 in the paper."""
    num_frames: PositiveInt
    """Frames of a clip, evenly spaced, whose logits are averaged; 16 in the paper."""
    num_train_frames: PositiveInt
    """Frames taken from each training clip; 16 in the paper."""
    num_epochs: PositiveInt
    batch_size: PositiveInt
    """Per step, frames for small and clips for resnet18, 32 in the paper. In training, a clip of 16 frames at 224 px
    takes about 0.6 GiB."""
    learning_rate: PositiveFloat
    """0.01 in the paper, for its resnet18."""

    @field_validator("label_order")
    @classmethod
    def _label_order_is_of_emotions(cls, order: list[str] | None) -> list[str] | None:
        problem = order_problem(order) if order is not None else None
        if problem:
            raise ValueError(f"judge.label_order {problem}")
        return order

    @model_validator(mode="after")
    def _names_agree(self) -> "JudgeParams":
        if self.network == "small" and (self.begin_from or self.checkpoint):
            raise ValueError("judge.begin_from and judge.checkpoint need a ResNet-18: set judge.network: resnet18")
        if self.checkpoint is None:
            idle = [key for key in ("label_order", "trained_on") if getattr(self, key) is not None]
            if idle:
                raise ValueError(
                    f"judge.{' and judge.'.join(idle)} describe a checkpoint, but judge.checkpoint is null"
                )
            return self
        if self.begin_from is not None:
            raise ValueError("judge.checkpoint is used as it is: set judge.begin_from to null")
        if self.label_order is None:
            raise ValueError(
                "judge.checkpoint does not say which emotion each of its outputs stands for: set judge.label_order"
            )
        if not self.trained_on:
            raise ValueError("judge.checkpoint does not say what it was trained on: set judge.trained_on")
        if self.has_neutral != (NEUTRAL in self.label_order):
            raise ValueError(f"judge.has_neutral is {self.has_neutral}, but judge.label_order is {self.label_order}")
        return self


class EvaluateParams(Section):
    """Scores and their uncertainty."""

    metrics: list[MetricName]
    """What is measured besides the emotion; a metric whose weights are missing is left out, and the report says why."""
    num_bootstrap: PositiveInt
    """Bootstrap resamples, over clusters of speaker and sentence, for each interval."""
    confidence: Annotated[float, Field(gt=0, lt=1)]


class TimingParams(Section):
    """How long an edit takes, measured clip by clip in one process."""

    num_clips: PositiveInt
    """Test rows to time."""
    num_warm_up: NonNegativeInt
    """Rows edited before them, to warm up; they do not count."""


class ReportParams(Section):
    """The HTML page."""

    num_examples: NonNegativeInt
    """Clips shown side by side, per backbone."""


class Params(Section):
    """A whole experiment."""

    seed: NonNegativeInt
    held_out_emotion: EmotionName | None
    """Emotion that no expression basis and no Connector sees in training; it is evaluated on its own."""
    speech_encoders: Annotated[list[EncoderName], Field(min_length=1)]
    backbones: Annotated[list[BackboneName], Field(min_length=1)]
    weights: Annotated[str, Field(min_length=1)]
    """Folder of the published checkpoints, absolute or relative to the folder of params.yaml. Stages read only these,
    since DVC watches only these."""
    made_corpora: list[Literal["sample"]]
    """Corpora that the pipeline makes before it reads them; none where `manifest` names another one."""
    sample: SampleParams
    manifest: ManifestParams
    clips: ClipsParams
    speech: SpeechParams
    expression: ExpressionParams
    inference: InferenceParams
    deltas: DeltasParams
    shards: ShardsParams
    train: TrainParams
    edits: EditsParams
    judge: JudgeParams
    timing: TimingParams
    evaluate: EvaluateParams
    report: ReportParams

    @model_validator(mode="after")
    def _names_agree(self) -> "Params":
        if self.deltas.speech_encoder not in self.speech_encoders:
            raise ValueError(
                f"deltas.speech_encoder is {self.deltas.speech_encoder!r}, not one of speech_encoders "
                f"{self.speech_encoders}"
            )
        unusual = [
            f"speech.{name} {value!r}"
            for name, value in SpeechForm.of(self.speech)
            if value != getattr(USUAL_SPEECH, name)
        ]
        if unusual and set(self.speech_encoders) <= set(WITHOUT_LAYERS):
            raise ValueError(f"{' and '.join(unusual)} changes nothing of speech_encoders {self.speech_encoders}")
        if self.train.begin_from == PUBLISHED_CONNECTOR:
            self._check_published_connector()
        return self

    def _check_published_connector(self) -> None:
        wrong = []
        if set(self.backbones) != {"edtalk"}:
            wrong.append(f"backbones is {self.backbones}, not ['edtalk']")
        if self.deltas.speech_encoder not in EMOTION2VEC_ENCODERS:
            wrong.append(f"deltas.speech_encoder is {self.deltas.speech_encoder!r}, not {EMOTION2VEC_ENCODERS}")
        if self.deltas.speech_scale != "none":
            wrong.append(f"deltas.speech_scale is {self.deltas.speech_scale!r}, not 'none'")
        if self.deltas.speech_projection != "none":
            wrong.append(f"deltas.speech_projection is {self.deltas.speech_projection!r}, not 'none'")
        if self.held_out_emotion is not None:
            wrong.append(f"held_out_emotion is {self.held_out_emotion!r}, but the Connector has seen every emotion")
        if not self.train.num_steps and ClipForm.of(self.clips) != PAPER_CLIPS:
            wrong.append(f"it was trained on clips made with {PAPER_CLIPS.changes(self.clips)}")
        if wrong:
            raise ValueError(f"train.begin_from {self.train.begin_from!r} needs other settings: {'; '.join(wrong)}")


def load_params(path: Path) -> Params:
    """Read and check a parameter file.

    Raises:
        ParamsError: The file is missing or no YAML, or a key is unknown, missing or out of range; the message
            names each such key.
    """
    return parse_params(unchecked_params(path), str(path))


def unchecked_params(path: Path) -> object:
    """What stands in a parameter file, unchecked.

    Raises:
        ParamsError: The file is missing or no YAML.
    """
    try:
        return read_yaml(path)
    except BadFile as error:
        advice = "; run the command in the project folder" if oddity(path) == MISSING else ""
        raise ParamsError(f"{error}{advice}") from error


def parse_params(values: object, name: str) -> Params:
    """Check already read values; `name` stands in the message.

    Raises:
        ParamsError: A key is unknown, missing or out of range; the message names each such key.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        # what stands in the file comes before what does not: a misspelt key is among both
        problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] == "missing")
        lines = [
            f"  {_key(problem['loc'])}: {shown(problem['msg'], MAX_MESSAGE)}{_got(problem['input'])}"
            for problem in problems
        ]
        more = [f"  and {len(lines) - MAX_SHOWN} more"] if len(lines) > MAX_SHOWN else []
        raise ParamsError("\n".join([f"{name}: {len(lines)} bad value(s)", *lines[:MAX_SHOWN], *more])) from error


def _got(value: object) -> str:
    """A missing key, and values that do not fit each other, come with their whole section: that tells nothing."""
    return "" if isinstance(value, dict) else f" (got {shown(_SHORT.repr(value))})"


MAX_SHOWN = 20
"""Bad values that a message names."""

MAX_MESSAGE = 800
"""Characters of what is wrong with a value; some of it is made of values."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = SHOWN_CHARACTERS


def flatten(params: Section) -> dict[str, Any]:
    """All values on one level, with dotted keys, as a ledger or a table shows them."""
    flat: dict[str, Any] = {}
    for key, value in params:
        inner = flatten(value) if isinstance(value, Section) else None
        flat |= {key: value} if inner is None else {f"{key}.{part}": leaf for part, leaf in inner.items()}
    return flat


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(shown(str(part)) for part in location) or "(whole file)"


EVERYTHING = "*"
"""Stands for all parameters in the names of those that a stage reads."""


class Undeclared(Exception):
    """A stage reads a parameter that it does not declare: a fault of the program, since DVC does not watch it."""


def declared(params: Params, names: Collection[str]) -> Params:
    """A view of an experiment that has some of its parameters and raises `Undeclared` for all others.

    Args:
        params: The whole experiment.
        names: Sections or values with dots (`train`, `clips.crf`), as `dvc.yaml` has them; `EVERYTHING` for all.
    """
    return params if EVERYTHING in names else cast(Params, _Declared(params, tuple(names)))


def no_params() -> Params:
    """Parameters for whoever must not need any: to read one raises `Undeclared`."""
    return cast(Params, _Declared(None, ()))


class _Declared:
    def __init__(self, values: Section | None, names: tuple[str, ...], above: str = "") -> None:
        self._values, self._names, self._above = values, names, above

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._names:
            return getattr(self._values, name)
        below = tuple(part.removeprefix(f"{name}.") for part in self._names if part.startswith(f"{name}."))
        if not below:
            known = ", ".join(self._above + part for part in self._names)
            raise Undeclared(f"params.{self._above}{name} is read but not declared; declared are {known}")
        return _Declared(getattr(self._values, name), below, f"{self._above}{name}.")
