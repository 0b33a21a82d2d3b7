"""A PostgreSQL server that nobody should have to talk to: one script for each way to be hostile.

A script is a generator of bytes. It gets what the client has sent so far by `yield`ing None, which
waits for the client's next words. When it ends the connection is closed.
"""
import socket
import struct
import threading
import time


def message(letter, body=b"", length=None):
    """A message; `length` lies about how long it is."""
    return letter + struct.pack(">i", len(body) + 4 if length is None else length) + body


def auth(kind, more=b""):
    return message(b"R", struct.pack(">i", kind) + more)


def error(text=b"no", **more):
    return message(b"E", b"SFATAL\0C28000\0M" + text + b"\0\0", **more)


NOTICE = message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 4000 + b"\0\0")
STATUS = message(b"S", b"server_version\0" + b"15.0\0")
NOTIFICATION = message(b"A", b"\0\0\0\1c\0" + b"p" * 1000 + b"\0")
READY = message(b"Z", b"I")
HELLO = auth(0) + STATUS + message(b"S", b"client_encoding\0UTF8\0") + message(b"K", b"\0\0\0\1\0\0\0\2") + READY
ONE_COLUMN = message(b"T", b"\0\1a\0" + struct.pack(">ihihih", 0, 0, 25, -1, -1, 0))


def first(*pieces):
    """Says this to the startup message."""
    def script():
        yield None
        yield from pieces
        yield None
    return script


def answer(*pieces):
    """Lets everybody in, and says this to the first query."""
    def script():
        yield None
        yield HELLO
        yield None
        yield from pieces
        yield None
    return script


def for_ever(opening, piece):
    def script():
        yield None
        yield opening
        if opening.endswith(READY):
            yield None
        while True:
            yield piece
    return script


def new_parameters(opening):
    """Each of another name: what a client keeps of them grows."""
    def script():
        yield None
        yield opening
        for i in range(1 << 40):
            yield b"".join(message(b"S", b"p%d_%d\0" % (i, j) + b"v" * 1000 + b"\0") for j in range(100))
    return script


def slowly(text):
    def script():
        yield None
        for i in range(len(text)):
            time.sleep(0.2)
            yield text[i:i + 1]
    return script


def rows_without_end():
    yield None
    yield HELLO
    yield None
    yield message(b"1") + message(b"2") + ONE_COLUMN
    while True:
        yield message(b"D", b"\0\1\0\0\0\1a") * 1000


