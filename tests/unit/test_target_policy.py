"""The target policy as a value: what kind each address is in each spelling, and what each rule refuses."""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.config import load_agent
from outrider.strict_yaml import ConfigError
from outrider.transport.addresses import Kind, kind_of, literal
from outrider.transport.policy import ANYWHERE, Policy, plain, read_network, read_pattern, read_ports

K = Kind


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8.8.8.8", K.PUBLIC),
        ("2606:4700::1111", K.PUBLIC),
        ("10.0.0.1", K.PRIVATE),
        ("172.31.255.255", K.PRIVATE),
        ("172.32.0.0", K.PUBLIC),
        ("192.168.1.1", K.PRIVATE),
        ("100.64.0.1", K.PRIVATE),
        ("fd12::1", K.PRIVATE),
        ("fec0::1", K.PRIVATE),
        ("127.0.0.1", K.LOOPBACK),
        ("127.255.255.254", K.LOOPBACK),
        ("::1", K.LOOPBACK),
        ("169.254.1.1", K.LINK_LOCAL),
        ("fe80::1", K.LINK_LOCAL),
        ("169.254.169.254", K.METADATA),
        ("fd00:ec2::254", K.METADATA),
        ("100.100.100.200", K.METADATA),
        ("168.63.129.16", K.METADATA),
        ("0.0.0.0", K.NOWHERE),
        ("0.1.2.3", K.NOWHERE),
        ("::", K.NOWHERE),
        ("224.0.0.1", K.NOWHERE),
        ("239.255.255.250", K.NOWHERE),
        ("255.255.255.255", K.NOWHERE),
        ("ff02::1", K.NOWHERE),
        ("192.0.2.1", K.SPECIAL),
        ("198.18.0.1", K.SPECIAL),
        ("240.0.0.1", K.SPECIAL),
        ("2001:db8::1", K.SPECIAL),
        ("2001::1", K.SPECIAL),  # Teredo
        ("64:ff9b:1::a00:1", K.SPECIAL),  # NAT64 of somebody's own prefix: where the IPv4 address stands is not known
        ("100::1", K.SPECIAL),
        ("4000::1", K.SPECIAL),
        # What an IPv6 address carries decides.
        ("::ffff:127.0.0.1", K.LOOPBACK),
        ("::ffff:10.0.0.1", K.PRIVATE),
        ("::ffff:169.254.169.254", K.METADATA),
        ("::ffff:0.0.0.0", K.NOWHERE),
        ("::ffff:8.8.8.8", K.PUBLIC),
        ("::127.0.0.1", K.LOOPBACK),
        ("::10.0.0.1", K.PRIVATE),
        ("::ffff:0:127.0.0.1", K.LOOPBACK),
        ("64:ff9b::127.0.0.1", K.LOOPBACK),
        ("64:ff9b::169.254.169.254", K.METADATA),
        ("64:ff9b::8.8.8.8", K.PUBLIC),
        ("2002:7f00:1::", K.LOOPBACK),
        ("2002:a00:1::5", K.PRIVATE),
        ("2002:a9fe:a9fe::1", K.METADATA),
        ("2002:808:808::1", K.PUBLIC),
    ],
)
def test_an_address_is_what_its_packets_reach(text: str, kind: Kind) -> None:
    assert kind_of(ipaddress.ip_address(text)) is kind


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("0:0:0:0:0:ffff:7f00:1", "::ffff:7f00:1"),
    ],
)
def test_an_address_is_known_in_every_spelling_that_a_system_reads(host: str, address: str) -> None:
    assert literal(host) == ipaddress.ip_address(address)
    assert plain(host) == str(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["localhost", "pay.example", "1.example", "0x", "256.256.256.256", "1.2.3.4.5", "", "é"]
)
def test_a_name_is_no_address(host: str) -> None:
    address = literal(host)
    assert address is None or host == "0x"  # which some systems read as 0


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=40), st.from_regex(r"[0-9a-fx:.%\[\]]{0,40}", fullmatch=True)))
def test_whatever_is_given_as_a_host_is_judged_without_an_exception(text: str) -> None:
    literal(text)
    for policy in (ANYWHERE, Policy(), Policy(frozenset({(text, 443)}), networks=("public",))):
        policy.refusal(text, None, 443)
        policy.refusal("pay.example", text, 443)
    for read in (read_pattern, read_network, read_ports):
        with contextlib.suppress(ValueError):
            read(text)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}", "::ffff:0:{}"]))
def test_wrapping_an_address_never_makes_it_another_kind(number: int, wrapping: str) -> None:
    address = ipaddress.IPv4Address(number)
    if number > 1:  # :: and ::1 are addresses of their own
        assert kind_of(ipaddress.IPv6Address(wrapping.format(address))) is kind_of(address)
    assert kind_of(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 7)) is kind_of(address)


