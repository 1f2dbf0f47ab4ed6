"""Issuing statements, making them again, and saying what changed since. See the rules of the package."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from outrider import __version__
from outrider.core.intervals import Interval
from outrider.core.maintenance import Announcement
from outrider.core.period import parse_period
from outrider.core.units import Instant, format_instant
from outrider_collector.accounting import Accountant
from outrider_collector.evidence import canonical, fingerprint
from outrider_collector.issued import Confirmation, Revision
from outrider_collector.issued.comparing import IDENTITY, changes
from outrider_collector.issued.register import IssuedRegister
from outrider_collector.issued.since import Since, facts_since
from outrider_collector.issued.terms import Terms, TermsError, decode_terms, encode_terms
from outrider_collector.statement import make_statement
from outrider_collector.statement.values import Plain
from outrider_collector.store import Store, StoreFailedError

LONGEST_AUTHOR = 200
OTHERWISE = "the store or the register of windows holds other facts of that time, or this build counts otherwise"
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
                terms_sha256 = fingerprint(encode_terms(terms).encode())
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
            sha256=fingerprint(text),
            terms=kept,
            terms_sha256=fingerprint(kept.encode()),
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
        made = Again(revision, statement, fingerprint(canonical(statement)), ())
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
        return make_statement(accountant, basis, label)

    def _issued(self, revision: Revision) -> Plain:
        text = self._register.text(revision)
        if fingerprint(text) != revision.sha256:
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
        return facts_since(self._store, newest, self._register.confirmed(newest), as_of, terms, announcements)


def _span(period: str, terms: Terms) -> Interval:
    if not period.isascii():  # digits of other scripts would name one period twice
        raise ValueError(f"{period!r} is not a period; write it with the digits 0 to 9")
    span = parse_period(period, terms.agreement.zone)
    if span.start < 0:
        raise ValueError(f"{period} begins before 1970")
    return span


def _version_reasons(revision: Revision) -> list[str]:
    then = {"software": revision.software, "time-zone data": revision.timezone_data}
    now = dict(zip(then, _versions(), strict=True))
    return [f"{what} {then[what]} then, {now[what]} now" for what in then if then[what] != now[what]]


def _versions() -> tuple[str, str]:
    return f"outrider {__version__}", version("tzdata")


def _news(statement: Plain) -> bytes:
    return canonical({name: value for name, value in statement.items() if name not in _NO_NEWS})
