"""A TCP proxy between the service and a PostgreSQL or MariaDB server, to break the connection at will.

    with Proxy(port, "postgres") as proxy:
        proxy.at_commit(2, LOST)       # the second COMMIT is carried out, its answer never arrives
        ... let the service talk to 127.0.0.1:proxy.port ...

It speaks just enough of both protocols to know a COMMIT when it passes: as a simple query, or as a
prepared statement whose text it has seen. Connections must not be encrypted. What can be done:

    at_commit(n, BEFORE)    the n-th COMMIT is not forwarded; both sides are cut
    at_commit(n, AFTER)     it is forwarded, and both sides are cut at once
    at_commit(n, LOST)      it is forwarded, the server's answer is dropped, both sides are cut
    at_commit(n, PAUSE)     it is held back until resume() or cut()
    at_commit(n, function)  called with the link before the COMMIT is forwarded; returns one of these
    cut_after(n, TO_SERVER or TO_CLIENT)    after so many bytes, counted over all connections
    cut() pause() resume() refuse() accept() throttle(bytes per second, direction) delay(seconds)

Numbers are counted from the call on. All of it may be called while connections are open.
"""
import re
import socket
import struct
import threading
import time

BEFORE, AFTER, LOST, PAUSE, FORWARD = "before", "after", "lost", "pause", "forward"
TO_SERVER, TO_CLIENT = "to_server", "to_client"
COMMIT = re.compile(rb"^\s*(/\*.*?\*/\s*)*COMMIT\b", re.IGNORECASE | re.DOTALL)
MAX_TEXT = 1 << 16  # longer messages are no COMMIT: they pass unread
CHUNK = 1 << 16


def is_commit(text):
    return len(text) < MAX_TEXT and COMMIT.search(text) is not None


class Framer:
    """Cuts a stream into pieces: (bytes, whether they are a COMMIT). Nothing is kept back but the
    beginning of a message and messages short enough to be read."""

    def __init__(self):
        self.held = b""
        self.passing = 0  # bytes of a long message that are still to come

    def feed(self, data):
        self.held += data
        while self.held:
            if self.passing:
                n = min(self.passing, len(self.held))
                piece, self.held = self.held[:n], self.held[n:]
                self.passing -= n
                yield piece, False
                continue
            size, whole = self.measure()
            if size is None:
                return
            if not whole:
                self.passing = size
                continue
            if len(self.held) < size:
                return
            piece, self.held = self.held[:size], self.held[size:]
            yield piece, self.read(piece)


class PostgresClient(Framer):
    """What a PostgreSQL client sends."""

    def __init__(self, link):
        super().__init__()
        self.started = False
        self.statements, self.portals = {}, {}

    def measure(self):
        head = 5 if self.started else 4
        if len(self.held) < head:
            return None, None
        size = struct.unpack("!I", self.held[head - 4:head])[0] + head - 4
        return size, not self.started or (self.held[:1] in b"QPBE" and size < MAX_TEXT)

    def read(self, message):
        if not self.started:
            # Requests for TLS or GSS come before the start of the protocol proper.
            self.started = struct.unpack("!I", message[4:8])[0] >> 16 == 3
            return False
        kind, fields = message[:1], message[5:].split(b"\0")
        if kind == b"Q":
            return is_commit(fields[0])
        if kind == b"P":
            self.statements[fields[0]] = is_commit(fields[1])
        elif kind == b"B":
            self.portals[fields[0]] = self.statements.get(fields[1], False)
        elif kind == b"E":
            return self.portals.get(fields[0], False)
        return False


class MysqlClient(Framer):
    """What a MariaDB client sends."""
    QUERY, PREPARE, EXECUTE, LAST = 0x03, 0x16, 0x17, 0xffffffff

    def __init__(self, link):
        super().__init__()
        self.link = link
        self.last = -1        # sequence number of the packet before
        self.loading = False  # in the data of LOAD DATA LOCAL, whose packets count on

    def measure(self):
        if len(self.held) < 4:
            return None, None
        size = int.from_bytes(self.held[:3], "little")
        number = self.held[3]
        if self.loading and (size == 0 or (number == 0 and self.last != 255)):
            self.loading = False
            self.last = number
            return size + 4, size == 0 or size < MAX_TEXT
        self.last = number
        return size + 4, not self.loading and number == 0 and size < MAX_TEXT

    def read(self, packet):
        if len(packet) < 5 or packet[3] != 0:
            return False
        command, text = packet[4], packet[5:]
        if command == self.QUERY:
            self.loading = re.match(rb"\s*LOAD\s+DATA", text, re.IGNORECASE) is not None
            return is_commit(text)
        if command == self.PREPARE:
            self.link.prepared(is_commit(text))
        elif command == self.EXECUTE:
            return self.link.statements.get(int.from_bytes(text[:4], "little"), False)
        return False


class MysqlServer(Framer):
    """What a MariaDB server sends: the numbers of prepared statements are in it."""

    def __init__(self, link):
        super().__init__()
        self.link = link

    def measure(self):
        if len(self.held) < 4:
            return None, None
        size = int.from_bytes(self.held[:3], "little")
        return size + 4, bool(self.link.waiting) and self.held[3] == 1 and size < MAX_TEXT

    def read(self, packet):
        self.link.answered(packet)
        return False


class Plain(Framer):
    def __init__(self, link=None):
        super().__init__()

    def measure(self):
        return len(self.held), False