# --- the policy --------------------------------------------------------------------------------------------------

OWN = frozenset({("pay.example", 443), ("127.0.0.1", 8080), ("localhost", 8081), ("192.0.2.7", 25)})
UNSAID = Policy(OWN)
PUBLIC = Policy(OWN, hosts=("*",), networks=("public",), ports=(range(1, 65_536),))


def ranged(*networks: str) -> Policy:
    return Policy(hosts=("*",), networks=tuple(read_network(each) for each in networks), ports=(range(1, 65_536),))


@pytest.mark.parametrize(
    ("policy", "host", "address", "port", "rule"),
    [
        # Nothing is said: the agent's own targets, each with its own ports.
        (UNSAID, "pay.example", None, 443, ""),
        (UNSAID, "PAY.example.", None, 443, ""),
        (UNSAID, "pay.example", None, 8080, "port"),
        (UNSAID, "evil.example", None, 443, "host"),
        (UNSAID, "sub.pay.example", None, 443, "host"),
        (UNSAID, "pay.example", "8.8.8.8", 443, ""),
        (UNSAID, "pay.example", "10.0.0.1", 443, ""),
        (UNSAID, "pay.example", "127.0.0.1", 443, "address"),
        (UNSAID, "pay.example", "::ffff:127.0.0.1", 443, "address"),
        (UNSAID, "pay.example", "169.254.1.1", 443, "address"),
        (UNSAID, "pay.example", "169.254.169.254", 443, "address"),
        (UNSAID, "pay.example", "192.0.2.1", 443, "address"),
        (UNSAID, "pay.example", "0.0.0.0", 443, "address"),
        (UNSAID, "127.0.0.1", None, 8080, ""),
        (UNSAID, "127.1", None, 8080, ""),
        (UNSAID, "127.0.0.1", "127.0.0.1", 8080, ""),
        (UNSAID, "127.0.0.2", None, 8080, "host"),
        (UNSAID, "localhost", "127.0.0.1", 8081, ""),
        (UNSAID, "localhost", "::1", 8081, ""),
        (UNSAID, "localhost", "169.254.169.254", 8081, "address"),
        (UNSAID, "192.0.2.7", None, 25, ""),
        (Policy(frozenset({("169.254.1.1", 80)})), "169.254.1.1", None, 80, "address"),
        (Policy(frozenset({("169.254.169.254", 80)})), "169.254.169.254", None, 80, "address"),
        (Policy(frozenset({("0.0.0.0", 80)})), "0.0.0.0", None, 80, "address"),
        (Policy(), "pay.example", None, 443, "host"),
        # Hosts are said: ports are those of the agent's targets, whichever has them.
        (Policy(OWN, hosts=("*.example",)), "a.b.example", None, 25, ""),
        (Policy(OWN, hosts=("*.example",)), "a.b.example", None, 26, "port"),
        (Policy(OWN, hosts=("*.example",)), "example", None, 443, "host"),
        (Policy(OWN, hosts=("*.example",)), "badexample", None, 443, "host"),
        (Policy(OWN, hosts=("pay.example",)), "127.0.0.1", None, 8080, "host"),
        (Policy(OWN, hosts=("*",)), "127.0.0.9", None, 8080, "address"),  # a star is no leave for loopback
        (Policy(OWN, hosts=("*",)), "a.localhost", "127.0.0.1", 8080, "address"),
        (Policy(OWN, hosts=()), "pay.example", None, 443, "host"),
        # Ports are said: hosts are the agent's own.
        (Policy(OWN, ports=(range(5000, 5011),)), "pay.example", None, 5010, ""),
        (Policy(OWN, ports=(range(5000, 5011),)), "pay.example", None, 5011, "port"),
        (Policy(OWN, ports=(range(5000, 5011),)), "pay.example", None, 443, "port"),
        (Policy(OWN, ports=(range(5000, 5011),)), "other.example", None, 5000, "host"),
        # Networks are said: nothing else, not even for the agent's own targets.
        (PUBLIC, "127.0.0.1", None, 8080, "address"),
        (PUBLIC, "localhost", "127.0.0.1", 8081, "address"),
        (PUBLIC, "a.example", "10.1.2.3", 443, "address"),
        (PUBLIC, "a.example", "64:ff9b::808:808", 443, ""),
        (PUBLIC, "a.example", "64:ff9b::a00:1", 443, "address"),
        (ranged("10.20.0.0/16"), "a.example", "10.20.3.4", 1, ""),
        (ranged("10.20.0.0/16"), "a.example", "::ffff:10.20.3.4", 1, ""),
        (ranged("10.20.0.0/16"), "a.example", "10.21.0.0", 1, "address"),
        (ranged("10.20.0.0/16"), "a.example", "8.8.8.8", 1, "address"),
        (ranged("2600::/16"), "a.example", "2600::1", 1, ""),
        (ranged("link-local"), "a.example", "169.254.1.1", 1, ""),
        (ranged("loopback"), "a.example", "127.0.0.1", 1, ""),
        (ranged("any"), "a.example", "240.0.0.1", 1, ""),
        # Metadata: one address, by itself. Nowhere: never.
        (ranged("any"), "a.example", "169.254.169.254", 1, "address"),
        (ranged("link-local", "169.254.169.0/24"), "a.example", "169.254.169.254", 1, "address"),
        (ranged("169.254.169.254"), "a.example", "169.254.169.254", 1, ""),
        (ranged("169.254.169.254"), "a.example", "::ffff:169.254.169.254", 1, ""),
        (ranged("169.254.169.254/31"), "a.example", "169.254.169.254", 1, "address"),
        (ranged("fd00:ec2::254"), "a.example", "fd00:ec2::254", 1, ""),
        (ranged("any", "0.0.0.0/0", "0.0.0.0"), "a.example", "0.0.0.0", 1, "address"),
        (ranged("any", "::/0"), "a.example", "::", 1, "address"),
        (ranged("any", "0.0.0.0/0"), "a.example", "255.255.255.255", 1, "address"),
        (ranged("any"), "a.example", "pay.example", 1, "address"),  # not an address at all
        (ANYWHERE, "anything", None, 1, ""),
    ],
)
def test_each_rule_refuses_what_it_says(policy: Policy, host: str, address: str | None, port: int, rule: str) -> None:
    refused = policy.refusal(host, address, port)
    assert (refused.rule if refused else "") == rule


