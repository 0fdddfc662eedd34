"""Breaks a real pair in every way we know, at random, while both sides are written to.

`python -m tests.chaos --minutes 10`. At the end nothing that was acknowledged may be
missing on either node.
"""
