"""What a stored record says, read for the judge: every secret opened, nothing asked of the flow."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from otp_enroll import StoredEnrollment
from otp_enroll.core.recovery import RecoverySet
from otp_enroll.core.secret import Sealed, Secret, SetupId
from otp_enroll.core.states import Confirmed, StoredSetup, is_confirmed, setup_of
from otp_enroll.core.typed_text import read_code
from otp_enroll.storage.codec import decode, seal_context
from otp_enroll.storage.protocol import EnrollmentStore
from proof.kills.calls import CIPHER
from proof.kills.model import Account, Phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record, decoded and with its secrets opened.

    Attributes:
        record: The row, or ``None``.
        confirmed: The confirmed state, if it is one.
        setup: The setup under way.
        phones: The authenticators.
        staged_key: The setup's key.
    """

    record: StoredEnrollment | None = None
    confirmed: Confirmed | None = None
    setup: StoredSetup | None = None
    phones: tuple[Phone, ...] = ()
    staged_key: str = ""

    @property
    def wrong_codes(self) -> int:
        """The wrong codes of 30 days."""
        return self.confirmed.budgets.code.failures_in_30_days if self.confirmed else 0

    def is_spent(self, text: str) -> bool | None:
        """Return whether a recovery code is spent; ``None`` if it is not in the set."""
        recovery = self.confirmed.recovery if self.confirmed else None
        if recovery is None:
            return None
        place = _find(recovery, self.confirmed_id, text)
        return None if place is None else recovery.spent[place]

    @property
    def confirmed_id(self) -> str:
        """The id of the account."""
        return self.record.user_id if self.record else ""


def _find(recovery: RecoverySet, user: str, text: str) -> int | None:
    return recovery.find(user, read_code(text))


def fenced(store: EnrollmentStore, user: str) -> StoredEnrollment | None:
    """Return a record after giving it another revision.

    What a dead worker had sent, and the server has not come to yet, then finds a revision that
    it did not expect, and is refused.
    """
    while (record := store.load(user)) is not None:
        fence = replace(record, revision=secrets.token_hex(16))
        if store.save(fence, expected=record.revision):
            return fence
    return None


def read(record: StoredEnrollment | None) -> Stored:
    """Decode a record and open its secrets.

    Raises:
        Exception: It is damaged, or a secret does not open.
    """
    if record is None:
        return Stored()
    enrollment, _ = decode(record)
    setup = setup_of(enrollment)
    confirmed = enrollment if is_confirmed(enrollment) else None
    return Stored(
        record=record,
        confirmed=confirmed,
        setup=setup,
        phones=tuple(
            Phone(
                name=one.name, key=_key(one.sealed, record.user_id, one.id), last=one.last_counter
            )
            for one in (confirmed.authenticators if confirmed else ())
        ),
        staged_key=_key(setup.sealed, record.user_id, setup.authenticator_id) if setup else "",
    )


def _key(sealed: Sealed, user: str, authenticator_id: str) -> str:
    context = seal_context(user, authenticator_id)
    return Secret(CIPHER.open(sealed.reveal(), context=context)).base32


def differences(stored: Stored, account: Account) -> list[str]:
    """Return where a record is another than an account that the model has."""
    record = stored.record
    state = record.state if record else "disabled"
    expires = record.setup_expires_at if record else None
    pairs: dict[str, tuple[object, object]] = {
        "state": (state, account.state),
        "authenticators": (stored.phones, (account.phone,) if account.phone else ()),
        "setup_expires_at": (expires, account.staged and account.staged.expires),
        "setup": _setups(stored, account),
    }
    if stored.confirmed is not None:
        budgets = stored.confirmed.budgets
        code, recovery = budgets.code.waits, budgets.recovery
        pairs |= {
            "wrong codes": (
                (code.failures, code.since, stored.wrong_codes),
                (account.codes.count, account.codes.since, account.total),
            ),
            "wrong recovery codes": (
                (recovery.failures, recovery.since),
                (account.recovery.count, account.recovery.since),
            ),
            "recovery codes": (_spent_and_left(stored), (len(account.spent), len(account.unspent))),
        }
    told = [f"{name}: {had} and not {due}" for name, (had, due) in pairs.items() if had != due]
    return told + _codes_that_differ(stored, account)


def _setups(stored: Stored, account: Account) -> tuple[object, object]:
    setup, staged = stored.setup, account.staged
    if setup is None or staged is None:
        return setup, staged
    had: tuple[object, ...] = (setup.failures,)
    due: tuple[object, ...] = (staged.wrong,)
    if staged.key:
        named = setup.is_named_by(SetupId.from_text(staged.setup_id), stored.confirmed_id)
        had, due = (*had, stored.staged_key, named), (*due, staged.key, True)
    return had, due


def _spent_and_left(stored: Stored) -> tuple[int, int]:
    if stored.confirmed is None or stored.confirmed.recovery is None:
        return 0, 0
    spent = stored.confirmed.recovery.spent
    return spent.count(True), spent.count(False)


def _codes_that_differ(stored: Stored, account: Account) -> list[str]:
    known = dict.fromkeys(account.unspent, False) | dict.fromkeys(account.spent, True)
    seen = {text: spent for text, spent in known.items() if not text.startswith("unseen")}
    return [
        f"a recovery code: spent is {stored.is_spent(text)} and not {spent}"
        for text, spent in seen.items()
        if stored.is_spent(text) is not spent
    ]
