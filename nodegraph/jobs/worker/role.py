"""What a worker process is for; there are two kinds."""

from __future__ import annotations

from typing import Protocol

from nodegraph.jobs.supervisor.message import Message


class Role(Protocol):
    """The work of a process, on the event loop of its main thread."""

    @property
    def job(self) -> str | None:
        """Id of the job that it has."""

    def told(self, message: Message) -> None:
        """The server says something; in the listening thread."""

    def end(self, reason: str) -> None:
        """Come to an end soon, and lose nothing; from any thread."""

    async def serve(self) -> None:
        """Work until it has come to an end."""
