"""Running a graph: scheduler, lanes, cache, plans, checkpoints."""
