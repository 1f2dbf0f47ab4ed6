"""A server that says back whatever it was told, in every place that an answer has."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast


class EchoServer(socketserver.ThreadingTCPServer):
    """Keeps what it received, and counts connections. The path's first part says how it answers:

    /json 200 with everything in JSON; /error 500, /teapot 418: all of it in the reason phrase, headers and text;
    /nonsense: what came, in place of HTTP; /same: the same body with the same type.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.received: list[bytes] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast(EchoServer, self.server)
        server.connections += 1
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            lines.append(line)
        if not lines:
            return
        headers = dict(line.decode("latin-1").rstrip("\r\n").split(": ", 1) for line in lines[1:])
        body = self.rfile.read(int(headers.get("Content-Length", "0")))
        server.received.append(b"".join(lines) + b"\r\n" + body)
        self.wfile.write(_answer(lines[0].split()[1].decode(), headers, body))


def _answer(path: str, headers: dict[str, str], body: bytes) -> bytes:
    told = " | ".join((path, *headers.values(), body.decode("utf-8", "replace").replace("\r\n", " ")))
    way = path.split("/")[1]
    if way == "nonsense":
        return f"{told}\r\n\r\n".encode("latin-1", "replace")
    code = {"error": 500, "teapot": 418}.get(way, 200)
    kind, answer = "text/plain", told.encode()
    if way == "same":
        kind, answer = headers["Content-Type"], body
    elif way == "json":
        kind, answer = "application/json", _as_json(path, headers, body)
    head = [f"HTTP/1.1 {code} {told.replace(chr(10), ' ')}", f"Content-Type: {kind}", f"Content-Length: {len(answer)}"]
    head += [f"X-Echo-{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + answer


def _as_json(path: str, headers: dict[str, str], body: bytes) -> bytes:
    try:
        read = json.loads(body)
    except ValueError:
        read = body.decode("utf-8", "replace")
    return json.dumps({"path": path, "headers": headers, "body": read}).encode()


@contextmanager
def echo_server() -> Iterator[EchoServer]:
    with EchoServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
