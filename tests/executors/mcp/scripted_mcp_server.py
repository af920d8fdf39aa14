"""MCP servers that say what they are told to say, over stdio and over HTTP.

`python scripted_mcp_server.py SCRIPT` answers over stdio. SCRIPT is JSON: a result by method, and

- `before`: written to stdout at the start,
- `between`: written to stdout before each reply,
- `calls`: a result by tool, instead of one for `tools/call`,
- `flood`: names of tools that answer with bytes until nobody reads them.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

READ_ONLY = {"readOnlyHint": True}
OBJECT = {"type": "object"}


def tool(name: str, **others: Any) -> dict[str, Any]:
    """A tool as servers list it."""
    return {"name": name, "inputSchema": OBJECT, "annotations": READ_ONLY, **others}


def text(content: str, **others: Any) -> dict[str, Any]:
    """A result of a call."""
    return {"content": [{"type": "text", "text": content}], **others}


def script(*tools: dict[str, Any], **others: Any) -> dict[str, Any]:
    """What a server says that has these tools."""
    return {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "scripted", "version": "1"},
        },
        "tools/list": {"tools": list(tools)},
        **others,
    }


def reply(said: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request."""
    result = said.get(message["method"])
    if message["method"] == "tools/call":
        name = message["params"]["name"]
        result = said.get("calls", {}).get(name, text(json.dumps(message["params"].get("arguments"))))
    answer = {"error": {"code": -32601, "message": "unknown"}} if result is None else {"result": result}
    if isinstance(result, dict) and set(result) == {"error"}:
        answer = result
    return {"jsonrpc": "2.0", "id": message["id"], **answer}


Answer = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """One request. What is done with it is said by the server's `answer`."""

    protocol_version = "HTTP/1.1"
    answer: Answer

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            type(self).answer(self, message)
        except OSError:
            self.close_connection = True  # the client has left

    def do_GET(self) -> None:
        self.send(405, b"")

    def do_DELETE(self) -> None:
        self.send(200, b"")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """A whole response."""
        self.begin(status, content_length=str(len(body)), **headers)
        self.wfile.write(body)

    def send_json(self, content: Any, status: int = 200, **headers: str) -> None:
        self.send(status, json.dumps(content).encode(), content_type="application/json", **headers)

    def begin(self, status: int, **headers: str) -> None:
        """The head of a response whose body is written later."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def begin_endless(self, status: int = 200, **headers: str) -> None:
        """The head of a response that ends with the connection."""
        self.close_connection = True
        self.begin(status, connection="close", **headers)


@contextmanager
def http_server(answer: Answer, port: int = 0) -> Iterator[str]:
    """The address of a server that answers each message by `answer`."""
    handler = type("Bound", (Handler,), {"answer": staticmethod(answer)})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/mcp"
        finally:
            server.shutdown()


def main(said: dict[str, Any]) -> None:
    """Answer over stdio."""

    def write(line: str) -> None:
        sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.buffer.flush()

    if "before" in said:
        write(said["before"])
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        if "between" in said:
            write(said["between"])
        name = (message.get("params") or {}).get("name")
        if message["method"] == "tools/call" and name in said.get("flood", {}):
            for chunk in itertools.repeat(said["flood"][name].encode() * 65_536):
                sys.stdout.buffer.write(chunk)
        write(json.dumps(reply(said, message)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
