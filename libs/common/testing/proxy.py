"""A TCP proxy that cuts its connections when told, or in the middle of what the server sends; it
can be slow, or refuse."""

from __future__ import annotations

import asyncio
import contextlib


class CuttableProxy:
    """Stands between a client and a server.

    `cut_after(n)` cuts every connection once the server has sent `n` bytes more; the next one
    goes through untouched. While `delay_seconds` is set every chunk of at most 64 KiB waits so
    long, in both directions; while `refuses` is set new connections are broken at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: int | None = None
        self.cuts = 0
        self.delay_seconds = 0.0
        self.refuses = False

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection now, without a goodbye."""
        self.cuts += 1
        self._left = None
        for writer in list(self._writers):
            writer.transport.abort()

    def cut_after(self, byte_count: int) -> None:
        self._left = byte_count

    def heal(self) -> None:
        """Forget a cut that has not come yet, be fast and let everyone in."""
        self._left = None
        self.delay_seconds, self.refuses = 0.0, False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        for source, sink, counted in ((reader, up_writer, False), (up_reader, writer, True)):
            self._writers.add(sink)
            task = asyncio.create_task(self._copy(source, sink, counted=counted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if counted and self._left is not None:
                    data, more = data[: self._left], len(data) >= self._left
                    self._left -= len(data)
                    sink.write(data)
                    await sink.drain()
                    if more:
                        break
                else:
                    sink.write(data)
                    await sink.drain()
        if counted and self._left == 0:
            await asyncio.sleep(0)  # Let the last bytes out, so that the cut is where it was asked.
            sink.close()
            self.cut()
        else:
            sink.close()
        self._writers.discard(sink)
