"""Signals while an agent runs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def handled(handlers: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    """Call these functions, in the event loop, when their signals come, as long as this lasts.

    Signals that the system does not have are left out, and all of them outside the main thread.
    """
    loop = asyncio.get_running_loop()
    held: list[int] = []
    for name, handler in handlers.items():
        number = getattr(signal, name, None)
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            if number is not None:
                loop.add_signal_handler(number, handler)
                held.append(number)
    try:
        yield
    finally:
        for number in held:
            loop.remove_signal_handler(number)
