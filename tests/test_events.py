"""What is told: an event per change, with what an audit needs and nothing secret."""

from __future__ import annotations

import dataclasses
import inspect
import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, wrong_for
from otp_enroll import AttemptBudget, Policy, errors, events
from otp_enroll.core.states import setup_of
from otp_enroll.storage import codec

CONTEXT = {"ip": "192.0.2.7", "actor": "sara"}


@pytest.mark.requirement("R-94", "R-96")
def test_every_change_is_told_once_and_in_order(flow: Any) -> None:
    """Each verb tells what it did after it did it, and tells it once."""
    setup = flow.enroller.begin(USER, account_name="sara")
    assert flow.names_of_events() == ["SetupBegun"]
    flow.enroller.resume(USER, setup_id=setup.id)
    assert flow.names_of_events() == ["SetupResumed"]
    flow.enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
    assert flow.names_of_events() == ["KeyCopyChecked"]
    phone = flow.phone(setup)
    with pytest.raises(errors.ClockSkewError):
        flow.enroller.confirm(USER, phone.code(5), setup_id=setup.id)
    assert flow.names_of_events() == ["CodeRejected"]
    confirmation = flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert flow.names_of_events() == ["AuthenticatorConfirmed", "RecoveryCodesIssued"]
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, phone.code())
    assert flow.names_of_events() == ["CodeReused"]
    flow.clock.advance(30)
    flow.enroller.verify(USER, phone.code())
    assert flow.names_of_events() == ["CodeVerified"]
    flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert flow.names_of_events() == ["RecoveryCodeUsed"]
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert flow.names_of_events() == ["CodeReused"]
    flow.enroller.rename(USER, "default", "phone")
    assert flow.names_of_events() == ["AuthenticatorRenamed"]
    second = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    assert flow.names_of_events() == ["OverrideUsed", "SetupBegun"]
    flow.enroller.cancel(USER, setup_id=second.id)
    assert flow.names_of_events() == ["SetupCancelled"]
    third = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.told.clear()
    flow.enroller.confirm(USER, flow.phone(third).code(), setup_id=third.id)
    assert flow.names_of_events() == ["AuthenticatorConfirmed", "AuthenticatorReplaced"]
    flow.add("tablet", VOUCHED)
    flow.told.clear()
    flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet")
    assert flow.names_of_events() == ["OverrideUsed", "AuthenticatorRemoved"]
    flow.enroller.disable(USER, proof=VOUCHED)
    assert flow.names_of_events() == ["OverrideUsed", "EnrollmentDisabled"]
    flow.enroller.status(USER)
    assert flow.names_of_events() == []


@pytest.mark.requirement("R-69", "R-94")
def test_refused_guesses_are_told(flow: Any) -> None:
    """Wrong codes, waits and the guesses during a lock each tell the account, and when to retry."""
    phone, _ = flow.enroll()
    wrong = wrong_for(phone)
    flow.told.clear()
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError):
            flow.enroller.verify(USER, wrong, context={"ip": "192.0.2.7"})
    with pytest.raises(errors.TooManyAttemptsError) as refusal:
        flow.enroller.verify(USER, wrong)
    *rejected, throttled = flow.told
    assert {type(event) for event in rejected} == {events.CodeRejected}
    assert {event.context["ip"] for event in rejected} == {"192.0.2.7"}
    assert isinstance(throttled, events.Throttled)
    assert throttled.retry_at == refusal.value.retry_at


@pytest.mark.requirement("R-94")
def test_event_tells_when_who_what_and_for_what(flow: Any) -> None:
    """An event has UTC time, user, authenticator and id, purpose, actor and the app's context."""
    phone, _ = flow.enroll()
    flow.told.clear()
    context = {"ip": "192.0.2.7", "agent": "Firefox", "actor": "sara"}
    flow.enroller.verify(USER, phone.code(), purpose="withdraw", context=context)
    (event,) = flow.told
    assert event.time.timestamp() == flow.clock.now
    assert event.time.tzinfo is timezone.utc
    assert (event.user_id, event.authenticator) == (USER, "default")
    assert event.authenticator_id == flow.enroller.status(USER).authenticators[0].id
    assert (event.purpose, event.actor) == ("withdraw", "sara")
    assert event.context == context
    context["ip"] = "changed later"
    assert event.context["ip"] == "192.0.2.7"