@pytest.mark.parametrize(
    ("policy", "host", "address", "words"),
    [
        (UNSAID, "evil.example", None,
         "evil.example is no target of this agent's own file, and policy.hosts does not name it"),
        (UNSAID, "localhost", None,
         "localhost: no target of this agent's own file has port 443 there, and policy.ports does not say it"),
        (Policy(OWN, hosts=("*.test",)), "pay.example", None,
         "pay.example matches nothing under policy.hosts (*.test)"),
        (Policy(OWN, ports=(range(80, 81), range(90, 96))), "pay.example", None,
         "pay.example: port 443 is not under policy.ports (80, 90-95)"),
        (UNSAID, "pay.example", "127.0.0.1",
         "pay.example leads to 127.0.0.1: a loopback address; policy.networks allows public, private"),
        (PUBLIC, "10.0.0.1", None, "10.0.0.1: a private address; policy.networks allows public"),
        (PUBLIC, "pay.example", "::ffff:10.0.0.1",
         "pay.example leads to ::ffff:a00:1 (which leads to 10.0.0.1): a private address; "
         "policy.networks allows public"),
        (PUBLIC, "pay.example", "169.254.169.254",
         "pay.example leads to 169.254.169.254: a cloud's metadata; only policy.networks: [169.254.169.254] allows it"),
        (PUBLIC, "pay.example", "::",
         "pay.example leads to ::: an unspecified, multicast or broadcast address is never gone to"),
    ],
)  # fmt: skip
def test_a_refusal_says_which_rule_and_which_key(policy: Policy, host: str, address: str | None, words: str) -> None:
    refused = policy.refusal(host, address, 443)
    assert refused is not None
    assert refused.words.replace("::ffff:10.0.0.1", "::ffff:a00:1") == words  # Python 3.13 spells it so


# --- in the file -------------------------------------------------------------------------------------------------

FILE = """\
agent: probe-1
region: us-east
collector: { url: "http://127.0.0.1:8080" }
spool: { path: spool.db }
targets:
  site: { url: "%s" }
  unused: { url: "https://unused.example" }
checks:
  - { name: asking, scenario: %s, target: site, interval: 30s, timeout: 15s }
%s"""


def load(folder: Path, url: str, policy: str = "", scenario: str = "portal") -> Policy:
    (folder / "agent.yaml").write_text(FILE % (url, scenario, f"policy: {policy}\n" if policy else ""))
    return load_agent(folder / "agent.yaml", {}).policy


def complaint(folder: Path, url: str, policy: str = "", scenario: str = "portal") -> str:
    with pytest.raises(ConfigError) as refused:
        load(folder, url, policy, scenario)
    return str(refused.value).replace(f"{folder}/", "")


def test_without_the_key_an_agent_goes_where_its_own_targets_are(tmp_path: Path) -> None:
    policy = load(tmp_path, "http://127.0.0.1:8443")
    assert policy == Policy(frozenset({("127.0.0.1", 8443), ("unused.example", 443)}))


