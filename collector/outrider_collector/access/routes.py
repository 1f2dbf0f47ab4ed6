"""Which route is for whom: one row each. A route that has none lets nobody in, and a test says so."""

from __future__ import annotations

from outrider_collector.access import Wants

ANYONE, ENROLMENT, AGENT, VIEWER, OPERATOR = Wants

TABLE: dict[tuple[str, str], Wants] = {
    # agents
    ("POST", "/v1/results"): AGENT,
    ("GET", "/v1/check-sets/current"): AGENT,
    ("POST", "/v1/check-sets/taken"): AGENT,
    ("POST", "/v1/enroll"): ENROLMENT,
    ("POST", "/v1/enroll/rotate"): AGENT,
    # looking
    ("GET", "/"): VIEWER,
    ("GET", "/v1/status"): VIEWER,
    ("GET", "/v1/statements"): VIEWER,
    ("GET", "/v1/statements/revisions"): VIEWER,
    ("GET", "/v1/statements/{period}/revisions"): VIEWER,
    ("GET", "/v1/statements/{period}/revisions/{number}"): VIEWER,
    ("GET", "/v1/statements/{period}/changes/{first}/{second}"): VIEWER,
    ("GET", "/v1/windows"): VIEWER,
    ("GET", "/v1/windows.ics"): VIEWER,
    ("GET", "/v1/windows/{window}"): VIEWER,
    ("GET", "/v1/windows/{window}/verification"): VIEWER,
    ("GET", "/v1/calendars"): VIEWER,
    ("GET", "/v1/check-sets"): VIEWER,
    ("GET", "/v1/check-sets/{version}"): VIEWER,
    ("GET", "/v1/evidence"): VIEWER,
    ("GET", "/v1/evidence/key"): VIEWER,
    ("GET", "/metrics"): VIEWER,  # or anyone, with `metrics: open`
    # changing
    ("POST", "/v1/windows"): OPERATOR,
    ("POST", "/v1/windows/import"): OPERATOR,
    ("POST", "/v1/windows/{window}/{act}"): OPERATOR,
    ("POST", "/v1/statements/{period}/revisions"): OPERATOR,
    ("POST", "/v1/evidence/seal"): OPERATOR,
    ("POST", "/v1/check-sets"): OPERATOR,
    # letting in
    ("POST", "/v1/enroll/tokens"): OPERATOR,
    ("GET", "/v1/enroll/agents"): OPERATOR,
    ("POST", "/v1/enroll/revocations"): OPERATOR,
    ("GET", "/v1/people"): OPERATOR,
    ("POST", "/v1/people"): OPERATOR,
    ("POST", "/v1/people/passwords"): OPERATOR,
    ("POST", "/v1/people/disabled"): OPERATOR,
    ("POST", "/v1/people/enabled"): OPERATOR,
    ("POST", "/v1/people/tokens"): OPERATOR,
    ("POST", "/v1/people/revocations"): OPERATOR,
    ("GET", "/v1/audit"): OPERATOR,
    # signing in
    ("GET", "/login"): ANYONE,
    ("POST", "/login"): ANYONE,
    ("GET", "/logout"): VIEWER,
    ("POST", "/logout"): VIEWER,
    # is it there
    ("GET", "/-/healthy"): ANYONE,
    ("GET", "/-/ready"): ANYONE,
}

PAGES = frozenset({"/", "/logout"})
"""Where somebody with a browser is sent to sign in, instead of being refused."""


def wanted(method: str, path: str) -> Wants | None:
    """Whom a route is for; HEAD is as GET. None where it has no row."""
    return TABLE.get(("GET" if method == "HEAD" else method, path))
