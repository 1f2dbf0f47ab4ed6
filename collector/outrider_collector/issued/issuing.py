"""Issuing statements, making them again, and saying what changed since. See the rules of the package."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from outrider import __version__
from outrider.core.intervals import Interval
from outrider.core.maintenance import Announcement, histories
from outrider.core.period import parse_period
from outrider.core.units import DAY, Duration, Instant, format_instant
from outrider_collector.accounting import Accountant
from outrider_collector.evidence import canonical
from outrider_collector.issued import Confirmation, Revision
from outrider_collector.issued.comparing import IDENTITY, changes
from outrider_collector.issued.register import IssuedRegister
from outrider_collector.issued.terms import Terms, TermsError, decode_terms, encode_terms
from outrider_collector.statement import Plain, make_statement
from outrider_collector.store import Store, StoreFailedError

LONGEST_AUTHOR = 200
LEAD: Duration = 400 * DAY
"""What came in for as long before a period may bear on it: on what belongs to it, on clauses whose own periods begin
before it, on days that are shown beside it. Whether it does is seen when the statement is made."""

OTHERWISE = "the store or the register of windows holds other facts of that time, or this build counts otherwise"
_MOST_NAMED = 5
_NO_NEWS = IDENTITY | {"timezone_data"}
"""What may differ without a statement saying anything else."""


class NotOverError(ValueError):
    """The period is not over, or its results may still be under way; the message says from when it can be issued."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What came of issuing: the newest revision with its statement. If it is not new, it still says all there is."""

    revision: Revision
    statement: Plain
    is_new: bool


@dataclass(frozen=True, slots=True)
class Again:
    """A revision made again. `why` says what may be the reason where its hash is another one."""

    revision: Revision
    statement: Plain
    sha256: str
    why: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        return self.sha256 == self.revision.sha256


@dataclass(frozen=True, slots=True)
class Since:
    """What was recorded since a revision that may bear on its period. `lead`: results of the time before the period."""

    results: int = 0
    lead: int = 0
    announcements: int = 0
    terms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.results or self.lead or self.announcements or self.terms)

    @property
    def reasons(self) -> list[str]:
        reasons = []
        if self.results:
            reasons.append(f"late results: {self.results}")
        elif self.lead:
            reasons.append(f"late results of the time before the period, which may bear on it: {self.lead}")
        if self.announcements:
            reasons.append(f"announcements of windows that may bear on the period: {self.announcements}")
        return [*reasons, *self.terms]


