"""Pages for people. They need no script, and take nothing from elsewhere."""
