"""What PostgreSQL raises, in words."""

from __future__ import annotations

import psycopg
from psycopg import errors

from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError, OutputError
from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.postgres.address import PostgresAddress

_BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)
_FULL = (errors.DiskFull, errors.OutOfMemory)
_REFUSED = (errors.InsufficientPrivilege, errors.InvalidAuthorizationSpecification)


def is_lost(error: Exception) -> bool:
    """Whether the connection is, or there never was one."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    # What a server says itself has a code; of these, 08… and 57P… are of its going away.
    code = getattr(error, "sqlstate", None) or "08"
    return isinstance(error, psycopg.OperationalError) and code.startswith(("08", "57P"))


def explained(address: PostgresAddress, error: Exception) -> NodegraphError:
    """A fault, in words; none of them has the password."""
    message = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, errors.DataError):
        return InvalidValue(f"the job queue {address} can't keep this: {message}")
    if isinstance(error, _BUSY):
        return OutputError(
            f"can't write the job queue {address}: it is locked by another server: {message}",
            hint="It is tried again; a server that hangs is cut off after a while.",
        )
    if isinstance(error, _FULL):
        return OutputError(
            f"can't write the job queue {address}: {message}",
            hint="Free some space on the database's disk; nothing was half written.",
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return OutputError(
            f"can't write the job queue {address}: {message}",
            hint="It may be a standby: name the server that takes changes.",
        )
    if isinstance(error, _REFUSED):
        return OutputError(
            f"the job queue {address} may not be used: {message}",
            hint="Its user needs the right to connect and, the first time, to create a schema: "
            "GRANT CREATE ON DATABASE … TO ….",
        )
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return QueueUnreachable(str(address), message)
    return InvalidFile(
        f"the job queue {address} is damaged: {message}",
        hint="Restore a backup of the database if there is one.",
    )