class Issuer:
    """Safe to use from several threads; every method blocks while it works. Raises StoreFailedError.

    `as_of` gives an instant up to which ledger and announcements are complete.
    """

    def __init__(
        self,
        register: IssuedRegister,
        store: Store,
        accountant: Accountant,
        *,
        as_of: Callable[[], Instant],
        announcements: Callable[[], Sequence[Announcement]],
    ) -> None:
        self.stale: dict[str, bool] = {}
        """For each period, whether its newest revision was stale when that was last looked at."""
        self._register, self._store, self._accountant = register, store, accountant
        self._as_of, self._announcements = as_of, announcements
        self._terms = Terms(accountant.agreement, accountant.settle, accountant.known_expiries)
        self._lock = threading.Lock()

    def issue(self, period: str, author: str = "") -> Issue:
        """Issue the statement of a period, or find that the newest one still holds. Raises ValueError for what is no
        period, NotOverError, StoreFailedError; then nothing was issued."""
        if len(author) > LONGEST_AUTHOR or not author.isprintable():
            raise ValueError(f"an author is at most {LONGEST_AUTHOR} printable characters")
        span = _span(period, self._terms)
        with self._lock:
            as_of = self._as_of()
            over = span.end + self._terms.settle
            if as_of < over:
                raise NotOverError(f"{period} is not over and settled: it can be issued from {format_instant(over)}")
            newest = self._register.newest(period)
            issue = self._first(period, span, as_of, author) if newest is None else self._next(newest, as_of, author)
            self.stale[period] = False
            return issue

    def _first(self, period: str, span: Interval, as_of: Instant, author: str) -> Issue:
        statement = self._make(self._terms, span, as_of, period) | {"revision": 1, "replaces": None}
        return self._record(self._terms, statement, span, as_of, author, ())

    def _next(self, newest: Revision, as_of: Instant, author: str) -> Issue:
        terms = self._governing(newest)
        since = self._since(newest, as_of, terms, self._announcements())
        is_as_then = (newest.software, newest.timezone_data) == _versions()
        if not since and is_as_then:
            return Issue(newest, self._issued(newest), is_new=False)
        span = _span(newest.period, terms)
        statement = self._make(terms, span, as_of, newest.period)
        issued = self._issued(newest)
        if _news(statement) == _news(issued):
            if since:
                terms_sha256 = _sha256(encode_terms(terms).encode())
                self._register.confirm(newest, Confirmation(as_of, statement["ledger"], terms_sha256))
            return Issue(newest, issued, is_new=False)
        replaced = {"revision": newest.number, "as_of": format_instant(newest.as_of), "sha256": newest.sha256}
        statement |= {"revision": newest.number + 1, "replaces": replaced}
        why = (*since.reasons, *_version_reasons(newest))
        return self._record(terms, statement, span, as_of, author, why)

    def _record(
        self, terms: Terms, statement: Plain, span: Interval, as_of: Instant, author: str, why: tuple[str, ...]
    ) -> Issue:
        text, kept = canonical(statement), encode_terms(terms)
        software, timezone_data = _versions()
        revision = Revision(
            period=statement["period"]["label"],
            number=statement["revision"],
            start=span.start,
            end=span.end,
            as_of=as_of,
            ledger=statement["ledger"],
            verdict=statement["verdict"],
            sha256=_sha256(text),
            terms=kept,
            terms_sha256=_sha256(kept.encode()),
            software=software,
            timezone_data=timezone_data,
            author=author,
            issued_at=0,
            why=why,
        )
        return Issue(self._register.add(revision, text), statement, is_new=True)

    def again(self, period: str, number: int) -> Again:
        """A revision made again from the facts as they stood. Raises UnknownRevisionError, TermsError."""
        revision = self._register.revision(period, number)
        issued = self._issued(revision)
        terms, span = decode_terms(revision.terms), Interval(revision.start, revision.end)
        statement = self._make(terms, span, revision.as_of, period)
        statement |= {name: issued.get(name) for name in ("revision", "replaces")}
        made = Again(revision, statement, _sha256(canonical(statement)), ())
        if made.is_same:
            return made
        why = _version_reasons(revision)
        if statement["schema"] != issued["schema"]:
            why.append(f"statements had the schema {issued['schema']} then, and have {statement['schema']} now")
        if statement["ledger"] != revision.ledger:
            why.append(f"the ledger of that time ended at {revision.ledger}, and now ends at {statement['ledger']}")
        if encode_terms(terms) != revision.terms:
            why.append("this software reads the agreement of then in another way")
        return replace(made, why=tuple(why) or (OTHERWISE,))

    def kept(self, period: str, number: int) -> Issue:
        """A revision as it was handed out. Raises UnknownRevisionError."""
        revision = self._register.revision(period, number)
        return Issue(revision, self._issued(revision), is_new=False)

    def compare(self, period: str, first: int, second: int) -> Plain:
        """What changed from one revision to another, both as they were handed out. Raises UnknownRevisionError."""
        before, after = self.kept(period, first), self.kept(period, second)
        low, high = sorted((before.revision, after.revision), key=lambda each: each.ledger)
        span = Interval(min(low.start, high.start), max(low.end, high.end))
        return {
            "period": period,
            "before": before.revision.plain,
            "after": after.revision.plain,
            "results_between": self._store.recorded_between(span, low.ledger, high.ledger),
            "changes": [each.plain for each in changes(before.statement, after.statement)],
        }

    def listing(self, period: str | None = None) -> list[Plain]:
        """Every issued statement, in order of issue, each with whether it is stale, and why."""
        found = [each for each in self._register.revisions() if period in (None, each.period)]
        newest = {each.period: each.number for each in found}
        as_of = self._as_of() if found else 0
        announcements = self._announcements() if found else ()
        listed = []
        for each in found:
            is_newest = newest[each.period] == each.number
            reasons = self._reasons(each, as_of, announcements) if is_newest else []
            if is_newest:
                self.stale[each.period] = bool(reasons)
            replaced_by = None if is_newest else each.number + 1
            listed.append(each.plain | {"replaced_by": replaced_by, "stale": bool(reasons), "stale_because": reasons})
        return listed

    # --- what a revision rests on, then and now ----------------------------------------------------------------------

    def _make(self, terms: Terms, span: Interval, as_of: Instant, label: str) -> Plain:
        accountant = self._accountant.under(terms.agreement, terms.settle, terms.known_expiries)
        basis = accountant.basis(span, as_of, self._announcements())
        return make_statement(accountant, self._store, basis, label)

    def _issued(self, revision: Revision) -> Plain:
        text = self._register.text(revision)
        if _sha256(text) != revision.sha256:
            raise StoreFailedError(
                f"the text of {revision.period} r{revision.number} in the register is not what was issued; restore it"
            )
        plain: Plain = json.loads(text)
        return plain

    def _governing(self, newest: Revision) -> Terms:
        """The terms that a period is issued again under (rule 5)."""
        from_then = self._terms.agreement.in_force_from
        if from_then is not None and from_then >= newest.end:
            return decode_terms(newest.terms)
        return self._terms

    def _reasons(self, newest: Revision, as_of: Instant, announcements: Sequence[Announcement]) -> list[str]:
        try:
            return self._since(newest, as_of, self._governing(newest), announcements).reasons
        except TermsError as error:
            return [str(error)]

    def _since(self, newest: Revision, as_of: Instant, terms: Terms, announcements: Sequence[Announcement]) -> Since:
        """What came since, counted; nothing is made again for it."""
        seen = self._register.confirmed(newest)
        ledger = self._store.position(as_of)
        period, reach = Interval(newest.start, newest.end), _reach(newest, terms)
        results = lead = 0
        if ledger > seen.ledger:
            results = self._store.recorded_between(period, seen.ledger, ledger)
            lead = self._store.recorded_between(Interval(newest.start - LEAD, newest.start), seen.ledger, ledger)
        later = 0
        for history in histories(announcements).values():
            if any(each.start < reach.end and each.end > reach.start for each in history):
                later += sum(seen.as_of < each.recorded_at <= as_of for each in history)
        return Since(results, lead, later, _terms_reasons(newest, seen, terms))


