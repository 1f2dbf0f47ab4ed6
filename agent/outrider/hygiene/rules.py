"""The rules held against a scenario when it is loaded, and against a request before it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from outrider.codecs.check_digits import is_npi, is_routing_number
from outrider.codecs.fhir_request import NPI_SYSTEM
from outrider.hygiene import cards, money
from outrider.hygiene.walking import Place, fields, names
from outrider.scenario import OPAQUE, Call, Cleanup, Inquiry, Money, Problem, Scenario, Step, plain_names, render
from outrider.strict_yaml import ConfigError, Located

_NOT_LISTED = (
    "is a card number, and no published test number (outrider/codecs/published_cards.py); "
    "a token that looks like one goes into ${secret:NAME}"
)
_INQUIRY_PAYS = "an inquiry asks, and moves no money: ask by a reference or an id, without an amount"
_NPI_KINDS = ("x12", "fhir")
_ROUTING_KEYS = ("routingnumber", "abanumber", "routingtransitnumber")
_COMMENT = re.compile(r"(?:^|\s)#(.*)")


def refuse_cards(located: Located) -> None:
    """Raise ConfigError at the first card number of a document that is not on the list; comments are read too."""
    for place, shown in cards.unlisted(located.value):
        raise located.error(place, f"{shown} {_NOT_LISTED}", at_key=shown.startswith("in the key"))
    for number, line in enumerate(located.text.split("\n"), 1):
        if comment := _COMMENT.search(line):
            for _, shown in cards.unlisted(comment[1]):
                raise ConfigError(located.file, number, comment.start(1), f"{shown} {_NOT_LISTED}")


def problems(scenario: Scenario) -> Iterator[Problem]:
    """What a scenario's file breaks of the rules, as far as it can be seen before a run."""
    for name, text in plain_names(scenario.names).items():
        for _, shown in cards.unlisted(text):
            yield ("names", name), f"{shown} {_NOT_LISTED}"
    for place, step in scenario.located_steps():
        request = as_written(scenario, step)
        for inner, shown in cards.unlisted(request):
            yield (*place, "request", *inner), f"{shown} {_NOT_LISTED}"
        for inner, message in _identifiers(scenario.kind(step), request):
            yield (*place, "request", *inner), message
    yield from _money_problems(scenario)


def as_written(scenario: Scenario, step: Step) -> Mapping[str, Any]:
    """A step's request with the scenario's own names filled in; all else is OPAQUE."""
    plain = plain_names(scenario.names)
    rendered: dict[str, Any] = render(step.request, lambda name: plain.get(name, OPAQUE))
    return rendered


