"""Faults that the tests must catch: `python -m tests.faults [NN ...]` puts each into a copy of the repository.

A patch here is a plausible slip in one or two lines; `faults.yaml` says what a user would get of it and which tests
catch it. A change of the code that shall change no result leaves all of them caught. Where it moves a file, the patch
needs the new path; where it moves a test, `faults.yaml` does.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TAIL_LINES = 25
"""What is shown of tests that did not end as they should."""


@dataclass(frozen=True)
class Fault:
    """An entry of faults.yaml."""

    patch: str
    room: str
    kind: str
    what: str
    tests: list[str]

    @property
    def number(self) -> int:
        """What its patch begins with."""
        return int(self.patch.split("-")[0])


def main() -> int:
    """Try the faults that are asked for, and return 0 if all are caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", nargs="*", type=int, metavar="NN", help="Faults to try; all by default.")
    parser.add_argument("--clean", action="store_true", help="First show that the same tests pass without a fault.")
    args = parser.parse_args()
    known = [Fault(**entry) for entry in yaml.safe_load((HERE / "faults.yaml").read_text(encoding="utf-8"))]
    unknown = sorted(set(args.numbers) - {fault.number for fault in known})
    if unknown:
        parser.error(f"no fault {', '.join(map(str, unknown))}")
    faults = [fault for fault in known if fault.number in args.numbers or not args.numbers]
    if args.clean and not pass_without(faults):
        return 1
    num_caught = sum([is_caught(fault) for fault in faults])
    print(f"{num_caught} of {len(faults)} caught")
    return 0 if num_caught == len(faults) else 1


def pass_without(faults: Sequence[Fault]) -> bool:
    """Whether the tests of all faults pass in a copy without any."""
    tests = list(dict.fromkeys(test for fault in faults for test in fault.tests))
    with copied() as folder:
        done, seconds = run_tests(folder, tests)
    is_passed = done.returncode == pytest.ExitCode.OK
    print(f"without a fault: {'passed' if is_passed else 'FAILED'}, {seconds:.0f} s", flush=True)
    if not is_passed:
        print(tail(done.stdout + done.stderr))
    return is_passed


def is_caught(fault: Fault) -> bool:
    """Whether its tests fail in a copy with the fault; what came out is printed."""
    name = f"{fault.patch.removesuffix('.patch')} ({fault.room}, {fault.kind})"
    with copied() as folder:
        # a folder above may be a checkout, in which git would look for the files
        environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
        command = ["git", "apply", str(HERE / fault.patch)]
        applied = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if applied.returncode:
            print(f"{name}: DOES NOT APPLY\n{applied.stderr.rstrip()}", flush=True)
            return False
        done, seconds = run_tests(folder, fault.tests)
    match done.returncode:
        case pytest.ExitCode.TESTS_FAILED:
            print(f"{name}: caught, {seconds:.0f} s", flush=True)
            return True
        case pytest.ExitCode.OK:
            print(f"{name}: MISSED, {seconds:.0f} s; {fault.what}", flush=True)
        case _:
            print(f"{name}: MISSED, the tests could not be run\n{tail(done.stdout + done.stderr)}", flush=True)
    return False


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of all files that git knows or does not ignore, with the data beside the checkout in reach."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tempfile.TemporaryDirectory(prefix="cmet-fault-", ignore_cleanup_errors=True) as place:
        folder = Path(place).resolve() / ROOT.name
        for name in filter(None, map(os.fsdecode, listed.stdout.split(b"\0"))):
            # a deleted file is listed until that is committed
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        shared = ROOT.parent / "shared"
        if shared.is_dir():
            (folder.parent / shared.name).symlink_to(shared)
        yield folder


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run tests of a copy on its own code, and say how many seconds it took."""
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    made = folder.parent / "made"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(made), *tests]
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done, time.monotonic() - start


def tail(text: str) -> str:
    """The last lines."""
    return "\n".join(text.rstrip().splitlines()[-TAIL_LINES:])


if __name__ == "__main__":
    sys.exit(main())
