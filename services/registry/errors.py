"""What a caller of the registry may catch, beside the common errors and `bad_cron`."""

from __future__ import annotations

from typing import ClassVar

from libs.common.errors import Conflict


class NameTaken(Conflict):
    """Another host has this name. `fields["free_name"]` is one that is free."""

    code: ClassVar[str] = "name_taken"

    def __init__(self, name: str, free_name: str) -> None:
        super().__init__(
            f"a host named {name!r} exists already; {free_name!r} is free", free_name=free_name
        )
