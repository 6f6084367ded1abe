"""From begin to confirm: what a setup promises, alone and beside a working authenticator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from otp_enroll import STRICT, AsyncEnroller, Enroller, Override, Policy, errors
from otp_enroll.core.states import setup_of
from otp_enroll.storage import codec
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.testing import FakeAuthenticator

USER = "user-42"
VOUCHED = Override(actor="help desk", reason="re-authenticated")
Make = Callable[..., Any]


def wrong_for(phone: FakeAuthenticator) -> str:
    """Return six digits that the phone does not show these minutes."""
    near = {phone.code(offset) for offset in range(-12, 13)}
    return next(code for code in (f"{n:06d}" for n in range(100)) if code not in near)


def test_life_of_an_account(flow: Any) -> None:
    """Begin, confirm, verify and disable lead from disabled to confirmed and back."""
    setup = flow.enroller.begin(USER, account_name="sara@example.com")
    assert flow.enroller.status(USER).state == "pending"
    phone = flow.phone(setup)
    confirmation = flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert confirmation.authenticator == "default"
    assert not confirmation.replaced
    assert len(confirmation.recovery_codes) == 10
    flow.clock.advance(30)
    verification = flow.enroller.verify(USER, phone.code())
    assert (verification.method, verification.authenticator) == ("code", "default")
    flow.clock.advance(30)
    flow.enroller.disable(USER, proof=phone.code())
    assert flow.enroller.status(USER).state == "disabled"


@pytest.mark.requirement("R-42")
@pytest.mark.regression_of("B-15", "B-16")
def test_only_a_confirmed_account_asks_for_codes(flow: Any) -> None:
    """Login asks for a code in the state confirmed alone, and pending codes verify nobody."""
    assert not flow.enroller.status(USER).required
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    assert not flow.enroller.status(USER).required
    with pytest.raises(errors.NotEnrolledError):
        flow.enroller.verify(USER, phone.code())
    flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert flow.enroller.status(USER).required


@pytest.mark.requirement("R-43", "R-59")
@pytest.mark.regression_of("B-12")
def test_no_request_brings_a_secret_or_a_time() -> None:
    """No verb takes a secret or a time of the caller's, so that a request can carry neither."""
    allowed = {
        "self", "user_id", "account_name", "authenticator", "proof", "context", "setup_id", "code",
        "backup_acknowledged", "text", "purpose", "accept", "new_name", "limit", "joined_store",
    }  # fmt: skip
    for flavour in (Enroller, AsyncEnroller):
        for name, verb in inspect.getmembers(flavour, inspect.isfunction):
            if not name.startswith("_"):
                assert set(inspect.signature(verb).parameters) <= allowed, name


@pytest.mark.requirement("R-44")
@pytest.mark.regression_of("B-10")
def test_resume_shows_the_same_key_and_writes_nothing(flow: Any) -> None:
    """A page that is loaded three times shows one key and one QR code, and writes nothing."""
    setup = flow.enroller.begin(USER, account_name="sara")
    stored = flow.store.load(USER)
    saves = flow.store.saves
    for _ in range(3):
        again = flow.enroller.resume(USER, setup_id=setup.id)
        assert (again.id, again.key, again.uri) == (setup.id, setup.key, setup.uri)
        assert again.qr.svg() == setup.qr.svg()
        assert again.expires_at == setup.expires_at
    assert flow.store.saves == saves
    assert flow.store.load(USER) == stored


@pytest.mark.requirement("R-44")
def test_resume_shows_the_names_that_the_setup_was_begun_with(flow: Any) -> None:
    """An app that changed its issuer shows a live setup as it was begun."""
    setup = flow.enroller.begin(USER, account_name="sara")
    renamed = flow.another(issuer="Another name")
    assert renamed.resume(USER, setup_id=setup.id).uri == setup.uri


