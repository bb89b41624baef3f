"""Forms of several parts (multipart/form-data), read while they arrive; nothing is gathered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from nodegraph.server.http.errors import Refused, TooLarge

FORM = "multipart/form-data"
_MOST_PARTS = 1000


class BadForm(Refused):
    """A form that can't be read."""

    code = "bad-form"


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part of a form begins; its bytes follow.

    Attributes:
        name: Of the field.
        filename: As the client gives it, any text; None if the part is no file.
        media_type: Likewise; empty if it gives none.
    """

    name: str
    filename: str | None
    media_type: str


@dataclass(frozen=True, slots=True)
class PartEnds:
    """All bytes of a part have come."""


FormEvent: TypeAlias = PartBegins | bytes | PartEnds


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form of several parts."""
    return content_type.partition(";")[0].strip().lower() == FORM


async def form_events(
    chunks: AsyncIterator[bytes], content_type: str, *, parts: int = _MOST_PARTS
) -> AsyncIterator[FormEvent]:
    """What a form consists of, in order.

    Args:
        content_type: The header, which tells what parts the parts.
        parts: That there may be.
    Raises:
        BadForm: It can't be read, or ends too early.
        TooLarge: It has more parts.
    """
    reader = _Reader(content_type, parts)
    async for chunk in chunks:
        for event in reader.feed(chunk):
            yield event
    reader.finish()


class _Reader:
    """Turns what the parser calls back with into events."""

    def __init__(self, content_type: str, parts: int) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadForm("the form doesn't say what its parts are parted by", given=content_type)
        self._events: list[FormEvent] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._parts_left = parts
        self._is_over = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._over,
                },
            )
        except FormParserError as error:
            raise BadForm(f"the form can't be read: {error}") from error

    def feed(self, chunk: bytes) -> list[FormEvent]:
        """What a piece of the body brings."""
        if chunk:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise BadForm(f"the form can't be read: {error}") from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Check that nothing is missing."""
        if not self._is_over:
            raise BadForm("the form ends before its last part does")

    def _begin(self) -> None:
        self._parts_left -= 1
        if self._parts_left < 0:
            raise TooLarge("the form has too many parts")
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise BadForm("a part of the form has no name")
        filename = options.get(b"filename")
        self._events.append(
            PartBegins(
                _text(options[b"name"]),
                None if filename is None else _text(filename),
                _text(self._headers.get(b"content-type", b"")),
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(bytes(data[start:end]))

    def _end(self) -> None:
        self._events.append(PartEnds())

    def _over(self) -> None:
        self._is_over = True


def _text(written: bytes) -> str:
    return written.decode(errors="replace")
