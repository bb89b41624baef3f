"""Running a server: logs, figures, readiness, backups, upkeep."""