@pytest.mark.requirement("R-44")
@pytest.mark.regression_of("B-10")
def test_wrong_code_keeps_the_key(flow: Any) -> None:
    """After a wrong code the same key is shown, and a right code still confirms."""
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    with pytest.raises(errors.WrongCodeError) as refusal:
        flow.enroller.confirm(USER, wrong_for(phone), setup_id=setup.id)
    assert (refusal.value.method, refusal.value.attempts_left) == ("code", 9)
    assert flow.enroller.resume(USER, setup_id=setup.id).key == setup.key
    flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)


@pytest.mark.requirement("R-03", "R-44", "R-53")
@pytest.mark.regression_of("B-07", "B-14")
def test_a_second_begin_makes_another_secret_and_supersedes_the_first(flow: Any) -> None:
    """Who began earlier learns nothing of the secret that is confirmed, and confirms nothing."""
    first = flow.enroller.begin(USER, account_name="sara")
    second = flow.enroller.begin(USER, account_name="sara")
    assert first.key != second.key
    assert first.id != second.id
    calls: list[Callable[[], object]] = [
        lambda: flow.enroller.confirm(USER, flow.phone(first).code(), setup_id=first.id),
        lambda: flow.enroller.confirm(USER, flow.phone(second).code(), setup_id=first.id),
        lambda: flow.enroller.resume(USER, setup_id=first.id),
        lambda: flow.enroller.cancel(USER, setup_id=first.id),
        lambda: flow.enroller.check_key_copy(USER, second.key, setup_id=first.id),
    ]
    for call in calls:
        with pytest.raises(errors.SetupSupersededError):
            call()
    flow.enroller.confirm(USER, flow.phone(second).code(), setup_id=second.id)


@pytest.mark.requirement("R-53")
@pytest.mark.regression_of("B-13")
def test_setup_id_of_another_user_or_used_twice_confirms_nothing(flow: Any) -> None:
    """A setup id names one setup of one user, once."""
    mine = flow.enroller.begin("sara", account_name="sara")
    theirs = flow.enroller.begin("dara", account_name="dara")
    with pytest.raises(errors.SetupSupersededError):
        flow.enroller.confirm("sara", flow.phone(mine).code(), setup_id=theirs.id)
    flow.enroller.confirm("sara", flow.phone(mine).code(), setup_id=mine.id)
    flow.clock.advance(30)
    with pytest.raises(errors.NotPendingError):
        flow.enroller.confirm("sara", flow.phone(mine).code(), setup_id=mine.id)


@pytest.mark.requirement("R-53")
@pytest.mark.parametrize("text", ["", "x", "x" * 43, "x" * 100_000, "\ud800", "\0", "۱۲۳"])
def test_wrong_setup_id_costs_and_voids_nothing(text: str, flow: Any) -> None:
    """Any text that is not the live setup's id is superseded, even an eleventh time."""
    setup = flow.enroller.begin(USER, account_name="sara")
    stored = flow.store.load(USER)
    for _ in range(11):
        with pytest.raises(errors.SetupSupersededError):
            flow.enroller.confirm(USER, "000000", setup_id=text)
    assert flow.store.load(USER) == stored
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


@pytest.mark.requirement("R-53")
@pytest.mark.regression_of("B-07", "B-29")
def test_setup_id_of_an_erased_account_is_void(flow: Any) -> None:
    """After the row was deleted and begun anew, the old id confirms nothing."""
    old = flow.enroller.begin(USER, account_name="sara")
    flow.enroller.erase(USER, proof=VOUCHED)
    flow.enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.SetupSupersededError):
        flow.enroller.confirm(USER, flow.phone(old).code(), setup_id=old.id)


@pytest.mark.requirement("R-46")
@pytest.mark.regression_of("B-13")
def test_setup_lives_for_its_time_and_not_a_second_longer(flow: Any) -> None:
    """A setup is live one second before it expires, and expired at that second."""
    setup = flow.enroller.begin(USER, account_name="sara")
    flow.clock.advance(899)
    assert flow.enroller.resume(USER, setup_id=setup.id).key == setup.key
    assert flow.enroller.status(USER).state == "pending"
    flow.clock.advance(1)
    with pytest.raises(errors.SetupExpiredError):
        flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert flow.enroller.status(USER).state == "disabled"