@pytest.mark.requirement("R-47")
def test_replacement_has_an_id_of_its_own(flow: Any) -> None:
    """The event of a replacement names the new id and the one that it replaced."""
    flow.enroll()
    old = flow.enroller.status(USER).authenticators[0].id
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    replaced = next(e for e in flow.told if isinstance(e, events.AuthenticatorReplaced))
    assert replaced.replaced_id == old
    assert replaced.authenticator_id == flow.enroller.status(USER).authenticators[0].id != old


@pytest.mark.requirement("R-95", "R-97")
def test_events_are_plain_values_with_codes_of_their_own() -> None:
    """Each event class is frozen, has a stable code that no other has, and is exported."""
    kinds: list[Any] = [getattr(events, name) for name in events.__all__]
    made_here = [kind for _, kind in inspect.getmembers(events, inspect.isclass)]
    ours = {kind for kind in made_here if kind.__module__ == events.__name__}
    assert ours == {*kinds, events.Stamp}
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    for kind in kinds:
        assert kind.__dataclass_params__.frozen


def test_event_of_a_listener_can_be_stored(flow: Any) -> None:
    """An event turns into a dict, as a listener that logs it needs."""
    flow.enroller.begin(USER, account_name="sara", context={"ip": "192.0.2.7"})
    stored = dataclasses.asdict(flow.told[0])
    assert stored["user_id"] == USER
    assert stored["context"] == {"ip": "192.0.2.7"}


# --- events as JSON values ---

AT = datetime(2027, 1, 15, 8, 0, tzinfo=timezone.utc)
LATER = datetime(2027, 1, 15, 8, 0, 30, tzinfo=timezone.utc)
STAMP: dict[str, Any] = {
    "time": AT,
    "user_id": USER,
    "authenticator": "تبلت",
    "authenticator_id": "11bad248",
    "purpose": "login",
    "actor": "sara",
    "context": CONTEXT,
}
DETAILS: dict[str, dict[str, Any]] = {
    "SetupBegun": {"replaces": True},
    "KeyCopyChecked": {"matches": False},
    "AuthenticatorConfirmed": {"backup": "checked", "first": True},
    "AuthenticatorReplaced": {"replaced_id": "ea4ad1b1"},
    "AuthenticatorRenamed": {"old_name": "default"},
    "CodeRejected": {"method": "code"},
    "CodeReused": {"method": "recovery_code"},
    "Throttled": {"method": "code", "retry_at": LATER},
    "ManyFailures": {"failures": 80},
    "RecoveryCodesIssued": {"count": 10},
    "RecoveryCodeUsed": {"left": 9},
    "RecoveryCodesLow": {"left": 2},
    "OverrideUsed": {"verb": "begin", "reason": "phone lost"},
    "EnrollmentDisabled": {"names": ("default", "تبلت")},
}
"""What each event says besides its stamp; those that are not here say nothing more."""
KINDS = [getattr(events, name) for name in events.__all__]
of_every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def made(kind: Any, **changes: Any) -> events.Event:
    event: events.Event = kind(**STAMP, **(DETAILS.get(kind.__name__, {}) | changes))
    return event


@of_every_kind
def test_an_event_comes_back_from_json(kind: Any) -> None:
    """What to_dict returns passes through JSON, and from_dict makes an equal event of it."""
    event = made(kind)
    facts = {field.name for field in dataclasses.fields(kind)}
    assert facts == {*STAMP, *DETAILS.get(kind.__name__, {})}
    bare: dict[str, Any] = dict.fromkeys(("authenticator", "authenticator_id", "actor"))
    for one in (event, replace(event, **bare, context={})):
        stored = one.to_dict()
        assert set(stored) == {"code", *facts}
        back = events.Event.from_dict(json.loads(json.dumps(stored)))
        assert type(back) is kind
        assert back == one
        assert kind.from_dict(stored) == one


