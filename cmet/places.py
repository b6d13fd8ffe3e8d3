"""Where a project keeps what its stages make: folders, locks, and the unfinished work that outlives a kill.

DVC deletes an output before it runs the stage, so work worth keeping lives in `.work/<stage>/<key>/` and becomes the
output by a rename.

Outputs that are not on this machine may be in the remote of DVC (`cmet.pushed`). Whoever reads them asks for them here,
and so no result depends on where they are.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from cmet.digests import KeptDigests
from cmet.errors import UserError
from cmet.inputs.texts import read_json
from cmet.objects.inventory import is_tree
from cmet.outputs import content_digest
from cmet.pushed import PushedFile as PushedFile
from cmet.pushed import at_hand as at_hand
from cmet.pushed import is_pushed
from cmet.pushed import pushed_file as pushed_file
from cmet.pushed import pushed_names as pushed_names

WORK = ".work"
"""Folder of a project with the unfinished work and the locks."""

DIGESTS = "digests.json"
"""File in it with the digests of large files, see `cmet.digests`."""

COMPILED = "compiled"
"""Folder in it with the networks that torch has compiled, which later runs begin with."""

MADE = "made"
"""Folder in it with the records of outputs, see `cmet.engine.earlier`."""

PASSING = "passing"
"""Folder in it with maps over clips that leave nothing behind, see `cmet.scores.passing`."""

EXPERIMENTS, COPIES = "experiments", "copies"
"""Folders in it with the unfinished work of experiments, and with the copies of the project in which they run."""

LOCK_WAIT_S = 0.1
"""How long a lock is waited for: a run that ends removes the file under those who have just opened it."""

UNKNOWN = "unknown"
"""Stands for a process that does not say its number."""

LIMITS = frozenset({"max_rejected", "time_limit_s", "checkpoint_every"})
"""Parameters that decide which work is accepted, or how it is gone about, and change nothing of it."""


@dataclass(frozen=True)
class Places:
    """The folders of a project; every stage owns `data/<stage>[/<variant>]`."""

    root: Path
    corpus: Path
    """The raw corpus: its folder, or a table of clips."""
    weights: Path
    """Folder of published checkpoints."""
    code: str = ""
    """Digest of the code that works here: work begun by other code is not continued."""
    elsewhere: Mapping[tuple[str, str | None], Path] = field(default_factory=dict)
    """Output folders by stage and variant that are not in `data`."""
    workplace: Path | None = None
    """Where unfinished work waits and stages are locked, if not in `.work` itself."""

    def with_stages_in(self, out: Path, stages: Iterable[str], variant: str, name: str) -> "Places":
        """The same places with some stages of a variant in `out/<stage>`; the others stay where they are.

        Args:
            out: Their folder, in the project or not.
            stages: Names of the stages.
            variant: The backbone or encoder they work for.
            name: Tells the unfinished work from that of the project itself and of others like this one.
        """
        elsewhere = dict(self.elsewhere)
        elsewhere |= {(stage, variant): out.resolve() / stage for stage in stages}
        return replace(self, elsewhere=elsewhere, workplace=self.root / WORK / name)

    def folder(self, stage: str, variant: str | None = None) -> Path:
        """Output of a stage, for one backbone or encoder."""
        if (stage, variant) in self.elsewhere:
            return self.elsewhere[stage, variant]
        if stage == "report":
            return self.root / "reports"
        return self.root / "data" / stage / (variant or "")

    def metrics_file(self, stage: str, variant: str | None = None) -> Path:
        """Counts and metrics of a stage."""
        if (stage, variant) in self.elsewhere:
            return self.elsewhere[stage, variant].with_name(f"{stage}.json")
        return self.root / "data" / "metrics" / f"{step_name(stage, variant)}.json"

    def measured(self, stage: str, variant: str) -> Path:
        """What a stage has measured of this machine: beside the report, and in no hash that DVC keeps."""
        return self.root / "reports" / stage / variant

    @property
    def metrics(self) -> Path:
        """The few numbers by which commits are compared; git keeps them."""
        return self.root / "metrics"

    def compared_file(self, stage: str) -> Path:
        """Those of one stage."""
        return self.metrics / f"{stage}.json"

    @property
    def plots(self) -> Path:
        """Tables that DVC draws for several commits; git keeps them."""
        return self.root / "plots"

    @property
    def corpus_folder(self) -> Path:
        """Where the paths of a manifest begin."""
        return self.corpus if is_tree(self.corpus) or not self.corpus.is_file() else self.corpus.parent

    @property
    def compiled(self) -> Path:
        """Where torch keeps what it compiles, which would otherwise stay behind in the temporary folder."""
        return self.root.resolve() / WORK / COMPILED

    @property
    def scores(self) -> Path:
        """Results of other methods that the report shows."""
        return self.root / "scores"

    def work(self, stage: str, variant: str | None, params: BaseModel, inputs: Sequence[Path], *facts: object) -> Path:
        """Where the unfinished work of a stage waits; see `work_folder`."""
        named = step_name(stage, variant)
        return work_folder(self._workplace, named, params, inputs, self.code, *facts, digest=self._digests.of)

    def made_of(self, stage: str, variant: str | None = None) -> Path:
        """File with what each clip of a map's output was made of, with which the next run of the stage begins."""
        return self._workplace / MADE / step_name(stage, variant) / "records.jsonl"

    def has_work(self, stage: str, variant: str | None = None) -> bool:
        """Whether unfinished work of the stage waits, or finished work that is not yet its output."""
        folder = self._workplace / step_name(stage, variant)
        return folder.is_dir() and any(folder.iterdir())

    def only_run(
        self, stage: str, variant: str | None = None, patience_s: float = LOCK_WAIT_S
    ) -> AbstractContextManager[None]:
        """A block in which no other process runs the stage; see `only_run`."""
        step = step_name(stage, variant)
        return only_run(self._workplace / f"{step}.lock", step, patience_s)

    def digests(self, *inputs: Path) -> dict[str, str]:
        """Content hash of inputs by their path in the project; by the whole path where they lie outside."""
        return {self.named(path): self._digests.of(path) for path in inputs}

    def written(self, stage: str, name: str, variant: str | None = None) -> Path:
        """A file or folder that a stage has written.

        Raises:
            UserError: The stage has not run.
        """
        return self._made(self.folder(stage, variant) / name, stage, variant)

    def reported(self, stage: str, variant: str | None = None) -> dict[str, Any]:
        """Counts and metrics of a stage, as its last run has left them.

        Raises:
            UserError: The stage has not run.
        """
        return read_json(self._made(self.metrics_file(stage, variant), stage, variant))

    def named(self, path: Path) -> str:
        """A path as messages and ledgers have it: from the root where it lies below it."""
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()

    def _made(self, path: Path, stage: str, variant: str | None) -> Path:
        if not path.exists() and not is_pushed(path):
            step = f"{stage}@{variant}" if variant else stage
            raise UserError(f"{self.named(path)}: not there yet; run `dvc repro {step}`")
        return path

    @property
    def _workplace(self) -> Path:
        return self.workplace or self.root / WORK

    @property
    def _digests(self) -> KeptDigests:
        return KeptDigests(self.root / WORK / DIGESTS)


