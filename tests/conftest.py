"""What holds for every test."""

from __future__ import annotations

import os

# Before torch is loaded: tests in parallel share the cores, and threads that spin while they wait
# would keep each other out.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
