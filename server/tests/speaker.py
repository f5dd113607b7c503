#!/usr/bin/env python3
"""Speaks Towpath's protocol to a running towd, step by step, and checks every answer.

Written from protocol/PROTOCOL.md alone, with a MessagePack and a BLAKE3 library (pip install msgpack blake3): it shows that the page is
enough to write a client. It makes one new folder on the server, works in it, and removes it again.

TARGET is tow://HOST:PORT, HOST:PORT, or unix:PATH. Ends with 0 if everything was as the page says, else with 1 and the step that was not.
"""

import argparse
import os
import socket
import struct
import sys
import time

try:
    import msgpack
    from blake3 import blake3
except ImportError as missing:
    sys.exit(f"speaker: {missing}; pip install msgpack blake3")

PREAMBLE = b"TOWPATH1"
DATA_BYTES = 65_536
MIB = 1_048_576
RANGE = 4 * MIB
NO_LIMITS = {"frame_bytes": 0, "requests_in_flight": 0, "upload_credit_bytes": 0}

# Numbers of kinds (PROTOCOL.md, "All kinds").
HELLO, BYE, PING, CANCEL, MORE = 1, 2, 3, 4, 5
LIST, WALK, STAT, READ, SPACE, MEASURE = 16, 17, 18, 19, 20, 21
PUT, BEGIN_UPLOAD, UPLOAD_DATA, COMMIT_UPLOAD, ABORT_UPLOAD = 32, 33, 34, 35, 36
MAKE_FOLDER, MAKE_LINK, SET_MODE, SET_TIMES, RENAME, COPY, REMOVE, FLUSH = 37, 38, 39, 40, 41, 42, 43, 44
DONE, FAULT, WELCOME, PONG, SERVER_BYE = 128, 129, 130, 131, 132
LIST_PAGE, WALK_PAGE, STATS, FILE_WHOLE, READ_HEAD, DATA, READ_DONE, SPACE_INFO = range(144, 152)
UPLOAD_READY, UPLOAD_ACK, STORED, PROGRESS, TOTALS = range(160, 165)
NOT_FINAL = {LIST_PAGE, WALK_PAGE, READ_HEAD, DATA, UPLOAD_READY, UPLOAD_ACK, PROGRESS}

# Codes of faults (chapter 9).
NOT_FOUND, ALREADY_EXISTS, NOT_EMPTY, OUTSIDE_ROOT = 1, 3, 6, 8
CHANGED, HASH_MISMATCH, CANCELLED, LIMIT_EXCEEDED, UNSUPPORTED, MALFORMED, OUT_OF_ORDER = 100, 101, 200, 201, 300, 301, 302

KEEP, REPLACE = 0, 1


class Unexpected(Exception):
    """The server did something that the page does not say."""


def check(condition, what):
    if not condition:
        raise Unexpected(what)


class Refused(Exception):
    """A request ended in a Fault."""

    def __init__(self, body):
        self.code = body["code"]
        super().__init__(f"fault {self.code} {body.get('path', '')} {body.get('detail', '')}")


# --- chapter 11: hashes of ranges ---

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
PARENT, ROOT = 4, 8


def parent(left, right, is_root):
    words = struct.unpack("<16I", left + right)
    v = [*IV, *IV[:4], 0, 0, 64, PARENT | (ROOT if is_root else 0)]

    def turn(x, n):
        return (x >> n | x << (32 - n)) & 0xFFFFFFFF

    def mix(a, b, c, d, x, y):
        for word, right_d, right_b in ((x, 16, 12), (y, 8, 7)):
            v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
            v[d] = turn(v[d] ^ v[a], right_d)
            v[c] = (v[c] + v[d]) & 0xFFFFFFFF
            v[b] = turn(v[b] ^ v[c], right_b)

    for _ in range(7):
        for i in range(4):
            mix(i, 4 + i, 8 + i, 12 + i, words[2 * i], words[2 * i + 1])
        for i in range(4):
            mix(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, words[8 + 2 * i], words[9 + 2 * i])
        words = [words[i] for i in ORDER]
    return struct.pack("<8I", *(v[i] ^ v[i + 8] for i in range(8)))


