#!/usr/bin/env python3
"""Answers that are packed files: gzip and zip around JSON, NDJSON and CSV."""
import gzip
import io
import json
import zipfile

import rest_case
from rest_case import Reply, RestTest, items

SCHEMA = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
LINES = {"schema": SCHEMA, "records": {"path": "$"}}


def ndjson(rows):
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


def csv(rows):
    return ("id;name\n" + "".join(f"{r['id']};{r['name']}\n" for r in rows)).encode()


class Pipe(io.RawIOBase):
    """What cannot be sought in: sizes come behind the data then."""

    def __init__(self):
        super().__init__()
        self.bytes = b""

    def writable(self):
        return True

    def write(self, more):
        self.bytes += bytes(more)
        return len(more)


def zipped(files, method=zipfile.ZIP_DEFLATED, pipe=False, wide=False):
    out = Pipe() if pipe else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            if name.endswith("/"):
                archive.writestr(zipfile.ZipInfo(name), b"")
                continue
            with archive.open(name, "w", force_zip64=wide) as member:
                member.write(content)
    return out.bytes if pipe else out.getvalue()


class Packed(RestTest):
    def answer(self, body, kind="application/octet-stream", chunk=None, **headers):
        self.api.on("/items", lambda r: Reply(body, headers={"Content-Type": kind, **headers}, chunk=chunk))

    def read(self, name, body, decoder, kind="application/octet-stream", chunk=None, stream=LINES, **client):
        self.anew(name)
        self.answer(body, kind, chunk)
        self.rest(self.stream(**stream), **({"decoder": decoder} if decoder else {}), **client)
        self.run_it()
        return self.ids()

    def test_every_format_in_gzip(self):
        whole = {"schema": SCHEMA}
        for k, (decoder, body, stream) in enumerate((
                ({"gzip": "ndjson"}, ndjson(items(1, 900)), LINES), ({"gzip": "json"}, json.dumps({"data": items(1, 900)}).encode(), whole),
                ({"gzip": {"csv": {"delimiter": ";"}}}, csv(items(1, 900)), LINES))):
            for chunk in (None, 1):
                with self.subTest(decoder=decoder, chunk=chunk):
                    self.assertEqual(self.read(f"gzip-{k}-{chunk}".lower(), gzip.compress(body), decoder, chunk=chunk, stream=stream), list(range(1, 901)))

    def test_members_of_gzip_are_one_content(self):
        text = ndjson(items(1, 9))
        body = gzip.compress(text[:40]) + gzip.compress(text[40:]) + bytes(512)
        self.assertEqual(self.read("members", body, {"gzip": "ndjson"}), list(range(1, 10)))

    def test_every_file_of_a_zip_is_read(self):
        files = {"in/": b"", "in/a.csv": csv(items(1, 5)), "__MACOSX/a.csv": b"what a desktop adds", "b.csv": csv(items(6, 9))}
        for k, more in enumerate(({}, {"method": zipfile.ZIP_STORED}, {"pipe": True}, {"wide": True}, {"pipe": True, "wide": True})):
            for chunk in (None, 1):
                with self.subTest(**more, chunk=chunk):
                    self.assertEqual(self.read(f"zip-{k}-{chunk}".lower(), zipped(files, **more), {"zip": {"csv": {"delimiter": ";"}}}, chunk=chunk),
                                     list(range(1, 10)))

    def test_the_content_type_tells(self):
        text = json.dumps({"data": items(1, 3)}).encode()
        for kind, body in (("application/gzip", gzip.compress(text)), ("application/x-gzip; charset=binary", gzip.compress(text)),
                           ("application/zip", zipped({"a.json": text}))):
            with self.subTest(kind=kind):
                self.assertEqual(self.read(kind.replace("/", "-").split(";")[0], body, None, kind, stream={"schema": SCHEMA}), [1, 2, 3])

    def test_unpacked_on_the_way_is_taken_as_it_is(self):
        self.answer(gzip.compress(ndjson(items(1, 3))), **{"Content-Encoding": "gzip"})
        self.rest(self.stream(**LINES), decoder={"gzip": "ndjson"})
        self.run_it()
        self.assertEqual(self.ids(), [1, 2, 3])

    def test_broken_ones_deliver_nothing_and_say_why(self):
        good, packed = zipped({"a": ndjson(items(1, 50))}), gzip.compress(ndjson(items(1, 50)))
        encrypted, wrong = bytearray(good), bytearray(good)
        encrypted[6] |= 1
        wrong[14] ^= 1
        for k, (kind, body, why) in enumerate((
                ("gzip", packed[:-9], "ends in the middle"), ("gzip", packed[:30] + b"\xff" * 20 + packed[50:], "cannot be read"),
                ("gzip", packed + b"x", "something else behind it"), ("zip", good[:len(good) // 2], "ends in the middle"),
                ("zip", bytes(wrong), "checksum"), ("zip", bytes(encrypted), "encrypted"), ("zip", b"PK is no zip", "no file"))):
            with self.subTest(why=why, kind=kind):
                self.anew(f"broken-{k}")
                self.answer(body)
                self.rest(self.stream(**LINES), decoder={kind: "ndjson"})
                error = self.failure("body_not_decodable")
                self.assertIn(why, error["message"])
                self.assertEqual(len(self.api.asked("/items")), 3, "it is asked for twice more")

    def test_bombs(self):
        """A file within an answer is bounded as the answer is: 200 to 1, and max_response."""
        large = b'{"data":[' + b" " * (64 << 20)
        for kind, body in (("gzip", gzip.compress(large)), ("zip", zipped({"a.json": large}))):
            for more in ({}, {"max_response": "2MiB"}):
                with self.subTest(kind=kind, **more):
                    self.anew(f"bomb-{kind}-{len(more)}")
                    self.answer(body)
                    self.rest(self.stream(schema=SCHEMA), decoder={kind: "json"}, **more)
                    self.assertIn("larger than allowed", self.failure("too_large")["message"])
                    self.assertEqual(len(self.api.asked("/items")), 1)

    def test_what_a_decoder_may_say(self):
        for decoder, pointers in (({"gzip": "xml"}, ["/gzip"]), ({"zip": {"zip": "json"}}, ["/zip"]), ({"gzip": "csv", "zip": "csv"}, [""]),
                                  ({}, [""]), ({"gzip": 7}, ["/gzip"]), ({"gzip": {"csv": {"delimiter": "ab"}}}, ["/gzip/csv/delimiter"])):
            with self.subTest(decoder=decoder):
                answer = self.service.put(f"/v1/sources/{self.name}", {"connector": "rest", "config": {
                    "document": self.document([self.stream()], decoder=decoder)}})
                self.assertEqual(sorted(answer.pointers), ["/config/document/client/decoder" + p for p in pointers])


if __name__ == "__main__":
    rest_case.main()
