from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.units import MINUTE, SECOND
from outrider.strict_yaml import (
    ConfigError,
    DurationText,
    Limits,
    ProcessNames,
    SizeText,
    default,
    json_schema,
    load,
    load_file,
    read_value,
)

BAD = Path(__file__).parent / "yaml_bad"
SECRET = "hunter2-4711"
LOADERS = [getattr(yaml, name) for name in ("CSafeLoader", "SafeLoader") if hasattr(yaml, name)]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Check(_File, frozen=True, kw_only=True):
    name: str
    interval: DurationText
    timeout: DurationText | None = None
    targets: tuple[str, ...] = ()
    headers: dict[str, str] = {}


class Http(_File, frozen=True, kw_only=True, tag_field="kind", tag="http"):
    url: str


class Tcp(_File, frozen=True, kw_only=True, tag_field="kind", tag="tcp"):
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Owner(_File, frozen=True, kw_only=True):
    name: str

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith("x"):
            raise ValueError(f"{self.name!r} is nobody's name")


class Agent(_File, frozen=True, kw_only=True, rename={"spool_size": "spool-size"}):
    region: Literal["east", "west"]
    checks: tuple[Check, ...]
    enabled: bool = True
    spool_size: SizeText = default(SizeText, "256MB")
    grace: DurationText = default(DurationText, "10s")
    probes: dict[str, Http | Tcp] = {}
    ports: dict[Literal["http", "https"], int] = {}
    owner: Owner | None = None


MESSAGES = {
    "anchor": "2:5: anchors and aliases (& and *) are not read; write the value out",
    "at_sign": "1:9: not valid YAML: this character cannot start a value (put the value in quotes)",
    "colon_in_value": "1:13: not valid YAML: a ': ' that does not belong here"
    " (check the indentation, or quote the value)",
    "control_character": "1:14: character U+0007 is not allowed (write it as an escape in quotes)",
    "directive": "1:1: a line cannot start with '%'; YAML directives are not read",
    "duplicate_key": "5:5: key 'name' is written twice; the first one is on line 3",
    "duration_too_long": "3:35: interval: 64 characters are too many for a duration, like 10s, 1.5s, 5m or 1h30m",
    "duration_without_unit": "4:15: interval: expected a duration, like 10s, 1.5s, 5m or 1h30m; got the number 60",
    "empty": "1:1: the file is empty",
    "entry_of_a_dict": "7:16: X-Count: expected text, got the number 2 (put it in quotes)",
    "indentation": "3:4: not valid YAML: this does not fit the lines above (check the indentation)",
    "key_that_does_not_fit": "3:9: echo: expected one of http, https; got text 'echo'",
    "line_separator": "1:13: character U+2028 is not allowed (write it as an escape in quotes)",
    "list_as_key": "2:1: a key is text, not a list or a mapping",
    "list_not_closed": "3:1: not valid YAML: a list in [ ] is not closed (a comma or a ] is missing)",
    "mapping_not_closed": "1:37: not valid YAML: a mapping in { } is not closed (a comma or a } is missing)",
    "merge_key": "2:1: merge keys (<<) are not read; write the keys out",
    "missing_key": "1:1: missing key 'region'",
    "missing_key_in_list": "5:5: missing key 'interval' in checks[1]",
    "no_such_file": "2:15: '${file:secrets/owner}': no such file",
    "not_a_duration": "6:14: timeout: '10x' is not a duration; write it like 10s, 1.5s, 5m or 1h30m",
    "not_a_list": "3:3: checks: expected a list, got a mapping",
    "not_a_mapping": "1:1: expected a mapping, got a list of 1",
    "not_a_size": "2:13: spool-size: '1 gigabyte' is not a size; write it like 256MB or 1GiB",
    "not_one_of": "1:9: region: expected one of east, west; got text 'eest' (did you mean 'west'?)",
    "nothing_as_key": "2:1: not valid YAML: this does not fit the lines above (check the indentation)",
    "nothing_for_text": "4:10: name: expected text, got nothing",
    "number_as_key": "2:1: a key is text; put '8080' in quotes",
    "number_for_text": "5:23: targets[1]: expected text, got the number 271 (put it in quotes)",
    "number_out_of_range": "3:36: port: expected a whole number <= 65535, got the number 70000",
    "python_name_of_renamed_key": "2:1: unknown key 'spool_size' (did you mean 'spool-size'?)",
    "quote_not_closed": "3:1: not valid YAML: a text in quotes is not closed",
    "reference_in_a_key": "3:3: ${...} is replaced in values, not in keys",
    "reference_not_closed": "1:9: a '${' is not closed; known are ${env:NAME} and ${file:PATH}"
    " (write $$ for a plain $)",
    "refused_by_the_model": "3:8: owner: '' is nobody's name",
    "secret_that_is_no_duration": "3:35: interval: '${env:SECRET}' is not a duration;"
    " write it like 10s, 1.5s, 5m or 1h30m",
    "secret_that_is_not_one_of": "1:9: region: expected one of east, west; got text '${env:SECRET}'",
    "secret_that_the_model_quotes": "3:8: owner: 'x${env:SECRET}' is nobody's name",
    "tab": "2:1: not valid YAML: this character cannot start a value (indent with spaces, not tabs)",
    "tag": "2:9: tags (! and !!) are not read; remove the tag",
    "text_for_boolean": "2:10: enabled: expected true or false, got text 'NO'",
    "text_for_number": "5:29: port: expected a whole number, got text '0x7f'",
    "two_documents": "2:1: a second document starts here; a file holds one",
    "unknown_key": "6:5: unknown key 'intervall' (did you mean 'interval'?)",
    "unknown_key_behind_kind": "3:31: unknown key 'ulr' (did you mean 'url'?)",
    "unknown_key_unlike_any": "2:20: unknown key 'shoe_size' (known keys: name)",
    "unknown_kind": "3:25: kind: expected one of http, tcp; got text 'htp' (did you mean 'http'?)",
    "unknown_reference": "1:9: '${REGION}' is no reference; known are ${env:NAME} and ${file:PATH}"
    " (write $$ for a plain $)",
    "variable_not_set": "2:15: '${env:OWNER_NAME}': no such environment variable",
}


