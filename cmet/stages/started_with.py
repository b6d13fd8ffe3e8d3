"""What a stage was started with, looked at again before it publishes.

DVC reads params.yaml and the code after a stage has ended, and records what stands there then: a model trained with
900 steps would be recorded as one of 300 if somebody wrote that meanwhile.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmet.errors import UserError
from cmet.params import EVERYTHING, ParamsError, unchecked_params

POLL_S = 0.5
EVERY_S = 30.0
"""Between two lines that say what is waited for."""
PATIENCE_S = 600.0
"""How long a file that cannot be read is waited for: somebody may be editing it."""
MAX_NAMED = 3


@dataclass(frozen=True)
class StartedWith:
    """The parameter file as it was when a stage was started."""

    file: Path
    values: object
    """All that stood in it, unchecked."""

    @classmethod
    def now(cls, file: Path) -> "StartedWith":
        """What stands in a parameter file.

        Raises:
            ParamsError: The file is missing or no YAML.
        """
        return cls(file, unchecked_params(file))

    def changes(self, step: str, names: Sequence[str]) -> list[str]:
        """What has become of the parameters that a stage reads, in words; waits while the file cannot be read.

        Args:
            step: Name of the stage for messages.
            names: Its sections or values with dots, as `cmet.stages.registry` has them.

        Raises:
            UserError: The file could not be read for `PATIENCE_S`.
        """
        old = _chosen(self.values, names)
        new = _chosen(self._readable(step, names), names)
        return [f"{key} was {before}, is {after}" for key, before, after in _differences(old, new)]

    def _readable(self, step: str, names: Sequence[str]) -> object:
        """The values that stand in the file now, once they can be read and none of those named is missing."""
        begun_s = time.monotonic()
        said_s = begun_s - EVERY_S
        while True:
            try:
                values = unchecked_params(self.file)
                _chosen(values, _chosen(self.values, names))
                return values
            except ParamsError as error:
                now_s = time.monotonic()
                if now_s - begun_s >= PATIENCE_S:
                    raise UserError(
                        f"{step}: done, but not published, since for {PATIENCE_S / 60:g} minutes it could not be seen "
                        f"whether its parameters are still the same ({error}); mend the file and run again"
                    ) from error
                if now_s - said_s >= EVERY_S:
                    said_s = now_s
                    print(f"{step}: done; waits for parameters that can be read ({error})", file=sys.stderr, flush=True)
            time.sleep(POLL_S)


def words_of(changes: Sequence[str]) -> str:
    """Some changes in words."""
    more = f" and {len(changes) - MAX_NAMED} more" if len(changes) > MAX_NAMED else ""
    return "; ".join(changes[:MAX_NAMED]) + more


def _chosen(values: object, names: Sequence[str] | Mapping[str, object]) -> dict[str, Any]:
    """The values behind names with dots; a half-edited file lacks some."""
    if not isinstance(values, dict):
        raise ParamsError("it is empty")
    if EVERYTHING in names:
        return dict(values)
    found: dict[str, Any] = {}
    for name in names:
        value: Any = values
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                raise ParamsError(f"{name} is missing")
            value = value[part]
        found[name] = value
    return found


def _differences(old: object, new: object, key: str = "") -> Iterator[tuple[str, object, object]]:
    """Keys with dots whose values differ, with both."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            below = f"{key}.{name}" if key else str(name)
            yield from _differences(old.get(name, "missing"), new.get(name, "missing"), below)
    elif old != new:
        yield key, old, new
