"""What an answer says about whether a step happened: the questions that rules 4, 5 and 7 of a run ask of it."""

from __future__ import annotations

from collections.abc import Iterable

from outrider.codecs import iso8583_responses
from outrider.core.outcome import Observation, Outcome
from outrider.scenario.file import Step

_NEVER_SENT = ("net/resolve", "net/connect", "net/tls", "agent/")
_MAYBE_DONE = ("408", "409")
_SAYS_NOTHING = ("401", "403", "429", *_MAYBE_DONE)


def captured(step: Step, observation: Observation) -> dict[str, str]:
    """The names that an answer gives, each the first value of its fact."""
    found = {name: observation.facts.get(fact, ()) for name, fact in step.capture.items()}
    return {name: values[0] for name, values in found.items() if values}


def is_ours(outcome: Outcome) -> bool:
    """Whether it is an answer to our question that holds together, be it the expected one or not (rule 7)."""
    return outcome.is_ok or outcome.place.startswith("expect/")


def may_have_happened(observation: Observation) -> bool:
    """Whether the step may have been done: it left, and was not refused (rule 4)."""
    return not (_was_never_sent(observation) or _was_refused(observation, _MAYBE_DONE))


def denies_the_first(observation: Observation) -> bool:
    """Whether a repeat was refused in a way that speaks of the first attempt too (rule 5)."""
    return _was_refused(observation, _SAYS_NOTHING)


def _was_never_sent(observation: Observation) -> bool:
    return any(finding.place.startswith(_NEVER_SENT) for finding in observation.findings)


def _was_refused(observation: Observation, but: Iterable[str]) -> bool:
    """Whether the answer is a 4xx, other than those in `but`, or an issuer's or a switch's decline (ISO 8583)."""
    codes = [finding.code for finding in observation.findings if finding.place == "status"]
    responses = [finding.code for finding in observation.findings if finding.fact == iso8583_responses.PLACE]
    return any(code.startswith("4") and code not in but for code in codes) or any(
        code in iso8583_responses.NOTHING_DONE for code in responses
    )
