"""The home folder in one file: written while a server runs, and put back all or nothing."""

from __future__ import annotations

from nodegraph.server.operations.backup.restorer import Restored, check, finish_restore, restore
from nodegraph.server.operations.backup.writer import Options, WrittenBackup, backup

__all__ = ["Options", "Restored", "WrittenBackup", "backup", "check", "finish_restore", "restore"]