# Every installation has the parser in Python; most have the one in C, too.
with_each_loader = pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.__name__)


def error_of(text: str, model: type = Agent, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(text, model, file="agent.yaml", names={"env:SECRET": SECRET}, **options)
    return caught.value


def test_every_bad_file_has_its_message_in_the_table() -> None:
    assert sorted(path.stem for path in BAD.glob("*.yaml")) == sorted(MESSAGES)


@with_each_loader
@pytest.mark.parametrize("name", MESSAGES)
def test_a_bad_file_is_refused_with_line_column_and_what_would_be_right(name: str, loader: Any) -> None:
    assert str(error_of((BAD / f"{name}.yaml").read_text(), loader=loader)) == f"agent.yaml:{MESSAGES[name]}"


@with_each_loader
def test_an_unknown_escape_is_explained(loader: Any) -> None:
    error = error_of('region: east\nowner: {name: "C:\\query"}\n', loader=loader)
    assert (error.line, error.hint) == (2, "write it in single quotes")
    assert error.message == "not valid YAML: an unknown escape in double quotes"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", "Null"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("0", 0),
        ("-7", -7),
        ("250", 250),
        ("+7", "+7"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("0x7f", "0x7f"),
        ("0o17", "0o17"),
        ("\u0663", "\u0663"),  # a digit, but not one of ours
        ("999999999999999999", 999_999_999_999_999_999),
        ("1000000000000000000", "1000000000000000000"),
        ("0.25", 0.25),
        ("-1.5e3", -1500.0),
        ("1e400", "1e400"),
        (".5", ".5"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("12:30:45", "12:30:45"),
        ("2026-06-01", "2026-06-01"),
        ("2026-06-01T22:00:00Z", "2026-06-01T22:00:00Z"),
        ("=", "="),
        ('"true"', "true"),
        ("'12'", "12"),
        ('""', ""),
        ("|\n  0\n", "0\n"),
        ("'<<'", "<<"),
    ],
)
@with_each_loader
def test_a_plain_scalar_means_what_json_says_and_is_text_otherwise(written: str, meant: object, loader: Any) -> None:
    value = read_value(f"key: {written}\n", file="f.yaml", loader=loader).value["key"]
    assert (value, type(value)) == (meant, type(meant))


@with_each_loader
def test_every_value_and_every_key_has_its_place(loader: Any) -> None:
    located = read_value(
        'region: east\nchecks:\n  - name: "a"\n    hosts: [x, {y: 1}]\nlast:\n', file="f.yaml", loader=loader
    )
    assert located.value == {"region": "east", "checks": [{"name": "a", "hosts": ["x", {"y": 1}]}], "last": None}
    assert located.marks == {
        (): (1, 1),
        ("region",): (1, 9),
        ("checks",): (3, 3),
        ("checks", 0): (3, 5),
        ("checks", 0, "name"): (3, 11),
        ("checks", 0, "hosts"): (4, 12),
        ("checks", 0, "hosts", 0): (4, 13),
        ("checks", 0, "hosts", 1): (4, 16),
        ("checks", 0, "hosts", 1, "y"): (4, 20),
        ("last",): (5, 6),
    }
    assert located.mark(("checks", 0, "name"), at_key=True) == (3, 5)


def test_a_place_that_the_file_does_not_have_is_reported_at_what_surrounds_it() -> None:
    located = read_value("checks:\n  - name: a\n", file="f.yaml")
    assert str(located.error(("checks", 0, "timeout"), "too short")) == "f.yaml:2:5: too short"
    assert str(located.error(("checks", 7), "too many", "remove one")) == "f.yaml:2:3: too many (remove one)"
    assert str(located.error(("checks", 0, "name"), "taken", at_key=True)) == "f.yaml:2:5: taken"


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    located = read_value("\ufeffregion: east\n", file="f.yaml")
    assert located.value == {"region": "east"}
    assert located.key_marks["region",] == (1, 1)


# --- bounds


@with_each_loader
@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("[" * 5000, (1, 41)),
        ("[" * 5000 + "]" * 5000, (1, 41)),
        ("{a: " * 5000 + "}" * 5000, (1, 161)),
        ("- " * 5000 + "x", (1, 81)),
        ("\n".join("  " * level + "a:" for level in range(1000)), (41, 81)),
    ],
)
def test_nesting_is_refused_at_the_first_level_too_many(text: str, mark: tuple[int, int], loader: Any) -> None:
    error = error_of(text, loader=loader)
    assert (error.line, error.column, error.message) == (*mark, "nested deeper than 40 levels")


