"""The key `check_sets` of an agent's file: what it grants, and each mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from outrider.codecs.ed25519_keys import key_hex, private_key, public_pem
from outrider.config import load_agent
from outrider.core.units import SECOND
from outrider.strict_yaml import ConfigError

AGENT = """\
agent: probe-1
region: us-east
collector: { url: "http://127.0.0.1:8080" }
spool: { path: spool.db }
targets:
  portal: { url: "https://portal.test" }
checks:
  - { name: own, scenario: portal, target: portal, interval: 30s, timeout: 15s, regions: [elsewhere] }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "one.pem").write_bytes(public_pem(Ed25519PrivateKey.from_private_bytes(bytes(range(32)))))
    (tmp_path / "two.pem").write_bytes(public_pem(private_key(tmp_path / "two.key")))
    (tmp_path / "bad.pem").write_text("no key")
    return tmp_path / "agent.yaml"


def test_without_the_key_nothing_is_granted(file: Path) -> None:
    file.write_text(AGENT)
    assert load_agent(file).granted is None


def test_what_is_granted_and_the_keys_files_are_watched(file: Path) -> None:
    file.write_text(AGENT + "check_sets: { public_key_file: [one.pem, two.pem], secrets: [A], interval: 5s }\n")
    config = load_agent(file)
    assert config.granted is not None
    first = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    assert key_hex(first) in config.granted.keys
    assert len(config.granted.keys) == 2
    assert (config.granted.interval, config.granted.shortest_interval) == (5 * SECOND, 5 * SECOND)
    assert config.granted.names == {"own"}  # it does not run here, and its name is taken all the same
    assert {file.parent / "one.pem", file.parent / "two.pem"} <= config.sources


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{ public_key_file: none.pem }", "agent.yaml:9:32:"),
        ("{ public_key_file: bad.pem }", "no public key in PEM; `outrider checks key` prints one"),
        ("{ public_key_file: two.key }", "no public key in PEM"),
        ("{ public_key_file: [] }", "name a file with a public key"),
        ("{ public_key_file: one.pem, interval: 500ms }", "9:51: interval: at least a second"),
        ("{ public_key_file: one.pem, shortest_interval: 1ms }", "shortest_interval: at least a second"),
        ("{ interval: 30s }", "public_key_file"),
        ("{ public_key_file: one.pem, keys: [x] }", "unknown key 'keys'"),
    ],
)
def test_a_mistake_is_told_with_its_place(file: Path, settings: str, told: str) -> None:
    file.write_text(AGENT + f"check_sets: {settings}\n")
    with pytest.raises(ConfigError) as caught:
        load_agent(file)
    assert told in str(caught.value)


def test_without_its_library_the_file_does_not_load(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outrider.codecs.extras.find_spec", lambda name: None)
    file.write_text(AGENT + "check_sets: { public_key_file: one.pem }\n")
    with pytest.raises(ConfigError, match=r"9:1: check_sets needs cryptography; pip install 'outrider\[check-sets\]'"):
        load_agent(file)