@pytest.mark.requirement("R-46")
@pytest.mark.regression_of("B-13")
def test_next_write_erases_an_expired_secret(flow: Any) -> None:
    """An expired staged secret is gone from the row after the next write, and an event tells."""
    phone, _ = flow.enroll()
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.clock.advance(900)
    flow.told.clear()
    flow.enroller.verify(USER, phone.code())
    enrollment, _ = codec.decode(flow.store.load(USER))
    assert setup_of(enrollment) is None
    assert flow.store.load(USER).setup_expires_at is None
    assert flow.names_of_events() == ["SetupExpired", "CodeVerified"]


@pytest.mark.requirement("R-46")
def test_purge_erases_expired_setups_and_nothing_else(flow: Any) -> None:
    """purge_expired drops expired setups, as many as asked, and again for the rest."""
    for number in range(5):
        flow.enroller.begin(f"old-{number}", account_name="sara")
    flow.clock.advance(900)
    flow.enroller.begin("new", account_name="sara")
    phone, _ = flow.enroll("on")
    assert flow.enroller.purge_expired(limit=2) == 2
    assert flow.enroller.purge_expired() == 3
    assert flow.enroller.purge_expired() == 0
    assert all("sealed" not in flow.store.load(f"old-{n}").document for n in range(5))
    assert flow.enroller.status("new").state == "pending"
    flow.enroller.verify("on", phone.code())


def test_purge_leaves_a_setup_that_was_begun_since_it_looked(flow: Any) -> None:
    """An id that was listed as expired, and has a live setup by now, is left alone."""
    setup = flow.enroller.begin(USER, account_name="sara")
    flow.store.user_ids = lambda **wanted: [USER]
    assert flow.enroller.purge_expired() == 0
    assert flow.enroller.resume(USER, setup_id=setup.id).key == setup.key


def test_maintenance_passes_over_a_busy_row(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A row that others change without end is logged, and the rest is done."""
    for user_id in ("a", "b", "c"):
        flow.enroller.begin(user_id, account_name="sara")
    flow.clock.advance(900)
    save = flow.store.save
    flow.store.save = lambda record, expected: (
        record.user_id != "b" and save(record, expected=expected)
    )
    assert flow.enroller.purge_expired() == 2
    assert "passed over b" in caplog.text


def test_resealing_of_a_busy_row_is_not_complete(flow: Any) -> None:
    """The report does not let a key go that a row in motion may still need."""
    for user_id in ("a", "b"):
        flow.enroller.begin(user_id, account_name="sara")
    ring = AESGCMKeyRing({"2026": bytes(32)}, accept_unencrypted=True)
    save = flow.store.save
    flow.store.save = lambda record, expected: (
        record.user_id != "b" and save(record, expected=expected)
    )
    report = flow.another(cipher=ring).reseal()
    assert (report.resealed, report.unreadable, report.complete) == (1, 0, False)


def test_purge_passes_over_a_damaged_row(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One damaged row does not keep the others from being purged, and it is logged."""
    for user_id in ("a", "b", "c"):
        flow.enroller.begin(user_id, account_name="sara")
    damaged = replace(flow.store.load("b"), document="{", revision="0" * 32)
    assert flow.store.save(damaged, expected=flow.store.load("b").revision)
    flow.clock.advance(900)
    assert flow.enroller.purge_expired() == 2
    assert "passed over b" in caplog.text


@pytest.mark.requirement("R-48")
@pytest.mark.parametrize("offset", [-10, -4, -2, 2, 3, 10])
def test_confirm_tells_how_far_the_clock_is_off(offset: int, flow: Any) -> None:
    """A code up to ten periods away is wrong, and the error says by how many seconds."""
    setup = flow.enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.ClockSkewError) as refusal:
        flow.enroller.confirm(USER, flow.phone(setup).code(offset), setup_id=setup.id)
    assert refusal.value.skew_seconds == 30 * offset
    assert refusal.value.attempts_left == 9
    assert flow.enroller.status(USER).state == "pending"


