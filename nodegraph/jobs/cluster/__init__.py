"""Workers on other machines: the same processes, started by actors of a Ray cluster."""
