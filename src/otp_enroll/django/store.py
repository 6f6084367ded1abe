"""Stores in the Django project's database, through its ORM.

Django gives each thread one connection for each alias, and a view's transaction is on it. A store
that judges codes on the same alias would have its counts rolled back by a view that raises, and
guesses would be free. So there are two kinds: one that refuses an alias with a transaction on it,
and one that is made for the app's transaction and judges nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, Error, IntegrityError, connections
from django.db.models import QuerySet
from django.db.transaction import TransactionManagementError, mark_for_rollback_on_error

from otp_enroll.django.models import Enrollment
from otp_enroll.errors import StorageError
from otp_enroll.storage.protocol import FIELDS, StoredEnrollment
from otp_enroll.storage.sql import is_duplicate, is_lost_race, record_of, row_of

OWN_ALIAS: Final = "otp_enroll"
"""The entry of ``DATABASES`` that a store in own mode uses by default."""

# A conflict is no error: on PostgreSQL a failed statement would end the app's transaction. MySQL
# undoes the statement alone, and its INSERT IGNORE would let cut text pass. Django's own INSERT
# that ignores conflicts does not say whether it inserted.
_INSERT: Final = (
    f"INSERT INTO otp_enrollment ({', '.join(FIELDS)})"  # noqa: S608  # our own names
    f" VALUES ({', '.join(['%s'] * len(FIELDS))})"
)
_CREATE: Final = {
    "sqlite": f"{_INSERT} ON CONFLICT DO NOTHING",
    "postgresql": f"{_INSERT} ON CONFLICT DO NOTHING",
    "mysql": _INSERT,
}
_DELETE: Final = "DELETE FROM otp_enrollment WHERE user_id = %s"


class _Store:
    """What all flavours do, in the thread whose connection they use.

    Django's connections belong to a thread, and its transactions know no async, so the async
    flavours send each whole call to a thread.
    """

    joined = False

    def __init__(self, alias: str) -> None:
        if not isinstance(alias, str):
            raise TypeError(
                "pass the alias of an entry of DATABASES to a store, such as 'otp_enroll',"
                f" and not a {type(alias).__name__}"
            )
        self.alias = alias

    def _load(self, user_id: str) -> StoredEnrollment | None:
        with self._call():
            # No local name for the rows: printing locals would ask the database again. Columns
            # and no instance, which would bring signals and deferred reads along.
            records = [
                record_of(row) for row in self._rows.filter(user_id=user_id).values_list(*FIELDS)
            ]
        return records[0] if records else None

    def _save(self, record: StoredEnrollment, expected: str | None) -> bool:
        """Store by one conditional statement.

        Not by ``select_for_update``, which does nothing on SQLite, nor by ``Model.save``, which
        updates whatever row is there and inserts where none is.
        """
        values = row_of(record)
        try:
            with self._call():
                if expected is None:
                    return self._create(values)
                found = self._rows.filter(user_id=values.pop("user_id"), revision=expected)
                return found.update(**values) == 1  # rows matched, on MySQL too (CLIENT.FOUND_ROWS)
        except StorageError as error:
            if _means_lost_race(error):
                return False
            raise

    def _create(self, values: dict[str, Any]) -> bool:
        connection = connections[self.alias]
        # As the ORM does: the app must not go on in a transaction that the database has ended.
        with mark_for_rollback_on_error(self.alias), connection.cursor() as cursor:
            try:
                cursor.execute(_CREATE[connection.vendor], [values[name] for name in FIELDS])
            except IntegrityError as error:
                if is_duplicate(error):
                    return False
                raise
            return bool(cursor.rowcount == 1)

    def _delete(self, user_id: str) -> None:
        # QuerySet.delete would open a transaction, and load the row if any receiver listens.
        with (
            self._call(),
            mark_for_rollback_on_error(self.alias),
            connections[self.alias].cursor() as cursor,
        ):
            cursor.execute(_DELETE, [user_id])

    def _user_ids(
        self, state: str | None, setup_expired_before: int | None, after: str | None, limit: int
    ) -> list[str]:
        found = self._rows.order_by("user_id")
        if state is not None:
            found = found.filter(state=state)
        if setup_expired_before is not None:
            found = found.filter(setup_expires_at__lt=setup_expired_before)
        if after is not None:
            found = found.filter(user_id__gt=after)
        with self._call():
            return list(found.values_list("user_id", flat=True)[:limit])

    @property
    def _rows(self) -> QuerySet[Enrollment]:
        # Never the router, which may send reads to a replica.
        return Enrollment.objects.using(self.alias)

    @contextmanager
    def _call(self) -> Generator[None]:
        """Make failures a ``StorageError`` in own mode, and let all of them pass when joined.

        Joined, the app has to see that its transaction lost, in its driver's own words.
        """
        if self.joined:
            yield
            return
        try:
            _refuse_transaction(self.alias)
            yield
        except TransactionManagementError as cause:
            raise StorageError from cause
        except Exception as cause:
            _drop_if_broken(self.alias)
            raise StorageError from cause


def _refuse_transaction(alias: str) -> None:
    """Make sure that a statement on this alias commits by itself.

    Django has one connection for each alias and thread: inside a transaction of the app, what a
    code has cost would be taken back with it. Both are looked at, because a project can do
    without ``atomic``: with AUTOCOMMIT off a transaction is always open.

    Raises:
        TransactionManagementError: It would not.
    """
    connection = connections[alias]
    if connection.in_atomic_block or not connection.get_autocommit():
        raise TransactionManagementError(
            f"a transaction runs on the alias {alias!r}: the store needs one that commits by itself"
        )


def _drop_if_broken(alias: str) -> None:
    """Let the next call make a new connection; outside a request nothing else does.

    A worker or a command would go on failing with the dead connection until it is restarted.
    """
    if alias in connections:
        with suppress(Error):
            connections[alias].close_if_unusable_or_obsolete()


def _means_lost_race(error: StorageError) -> bool:
    """Return whether the driver's exception, two causes down, asks for a repetition.

    Django wraps what the driver raises in a class of its own, which has no code.
    """
    return is_lost_race(error.__cause__ and error.__cause__.__cause__)


class DjangoStore(_Store):
    """Enrollments in the table of this app, each call committed by itself.

    A call is one statement, on an alias of the store's own: a further entry of ``DATABASES`` for
    the same database. On an alias on which a transaction runs it raises ``StorageError`` and
    reads nothing, so that no code is judged there. Django's ``TestCase`` runs each test in a
    transaction: there, use ``TransactionTestCase`` or a ``MemoryStore``.

    Safe to use from several threads, as Django's connections are.

    Args:
        alias: The entry of ``DATABASES``.

    Raises:
        TypeError: The alias is not text.

    Attributes:
        alias: The same. Reads go there too, whatever the routers say.
    """

    def __init__(self, alias: str = OWN_ALIAS) -> None:
        super().__init__(alias)

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the latest record, or ``None``.

        Raises:
            StorageError: The database failed, or a transaction runs on the alias.
        """
        return self._load(user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store with one conditional statement.

        Raises:
            StorageError: As ``load``, or another transaction held the row too long.
            ValueError: A text that is longer than its column.
        """
        return self._save(record, expected)

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not.

        Raises:
            StorageError: As ``load``.
        """
        self._delete(user_id)

    def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[str]:
        """Return ids in ascending order of their UTF-8 bytes.

        The arguments are those of ``ListingStore.user_ids``.

        Raises:
            StorageError: As ``load``.
        """
        return self._user_ids(state, setup_expired_before, after, limit)


class JoinedDjangoStore(_Store):
    """Enrollments in the app's own transaction: statements only, and the app commits.

    For ``Enroller.using``. What the database raises passes unchanged, so that the app's own retry
    finds what it looks for.

    Args:
        alias: The entry of ``DATABASES`` on which the app's transaction runs.

    Raises:
        TypeError: The alias is not text.

    Attributes:
        alias: The same. Reads go there too, whatever the routers say.
    """

    joined = True

    def __init__(self, alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(alias)

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the record as this transaction sees it, or ``None``."""
        return self._load(user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store with one conditional statement; the app commits it.

        Raises:
            ValueError: A text that is longer than its column.
        """
        return self._save(record, expected)

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not; the app commits it."""
        self._delete(user_id)


class AsyncDjangoStore(_Store):
    """As ``DjangoStore``, awaited: each call runs in the thread where the request's ORM runs.

    By ``sync_to_async`` in its thread-sensitive mode, so that one request uses one connection.
    """

    def __init__(self, alias: str = OWN_ALIAS) -> None:
        super().__init__(alias)

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``DjangoStore.load``."""
        return await sync_to_async(self._load)(user_id)

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``DjangoStore.save``."""
        return await sync_to_async(self._save)(record, expected)

    async def delete(self, user_id: str) -> None:
        """As ``DjangoStore.delete``."""
        await sync_to_async(self._delete)(user_id)

    async def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[str]:
        """As ``DjangoStore.user_ids``."""
        return await sync_to_async(self._user_ids)(state, setup_expired_before, after, limit)


class AsyncJoinedDjangoStore(_Store):
    """As ``JoinedDjangoStore``, awaited, for what a transaction of sync code awaits.

    Django has no transaction for async code: sync code begins it, and awaits by ``async_to_sync``.
    """

    joined = True

    def __init__(self, alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(alias)

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``JoinedDjangoStore.load``."""
        return await sync_to_async(self._load)(user_id)

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``JoinedDjangoStore.save``."""
        return await sync_to_async(self._save)(record, expected)

    async def delete(self, user_id: str) -> None:
        """As ``JoinedDjangoStore.delete``."""
        await sync_to_async(self._delete)(user_id)