def test_an_event_is_these_json_values() -> None:
    """Times are ISO 8601 with their offset, names a list, and what is not there is null."""
    assert made(events.EnrollmentDisabled).to_dict() == {
        "code": "enrollment_disabled",
        "time": "2027-01-15T08:00:00+00:00",
        "user_id": USER,
        "authenticator": "تبلت",
        "authenticator_id": "11bad248",
        "purpose": "login",
        "actor": "sara",
        "context": {"ip": "192.0.2.7", "actor": "sara"},
        "names": ["default", "تبلت"],
    }
    during_a_lock = made(events.Throttled, retry_at=None).to_dict()
    assert during_a_lock["retry_at"] is None


def test_events_are_equal_by_kind_and_facts() -> None:
    """Two events are the same if their class and all their facts are; none is a key of a dict."""
    event = made(events.RecoveryCodeUsed)
    assert event == made(events.RecoveryCodeUsed)
    assert event != made(events.RecoveryCodeUsed, left=8)
    assert event != replace(event, user_id="user-43")
    assert event != made(events.RecoveryCodesLow, left=9)
    assert event != event.to_dict()
    with pytest.raises(TypeError):
        hash(event)


def test_the_repr_of_an_event_has_its_facts() -> None:
    """A log shows what happened, with every fact by its name."""
    shown = repr(made(events.RecoveryCodeUsed, left=8))
    assert shown.startswith("RecoveryCodeUsed(time=datetime.datetime(2027, 1, 15, 8, 0, ")
    assert shown.endswith(f"actor='sara', context={CONTEXT!r}, left=8)")


def test_an_event_as_a_dict_is_a_copy() -> None:
    """Who changes the dict changes no event."""
    event = made(events.Locked)
    stored: Any = event.to_dict()
    stored["context"]["ip"] = "changed"
    assert event.context["ip"] == "192.0.2.7"
    back = events.Event.from_dict(stored)
    stored["context"]["ip"] = "changed again"
    assert back.context["ip"] == "changed"


WRONG: dict[str, list[object]] = {
    "str": [7, True, ["never shown"], {"never shown": 1}],
    "int": ["never shown", True, 7.5, ["never shown"]],
    "bool": ["never shown", 0, 1],
    "datetime": ["never shown", 1_800_000_000, "2027-01-15T08:00:00"],
    "tuple[str, ...]": ["never shown", 7, ["never shown", 7], {"never shown": 1}],
    "dict[str, str]": ["never shown", ["never shown"], {"never shown": 1}, {7: "never shown"}],
}
"""Values that a fact of a type cannot have; a time without an offset is none."""


