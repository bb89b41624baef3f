"""Provenance of files: C2PA manifests that are signed and verified, and an invisible watermark.

C2PA is read and written by the library `c2pa-python`, the extra ``c2pa``. docs/authorship.md says
what a signature proves and what not.
"""
