"""How fast the store's disk is, as measured: decides what is worth writing."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields

_SMALL = 256 << 10
_LARGE = 4 << 20
_WEIGHT = 0.2
"""Of a new measurement against what was known."""
_FILE_BOUNDS = (2e-5, 0.5)
_BYTE_BOUNDS = (2e-11, 2e-7)  # 50 GB/s to 5 MB/s


@dataclass(slots=True)
class TransferSpeeds:
    """Seconds that files take: so many each, and so many a byte. Begins with those of an SSD.

    Small files tell of the first, large ones of the second; one slow moment counts little.
    """

    write_file: float = 3e-3
    write_byte: float = 1.5e-9
    read_file: float = 1e-4
    read_byte: float = 7e-10

    def record_write(self, size: int, seconds: float) -> None:
        """Note what writing a file took."""
        if size <= _SMALL:
            self.write_file = _moved(self.write_file, seconds, _FILE_BOUNDS)
        elif size >= _LARGE:
            self.write_byte = _moved(self.write_byte, seconds / size, _BYTE_BOUNDS)

    def record_read(self, size: int, seconds: float) -> None:
        """Note what reading and checking a file took."""
        if size <= _SMALL:
            self.read_file = _moved(self.read_file, seconds, _FILE_BOUNDS)
        elif size >= _LARGE:
            self.read_byte = _moved(self.read_byte, seconds / size, _BYTE_BOUNDS)

    def round_trip_seconds(self, files: int, size: int) -> float:
        """Seconds to write so much and read it once."""
        each = self.write_file + self.read_file
        return files * each + size * (self.write_byte + self.read_byte)

    def restore(self, connection: sqlite3.Connection) -> None:
        """Take what the index remembers."""
        known = dict(connection.execute("SELECT name, value FROM meta WHERE name LIKE 'speed.%'"))
        for item in fields(self):
            value = known.get(f"speed.{item.name}")
            if isinstance(value, float):
                low, high = _BYTE_BOUNDS if item.name.endswith("byte") else _FILE_BOUNDS
                setattr(self, item.name, min(max(value, low), high))

    def save(self, connection: sqlite3.Connection) -> None:
        """Let the index remember it."""
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [(f"speed.{item.name}", getattr(self, item.name)) for item in fields(self)],
        )


def _moved(known: float, measured: float, bounds: tuple[float, float]) -> float:
    # No further than fourfold at once: the system may have been busy with something else.
    measured = min(max(measured, known / 4), known * 4)
    low, high = bounds
    return min(max(known + _WEIGHT * (measured - known), low), high)
