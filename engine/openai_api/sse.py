"""Server-sent events: from bytes in any chunking to the `data` of whole events.

Source: the event stream format of the HTML standard, section 9.2. Only `data` matters to the OpenAI API.
Comments (keep-alives), `event`, `id` and `retry` are skipped. A field `error` is read as data,
since older servers of llama.cpp send their errors so.
"""

from __future__ import annotations

import codecs

from braid.engine.errors import EngineResponseError

MAX_EVENT_CHARS = 16_000_000


class SSEParser:
    """Parses a stream incrementally.

    `feed` takes bytes as they arrive, `close` ends the stream. Both return the data of the completed events.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """Data of the events that `chunk` completes.

        Raises:
            EngineResponseError: an event grows beyond `MAX_EVENT_CHARS`.
        """
        return self._take(self._decoder.decode(chunk))

    def close(self) -> list[str]:
        """The last event, when the server left out the empty line behind it.

        The reader must check that it is whole.
        """
        events = self._take(self._decoder.decode(b"", final=True) + "\n\n")
        return events

    def _take(self, text: str) -> list[str]:
        buffer = self._rest + text
        # A lone CR at the end may be the first half of CRLF: it waits for the next chunk.
        held = buffer.endswith("\r")
        lines = (buffer[:-1] if held else buffer).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + ("\r" if held else "")
        events: list[str] = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                events.append("\n".join(self._data))
                self._data, self._size = [], 0
        if len(self._rest) + self._size > MAX_EVENT_CHARS:
            raise EngineResponseError(
                f"the server sent an event of more than {MAX_EVENT_CHARS} characters without end"
            )
        return events

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name in ("data", "error"):
            value = value.removeprefix(" ")
            self._data.append(value)
            self._size += len(value)
