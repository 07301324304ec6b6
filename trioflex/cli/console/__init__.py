"""``trioflex console``: a dialogue over two channels, and the front ends that a person sees.

The dialogue takes lines and gives outputs (:mod:`.outputs`); it knows no terminal. In front of it
stands either a terminal with a prompt that stays intact (:mod:`.terminal`) or plain lines
(:mod:`.pipe`), or a test.
"""

from __future__ import annotations