def merge(values):
    stack = []
    for count, value in enumerate(values):
        while len(stack) > bin(count).count("1"):
            right = stack.pop()
            stack.append(parent(stack.pop(), right, False))
        stack.append(value)
    while len(stack) > 2:
        right = stack.pop()
        stack.append(parent(stack.pop(), right, False))
    return parent(*stack, True)


# --- chapters 1 to 3: the stream ---


class Server:
    """A connection: sends requests, and sorts what comes back by its id."""

    def __init__(self, target, timeout):
        self.stream = connect(target, timeout)
        self.received = b""
        self.waiting = {}
        self.last_id = 0
        self.stream.sendall(PREAMBLE)

    def skip_to_preamble(self):
        while PREAMBLE not in self.received:
            check(len(self.received) <= 8192 + len(PREAMBLE), "no preamble within 8 KiB")
            self.fill()
        self.received = self.received.split(PREAMBLE, 1)[1]

    def fill(self):
        more = self.stream.recv(1 << 18)
        check(more, "the server closed the connection without Bye")
        self.received += more

    def next_message(self):
        """[kind, id, body] of the next frame."""
        while len(self.received) < 4 or len(self.received) < 4 + struct.unpack(">I", self.received[:4])[0]:
            self.fill()
        length = struct.unpack(">I", self.received[:4])[0]
        check(0 < length <= MIB, f"a frame of {length} bytes")
        content, self.received = self.received[4 : 4 + length], self.received[4 + length :]
        message = msgpack.unpackb(content, raw=False)
        check(len(message) == 3 and message[0] >= 128, f"not a server's message: {message}")
        return message

    def say(self, kind, identifier, body):
        content = msgpack.packb([kind, identifier, body], use_bin_type=True)
        self.stream.sendall(struct.pack(">I", len(content)) + content)

    def begin(self, kind, body):
        """Opens an exchange, and gives its id."""
        self.last_id += 1
        self.waiting[self.last_id] = []
        self.say(kind, self.last_id, body)
        return self.last_id

    def answer(self, identifier):
        """The next (kind, body) within an exchange. A Fault is raised."""
        while not self.waiting[identifier]:
            kind, whose, body = self.next_message()
            check(whose in self.waiting, f"an answer of kind {kind} to nothing, under id {whose}")
            self.waiting[whose].append((kind, body))
        kind, body = self.waiting[identifier].pop(0)
        if kind not in NOT_FINAL:
            check(not self.waiting.pop(identifier), "something came after the final answer")
        if kind == FAULT:
            raise Refused(body)
        return kind, body

    def ask(self, kind, body, expected):
        """A request with one answer, but for Progress before it."""
        identifier = self.begin(kind, body)
        kind, body = self.answer(identifier)
        while kind == PROGRESS:
            kind, body = self.answer(identifier)
        check(kind == expected, f"an answer of kind {kind}, not {expected}")
        return body

    def refused(self, kind, body, code):
        """A request that must end in this fault."""
        try:
            answered = self.answer(self.begin(kind, body))
        except Refused as refusal:
            check(refusal.code == code, f"{refusal}, expected {code}")
            return
        raise Unexpected(f"{answered} instead of fault {code}")


def connect(target, timeout):
    if target.startswith("unix:"):
        stream = socket.socket(socket.AF_UNIX)
        address = target[len("unix:") :]
    else:
        host, _, port = target.removeprefix("tow://").split("/")[0].rpartition(":")
        address = (host.strip("[]"), int(port))
        stream = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.settimeout(timeout)
    stream.connect(address)
    return stream


# --- chapter 4: common types ---


def through(path):
    """What a path leads to."""
    return {"base": path, "path": []}


def at(path):
    """The thing itself."""
    return {"base": path[:-1], "path": path[-1:]}