@pytest.mark.requirement("R-48", "R-61")
def test_login_never_tells_why_a_code_is_wrong(flow: Any) -> None:
    """At login a late code, a foreign code and a removed authenticator's code are one error."""
    phone, _ = flow.enroll()
    removed = flow.add("tablet", VOUCHED)
    flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet")
    other, _ = flow.enroll("another")
    for code in (phone.code(-4), other.code(), removed.code()):
        with pytest.raises(errors.WrongCodeError) as refusal:
            flow.enroller.verify(USER, code)
        assert type(refusal.value) is errors.WrongCodeError
        assert str(refusal.value) == "the code is wrong"


@pytest.mark.requirement("R-50")
@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        (Policy(algorithm="SHA256"), "algorithm=SHA1&digits=6&period=30"),
        (Policy(algorithm="SHA512"), "algorithm=SHA1&digits=6&period=30"),
        (Policy(digits=8), "algorithm=SHA1&digits=6&period=30"),
        (Policy(algorithm="SHA256", digits=8), "algorithm=SHA1&digits=6&period=30"),
        (Policy(algorithm="SHA256", digits=8), "algorithm=SHA1&digits=8&period=30"),
        (Policy(period=60), "algorithm=SHA1&digits=6&period=30"),
    ],
)
def test_confirm_tells_that_the_app_ignores_parameters(
    policy: Policy, shown: str, make_flow: Make
) -> None:
    """The code of an app that ignores parameters is wrong, and the error says why."""
    flow = make_flow(policy=policy)
    flow.clock.advance(60 * 7_777)
    setup = flow.enroller.begin(USER, account_name="sara")
    careless = FakeAuthenticator(setup.uri.partition("&algorithm=")[0] + "&" + shown, flow.clock)
    with pytest.raises(errors.AppIgnoresParametersError) as refusal:
        flow.enroller.confirm(USER, careless.code(), setup_id=setup.id)
    assert refusal.value.attempts_left == 9
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


@pytest.mark.requirement("R-38")
def test_code_of_a_length_that_no_authenticator_has_is_malformed(make_flow: Make) -> None:
    """Eight digits where six are shown, and the reverse, cost nothing and say what is expected."""
    flow = make_flow(policy=Policy(digits=8))
    setup = flow.enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.MalformedCodeError) as refusal:
        flow.enroller.confirm(USER, "1234567", setup_id=setup.id)
    assert refusal.value.expected_digits == 8
    phone = flow.phone(setup)
    flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    stored = flow.store.load(USER)
    for _ in range(12):
        with pytest.raises(errors.MalformedCodeError):
            flow.enroller.verify(USER, "123456")
    assert flow.store.load(USER) == stored


def test_length_of_a_code_is_judged_before_the_secret_is_opened(make_flow: Make) -> None:
    """Eight digits where every app shows six are malformed, whatever became of the key ring."""
    flow = make_flow(cipher=AESGCMKeyRing({"old": b"o" * 32}))
    setup = flow.enroller.begin(USER, account_name="sara")
    keyless = flow.another(cipher=AESGCMKeyRing({"new": b"n" * 32}))
    with pytest.raises(errors.MalformedCodeError):
        keyless.confirm(USER, "12345678", setup_id=setup.id)
    with pytest.raises(errors.UnreadableSecretError):
        keyless.confirm(USER, "123456", setup_id=setup.id)


@pytest.mark.requirement("R-51")
@pytest.mark.regression_of("B-21")
def test_setup_bears_ten_wrong_codes(flow: Any) -> None:
    """Nine wrong codes count down, the tenth drops the setup, and the right code is too late."""
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    left = []
    for _ in range(9):
        with pytest.raises(errors.WrongCodeError) as refusal:
            flow.enroller.confirm(USER, wrong_for(phone), setup_id=setup.id)
        left.append(refusal.value.attempts_left)
    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    with pytest.raises(errors.SetupExhaustedError):
        flow.enroller.confirm(USER, wrong_for(phone), setup_id=setup.id)
    with pytest.raises(errors.NotPendingError):
        flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert "sealed" not in flow.store.load(USER).document


