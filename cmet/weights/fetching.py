"""Published weights brought to where commands and stages look for them: whole and checked, or not at all."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from cmet.errors import ClipError, UserError
from cmet.inputs.texts import shown
from cmet.objects.inventory import StoredObject, check_store_address
from cmet.objects.store import ObjectStore
from cmet.outputs import full_disk, no_room_said
from cmet.weights.extras import install_command, is_installed
from cmet.weights.identify import identify
from cmet.weights.registry import CHECKPOINTS, PURPOSES, Checkpoint
from cmet.weights.routes import Download, DriveRoute, HubRoute, ManualRoute, Route, StoreRoute, WebRoute
from cmet.weights.transfer import (
    DIGESTS,
    Address,
    Part,
    RouteFailed,
    check_room,
    digest_of,
    state_file,
    transfer,
)
from cmet.weights.unpacking import unpack

WEIGHTS_STORE_VARIABLE = "CMET_WEIGHTS_STORE"
"""Address of an object store with the layout of the folder of weights; it is asked before the publishers."""

HEAD_S = 10
"""How long a server may take to say how large a file is."""


@dataclass(frozen=True)
class MissingFile:
    """One published file that is not here."""

    download: Download
    checkpoints: tuple[Checkpoint, ...]
    """Those that need it."""
    home: Path

    @property
    def name(self) -> str:
        """The file for people."""
        return self.download.path

    @property
    def routes(self) -> tuple[Route, ...]:
        """How it can be had, in the order in which that is tried.

        Raises:
            UserError: `CMET_WEIGHTS_STORE` is no address.
        """
        address = os.environ.get(WEIGHTS_STORE_VARIABLE, "").rstrip("/")
        if not address:
            return self.download.routes
        check_store_address(address)
        return (StoreRoute(address, f"{self.home.name}/{self.download.path}"), *self.download.routes)


@dataclass(frozen=True)
class Offer:
    """The first route that has a file."""

    route: Route
    address: Address | None
    """None where the route does not say what it has before it sends it."""
    cached: Path | None
    """Where the file lies already in the cache of the hub's client."""
    size_bytes: int | None
    num_here: int
    """Bytes of it that an earlier call has left."""

    @property
    def num_missing(self) -> int | None:
        """Bytes to bring; None where the size is not stated."""
        return None if self.size_bytes is None else max(0, self.size_bytes - self.num_here)


@dataclass(frozen=True)
class Fetched:
    """What has become of a file."""

    status: Literal["fetched", "by hand", "failed"]
    said: str
    """Where it came from, what to do, or why not."""
    sha256: str | None = None


def chosen(names: Sequence[str], purpose: str | None) -> list[Checkpoint]:
    """The checkpoints that are asked for, each once.

    Raises:
        UserError: A name or the purpose is unknown; the message lists those that there are.
    """
    if purpose is not None and purpose not in PURPOSES:
        raise UserError(f"--for: unknown purpose {purpose!r}; expected one of {', '.join(PURPOSES)}")
    unknown = [name for name in names if name not in CHECKPOINTS]
    if unknown:
        raise UserError(f"no weights are called {', '.join(unknown)}; expected some of {', '.join(CHECKPOINTS)}")
    asked = [*names, *(PURPOSES[purpose] if purpose else ())]
    return [CHECKPOINTS[name] for name in dict.fromkeys(asked)]