def _identifiers(kind: str, request: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Rule 3. In FHIR an id says by its system that it is an NPI; a provider's is one without a system."""
    every = list(fields(request))  # a form's key may stand twice
    found = dict(every)
    for place, leaf in every:
        text = str(leaf)
        if OPAQUE in text:
            continue
        key = "".join(names(place)[-1:])
        system = found.get((*place[:-1], "system"), NPI_SYSTEM if kind in _NPI_KINDS else "")
        is_provider = kind in _NPI_KINDS and (key == "npi" or place[-2:] == ("provider", "id"))
        if system == NPI_SYSTEM and (is_provider or _is_value_of_system(place, found)) and not is_npi(text):
            yield place, "this is not an NPI: ten digits, the first 1 or 2, the last the Luhn check digit after 80840"
        if kind == "http" and key.endswith(_ROUTING_KEYS) and not is_routing_number(text):
            yield place, "this is not an ABA routing number: nine digits whose check digit holds (3, 7, 1)"


def _is_value_of_system(place: Place, found: Mapping[Place, object]) -> bool:
    return place[-1] in ("id", "value") and (*place[:-1], "system") in found


def _pays(scenario: Scenario, step: Step) -> bool:
    may_pay = scenario.kind(step) in money.PAYING_KINDS
    return step.pays or (may_pay and next(money.amounts(as_written(scenario, step)), None) is not None)


def _money_problems(scenario: Scenario) -> Iterator[Problem]:
    """Rule 2."""
    if scenario.money is not None:
        yield from ((("money", key), message) for key, message in money.check_settings(scenario.money))
    for place, step in scenario.located_steps():
        if not _pays(scenario, step):
            continue
        if isinstance(step, Inquiry):
            yield (*place, "request"), _INQUIRY_PAYS
            continue
        if scenario.money is None:
            yield (
                (*place, "request"),
                (
                    f"step {step.name!r} pays, and the scenario sets no limit; "
                    "write money: { max_amount: 100, currency: USD } (minor units)"
                ),
            )
        else:
            yield from (
                ((*place, "request", *inner), message)
                for inner, message in _over_the_limit(as_written(scenario, step), scenario.money, is_rendered=False)
            )
        if not isinstance(step, Cleanup) and not _is_undone(scenario, step):
            yield (
                place,
                (
                    f"step {step.name!r} pays, and no cleanup undoes it; "
                    'write one (undoes: STEP), or say no_cleanup_because: "..."'
                ),
            )


def _is_undone(scenario: Scenario, step: Step) -> bool:
    """Whether a cleanup undoes the step, or does so unless the step has: then the step itself undoes one that pays. One
    that says `pays` moves money on, not back, and has to be undone itself."""
    if scenario.no_cleanup_because.strip():
        return True
    paying = {each.name for each in scenario.steps if _pays(scenario, each)}
    undoing = [cleanup for cleanup in scenario.cleanup if cleanup.undoes in paying.difference(cleanup.others)]
    if any(step.name == cleanup.undoes for cleanup in undoing):
        return True
    return not step.pays and any(step.name in cleanup.others for cleanup in undoing)


def asked_for(scenario: Scenario) -> tuple[str, int] | None:
    """The currency, and the most that the measured steps of a run ask for together, in minor units; None where none
    pays. What is only known at run time counts as the scenario's `max_amount`."""
    paying = [step for step in scenario.steps if _pays(scenario, step)]
    if not paying or scenario.money is None:
        return None
    return scenario.money.currency, sum(_most_of(scenario, step, scenario.money) for step in paying)


def _most_of(scenario: Scenario, step: Step, limit: Money) -> int:
    written = [amount for _, amount in money.amounts(as_written(scenario, step))]
    if not written:
        return limit.max_amount
    return sum(limit.max_amount if OPAQUE in str(amount) else money.in_minor_units(amount, limit) for amount in written)


def _over_the_limit(request: Mapping[str, Any], limit: Money, *, is_rendered: bool) -> Iterator[tuple[Place, str]]:
    for place, currency in money.currencies(request):
        if currency.upper() != limit.currency:
            yield place, f"the currency is not {limit.currency}, in which 'money' sets the limit"
    for place, amount in money.amounts(request):
        is_known = is_rendered or OPAQUE not in str(amount)
        if is_known and (why := money.too_much(amount, limit)):
            yield place, why


def refuse_request(call: Call, limit: Money | None) -> None:
    """Raise ValueError where a rendered request must not be sent (rule 4)."""
    for place, shown in cards.unlisted(call.plain):
        raise ValueError(f"not sent: at {_dotted(place)}, {shown} {_NOT_LISTED}")
    if isinstance(call.step, Inquiry) and call.kind in money.PAYING_KINDS:
        for place, _ in money.amounts(call.request):
            raise ValueError(f"not sent: at {_dotted(place)}, {_INQUIRY_PAYS}")
    if call.is_measured:
        for place, message in _identifiers(call.kind, call.request):
            raise ValueError(f"not sent: at {_dotted(place)}, {message}")
    if not call.is_measured or call.kind not in money.PAYING_KINDS:
        return
    asked = next(money.amounts(call.request), None)
    if asked is None and not call.step.pays:
        return
    if limit is None:
        where = f"at {_dotted(asked[0])}, " if asked else ""
        raise ValueError(f"not sent: {where}the step pays, and the scenario sets no limit with 'money'")
    for place, message in _over_the_limit(call.request, limit, is_rendered=True):
        raise ValueError(f"not sent: at {_dotted(place)}, {message}")


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))
