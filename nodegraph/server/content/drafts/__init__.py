"""Drafts: the working copies of workflows that several windows edit at once."""