def step_name(stage: str, variant: str | None) -> str:
    """Stage and variant as file names have them."""
    return f"{stage}-{variant}" if variant else stage


def work_folder(
    root: Path,
    stage: str,
    params: BaseModel,
    inputs: Sequence[Path],
    *facts: object,
    digest: Callable[[Path], str] = content_digest,
) -> Path:
    """Folder for the unfinished work of one stage, the same one as long as inputs, params and facts stay the same.

    Folders of the stage that belong to other inputs or params are deleted: their work can never be finished.

    Args:
        root: The project's `.work`.
        stage: Name of the stage, with backbone or encoder.
        params: Every parameter the result depends on; `LIMITS` among them do not count.
        inputs: Files whose content decides the result. A folder counts with all its files.
        facts: Values besides, on which the result depends, such as the digest of the code.
        digest: Says the digest of an input.
    """
    key = hashlib.sha256(params.model_dump_json(exclude=set(LIMITS)).encode())
    key.update(repr(facts).encode())
    for path in inputs:
        key.update(digest(path).encode())
    folder = root / stage / key.hexdigest()[:16]
    if folder.parent.exists():
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def only_run(path: Path, stage: str, patience_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Let no other process run the same stage during the block.

    Args:
        path: The lock file; it is there during the block only, or after a kill, when it locks nothing.
        stage: Name for the message.
        patience_s: How long another run is waited for.

    Raises:
        UserError: Another run holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=patience_s, poll_interval=0.01, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{stage}: another run of this stage is at work (pid {_holder_named(path)}); wait for it or stop it"
        ) from error
    with held:
        path.write_text(str(os.getpid()), encoding="utf-8")
        try:
            yield
        finally:
            # before it is let go: it may be the next run's after that
            path.unlink(missing_ok=True)


def holder(path: Path) -> str | None:
    """Who holds a lock file: the number of a process, or `unknown`; None where nobody does."""
    if not path.exists():
        return None
    try:
        with FileLock(path, timeout=0, fallback_to_soft=False):
            return None
    except Timeout:
        return _holder_named(path)


def _holder_named(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8") or UNKNOWN
    return UNKNOWN
