"""What a shell offers where Tab is pressed. Each Tab starts `cmet` anew, so nothing slow is imported here."""

from pathlib import Path

EXPERIMENTS = Path("experiments")
TRAINED = Path("data/train")
LAYERS = EXPERIMENTS / "ablations"


def backbones() -> list[str]:
    """All talking-face models."""
    from cmet.backbones.registry import BACKBONES

    return list(BACKBONES)


def encoders() -> list[str]:
    """All speech encoders."""
    from cmet.speech.encoders.settings import SETTINGS

    return list(SETTINGS)


def emotions() -> list[str]:
    """The emotions that can be left out of training."""
    from cmet.vocabulary import TARGET_EMOTIONS

    return list(TARGET_EMOTIONS)


def judged_emotions() -> list[str]:
    """The emotions that a judge may name."""
    from cmet.vocabulary import EMOTIONS

    return list(EMOTIONS)


def checkpoints() -> list[str]:
    """The pretrained checkpoints by name."""
    from cmet.weights.registry import CHECKPOINTS

    return list(CHECKPOINTS)


def purposes() -> list[str]:
    """What weights are got for."""
    from cmet.weights.registry import PURPOSES

    return list(PURPOSES)


def experiments() -> list[str]:
    """Experiments of the current folder."""
    return _files(EXPERIMENTS)


def layers() -> list[str]:
    """Changes to lay over an experiment."""
    return _files(LAYERS)


def benchmarks() -> list[str]:
    """Corpora with an official benchmark."""
    from cmet.edits.benchmark import BENCHMARKS

    return list(BENCHMARKS)


def metrics() -> list[str]:
    """What is measured besides accuracy."""
    from cmet.scores.metrics.registry import METRICS

    return list(METRICS)


def models() -> list[str]:
    """Models of the current folder, and how MLflow calls the best; after other letters the shell offers files."""
    return [
        *sorted(str(path) for path in TRAINED.glob("*/")),
        *(f"models:/cmet-{name}@champion" for name in backbones()),
    ]


def lips() -> list[str]:
    """Words of `cmet edit --lips`; after other letters the shell offers files."""
    return ["own", "speech"]


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.yaml"))
