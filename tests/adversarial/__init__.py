"""Is a result ever stale? A person edits, undoes, branches, runs and restarts, and each result is
compared with what the code gives when it is evaluated plainly, as it is at that moment."""
