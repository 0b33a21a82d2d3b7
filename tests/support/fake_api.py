"""A scripted HTTP server: what an API may do, and what it should not.

    with FakeApi() as api:
        api.on("/users", lambda r: reply({"data": users, "next": None}))
        ... api.url, api.requests

A handler gets a Request and returns a Reply. Faults are parts of a Reply: a status, headers, a pause
before it, one byte after the other, an end in the middle, chunks, a gzip bomb. `queue` gives answers
one by one and the last of them for ever. Every request is remembered in `requests`.
"""
import contextlib
import gzip
import http.server
import json
import socket
import struct
import threading
import time
import urllib.parse
import zlib


class Request:
    def __init__(self, handler, body):
        url = urllib.parse.urlsplit(handler.path)
        self.method, self.target, self.path = handler.command, handler.path, url.path
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.headers, self.body, self.at = handler.headers, body, time.monotonic()

    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    def __repr__(self):
        return f"{self.method} {self.target}"


class Reply:
    """`body`: bytes, text, or an iterable of bytes that is sent in chunks as it comes."""

    def __init__(self, body=b"", status=200, headers=None, delay=0, drip=0, cut=None, chunk=0, packed=False,
                 reset=False):
        self.body = body.encode() if isinstance(body, str) else body
        self.status, self.headers, self.delay = status, dict(headers or {}), delay
        self.drip = drip      # seconds between two bytes
        self.cut = cut        # the connection ends after so many bytes of the body
        self.chunk = chunk    # size of the chunks; 0 = with a length
        self.packed = packed  # gzip
        self.reset = reset    # the connection is reset instead of an answer


def reply(value=None, **how):
    """`value` as JSON."""
    answer = Reply(json.dumps(value, ensure_ascii=False), **how)
    answer.headers.setdefault("Content-Type", "application/json")
    return answer


def bomb(unpacked, head=b'{"data":[', unit=b" " * 65536):
    """JSON that never ends, of so many bytes once it is unpacked; a thousandth of that on the wire."""
    def pieces():
        packer = zlib.compressobj(9, wbits=31)
        yield packer.compress(head)
        for _ in range(unpacked // len(unit)):
            piece = packer.compress(unit)
            if piece:
                yield piece
        yield packer.flush()
    return Reply(pieces(), headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self):
        request = Request(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        try:
            self.send(self.server.api.answer(request))
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the client had enough

    do_GET = do_POST = answer

    def send(self, r):
        if r.delay:
            self.server.api.closed.wait(r.delay)
        if r.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.end_here()
            return
        body = r.body
        if r.packed:
            body = gzip.compress(body)
            r.headers["Content-Encoding"] = "gzip"
        streamed = not isinstance(body, bytes)
        if "Date" in r.headers:
            self.send_response_only(r.status)
        else:
            self.send_response(r.status)
        for name, value in r.headers.items():
            self.send_header(name, value)
        if streamed or r.chunk:
            self.send_header("Transfer-Encoding", "chunked")
        elif r.status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if streamed or r.chunk:
            self.send_chunks(body if streamed else pieces_of(body, r.chunk))
        elif r.drip:
            self.send_slowly(body, r.drip)
        elif r.cut is not None:
            self.wfile.write(body[:r.cut])
            self.end_here()
        else:
            self.wfile.write(body)

    def end_here(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
        self.connection.close()

    def send_chunks(self, pieces):
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def send_slowly(self, body, pause):
        for i in range(len(body)):
            self.wfile.write(body[i:i + 1])
            self.wfile.flush()
            if self.server.api.closed.wait(pause):
                return


def pieces_of(body, size):
    return (body[i:i + size] for i in range(0, len(body), size))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a connection that we closed ourselves


class FakeApi:
    def __init__(self):
        self.handlers, self.requests, self.lock, self.closed = {}, [], threading.Lock(), threading.Event()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.api = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ------------------------------------------------------------------ scripts

    def on(self, path, handler):
        """`path` alone, or all below it when it ends with a slash and a star."""
        self.handlers[path] = handler
        return self

    def queue(self, path, *answers):
        """One answer after the other, the last one again and again. An answer is a Reply or a handler."""
        left = list(answers)

        def handler(request):
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(request) if callable(answer) else answer
        return self.on(path, handler)

    def answer(self, request):
        with self.lock:
            self.requests.append(request)
            handler = self.handlers.get(request.path)
            if not handler:
                for path, other in self.handlers.items():
                    if path.endswith("/*") and request.path.startswith(path[:-1]):
                        handler = other
            return handler(request) if handler else reply({"error": "nothing here"}, status=404)

    def asked(self, path=None):
        """The requests so far, of one path."""
        with self.lock:
            return [r for r in self.requests if path in (None, r.path)]

    def forget(self):
        with self.lock:
            self.requests.clear()
