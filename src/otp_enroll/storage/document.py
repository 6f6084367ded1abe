"""A state ↔ the JSON tree that a document has of it, each part written and read side by side."""

from __future__ import annotations

import base64
import re
from typing import Final

from otp_enroll.core.budget import Budgets, CodeBudget, Waits
from otp_enroll.core.recovery import DIGEST_BYTES, SALT_BYTES, RecoverySet
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Disabled,
    Enrollment,
    Pending,
    Setup,
    is_confirmed,
    setup_of,
)
from otp_enroll.errors import CorruptRecordError
from otp_enroll.policy import Parameters
from otp_enroll.storage.json_reader import LATEST, Reader

_DAY: Final = re.compile("0|[1-9][0-9]{0,17}")


def tree_of(enrollment: Enrollment) -> dict[str, object]:
    """Return what a document says of a state, as JSON has it."""
    tree: dict[str, object] = {}
    setup = setup_of(enrollment)
    if is_confirmed(enrollment):
        tree["authenticators"] = [_from_authenticator(one) for one in enrollment.authenticators]
        tree["recovery"] = _from_recovery(enrollment.recovery)
        tree["budgets"] = _from_budgets(enrollment.budgets)
    if setup is not None:
        tree["setup"] = _from_setup(setup)
    return tree


def enrollment_of(document: Reader) -> Enrollment:
    """Take a state out of a document, and check it value by value.

    Raises:
        CorruptRecordError: It is none; says where, not what.
    """
    setup = document.optional("setup", _setup)
    if "authenticators" not in document.left:
        return Disabled() if setup is None else Pending(setup=setup)
    authenticators = tuple(
        _authenticator(Reader(one, f"document.authenticators[{n}]"))
        for n, one in enumerate(document.items("authenticators"))
    )
    names = {one.name for one in authenticators}
    if not authenticators or len(names) < len(authenticators):
        raise CorruptRecordError("document.authenticators is empty or names one twice")
    return Confirmed(
        authenticators=authenticators,
        recovery=_recovery(document.inner("recovery")),
        budgets=_budgets(document.inner("budgets")),
        setup=setup,
    )


def _parameters(reader: Reader) -> Parameters:
    try:
        return Parameters(
            type=reader.text("type"),  # type: ignore[arg-type]  # checked there
            algorithm=reader.text("algorithm"),  # type: ignore[arg-type]  # checked there
            digits=reader.take("digits", int),
            period=reader.take("period", int),
        )
    except ValueError:
        fault = CorruptRecordError(f"{reader.where} has impossible parameters")
    raise fault


def _from_parameters(parameters: Parameters) -> dict[str, object]:
    return {
        "type": parameters.type,
        "algorithm": parameters.algorithm,
        "digits": parameters.digits,
        "period": parameters.period,
    }


def _authenticator(reader: Reader) -> Authenticator:
    return Authenticator(
        id=reader.text("id"),
        name=reader.text("name"),
        parameters=_parameters(reader),
        sealed=Sealed(reader.raw("sealed")),
        last_counter=reader.whole("last_counter", low=-1),
        confirmed_at=reader.time("confirmed_at"),
        last_used_at=reader.time("last_used_at") if "last_used_at" in reader.left else None,
        generation=reader.whole("generation", low=1),
        extra=reader.rest(),
    )


def _from_authenticator(one: Authenticator) -> dict[str, object]:
    used = {} if one.last_used_at is None else {"last_used_at": one.last_used_at}
    return {
        **one.extra,
        "id": one.id,
        "name": one.name,
        **_from_parameters(one.parameters),
        "sealed": _base64(one.sealed.reveal()),
        "last_counter": one.last_counter,
        "confirmed_at": one.confirmed_at,
        **used,
        "generation": one.generation,
    }


def _setup(reader: Reader) -> Setup:
    return Setup(
        id_digest=reader.raw("id_digest", length=32),
        authenticator_id=reader.text("authenticator_id"),
        name=reader.text("name"),
        parameters=_parameters(reader),
        sealed=Sealed(reader.raw("sealed")),
        issuer=reader.text("issuer"),
        account_name=reader.text("account_name"),
        expires_at=reader.time("expires_at"),
        failures=reader.whole("failures"),
        copy_checked=reader.take("copy_checked", bool),
        generation=reader.whole("generation", low=1),
        extra=reader.rest(),
    )


def _from_setup(setup: Setup) -> dict[str, object]:
    return {
        **setup.extra,
        "id_digest": _base64(setup.id_digest),
        "authenticator_id": setup.authenticator_id,
        "name": setup.name,
        **_from_parameters(setup.parameters),
        "sealed": _base64(setup.sealed.reveal()),
        "issuer": setup.issuer,
        "account_name": setup.account_name,
        "expires_at": setup.expires_at,
        "failures": setup.failures,
        "copy_checked": setup.copy_checked,
        "generation": _count(setup.generation),
    }


def _recovery(reader: Reader) -> RecoverySet:
    digests = reader.raw("digests")
    spent = reader.text("spent")
    if len(digests) != DIGEST_BYTES * len(spent) or not set(spent) <= {"0", "1"}:
        raise reader.fault("spent", "does not fit the digests")
    return RecoverySet(
        salt=reader.raw("salt", length=SALT_BYTES),
        digests=digests,
        spent=tuple(mark == "1" for mark in spent),
        extra=reader.rest(),
    )


def _from_recovery(recovery: RecoverySet) -> dict[str, object]:
    return {
        **recovery.extra,
        "salt": _base64(recovery.salt),
        "digests": _base64(recovery.digests),
        "spent": "".join("1" if used else "0" for used in recovery.spent),
    }


def _budgets(reader: Reader) -> Budgets:
    code = reader.inner("code")
    recovery = reader.inner("recovery")
    return Budgets(
        code=CodeBudget(
            waits=_waits(code.inner("waits")),
            days=_days(code),
            locked=code.take("locked", bool),
            extra=code.rest(),
        ),
        recovery=_waits(recovery),
        extra=reader.rest(),
    )


def _from_budgets(budgets: Budgets) -> dict[str, object]:
    code = {
        **budgets.code.extra,
        "waits": _from_waits(budgets.code.waits),
        "days": {str(day): _count(number) for day, number in budgets.code.days},
        "locked": budgets.code.locked,
    }
    return {**budgets.extra, "code": code, "recovery": _from_waits(budgets.recovery)}


def _days(reader: Reader) -> tuple[tuple[int, int], ...]:
    days = reader.inner("days")
    if not all(_DAY.fullmatch(day) for day in days.left):
        raise reader.fault("days", "has a key that is no day")
    return tuple(sorted((int(day), days.whole(day, low=1)) for day in list(days.left)))


def _waits(reader: Reader) -> Waits:
    return Waits(
        failures=reader.whole("failures"), since=reader.whole("since"), extra=reader.rest()
    )


def _from_waits(waits: Waits) -> dict[str, object]:
    return {**waits.extra, "failures": _count(waits.failures), "since": waits.since}


def _count(number: int) -> int:
    # One more than a damaged row holds may be more than is read, and nobody could get in again.
    return min(number, LATEST)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