def operation():
    return os.urandom(16)


def version_of(attributes):
    return [attributes[5], attributes[1], attributes[2], attributes[3]]


def store(existing=KEEP, expected=None):
    body = {"mode": 0o640, "modified_ns": 1_700_000_000_123_456_789, "existing": existing, "durability": 0}
    return body if expected is None else {**body, "expected": expected}


# --- chapters 6 to 8: requests ---


def list_folder(server, folder, sort=0, direction=0, credit=2):
    """All entries, one further page granted for each that came."""
    body = {"folder": folder, "sort": sort, "direction": direction, "hidden": 0, "pages": credit}
    identifier = server.begin(LIST, body)
    entries, total = [], None
    while True:
        kind, body = server.answer(identifier)
        if kind == DONE:
            check(total is not None, "a listing without a page")
            check(len(entries) <= total, "more entries than the total")
            return entries
        check(kind == LIST_PAGE, f"kind {kind} in a listing")
        check(total in (None, body["total"]), "the total changed")
        total = body["total"]
        for name, attributes in body["entries"]:
            check(isinstance(name, bytes) and 1 <= len(name) <= 255, f"the name {name}")
            check(name not in (b".", b"..") and not set(name) & {0, 0x2F}, f"the name {name}")
            check(len(attributes) == 8, f"the attributes {attributes}")
        entries += body["entries"]
        server.say(MORE, identifier, {"pages": 1})


def read_file(server, file, size, version):
    """A file's bytes: whole where it is small, else in ranges, all in flight."""
    if size <= DATA_BYTES:
        body = {"file": file, "version": version, "offset": 0, "len": DATA_BYTES}
        answer = server.ask(READ, body, FILE_WHOLE)
        check(blake3(answer["data"]).digest() == answer["hash"], "a small file's hash")
        return answer["data"], answer["hash"]
    reads = [
        server.begin(READ, {"file": file, "version": version, "offset": offset, "len": RANGE})
        for offset in range(0, size, RANGE)
    ]
    parts, hashes = [], []
    for identifier, offset in zip(reads, range(0, size, RANGE)):
        part, done = read_range(server, identifier, offset)
        parts.append(part)
        hashes.append(done["hash"])
    return b"".join(parts), merge(hashes) if len(hashes) > 1 else hashes[0]


def read_range(server, identifier, offset):
    kind, body = server.answer(identifier)
    check(kind == READ_HEAD and len(body["attributes"]) == 8, "a range begins with ReadHead")
    parts, next_offset = [], offset
    while True:
        kind, body = server.answer(identifier)
        if kind == READ_DONE:
            check(body["len"] == next_offset - offset, "the length of a range")
            return b"".join(parts), body
        check(kind == DATA and body[0] == next_offset, "data without gaps")
        check(1 <= len(body[1]) <= DATA_BYTES, "data of 1 byte to 64 KiB")
        parts.append(body[1])
        next_offset += len(body[1])


def put(server, file, data, how=None, name=None):
    body = {
        "operation": name or operation(),
        "file": file,
        "store": how or store(),
        "hash": blake3(data).digest(),
        "data": data,
    }
    return server.ask(PUT, body, STORED)["attributes"]


def upload(server, file, data):
    """Sends as far ahead as the credit allows."""
    begin = {"operation": operation(), "file": file, "store": store(), "size": len(data)}
    identifier = server.begin(BEGIN_UPLOAD, begin)
    kind, ready = server.answer(identifier)
    check(kind == UPLOAD_READY and ready["offset"] == 0, "an upload begins with UploadReady")
    check(len(ready["token"]) == 16, "the token")
    sent = acknowledged = 0
    credit = ready["credit_bytes"]
    while sent < len(data):
        piece = data[sent : sent + min(DATA_BYTES, acknowledged + credit - sent)]
        if piece:
            server.say(UPLOAD_DATA, identifier, [sent, piece])
            sent += len(piece)
            continue
        kind, ack = server.answer(identifier)
        check(kind == UPLOAD_ACK and acknowledged < ack["received"] <= sent, f"the acknowledgement {ack}")
        acknowledged, credit = ack["received"], ack["credit_bytes"]
    server.say(COMMIT_UPLOAD, identifier, {"len": len(data), "hash": blake3(data).digest()})
    kind, body = server.answer(identifier)
    while kind == UPLOAD_ACK:
        kind, body = server.answer(identifier)
    check(kind == STORED, f"kind {kind} at the end of an upload")
    return body["attributes"]


