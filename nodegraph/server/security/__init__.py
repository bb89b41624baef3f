"""What keeps requests out that have no business here, or ask for too much."""
