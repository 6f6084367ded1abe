"""Begin, resume, cancel and the check of a key copy, alone and beside a working authenticator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, Make
from otp_enroll import Policy, errors
from otp_enroll.core.setup_verbs import Begin
from otp_enroll.core.states import Disabled, setup_of
from otp_enroll.core.verb import World
from otp_enroll.storage import codec


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


@pytest.mark.requirement("R-03")
def test_secrets_are_never_made_twice(flow: Any) -> None:
    """Ten thousand setups have ten thousand secrets and ids, also of one account."""
    setups = [flow.enroller.begin(USER, account_name="sara") for _ in range(5_000)]
    setups += [flow.enroller.begin(f"user-{n}", account_name="sara") for n in range(5_000)]
    assert len({setup.key for setup in setups}) == 10_000
    assert len({setup.id for setup in setups}) == 10_000


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


def test_transition_without_its_random_material_is_a_mistake(flow: Any) -> None:
    """The pure core makes up nothing: begin without a fresh secret is a TypeError."""
    world = World(now=0, changed_at=0, policy=Policy(), issuer="Exir")
    with pytest.raises(TypeError, match="FreshSetup"):
        Begin(user_id=USER, account_name="sara").decide(Disabled(), world)


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


def test_checking_a_copy_counts_nothing(flow: Any) -> None:
    """A hundred wrong copies write nothing and drop nothing."""
    setup = flow.enroller.begin(USER, account_name="sara")
    saves = flow.store.saves
    for _ in range(100):
        assert not flow.enroller.check_key_copy(USER, "AAAA", setup_id=setup.id).matches
    assert flow.store.saves == saves
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


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


@pytest.mark.requirement("R-77")
def test_further_authenticator_warns_of_overwriting(flow: Any) -> None:
    """A second authenticator has the first one's label, so scanning it on one phone is told of."""
    flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", authenticator="tablet", proof=VOUCHED)
    assert not setup.replaces
    assert [warning.code for warning in setup.warnings] == ["may_overwrite"]
