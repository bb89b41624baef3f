"""Worker processes, seen from the server: the messages between them, supervision, dispatch."""
