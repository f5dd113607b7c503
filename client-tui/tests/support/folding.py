"""A file system in memory that takes names which differ in case for one, over /dev/fuse, without any library. For root.

Usage: folding.py MOUNTPOINT [spellings] [plain-rename] [torn] [no-chmod] [says=BYTES]
  spellings     each spelling of a name has an inode number of its own, as file systems have it that libfuse leads by paths
  plain-rename  renameat2 knows no flags
  torn          reading a folder of more than three entries fails behind those
  no-chmod      nobody may change a mode
  says=BYTES    every file says that it has so many, whatever it holds
Prints "mounted" once it is there, and ends with the mount.
"""
import ctypes
import errno
import os
import stat
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, UNLINK, RMDIR, RENAME, LINK = 1, 2, 3, 4, 9, 10, 11, 12, 13
OPEN, READ, WRITE, STATFS = 14, 15, 16, 17
RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, CREATE, INTERRUPT, BATCH_FORGET, RENAME2 = 18, 20, 25, 26, 27, 28, 29, 30, 35, 36, 42, 45
NOREPLACE = 1
MODE, UID, GID, SIZE, MTIME, MTIME_NOW = 1, 2, 4, 8, 32, 256


class Node:
    def __init__(self, mode):
        self.mode, self.uid, self.gid, self.data, self.entries = mode, 0, 0, bytearray(), {}
        self.names = 1
        self.modified = self.changed = time.time_ns()

    def touch(self):
        self.modified = self.changed = time.time_ns()