def test_with_the_key_an_agent_goes_where_it_says(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        "https://pay.example.net",
        '{ hosts: ["*.Example.net", unused.example, "::1"], networks: [public, 10.20.0.0/16], '
        "ports: [443, 5000-5010] }",
    )
    assert policy.hosts == ("*.example.net", "unused.example", "::1")
    assert policy.networks == ("public", ipaddress.ip_network("10.20.0.0/16"))
    assert policy.ports == (range(443, 444), range(5000, 5011))


def test_a_port_that_only_a_step_names_is_the_agents_own(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        "name: two\ntitle: Two ports\nsynthetic: true\nprobe: tcp\n"
        "steps:\n  - name: one\n    request: {}\n  - name: other\n    request: { port: 2222 }\n"
    )
    policy = load(tmp_path, "tcp://pay.example:1111", scenario="two.yaml")
    assert policy.refusal("pay.example", None, 2222) is None
    assert policy.refusal("pay.example", None, 2223) is not None
    assert complaint(tmp_path, "tcp://pay.example:1111", "{ ports: [443, 1111] }", "two.yaml") == (
        "agent.yaml:9:49: pay.example: port 2222 is not under policy.ports (443, 1111)"
    )


@pytest.mark.parametrize(
    ("url", "policy", "said"),
    [
        ("https://pay.example", '{ hosts: ["*.example.net", unused.example] }',
         "agent.yaml:6:16: target 'site': pay.example matches nothing under policy.hosts (*.example.net, "
         "unused.example)"),
        ("https://pay.example:8443", "{ ports: [443] }",
         "agent.yaml:6:16: target 'site': pay.example: port 8443 is not under policy.ports (443)"),
        ("https://127.0.0.1", "{ networks: [public] }",
         "agent.yaml:6:16: target 'site': 127.0.0.1: a loopback address; policy.networks allows public"),
        ("https://[::ffff:127.0.0.1]", "{ networks: [public] }", "a loopback address; policy.networks allows public"),
        ("http://169.254.169.254", "",
         "agent.yaml:6:16: target 'site': 169.254.169.254: a cloud's metadata; only policy.networks: [169.254.169.254] "
         "allows it"),
        ("http://169.254.1.1", "",
         "agent.yaml:6:16: target 'site': 169.254.1.1: a link-local address; policy.networks allows public, private"),
        ("http://0.0.0.0:80", "{ networks: [any] }", "an unspecified, multicast or broadcast address is never gone to"),
        ("http://[::]:80", "", "an unspecified, multicast or broadcast address is never gone to"),
        ("http://0x7f000001", "",
         "agent.yaml:6:16: the host 0x7f000001 is an address in a spelling of its own: write 127.0.0.1"),
        ("http://2130706433", "", "write 127.0.0.1"),
        ("http://0177.0.0.1", "", "write 127.0.0.1"),
        ("http://127.1:80", "", "write 127.0.0.1"),
        ("http://bücher.example", "",
         "agent.yaml:6:16: the host 'bücher.example' is not ASCII: write it as it stands in DNS, like "
         "xn--bcher-kva.example"),
        ("https://pay.example", '{ hosts: ["10.*"] }',
         "agent.yaml:10:19: policy.hosts: '10.*' is no pattern of hosts: write *, an address, a name, or *. before a "
         "name, in ASCII"),
        ("https://pay.example", '{ hosts: ["https://pay.example"] }', "'https://pay.example' is no pattern of hosts"),
        ("https://pay.example", '{ hosts: ["pay.example:443"] }', "'pay.example:443' is no pattern of hosts"),
        ("https://pay.example", '{ hosts: ["*.10.0.0.1"] }', "addresses in a range belong under networks"),
        ("https://pay.example", "{ networks: [inside] }",
         "agent.yaml:10:22: policy.networks: 'inside' is no network: write public, private, loopback, link-local, any, "
         "or one like 10.20.0.0/16"),
        ("https://pay.example", "{ networks: [10.20.0.1/16] }", "has host bits set"),
        ("https://pay.example", '{ networks: ["::ffff:10.0.0.0/104"] }',
         "'::ffff:10.0.0.0/104' carries IPv4 addresses: write those that it carries, like 10.0.0.0"),
        ("https://pay.example", "{ ports: [0] }", "policy.ports: 0 is no port, and no range of ports like 5000-5010"),
        ("https://pay.example", "{ ports: [65536] }", "is no port"),
        ("https://pay.example", "{ ports: [10-5] }", "'10-5' is no port"),
        ("https://pay.example", "{ ports: [https] }", "'https' is no port"),
        ("https://pay.example", "{ host: [pay.example] }", "unknown key 'host'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_before_anything_is_sent(
    tmp_path: Path, url: str, policy: str, said: str
) -> None:
    assert said in complaint(tmp_path, url, policy)
