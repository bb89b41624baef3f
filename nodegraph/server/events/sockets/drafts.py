"""Drafts over a websocket: the requests, and what one client has open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, StringConstraints

from nodegraph.server.access.authentication import RateLimiter
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.drafts.patches import LARGEST_PATCH
from nodegraph.server.content.drafts.rooms import (
    DraftMember,
    DraftRates,
    DraftRooms,
    DraftSource,
)
from nodegraph.server.content.drafts.store import LARGEST_DRAFT
from nodegraph.server.events.sockets.codec import IdentifiedRequest
from nodegraph.server.http.dependencies import require_scope
from nodegraph.server.http.errors import NotFound, TooManyRequests, Unavailable, Unprocessable

T = TypeVar("T")
_MOST_WAITING = 2_000
"""Messages for a client that reads slowly; with more, it must join again."""
_MOST_OPEN = 64
_LONGEST_KEY = 1_000
_JOINS_PER_SECOND, _JOIN_BURST = 4.0, 160
"""Joining sends the whole draft; a window with many tabs joins all of them at once."""
_FARTHEST = 1e7

Key = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_KEY)]
ShortId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, StringConstraints(max_length=_LONGEST_KEY)]
Coordinate = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST, allow_inf_nan=False)]
Position = Annotated[tuple[Coordinate, Coordinate], Field(strict=False)]


class JoinDraft(IdentifiedRequest):
    """Open the draft of a saved workflow, or of a document that was never saved.

    Attributes:
        name: Of the saved workflow.
        document: The client's own id of a document, if it has no name.
        text: The workflow file that a document begins with; without it, it must be there.
        sent: Id of a patch that was sent on another connection, and not confirmed.
        since: The revision that the window knows, to hear which nodes have other names now.
        page: What the ids of patches begin with that the window sent before it was loaded anew, to
            hear whether some came after `since`.
        reset: Drop what isn't saved.
    """

    type: Literal["draft.join"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_KEY)] | None = None
    document: ShortId | None = None
    text: Annotated[str, StringConstraints(max_length=LARGEST_DRAFT)] | None = None
    sent: ShortId | None = None
    since: Annotated[int, Field(ge=0, le=1 << 53)] | None = None
    page: ShortId | None = None
    reset: bool = False


class LeaveDraft(IdentifiedRequest):
    """Close a draft."""

    type: Literal["draft.leave"]
    draft: Key


class PatchDraft(IdentifiedRequest):
    """Change a draft.

    Attributes:
        patch: Its id: sent again, it is not applied again.
        operations: The patch, a JSON text.
        base: The revision that the window knew when it made the patch.
    """

    type: Literal["draft.patch"]
    draft: Key
    patch: ShortId
    operations: Annotated[str, StringConstraints(max_length=LARGEST_PATCH)]
    base: Annotated[int, Field(ge=0, le=1 << 53)] | None = None


class ShowInDraft(IdentifiedRequest):
    """Tell the other windows what is selected in this one.

    Attributes:
        path: The blocks entered, outermost first.
    """

    type: Literal["draft.show"]
    draft: Key
    path: Annotated[tuple[Text, ...], Field(max_length=32, strict=False)] = ()
    selection: Annotated[tuple[Text, ...], Field(max_length=200, strict=False)] = ()


class PointInDraft(IdentifiedRequest):
    """Tell the other windows where the pointer is, and what is dragged: of the moment.

    Attributes:
        path: The blocks entered, outermost first.
        cursor: Position on the canvas; None if the pointer isn't there.
        moves: Positions of what is dragged, by its id; empty after the drop.
    """

    type: Literal["draft.point"]
    draft: Key
    path: Annotated[tuple[Text, ...], Field(max_length=32, strict=False)] = ()
    cursor: Position | None = None
    moves: Annotated[dict[Text, Position], Field(max_length=200, default_factory=dict)]


class SaveDraft(IdentifiedRequest):
    """Save the draft of a saved workflow as its next version.

    Attributes:
        over: Replace a version that came from outside.
    """

    type: Literal["draft.save"]
    draft: Key
    over: bool = False


class ListDrafts(IdentifiedRequest):
    """List the caller's drafts of documents that were never saved."""

    type: Literal["draft.list"]


class DeleteDraft(IdentifiedRequest):
    """Delete the draft of a document that was never saved.

    Attributes:
        name: What the document was saved as, which the other windows go on with.
    """

    type: Literal["draft.delete"]
    document: ShortId
    name: Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_KEY)] | None = None


DraftRequest = (
    JoinDraft
    | LeaveDraft
    | PatchDraft
    | ShowInDraft
    | PointInDraft
    | SaveDraft
    | ListDrafts
    | DeleteDraft
)