class Folding:
    def __init__(self, options):
        self.by_spelling, self.knows_flags = "spellings" in options, "plain-rename" not in options
        self.is_torn, self.may_chmod = "torn" in options, "no-chmod" not in options
        self.says = next((int(option[5:]) for option in options if option.startswith("says=")), None)
        self.nodes, self.numbers = {1: Node(stat.S_IFDIR | 0o777)}, {}

    def number(self, parent, name, node):
        key = (parent, name) if self.by_spelling else id(node)
        number = self.numbers.get(key)
        if number is None or self.nodes[number] is not node:
            number = self.numbers[key] = max(self.nodes) + 1
            self.nodes[number] = node
        return number

    def child(self, parent, name):
        found = self.nodes[parent].entries.get(name.lower())
        if not found:
            raise OSError(errno.ENOENT, "")
        return found[1]

    def attributes(self, number):
        node = self.nodes[number]
        times = [(node.modified, node.modified, node.changed)[i] for i in range(3)]
        seconds, rest = [t // 10**9 for t in times], [t % 10**9 for t in times]
        size = len(node.data) if self.says is None or stat.S_ISDIR(node.mode) else self.says
        return struct.pack("<QQQQQQ10I", number, size, (size + 511) // 512, *seconds, *rest, node.mode, node.names, node.uid, node.gid, 0, 4096, 0)

    def entry(self, number):
        # Nothing of it is to be remembered by the kernel.
        return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + self.attributes(number)

    def make(self, parent, name, mode):
        folder = self.nodes[parent]
        if name.lower() in folder.entries:
            raise OSError(errno.EEXIST, "")
        node = Node(mode)
        folder.entries[name.lower()] = (name, node)
        folder.touch()
        return self.number(parent, name, node)

    def remove(self, parent, name, is_folder):
        node = self.child(parent, name)
        if is_folder and node.entries:
            raise OSError(errno.ENOTEMPTY, "")
        del self.nodes[parent].entries[name.lower()]
        node.names, node.changed = node.names - 1, time.time_ns()
        self.nodes[parent].touch()
        return b""

    def link(self, number, parent, name):
        node, folder = self.nodes[number], self.nodes[parent]
        if name.lower() in folder.entries:
            raise OSError(errno.EEXIST, "")
        folder.entries[name.lower()] = (name, node)
        node.names, node.changed = node.names + 1, time.time_ns()
        folder.touch()
        return self.number(parent, name, node)

    def rename(self, parent, name, other, new, flags):
        if flags and not self.knows_flags or flags & ~NOREPLACE:
            raise OSError(errno.EINVAL, "")
        node, there = self.child(parent, name), self.nodes[other].entries.get(new.lower())
        if there and flags & NOREPLACE:
            raise OSError(errno.EEXIST, "")
        if there and there[1] is not node and there[1].entries:
            raise OSError(errno.ENOTEMPTY, "")
        if there and there[1] is node and (parent, name.lower()) != (other, new.lower()):
            return b""
        del self.nodes[parent].entries[name.lower()]
        self.nodes[other].entries[new.lower()] = (new, node)
        number = self.numbers.pop((parent, name), None)
        if number:
            self.numbers[(other, new)] = number
        node.changed = time.time_ns()
        self.nodes[parent].touch()
        self.nodes[other].touch()
        return b""

    def set(self, number, body):
        valid, _, _, size, _, _, seconds, _, _, rest, _, mode, _, uid, gid, _ = struct.unpack_from("<IIQQQQQQIIIIIIII", body)
        node = self.nodes[number]
        if valid & MODE and not self.may_chmod:
            raise OSError(errno.EPERM, "")
        if valid & MODE:
            node.mode = stat.S_IFMT(node.mode) | mode & 0o7777
        if valid & UID:
            node.uid = uid
        if valid & GID:
            node.gid = gid
        if valid & SIZE:
            node.data = node.data[:size] + bytearray(max(0, size - len(node.data)))
            node.modified = time.time_ns()
        if valid & MTIME:
            node.modified = time.time_ns() if valid & MTIME_NOW else seconds * 10**9 + rest
        node.changed = time.time_ns()
        return struct.pack("<QII", 0, 0, 0) + self.attributes(number)

    def list(self, number, body):
        _, offset, room = struct.unpack_from("<QQI", body)
        node, said = self.nodes[number], b""
        every = [(b".", node), (b"..", node)] + list(node.entries.values())
        if self.is_torn and len(every) > 5:
            if offset >= 5:
                raise OSError(errno.EIO, "")
            every = every[:5]
        for at, (name, child) in list(enumerate(every))[offset:]:
            entry = struct.pack("<QQII", at + 1, at + 1, len(name), stat.S_IFMT(child.mode) >> 12) + name
            entry += bytes(-len(entry) % 8)
            if len(said) + len(entry) > room:
                break
            said += entry
        return said

    def write(self, number, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        node = self.nodes[number]
        node.data.extend(bytes(max(0, offset - len(node.data))))
        node.data[offset:offset + size] = body[40:40 + size]
        node.touch()
        return struct.pack("<II", size, 0)

    def answer(self, kind, number, body):
        name = body.split(b"\0")[0]
        if kind == INIT:
            return struct.pack("<IIIIHHIIHHI28x", 7, 26, 65536, 1 << 5, 12, 10, 131072, 1, 0, 0, 0)
        if kind == LOOKUP:
            return self.entry(self.number(number, name, self.child(number, name)))
        if kind == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attributes(number)
        if kind == SETATTR:
            return self.set(number, body)
        if kind == MKDIR:
            mode, umask = struct.unpack_from("<II", body)
            return self.entry(self.make(number, body[8:].split(b"\0")[0], stat.S_IFDIR | mode & 0o7777 & ~umask))
        if kind == CREATE:
            _, mode, umask, _ = struct.unpack_from("<IIII", body)
            made = self.make(number, body[16:].split(b"\0")[0], stat.S_IFREG | mode & 0o7777 & ~umask)
            return self.entry(made) + struct.pack("<QII", 0, 1, 0)
        if kind in (UNLINK, RMDIR):
            return self.remove(number, name, kind == RMDIR)
        if kind == LINK:
            return self.entry(self.link(struct.unpack_from("<Q", body)[0], number, body[8:].split(b"\0")[0]))
        if kind in (RENAME, RENAME2):
            other, flags = struct.unpack_from("<QI", body) if kind == RENAME2 else (struct.unpack_from("<Q", body)[0], 0)
            names = body[16 if kind == RENAME2 else 8:].split(b"\0")
            return self.rename(number, names[0], other, names[1], flags)
        if kind in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 1 if kind == OPEN else 0, 0)
        if kind == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return bytes(self.nodes[number].data[offset:offset + size])
        if kind == WRITE:
            return self.write(number, body)
        if kind == STATFS:
            return struct.pack("<QQQQQIII4x24x", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096)
        if kind == READDIR:
            return self.list(number, body)
        if kind in (RELEASE, FSYNC, FLUSH, RELEASEDIR, FSYNCDIR):
            return b""
        raise OSError(errno.ENOSYS, "")


def main():
    place, served = sys.argv[1], Folding(sys.argv[2:])
    fuse, libc = os.open("/dev/fuse", os.O_RDWR), ctypes.CDLL(None, use_errno=True)
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fuse
    if libc.mount(b"folding", place.encode(), b"fuse.folding", 6, options):
        sys.exit("mount: " + os.strerror(ctypes.get_errno()))
    print("mounted", flush=True)
    while True:
        try:
            request = os.read(fuse, 200_000)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                continue
            sys.exit(0 if error.errno == errno.ENODEV else str(error))
        _, kind, unique, number = struct.unpack_from("<IIQQ", request)
        if kind in (FORGET, BATCH_FORGET, INTERRUPT):
            continue
        try:
            body, failed = served.answer(kind, number, request[40:]), 0
        except OSError as error:
            body, failed = b"", -error.errno
        try:
            os.write(fuse, struct.pack("<IiQ", 16 + len(body), failed, unique) + body)
        except OSError:
            pass  # Nobody waits for it any more.


main()
