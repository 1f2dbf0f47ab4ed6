"""The JSON Schema (2020-12) of agreement files, for editors: made from the model, with what its types cannot say.

The loader knows more (zones, slices that divide 15 minutes, ids that stand twice); what it refuses and a schema can
say, this one refuses too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from outrider.core.outcome import OutcomeClass
from outrider.strict_yaml import json_schema
from outrider_collector.agreements.files import AgreementFile

FILE_NAME = "agreement.schema.json"
"""Under config/guarantees; the shipped files name it in a comment that editors read."""

_NONE, _WHOLE = r"^0{1,2}(\.0{1,12})? ?%$", r"^100(\.0{1,12})? ?%$"
_TOO_LONG = r"^rolling +(0{1,3}|36[7-9]|3[7-9]\d|[4-9]\d\d)d$"


def agreement_schema() -> bytes:
    """The schema as JSON, always the same bytes."""
    schema = json_schema(AgreementFile)
    clause = schema["$defs"]["GuaranteeFile"]
    clause["allOf"] = list(_between_values())
    for name, refused in (("target", [_NONE]), ("quorum", [_NONE, _WHOLE]), ("period", [_TOO_LONG])):
        clause["properties"][name]["not"] = {"anyOf": [{"pattern": each} for each in refused]}
    clause["properties"]["counts"]["propertyNames"] = {"enum": [each.value for each in OutcomeClass]}
    for name, default in (("slice", "60s"), ("quorum", "50%"), ("period", "month"), ("notice", "72h"),
                          ("coverage_floor", "0%")):  # fmt: skip
        clause["properties"][name]["default"] = default
    for each in (schema["$defs"]["AgreementFile"], clause):
        each["properties"]["regions"]["anyOf"][0]["uniqueItems"] = True
    _without_references(schema)
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Outrider agreement",
    }
    return msgspec.json.format(msgspec.json.encode(whole, order="deterministic"), indent=1) + b"\n"


def _between_values() -> list[dict[str, Any]]:
    """What parameters of a clause say about each other."""

    def has(name: str, **value: object) -> dict[str, Any]:
        return {"properties": {name: value}, "required": [name]}

    given = {"type": "string"}
    return [
        {
            "if": has("measure", const="response_time"),
            "then": {**has("limit", **given), "not": has("composite", enum=["all", "any"])},
            "else": {"not": has("limit", **given)},
        },
        {"if": has("period", pattern="^rolling"), "then": {"not": has("cap", **given)}},
        {"if": has("strict", const=True), "then": {"not": has("target", pattern=_WHOLE)}},
    ]


def _without_references(node: Any) -> None:
    """Agreements take nothing from outside, so that both parties read the same: no `${env:NAME}` in a duration."""
    if isinstance(node, dict):
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            node["pattern"] = pattern.replace(r"|\$\{.+\}", "")
        for each in node.values():
            _without_references(each)
    elif isinstance(node, list):
        for each in node:
            _without_references(each)
