"""A small OpenAI-compatible server on a loopback port that says what a test tells it to.

A model good enough to plan does not fit into a test. Everything around it here is real: the sockets, the wire
format, and the client that reads it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[list[dict[str, str]]], str]
"""From the messages of a request to the model's text."""


class ScriptedServer(ThreadingHTTPServer):
    """A running server. `uri` is its engine address, `requests` are the bodies that came in.

    `pause` is the seconds before each piece of text.
    """

    daemon_threads = True

    def __init__(self, reply: Reply, *, pause: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.pause = pause
        self.requests: list[dict[str, Any]] = []
        self.talking = threading.Event()
        self.hung_up = threading.Event()

    @property
    def uri(self) -> str:
        return f"openai:http://127.0.0.1:{self.server_address[1]}/v1#scripted"

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.hung_up.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._json({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        text = self.server.reply(
            body.get("messages") or [{"role": "user", "content": body.get("prompt", "")}]
        )
        usage = {
            "prompt_tokens": 10,
            "completion_tokens": len(text.split()),
            "total_tokens": 10 + len(text.split()),
        }
        chat = "chat" in self.path
        if not body.get("stream"):
            choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
            choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            self._json(
                {
                    "id": "x",
                    "object": "chat.completion",
                    "model": "scripted",
                    "choices": [choice],
                    "usage": usage,
                }
            )
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for piece in text.splitlines(keepends=True):
            time.sleep(self.server.pause)
            self._chunk(chat, piece, None)
            self.server.talking.set()
        self._chunk(chat, "", "stop")
        self._event(
            {"id": "x", "object": "chat.completion.chunk", "model": "scripted", "choices": [], "usage": usage}
        )
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, chat: bool, text: str, reason: str | None) -> None:
        choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
        choice |= {"delta": {"content": text}} if chat else {"text": text}
        self._event({"id": "x", "object": "chat.completion.chunk", "model": "scripted", "choices": [choice]})

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _json(self, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(reply: Reply | str, *, pause: float = 0.0) -> Iterator[ScriptedServer]:
    """A server for the time of the block."""
    server = ScriptedServer((lambda _: reply) if isinstance(reply, str) else reply, pause=pause)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
