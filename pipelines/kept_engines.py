"""Dagster's storage in SQLite, the same files with the same content, asked with less work.

Dagster makes an engine of SQLAlchemy for every connection, and so compiles every statement anew: a third of what its
server does for the page of an asset. Here an engine stays. Connections do not, as in Dagster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
    _event_logs_directory,
    _runs_directory,
    _schedule_directory,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, NullPool, create_engine


@lru_cache(maxsize=32)
def kept_engine(address: str) -> Engine:
    """The engine of a database; each run has one of its own, so that only the last ones stay."""
    return create_engine(address, poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})


class KeptRuns(SqliteRunStorage):
    """Which runs there are."""

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction."""
        with kept_engine(self._conn_string).begin() as connection:
            yield connection


class KeptSchedules(SqliteScheduleStorage):
    """What sensors have done."""

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction."""
        with kept_engine(self._conn_string).begin() as connection:
            yield connection


class KeptEvents(SqliteEventLogStorage):
    """What has happened in runs, and to assets."""

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = kept_engine(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection


class KeptStorage(DagsterSqliteStorage):
    """All three, as dagster.yaml names them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """The storage below a folder."""
        # instead of what the class above opens, which reads the scripts of three migrations
        super(DagsterSqliteStorage, self).__init__()
        self.base_dir, self._inst_data = base_dir, inst_data
        self._run_storage = KeptRuns.from_local(_runs_directory(base_dir))
        self._event_log_storage = KeptEvents(_event_logs_directory(base_dir))
        self._schedule_storage = KeptSchedules.from_local(_schedule_directory(base_dir))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """The storage that dagster.yaml describes."""
        return cls.from_local(inst_data=inst_data, **config_value)
