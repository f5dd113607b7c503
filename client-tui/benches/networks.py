"""What lies between client and server in the benchmarks: nothing, a proxy that delays and slows down, or two network namespaces with
delayed packets between them, where the system's own TCP has to cope.

Each network says how a server's command is started (`there`), how a client's (`here`), which address servers listen on (`host`), and what a
client connects to instead of a server's port (`way_to`).
"""

import collections
import contextlib
import ctypes
import fcntl
import os
import pathlib
import select
import signal
import struct
import subprocess
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
SLOW_LINK = TOP / "target/release/examples/slow_link"


class Loopback:
    """Nothing between them."""

    host = "127.0.0.1"
    name = "loopback"
    rate_mbit = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def here(self, command):
        return [str(part) for part in command]

    there = here

    def way_to(self, port, listen=None):
        return self.host, port


class Proxied(Loopback):
    """A proxy in user space before each server. It hides the windows of the system's TCP."""

    def __init__(self, delay_ms=0, rate_mbit=None, buffer_ms=30):
        self.rate_mbit = rate_mbit
        self.options = ["--delay-ms", delay_ms, "--buffer-ms", buffer_ms]
        self.options += ["--rate-mbit", rate_mbit] if rate_mbit else []
        self.name = " ".join(filter(None, [f"{2 * delay_ms} ms there and back" if delay_ms else "",
                                           f"{rate_mbit} Mbit/s, {buffer_ms} ms of buffer" if rate_mbit else ""])) + ", proxy"
        self.proxies = []
        if not SLOW_LINK.exists():
            raise SystemExit("build it first: cargo build --release --workspace --bins --examples")

    def way_to(self, port, listen=None):
        """`listen`: an address and port of its own, where a free one will not do."""
        listen = listen or ("127.0.0.1", 0)
        command = [SLOW_LINK, "--listen", "%s:%d" % listen, "--to", f"{self.host}:{port}", *self.options]
        proxy = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
        self.proxies.append(proxy)
        return listen[0], int(proxy.stdout.readline())

    def __exit__(self, *_):
        for proxy in self.proxies:
            proxy.terminate()
            proxy.wait()


class Namespaces(Loopback):
    """Two network namespaces, a TUN device in each, and this process between them, which passes each packet on later. Root only."""

    host = "192.0.2.2"
    TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
    IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x1, 0x1000, 0x4000
    # Packets pass in bundles, as the system makes them, and are cut at the end.
    OFFLOADS = 1 | 2 | 4
    CLONE_NEWNET = 0x40000000

    def __init__(self, delay_ms):
        self.delay, self.name = delay_ms / 1000, f"{2 * delay_ms} ms there and back, real TCP"
        self.spaces = [f"versus-{os.getpid()}-{side}" for side in ("here", "there")]
        self.libc = ctypes.CDLL(None, use_errno=True)

    def here(self, command):
        return ["ip", "netns", "exec", self.spaces[0], *(str(part) for part in command)]

    def there(self, command):
        return ["ip", "netns", "exec", self.spaces[1], *(str(part) for part in command)]

    def __enter__(self):
        self.tuns = []
        for space, address in zip(self.spaces, ("192.0.2.1/24", f"{self.host}/24")):
            subprocess.run(["ip", "netns", "add", space], check=True)
            self.tuns.append(self.tun_in(space))
            for line in (f"addr add {address} dev tun0", "link set tun0 mtu 1500 txqueuelen 20000 up", "link set lo up"):
                subprocess.run(["ip", "-n", space, *line.split()], check=True)
        self.carrier = os.fork()
        if not self.carrier:
            with contextlib.suppress(KeyboardInterrupt, OSError):
                self.carry()
            os._exit(0)
        return self

    def tun_in(self, space):
        """A device within a namespace. Done by a thread of its own, since a thread's namespace is what changes."""
        made = []

        def make():
            with open(f"/run/netns/{space}") as handle:
                if self.libc.setns(handle.fileno(), self.CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            flags = self.IFF_TUN | self.IFF_NO_PI | self.IFF_VNET_HDR
            fcntl.ioctl(tun, self.TUNSETIFF, struct.pack("16sH14x", b"tun0", flags))
            fcntl.ioctl(tun, self.TUNSETOFFLOAD, self.OFFLOADS)
            made.append(tun)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if not made:
            raise SystemExit("no TUN device can be made here")
        return made[0]

    def carry(self):
        """Passes packets on, each when its time has come."""
        one, other = self.tuns
        waiting = collections.deque()
        while True:
            pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
            for tun in select.select(self.tuns, [], [], pause)[0]:
                with contextlib.suppress(BlockingIOError):
                    for _ in range(64):
                        waiting.append((time.monotonic() + self.delay, other if tun == one else one, os.read(tun, 70_000)))
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, tun, packet = waiting.popleft()
                with contextlib.suppress(BlockingIOError):
                    os.write(tun, packet)

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.carrier, signal.SIGTERM)
        os.waitpid(self.carrier, 0)
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], check=False)
