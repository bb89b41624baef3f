"""What outlives a process: results by content, what they cost, runs, checkpoints."""
