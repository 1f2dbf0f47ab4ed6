"""Urlencoded bodies of the http probe, read back by others: the standard library and aiohttp's server."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.clock import SystemClock
from outrider.core.units import SECOND
from outrider.probes import Target
from outrider.probes.http import HttpProbe
from outrider.scenario import render
from outrider.transport import HttpRequest
from outrider.transport.aiohttp_wire import AiohttpTransport


def prepared(form: Any, url: str = "https://gateway.test", **more: Any) -> HttpRequest:
    request = {"method": "POST", "path": "/v1/charges", "form": form, **more}
    HttpProbe().check(request)
    return HttpProbe().prepare(request, Target("gateway", url), str).request


def sent(form: Any) -> list[tuple[str, str]]:
    return parse_qsl(prepared(form).body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


@pytest.mark.parametrize(
    ("form", "pairs"),
    [
        ({"amount": 100, "currency": "usd"}, [("amount", "100"), ("currency", "usd")]),
        ({"card": {"name": "A", "exp_month": 12}}, [("card[name]", "A"), ("card[exp_month]", "12")]),
        ({"a": {"b": {"c": "d"}}}, [("a[b][c]", "d")]),
        ({"expand": ["charges", "customer"]}, [("expand[0]", "charges"), ("expand[1]", "customer")]),
        ({"items": [{"price": 1}, {"price": 2}]}, [("items[0][price]", "1"), ("items[1][price]", "2")]),
        ({"capture": False, "live": True}, [("capture", "false"), ("live", "true")]),
        ({"rate": 1.5, "note": None}, [("rate", "1.5"), ("note", "")]),
        ({"metadata[order]": "17"}, [("metadata[order]", "17")]),
        ({"text": "a&b=c d+e%\u00e9\n"}, [("text", "a&b=c d+e%\u00e9\n")]),
    ],
)
def test_a_form_is_sent_with_its_keys_in_brackets(form: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
    assert sent(form) == pairs


def test_the_bytes_are_those_that_a_gateway_documents() -> None:
    request = prepared({"amount": 100, "card": {"number": "4242424242424242"}})
    assert request.body == b"amount=100&card%5Bnumber%5D=4242424242424242"
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_step_can_name_its_own_content_type_and_an_empty_form_is_an_empty_body() -> None:
    request = prepared({}, headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
    assert request.body == b""
    assert dict(request.headers)["Content-Type"].endswith("charset=utf-8")


def test_names_are_filled_in_before_a_form_is_encoded() -> None:
    form = render({"card": {"name": "${who}"}, "tags": ["${who}"]}, {"who": "A & B"}.__getitem__)
    assert sent(form) == [("card[name]", "A & B"), ("tags[0]", "A & B")]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"form": {"a": 1}, "json": {"a": 1}}, "one of body, json and form"),
        ({"form": {"a": 1}, "body": "a=1"}, "one of body, json and form"),
        ({"form": {}, "body": ""}, "one of body, json and form"),
        ({"form": {"a": {"b": []}}}, r"a\[b\] is an empty mapping or list"),
        ({"form": {"a": {}}}, "form: a is an empty"),
        ({"form": ["a"]}, "form"),
        ({"form": "a=1"}, "form"),
    ],
)
def test_a_form_that_says_nothing_or_too_much_does_not_load(request_: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        HttpProbe().check({"method": "POST", "path": "/", **request_})


async def test_a_server_reads_the_form_as_it_was_meant() -> None:
    received: dict[str, str] = {}

    async def charge(request: web.Request) -> web.Response:
        received.update({key: str(value) for key, value in (await request.post()).items()})
        return web.json_response({"id": "ch_1"})

    app = web.Application()
    app.router.add_post("/v1/charges", charge)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    wire = AiohttpTransport(SystemClock())
    try:
        form = {"amount": 100, "card": {"name": "Ünï & Co"}, "expand": ["x"]}
        exchange = await wire.exchange(prepared(form, f"http://127.0.0.1:{site.port}"), 5 * SECOND)
    finally:
        await wire.close()
        await runner.cleanup()
    assert exchange.reply is not None
    assert exchange.reply.status == 200
    assert received == {"amount": "100", "card[name]": "Ünï & Co", "expand[0]": "x"}


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("abc[]&=% é", min_size=1, max_size=5), _TEXTS, max_size=5))
def test_any_text_comes_back_as_it_was(form: dict[str, str]) -> None:
    body = prepared(form).body.decode("ascii")
    assert parse_qsl(body, keep_blank_values=True) == list(form.items())
