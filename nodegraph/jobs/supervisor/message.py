"""What all messages have in common, and how one is read from its frame.

What arrives is checked: a mistaken process must not take the other one along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from nodegraph.core.events import Event, EventKind
from nodegraph.jobs.supervisor.errors import ProtocolFault

Fields = Mapping[str, tuple[type, ...]]
FieldChoices = Mapping[str, tuple[str, ...]]

_ROW = 5


class Message:
    """One message; its fields are plain values.

    Attributes:
        kind: Names what it is, in its frame too.
        fields: What each field may be in a frame.
        choices: The values that a field may have, where they are few.
    """

    __slots__ = ()
    kind: ClassVar[str]
    fields: ClassVar[Fields]
    choices: ClassVar[FieldChoices] = {}

    def as_dict(self) -> dict[str, Any]:
        """What goes into its frame."""
        return {"kind": self.kind, **{name: getattr(self, name) for name in self.fields}}


M = TypeVar("M", bound=Message)


def read_message(message: Mapping[str, Any], kinds: Mapping[str, type[M]]) -> M:
    """The message of a frame.

    Args:
        kinds: What may come, by kind.
    Raises:
        ProtocolFault: It is none of them, or a field is missing, unknown or of a wrong type.
    """
    kind = message.get("kind")
    message_type = kinds.get(kind) if isinstance(kind, str) else None
    if message_type is None:
        raise ProtocolFault(
            "a message of an unknown kind", given=repr(kind), expected=" or ".join(kinds)
        )
    fields = message_type.fields
    if len(message) != len(fields) + 1:
        raise _wrong(message_type, f"fields {', '.join(map(str, message))}", ", ".join(fields))
    values: dict[str, Any] = {}
    for name, types in fields.items():
        if name not in message:
            raise _wrong(message_type, f"no `{name}`", ", ".join(fields))
        value = message[name]
        if not isinstance(value, types) or (type(value) is bool and int in types):
            expected = " or ".join(each.__name__ for each in types)
            raise _wrong(message_type, f"`{name}` of type {type(value).__name__}", expected)
        values[name] = value
    for name, choices in message_type.choices.items():
        if values[name] not in choices:
            raise _wrong(message_type, f"`{name}` {values[name]!r}", " or ".join(choices))
    if "events" in fields:
        values["events"] = _events(message_type, values["events"])
    return message_type(**values)


def rows(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Events as they go into a frame."""
    return [(event.number, event.kind, event.node, event.seconds, event.data) for event in events]


def _events(message: type[Message], rows: list[Any]) -> tuple[Event, ...]:
    events = []
    for row in rows:
        if not isinstance(row, list) or len(row) != _ROW:
            raise _wrong(message, "an event of another form", "number, kind, node, seconds, data")
        number, kind, node, seconds, data = row
        if not (
            isinstance(number, int)
            and isinstance(kind, str)
            and isinstance(node, str | None)
            and isinstance(seconds, float | int)
            and isinstance(data, dict)
        ):
            raise _wrong(
                message, "an event with a wrong value", "number, kind, node, seconds, data"
            )
        events.append(Event(number, cast(EventKind, kind), node, seconds, data))
    return tuple(events)


def _wrong(message: type[Message], actual: str, expected: str) -> ProtocolFault:
    return ProtocolFault(
        f"a message `{message.kind}` isn't as agreed", given=actual, expected=expected
    )
