"""Settings that every test shares."""

from __future__ import annotations

from hypothesis import settings

# The same examples everywhere, so that a failure is seen again; no deadline: machines are slow at times.
settings.register_profile("spred", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("spred")
