"""The target policy: where an agent goes, and where it never does, whoever asks it to.

Rules
-----
1. A host passes by its name, a port by its number, and each address that a name leads to by what it is. The first two
   are known before anything is sent; the third where the socket is made.
2. What the policy does not say follows from the agent's own file: its hosts, its ports, and public and private
   addresses. Without hosts and ports, each host goes with its own ports. A target of the file that is written as an
   address, or as localhost, leads to that address, or to loopback; no other name leads to loopback.
3. Nothing but a network of one address allows a metadata address. Nothing at all allows an unspecified, multicast or
   broadcast address.
4. A pattern is "*", an address, a name, or "*." before a name. The star stands for one label or more, never for a part
   of one: "10.*" would be a name's too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from outrider.transport.addresses import IpAddress, Kind, Network, inner, kind_of, literal

SETS: Mapping[str, frozenset[Kind]] = {
    "public": frozenset({Kind.PUBLIC}),
    "private": frozenset({Kind.PRIVATE}),
    "loopback": frozenset({Kind.LOOPBACK}),
    "link-local": frozenset({Kind.LINK_LOCAL}),
    "any": frozenset({Kind.PUBLIC, Kind.PRIVATE, Kind.LOOPBACK, Kind.LINK_LOCAL, Kind.SPECIAL}),
}
"""The networks that have a name."""

_USUAL = ("public", "private")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an exchange may not go somewhere. `rule` is "host", "port" or "address"; `words` name the key to change."""

    rule: str
    words: str


def plain(host: str) -> str:
    """A host as it is compared: an address in its usual spelling, a name in lower case without a last dot."""
    address = literal(host)
    return str(address) if address is not None else host.lower().removesuffix(".")


def read_pattern(text: str) -> str:
    """A pattern for hosts (rule 4). Raises ValueError."""
    name = text.removeprefix("*.")
    if text == "*":
        return text
    if not name or "*" in name or not name.isascii() or any(each in name for each in "/@ ?#") or _has_port(name):
        raise ValueError(f"{text!r} is no pattern of hosts: write *, an address, a name, or *. before a name, in ASCII")
    if name != text and literal(name) is not None:
        raise ValueError(f"{text!r} is no pattern of hosts: addresses in a range belong under networks")
    return f"*.{plain(name)}" if name != text else plain(name)


def _has_port(name: str) -> bool:
    return ":" in name and literal(name) is None


def read_network(text: str) -> str | Network:
    """One of `SETS`, an address, or a range of them. Raises ValueError."""
    if text in SETS:
        return text
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        known = ", ".join(SETS)
        raise ValueError(f"{text!r} is no network: write {known}, or one like 10.20.0.0/16 ({error})") from None
    carried = inner(network.network_address)
    if carried != network.network_address:
        raise ValueError(f"{text!r} carries IPv4 addresses: write those that it carries, like {carried}")
    return network


def read_ports(text: int | str) -> range:
    """A port, or a range like 5000-5010. Raises ValueError."""
    first, dash, last = str(text).partition("-")
    if first.isdecimal() and (last.isdecimal() or not dash):
        ports = range(int(first), int(last if dash else first) + 1)
        if ports and ports[0] > 0 and ports[-1] < 65_536:
            return ports
    raise ValueError(f"{text!r} is no port, and no range of ports like 5000-5010")


@dataclass(frozen=True, slots=True)
class Policy:
    """See the rules above. `named` are the hosts and ports of the agent's own file; None elsewhere: not said."""

    named: frozenset[tuple[str, int]] = frozenset()
    hosts: tuple[str, ...] | None = None
    networks: tuple[str | Network, ...] | None = None
    ports: tuple[range, ...] | None = None
    _own: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", frozenset((plain(host), port) for host, port in self.named))
        object.__setattr__(self, "_own", frozenset(host for host, _ in self.named))

    def refusal(self, host: str, address: str | None, port: int | None) -> Refusal | None:
        """Why an agent may not go there; None where it may.

        Without `address`, what is known beforehand: host, port (where it is known), and the address that the host is.
        With it, whether this one, to which the host led, is one to connect to.
        """
        host = plain(host)
        found = literal(host) if address is None else literal(address)
        if address is not None and found is None:
            return Refusal("address", f"{host}: {address!r} is no address")
        refused = self._of_host(host, port)
        if refused is None and found is not None:
            refused = self._of_address(host, found)
        return refused

    def _of_host(self, host: str, port: int | None) -> Refusal | None:
        if self.hosts is None and host not in self._own:
            return Refusal("host", f"{host} is no target of this agent's own file, and policy.hosts does not name it")
        if self.hosts is not None and not any(_matches(pattern, host) for pattern in self.hosts):
            return Refusal("host", f"{host} matches nothing under policy.hosts ({', '.join(self.hosts) or 'empty'})")
        if port is None:
            return None
        if self.ports is not None:
            if any(port in ports for ports in self.ports):
                return None
            return Refusal("port", f"{host}: port {port} is not under policy.ports ({_shown(self.ports)})")
        if any(port == own and host == name for name, own in self.named):
            return None
        if self.hosts is not None and any(port == own for _, own in self.named):
            return None
        return Refusal(
            "port",
            f"{host}: no target of this agent's own file has port {port} there, and policy.ports does not say it",
        )

    def _of_address(self, host: str, address: IpAddress) -> Refusal | None:
        judged, kind = inner(address), kind_of(address)
        what = f"{address}" if judged == address else f"{address} (which leads to {judged})"
        what = what if literal(host) == address else f"{host} leads to {what}"
        if kind is Kind.NOWHERE:
            return Refusal("address", f"{what}: an unspecified, multicast or broadcast address is never gone to")
        if kind is Kind.METADATA:
            if any(not isinstance(each, str) and each.num_addresses == 1 and judged in each for each in self._networks):
                return None
            return Refusal("address", f"{what}: a cloud's metadata; only policy.networks: [{judged}] allows it")
        if any(_holds(network, judged, kind) for network in self._networks) or self._is_own(host, kind):
            return None
        return Refusal("address", f"{what}: a {kind} address; policy.networks allows {_shown(self._networks)}")

    @property
    def _networks(self) -> tuple[str | Network, ...]:
        return _USUAL if self.networks is None else self.networks

    def _is_own(self, host: str, kind: Kind) -> bool:
        """Whether the agent's own file names the address itself, or localhost (rule 2)."""
        if self.networks is not None or host not in self._own:
            return False
        if literal(host) is not None:
            return kind in (Kind.LOOPBACK, Kind.SPECIAL)
        return kind is Kind.LOOPBACK and (host == "localhost" or host.endswith(".localhost"))


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[1:] and literal(host) is None
    return pattern in ("*", host)


def _holds(network: str | Network, judged: IpAddress, kind: Kind) -> bool:
    if isinstance(network, str):
        return kind in SETS[network]
    return network.version == judged.version and judged in network


def _shown(values: Iterable[str | Network | range]) -> str:
    words = [
        str(each) if not isinstance(each, range) else f"{each[0]}" if len(each) == 1 else f"{each[0]}-{each[-1]}"
        for each in values
    ]
    return ", ".join(words) or "nothing"


ANYWHERE = Policy(hosts=("*",), networks=("any",), ports=(range(1, 65_536),))
"""Every host and port, every address but those of rule 3: for a tool that goes where its user says."""