# --- the story ---


def hello(server, _):
    """Hello and Welcome"""
    body = {"protocol": 1, "agent": "speaker.py", "capabilities": [], "limits": NO_LIMITS}
    identifier = server.begin(HELLO, body)
    server.skip_to_preamble()
    kind, welcome = server.answer(identifier)
    check(kind == WELCOME and welcome["protocol"] == 1, "Welcome")
    check(0 < welcome["limits"]["frame_bytes"] <= MIB, "zero means the protocol's own limit")
    check(0 < welcome["limits"]["requests_in_flight"] <= 512, "zero means the protocol's own limit")
    check(isinstance(welcome["root_name"], str) and isinstance(welcome["home"], list), "the root")
    check(welcome["access"] == 0, "the server is read-only: nothing can be tried on it")


def ping(server, _):
    """Ping and Pong"""
    check(server.ask(PING, {}, PONG) == {}, "Pong has an empty body")


def make_folder(server, at_folder):
    """MakeFolder, a repeat of it, and a second one"""
    name = operation()
    body = {"operation": name, "folder": at(at_folder), "mode": 0o755, "existing": KEEP}
    made = server.ask(MAKE_FOLDER, body, STORED)["attributes"]
    check(made[0] == 1 and made[4] & 0o700 == 0o700, f"the folder {made}")
    repeated = server.ask(MAKE_FOLDER, body, STORED)["attributes"]
    check(repeated == made, "a repeat under the same operation id gets the same answer")
    server.refused(MAKE_FOLDER, {**body, "operation": operation()}, ALREADY_EXISTS)
    entries = list_folder(server, through(at_folder))
    check(entries == [], "a new folder is empty")


def small_files(server, folder):
    """Put, List, Stat, Read of small files"""
    contents = {b"a10.txt": b"ten", b"a9.TXT": b"", b"\xff\n\x1b.bin": os.urandom(DATA_BYTES)}
    for name, data in contents.items():
        attributes = put(server, at([*folder, name]), data)
        check(attributes[:3] == [0, len(data), 1_700_000_000_123_456_789], f"{name} stored: {attributes}")
        check(attributes[4] & ~0o640 == 0, f"the mode of {name}: {attributes[4]:o}")
    listed = list_folder(server, through(folder))
    check([name for name, _ in listed] == [b"a9.TXT", b"a10.txt", b"\xff\n\x1b.bin"], f"name order: {listed}")
    by_size = list_folder(server, through(folder), sort=1, direction=1)
    check([attributes[1] for _, attributes in by_size] == [DATA_BYTES, 3, 0], f"by size, descending: {by_size}")
    for name, attributes in listed:
        data, _ = read_file(server, at([*folder, name]), attributes[1], version_of(attributes))
        check(data == contents[name], f"the content of {name}")
    paths = [[b"a10.txt"], [b"missing"], []]
    items = server.ask(STAT, {"base": folder, "paths": paths, "follow": 0}, STATS)["items"]
    check(items[0] == [listed[1][1], None], f"Stat says what List says: {items[0]}")
    check(items[1] == [None, NOT_FOUND] and items[2][0][0] == 1, f"Stat of nothing, and of the base: {items}")


