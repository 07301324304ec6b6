"""What all tests share: how hypothesis draws."""

from __future__ import annotations

import os

import hypothesis

# Deadlines measure the machine, not the code; the suite has a time limit of its own.
hypothesis.settings.register_profile("here", deadline=None)
# The same examples in every run: a red build must mean that the change is wrong.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")
