"""What is wrong with a command line."""

from __future__ import annotations

from libs.common.errors import BadInput


class BadCommand(BadInput):
    """What was typed makes no sense, whatever the control plane knows: exit code 2."""