def test_forty_levels_are_read() -> None:
    value = read_value("[" * 40 + "x" + "]" * 40, file="f.yaml").value
    for _ in range(40):
        [value] = value
    assert value == "x"


def _alias_bomb() -> str:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30)]
    return "\n".join(lines)


def _merge_bomb() -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 100)}]}}" for level in range(1, 40)]
    return "\n".join(lines)


@with_each_loader
@pytest.mark.parametrize("bomb", [_alias_bomb(), _merge_bomb()], ids=["alias", "merge"])
def test_a_bomb_is_refused_at_its_first_anchor_whatever_follows(bomb: str, loader: Any) -> None:
    error = error_of(bomb + "\n}}} not even YAML", loader=loader)
    assert (error.line, error.column) == (1, 5)
    assert error.message.startswith("anchors and aliases")


@with_each_loader
def test_an_alias_to_nothing_is_refused_like_any_other(loader: Any) -> None:
    assert str(error_of("region: *east", loader=loader)).startswith("agent.yaml:1:9: anchors and aliases")


def test_too_many_values_are_refused_at_the_first_one_too_many() -> None:
    error = error_of("[" + "1,\n" * 200_000 + "]")
    assert (error.line, error.message) == (100_000, "more than 100000 values in one file")


def test_keys_count_as_values() -> None:
    limits = Limits(max_nodes=4)
    assert read_value("a: 1\n", file="f.yaml", limits=limits).value == {"a": 1}
    with pytest.raises(ConfigError, match=r"f\.yaml:2:4: more than 4 values"):
        read_value("a: 1\nb: 2\n", file="f.yaml", limits=limits)