def assert_refused(stored: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^an event has no") as caught:
        events.Event.from_dict(stored)
    assert str(caught.value) == sentence
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@of_every_kind
def test_an_event_with_a_wrong_fact_is_refused(kind: Any) -> None:
    """A fact that is missing or of another type is a ValueError, which names it and shows none."""
    stored = made(kind).to_dict()
    for field in dataclasses.fields(kind):
        name, spelt = field.name, str(field.type)
        wrong = list(WRONG[spelt.removesuffix(" | None")])
        without = {key: value for key, value in stored.items() if key != name}
        if spelt.endswith(" | None"):
            assert getattr(events.Event.from_dict(without), name) is None
        else:
            assert_refused(without, f"an event has no {name} that could be one")
            wrong.append(None)
        for value in wrong:
            assert_refused(stored | {name: value}, f"an event has no {name} that could be one")


@pytest.mark.parametrize("code", ["never shown", "", None, 7, ["locked"], "wrong_code"], ids=str)
def test_an_unknown_code_is_refused(code: object) -> None:
    """A dict of no event that is known here is a ValueError."""
    stored = made(events.Locked).to_dict()
    assert_refused(stored | {"code": code}, "an event has no code that is known here")
    del stored["code"]
    assert_refused(stored, "an event has no code that is known here")


@pytest.mark.parametrize("data", [None, "never shown", 7, ["code", "locked"], b"{}"], ids=repr)
def test_what_is_no_mapping_is_refused(data: object) -> None:
    """Anything but a mapping is a TypeError, and is not shown."""
    with pytest.raises(TypeError) as caught:
        events.Event.from_dict(data)
    assert str(caught.value) == "an event must be a mapping"


@pytest.mark.requirement("R-94")
def test_every_event_of_a_life_comes_back_from_an_outbox(flow: Any) -> None:
    """What a listener really got can be stored as JSON and read again."""
    phone, confirmation = flow.enroll()
    with suppress(errors.WrongCodeError):
        flow.enroller.verify(USER, wrong_for(phone), context=CONTEXT)
    flow.enroller.verify(USER, phone.code(), context=CONTEXT)
    for code in confirmation.recovery_codes:
        flow.enroller.verify(USER, code)
    flow.enroller.erase(USER, proof=VOUCHED, context=CONTEXT)
    assert len(flow.told) > 15
    outbox = json.dumps([event.to_dict() for event in flow.told])
    assert [events.Event.from_dict(stored) for stored in json.loads(outbox)] == flow.told


class Hearing:
    """What an account's listener must hear, event by event, with every field."""

    def __init__(self, flow: Any) -> None:
        self.flow = flow

    def event(
        self, kind: Any, purpose: str, about: tuple[str, str] | None = None, **details: Any
    ) -> events.Event:
        """Make an event as it must be; ``about`` is an authenticator's name and id."""
        actor = details.pop("actor", "sara")
        made: events.Event = kind(
            time=datetime.fromtimestamp(self.flow.clock.now, timezone.utc),
            user_id=USER,
            authenticator=about and about[0],
            authenticator_id=about and about[1],
            purpose=purpose,
            actor=actor,
            context=CONTEXT,
            **details,
        )
        return made

    def new(self) -> list[events.Event]:
        """Return what was told since the last look."""
        told = list(self.flow.told)
        self.flow.told.clear()
        return told

    def staged(self) -> tuple[str, str]:
        """Return the name and id of the setup under way."""
        setup = setup_of(codec.decode(self.flow.store.load(USER))[0])
        assert setup is not None
        return setup.name, setup.authenticator_id

    def working(self, name: str = "default") -> tuple[str, str]:
        """Return the name and id of a confirmed authenticator."""
        (one,) = (one for one in self.flow.enroller.status(USER).authenticators if one.name == name)
        return one.name, one.id


@pytest.fixture
def hearing(flow: Any) -> Hearing:
    return Hearing(flow)


@pytest.mark.requirement("R-94")
def test_events_of_a_setup_tell_all_that_is_known(flow: Any, hearing: Hearing) -> None:
    """Begin, resume, copy check, wrong code, exhaustion, cancel and expiry name their setup."""
    enroller = flow.enroller
    setup = enroller.begin(USER, account_name="sara", context=CONTEXT)
    one = hearing.staged()
    assert hearing.new() == [hearing.event(events.SetupBegun, "begin", one, replaces=False)]
    enroller.resume(USER, setup_id=setup.id, context=CONTEXT)
    assert hearing.new() == [hearing.event(events.SetupResumed, "resume", one)]
    for copy, matches in (("AAAA", False), (setup.key, True)):
        enroller.check_key_copy(USER, copy, setup_id=setup.id, context=CONTEXT)
        assert hearing.new() == [
            hearing.event(events.KeyCopyChecked, "check_key_copy", one, matches=matches)
        ]
    wrong = wrong_for(flow.phone(setup))
    rejected = hearing.event(events.CodeRejected, "confirm", one, method="code")
    for _ in range(9):
        with pytest.raises(errors.WrongCodeError):
            enroller.confirm(USER, wrong, setup_id=setup.id, context=CONTEXT)
        assert hearing.new() == [rejected]
    with pytest.raises(errors.SetupExhaustedError):
        enroller.confirm(USER, wrong, setup_id=setup.id, context=CONTEXT)
    assert hearing.new() == [rejected, hearing.event(events.SetupExhausted, "confirm", one)]
    setup = enroller.begin(USER, account_name="sara", authenticator="phone", context=CONTEXT)
    one = hearing.staged()
    hearing.new()
    enroller.cancel(USER, setup_id=setup.id, context=CONTEXT)
    assert hearing.new() == [hearing.event(events.SetupCancelled, "cancel", one)]


@pytest.mark.requirement("R-94")
def test_events_of_an_expired_setup_name_it(flow: Any, hearing: Hearing) -> None:
    """Who drops an expired setup tells which one: the next begin, or maintenance."""
    flow.enroller.begin(USER, account_name="sara", authenticator="phone", context=CONTEXT)
    first = hearing.staged()
    flow.clock.advance(900)
    hearing.new()
    flow.enroller.begin(USER, account_name="sara", context=CONTEXT)
    second = hearing.staged()
    assert hearing.new() == [
        hearing.event(events.SetupExpired, "begin", first),
        hearing.event(events.SetupBegun, "begin", second, replaces=False),
    ]
    flow.clock.advance(900)
    assert flow.enroller.purge_expired() == 1
    purged = hearing.event(events.SetupExpired, "purge_expired", second, actor=None)
    assert hearing.new() == [replace(purged, context={})]


@pytest.mark.requirement("R-47", "R-94")
def test_events_of_an_account_tell_all_that_is_known(flow: Any, hearing: Hearing) -> None:
    """Confirm, swap, removal, rename, renewal and the end name each authenticator they concern."""
    enroller = flow.enroller
    setup = enroller.begin(USER, account_name="sara")
    hearing.new()
    enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id, context=CONTEXT)
    old = hearing.working()
    assert hearing.new() == [
        hearing.event(events.AuthenticatorConfirmed, "confirm", old, backup="none", first=True),
        hearing.event(events.RecoveryCodesIssued, "confirm", count=10),
    ]
    override = hearing.event(
        events.OverrideUsed, "begin", actor="help desk", verb="begin", reason=VOUCHED.reason
    )
    setup = enroller.begin(USER, account_name="sara", proof=VOUCHED, context=CONTEXT)
    new = hearing.staged()
    begun = hearing.event(events.SetupBegun, "begin", new, actor="help desk", replaces=True)
    assert hearing.new() == [override, begun]
    enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
    hearing.new()
    enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id, context=CONTEXT)
    assert hearing.new() == [
        hearing.event(events.AuthenticatorConfirmed, "confirm", new, backup="checked", first=False),
        hearing.event(events.AuthenticatorReplaced, "confirm", new, replaced_id=old[1]),
    ]
    setup = enroller.begin(USER, account_name="sara", authenticator="tablet", proof=VOUCHED)
    hearing.new()
    enroller.confirm(
        USER,
        flow.phone(setup).code(),
        setup_id=setup.id,
        backup_acknowledged=True,
        context=CONTEXT,
    )
    tablet = hearing.working("tablet")
    assert hearing.new() == [
        hearing.event(
            events.AuthenticatorConfirmed, "confirm", tablet, backup="acknowledged", first=False
        )
    ]
    enroller.rename(USER, "tablet", "slate", context=CONTEXT)
    slate = ("slate", tablet[1])
    assert hearing.new() == [
        hearing.event(events.AuthenticatorRenamed, "rename", slate, old_name="tablet")
    ]
    enroller.disable(USER, proof=VOUCHED, authenticator="slate", context=CONTEXT)
    assert hearing.new()[1:] == [
        hearing.event(events.AuthenticatorRemoved, "disable", slate, actor="help desk")
    ]
    enroller.regenerate_recovery_codes(USER, proof=VOUCHED, context=CONTEXT)
    renewal = "regenerate_recovery_codes"
    assert hearing.new()[1:] == [
        hearing.event(events.RecoveryCodesIssued, renewal, actor="help desk", count=10)
    ]
    enroller.disable(USER, proof=VOUCHED, context=CONTEXT)
    assert hearing.new()[1:] == [
        hearing.event(events.EnrollmentDisabled, "disable", actor="help desk", names=("default",))
    ]
    enroller.erase(USER, proof=VOUCHED, context=CONTEXT)
    assert hearing.new() == [
        hearing.event(
            events.OverrideUsed, "erase", actor="help desk", verb="erase", reason=VOUCHED.reason
        ),
        hearing.event(events.EnrollmentErased, "erase", actor="help desk"),
    ]


