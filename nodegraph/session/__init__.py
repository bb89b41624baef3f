"""A session: settings, what is kept on disk, node types and an engine, joined."""
