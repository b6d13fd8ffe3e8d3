"""What has to be said of the numbers: where they are from, and what they do not say."""

import hashlib
from collections.abc import Mapping

from cmet.connector.product import Model
from cmet.editing.editor import Editor
from cmet.editing.emotions.speech import VECTOR_SUFFIX
from cmet.extended.hearing import HeardRecordings
from cmet.extended.intervals import CONFIDENCE, MIN_FOR_INTERVAL, NUM_BOOTSTRAP
from cmet.extended.measured import HeardAndMade
from cmet.extended.request import Request
from cmet.extended.speech import Basics

MIN_OWN = 0.5
"""Share of basic clips that point to their own emotion, below which a page warns of the nearest emotion."""


def labels_of(request: Request, measured: HeardAndMade) -> dict[str, str]:
    """Facts about the numbers, in the order of the page."""
    editor = request.editor
    return {
        "ground truth": "none",
        "space": f"{measured.space} ({_kinds(measured)})",
        "scaling": measured.scaling,
        "extended speech": "; ".join(
            f"{emotion}: {len(heard.recordings)} clip(s), {_speakers(heard)}"
            for emotion, heard in measured.emotions.items()
        ),
        "neutral speech": (
            f"{len(measured.neutral.recordings)} clip(s), {_speakers(measured.neutral)}; "
            f"from {', '.join(map(str, request.neutral_speech))}"
        ),
        "basic speech": _basic(request, measured.basics),
        "model": "none" if editor is None else _model(editor),
        "videos": ", ".join(str(video.source) for video in measured.edited) or "none",
        "intervals": (
            f"{CONFIDENCE:.0%} percentile bootstrap, {NUM_BOOTSTRAP} resamples of the clips of an emotion (of speakers "
            f"or videos where those are averaged), seed {request.seed}; none below {MIN_FOR_INTERVAL}. Neutral and "
            "basic speech are held fixed. Shares: Wilson"
        ),
        "left out": f"{len(measured.left_out)} file(s)",
    }


def notes_of(request: Request, measured: HeardAndMade) -> list[str]:
    """What a reader could be misled by."""
    return [
        "No video of the true emotion exists for these labels, so nothing here says whether an edit is right. The "
        "numbers say where directions point and how steady they are; only eyes tell whether a face looks the part.",
        *_voice_notes(measured),
        *_shared_notes(measured),
        *_basic_notes(request, measured.basics),
        "With few clips, lengths come out somewhat too long and cosines with the basic emotions somewhat too low, "
        "since the differences between clips do not average out.",
        *_face_notes(request, measured),
    ]


def model_sha256(editor: Editor) -> str:
    """Of the weights of the connector."""
    place = editor.bundle.folder
    # the authors' checkpoint is a file
    return Model(place).sha256 if place.is_dir() else hashlib.sha256(place.read_bytes()).hexdigest()


def _voice_notes(measured: HeardAndMade) -> list[str]:
    """Whether a direction may hold the difference of two voices."""
    unknown: list[str] = []
    other: list[str] = []
    for emotion, heard in measured.emotions.items():
        if measured.rest.num_own(heard) == len(heard.recordings):
            continue
        is_unknown = None in heard.speakers_N or None in measured.neutral.speakers_N
        (unknown if is_unknown else other).append(emotion)
    mixed = (
        "then a direction also holds the difference between voices and between recordings, which all emotions share: "
        "the cosines between the emotions show how much they have in common"
    )
    result = []
    if unknown:
        result.append(
            f"{', '.join(unknown)}: it is not known whether the neutral speech is by the same voices. If not, {mixed}."
        )
    if other:
        result.append(f"{', '.join(other)}: some or all of the neutral speech is by other voices; {mixed}.")
    return result


def _shared_notes(measured: HeardAndMade) -> list[str]:
    if not measured.num_shared:
        return []
    return [
        f"{measured.num_shared} extended clip(s) are also among the neutral or basic ones, so they are compared with "
        "themselves."
    ]


def _basic_notes(request: Request, basics: Basics | None) -> list[str]:
    if basics is None:
        return ["No basic speech was given (--basic), so there is no nearest emotion and no strength."]
    notes = [
        "The nearest basic emotion is a word for a direction, not for what a listener hears; even the basic directions "
        "point partly towards one another, as their own table shows."
    ]
    own = basics.own[""]
    if own.value is not None and own.value < MIN_OWN:
        notes.append(
            f"Of the basic clips themselves, only {own.value:.0%} point to their own emotion here (1 in "
            f"{len(basics.emotions)} by chance): a nearest emotion means little in this space."
        )
    weak = [
        emotion
        for emotion, direction_S in zip(basics.emotions, basics.directions_ES, strict=True)
        if (direction_S @ direction_S) ** 0.5 < 0.5 * basics.mean_length
    ]
    if weak:
        notes.append(
            f"The direction of {', '.join(weak)} is less than half as long as the basic ones are on average: it can "
            "hardly be told from neutral in this space, and a cosine with it means little."
        )
    return notes


def _face_notes(request: Request, measured: HeardAndMade) -> list[str]:
    if request.editor is None:
        return [f"No edited clips: no model was named (--model), and speech is measured as {measured.space} hears it."]
    if not request.videos:
        return ["No edited clips: no video was named (--video)."]
    config = request.editor.bundle.config
    notes = [
        "The cosines of a face compare the predicted change with the model's own mean change of each emotion it "
        "knows: they say what the model took the speech for.",
        "An edit uses the plain difference between all emotional and all neutral clips, whoever speaks, kept within "
        "the range that the model was trained on.",
    ]
    if not config.expression_deltas:
        notes.append("This model does not state its typical changes, so the faces have no cosines.")
    if config.held_out_emotion in config.expression_deltas:
        notes.append(f"The model was not trained on {config.held_out_emotion} and knows only its mean change.")
    elif config.held_out_emotion:
        notes.append(f"The model was not trained on {config.held_out_emotion}, so no face can be near it here.")
    return notes


def _kinds(measured: HeardAndMade) -> str:
    """How many vectors were there already, and how many were computed."""
    paths = [path for heard in (*measured.emotions.values(), measured.neutral) for path in heard.paths]
    num_vectors = sum(path.suffix.lower() == VECTOR_SUFFIX for path in paths)
    return f"{num_vectors} stored vectors, {len(paths) - num_vectors} sounds"


def _speakers(heard: HeardRecordings) -> str:
    names = sorted({name for name in heard.speakers_N if name is not None})
    num_unknown = sum(name is None for name in heard.speakers_N)
    if not names:
        return "speakers not known"
    rest = f", {num_unknown} of unknown speakers" if num_unknown else ""
    return f"speaker{'s' if len(names) > 1 else ''} {', '.join(names)}{rest}"


def _basic(request: Request, basics: Basics | None) -> str:
    if basics is None:
        return "none"
    clips = ", ".join(f"{emotion} {number}" for emotion, number in basics.num_clips.items())
    who = f"speakers {', '.join(basics.speakers)}" if basics.speakers else "speakers not known"
    return f"{clips} clips, {who}; from {request.basic}"


def _model(editor: Editor) -> str:
    config = editor.bundle.config
    trained: Mapping[str, object] = {
        "step": config.step,
        "held out": config.held_out_emotion,
        "hears with": config.speech_encoder,
    }
    facts = ", ".join(f"{name} {value}" for name, value in trained.items() if value is not None)
    return f"{editor.bundle.folder}: {config.backbone}, {facts}, sha256 {model_sha256(editor)}"
