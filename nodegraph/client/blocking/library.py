# Made from ../asynchronous/library.py by docs/generate_blocking_client.py: don't edit.
"""The library of results: stars, tags, notes, boards, the trash, grids and frames of videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.client.answers import count, page, parse_answer, raw
from nodegraph.client.blocking.transport import ClientPart
from nodegraph.client.request_fields import AnyResults, GridFields, LibraryChange, digests_of
from nodegraph.client.requests import PLAN_SECONDS, Request, json_request, url_path
from nodegraph.client.shapes import Board, OutputFile, TagCount, Upload

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LIBRARY, _BOARDS, _TRASH = "/library", "/library/boards", "/library/trash"
_AT_ONCE = 1_000


class Library(ClientPart):
    """What people note about results. Results are given as output files or by their digests.

    Lists of files have it, too: see `artifacts` and `Artifact`.
    """

    def change(self, results: AnyResults, **change: Unpack[LibraryChange]) -> int:
        """Change what is noted about results. Up to 1,000 are changed together, or not at all.

        Args:
            change: See `LibraryChange`. Omitted fields stay unchanged.
        Returns:
            Number of results that differ now.
        Raises:
            NotFound: There is no such result, or no such board.
        """
        return self._post("PATCH", _LIBRARY, "changed", results, dict(change))

    def trash(self, results: AnyResults) -> int:
        """Put results into the trash, where they stay for 30 days unless the server says otherwise.

        Returns:
            Number of results that were not there.
        """
        return self._post("POST", _TRASH, "trashed", results, {})

    def restore(self, results: AnyResults) -> int:
        """Take results out of the trash, with all that was noted.

        Returns:
            Number of results that were there.
        """
        return self._post("POST", f"{_LIBRARY}/restore", "restored", results, {})

    def empty_trash(self) -> int:
        """Delete all results in the trash for good, with their files. Return their number."""
        request = Request("DELETE", _TRASH, extra_seconds=PLAN_SECONDS, is_repeatable=False)
        return count("deleted", self._channel.send(request))

    def _post(
        self, method: str, path: str, name: str, results: AnyResults, fields: dict[str, object]
    ) -> int:
        digests, changed = digests_of(results), 0
        for start in range(0, len(digests), _AT_ONCE):
            body = {"digests": digests[start : start + _AT_ONCE], **fields}
            # Sent again, it would say that nothing changed.
            request = json_request(method, path, body, seconds=PLAN_SECONDS, is_repeatable=False)
            changed += count(name, self._channel.send(request))
        return changed

    def tags(self) -> tuple[TagCount, ...]:
        """Return all tags in alphabetical order, each with the number of its results."""
        return page(TagCount, self._channel.send(Request("GET", f"{_LIBRARY}/tags"))).items

    def boards(self) -> tuple[Board, ...]:
        """Return all boards in alphabetical order."""
        return page(Board, self._channel.send(Request("GET", _BOARDS))).items

    def add_board(self, name: str) -> Board:
        """Make an empty board.

        Raises:
            Conflict: There is a board of this name.
        """
        request = json_request("POST", _BOARDS, {"name": name}, is_repeatable=False)
        return parse_answer(Board, self._channel.send(request))

    def rename_board(self, board: Board | str, name: str) -> Board:
        """Give a board another name.

        Args:
            board: The board, or its id.
        """
        request = json_request("PATCH", _BOARDS + url_path(_id(board)), {"name": name})
        return parse_answer(Board, self._channel.send(request))

    def delete_board(self, board: Board | str) -> None:
        """Delete a board. The results on it stay.

        Args:
            board: The board, or its id.
        """
        path = _BOARDS + url_path(_id(board))
        self._channel.send(Request("DELETE", path, already_done_status=404))

    def grid(
        self, rows: Sequence[Sequence[OutputFile | str | None]], **fields: Unpack[GridFields]
    ) -> bytes:
        """Return the bytes of one labeled image of several results.

        Args:
            rows: Output files or digests, row by row; None for an empty cell.
            fields: See `GridFields`.
        """
        cells = [[None if each is None else _digest(each) for each in row] for row in rows]
        body = {"rows": cells, **fields}
        request = json_request("POST", "/artifacts/grid", body, seconds=PLAN_SECONDS)
        return raw(self._channel.send(request), "image/")

    def frame(
        self, video: OutputFile | str, *, time: float | None = None, index: int | None = None
    ) -> Upload:
        """Copy a frame of a video to the uploads, for inputs of workflows.

        Args:
            video: The output file, or its digest.
            time: Seconds from the beginning.
            index: Number of the frame, from 0, instead of a time.
        Raises:
            NotFound: There is no such file.
            InvalidFile: It is no video, or has no such frame.
        """
        body = {"time": time} if index is None else {"index": index}
        path = f"/artifacts{url_path(_digest(video), 'frame')}"
        request = json_request("POST", path, body, seconds=PLAN_SECONDS)
        return parse_answer(Upload, self._channel.send(request))


def _digest(file: OutputFile | str) -> str:
    return file if isinstance(file, str) else file.digest


def _id(board: Board | str) -> str:
    return board if isinstance(board, str) else board.id
