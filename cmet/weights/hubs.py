"""Where hubs keep on this machine what other programs have downloaded from them."""

import os
from pathlib import Path

EMOTION2VEC = "emotion2vec_plus_large"
"""Its name in both hubs."""


def emotion2vec_folders() -> list[Path]:
    """Folders of ModelScope and of Hugging Face that hold emotion2vec+ large once it was downloaded."""
    modelscope = Path(os.environ.get("MODELSCOPE_CACHE") or Path.home() / ".cache/modelscope")
    face = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    return [
        *(modelscope / part / "iic" / EMOTION2VEC for part in ("hub/models", "hub", "models", "")),
        *sorted((face / f"hub/models--emotion2vec--{EMOTION2VEC}/snapshots").glob("*")),
    ]


def torch_checkpoints() -> Path:
    """The folder of torch.hub, where torchaudio keeps the weights of its bundles; torch is not imported for it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"