@pytest.mark.requirement("R-51")
def test_exhausted_setup_leaves_the_working_authenticator(flow: Any) -> None:
    """Ten wrong codes at a replacement cost the old authenticator and its budget nothing."""
    phone, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    for expected in [errors.WrongCodeError] * 9 + [errors.SetupExhaustedError]:
        with pytest.raises(expected):
            flow.enroller.confirm(USER, wrong_for(flow.phone(setup)), setup_id=setup.id)
    flow.enroller.verify(USER, phone.code())
    assert flow.enroller.status(USER).retry_at is None


@pytest.mark.requirement("R-54")
def test_policy_can_ask_for_an_acknowledged_backup(make_flow: Make) -> None:
    """Under STRICT confirm waits for the acknowledgement and judges nothing before it."""
    flow = make_flow(policy=STRICT)
    setup = flow.enroller.begin(USER, account_name="sara")
    code = flow.phone(setup).code()
    with pytest.raises(errors.BackupRequiredError) as refusal:
        flow.enroller.confirm(USER, code, setup_id=setup.id)
    assert refusal.value.needed == "acknowledged"
    flow.enroller.confirm(USER, code, setup_id=setup.id, backup_acknowledged=True)
    confirmed = next(e for e in flow.told if type(e).__name__ == "AuthenticatorConfirmed")
    assert confirmed.backup == "acknowledged"


@pytest.mark.requirement("R-54", "R-12")
def test_policy_can_ask_for_a_checked_copy(make_flow: Make) -> None:
    """Under "checked" no acknowledgement and no wrong copy suffices, and a right copy does."""
    flow = make_flow(policy=Policy(backup="checked"))
    setup = flow.enroller.begin(USER, account_name="sara")
    code = flow.phone(setup).code()
    wrong = ("B" if setup.key[8] == "A" else "A").join((setup.key[:8], setup.key[9:]))
    outcome = flow.enroller.check_key_copy(USER, wrong, setup_id=setup.id)
    assert (outcome.matches, outcome.differing_groups) == (False, (3,))
    with pytest.raises(errors.BackupRequiredError):
        flow.enroller.confirm(USER, code, setup_id=setup.id, backup_acknowledged=True)
    copy = " ".join(setup.key_groups).lower()
    assert flow.enroller.check_key_copy(USER, copy, setup_id=setup.id).matches
    flow.enroller.confirm(USER, code, setup_id=setup.id)
    confirmed = next(e for e in flow.told if type(e).__name__ == "AuthenticatorConfirmed")
    assert confirmed.backup == "checked"


def test_a_checked_copy_is_more_than_an_acknowledgement(make_flow: Make) -> None:
    """Where an acknowledgement is asked for, a copy that was checked satisfies it."""
    flow = make_flow(policy=STRICT)
    setup = flow.enroller.begin(USER, account_name="sara")
    flow.enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


def test_checking_a_copy_counts_nothing(flow: Any) -> None:
    """A hundred wrong copies write nothing and drop nothing."""
    setup = flow.enroller.begin(USER, account_name="sara")
    saves = flow.store.saves
    for _ in range(100):
        assert not flow.enroller.check_key_copy(USER, "AAAA", setup_id=setup.id).matches
    assert flow.store.saves == saves
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