@pytest.mark.parametrize("character", ["x", "\u00e9"])
def test_a_text_of_more_than_a_mebibyte_is_refused_before_it_is_parsed(character: str) -> None:
    text = "[" + character * (1024 * 1024 // len(character.encode()))  # never closed: parsing would complain of that
    assert error_of(text).message == "the file is larger than 1048576 bytes"


def test_sixty_thousand_directives_are_refused_at_the_first() -> None:
    assert error_of("a: 1\n...\n" + "%TAG !a! tag:x\n" * 60_000).line == 3


@with_each_loader
@pytest.mark.parametrize(
    "text", [r'region: "\ud800"', r'region: "\UFFFFFFFF"', r'region: "\U00110000"', "region: \ud800", "region: \x00"]
)
def test_what_is_no_character_is_refused(text: str, loader: Any) -> None:
    assert error_of(text, loader=loader).line == 1


@with_each_loader
def test_a_key_that_is_left_out_is_no_key(loader: Any) -> None:
    assert error_of("? \n: 1", loader=loader).message == "a key is text; nothing stands before the ':'"


# --- models


GOOD = """\
region: west
spool-size: 1GiB
checks:
  - name: eligibility
    interval: 1m30s
    timeout: 10s
    headers: {X-Key: "${env:SECRET}", X-Price: 5$, X-Shell: "$${HOME} $$"}
probes:
  portal: {kind: http, url: "https://payer.example/"}
  switch: {kind: tcp, port: 8583}
"""


def test_a_good_file_becomes_the_model() -> None:
    loaded = load(GOOD, Agent, file="agent.yaml", names={"env:SECRET": SECRET})
    headers = {"X-Key": SECRET, "X-Price": "5$", "X-Shell": "${HOME} $"}
    assert loaded.value == Agent(
        region="west",
        spool_size=SizeText(2**30),
        checks=(
            Check(
                name="eligibility",
                interval=DurationText(90 * SECOND),
                timeout=DurationText(10 * SECOND),
                headers=headers,
            ),
        ),
        probes={"portal": Http(url="https://payer.example/"), "switch": Tcp(port=8583)},
    )
    assert loaded.value.grace == 10 * SECOND
    assert str(loaded.located.error(("checks", 0, "timeout"), "timeout: no")) == "agent.yaml:6:14: timeout: no"


def test_without_expansion_dollars_are_just_text() -> None:
    loaded = load(GOOD, Agent, file="agent.yaml", expand=False)
    assert loaded.value.checks[0].headers["X-Key"] == "${env:SECRET}"
    assert loaded.value.checks[0].headers["X-Shell"] == "$${HOME} $$"


@pytest.mark.parametrize("brought_in", ["true", "5", "null", "[1, 2]", "a: b", "${env:OTHER}", "$$", "&x", ""])
def test_what_comes_from_outside_stays_the_text_it_is(brought_in: str) -> None:
    names = {"env:A": brought_in, "env:OTHER": "expanded twice"}
    loaded = load("one: ${env:A}\ntwo: <${env:A}>\n", dict[str, Any], file="f.yaml", names=names)
    assert loaded.value == {"one": brought_in, "two": f"<{brought_in}>"}


@pytest.mark.parametrize(
    "reference",
    [
        "${}",
        "${env:}",
        "${file:}",
        "${env:NOT-A-NAME}",
        "${secret:KEY}",
        "${ENV:HOME}",
        "${env:A:-b}",
        "${7*7}",
        "${env:${env:A}}",
        "${uuid}",
    ],
)
def test_no_other_reference_is_known(reference: str) -> None:
    error = error_of(f"region: '{reference}'")
    assert "is no reference; known are ${env:NAME} and ${file:PATH}" in error.message
    assert error.line == 1


_VERDICT_PIECES = ["z", "`", " - at `", "key` in `", "$", ".checks", ".probes", ".x", "[0]", "[...]", "Expected `int`"]


@settings(max_examples=200, deadline=None)
@given(
    key=st.lists(st.sampled_from(_VERDICT_PIECES), min_size=1, max_size=8).map("".join), line=st.sampled_from((1, 4, 6))
)
def test_a_key_that_imitates_a_verdict_of_the_validator_does_not_mislead_it(key: str, line: int) -> None:
    lines = ["region: east", "checks:", "- name: a", "  interval: 1s", "probes:", "  a: {kind: tcp, port: 1}"]
    indent = {1: "", 4: "  ", 6: "  "}[line]
    lines.insert(line, f"{indent}{json.dumps(key)}: 1")
    error = error_of("\n".join(lines))
    assert error.line == line + 1
    assert error.message.startswith("unknown key") or line == 6


def test_an_error_of_many_characters_is_cut() -> None:
    assert len(str(error_of(f"region: {'e' * 5000}"))) < 200
    assert len(str(error_of(f"{'k' * 900}: 1"))) < 200


def test_control_characters_of_a_file_are_escaped_in_its_errors() -> None:
    for text in ('"\\e[2J": 1', 'region: "\\e[2J"', 'probes: {"\\e[2J": {kind: tcp, port: "\\e"}}'):
        assert str(error_of(text)).isprintable()


@pytest.mark.parametrize("secret", [SECRET, "abc", "east", 'it\'s "quoted"\n', "interval", "x" * 500, "1", " pad "])
@pytest.mark.parametrize(
    "text",
    [
        "region: ${env:SECRET}!",
        "region: east\nspool-size: ${env:SECRET}",
        "region: east\nchecks: ${env:SECRET}",
        "region: east\nchecks: [{name: a, interval: '${env:SECRET}'}]",
        "region: east\nchecks: []\nowner: {name: 'x${env:SECRET}'}",
        "region: east\nchecks: []\nprobes: {p: {kind: '${env:SECRET}'}}",
        "region: east\nchecks: []\nprobes: {p: {kind: tcp, port: '${env:SECRET}'}}",
        "region: east\nchecks: []\nenabled: ${env:SECRET}",
    ],
)
def test_a_secret_is_not_echoed_by_any_error(text: str, secret: str) -> None:
    plain = str(_error_with(text, "\u2020"))
    shown = str(_error_with(text, secret)).replace("${env:SECRET}", "")
    assert shown.count(secret) <= plain.count(secret)
    assert shown.count(secret[:20]) <= plain.count(secret[:20])


def _error_with(text: str, secret: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(text, Agent, file="agent.yaml", names={"env:SECRET": secret})
    return caught.value


def test_a_loaded_file_shows_no_value_when_it_is_printed() -> None:
    loaded = load(GOOD, Agent, file="agent.yaml", names={"env:SECRET": SECRET})
    assert SECRET not in f"{loaded!r} {loaded.located!r} {ProcessNames({'A': SECRET}, Path())!r}"
    assert SECRET not in str(loaded.located.error(("region",), f"no {SECRET} here", f"not {SECRET}"))


# --- files and the environment


def test_references_are_looked_up_in_the_environment_and_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"abc\n\n")
    (tmp_path / "windows").write_bytes(b"abc\r\n")
    names = ProcessNames({"TOKEN": "t"}, tmp_path)
    assert names["env:TOKEN"] == "t"
    assert names["file:token"] == "abc\n"
    assert names["file:windows"] == "abc"
    assert names[f"file:{tmp_path / 'token'}"] == "abc\n"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:NOPE", "no such environment variable"),
        ("env:LATIN", "it is not UTF-8 text"),
        ("file:nope", "the file cannot be read: No such file or directory"),
        ("file:.", "the file cannot be read: Is a directory"),
        ("file:latin", "the file is not UTF-8 text"),
        ("file:large", "the file is larger than 64 KiB"),
        ("file:a\\0b", "embedded null byte"),
    ],
)
def test_a_reference_that_cannot_be_read_says_why(tmp_path: Path, reference: str, message: str) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "large").write_bytes(b"x" * (64 * 1024 + 1))
    names = ProcessNames({"LATIN": "caf\udce9"}, tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(f'a: "${{{reference}}}"', dict[str, str], file="f.yaml", names=names)
    assert caught.value.message.endswith(f": {message}")
    assert (caught.value.line, caught.value.column) == (1, 4)


def test_a_file_of_64_kibibytes_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "largest").write_bytes(b"x" * (64 * 1024))
    assert len(ProcessNames({}, tmp_path)["file:largest"]) == 64 * 1024


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(GOOD)
    assert load_file(path, Agent, names={"env:SECRET": "s"}).value.checks[0].headers["X-Key"] == "s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ":1:1: the file cannot be read: No such file or directory"),
        (b"region: east\nch\xc3\xa9: caf\xe9\n", ":2:9: the file is not UTF-8 text"),
        (b"#" * (1024 * 1024) + b"\xe9", ":1:1: the file is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "agent.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_file(path, Agent)
    assert str(caught.value) == f"{path}{message}"


# --- schema


def test_the_schema_describes_durations_and_sizes_as_text() -> None:
    schema = json_schema(Agent)
    agent, check = schema["$defs"]["Agent"], schema["$defs"]["Check"]
    assert check["properties"]["interval"]["type"] == "string"
    assert agent["properties"]["spool-size"]["description"] == "a size, like 256MB or 1GiB"
    assert agent["additionalProperties"] is False
    assert agent["required"] == ["region", "checks"]


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        (DurationText, "1.5s", 1_500_000),
        (DurationText, "1h30m", 90 * MINUTE),
        (SizeText, "256MB", 256_000_000),
        (SizeText, "1 GiB", 2**30),
    ],
)
def test_the_schema_takes_what_the_type_takes(kind: type[DurationText | SizeText], text: str, meant: int) -> None:
    pattern = str(kind.schema["pattern"])
    assert kind.from_text(text) == meant
    assert re.search(pattern, text)
    assert re.search(pattern, "${env:X}")
    assert not re.search(pattern, f"{text}!")


