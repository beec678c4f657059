"""Who serves a URL on this machine: the processes that hold the socket which listens there (Linux)."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from hexgate.meters.processes import parent_of

__all__ = ["listening_pids"]

_Address = IPv4Address | IPv6Address

_LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp."""
_PASS_ON = frozenset(
    {"docker-proxy", "rootlessport", "slirp4netns", "pasta", "passt", "gvproxy", "socat", "kubectl"}
    | {"ssh", "sshd", "sshd-session", "nginx", "haproxy", "envoy", "traefik", "caddy"}
)
"""Programs that hold a port for a server which is somewhere else."""
_BY_HAND = "name the process with --server-pid"


def listening_pids(url: str) -> tuple[int, ...] | str:
    """The processes that listen where a URL points, but not what another of them started; or why there are none."""
    if not sys.platform.startswith("linux"):
        return f"a server is found by its port on Linux alone; {_BY_HAND}"
    place = _place(url)
    if isinstance(place, str):
        return place
    addresses, port = place
    inodes = set(_listening(addresses, port))
    if not inodes:
        return (
            f"nothing listens on port {port} that can be seen from here: the server is in another network "
            f"namespace, such as a container's; {_BY_HAND}"
        )
    holders = [pid for pid in _pids() if _holds(pid, {f"socket:[{inode}]" for inode in inodes})]
    names = {_name(pid) for pid in holders}
    if names and names <= _PASS_ON:
        return f"{', '.join(sorted(names))} holds port {port} and passes requests on; {_BY_HAND}"
    found = tuple(pid for pid in holders if not _is_below(pid, holders))
    return found or f"what listens on port {port} belongs to someone else; {_BY_HAND}, or measure as its user"


def _place(url: str) -> tuple[list[_Address], int] | str:
    """The addresses of this machine that a URL means, and its port; or why there are none."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if not parts.hostname or port is None:
        return "the target has no host and port"
    addresses = _resolved(parts.hostname)
    if not addresses:
        return f"the name {parts.hostname} cannot be resolved here"
    here = [address for address in addresses if _is_here(address)]
    return (here, port) if here else "the target is not on this machine"


def _resolved(host: str) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    texts = {str(entry[4][0]).partition("%")[0] for entry in found}
    return [_plain(ip_address(text)) for text in sorted(texts)]


def _plain(address: _Address) -> _Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _is_here(address: _Address) -> bool:
    """Whether it is an address of this machine: then, and only then, a socket can be bound to it."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.bind((str(address), 0))
    except OSError:
        return False
    return True


def _listening(addresses: Collection[_Address], port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *rest = line.split()
            host, _, local_port = local.rpartition(":")
            if state != _LISTEN or int(local_port, 16) != port:
                continue
            bound = _plain(_unpacked(host))
            # A socket of all IPv6 addresses listens on those of IPv4 too, as a rule.
            if bound in addresses or bound.is_unspecified:
                yield rest[5]


def _unpacked(text: str) -> _Address:
    """An address as the kernel prints it: words of 32 bits in the order of this machine's bytes."""
    data = bytes.fromhex(text)
    words = (data[at : at + 4] for at in range(0, len(data), 4))
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - names are wanted


def _holds(pid: int, sockets: Collection[str]) -> bool:
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(_points_at(entry.path) in sockets for entry in entries)
    except OSError:
        return False


def _points_at(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - called for every descriptor of the machine
    except OSError:
        return None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _is_below(pid: int, others: Collection[int]) -> bool:
    above = parent_of(pid)
    while above:
        if above in others:
            return True
        above = parent_of(above)
    return False
