"""States of every kind and their stored records, drawn by hypothesis and written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from helpers.flows import USER
from otp_enroll import StoredEnrollment
from otp_enroll.core.budget import NO_FAILURES, Budgets, CodeBudget, Waits
from otp_enroll.core.recovery import RecoverySet
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Disabled,
    EnrollmentState,
    Pending,
    StoredSetup,
)
from otp_enroll.errors import CorruptRecordError
from otp_enroll.policy import Parameters
from otp_enroll.storage.codec import Envelope, decode, encode

# --- values of every state ---

MAX_TIME: Final = 253_402_300_799
"""Of the year 9999: no later time can be told as a datetime."""
NOW: Final = 1_800_000_000
texts = st.text(max_size=20)
times = st.integers(0, 200_000_000_000)
counts = st.integers(0, 10_000)
OURS: Final = frozenset(
    {
        *("schema", "min_reader", "trail", "authenticators", "recovery", "budgets", "setup"),
        *("id", "name", "type", "algorithm", "digits", "period", "sealed", "last_counter"),
        *("confirmed_at", "last_used_at", "generation", "id_digest", "authenticator_id"),
        *("issuer", "account_name", "expires_at", "failures", "copy_checked"),
        *("salt", "digests", "spent", "code", "waits", "days", "locked", "since"),
    }
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
extras = st.dictionaries(texts.filter(lambda key: key not in OURS), json_values, max_size=2)
parameters = st.just(Parameters()) | st.builds(
    Parameters,
    type=st.just("totp"),
    algorithm=st.sampled_from(["SHA1", "SHA256", "SHA512"]),
    digits=st.integers(6, 8),
    period=st.integers(1, 120),
)
names = texts | st.just("default")
sealed_bytes = st.builds(Sealed, st.binary(min_size=1, max_size=80))
setups = st.builds(
    StoredSetup,
    id_digest=st.binary(min_size=32, max_size=32),
    authenticator_id=texts.map(lambda text: "staged " + text),
    name=names,
    parameters=parameters,
    sealed=sealed_bytes,
    issuer=texts,
    account_name=texts,
    expires_at=times,
    failures=counts,
    copy_checked=st.booleans(),
    generation=st.integers(1, 1000),
    extra=extras,
)
authenticators = st.builds(
    Authenticator,
    id=texts,
    name=names,
    parameters=parameters,
    sealed=sealed_bytes,
    last_counter=st.integers(-1, 2**40),
    confirmed_at=times,
    last_used_at=st.none() | times,
    generation=st.integers(1, 1000),
    extra=extras,
)
waits = st.builds(Waits, failures=counts, since=times, extra=extras)
days = st.dictionaries(st.integers(0, 10**6), st.integers(1, 1000), max_size=4).map(
    lambda found: tuple(sorted(found.items()))
)
code_budgets = st.builds(CodeBudget, waits=waits, days=days, locked=st.booleans(), extra=extras)
budgets = st.builds(Budgets, code=code_budgets, recovery=waits, extra=extras)


@st.composite
def recovery_sets(draw: st.DrawFn) -> RecoverySet:
    spent = draw(st.lists(st.booleans(), min_size=1, max_size=12).map(tuple))
    return RecoverySet(
        salt=draw(st.binary(min_size=16, max_size=16)),
        digests=draw(st.binary(min_size=32 * len(spent), max_size=32 * len(spent))),
        spent=spent,
        extra=draw(extras),
    )


confirmed_states = st.builds(
    Confirmed,
    authenticators=st.lists(
        authenticators, min_size=1, max_size=3, unique_by=(lambda one: one.name, lambda one: one.id)
    ).map(tuple),
    recovery=st.none() | recovery_sets(),
    budgets=st.just(NO_FAILURES) | budgets,
    setup=st.none() | setups,
)
pending_states = st.builds(Pending, setup=setups)
states: st.SearchStrategy[EnrollmentState] = st.one_of(
    st.just(Disabled()), pending_states, confirmed_states
)
revisions = st.text("0123456789abcdef", min_size=32, max_size=32)
envelopes = st.builds(
    Envelope,
    schema=st.integers(1, 9),
    trail=st.lists(revisions.map(lambda revision: revision[:12]), max_size=8).map(tuple),
    extra=extras,
)

# --- records by hand ---

SETUP: Final = StoredSetup(
    id_digest=bytes(range(32)),
    authenticator_id="id of the staged one",
    name="tablet",
    parameters=Parameters(),
    sealed=Sealed(b"\0 sealed staged secret"),
    issuer="Exir",
    account_name="sara@example.com",
    expires_at=NOW + 900,
    failures=3,
    copy_checked=True,
    extra={"of the setup": 1},
)
CONFIRMED: Final = Confirmed(
    authenticators=(
        Authenticator(
            id="id of the first",
            name="default",
            parameters=Parameters(),
            sealed=Sealed(b"\0 sealed first secret"),
            last_counter=60_000_000,
            confirmed_at=NOW,
            last_used_at=NOW,
            generation=1,
            extra={"of the first": [1, {"deep": None}]},
        ),
        Authenticator(
            id="id of the second",
            name="watch",
            parameters=Parameters(algorithm="SHA512", digits=8, period=60),
            sealed=Sealed(b"\0 sealed second secret"),
            last_counter=-1,
            confirmed_at=NOW,
            last_used_at=None,
            generation=2,
        ),
    ),
    recovery=RecoverySet(
        salt=b"0123456789abcdef",
        digests=bytes(range(64)),
        spent=(True, False),
        extra={"of the codes": "x"},
    ),
    budgets=Budgets(
        code=CodeBudget(
            waits=Waits(failures=6, since=NOW, extra={"of the waits": 1.5}),
            days=((20_833, 2), (20_834, 7)),
            locked=True,
            extra={"of the code budget": True},
        ),
        recovery=Waits(failures=1, since=NOW, extra={"of the other waits": 2}),
        extra={"of the budgets": []},
    ),
    setup=SETUP,
)


def written(
    enrollment: EnrollmentState = CONFIRMED, envelope: Envelope | None = None, changed_at: int = NOW
) -> StoredEnrollment:
    return encode(
        enrollment,
        envelope or Envelope(),
        user_id=USER,
        revision="a" * 32,
        replaces=None,
        changed_at=changed_at,
    )


def document(enrollment: EnrollmentState = CONFIRMED, envelope: Envelope | None = None) -> Any:
    return json.loads(written(enrollment, envelope).document)


def in_full() -> Any:
    """Return the document of the confirmed state with all that is left out where it is usual."""
    usual = {"name": "default", "type": "totp", "algorithm": "SHA1", "digits": 6, "period": 30}
    tree = document()
    for one in (*tree["authenticators"], tree["setup"]):
        one.update(usual | {"generation": 1} | one)
    return {"min_reader": 1, "trail": []} | tree


def with_document(changed: object, record: StoredEnrollment | None = None) -> StoredEnrollment:
    text = changed if isinstance(changed, str) else json.dumps(changed)
    return replace(record or written(), document=text)


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def changed(path: tuple[str | int, ...], value: object) -> StoredEnrollment:
    """Write the confirmed state, and put another value at one place of its document."""
    tree = in_full()
    at(tree, path[:-1])[path[-1]] = value
    return with_document(tree)


def refused(record: StoredEnrollment) -> CorruptRecordError:
    with pytest.raises(CorruptRecordError) as caught:
        decode(record)
    return caught.value
