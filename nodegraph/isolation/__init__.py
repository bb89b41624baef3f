"""Isolated packs: processes with environments of their own that run the code of packs."""