class OpenDrafts:
    """The drafts that one client has open, and the messages about them in order.

    Args:
        rooms: All drafts; None where there are none.
        send: Sends a message to the client.
        begin: Starts a task of the connection.
    """

    def __init__(
        self,
        rooms: DraftRooms | None,
        caller: Caller,
        send: Callable[[Mapping[str, Any]], Coroutine[Any, Any, None]],
        begin: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._rooms = rooms
        self._caller = caller
        self._send = send
        self._begin = begin
        self._members: dict[str, DraftMember] = {}
        self._sources: dict[str, DraftSource] = {}
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._is_sending = False
        # Of the connection: who leaves and joins again begins with no more.
        self._rates = DraftRates()
        self._joins = RateLimiter(_JOINS_PER_SECOND, _JOIN_BURST)

    async def result(self, request: DraftRequest) -> Mapping[str, Any]:
        """What comes of a request.

        Raises:
            NodegraphError: Why nothing does.
        """
        rooms = self._rooms
        if rooms is None:
            raise Unavailable(
                "this server keeps no drafts", hint="Servers that share a queue keep none."
            )
        if isinstance(request, JoinDraft):
            return await self._join(rooms, request)
        if isinstance(request, ListDrafts):
            entries = await rooms.of_client(self._caller.name)
            return {
                "items": [
                    {"document": each.document, "title": each.title, "changed": each.changed}
                    for each in entries
                ]
            }
        if isinstance(request, DeleteDraft):
            caller = require_scope(self._caller, "run")
            source = DraftSource.own(caller.name, request.document)
            await _whole(rooms.delete(source.key, request.name))
            return {}
        key, member = request.draft, self._member(request.draft)
        if isinstance(request, LeaveDraft):
            self._forget(rooms, key)
            return {}
        require_scope(self._caller, "run")
        if isinstance(request, ShowInDraft):
            rooms.show(key, member, request.path, request.selection)
            return {}
        if isinstance(request, PointInDraft):
            shown = {"path": request.path, "cursor": request.cursor, "moves": request.moves}
            rooms.show_live(key, member, shown)
            return {}
        if isinstance(request, PatchDraft):
            patched = rooms.patch(key, member, request.patch, request.operations, base=request.base)
            return {"revision": await _whole(patched)}
        name = self._sources[key].name
        if name is None:
            raise Unprocessable(
                "this document was never saved", hint="Save it under a name by `PUT /workflows`."
            )
        return await _whole(rooms.save(name, key, member, over=request.over))

    async def _join(self, rooms: DraftRooms, request: JoinDraft) -> Mapping[str, Any]:
        caller = self._caller
        if wait := self._joins.acquire(""):
            raise TooManyRequests("drafts are joined too often", seconds=wait)
        if (request.name is None) is (request.document is None):
            raise Unprocessable(
                "which draft is wanted isn't clear", expected="either `name` or `document`"
            )
        if request.name is None:
            assert request.document is not None
            if request.text is not None:
                require_scope(caller, "run")
            source = DraftSource.own(caller.name, request.document, request.text)
        else:
            if request.reset:
                require_scope(caller, "run")
            source = DraftSource.saved(request.name, reset=request.reset)
        if source.key in self._members:
            self._forget(rooms, source.key)
        if len(self._members) >= _MOST_OPEN:
            raise Unprocessable("too many drafts are open", expected=f"at most {_MOST_OPEN}")
        member = DraftMember(caller.name, caller.may("run"), self._put, rates=self._rates)
        self._members[source.key], self._sources[source.key] = member, source
        try:
            return await _whole(
                rooms.join(source, member, request.sent, request.since, request.page)
            )
        except BaseException:
            if self._members.get(source.key) is member:
                self._forget(rooms, source.key)
            raise

    def close(self) -> None:
        """Leave all."""
        if self._rooms is not None:
            for key in list(self._members):
                self._forget(self._rooms, key)

    def _forget(self, rooms: DraftRooms, key: str) -> None:
        rooms.leave(key, self._members.pop(key))
        self._sources.pop(key, None)

    def _member(self, key: str) -> DraftMember:
        member = self._members.get(key)
        if member is None:
            raise NotFound(
                "this window has not joined the draft", given=ascii(key)[:200], hint="Join first."
            )
        return member

    def _put(self, message: Mapping[str, Any]) -> None:
        if message["event"] in _OF_THE_MOMENT and self._waiting:
            # Only the last one counts. So they never drive out patches either.
            self._waiting = deque(each for each in self._waiting if not _replaces(message, each))
        if len(self._waiting) >= _MOST_WAITING:
            keys = {str(each["draft"]) for each in self._waiting} | {str(message["draft"])}
            self._waiting.clear()
            self._waiting.extend({"draft": key, "event": "behind"} for key in sorted(keys))
        else:
            self._waiting.append(message)
        if not self._is_sending:
            self._is_sending = True
            self._begin(self._send_waiting())

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                await self._send({"type": "draft", **self._waiting.popleft()})
        finally:
            self._is_sending = False


_OF_THE_MOMENT = frozenset({"live", "members"})


def _replaces(message: Mapping[str, Any], older: Mapping[str, Any]) -> bool:
    return all(message.get(key) == older.get(key) for key in ("draft", "event", "member"))


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Finish what changes a draft even if the connection ends meanwhile.

    Half of it would leave the file and the memory of the server with different drafts.
    """
    task: Awaitable[T] = asyncio.shield(asyncio.ensure_future(work))
    return await task