def replacing(server, folder):
    """Keep, Replace, expected versions, wrong hashes"""
    file = at([*folder, b"replaced"])
    first = put(server, file, b"one")
    body = {"operation": operation(), "file": file, "store": store(), "hash": blake3(b"two").digest(), "data": b"two"}
    server.refused(PUT, body, ALREADY_EXISTS)
    second = put(server, file, b"two", store(REPLACE, version_of(first)))
    late = {**body, "operation": operation(), "store": store(REPLACE, version_of(first))}
    server.refused(PUT, late, CHANGED)
    server.refused(PUT, {**late, "operation": operation(), "hash": bytes(32)}, HASH_MISMATCH)
    read = {"file": file, "offset": 0, "len": DATA_BYTES}
    server.refused(READ, {**read, "version": version_of(first)}, CHANGED)
    answer = server.ask(READ, {**read, "version": version_of(second)}, FILE_WHOLE)
    check(answer["data"] == b"two" and answer["grown"] is False, "the replaced file")


def large_file(server, folder, data):
    """BeginUpload, UploadData, CommitUpload; Read in ranges whose hashes merge"""
    path = [*folder, b"large"]
    attributes = upload(server, at(path), data)
    check(attributes[1] == len(data), "the size of what was uploaded")
    received, merged = read_file(server, at(path), len(data), version_of(attributes))
    check(received == data, "what was uploaded comes back")
    check(merged == blake3(data).digest(), "the ranges' values merge into the file's hash")
    for offset, length in ((len(data) - 5, 100), (1, 70_000), (len(data), 1)):
        identifier = server.begin(READ, {"file": at(path), "offset": offset, "len": length})
        part, done = read_range(server, identifier, offset)
        check(part == data[offset : offset + length], f"{length} bytes at {offset}")
        check(done.get("hash") is None, "no hash of a range that is not aligned")
    server.refused(READ, {"file": at(path), "offset": 0, "len": 16 * MIB + 1}, LIMIT_EXCEEDED)


def given_up_uploads(server, folder):
    """AbortUpload, Cancel, data out of order: nothing is left"""
    before = list_folder(server, through(folder))
    for end, expected in ((ABORT_UPLOAD, None), (CANCEL, CANCELLED), (UPLOAD_DATA, OUT_OF_ORDER)):
        file = at([*folder, b"given up"])
        begin = {"operation": operation(), "file": file, "store": store(), "size": 9}
        identifier = server.begin(BEGIN_UPLOAD, begin)
        check(server.answer(identifier)[0] == UPLOAD_READY, "UploadReady")
        server.say(UPLOAD_DATA, identifier, [0, b"nine"])
        server.say(end, identifier, [9, b"a gap"] if end == UPLOAD_DATA else {})
        try:
            kind = UPLOAD_ACK
            while kind == UPLOAD_ACK:
                kind, _ = server.answer(identifier)
            check(kind == DONE and expected is None, f"kind {kind} at the end")
        except Refused as refusal:
            check(refusal.code == expected, f"{refusal}, expected {expected}")
    check(list_folder(server, through(folder)) == before, "an upload that was given up leaves nothing")


def links(server, folder):
    """MakeLink; links resolve in base, never in path"""
    link = [*folder, b"link"]
    body = {"operation": operation(), "link": at(link), "target": b"a10.txt", "modified_ns": 5, "existing": KEEP}
    made = server.ask(MAKE_LINK, body, STORED)["attributes"]
    check(made[0] == 2 and made[2] == 5 and made[6] == b"a10.txt", f"the link {made}")
    read = {"offset": 0, "len": DATA_BYTES}
    check(server.ask(READ, {"file": through(link), **read}, FILE_WHOLE)["data"] == b"ten", "through the link")
    server.refused(READ, {"file": at(link), **read}, OUTSIDE_ROOT)
    followed = server.ask(STAT, {"base": folder, "paths": [[b"link"]], "follow": 1}, STATS)["items"]
    check(followed[0][0][0] == 0, f"a link looked through is a file: {followed}")
    listed = dict((name, attributes) for name, attributes in list_folder(server, through(folder)))
    check(listed[b"link"][6:] == [b"a10.txt", 0], f"a listing tells where a link leads: {listed[b'link']}")


