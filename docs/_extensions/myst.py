"""Pieces of MyST."""

import re


def plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"[\\`*_{}\[\]<>$|#~&^]", r"\\\g<0>", text)


def display(tex: str) -> str:
    """A displayed equation."""
    return f"```{{math}}\n{tex}\n```"
