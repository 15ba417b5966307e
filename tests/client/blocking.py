"""
The asyncio client behind blocking methods, so that one test drives both drivers.

    client = DRIVES["aio"](url, ...)      the asyncio client, on an event loop of its own
    client = DRIVES["sync"](url, ...)     the blocking client itself
"""

from __future__ import annotations

import asyncio
import inspect

from modseq.client import aio, sync


class Blocking:
    """Anything with coroutines, called from code without them."""

    def __init__(self, loop, inner, *, owns_loop=False):
        self.loop, self.inner, self.owns_loop = loop, inner, owns_loop

    def close(self):
        try:
            self.loop.run_until_complete(self.inner.aclose())
        finally:
            self._end()

    def _end(self):
        if self.owns_loop and not self.loop.is_closed():
            # Transports close on the next turns of the loop.
            self.loop.run_until_complete(asyncio.sleep(0.01))
            self.loop.close()

    def __getattr__(self, name):
        value = getattr(self.inner, name)
        if not callable(value) or name in ("events", "_x"):
            return value

        def call(*args, **kwargs):
            result = value(*args, **kwargs)
            if inspect.isawaitable(result):
                result = self.loop.run_until_complete(result)
            if isinstance(result, (aio.Stream, aio.Pipeline)):
                return Blocking(self.loop, result)
            return result

        return call

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.loop.run_until_complete(self.inner.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self):
        self.loop.run_until_complete(self.inner.__aenter__())
        return self

    def __exit__(self, *exc):
        try:
            self.loop.run_until_complete(self.inner.__aexit__(*exc))
        finally:
            self._end()


def _aio(url, **options):
    loop = asyncio.new_event_loop()
    try:
        client = loop.run_until_complete(_connected(url, options))
    except BaseException:
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        raise
    return Blocking(loop, client, owns_loop=True)


async def _connected(url, options):
    return await aio.connect(url, **options)


DRIVES = {"aio": _aio, "sync": sync.connect}
