"""Names and tags that people give: of any script, short, on one line."""

from __future__ import annotations

import unicodedata

from libs.common.errors import BadInput

LABEL_LENGTH = 64
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_label(text: str, what: str, *, longest: int = LABEL_LENGTH, least: int = 1) -> str:
    """Return a text for people without blanks around it, in one form of each character.

    Raises: BadInput (beginning with `what`): its length, or control characters.
    """
    label = unicodedata.normalize("NFC", text).strip(" ")
    if not least <= len(label) <= longest:
        raise BadInput(f"{what} must have {least} to {longest} characters")
    if any(char in _BIDI or unicodedata.category(char) in _CONTROL for char in label):
        raise BadInput(f"{what} must not contain control characters")
    return label


def check_tag(text: str) -> str:
    """Return a tag in lower case, blanks as `-`; a comma would split one. Raises: BadInput."""
    tag = "-".join(check_label(text, "a tag").lower().split())
    if "," in tag:
        raise BadInput("a tag must not contain a comma")
    return check_label(tag, "a tag")