@pytest.mark.requirement("R-69", "R-94")
def test_events_of_guesses_tell_all_that_is_known(flow: Any, hearing: Hearing) -> None:
    """Right, wrong, spent and waiting codes of both kinds tell their kind, and a lock is told."""
    phone, confirmation = flow.enroll()
    codes = list(confirmation.recovery_codes)
    one = hearing.working()

    def ask(code: str, *expected: events.Event) -> None:
        hearing.new()
        with suppress(errors.EnrollmentError):
            flow.enroller.verify(USER, code, purpose="withdraw", context=CONTEXT)
        assert hearing.new() == list(expected)

    def told(kind: Any, about: tuple[str, str] | None = None, **details: Any) -> events.Event:
        return hearing.event(kind, "withdraw", about, **details)

    right = phone.code()
    ask(right, told(events.CodeVerified, one))
    ask(right, told(events.CodeReused, one, method="code"))
    for left in range(9, 2, -1):
        ask(codes[left], told(events.RecoveryCodeUsed, left=left))
    ask(codes[9], told(events.CodeReused, method="recovery_code"))
    for left in (2, 1, 0):
        low = told(events.RecoveryCodesLow, left=left)
        ask(codes[left], told(events.RecoveryCodeUsed, left=left), low)
    for _ in range(5):
        ask("0" * 24, told(events.CodeRejected, method="recovery_code"))
    until = flow.enroller.status(USER).recovery_retry_at
    ask("0" * 24, told(events.Throttled, method="recovery_code", retry_at=until))
    wrong = wrong_for(phone)
    for _ in range(5):
        ask(wrong, told(events.CodeRejected, method="code"))
    until = flow.enroller.status(USER).retry_at
    ask(wrong, told(events.Throttled, method="code", retry_at=until))


