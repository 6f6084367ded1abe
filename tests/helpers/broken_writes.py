"""Stores that save when they should not, remember too much, or hide what fails.

Each names the check of the contract that kills it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.broken_stores import Correct, Found, Record, Table


class UpsertsOnCreate(Correct):
    """A create replaces what is there."""

    killer = "22"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return expected is None or super().matches(found, record, expected)


class SaysTrueAlways(Correct):
    """A refusal is told as a success."""

    killer = "22"

    def save(self, record: Record, *, expected: str | None) -> Any:
        super().save(record, expected=expected)
        return True


class KnowsItsOwnIds(Correct):
    """A create looks for the id among those of its own handle."""

    killer = "23"

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.made: set[str] = set()

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        if expected is not None:
            return super().matches(found, record, expected)
        known = record.user_id in self.made
        self.made.add(record.user_id)
        return not known


class IgnoresExpected(Correct):
    """An update replaces whatever is there."""

    killer = "24"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return (found is None) == (expected is None)


class WritesAndRefuses(Correct):
    """A refused update is written all the same."""

    killer = "24"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        matches = super().matches(found, record, expected)
        if not matches and found is not None and expected is not None:
            self.put(record)
        return matches


class ComparesWithItsLoad(Correct):
    """An update compares with what this handle has loaded."""

    killer = "25"

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.seen: dict[str, Record] = {}

    def shown(self, record: Record) -> Any:
        self.seen[record.user_id] = record
        return record

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return super().matches(self.seen.get(record.user_id, found), record, expected)


class UpdateCreates(Correct):
    """An update of a missing id creates it."""

    killer = "26"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return found is None or super().matches(found, record, expected)


class ComparesContent(Correct):
    """An update with the stored content is taken for one that landed."""

    killer = "27"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        same = found is not None and found.document == record.document
        return (same and expected is not None) or super().matches(found, record, expected)


class EmptyIsNoRevision(Correct):
    """An empty expected revision creates."""

    killer = "28"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return super().matches(found, record, expected or None)


class ComparesPrefix(Correct):
    """A part of the revision matches."""

    killer = "29"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        if found is None or not expected:
            return super().matches(found, record, expected)
        return found.revision.startswith(expected)


class ComparesTwelve(Correct):
    """Of a revision twelve characters are compared."""

    killer = "29"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return (found and found.revision[:12]) == (expected and expected[:12])


class ComparesFolded(Correct):
    """A revision in capitals matches."""

    killer = "29b"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return super().matches(found, record, expected and expected.lower())


class ComparesPadded(Correct):
    """A revision with a space behind it matches."""

    killer = "29b"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return super().matches(found, record, expected and expected.rstrip())


class CountsToTwenty(Correct):
    """A counter beside the revision is too small."""

    killer = "30"

    def put(self, record: Record) -> None:
        super().put(record)
        self.table.notes[record.user_id] = self.table.notes.get(record.user_id, 0) + 1

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        small = self.table.notes.get(record.user_id, 0) < 20
        return small and super().matches(found, record, expected)


class VersionsRestart(Correct):
    """Revisions stand for numbers that start again after a delete."""

    killer = "31"

    def put(self, record: Record) -> None:
        before = self.found(record.user_id)
        number = self.table.notes[before.revision] + 1 if before else 1
        super().put(record)
        self.table.notes[record.revision] = number

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        if found is None or expected is None:
            return super().matches(found, record, expected)
        return bool(self.table.notes.get(expected) == self.table.notes[found.revision])


class CountsChangedRows(Correct):
    """A save that changes nothing but the revision counts as no change."""

    killer = "32"

    def save(self, record: Record, *, expected: str | None) -> Any:
        before = self.found(record.user_id)
        stored = super().save(record, expected=expected)
        return stored and (before is None or before.document != record.document)


class RepeatsAreTrue(Correct):
    """A save that is delivered again is told as a success again."""

    killer = "67"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        again = found is not None and found.revision == record.revision
        return (again and expected is not None) or super().matches(found, record, expected)


class CachesLoads(Correct):
    """A handle remembers what it loaded."""

    killer = "38"

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.cache: dict[str, Any] = {}

    def load(self, user_id: str) -> Any:
        self.cache[user_id] = self.cache.get(user_id) or super().load(user_id)
        return self.cache[user_id]

    def save(self, record: Record, *, expected: str | None) -> Any:
        self.cache.pop(record.user_id, None)
        return super().save(record, expected=expected)


class CachesAbsence(CachesLoads):
    """A handle remembers that there was nothing: a login without its second factor."""

    def load(self, user_id: str) -> Any:
        if user_id not in self.cache:
            self.cache[user_id] = Correct.load(self, user_id)
        return self.cache[user_id]


class DiesWithItsHandle(Correct):
    """What a handle made goes when it is closed."""

    killer = "39"

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.made: set[str] = set()

    def put(self, record: Record) -> None:
        super().put(record)
        self.made.add(record.user_id)

    def close(self) -> None:
        for user_id in self.made:
            self.table.rows.pop(user_id, None)


class FailedLoadIsNone(Correct):
    """A failure to read is told as "not enrolled"."""

    killer = "40"

    def load(self, user_id: str) -> Any:
        return None if self.is_broken else super().load(user_id)


class FailedSaveIsFalse(Correct):
    """A failure to write is told as a refusal."""

    killer = "40"

    def save(self, record: Record, *, expected: str | None) -> Any:
        return False if self.is_broken else super().save(record, expected=expected)


class FailedDeleteIsSilent(Correct):
    """A failure to delete is not told."""

    killer = "40"

    def delete(self, user_id: str) -> Any:
        return None if self.is_broken else super().delete(user_id)


class WritesInTwoSteps(Correct):
    """A save writes the state first, and then fails."""

    killer = "41"

    def put(self, record: Record) -> None:
        before = self.found(record.user_id)
        if before is not None:
            self.table.rows[record.user_id] = replace(before, state=record.state)
        super().put(record)


class SwallowsBadValues(Correct):
    """What the driver refuses is told as a refusal."""

    killer = "41"

    def save(self, record: Record, *, expected: str | None) -> Any:
        try:
            return super().save(record, expected=expected)
        except (ValueError, OverflowError):
            return False


class ClampsTimes(Correct):
    """A number that is too large becomes the largest one."""

    killer = "41"

    def put(self, record: Record) -> None:
        super().put(replace(record, changed_at=min(record.changed_at, 2**63 - 1)))


class PretendsToWrite(Correct):
    """A handle that cannot write says that it did."""

    killer = "42"

    def save(self, record: Record, *, expected: str | None) -> Any:
        return True if self.is_read_only else super().save(record, expected=expected)
