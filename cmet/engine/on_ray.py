"""A map over clips on a Ray cluster: one actor on each node, with that machine's worker processes inside.

Ray has no time limit for tasks and does not end one that hangs; time limits, crashes and quarantine of a map are in its
pool of processes. So a node gets a pool, and here it is only said who does what. A node gets a few clips more than it
has workers; what a lost node had is given to others. Nothing but jobs and records goes through Ray.
"""

import math
import os
import pickle
import secrets
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmet.engine.attempts import Attempt, Ended
from cmet.engine.head import LostCluster, RayNode, connected_head
from cmet.engine.local import Order
from cmet.engine.node import NodeAnswer, NodeFacts, NodeWorkers, Task, misfit
from cmet.engine.pool import LOOK_S, MAX_LOST, LostAttempt
from cmet.environment import NUM_WORKERS_ON_GPU, count_workers, known_versions
from cmet.errors import UserError
from cmet.launching import ENDING
from cmet.progress import said_beside

ADDRESS = "RAY_ADDRESS"
"""Environment variable that names a cluster, or is `OWN`."""

OWN = "local"
"""A Ray of one node, for this process."""

ROLL_CALL_S = 2.0
"""How often it is asked which nodes there are."""

PATIENCE_S = 30.0
"""How long nodes are waited for: those that are there to answer, and others where none is left."""

CONNECT_S = 5.0
"""How long a cluster is waited for."""

OBJECT_STORE_BYTES = 100 << 20
"""Of a Ray of our own; only small records go through it."""

AHEAD_S = 0.5
"""A node that tells of finished clips more often than this gets more than one ahead."""

CALLS_AT_ONCE = 2
"""Calls that an actor has at a time, so that it does not wait for the next one."""


@dataclass
class _Seat:
    """A node as seen from here."""

    name: str
    actor: Any
    is_late: bool
    """Whether it joined when the map was running."""
    is_ready: bool = False
    num_workers: int = 0
    num_ahead: int = 1
    """Clips that it should have besides those at work, so that none of its workers waits for an answer."""
    told_s: float = -math.inf
    """When it last told of clips that have ended."""
    leased: dict[str, Attempt] = field(default_factory=dict)
    """Attempts by their names."""
    num_calls: int = 0

    def take(self, ended: Sequence[Ended]) -> None:
        """Note which clips have ended; where they are short it needs more at a time."""
        for one in ended:
            self.leased.pop(one.attempt.name, None)
        if ended:
            now = time.monotonic()
            is_fast = now - self.told_s < AHEAD_S
            self.num_ahead, self.told_s = 1 + is_fast * CALLS_AT_ONCE * len(ended), now


@contextmanager
def ray_hands(order: Order) -> Iterator["RayHands"]:
    """The processes of a cluster, which end with the block.

    Raises:
        UserError: There is no cluster, or it is of no use.
    """
    connect(os.environ[ADDRESS])
    hands = RayHands(order)
    try:
        yield hands
    finally:
        hands.close()