BIG = b"x" * (32 << 20)
SCRIPTS = {
    # before the client is known
    "closes at once": lambda: iter(()),
    "closes after the startup message": first(),
    "says nothing": lambda: iter((None, None, None)),
    "garbage": first(b"\xde\xad\xbe\xef" * 64),
    "HTTP": first(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "zeros": first(b"\0" * 5000),
    "length -1": first(message(b"R", b"\0\0\0\0", length=-1)),
    "length 0": first(message(b"R", b"\0\0\0\0", length=0)),
    "length 3": first(message(b"E", b"", length=3)),
    "length 2 GiB": first(message(b"R", b"\0\0\0\0", length=0x7FFFFFFF)),
    "error of 2 GiB": first(message(b"E", b"SFATAL\0", length=0x7FFFFFFF)),
    "error without a field": first(message(b"E", b"\0")),
    "error without an end": first(message(b"E", b"SFATAL\0Mno")),
    "error of 32 MiB": first(error(BIG)),
    "error in no encoding": first(error(b"\xff\xfe\x80" * 100)),
    "error with escapes": first(error(b"\x1b[31m\r\n\"{}\0")),
    "old error": first(b"Eno such thing\n\0"),
    "password in clear": first(auth(3)),
    "md5 without salt": first(auth(5)),
    "crypt": first(auth(4, b"ab")), "kerberos": first(auth(2)), "gss": first(auth(7)), "sspi": first(auth(9)),
    "unknown authentication": first(auth(99)),
    "authentication without a kind": first(message(b"R")),
    "sasl without mechanisms": first(auth(10, b"\0")),
    "sasl without an end": first(auth(10, b"SCRAM-SHA-256")),
    "unknown sasl": first(auth(10, b"PLAIN\0\0")),
    "sasl continued before it began": first(auth(11, b"r=x,s=eA==,i=4096")),
    "sasl that never ends": first(auth(10, b"SCRAM-SHA-256\0\0"), *[auth(11, b"r=,s=,i=0")] * 4),
    "sasl with a billion rounds": first(auth(10, b"SCRAM-SHA-256\0\0"), auth(11, b"r=x,s=eA==,i=1000000000")),
    "notices before it lets in": for_ever(b"", NOTICE),
    "one byte in a while": slowly(HELLO),
    # when it has let the client in
    "closes after it let in": first(auth(0)),
    "parameter without an end": first(auth(0), message(b"S", b"server_version")),
    "parameters for ever": for_ever(auth(0), STATUS),
    "new parameters for ever": new_parameters(auth(0)),
    "notifications before it is ready": for_ever(auth(0) + STATUS, NOTIFICATION * 100),
    "key of the wrong size": first(auth(0), STATUS, message(b"K", b"\0"), READY),
    "unknown state": first(auth(0), STATUS, message(b"Z", b"Q")),
    "version of nonsense": first(auth(0), message(b"S", b"server_version\0" + b"9" * 1000 + b"\0"), READY),
    "never ready": first(auth(0), STATUS),
    # in the middle of an answer
    "closes at the query": answer(),
    "65535 columns": answer(message(b"T", b"\xff\xff" + b"a\0" * 50)),
    "columns -1": answer(message(b"T", b"\xff\xff")),
    "row before columns": answer(message(b"D", b"\0\1\0\0\0\1a"), READY),
    "row of 1 GiB": answer(message(b"1") + message(b"2") + ONE_COLUMN, message(b"D", b"\0\1", length=1 << 30)),
    "field of length -2": answer(message(b"1") + message(b"2") + ONE_COLUMN, message(b"D", b"\0\1\xff\xff\xff\xfe"), READY),
    "field beyond its row": answer(message(b"1") + message(b"2") + ONE_COLUMN,
                                   message(b"D", b"\0\1\0\1\0\0a"), READY),
    "more fields than columns": answer(message(b"1") + message(b"2") + ONE_COLUMN,
                                       message(b"D", b"\0\3\0\0\0\1a\0\0\0\1b\0\0\0\1c"), READY),
    "copy out unasked": answer(message(b"H", b"\0\0\1\0\0"), message(b"d", b"x" * 1000), message(b"c"), READY),
    "copy in unasked": answer(message(b"G", b"\0\0\1\0\0")),
    "copy both unasked": answer(message(b"W", b"\0\0\1\0\0")),
    "complete without an end": answer(message(b"C", b"SELECT 1"), READY),
    "empty query": answer(message(b"I"), READY),
    "result of a function call": answer(message(b"V", b"\0\0\0\4abcd"), READY),
    "unknown message": answer(message(b"?", b"x"), READY),
    "ready at once": answer(READY),
    "error of 32 MiB for a query": answer(error(BIG), READY),
    "notices instead of an answer": for_ever(HELLO, NOTICE),
    "notifications instead of an answer": for_ever(HELLO, NOTIFICATION * 100),
    "descriptions without end": for_ever(HELLO, message(b"1") + message(b"2") + ONE_COLUMN),
    "rows without end": rows_without_end,
    "notifications in a COPY": answer(message(b"G", b"\0\0\1\0\0"), *[NOTIFICATION * 100] * (1 << 20)),
}


class HostilePostgres:
    """Plays one script for every connection."""

    def __init__(self, script):
        self.script, self.closed = script, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.closed:
            peer, _ = self.listener.accept()
            with peer:
                peer.settimeout(30)
                try:
                    for piece in self.script():
                        if self.closed:
                            break
                        if piece is not None:
                            peer.sendall(piece)
                        elif not peer.recv(65536):
                            break
                except OSError:
                    pass

    def close(self):
        self.closed = True
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            pass
        self.listener.close()
