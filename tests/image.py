"""The commands of the Dockerfile in a clean Debian, for machines without Docker: `python -m tests.image`, as root.

What `docker build` does in a container happens in a folder: Debian comes from debootstrap, RUN lines are read from the
Dockerfile and run there by chroot.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[1]
RELEASES = {"debian:12-slim": "bookworm", "debian:13-slim": "trixie"}
"""What debootstrap calls the bases."""

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
OURS = "/host-certificates.crt"
"""Certificates of this machine, whose network may have some of its own."""

CHECKS = (
    "dagster definitions validate --workspace workspace.yaml",
    "python -c 'import cv2, dagster_postgres, mlflow.server, psycopg2, torch'",
    "git status --short --untracked-files=no",
)
"""What has to work in the image besides its CMD."""


@dataclass
class Image:
    """What an image is, between two instructions."""

    root: Path
    base: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0"
    command: str = ""

    @property
    def values(self) -> Mapping[str, str]:
        """What ${NAME} stands for."""
        path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        return path | self.arguments | self.environment

    def run(self, command: str) -> None:
        """Run a command of the shell as a RUN line would.

        Raises:
            CalledProcessError: It failed.
        """
        home = "/root" if self.user == "0" else "/home/cmet"
        network = {"SSL_CERT_FILE": OURS, "PIP_CERT": OURS} if (self.root / OURS[1:]).exists() else {}
        started_s = time.monotonic()
        print(f"RUN {command}", flush=True)
        subprocess.run(
            ["chroot", f"--userspec={self.user}:{self.user}", self.root, "sh", "-c", f"cd {self.folder} && {command}"],
            env={**self.values, "HOME": home, **network},
            check=True,
        )
        print(f"    {time.monotonic() - started_s:.1f} s", flush=True)

    def copy(self, words: list[str]) -> None:
        """Copy files of the checkout as a COPY line would: all that git knows for `.`."""
        owner = next((word.partition("=")[2] for word in words if word.startswith("--chown=")), "")
        *sources, target = [word for word in words if not word.startswith("--")]
        to = self.root / self.folder.lstrip("/") / target
        for source in sources:
            for name in _known_to_git() if source == "." else [source]:
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, to / name)
        if "." in sources and (ROOT / ".git").is_dir():
            shutil.copytree(ROOT / ".git", to / ".git")
        if owner:
            subprocess.run(["chroot", self.root, "chown", "--recursive", owner, self.folder], check=True)


def build(root: Path) -> Image:
    """An image of the Dockerfile with its default arguments, in an empty folder."""
    image = Image(root)
    for instruction, value in _instructions():
        match instruction:
            case "FROM":
                image.base = Template(value).substitute(image.values)
                image.arguments.clear()
                _install_base(image)
            case "ARG":
                name, _, default = value.partition("=")
                image.arguments[name] = default
            case "ENV":
                pairs = (word.split("=", 1) for word in value.split())
                image.environment |= {name: Template(text).substitute(image.values) for name, text in pairs}
            case "WORKDIR":
                image.folder = value
                (root / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY":
                image.copy(value.split())
            case "RUN":
                image.run(_without_mounts(value, root))
            case "USER":
                image.user = Template(value).substitute(image.values)
            case "CMD":
                image.command = " ".join(word.strip('" ') for word in value.strip("[]").split(","))
            case _:
                raise NotImplementedError(f"{instruction} {value}")
    return image


def _instructions() -> Iterator[tuple[str, str]]:
    parser = DockerfileParser(str(ROOT / "Dockerfile"))
    parts = [part for part in parser.structure if part["instruction"] != "COMMENT"]
    return ((part["instruction"], part["value"]) for part in parts)


def _install_base(image: Image) -> None:
    started_s = time.monotonic()
    command = ["debootstrap", "--variant=minbase", RELEASES[image.base], image.root]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mount", "--types", "proc", "proc", image.root / "proc"], check=True)
    shutil.copy("/etc/resolv.conf", image.root / "etc/resolv.conf")
    if Path(CERTIFICATES).exists():
        shutil.copy(CERTIFICATES, image.root / OURS[1:])
    print(f"FROM {image.base}\n    {time.monotonic() - started_s:.1f} s", flush=True)


def _without_mounts(command: str, root: Path) -> str:
    """A RUN line without its flags; what is a cache there is that of this machine here."""
    while command.startswith("--"):
        flag, command = command.split(maxsplit=1)
        values = dict(part.split("=") for part in flag.removeprefix("--mount=").split(","))
        assert values["type"] == "cache", flag
        target = root / values["target"].lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        ours = Path(values["target"])
        if ours.is_dir():
            subprocess.run(["mount", "--bind", ours, target], check=True)
    return command


def _known_to_git() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def main() -> None:
    """Build it, and see that what it is for works; all that is mounted is seen by a second process alone."""
    if len(sys.argv) == 2:
        image = build(Path(sys.argv[1]))
        for command in (image.command, *CHECKS):
            image.run(command)
        return
    if os.geteuid() != 0:
        sys.exit("tests.image: chroot needs root")
    with tempfile.TemporaryDirectory() as folder:
        # the folder itself is closed to the user of the image
        root = Path(folder) / "image"
        root.mkdir()
        done = subprocess.run(["unshare", "--mount", sys.executable, "-m", "tests.image", root], cwd=ROOT)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
