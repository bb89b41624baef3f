"""The home folder in one file: written while a server runs, and put back all or nothing."""

from __future__ import annotations

from nodegraph.server.operations.backup.restoring import Restored, check, restore
from nodegraph.server.operations.backup.unfinished import finish_restore
from nodegraph.server.operations.backup.writing import Options, WrittenBackup, backup

__all__ = ["Options", "Restored", "WrittenBackup", "backup", "check", "finish_restore", "restore"]
