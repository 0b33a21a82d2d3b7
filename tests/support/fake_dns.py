"""A name server for one test that changes its mind: each name has answers that are given in turn.

A process is made to ask it by namespaces of its own (see `inside`), where /etc/resolv.conf names it.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

SERVER = "127.71.0.53"


def inside():
    """Runs this program again where /etc/resolv.conf is ours; returns in there, with None, or at
    once with the reason why that cannot be done."""
    if os.environ.get("CONNECTORD_TEST_DNS") == "inside":
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as resolv:
        resolv.write(f"nameserver {SERVER}\noptions timeout:2 attempts:2\n")
        resolv.flush()
        os.chmod(resolv.name, 0o644)
        namespaces, mount = ["unshare", "--mount"], 'mount --bind "$0" /etc/resolv.conf && '
        if os.geteuid() != 0:
            return "port 53 is for root"
        if subprocess.run([*namespaces, "sh", "-c", mount + "true", resolv.name], capture_output=True).returncode != 0:
            return "a mount of our own is not permitted here"
        sys.exit(subprocess.run([*namespaces, "sh", "-c", mount + 'exec "$@"', resolv.name, sys.executable, *sys.argv],
                                env={**os.environ, "CONNECTORD_TEST_DNS": "inside"}).returncode)


class FakeDns:
    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((SERVER, 53))
        self.names, self.asked, self.open = {}, [], True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        self.open = False
        self.socket.sendto(b"", (SERVER, 53))  # wakes it
        self.thread.join()
        self.socket.close()

    def name(self, name, *addresses):
        """The addresses of `name`: one for each question, the last for ever. None: never an answer."""
        self.names[name] = list(addresses)

    def run(self):
        while True:
            message, sender = self.socket.recvfrom(2048)
            if not self.open:
                return
            reply = self.answer(message)
            if reply:
                self.socket.sendto(reply, sender)

    def answer(self, message):
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode())
            at += 1 + message[at]
        name, question = ".".join(labels).lower(), message[12:at + 5]
        kind = struct.unpack(">H", message[at + 1:at + 3])[0]
        flags, answers = (0x8183, b"") if name not in self.names else (0x8180, b"")  # NXDOMAIN or fine
        if name in self.names and kind == 1:
            left = self.names[name]
            address = left[0] if len(left) == 1 else left.pop(0)
            self.asked.append((name, address))
            if address is None:
                return None
            answers = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
        elif self.names.get(name, [""])[0] is None:
            return None
        return message[:2] + struct.pack(">HHHHH", flags, 1, 1 if answers else 0, 0, 0) + question + answers