def _span(period: str, terms: Terms) -> Interval:
    if not period.isascii():  # digits of other scripts would name one period twice
        raise ValueError(f"{period!r} is not a period; write it with the digits 0 to 9")
    span = parse_period(period, terms.agreement.zone)
    if span.start < 0:
        raise ValueError(f"{period} begins before 1970")
    return span


def _reach(revision: Revision, terms: Terms) -> Interval:
    """The time whose windows bear on a period: what leads up to it, and all that a cap is used up over."""
    start, end = max(0, revision.start - LEAD), revision.end
    for guarantee in terms.agreement.guarantees:
        if guarantee.cap is not None:
            whole = list(guarantee.calendar.overlapping(Interval(start, end)))
            start, end = min(start, whole[0].start), max(end, whole[-1].end)
    return Interval(start, end)


def _terms_reasons(newest: Revision, seen: Confirmation, terms: Terms) -> tuple[str, ...]:
    """What of the terms is another than when the revision was last found to stand; parameters that its software did
    not have yet are as their defaults."""
    now = encode_terms(terms)
    then = encode_terms(decode_terms(newest.terms))
    if now == then or _sha256(now.encode()) == seen.terms_sha256:
        return ()
    found = [f"{each.clause} {each.what}".strip() for each in changes(json.loads(then), json.loads(now))]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return (f"the terms changed: {', '.join(found[:_MOST_NAMED])}{more}",)


def _version_reasons(revision: Revision) -> list[str]:
    then = {"software": revision.software, "time-zone data": revision.timezone_data}
    now = dict(zip(then, _versions(), strict=True))
    return [f"{what} {then[what]} then, {now[what]} now" for what in then if then[what] != now[what]]


def _versions() -> tuple[str, str]:
    return f"outrider {__version__}", version("tzdata")


def _news(statement: Plain) -> bytes:
    return canonical({name: value for name, value in statement.items() if name not in _NO_NEWS})


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


__all__ = ["Again", "Issue", "Issuer", "NotOverError", "Since", "TermsError"]
