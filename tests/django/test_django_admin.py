"""The admin page: no secret, no begin, and two acts that need permission, a reason and a POST."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

for folder in (Path(__file__).parent, Path(__file__).parent.parent):
    sys.path.insert(0, str(folder))  # for the modules beside this file

import django_urls  # noqa: E402
import pytest  # noqa: E402
from django.contrib.admin.models import LogEntry  # noqa: E402
from django.contrib.auth.models import Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django_site import ACCOUNT, CLOCK, USER, Site, enroll, kinds, make_enroller  # noqa: E402

from helpers.flows import wrong_for  # noqa: E402
from otp_enroll import errors, events  # noqa: E402
from otp_enroll.django.store import DjangoStore  # noqa: E402

pytest_plugins = ["django_servers"]
pytestmark = kinds("sqlite")

LIST = "/admin/otp_enroll/enrollment/"
ACTS = ("renew_recovery_codes", "switch_off")


@pytest.fixture(autouse=True)
def _tables(site: Site) -> None:
    call_command("migrate", verbosity=0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Listen to the enroller of the admin page."""
    found: list[Any] = []
    listening = make_enroller(on_event=found.append)
    monkeypatch.setattr(django_urls, "enroller", listening)
    return found


def staff(*permissions: str) -> Client:
    """Sign a member of staff in, who may do that much."""
    user = User.objects.create_user("desk", password="desk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, address: str = f"{USER}/change/") -> str:
    response = client.get(LIST + address)
    assert response.status_code == 200
    return response.content.decode()


def test_page_tells_how_an_account_stands(site: Site) -> None:
    """List and page tell state, authenticators, codes left, waits, a lock and a setup."""
    enroller = make_enroller()
    phone = enroll(enroller)
    enroller.begin(USER, account_name=ACCOUNT, proof=phone.code())
    client = staff("view_enrollment")
    shown = page(client)
    for fact in (
        "confirmed",
        "default: confirmed 2027-01-15 08:00:00 UTC, last used 2027-01-15 08:01:00 UTC",
        "recovery codes left: 10",
        "setup under way until 2027-01-15 08:16:00 UTC",
    ):
        assert fact in shown
    assert USER in page(client, "")
    assert USER in page(client, "?q=user-")
    assert USER not in page(client, "?q=42")


def test_page_tells_waits_and_locks(site: Site) -> None:
    """A help desk sees that codes wait, that recovery codes wait, and that codes are locked."""
    enroller = make_enroller()
    phone = enroll(enroller)
    client = staff("view_enrollment")
    for code in (wrong_for(phone), "AAAA-" * 5 + "AAAA"):
        for _ in range(5):
            with pytest.raises(errors.WrongCodeError):
                enroller.verify(USER, code)
    assert ">codes wait until 2027" in page(client)
    assert "recovery codes wait until 2027" in page(client)
    for _ in range(45):
        CLOCK.advance(3600)
        with pytest.raises(errors.WrongCodeError):
            enroller.verify(USER, wrong_for(phone))
    assert "codes are locked" in page(client)


@pytest.mark.requirement("R-78")
def test_no_page_has_a_secret(site: Site) -> None:
    """Neither the key, nor the sealed secret, nor the document is on any page."""
    enroller = make_enroller()
    setup = enroller.begin(USER, account_name=ACCOUNT)
    stored = DjangoStore().load(USER)
    assert stored is not None
    client = staff("view_enrollment", *ACTS)
    pages = [page(client), page(client, ""), *(page(client, f"{USER}/{act}/") for act in ACTS)]
    for shown in pages:
        for secret in (setup.key, setup.id, stored.revision, "schema", "sealed"):
            assert secret not in shown


@pytest.mark.requirement("R-103")
def test_damaged_row_is_shown_as_such(site: Site) -> None:
    """A row that cannot be read is shown as damaged, and an act on it is a 500."""
    enroll(make_enroller())
    site.sql("UPDATE otp_enrollment SET document = 'x'")
    client = staff("view_enrollment", *ACTS)
    assert "the stored record is damaged" in page(client)
    client.raise_request_exception = False
    answer = client.post(f"{LIST}{USER}/switch_off/", {"reason": "asked"})
    assert answer.status_code == 500
    assert LogEntry.objects.count() == 0


def test_account_that_never_changed(site: Site) -> None:
    """An account whose first setup is pending has no time of a change."""
    make_enroller().begin(USER, account_name=ACCOUNT)
    assert "1970" not in page(staff("view_enrollment"))


@pytest.mark.requirement("R-78")
def test_new_recovery_codes(site: Site, told: list[Any]) -> None:
    """The codes are in the answer to the POST, which nothing may keep, and only there."""
    phone = enroll(make_enroller())
    client = staff("view_enrollment", "renew_recovery_codes")
    address = f"{LIST}{USER}/renew_recovery_codes/"
    assert "no-store" in client.get(address)["Cache-Control"]
    answer = client.post(address, {"reason": "came to the desk"})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    codes = re.findall(r"<code>([^<]+)</code>", answer.content.decode())
    assert len(set(codes)) == 10
    assert codes[0] not in page(client)
    override = next(one for one in told if isinstance(one, events.OverrideUsed))
    assert (override.actor, override.reason) == ("desk", "came to the desk")
    assert LogEntry.objects.get().get_change_message().endswith("came to the desk")
    assert codes[0] not in str(list(LogEntry.objects.values()))
    enroller = make_enroller()
    assert enroller.verify(USER, codes[0]).recovery_codes_left == 9
    assert enroller.verify(USER, phone.code()).method == "code"


@pytest.mark.requirement("R-78")
def test_switch_off(site: Site, told: list[Any]) -> None:
    """The account is disabled, the page says so, and the log names who and why."""
    enroll(make_enroller())
    client = staff("view_enrollment", "switch_off")
    answer = client.post(f"{LIST}{USER}/switch_off/", {"reason": "lost everything"}, follow=True)
    assert "Switched one-time passwords off." in answer.content.decode()
    assert make_enroller().status(USER).state == "disabled"
    assert next(type(one).__name__ for one in told) == "OverrideUsed"
    assert LogEntry.objects.get().get_change_message().endswith("lost everything")


def test_act_on_an_account_without_otp(site: Site) -> None:
    """There is nothing to switch off on an account that is not confirmed, and the page says so."""
    make_enroller().begin(USER, account_name=ACCOUNT)
    client = staff("view_enrollment", *ACTS)
    for act in ACTS:
        answer = client.post(f"{LIST}{USER}/{act}/", {"reason": "asked"})
        assert "the account has no confirmed authenticator" in answer.content.decode()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("act", ACTS)
def test_act_needs_a_reason_and_a_post(site: Site, act: str) -> None:
    """A GET shows the form, and a POST without a reason shows it again; neither does anything."""
    enroll(make_enroller())
    before = DjangoStore().load(USER)
    client = staff("view_enrollment", *ACTS)
    assert "<form" in page(client, f"{USER}/{act}/?reason=asked")
    for reason in ("", "   ", "x" * 257):
        assert (
            "errorlist" in client.post(f"{LIST}{USER}/{act}/", {"reason": reason}).content.decode()
        )
    assert DjangoStore().load(USER) == before


@pytest.mark.parametrize("act", ACTS)
def test_act_needs_its_permission(site: Site, act: str) -> None:
    """Each act has a permission of its own; without it there is no link, and no page."""
    enroll(make_enroller())
    before = DjangoStore().load(USER)
    (other,) = {*ACTS} - {act}
    client = staff("view_enrollment", other)
    shown = page(client)
    assert f"{USER}/{other}/" in shown
    assert f"{USER}/{act}/" not in shown
    assert client.get(f"{LIST}{USER}/{act}/").status_code == 403
    assert client.post(f"{LIST}{USER}/{act}/", {"reason": "asked"}).status_code == 403
    assert DjangoStore().load(USER) == before


def test_act_needs_a_member_of_staff_and_a_token(site: Site) -> None:
    """A visitor is sent to the login, and a form of another site is refused."""
    enroll(make_enroller())
    address = f"{LIST}{USER}/switch_off/"
    assert "login" in Client().post(address, {"reason": "asked"})["Location"]
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(User.objects.create_superuser("root"))
    assert forged.post(address, {"reason": "asked"}).status_code == 403
    assert make_enroller().status(USER).required


def test_act_on_nobody(site: Site) -> None:
    """An act on an account without a row leads back to the list."""
    client = staff("view_enrollment", *ACTS)
    assert client.get(f"{LIST}nobody/switch_off/")["Location"] == LIST


def test_rows_cannot_be_changed_by_hand(site: Site) -> None:
    """Not even a superuser adds, edits or deletes a row, which would break the account."""
    enroll(make_enroller())
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{USER}/change/", {"state": "disabled"}).status_code == 403
    assert client.post(f"{LIST}{USER}/delete/", {"post": "yes"}).status_code == 403
    assert "_selected_action" not in page(client, "")


def test_odd_ids_have_pages(site: Site) -> None:
    """An id may have slashes, quotes and other letters, and its pages are found."""
    for user_id in ("a/b_c", 'سارا "x"', "http://x?y=1#z", "_2F"):
        enroll(make_enroller(), user_id)
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    links = re.findall(rf'href="({LIST}[^"?]+/change/[^"]*)"', page(client, ""))
    assert len(links) == 4
    for link in links:
        shown = client.get(link).content.decode()
        (address,) = re.findall(rf'href="({LIST}[^"]+/switch_off/)"', shown)
        assert client.post(address, {"reason": "asked"}).status_code == 302
    assert len(DjangoStore().user_ids(state="disabled")) == 4


def test_act_inside_a_transaction_of_the_request(site: Site) -> None:
    """With ATOMIC_REQUESTS the act and its log entry do not wait for each other."""
    site.set("default", ATOMIC_REQUESTS=True)
    enroll(make_enroller())
    client = staff("view_enrollment", *ACTS)
    answer = client.post(f"{LIST}{USER}/switch_off/", {"reason": "asked"})
    assert answer.status_code == 302
    assert LogEntry.objects.count() == 1
