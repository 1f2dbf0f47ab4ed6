"""The parts of access by themselves: settings, buckets, and the options of commands."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.collector_access import checked_token
from outrider.collector_client import CollectorError
from outrider.commands.collector_options import add_collector, endpoint
from outrider.core.units import SECOND
from outrider.strict_yaml import ConfigError
from outrider_collector.access import Role, Wants
from outrider_collector.access.limits import MOST_KEYS, Buckets
from outrider_collector.access.settings import Certified, is_loopback, told_at_start
from outrider_collector.access.tokens import Kind, kind_of, new_token
from outrider_collector.config import CollectorConfig, load_collector

AGREEMENT = Path(__file__).resolve().parents[3] / "config" / "demo" / "agreement.yaml"


class Clock:
    elapsed = 0

    def now(self) -> int:
        return 0

    def monotonic(self) -> int:
        return self.elapsed


def load(folder: Path, listen: str, *lines: str) -> CollectorConfig:
    (folder / "agreement.yaml").write_bytes(AGREEMENT.read_bytes())
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (folder / name).touch()
    path = folder / "collector.yaml"
    path.write_text("\n".join((f"listen: {listen}", "store: s.duckdb", "agreement: agreement.yaml", *lines, "")))
    return load_collector(path, {})


@pytest.mark.parametrize(
    ("listen", "line", "is_required"),
    [
        ("127.0.0.1:1", "", False),
        ("'[::1]:1'", "", False),
        ("localhost:1", "", False),
        ("127.9.9.9:1", "", False),
        ("0.0.0.0:1", "", True),
        ("'[::]:1'", "", True),
        ("10.1.2.3:1", "", True),
        ("collector.example:1", "", True),
        ("'[::ffff:10.1.2.3]:1'", "", True),
        ("0.0.0.0:1", "access: open", False),
        ("127.0.0.1:1", "access: required", True),
    ],
)
def test_beyond_loopback_access_is_required_unless_the_file_says_otherwise(
    tmp_path: Path, listen: str, line: str, is_required: bool
) -> None:
    assert load(tmp_path, listen, line).access.is_required is is_required


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        (["access: maybe"], "collector.yaml:4", "maybe"),
        (["metrics: closed"], "collector.yaml:4", "closed"),
        (["tls: {cert_file: cert.pem}"], "collector.yaml:4", "key_file"),
        (["tls: {cert_file: none.pem, key_file: key.pem}"], "collector.yaml:4", "none.pem"),
        (
            ["tls:", "  cert_file: cert.pem", "  key_file: key.pem", "  client_names: true"],
            "collector.yaml:7",
            "client_ca",
        ),
        (["limits: {requests: 0}"], "collector.yaml:4", "more than nothing"),
        (["limits: {records: -1}"], "collector.yaml:4", "more than nothing"),
        (["limits: {bytes: 1}"], "collector.yaml:4", "bytes"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, lines: list[str], place: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        load(tmp_path, "127.0.0.1:1", *lines)
    assert place in str(told.value)
    assert words in str(told.value)


def test_tls_is_read_with_its_files_beside_the_collectors(tmp_path: Path) -> None:
    line = "tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem, clients: agents, client_names: true}"
    tls = load(tmp_path, "0.0.0.0:1", line).access.tls
    assert tls is not None
    assert (tls.certificate, tls.client_ca) == (tmp_path / "cert.pem", tmp_path / "ca.pem")
    assert (tls.clients, tls.client_names) == (Certified.AGENTS, True)


@pytest.mark.parametrize(
    ("listen", "line", "told"),
    [
        ("127.0.0.1:1", "", ["access is open", "loopback alone"]),
        ("0.0.0.0:1", "access: open", ["access is open", "its file says", "no TLS"]),
        ("0.0.0.0:1", "", ["access is required", "people add", "no TLS"]),
        ("0.0.0.0:1", "tls: {cert_file: cert.pem, key_file: key.pem}", ["access is required"]),
    ],
)
def test_who_gets_in_is_told_at_start(tmp_path: Path, listen: str, line: str, told: list[str]) -> None:
    config = load(tmp_path, listen, line)
    lines = " ".join(told_at_start(config.access, config.listen[0], config.store))
    assert all(words in lines for words in told)
    assert ("no TLS" in lines) == ("no TLS" in told)


def test_an_address_that_only_looks_like_loopback_is_none() -> None:
    assert not any(map(is_loopback, ("127.0.0.1.example", "localhost.example", "0.0.0.0", "::", "", "128.0.0.1")))


# --- buckets ---------------------------------------------------------------------------------------------------------


def test_a_bucket_gives_its_savings_and_then_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(clock, rate=2)
    assert [buckets.take("a") for _ in range(20)] == [0.0] * 20
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0
    clock.elapsed += SECOND
    assert [bool(buckets.take("a")) for _ in range(3)] == [False, False, True]
    clock.elapsed += 3600 * SECOND
    assert sum(not buckets.take("a") for _ in range(100)) == 20


@given(st.lists(st.tuples(st.integers(0, 5 * SECOND), st.floats(0.1, 50)), max_size=60), st.floats(0.5, 20))
@settings(max_examples=200, deadline=None)
def test_however_it_is_asked_a_bucket_gives_no_more_than_savings_rate_and_one_overdraft(
    asked: list[tuple[int, float]], rate: float
) -> None:
    clock, given_away, largest = Clock(), 0.0, 0.0
    buckets = Buckets(clock, rate)
    for pause, amount in asked:
        clock.elapsed += pause
        wait = buckets.take("a", amount)
        assert wait >= 0
        if not wait:
            given_away, largest = given_away + amount, max(largest, amount)
    assert given_away <= 10 * rate + rate * clock.elapsed / SECOND + largest + 1e-6


def test_whoever_waits_as_long_as_told_is_served() -> None:
    clock = Clock()
    buckets = Buckets(clock, rate=3, burst=1)
    buckets.take("a", 1000)
    clock.elapsed += round(buckets.take("a") * SECOND) + 1
    assert buckets.take("a") == 0


def test_many_names_cost_a_bounded_memory() -> None:
    buckets = Buckets(Clock(), rate=1)
    for n in range(MOST_KEYS + 500):
        buckets.take(str(n))
    assert len(buckets._levels) == MOST_KEYS


# --- tokens and roles ------------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_one_kind_of_token_or_none(text: str) -> None:
    kind = kind_of(text)
    assert kind is None or text.startswith(f"{kind}_") or text == kind


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_a_token_that_is_taken_fits_into_a_header(text: str) -> None:
    try:
        token = checked_token(text)
    except ValueError:
        return
    assert token == text.strip()
    assert not set(token) & set(" \r\n\t;,\"'")


def test_a_token_tells_its_kind() -> None:
    assert {kind: kind_of(new_token(kind)) for kind in Kind} == {kind: kind for kind in Kind}


def test_an_operator_may_what_a_viewer_may_and_nobody_may_more() -> None:
    assert [role.meets(wants) for role in Role for wants in (Wants.VIEWER, Wants.OPERATOR)] == [True, False, True, True]
    assert not any(role.meets(wants) for role in Role for wants in (Wants.AGENT, Wants.ENROLMENT))
    assert [a.at_most(b) for a in Role for b in Role] == [Role.VIEWER, Role.VIEWER, Role.VIEWER, Role.OPERATOR]


# --- options of commands ---------------------------------------------------------------------------------------------


def parsed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_collector(parser)
    return parser.parse_args(argv)


def test_a_token_comes_from_a_file_or_the_environment_and_the_option_goes_first(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("orp_file\n")
    (tmp_path / "b").write_text("orp_named\n")
    environ = {"OUTRIDER_TOKEN": " orp_env\n", "OUTRIDER_TOKEN_FILE": str(tmp_path / "b")}

    def header(arguments: argparse.Namespace, environ: dict[str, str]) -> str:
        return endpoint(arguments, environ).access.headers().get("Authorization", "")

    assert header(parsed("--token-file", str(tmp_path / "a")), environ) == "Bearer orp_file"
    assert header(parsed(), environ) == "Bearer orp_env"
    assert header(parsed(), {"OUTRIDER_TOKEN_FILE": environ["OUTRIDER_TOKEN_FILE"]}) == "Bearer orp_named"
    assert header(parsed(), {}) == ""


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"x" * 300, b"\xff\xfe", b"a\nb"])
def test_a_file_that_holds_no_token_is_told_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(CollectorError, match="holds no token"):
        endpoint(parsed("--token-file", str(path)), {})


@pytest.mark.parametrize("option", ["--token", "--token-file"])
def test_a_token_is_no_argument(option: str) -> None:
    with pytest.raises(CollectorError, match="a token is no argument") as told:
        endpoint(parsed(option, "orp_secret"), {})
    assert "orp_secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "is_told"),
    [("http://127.0.0.1:8080", False), ("http://localhost:8080", False), ("http://[::1]:1", False),
     ("https://collector.example", False), ("http://collector.example", True), ("http://10.0.0.1", True)],
)  # fmt: skip
def test_a_token_that_goes_out_in_the_clear_is_told(
    capsys: pytest.CaptureFixture[str], url: str, is_told: bool
) -> None:
    endpoint(parsed("--collector", url), {"OUTRIDER_TOKEN": "orp_secret"})
    told = capsys.readouterr().err
    assert ("in the clear" in told) is is_told
    assert "orp_secret" not in told