@pytest.mark.requirement("R-45", "R-75")
@pytest.mark.regression_of("B-08", "B-09")
def test_old_secret_works_until_the_new_one_is_confirmed_and_not_after(flow: Any) -> None:
    """A replacement leaves the old codes good until its confirm, and required never wavers."""
    old, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    new = flow.phone(setup)
    assert setup.replaces
    assert flow.enroller.status(USER).required
    flow.enroller.verify(USER, old.code())
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, new.code())
    confirmation = flow.enroller.confirm(USER, new.code(), setup_id=setup.id)
    assert (confirmation.replaced, confirmation.recovery_codes) == (True, None)
    assert flow.enroller.status(USER).required
    flow.clock.advance(30)
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, old.code())
    flow.enroller.verify(USER, new.code())


@pytest.mark.requirement("R-55")
def test_replacing_one_authenticator_leaves_the_others_alone(flow: Any) -> None:
    """Of several authenticators the one of that name has a new secret, and each its old place."""
    flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    before = flow.enroller.status(USER).authenticators
    phone = flow.add("default", VOUCHED)
    after = flow.enroller.status(USER).authenticators
    assert [one.name for one in after] == ["default", "tablet"]
    assert [one.id == old.id for one, old in zip(after, before, strict=True)] == [False, True]
    assert flow.enroller.verify(USER, phone.code()).authenticator == "default"
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "tablet"


@pytest.mark.requirement("R-45", "R-75")
@pytest.mark.regression_of("B-08", "B-09")
@pytest.mark.parametrize("how", ["left", "cancelled", "expired", "superseded"])
def test_an_abandoned_replacement_changes_nothing(how: str, flow: Any) -> None:
    """However a replacement ends unconfirmed, the old codes verify and the new ones do not."""
    old, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    if how == "cancelled":
        flow.enroller.cancel(USER, setup_id=setup.id)
    if how == "expired":
        flow.clock.advance(900)
    if how == "superseded":
        flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, flow.phone(setup).code())
    flow.enroller.verify(USER, old.code())


@pytest.mark.requirement("R-77")
def test_label_of_a_replacement_has_a_number(flow: Any) -> None:
    """The second and third secret of a name are labelled (2) and (3), and the setup warns."""
    flow.enroll()
    for number in (2, 3):
        setup = flow.enroller.begin(USER, account_name="sara@example.com", proof=VOUCHED)
        assert setup.account_name == f"sara@example.com ({number})"
        assert f"sara%40example.com%20%28{number}%29?" in setup.uri
        assert "may_overwrite" in {warning.code for warning in setup.warnings}
        flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


@pytest.mark.requirement("R-77")
def test_number_on_the_label_can_be_switched_off(make_flow: Make) -> None:
    """With suffix_on_rotation off the label stays, and the warning too."""
    flow = make_flow(policy=Policy(suffix_on_rotation=False))
    flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    assert setup.account_name == "sara"
    assert [warning.code for warning in setup.warnings] == ["may_overwrite"]


@pytest.mark.requirement("R-77")
def test_longest_account_name_can_be_replaced_and_shown(flow: Any) -> None:
    """The number on the label takes the place of the name's end, and the QR code still fits."""
    longest = "漢" * 128
    enroller = flow.another(issuer="漢" * 64)
    setup = enroller.begin(USER, account_name=longest)
    assert setup.qr.png()
    enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    setup = enroller.begin(USER, account_name=longest, proof=VOUCHED)
    assert setup.account_name == "漢" * 124 + " (2)"
    assert setup.qr.svg().startswith("<svg")
    setup = enroller.begin(USER, account_name="😀" * 96, proof=VOUCHED)
    assert setup.account_name == "😀" * 95 + " (2)"
    assert setup.qr.svg().startswith("<svg")
    with pytest.raises(ValueError, match="too many characters of four bytes"):
        enroller.begin(USER, account_name="😀" * 97, proof=VOUCHED)


@pytest.mark.requirement("R-77")
def test_further_authenticator_warns_of_overwriting(flow: Any) -> None:
    """A second authenticator has the first one's label, so scanning it on one phone is told of."""
    flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", authenticator="tablet", proof=VOUCHED)
    assert not setup.replaces
    assert [warning.code for warning in setup.warnings] == ["may_overwrite"]


