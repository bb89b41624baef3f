"""Hanging up on clients that read nothing."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys


def cut(transport: asyncio.Transport) -> None:
    """End a connection at once; what the client hasn't read yet is dropped.

    `abort` alone would have the system keep that, and offer it for minutes to come.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