@pytest.mark.requirement("R-69", "R-94")
def test_events_of_a_siege_tell_the_warning_and_the_lock(make_flow: Any) -> None:
    """The policy's count of failures is told once, then the lock, and then guesses against it."""
    limits = AttemptBudget(
        free_attempts=10, lock_after=10, lock_after_in_30_days=10, warn_after_in_30_days=9
    )
    flow = make_flow(policy=Policy(budget=limits))
    hearing = Hearing(flow)
    phone, _ = flow.enroll()
    another = flow.add("tablet", VOUCHED)
    one, tablet = hearing.working(), hearing.working("tablet")
    rejected = hearing.event(events.CodeRejected, "login", method="code")
    expected = [
        *([rejected] for _ in range(8)),
        [rejected, hearing.event(events.ManyFailures, "login", failures=9)],
        [rejected, hearing.event(events.Locked, "login")],
        [hearing.event(events.Throttled, "login", method="code", retry_at=None)],
    ]
    wrong = wrong_for(phone, another)
    for told in expected:
        hearing.new()
        with pytest.raises(errors.EnrollmentError):
            flow.enroller.verify(USER, wrong, context=CONTEXT)
        assert hearing.new() == told
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED, authenticator="default")
    new = hearing.staged()
    hearing.new()
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id, context=CONTEXT)
    assert hearing.new() == [
        hearing.event(events.AuthenticatorConfirmed, "confirm", new, backup="none", first=False),
        hearing.event(events.AuthenticatorRemoved, "confirm", tablet),
        hearing.event(events.AuthenticatorReplaced, "confirm", new, replaced_id=one[1]),
    ]