@pytest.mark.requirement("R-55")
def test_several_authenticators_each_verify_and_each_can_go(flow: Any) -> None:
    """Two authenticators verify by their own codes, and removing one leaves the other."""
    phone, _ = flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    assert flow.enroller.verify(USER, phone.code()).authenticator == "default"
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "tablet"
    names = [one.name for one in flow.enroller.status(USER).authenticators]
    assert names == ["default", "tablet"]
    flow.clock.advance(30)
    flow.enroller.disable(USER, proof=phone.code(), authenticator="default")
    flow.enroller.verify(USER, tablet.code())
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, phone.code())


@pytest.mark.requirement("R-55")
def test_begin_wants_to_know_which_of_several(flow: Any) -> None:
    """Without a name one authenticator is replaced, and of several none is guessed."""
    flow.enroll()
    assert flow.enroller.begin(USER, account_name="sara", proof=VOUCHED).replaces
    flow.add("tablet", VOUCHED)
    with pytest.raises(errors.AmbiguousAuthenticatorError) as refusal:
        flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    assert refusal.value.names == ("default", "tablet")
    setup = flow.enroller.begin(USER, account_name="sara", authenticator=" tablet ", proof=VOUCHED)
    assert (setup.authenticator, setup.replaces) == ("tablet", True)


def test_no_more_authenticators_than_the_policy_allows(flow: Any) -> None:
    """The fourth of three is refused before any proof is judged; replacing one is not."""
    phone, _ = flow.enroll()
    flow.add("tablet", VOUCHED)
    flow.add("laptop", VOUCHED)
    with pytest.raises(errors.TooManyAuthenticatorsError):
        flow.enroller.begin(USER, account_name="sara", authenticator="fourth", proof=phone.code())
    flow.enroller.begin(USER, account_name="sara", authenticator="laptop", proof=phone.code())


def test_rename_keeps_everything_but_the_name(flow: Any) -> None:
    """A renamed authenticator verifies as before, and a staged replacement still replaces it."""
    phone, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.enroller.rename(USER, "default", "گوشی")
    assert flow.enroller.verify(USER, phone.code()).authenticator == "گوشی"
    assert flow.enroller.resume(USER, setup_id=setup.id).replaces
    confirmation = flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert (confirmation.authenticator, confirmation.replaced) == ("گوشی", True)


def test_rename_refuses_unknown_and_taken_names(flow: Any) -> None:
    """No two authenticators, staged ones included, come to bear one name."""
    flow.enroll()
    flow.add("tablet", VOUCHED)
    flow.enroller.begin(USER, account_name="sara", authenticator="laptop", proof=VOUCHED)
    stored = flow.store.load(USER)
    with pytest.raises(errors.UnknownAuthenticatorError):
        flow.enroller.rename(USER, "phone", "mobile")
    for taken in ("tablet", "laptop"):
        with pytest.raises(errors.AmbiguousAuthenticatorError) as refusal:
            flow.enroller.rename(USER, "default", taken)
        assert refusal.value.names == ("default", "tablet")
    flow.enroller.rename(USER, "default", "default")
    assert flow.store.load(USER) == stored


def test_rename_leaves_the_other_authenticators_alone(flow: Any) -> None:
    """Of several authenticators the renamed one has the new name, and each its own secret."""
    phone, _ = flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    before = [one.id for one in flow.enroller.status(USER).authenticators]
    flow.enroller.rename(USER, "tablet", "slate")
    after = flow.enroller.status(USER).authenticators
    assert [(one.name, one.id) for one in after] == [("default", before[0]), ("slate", before[1])]
    assert flow.enroller.verify(USER, phone.code()).authenticator == "default"
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "slate"