def missing_files(checkpoints: Iterable[Checkpoint], folder: Path) -> list[MissingFile]:
    """What is to be fetched so that all of them lie in a folder of weights; nothing is asked of any server.

    Raises:
        UserError: Something lies where DVC does not see it.
    """
    found: dict[tuple[str, Download], list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        checkpoint.located(folder)  # tells of linked folders
        for download in checkpoint.downloads:
            found.setdefault((checkpoint.home, download), []).append(checkpoint)
    everything = [MissingFile(download, tuple(needed), folder / home) for (home, download), needed in found.items()]
    return [file for file in everything if not _is_done(file)]


def _is_done(file: MissingFile) -> bool:
    if file.download.members:
        return all((file.home / checkpoint.file).exists() for checkpoint in file.checkpoints)
    return (file.home / file.download.path).exists() or _staged(file).exists()


def complete_folders(checkpoints: Iterable[Checkpoint], folder: Path) -> None:
    """Give each folder of files its name once it has all of them: it is there whole or not at all."""
    for checkpoint in checkpoints:
        place = folder / checkpoint.home / checkpoint.file
        unfinished = _unfinished(place)
        names = [Path(download.path).name for download in checkpoint.downloads]
        if checkpoint.is_folder and not place.exists() and all((unfinished / name).is_file() for name in names):
            _replace(unfinished, place)
        elif place.is_dir():
            # whoever had a part of it has the rest now
            with suppress(OSError):
                unfinished.rmdir()


def _unfinished(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part")


def _staged(file: MissingFile) -> Path:
    """Where a finished file goes: to its place, or beside it where a folder is not whole yet."""
    place = file.home / file.download.path
    if place.parent == file.home or place.parent.exists():
        return place
    return _unfinished(place.parent) / place.name


def looked_for(files: Iterable[MissingFile]) -> list[tuple[MissingFile, Offer | Fetched]]:
    """For each file the first route that has it, or what else is to be said of it; nothing is transferred yet."""
    found: list[tuple[MissingFile, Offer | Fetched]] = []
    # its client waits half a minute for each file before it gives up
    is_hub_there = True
    for file in files:
        problems = []
        for route in file.routes:
            try:
                if isinstance(route, HubRoute) and not is_hub_there:
                    raise _Unreachable("cannot be reached, as before")
                found.append((file, _offer(file, route)))
                break
            except RouteFailed as error:
                is_hub_there = is_hub_there and not isinstance(error, _Unreachable)
                problems.append(f"{route}: {error}")
            except _ByHand as error:
                found.append((file, Fetched("by hand", "; ".join([*problems, str(error)]))))
                break
        else:
            found.append((file, Fetched("failed", "; ".join(problems))))
    return found


def check_room_for(wanted: Iterable[tuple[MissingFile, Offer]]) -> None:
    """Look whether all of it fits on the disks it goes to.

    Raises:
        UserError: It does not.
    """
    missing: dict[Path, int] = {}
    for file, offer in wanted:
        missing[file.home.parent] = missing.get(file.home.parent, 0) + (offer.num_missing or 0)
    for folder, num_bytes in missing.items():
        check_room(folder, num_bytes)


def fetch(file: MissingFile, offer: Offer) -> Fetched:
    """Bring a file to its place, from the route that has it or else from those after it.

    Raises:
        UserError: The disk is full, or another process fetches the same file.
    """
    problems = []
    routes = file.routes
    with _only_one(file):
        if _is_done(file):
            return Fetched("fetched", "another process, meanwhile")
        for route in routes[routes.index(offer.route) :]:
            try:
                found = offer if route == offer.route else _offer(file, route)
                sha256 = _bring(file, found)
                return Fetched("fetched", str(route), sha256)
            except RouteFailed as error:
                problems.append(f"{route}: {error}")
            except _ByHand as error:
                return Fetched("by hand", "; ".join([*problems, str(error)]))
    return Fetched("failed", "; ".join(problems))


class _Unreachable(RouteFailed):
    """The hub does not answer at all."""


class _ByHand(Exception):
    """Only a person can get it; the message says how."""


def _offer(file: MissingFile, route: Route) -> Offer:
    address: Address | None = None
    cached: Path | None = None
    size_bytes = file.download.size_bytes
    match route:
        case HubRoute():
            address, cached = _hub_address(route, file.download)
        case WebRoute():
            address = _web_address(route, file.download)
        case DriveRoute():
            if not is_installed("drive"):
                raise RouteFailed(f"gdown, which fetches from there, is not installed: {install_command('drive')}")
        case StoreRoute():
            size_bytes = _expected_size(file.download, _stored(route).num_bytes)
        case ManualRoute():
            raise _ByHand(_by_hand(file, route))
    size_bytes = size_bytes or (address.size_bytes if address else None)
    part = _part_of(file)
    held = [*part.parent.glob(f"{part.name}*.part"), part] if part.parent.is_dir() else []
    num_here = sum(path.stat().st_size for path in held if path.is_file())
    return Offer(route, address, cached, size_bytes, num_here)


def _by_hand(file: MissingFile, route: ManualRoute) -> str:
    place = file.home / file.download.path
    return (
        f"only a person can get it: open {route.page}, follow {route.link}, save the file as {place.absolute()}, then "
        f"run `cmet weights verify {place}`"
    )


def _identity(download: Download, place: str) -> str:
    # the same bytes from every route: what one has begun, another may end
    return f"sha256 {download.sha256}" if download.sha256 else place


def _hub_address(route: HubRoute, download: Download) -> tuple[Address, Path | None]:
    """What the hub has, and where its client keeps it already.

    The client finds repository, commit and token, and honours HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and its cache. The
    bytes come through `transfer`: the client does not resume what a kill has interrupted.
    """
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import build_hf_headers
    from huggingface_hub.utils.logging import set_verbosity_error

    # what it warns of is told in the end, in one sentence
    set_verbosity_error()
    try:
        found = hf_hub_download(route.repo, route.file, repo_type=route.kind, revision=route.revision, dry_run=True)
    except GatedRepoError as error:
        raise RouteFailed(
            f"its owner asks for consent: agree on {_page(route)} and set HF_TOKEN to a token of yours"
        ) from error
    except RepositoryNotFoundError as error:
        raise RouteFailed(
            f"has no such repository, or a private one: {_page(route)}; for that, set HF_TOKEN"
        ) from error
    except LocalEntryNotFoundError as error:
        raise _Unreachable(f"cannot be reached ({_reason(error)})") from error
    except (RevisionNotFoundError, EntryNotFoundError) as error:
        raise RouteFailed(f"has no {route.file} at {route.revision or 'its newest state'}") from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise RouteFailed(f"gives no answer that can be used ({shown(str(error))})") from error
    size_bytes = _expected_size(download, found.file_size)
    address = Address(
        hf_hub_url(route.repo, route.file, repo_type=route.kind, revision=found.commit_hash),
        _identity(download, f"{route.kind} {route.repo} {route.file} {found.commit_hash}"),
        is_fixed=True,
        size_bytes=size_bytes,
        max_bytes=download.max_bytes,
        is_hub=True,
        headers=build_hf_headers(library_name="cmet", library_version=version("cmet")),
    )
    return address, Path(found.local_path) if found.is_cached else None


def _page(route: HubRoute) -> str:
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/{'spaces/' if route.kind == 'space' else ''}{route.repo}"


def _reason(error: BaseException) -> str:
    """Why the hub could not be reached: the first error of the chain, which the client wraps."""
    while error.__cause__ is not None:
        error = error.__cause__
    return shown(str(error), 160)


def _web_address(route: WebRoute, download: Download) -> Address:
    import requests

    try:
        answer = requests.head(route.url, headers={"Accept-Encoding": "identity"}, allow_redirects=True, timeout=HEAD_S)
    except requests.exceptions.RequestException as error:
        raise RouteFailed(f"cannot be reached ({shown(str(error), 160)})") from error
    if answer.status_code in (401, 403, 404, 410):
        raise RouteFailed(f"answers {answer.status_code} {answer.reason}")
    # other servers, and those that allow no HEAD, are asked for the file itself
    said = answer.headers.get("Content-Length", "") if answer.status_code == 200 else ""
    size_bytes = _expected_size(download, int(said) if said.isdecimal() else None)
    is_fixed = download.sha256 is not None
    identity = _identity(download, route.url)
    return Address(route.url, identity, is_fixed=is_fixed, size_bytes=size_bytes, max_bytes=download.max_bytes)


def _expected_size(download: Download, said: int | None) -> int | None:
    if None not in (download.size_bytes, said) and download.size_bytes != said:
        raise RouteFailed(f"has {said:,} bytes, but {download.size_bytes:,} are published: another file")
    if said is not None and said > download.max_bytes:
        raise RouteFailed(f"has {said:,} bytes, which is more than this file can have")
    return download.size_bytes or said


def _part_of(file: MissingFile) -> Path:
    place = file.home / file.download.path
    folder = file.home if place.parent == file.home else _unfinished(place.parent)
    return folder / f".{place.name}.part"


def _bring(file: MissingFile, offer: Offer) -> str:
    """Transfer, check and publish; the SHA-256 comes back.

    Raises:
        RouteFailed: As `transfer`, or the bytes are not those that were published.
        UserError: As `transfer`.
    """
    part = _part_of(file)
    part.parent.mkdir(parents=True, exist_ok=True)
    if offer.cached is not None:
        _copy(offer.cached, part)
        known = Part("")
    elif isinstance(offer.route, DriveRoute):
        from cmet.weights.drive import fetch_from_drive

        fetch_from_drive(offer.route, part, file.name, file.download.max_bytes)
        known = Part("")
    elif isinstance(offer.route, StoreRoute):
        _bring_from_store(offer.route, part)
        known = Part("")
    else:
        assert offer.address is not None
        known = transfer(offer.address, part, file.name)
    try:
        sha256 = _checked(file, part, known)
        if file.download.members:
            _publish_members(file, part)
        else:
            _publish(file, part, sha256)
    except RouteFailed:
        _discard(part)
        raise
    _discard(part)
    return sha256


def _stored(route: StoreRoute) -> StoredObject:
    try:
        return ObjectStore(route.address).look_at(route.name)
    except FileNotFoundError as error:
        raise RouteFailed("no such object") from error
    except UserError as error:
        raise RouteFailed(str(error)) from error


def _bring_from_store(route: StoreRoute, part: Path) -> None:
    stored = _stored(route)
    # what another route has begun is of no use here
    _discard(part)
    check_room(part.parent, stored.num_bytes)
    try:
        ObjectStore(route.address).bring(stored, part)
    except ClipError as error:
        raise RouteFailed(f"changed while it was fetched ({error.message})") from error
    except UserError as error:
        raise RouteFailed(str(error)) from error
    except OSError as error:
        said = no_room_said(error)
        if said is None:
            raise
        raise full_disk(part, said) from error


def _copy(cached: Path, part: Path) -> None:
    check_room(part.parent, cached.stat().st_size)
    shutil.copyfile(cached, part)


def _checked(file: MissingFile, part: Path, known: Part) -> str:
    """SHA-256 of a file that is what it should be."""
    download = file.download
    sha256 = digest_of(part, "sha256")
    size_bytes = part.stat().st_size
    if download.size_bytes not in (None, size_bytes):
        raise RouteFailed(f"gave {size_bytes:,} bytes, but {download.size_bytes:,} are published: another file")
    expected = [(kind, getattr(download, kind), "published") for kind in ("sha256", "git_sha1")]
    if known.digest:
        expected.append((DIGESTS[len(known.digest)], known.digest, "stated by the hub"))
    for kind, wanted, by in expected:
        found = sha256 if kind == "sha256" else digest_of(part, kind) if wanted else None
        if wanted is not None and found != wanted:
            raise RouteFailed(f"gave other bytes than those {by}: {kind} {found}, expected {wanted}; they were deleted")
    if not (download.sha256 or download.is_text or download.members):
        (checkpoint,) = file.checkpoints
        found_weights = identify(part, checkpoint.name)
        if not found_weights.loads:
            raise RouteFailed(f"gave something else: {found_weights.sentence}; it was deleted")
    return sha256


def _publish(file: MissingFile, part: Path, sha256: str) -> None:
    place = _staged(file)
    if not (file.download.sha256 or file.download.is_text):
        _record(place, sha256)
    _replace(part, place)


def _publish_members(file: MissingFile, part: Path) -> None:
    """All files of an archive, once each of them is the network that it should be."""
    unpacked = unpack(part, dict(file.download.members))
    try:
        for checkpoint in CHECKPOINTS.values():
            if file.download in checkpoint.downloads:
                if checkpoint.file not in unpacked:
                    raise RouteFailed(f"gave an archive without {checkpoint.file}; it was deleted")
                found = identify(unpacked[checkpoint.file], checkpoint.name)
                if not found.loads:
                    raise RouteFailed(f"gave another {checkpoint.file}: {found.sentence}; it was deleted")
        for name, path in unpacked.items():
            _record(file.home / name, digest_of(path, "sha256"))
            _replace(path, file.home / name)
    finally:
        for path in unpacked.values():
            path.unlink(missing_ok=True)


def _record(place: Path, sha256: str) -> None:
    """Keep what nobody publishes, in the form that `sha256sum --check` reads."""
    record = place.with_name(f"{place.name}.sha256")
    unfinished = record.with_name(f".{record.name}.part")
    unfinished.write_text(f"{sha256}  {place.name}\n", encoding="utf-8")
    _replace(unfinished, record)


def _replace(path: Path, place: Path) -> None:
    """Rename, so that it lasts a power failure."""
    path.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _discard(part: Path) -> None:
    for path in (part, state_file(part)):
        path.unlink(missing_ok=True)


@contextmanager
def _only_one(file: MissingFile) -> Iterator[None]:
    """A block in which no other process fetches the same file.

    Raises:
        UserError: One does.
    """
    from filelock import FileLock, Timeout

    file.home.mkdir(parents=True, exist_ok=True)
    path = file.home / f".{Path(file.download.path).name}.lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{file.name}: another process fetches it right now; wait for it, or stop it") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()