class RayHands:
    """The nodes of the cluster that this process is connected with."""

    def __init__(self, order: Order) -> None:
        """Ask the nodes that there are."""
        import ray

        self._ray = ray
        self._head = connected_head()
        # a node that is lost gets a new actor from here, where it is known what it had
        self._actor = ray.remote(max_restarts=0, max_task_retries=0)(NodeWorkers)
        self._order = order
        self._function = pickle.dumps(order.function)
        self._versions = known_versions()
        self._token = secrets.token_hex(8)
        # what a disk of a network has seen lately may be out of date, so the name is new
        self._marker = order.desk.unfinished.absolute() / f".marker-{self._token}"
        self._marker.write_text(self._token, encoding="utf-8")
        self._seats: dict[str, _Seat] = {}
        self._calls: dict[Any, str] = {}
        """Node of each call that has not been answered."""
        self._waiting: deque[Attempt] = deque()
        self._suspects: deque[Attempt] = deque()
        """Lost twice: each is alone on its node, so that no other is blamed for the third time."""
        self._unfit: set[str] = set()
        self._num_failures: dict[str, int] = {}
        """Losses of a node's workers since it has done something."""
        self._begun_s = self._called_s = self._served_s = time.monotonic()
        self._look_around(is_late=False)

    def give(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts on; those after a loss come first."""
        for attempt in attempts:
            if attempt.num_lost == MAX_LOST - 1:
                self._suspects.append(attempt)
            elif attempt.num_lost:
                self._waiting.appendleft(attempt)
            else:
                self._waiting.append(attempt)

    def ended(self) -> list[Ended]:
        """What has ended, in the order in which it did, after at most a moment's wait.

        Raises:
            UserError: No node is left, or one is of no use.
        """
        ended: list[Ended] = []
        if time.monotonic() - self._called_s >= ROLL_CALL_S:
            self._called_s = time.monotonic()
            ended += self._look_around(is_late=True)
        self._check_any_left()
        if self._is_roll_called():
            self._lease()
        if not self._calls:
            time.sleep(LOOK_S)
            return ended
        answered, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=LOOK_S)
        for call in answered:
            ended += self._answered(call)
        return ended

    def close(self) -> None:
        """End the workers on all nodes."""
        self._marker.unlink(missing_ok=True)
        closing = {seat.actor.close.remote(): seat for seat in self._seats.values() if seat.is_ready}
        if closing:
            closed, _ = self._ray.wait(list(closing), num_returns=len(closing), timeout=CONNECT_S)
            for call in closed:
                with suppress(self._ray.exceptions.RayError):  # lost meanwhile
                    _say(closing[call].name, self._ray.get(call))
        for seat in self._seats.values():
            self._ray.kill(seat.actor)
        self._seats.clear()

    def _look_around(self, is_late: bool) -> list[Ended]:
        """Take on nodes that are new, and forget those that have left, with what they had."""
        try:
            alive = self._head.nodes()
        except LostCluster as error:
            raise self._ended_early(str(error)) from error
        if alive is None:
            return []
        lost = [ended for node_id in self._seats.keys() - alive.keys() for ended in self._lost(node_id)]
        for node_id in alive.keys() - self._seats.keys() - self._unfit:
            if alive[node_id].num_cores:
                self._take_on(alive[node_id], is_late)
        return lost

    def _take_on(self, node: RayNode, is_late: bool) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        order = self._order
        gpus = node.num_gpus if order.uses_networks else 0
        num_workers = order.num_workers or (NUM_WORKERS_ON_GPU * gpus or node.num_cores)
        task = Task(
            name=node.name,
            project=Path.cwd(),
            done=order.desk.done,
            spare=order.desk.spare,
            marker=self._marker,
            function=self._function,
            num_workers=num_workers,
            time_limit_s=order.time_limit_s,
        )
        actor = self._actor.options(
            num_cpus=min(node.num_cores, num_workers),
            num_gpus=gpus,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False),
        ).remote(task)
        seat = _Seat(node.name, actor, is_late, num_workers=num_workers)
        self._seats[node.node_id] = seat
        self._call(node.node_id, seat.actor.facts.remote())

    def _call(self, node_id: str, call: Any) -> None:
        self._calls[call] = node_id
        self._seats[node_id].num_calls += 1

    def _is_roll_called(self) -> bool:
        """Whether all nodes that were there at the beginning have answered, or were waited for long enough."""
        awaited = [seat.name for seat in self._seats.values() if not seat.is_ready and not seat.is_late]
        if awaited and time.monotonic() - self._begun_s < PATIENCE_S:
            return False
        for seat in self._seats.values():
            if not seat.is_ready and not seat.is_late:
                seat.is_late = True
                _say(self._order.label, f"{seat.name} has not answered yet, perhaps its cores are taken\n")
        return True

    def _check_any_left(self) -> None:
        if self._seats:
            self._served_s = time.monotonic()
        elif time.monotonic() - self._served_s > PATIENCE_S:
            raise self._ended_early("no node of the Ray cluster is left to work on")

    def _ended_early(self, why: str) -> UserError:
        return UserError(
            f"{self._order.label}: {why}; finished clips are kept in {self._order.desk.done.parent}: run the stage "
            "again to continue"
        )

    def _lease(self) -> None:
        """Give clips to nodes that have too few."""
        given: dict[str, list[Attempt]] = {node_id: [] for node_id, seat in self._seats.items() if seat.is_ready}
        open_to_all = []
        num_suspects = len(self._suspects)
        for node_id in sorted(given, key=lambda node_id: len(self._seats[node_id].leased)):
            seat = self._seats[node_id]
            if any(attempt.num_lost == MAX_LOST - 1 for attempt in seat.leased.values()):
                continue
            if num_suspects:
                # nothing else, until it has nothing at hand
                num_suspects -= 1
                if not seat.leased:
                    given[node_id] = [self._suspects.popleft()]
            else:
                open_to_all.append(node_id)
        # to all for their workers, and only then ahead
        for is_ahead in (False, True):
            for node_id in open_to_all:
                seat = self._seats[node_id]
                wanted = seat.num_workers + is_ahead * seat.num_ahead - len(seat.leased) - len(given[node_id])
                given[node_id] += [self._waiting.popleft() for _ in range(min(len(self._waiting), max(0, wanted)))]
        for node_id, attempts in given.items():
            seat = self._seats[node_id]
            seat.leased |= {attempt.name: attempt for attempt in attempts}
            if attempts or (seat.leased and seat.num_calls < CALLS_AT_ONCE):
                self._call(node_id, seat.actor.exchange.remote(attempts))

    def _answered(self, call: Any) -> list[Ended]:
        node_id = self._calls.pop(call)
        seat = self._seats[node_id]
        seat.num_calls -= 1
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            if not seat.is_ready and "creation task" in str(error):
                raise UserError(f"{self._order.label}: {seat.name} cannot begin: {_reason(error)}") from error
            is_full = isinstance(error, self._ray.exceptions.OutOfMemoryError)
            return self._lost(node_id, " (Ray has ended it, since its machine is short of memory)" if is_full else "")
        if isinstance(answer, NodeFacts):
            self._judge(node_id, answer)
            return []
        assert isinstance(answer, NodeAnswer)
        _say(seat.name, answer.said)
        seat.take(answer.ended)
        if answer.ended:
            self._num_failures.pop(node_id, None)
        if answer.failure is not None:
            raise self._ended_early(f"{seat.name}: worker processes die before their first clip") from answer.failure
        return list(answer.ended)

    def _judge(self, node_id: str, facts: NodeFacts) -> None:
        """Let a node work, or not."""
        seat = self._seats[node_id]
        reason = misfit(seat.name, facts, self._versions, self._marker, self._token)
        if reason is None:
            seat.is_ready = True
        elif seat.is_late:
            _say(self._order.label, f"{reason} (it is left out)\n")
            self._unfit.add(node_id)
            self._forget(node_id)
        else:
            raise UserError(f"{self._order.label}: {reason}")

    def _lost(self, node_id: str, why: str = "") -> list[Ended]:
        """What a node had whose actor is gone; a node that is still there gets a new one."""
        seat = self._seats[node_id]
        self._num_failures[node_id] = self._num_failures.get(node_id, 0) + 1
        if self._num_failures[node_id] == MAX_LOST:
            self._unfit.add(node_id)
        _say(self._order.label, f"{seat.name} was lost{why}, with {len(seat.leased)} clips that are done again\n")
        lost = [Ended(attempt, error=LostAttempt()) for attempt in seat.leased.values()]
        self._forget(node_id)
        return lost

    def _forget(self, node_id: str) -> None:
        seat = self._seats.pop(node_id)
        self._ray.kill(seat.actor)
        self._calls = {call: node for call, node in self._calls.items() if node != node_id}


def connect(address: str) -> None:
    """Connect this process with a cluster, once for all maps.

    Raises:
        UserError: Ray is not installed, or no cluster is there.
    """
    # before it is imported
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    excepthook = sys.excepthook
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError(
            f"{ADDRESS} is set, but Ray is not installed: pip install 'cmet[ray]', or unset {ADDRESS} to work on this "
            "machine alone"
        ) from error
    # Ray's own would wait for a head that is gone
    sys.excepthook = excepthook
    if ray.is_initialized():
        return
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    if address == OWN:
        settings |= {
            "num_cpus": count_workers(), "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES,
        }  # fmt: skip
    check_cluster_address(address)
    handlers = {number: signal.getsignal(number) for number in ENDING}
    try:
        ray.init(**settings)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(f"{ADDRESS} is {address}: {_refusal(error)}") from error
    finally:
        # Ray has set its own
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def check_cluster_address(address: str) -> None:
    """See whether anybody is at an address for RAY_ADDRESS: Ray itself would wait for a minute.

    Raises:
        UserError: Nobody is, or it is of another kind.
    """
    if address.startswith("ray://"):
        raise UserError(
            f"{ADDRESS} is {address}, an address of Ray Client; run the command on a node of the cluster, with "
            f"{ADDRESS}=HOST:6379"
        )
    if address in (OWN, "auto"):
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"{ADDRESS} is {address}, and no Ray cluster is there ({error}); `ray start --head` prints the address of "
            f"one, and {ADDRESS}={OWN} starts one for the run"
        ) from error


def _refusal(error: BaseException) -> str:
    """Why Ray did not let this process in."""
    one: BaseException | None = error
    while one is not None:
        if "AuthToken" in str(one):
            return (
                "the cluster asks for its token; set RAY_AUTH_MODE=token, and bring the token to ~/.ray/auth_token or "
                "name its file in RAY_AUTH_TOKEN_PATH"
            )
        one = one.__cause__ or one.__context__
    return f"{_reason(error)}; does Ray run on this machine, too?"


def _reason(error: BaseException) -> str:
    """The last line of what Ray has to say, which is the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _say(where: str, said: str) -> None:
    """Show lines beside the progress."""
    for line in said.splitlines():
        said_beside(f"{where}: {line}")