def trees(server, folder):
    """SetMode, SetTimes, Rename, Copy, Flush, Walk, Measure, Space"""
    inner = [*folder, b"inner"]
    body = {"operation": operation(), "folder": at(inner), "mode": 0o755, "existing": KEEP}
    server.ask(MAKE_FOLDER, body, STORED)
    put(server, at([*inner, b"x"]), b"12345")
    moved = {"operation": operation(), "from": at([*inner, b"x"]), "to": at([*inner, b"y"]), "existing": KEEP}
    server.ask(RENAME, moved, DONE)
    server.ask(SET_MODE, {"thing": at(inner), "mode": 0o750}, DONE)
    server.ask(SET_TIMES, {"thing": at(inner), "modified_ns": 1_000_000_007}, DONE)
    copied = {"operation": operation(), "from": at(inner), "to": at([*folder, b"copy"]), "existing": KEEP}
    totals = server.ask(COPY, {**copied, "durability": 0}, TOTALS)
    check([totals[key] for key in ("files", "folders", "bytes", "failed")] == [1, 1, 5, 0], f"copied: {totals}")
    server.ask(FLUSH, {"folder": through(folder)}, DONE)
    identifier = server.begin(WALK, {"start": at([*folder, b"copy"]), "pages": 4})
    items = []
    while True:
        kind, page = server.answer(identifier)
        if kind == DONE:
            break
        items += page["items"]
    shape = [(depth, entry[0], fault) for depth, entry, fault in items]
    check(shape == [(0, b"copy", None), (1, b"y", None)], f"walked: {shape}")
    check(items[0][1][1][2] == 1_000_000_007, "a copied folder keeps its time")
    check(items[0][1][1][4] & ~0o750 == 0, "and its mode")
    measured = server.ask(MEASURE, {"things": [at(inner), at([*folder, b"copy"])]}, TOTALS)
    check([measured[key] for key in ("files", "folders", "bytes")] == [2, 2, 10], f"measured: {measured}")
    space = server.ask(SPACE, {"path": folder}, SPACE_INFO)
    check(0 < space["free"] <= space["total"], f"space: {space}")


def credit(server, folder):
    """No page without credit; Cancel"""
    listing = {"folder": through(folder), "sort": 0, "direction": 0, "hidden": 0}
    identifier = server.begin(LIST, {**listing, "pages": 0})
    server.ask(PING, {}, PONG)
    check(not server.waiting[identifier], "a page came without credit")
    server.say(CANCEL, identifier, {})
    try:
        raise Unexpected(f"{server.answer(identifier)} after Cancel")
    except Refused as refusal:
        check(refusal.code == CANCELLED, f"{refusal} after Cancel")
    server.refused(LIST, {**listing, "pages": 257}, LIMIT_EXCEEDED)


def nonsense(server, folder):
    """Unknown kinds and bad bodies are refused, and the session lives"""
    server.refused(99, {"what": "ever"}, UNSUPPORTED)
    server.refused(LIST, {"folder": through(folder)}, MALFORMED)
    server.refused(SPACE, {"path": [b".."]}, MALFORMED)
    server.refused(SPACE, {"path": [b"a/b"]}, MALFORMED)
    server.refused(REMOVE, {"operation": operation(), "thing": through(folder), "depth": 1}, MALFORMED)
    server.say(CANCEL, 4_000_000_000, {})
    server.ask(PING, {}, PONG)