CLIENTS = {"postgres": PostgresClient, "mysql": MysqlClient, None: Plain}
SERVERS = {"postgres": Plain, "mysql": MysqlServer, None: Plain}


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.waiting, self.statements = [], {}  # MariaDB: statements being prepared, and prepared
        self.muted = False  # the answers of the server are dropped, and the first one cuts
        self.lock = threading.Lock()
        self.over = False

    @property
    def server_side_port(self):
        """By which the server knows this connection (client_port)."""
        return self.server.getsockname()[1]

    def prepared(self, commit):
        with self.lock:
            self.waiting.append(commit)
            self.statements[MysqlClient.LAST] = commit

    def answered(self, packet):
        with self.lock:
            commit = self.waiting.pop(0)
            if packet[4:5] == b"\0":
                self.statements[int.from_bytes(packet[5:9], "little")] = commit

    def cut(self):
        """As a broken network does: both sides lose the connection."""
        with self.lock:
            if self.over:
                return
            self.over = True
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
            except OSError:
                pass
            end.close()

    def pump(self, direction):
        source, target = (self.client, self.server) if direction == TO_SERVER else (self.server, self.client)
        framer = (CLIENTS if direction == TO_SERVER else SERVERS)[self.proxy.protocol](self)
        try:
            while not self.over:
                data = source.recv(CHUNK if not self.proxy.slow(direction) else 4096)
                if not data:
                    break
                self.proxy.hold(self)
                if direction == TO_CLIENT and self.muted:
                    break
                for piece, commit in framer.feed(data):
                    if commit and not self.proxy.commit(self, piece):
                        return
                    if not commit and not self.proxy.forward(self, target, piece, direction):
                        return
        except OSError:
            pass
        finally:
            if not (direction == TO_SERVER and self.muted):  # the answer is awaited, then dropped
                self.cut()
                self.proxy.forget(self)


class Proxy:
    def __init__(self, target_port, protocol=None, target_host="127.0.0.1", host="127.0.0.1"):
        self.target, self.protocol = (target_host, target_port), protocol
        self.listener = socket.create_server((host, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.links, self.plans = set(), {}
        self.commits = self.accepted = self.cuts = 0
        self.left = {TO_SERVER: None, TO_CLIENT: None}   # bytes until the cut
        self.rate = {TO_SERVER: None, TO_CLIENT: None}   # bytes per second
        self.bytes = {TO_SERVER: 0, TO_CLIENT: 0}
        self.pause_s = 0
        self.refusing = self.closed = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        self.closed = True
        self.resume()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut(count=False)

    # ------------------------------------------------------------------ orders

    def at_commit(self, nth, action):
        with self.lock:
            self.plans[self.commits + nth] = action

    def cut_after(self, n_bytes, direction=TO_CLIENT):
        with self.lock:
            self.left[direction] = n_bytes

    def cut(self, count=True):
        """All connections, now."""
        with self.lock:
            links = list(self.links)
            self.cuts += len(links) if count else 0
        for link in links:
            link.cut()

    def forget_plans(self):
        with self.lock:
            self.plans.clear()
            self.left = {TO_SERVER: None, TO_CLIENT: None}

    def pause(self):
        self.open_gate.clear()

    def resume(self):
        self.open_gate.set()

    def refuse(self):
        self.refusing = True

    def accept(self):
        self.refusing = False

    def throttle(self, bytes_per_second, direction=TO_SERVER):
        self.rate[direction] = bytes_per_second

    def delay(self, seconds):
        self.pause_s = seconds

    # ------------------------------------------------------------------ for links

    def slow(self, direction):
        return self.rate[direction] is not None

    def hold(self, link):
        while not self.open_gate.wait(0.05):
            if link.over or self.closed:
                raise OSError("cut while it was paused")
        if self.pause_s:
            time.sleep(self.pause_s)

    def count_cut(self):
        with self.lock:
            self.cuts += 1

    def forward(self, link, target, piece, direction):
        """False when the connection was cut on the way."""
        rate = self.rate[direction]
        with self.lock:
            self.bytes[direction] += len(piece)
            left = self.left[direction]
            if left is not None:
                self.left[direction] = left - len(piece) if left > len(piece) else None
        if left is not None and left <= len(piece):
            try:
                target.sendall(piece[:left])
            finally:
                self.count_cut()
                link.cut()
            return False
        target.sendall(piece)
        if rate:
            time.sleep(len(piece) / rate)
        return True

    def commit(self, link, piece):
        with self.lock:
            self.commits += 1
            action = self.plans.pop(self.commits, FORWARD)
        if callable(action):
            action = action(link) or FORWARD
        if action == PAUSE:
            self.pause()
            self.hold(link)
            action = FORWARD
        if action == FORWARD:
            return self.forward(link, link.server, piece, TO_SERVER)
        self.count_cut()
        if action == BEFORE:
            link.cut()
            return False
        if self.protocol == "postgres" and piece[:1] == b"E":
            piece += b"S\0\0\0\4"  # a server that is asked to execute answers at the next Sync
        link.muted = action == LOST
        link.server.sendall(piece)
        if action == AFTER:
            link.cut()
        return False

    def forget(self, link):
        with self.lock:
            self.links.discard(link)

    def serve(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                if self.refusing:
                    raise OSError("refused")
                server = socket.create_connection(self.target)
            except OSError:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(self, client, server)
            with self.lock:
                self.links.add(link)
            for direction in (TO_SERVER, TO_CLIENT):
                threading.Thread(target=link.pump, args=(direction,), daemon=True).start()
