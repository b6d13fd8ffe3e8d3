"""Where a run comes from: git, DVC, Dagster and the machine, as tags, datasets and a few lines to read."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cmet.recorded import LOCK, recorded_digests

NO_COMMIT = "none: this folder is no checkout of git"
"""Stands where a run would name its commit."""
RECORDED = (LOCK, "metrics", "plots", "params.yaml")
"""Tracked files that say nothing of the code: runs write the first three, the last is logged in full."""
EXPERIMENT_TAG = "dvc.exp_name"
"""Names the experiment of DVC that a run belongs to; runs of the project itself have none."""
DAGSTER_PAGE = "http://localhost:3000"
"""Where `make dev` serves, unless `CMET_DAGSTER_PAGE` names another address."""
MAX_DIGEST = 36
"""Longest digest that MLflow takes for a dataset: one of DVC for a folder."""
_SCP_LIKE = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")
"""An address as ssh has it, `git@host:owner/name.git`."""


@dataclass(frozen=True)
class Origin:
    """What a project folder and the environment say of a run that begins now."""

    root: Path

    @cached_property
    def commit(self) -> str | None:
        """The git commit; None in a folder that is no checkout."""
        # a download may lie in a repository that knows nothing of it
        return _git(self.root, "rev-parse", "HEAD") if _git(self.root, "ls-files", "--", ".") else None

    @cached_property
    def is_dirty(self) -> bool:
        """Whether tracked files differ from the commit, but for those that a run records itself."""
        others = [f":(exclude){name}" for name in RECORDED]
        # no lock: a commit made at this moment would fail
        asked = ("--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--", ":/", *others)
        return bool(_git(self.root, *asked))

    @cached_property
    def repository(self) -> str | None:
        """Address of the repository's page, without user and password; None where git has none on the web."""
        remote = _git(self.root, "remote", "get-url", "origin") if self.commit else None
        return page_address(remote) if remote else None

    @cached_property
    def hashes(self) -> dict[str, str]:
        """What DVC calls each file and folder that its stages read or write, by path."""
        return recorded_digests(self.root)

    @property
    def experiment(self) -> str:
        """Name of the DVC experiment that works; empty outside of one."""
        return os.environ.get("DVC_EXP_NAME", "")

    @property
    def dagster_run(self) -> str:
        """Id of the Dagster run that works; empty outside of one."""
        return os.environ.get("DAGSTER_RUN_ID", "")

    def tags(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """What runs are found by: inputs, what DVC calls them, commit, DVC experiment and Dagster run."""
        tags = {f"cmet.input.{path}": digest for path, digest in inputs.items()}
        tags |= {f"dvc.{path}": self.hashes[path] for path in inputs if path in self.hashes}
        if self.commit:
            tags |= {"mlflow.source.git.commit": self.commit, "cmet.git.dirty": str(self.is_dirty).lower()}
        else:
            tags["cmet.git.commit"] = NO_COMMIT
        known = {
            "mlflow.source.git.repoURL": self.repository,
            EXPERIMENT_TAG: self.experiment,
            "dagster.run_id": self.dagster_run,
        }
        return tags | {key: value for key, value in known.items() if value}

    def datasets(self, inputs: Mapping[str, str]) -> list[dict[str, str]]:
        """The inputs as datasets of MLflow: `name`, `digest` (DVC's where it has one), `path`, `repo` and `rev`."""
        return [
            {
                "name": path.removeprefix("data/"),
                "digest": self.hashes.get(path, digest)[:MAX_DIGEST],
                "path": path,
                "repo": self.repository or str(self.root.resolve()),
                "rev": self.commit or "",
            }
            for path, digest in inputs.items()
        ]

    def links(self) -> list[str]:
        """Lines of Markdown that lead from a run to what made it."""
        lines = []
        if self.commit:
            short = f"`{self.commit[:7]}`"
            linked = f"[{short}]({self.repository}/commit/{self.commit})" if self.repository else short
            lines.append(f"Commit {linked}" + (", and changes that are not committed" if self.is_dirty else ""))
        if self.experiment:
            lines.append(f"DVC experiment `{self.experiment}`")
        if self.dagster_run:
            page = os.environ.get("CMET_DAGSTER_PAGE") or DAGSTER_PAGE
            lines.append(f"[Run in Dagster]({page.rstrip('/')}/runs/{self.dagster_run})")
        return lines


def page_address(remote: str) -> str | None:
    """The page of a repository by the address that git has; None for one that is not on the web.

    User, password and token are left out.
    """
    if "://" not in remote and (found := _SCP_LIKE.fullmatch(remote)):
        remote = f"https://{found[1]}/{found[2]}"
    parts = urlsplit(remote)
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return None
    is_web = parts.scheme in ("http", "https")
    host = f"{parts.hostname}:{parts.port}" if is_web and parts.port else parts.hostname
    path = parts.path.rstrip("/").removesuffix(".git")
    return urlunsplit((parts.scheme if is_web else "https", host, path, "", ""))


def environment_tags(environment: Mapping[str, Any]) -> dict[str, str]:
    """What runs are searched by; the rest is in environment.json."""
    versions, torch = environment["versions"], environment["torch"] or {}
    tags = {
        "cmet.version": versions.get("cmet"),
        "cmet.torch": versions.get("torch"),
        "cmet.device": next((gpu["name"] for gpu in torch.get("gpus", [])), torch.get("device")),
    }
    return {key: value for key, value in tags.items() if value}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        # an unpacked archive, or a machine without git, has no commit to name
        return None
    return done.stdout.strip()
