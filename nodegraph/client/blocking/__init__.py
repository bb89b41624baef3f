"""The client for programs that wait for what they ask."""