def test_a_type_that_no_file_can_hold_has_no_schema() -> None:
    class Wrong(_File, frozen=True, kw_only=True):
        place: Path

    with pytest.raises(TypeError, match="not a type that a file can hold"):
        json_schema(Wrong)


# --- whatever comes

_YAMLISH = st.text(
    st.sampled_from(list("ab01:- \n\t#,[]{}&*!|>'\"%@`?<$~=.\\e\r\x00\x85\u2028\ufeff\ud800")), max_size=60
)
_PIECES = st.lists(
    st.sampled_from(
        [
            "region: ",
            "checks:",
            "\n",
            "  - ",
            "name: ",
            "interval: ",
            "10s",
            "east",
            "${env:SECRET}",
            "${",
            "}",
            "[",
            "]",
        ]
        + ["{", ", ", ": ", "probes: ", "kind: ", "http", "null", "1", "owner: ", "x", "'", '"', "- ", "<<: ", "  "]
    ),
    max_size=30,
).map("".join)


@with_each_loader
@settings(max_examples=200, deadline=None)
@given(text=st.one_of(_YAMLISH, _PIECES, st.text(max_size=60)))
def test_whatever_the_text_reading_it_gives_a_value_or_a_config_error(loader: Any, text: str) -> None:
    try:
        located = read_value(text, file="f.yaml", loader=loader)
    except ConfigError as error:
        mark = (error.line, error.column)
    else:
        assert set(located.key_marks) < set(located.marks)
        mark = located.mark(())
    assert mark >= (1, 1)


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(_YAMLISH, _PIECES))
def test_whatever_the_text_loading_it_gives_a_model_or_a_config_error_without_the_secret(text: str) -> None:
    shown = ""
    try:
        load(text, Agent, file="f.yaml", names={"env:SECRET": SECRET})
    except ConfigError as error:
        shown = str(error)
    assert SECRET not in shown


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"]), max_size=20)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(value=_VALUES)
def test_json_is_read_as_json_means_it(value: object) -> None:
    written = json.dumps({"value": value}, ensure_ascii=False)
    assert read_value(written, file="f.yaml").value == {"value": value}
