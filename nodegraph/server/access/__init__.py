"""Who may do what, and what keeps requests out that have no business here."""
