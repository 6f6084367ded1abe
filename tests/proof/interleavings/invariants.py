"""The ten promises as laws on what a run left behind: its answers, its writes, its last row.

Each law is a function that raises ``Broken`` with a sentence. None asks the library's own rules
what should have happened; which serial order explains a run is asked in ``serial``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Final

from otp_enroll import Setup, Status, Verification
from otp_enroll.core.secret import Secret, SetupId
from otp_enroll.errors import (
    EnrollmentError,
    NotEnrolledError,
    ServerClockError,
    StorageError,
    StoreContentionError,
    TooManyAttemptsError,
    TransitionBrokenError,
    UnreadableSecretError,
)
from otp_enroll.policy import SETUP_WRONG_CODES
from proof.interleavings.seen import RECOVERY_CODE_LENGTH, Happened, Write
from proof.interleavings.starts import window_of
from proof.interleavings.walker import BACK, CIPHER, FAILS, LOST, Answer, letter
from proof.interleavings.world import POLICY, USER

WRITES_TO_SUCCEED: Final = frozenset(
    {"begin", "confirm", "cancel", "verify", "disable", "regenerate_recovery_codes", "rename",
     "erase"}
)  # fmt: skip
NEEDS_PROOF: Final = frozenset({"begin", "disable", "regenerate_recovery_codes", "erase"})
PROOF_LIFETIME: Final = 60
_OF_THE_STORE: Final = (StorageError, StoreContentionError)
"""So few requests never refuse each other as often as is tried."""


class Broken(Exception):  # noqa: N818  # a broken law is not an error of the library
    """A law does not hold in this run."""


def demand(holds: object, sentence: str) -> None:
    """Raise unless something holds."""
    if not holds:
        raise Broken(sentence)


def confirmed_is_what_was_proved(happened: Happened) -> None:
    """Promise 1: a secret becomes live only by its own code, and the id of its own setup."""
    for write in happened.writes:
        for name in write.after.ids - write.before.ids:
            setup, asked = write.before.setup, write.writer.asked
            demand(asked.verb == "confirm", f"{asked.name} made a secret live")
            demand(setup and setup.authenticator_id == name, "a secret went live past its setup")
            assert setup is not None
            demand(_names(happened, write.writer, setup.id_digest), "by another setup's id")
            secret = write.before.secrets[name]
            demand(write.after.secrets[name] == secret, "the secret changed at confirm")
            demand(write.typed in window_of(secret, write.now), "by a code that it never showed")


def _names(happened: Happened, answer: Answer, digest: bytes) -> bool:
    setup_id = answer.asked.setup_id(happened.start, answer.of)
    return SetupId.from_text(setup_id).digest(USER) == digest


def old_secret_works_until_the_swap(happened: Happened) -> None:
    """Promise 2: a live secret goes by a swap, a removal or an erasure, and counts until then."""
    for write in happened.writes:
        for name in write.before.ids - write.after.ids:
            demand(_may_remove(write, name), f"{write.writer.asked.name} took a secret away")
    for answer in happened.run.answers:
        if answer.asked.verb == "confirm" or not happened.by[answer.place]:
            continue
        write = happened.by[answer.place][-1]
        if write.typed is not None and happened.told_wrong(answer):
            shown = write.before.shown_by(write.typed, write.now)
            demand(not shown, "a working phone's code was called wrong")
        if happened.accepted(answer):
            assert write.typed is not None
            fresh = write.before.is_fresh(write.typed, write.now)
            demand(fresh, "a code was taken that was not right then")


def _may_remove(write: Write, name: str) -> bool:
    verb, setup = write.writer.asked.verb, write.before.setup
    if verb in {"disable", "erase"}:
        return True
    assert write.before.confirmed is not None
    swapped = setup is not None and setup.name == write.before.authenticators[name].name
    return verb == "confirm" and (swapped or write.before.confirmed.budgets.code.locked)


def one_code_one_success(happened: Happened) -> None:
    """Promise 3: over all requests, each counter of each secret is taken once at most."""
    taken: set[tuple[str, int]] = set()
    for answer in happened.run.answers:
        if happened.accepted(answer):
            spent = set(_spends(happened, answer))
            demand(spent, "a code was taken that nobody shows")
            demand(not spent & taken, f"{letter(answer)}'s code was taken twice")
            taken |= spent


def _spends(happened: Happened, answer: Answer) -> Iterator[tuple[str, int]]:
    typed = happened.typed(answer)
    assert typed is not None
    if len(typed) == RECOVERY_CODE_LENGTH:
        yield typed, 0
    written = happened.by[answer.place]
    row = written[-1].before if written else happened.last_loaded(answer)
    for name, secret in row.secrets.items() if row else ():
        for counter in window_of(secret, happened.now(answer)).get(typed, ()):
            yield name, counter


def verdict_comes_after_its_write(happened: Happened) -> None:
    """Promise 4: who is told a success, or that a code is wrong, has a write that landed before."""
    for answer in happened.run.answers:
        told = happened.told_wrong(answer)
        if told or (not answer.raised and answer.asked.verb in WRITES_TO_SUCCEED):
            before = [w for w in happened.by[answer.place] if w.landed.step <= answer.ended]
            demand(before, f"{letter(answer)} was answered, and nothing was written")


def wrong_code_counts_once(happened: Happened) -> None:
    """Promise 5: each wrong code costs one of its own budget, and nothing else costs any."""
    for answer in happened.run.answers:
        counting = [write for write in happened.by[answer.place] if write.counts]
        told = happened.told_wrong(answer)
        demand(not told or len(counting) == 1, f"{letter(answer)} was wrong and not counted once")
        demand(told or answer.fault or not counting, f"{letter(answer)} was counted, not told")
        for write in counting:
            _check_count(write)


def _check_count(write: Write) -> None:
    before, after = write.before, write.after
    verb, typed = write.writer.asked.verb, write.typed
    demand(typed is not None, "a request without a code was counted")
    assert typed is not None
    if verb == "confirm":
        assert before.setup is not None
        right = typed in window_of(before.secrets[before.setup.authenticator_id], write.now)
        demand(not right, "a right code was counted")
        demand(after.facts == before.facts, "it touched an authenticator")
        demand(after.waits == before.waits, "confirm charged the account's budget")
        if after.setup is None:
            demand(before.setup.failures == SETUP_WRONG_CODES - 1, "the setup went too early")
        else:
            charged = after.setup.failures == before.setup.failures + 1
            demand(charged, "the setup was not charged once")
        return
    which = 1 if len(typed) == RECOVERY_CODE_LENGTH else 0
    expected = [count + (place == which) for place, count in enumerate(before.failures[:2])]
    demand(list(after.failures[:2]) == expected, "another budget was charged, or not by one")
    demand(not before.shown_by(typed, write.now), "a code that a phone shows was counted")
    demand(after.facts == before.facts, "it touched an authenticator")
    assert before.confirmed is not None
    assert after.confirmed is not None
    demand(after.confirmed.recovery == before.confirmed.recovery, "it touched recovery codes")


def refusal_writes_nothing(happened: Happened) -> None:
    """Promise 5: of all refusals only a wrong code writes (and a wait whose clock was ahead)."""
    for answer in happened.run.answers:
        if not answer.raised or happened.told_wrong(answer):
            continue
        if answer.fault in {FAILS, LOST}:
            continue  # nobody was told a refusal
        rewound = isinstance(answer.value, TooManyAttemptsError)
        for write in happened.standing(answer):
            demand(rewound and write.rewinds, f"{letter(answer)} was refused and wrote")


def nobody_reads_a_secret_back(happened: Happened) -> None:
    """Promise 6: a secret is shown while it is pending, to the holder of the setup id."""
    for answer in happened.run.answers:
        if answer.raised or not isinstance(answer.value, Setup):
            continue
        verb, shown = answer.asked.verb, answer.value._shown
        name = shown.setup.authenticator_id
        demand(verb in {"begin", "resume"}, f"{verb} showed a secret")
        live = happened.row_at(answer.ended).ids
        demand(name not in live, "a secret was shown that is live")
        if verb == "resume":
            loaded = happened.last_loaded(answer)
            setup = loaded.setup if loaded else None
            held = setup is not None and _names(happened, answer, setup.id_digest)
            demand(held, "a secret was shown to one without its id")


def copy_of_the_row_is_useless(happened: Happened) -> None:
    """Promise 7: no secret stands in the row, and each is sealed for its own place alone."""
    for write in happened.writes:
        if write.landed.after is None:
            continue
        document = write.landed.after.document
        for name, secret in write.after.secrets.items():  # each opened in its own place
            known = write.before.secrets.get(name, secret)
            demand(known == secret, "a secret changed under its id")
            for spelt in _spellings(secret):
                demand(spelt not in document, "a secret stands in the row")


def _spellings(secret: bytes) -> tuple[str, ...]:
    return secret.hex(), Secret(secret).base32, base64.b64encode(secret).decode()


def setup_is_its_holders(happened: Happened) -> None:
    """Promise 5: only who holds the id of a setup changes it, or is counted against it."""
    for write in happened.writes:
        if write.writer.asked.verb in {"cancel", "check_key_copy", "confirm"}:
            setup = write.before.setup
            held = setup is not None and _names(happened, write.writer, setup.id_digest)
            demand(held, f"{write.writer.asked.name} wrote to another one's setup")


def change_needs_a_proof(happened: Happened) -> None:
    """Promise 8: what changes a confirmed account was proved at that very moment."""
    for write in happened.writes:
        asked = write.writer.asked
        if write.before.confirmed is None or write.counts or write.rewinds:
            continue
        if asked.verb in NEEDS_PROOF:
            demand(_is_proof(happened, write), f"{asked.name} changed the account unproved")
        elif asked.verb == "verify":
            assert write.typed is not None
            demand(write.before.is_fresh(write.typed, write.now), "verify took a code not right")


def _is_proof(happened: Happened, write: Write) -> bool:
    asked = write.writer.asked
    if asked.proof == "code":
        assert write.typed is not None
        return write.before.is_fresh(write.typed, write.now) and not _is_shut(write)
    if asked.proof == "verification":
        seen: Verification | None = happened.start.verification
        assert seen is not None
        age = abs(write.now - int(seen.at.timestamp()))
        return seen.purpose == asked.verb and age <= PROOF_LIFETIME
    return asked.proof == "override"


def _is_shut(write: Write) -> bool:
    assert write.before.confirmed is not None
    assert write.typed is not None
    budgets = write.before.confirmed.budgets
    return len(write.typed) != RECOVERY_CODE_LENGTH and budgets.code.locked


def failure_is_an_error(happened: Happened) -> None:
    """Promise 10: whom a failure met is told an error of its kind; nobody else is."""
    for answer in happened.run.answers:
        error, who = answer.value, letter(answer)
        demand(not answer.raised or isinstance(error, EnrollmentError), f"{who} raised {error!r}")
        if answer.fault in {FAILS, LOST}:
            demand(answer.raised and type(error) is StorageError, f"{who} met a failure")
            continue
        if not answer.raised:
            continue
        demand(not isinstance(error, _OF_THE_STORE), f"{who} met no failure of the store")
        broken = isinstance(error, TransitionBrokenError)
        demand(not broken, f"{who} met a verb that left the table")
        unreadable = isinstance(error, UnreadableSecretError)
        demand(not unreadable or answer.fault == CIPHER, f"{who} met no failure of the cipher")
        ahead = isinstance(error, ServerClockError)
        demand(not ahead or happened.run.fault == BACK, f"{who} met no clock that jumped back")


def not_enrolled_is_the_truth(happened: Happened) -> None:
    """Promise 10: "no second factor" is said of a row that has none, never of one not read."""
    for answer in happened.run.answers:
        said = isinstance(answer.value, NotEnrolledError) or (
            isinstance(answer.value, Status) and not answer.value.required
        )
        if said:
            loaded = happened.last_loaded(answer)
            passed_over = loaded is None or loaded.confirmed is not None
            demand(not passed_over, f"{letter(answer)} passed over a second factor")


def counter_never_goes_down(happened: Happened) -> None:
    """Promise 3: the last counter of a secret only rises, from write to write."""
    last: dict[str, int] = {}
    rows = [happened.rows.seen(happened.start.row), *(write.after for write in happened.writes)]
    for row in rows:
        for name, one in row.authenticators.items():
            demand(one.last_counter >= last.get(name, -1), "a last counter went down")
            last[name] = one.last_counter


def spent_stays_spent(happened: Happened) -> None:
    """Promise 3: a recovery code that is spent stays spent until the set is renewed."""
    for write in happened.writes:
        before, after = write.before.confirmed, write.after.confirmed
        if before is None or after is None:
            continue
        old, new = before.recovery, after.recovery
        if old is None:
            continue
        demand(new, "a set is gone")
        assert new is not None
        if old.salt != new.salt:
            renewed = write.writer.asked.verb == "regenerate_recovery_codes"
            demand(renewed or old.left == 0, "a set was renewed unasked")
            continue
        for was, now in zip(old.spent, new.spent, strict=True):
            demand(now or not was, "a spent recovery code is good again")


def each_write_replaces_what_it_read(happened: Happened) -> None:
    """No update is lost: each write stands on the revision that it expected, and has its own."""
    revisions: set[str] = set()
    for write in happened.writes:
        landed = write.landed
        if landed.after is None:
            revisions.clear()
            continue
        found = landed.before and landed.before.revision
        demand(found == landed.expected, "a write went over one that it had not read")
        demand(landed.after.revision not in revisions, "a revision came twice")
        revisions.add(landed.after.revision)
        demand(not found or f'"trail":["{found[:12]}"' in landed.after.document, "no trail")


def each_request_writes_once(happened: Happened) -> None:
    """At most one write of a request stands, however often it was delivered or tried."""
    for answer in happened.run.answers:
        demand(len(happened.standing(answer)) <= 1, f"{letter(answer)} wrote twice")


def budget_is_bounded(happened: Happened) -> None:
    """Promise 9: no wait is told that is longer than an hour from now."""
    for answer in happened.run.answers:
        error = answer.value
        if isinstance(error, EnrollmentError) and error.retry_at is not None:
            ahead = error.retry_at.timestamp() - happened.now(answer)
            told = f"{letter(answer)} was told to wait {ahead} s"
            demand(0 < ahead <= POLICY.budget.longest_wait, told)


Law = Callable[[Happened], None]

LAWS: Final[tuple[Law, ...]] = (
    confirmed_is_what_was_proved,
    old_secret_works_until_the_swap,
    one_code_one_success,
    counter_never_goes_down,
    spent_stays_spent,
    verdict_comes_after_its_write,
    wrong_code_counts_once,
    refusal_writes_nothing,
    nobody_reads_a_secret_back,
    copy_of_the_row_is_useless,
    setup_is_its_holders,
    change_needs_a_proof,
    failure_is_an_error,
    not_enrolled_is_the_truth,
    each_write_replaces_what_it_read,
    each_request_writes_once,
    budget_is_bounded,
)