def set_aside(server, folder):
    """Remove of a file set aside: given back, then gone; Flush of one file"""
    path = [*folder, b"aside"]
    stored = put(server, at(path), b"precious")
    flushed = server.ask(FLUSH, {"folder": at(path)}, STORED)["attributes"]
    check(flushed == stored, f"a flushed file is what was stored: {flushed}")
    for goes in (False, True):
        expected = version_of(server.ask(FLUSH, {"folder": at(path)}, STORED)["attributes"])
        body = {"operation": operation(), "thing": at(path), "depth": 0, "expected": expected, "aside": True}
        identifier = server.begin(REMOVE, body)
        check(server.answer(identifier)[0] == PROGRESS, "Progress says that it is aside")
        names = [name for name, _ in list_folder(server, through(folder))]
        check(b"aside" not in names, f"it has another name: {names}")
        check(any(name.startswith(b"aside (moving ") for name in names), f"and is shown: {names}")
        server.say(MORE if goes else CANCEL, identifier, {"pages": 1} if goes else {})
        try:
            kind, body = server.answer(identifier)
            check(goes and kind == TOTALS and body["files"] == 1, f"it is removed: {kind} {body}")
        except Refused as refusal:
            check(not goes and refusal.code == CANCELLED, f"it is given back: {refusal}")
        items = server.ask(STAT, {"base": folder, "paths": [[b"aside"]], "follow": 0}, STATS)["items"]
        check((items[0][0] is None) == goes, f"goes {goes}: {items}")


def remove(server, folder):
    """Remove: single, with an expected version, a tree"""
    body = {"operation": operation(), "thing": at(folder), "depth": 0}
    server.refused(REMOVE, body, NOT_EMPTY)
    file = {"operation": operation(), "thing": at([*folder, b"a10.txt"]), "depth": 0}
    server.refused(REMOVE, {**file, "expected": [1, 2, 3, 4]}, CHANGED)
    totals = server.ask(REMOVE, {**file, "operation": operation()}, TOTALS)
    check([totals["files"], totals["bytes"], totals["failed"]] == [1, 3, 0], f"removed: {totals}")
    totals = server.ask(REMOVE, {**body, "operation": operation(), "depth": 1}, TOTALS)
    check(totals["failed"] == 0 and totals["folders"] == 3, f"removed: {totals}")
    items = server.ask(STAT, {"base": folder[:-1], "paths": [folder[-1:]], "follow": 0}, STATS)["items"]
    check(items == [[None, NOT_FOUND]], "a removed folder is gone")


def bye(server, _):
    """Bye from both sides"""
    server.say(BYE, 0, {})
    kind, identifier, body = server.next_message()
    check([kind, identifier, body] == [SERVER_BYE, 0, {}], "the server says Bye")
    check(not server.received and server.stream.recv(1) == b"", "nothing comes after Bye")


def story(server, folder, data):
    hello(server, folder)
    yield hello.__doc__
    yield from work(server, folder, data)
    bye(server, folder)
    yield bye.__doc__


def work(server, folder, data):
    for step in (ping, make_folder, small_files, replacing):
        step(server, folder)
        yield step.__doc__
    large_file(server, folder, data)
    yield f"{large_file.__doc__} ({len(data)} bytes)"
    for step in (given_up_uploads, links, set_aside, trees, credit, nonsense, remove):
        step(server, folder)
        yield step.__doc__


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("--folder", default="", metavar="PATH", help="work in a new folder within this one [default: the root]")
    parser.add_argument("--large", type=int, default=9, metavar="MIB", help="size of the large file, 5 or more [default: 9]")
    parser.add_argument("--timeout", type=float, default=20, metavar="SECONDS", help="longest wait for the server [default: 20]")
    arguments = parser.parse_args()
    if arguments.large < 5:
        parser.error("--large: at least 5")
    parents = [os.fsencode(name) for name in arguments.folder.split("/") if name]
    folder = [*parents, b"speaker-" + os.urandom(6).hex().encode()]
    # Neither a whole number of ranges nor of blocks.
    data = os.urandom(arguments.large * MIB + 12_345)
    began = time.monotonic()
    try:
        server = Server(arguments.target, arguments.timeout)
        for step in story(server, folder, data):
            print(f"ok: {step}")
    except (Unexpected, Refused, OSError, KeyError, TypeError, ValueError) as problem:
        print(f"speaker: {type(problem).__name__}: {problem}", file=sys.stderr)
        return 1
    print(f"all as PROTOCOL.md says, in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
