"""The set that an agent took last, on disk beside its spool, and what became of those it was offered.

The file holds the highest version ever taken, which nothing lowers, so that an old set cannot come back. A file that
cannot be read is no reason to forget that: nothing is taken until somebody has looked at it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from outrider.check_sets.rules import SetRefusedError, extended, verify
from outrider.codecs.check_sets import LONGEST_DETAIL, MOST_BYTES, SignedSet, Taken
from outrider.config import AgentConfig
from outrider.redact import printable


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    signed: SignedSet


@dataclass(frozen=True, slots=True)
class Refusal:
    """A set that was not taken: its version (0 where none could be read), a reason of REASONS, words for people."""

    version: int
    reason: str
    words: str


class CheckSets:
    """What the agent has of check sets. Methods block, and are called one at a time.

    `version` is the one in force, 0 where none is; `refusal` the last refusal since a set was taken; `refusals` counts
    them by reason.
    """

    def __init__(self, path: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.version = 0
        self.refusal: Refusal | None = None
        self.refusals: Counter[str] = Counter()
        self._path = path
        self._environ = environ

    def over(self, own: AgentConfig) -> AgentConfig:
        """The agent's own configuration, with the set that was taken last where that still holds against it."""
        self.version = 0
        if own.granted is None:
            return own
        kept = None
        try:
            kept = self._kept()
            if kept is None:
                return own
            made = extended(own, kept, self._environ)
        except SetRefusedError as error:
            self.refuse(kept.version if kept else 0, error)
            return own
        self.version = kept.version
        if self.refusal is not None and self.refusal.version == kept.version:
            self.refusal = None
        return made

    def take(self, own: AgentConfig, signed: SignedSet) -> AgentConfig | None:
        """The agent's own configuration with a new set, which is kept from now on; None where it is in force already.
        Raises SetRefusedError."""
        if own.granted is None:
            raise SetRefusedError("key", "the agent's own file has no check_sets: it takes none")
        verify(signed, own.granted)
        kept = self._kept()
        if kept is not None and signed.version <= kept.version:
            if signed.version == self.version and signed.text == kept.text:
                self.refusal = None
                return None
            if signed.version != kept.version or signed.text != kept.text:
                told = f"check set {signed.version} is not above {kept.version}, which was taken before"
                raise SetRefusedError("version", told)
        made = extended(own, signed, self._environ)
        self._keep(signed)
        self.version, self.refusal = signed.version, None
        return made

    def refuse(self, version: int, error: SetRefusedError) -> Refusal:
        """Count and remember a refusal."""
        self.refusals[error.reason] += 1
        self.refusal = Refusal(version, error.reason, printable(str(error))[:LONGEST_DETAIL])
        return self.refusal

    def taken(self, own: AgentConfig) -> Taken:
        """What the collector is told."""
        refusal = self.refusal or Refusal(0, "", "")
        return Taken(
            agent=own.name,
            region=own.region,
            version=self.version,
            refused=refusal.version,
            reason=refusal.reason,
            detail=refusal.words,
        )

    def _kept(self) -> SignedSet | None:
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(2 * MOST_BYTES), type=_Kept).signed
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SetRefusedError("unkept", f"{self._path} cannot be read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeError):
            told = f"{self._path} is damaged, and which version was taken last is not known; nothing is taken until "
            raise SetRefusedError("unkept", told + "it is restored, or deleted to begin anew") from None

    def _keep(self, signed: SignedSet) -> None:
        """Whole or not at all, synced."""
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.encode(_Kept(signed)))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise SetRefusedError("unkept", f"{self._path} cannot be written: {error.strerror}") from None