@pytest.mark.requirement("R-44")
def test_resume_shows_all_that_begin_showed(make_flow: Make) -> None:
    """Resumed, a setup has the same paper and warnings, alone and beside a working one."""
    flow = make_flow(policy=Policy(algorithm="SHA256", digits=8, period=60))
    for proof, name in ((None, None), (VOUCHED, "default"), (VOUCHED, "tablet")):
        begun = flow.enroller.begin(USER, account_name="sara", authenticator=name, proof=proof)
        again = flow.enroller.resume(USER, setup_id=begun.id)
        assert again.sheet(locale="en").text() == begun.sheet(locale="en").text()
        assert again.sheet(locale="fa").html() == begun.sheet(locale="fa").html()
        assert again.warnings == begun.warnings
        assert (again.authenticator, again.replaces) == (begun.authenticator, begun.replaces)
        assert again.expires_at == begun.expires_at
        flow.enroller.confirm(USER, flow.phone(begun).code(), setup_id=begun.id)


def test_label_is_cut_so_that_the_number_of_a_replacement_fits(flow: Any) -> None:
    """The longest account name loses its end to the suffix, and a space before it as well."""
    setup = flow.enroller.begin(USER, account_name="x" * 128)
    assert setup.account_name == "x" * 128
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    again = flow.enroller.begin(USER, account_name="x" * 128, proof=VOUCHED)
    assert again.account_name == "x" * 124 + " (2)"
    again = flow.enroller.begin(USER, account_name="x" * 123 + " yyyy", proof=VOUCHED)
    assert again.account_name == "x" * 123 + " (2)"
    flow.enroller.confirm(USER, flow.phone(again).code(), setup_id=again.id)
    third = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    assert third.account_name == "sara (3)"


def test_begin_shows_the_paper_of_its_setup(flow: Any) -> None:
    """The first setup has nothing to overwrite in an app; one beside a working secret may."""
    first = flow.enroller.begin(USER, account_name="sara")
    assert (first.replaces, first.warnings, first.authenticator) == (False, (), "default")
    assert "Made on: 15 January 2027" in first.sheet().text()
    flow.enroller.confirm(USER, flow.phone(first).code(), setup_id=first.id)
    for name, replaces in (("default", True), ("tablet", False)):
        setup = flow.enroller.begin(USER, account_name="sara", authenticator=name, proof=VOUCHED)
        assert (setup.replaces, setup.authenticator) == (replaces, name)
        assert [warning.code for warning in setup.warnings] == ["may_overwrite"]


def test_purge_leaves_the_working_authenticator(flow: Any) -> None:
    """Maintenance drops the expired replacement of a confirmed account, and nothing else."""
    phone, _ = flow.enroll()
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.clock.advance(900)
    assert flow.enroller.purge_expired() == 1
    assert flow.enroller.status(USER).state == "confirmed"
    flow.enroller.verify(USER, phone.code())


def test_removing_one_authenticator_drops_the_setup_of_its_name_alone(flow: Any) -> None:
    """A staged replacement goes with what it replaces, and any other staged setup stays."""
    flow.enroll()
    flow.add("tablet", VOUCHED)
    staged = flow.enroller.begin(USER, account_name="sara", authenticator="laptop", proof=VOUCHED)
    flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet")
    assert flow.enroller.resume(USER, setup_id=staged.id).authenticator == "laptop"
    flow.add("tablet", VOUCHED)
    for name in ("tablet", "default"):
        replacement = flow.enroller.begin(
            USER, account_name="sara", authenticator=name, proof=VOUCHED
        )
        flow.enroller.disable(USER, proof=VOUCHED, authenticator=name)
        with pytest.raises(errors.NotPendingError):
            flow.enroller.resume(USER, setup_id=replacement.id)
    assert flow.enroller.status(USER).state == "disabled"


@pytest.mark.requirement("R-03")
def test_secrets_are_never_made_twice(flow: Any) -> None:
    """Ten thousand setups have ten thousand secrets and ids, also of one account."""
    setups = [flow.enroller.begin(USER, account_name="sara") for _ in range(5_000)]
    setups += [flow.enroller.begin(f"user-{n}", account_name="sara") for n in range(5_000)]
    assert len({setup.key for setup in setups}) == 10_000
    assert len({setup.id for setup in setups}) == 10_000
