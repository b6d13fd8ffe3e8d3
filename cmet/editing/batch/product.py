"""What a batch leaves behind: its edits, a page of all, and what is known of each."""

from dataclasses import dataclass
from pathlib import Path

BATCH_PAGE = "index.html"
BATCH_LEDGER, BATCH_LOCK = ".cmet-batch.json", ".cmet-batch.lock"


@dataclass(frozen=True)
class BatchFolder:
    """The folder of the results of a batch."""

    folder: Path

    @property
    def page(self) -> Path:
        """All edits with stills."""
        return self.folder / BATCH_PAGE

    @property
    def ledger(self) -> Path:
        """From what each result was made."""
        return self.folder / BATCH_LEDGER

    @property
    def lock(self) -> Path:
        """Held by the batch that writes here."""
        return self.folder / BATCH_LOCK
