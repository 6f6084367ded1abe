"""The requests that are set against each other: each verb, with each kind of code and proof."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from otp_enroll import AsyncEnroller, StoredEnrollment
from otp_enroll.core.secret import SetupId
from proof.interleavings.starts import NOW, VOUCHED, Start, code_of
from proof.interleavings.world import ACCOUNT, USER, Call, drawn

Asking = Coroutine[Call, Any, Any]
Maker = Callable[[AsyncEnroller, Start, int], Asking]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        name: What a trace calls it.
        verb: The method.
        make: Calls it; the number is the request's place, which is the stream of its randomness.
        code: The name of the code that it types, if it types one.
        proof: ``"code"``, ``"verification"``, ``"override"``, or nothing.
        where: In which starts it says something that another request does not.
        own: It confirms the setup that the request before it, of the same user, began.
    """

    name: str
    verb: str
    make: Maker
    code: str | None = None
    proof: str | None = None
    where: Callable[[Start], bool] = lambda _start: True
    own: bool = False

    def typed(self, start: Start, place: int) -> str | None:
        """Return the text of the code that it types."""
        if self.own:
            return code_of(own_secret(place - 1), NOW)
        return None if self.code is None else start.codes[self.code].replace("-", "")

    def setup_id(self, start: Start, place: int) -> str:
        """Return the setup id that it names, if it names one."""
        return own_setup_id(place - 1) if self.own else start.setup_id


def own_setup_id(place: int) -> str:
    """Return the setup id that a begin at this place draws."""
    return SetupId.from_bytes(drawn(place, 0, 32)).text


def own_secret(place: int) -> bytes:
    """Return the secret that a begin at this place draws."""
    return drawn(place, 2, 20)


def _confirmed(start: Start) -> bool:
    return start.row is not None and start.row.state == "confirmed"


def _has_setup(start: Start) -> bool:
    return start.row is not None and start.row.setup_expires_at is not None


def _has_two(start: Start) -> bool:
    return _confirmed(start) and start.codes["tablet"] != start.codes["now"]


def _has_spent(start: Start) -> bool:
    row: StoredEnrollment | None = start.row
    return row is not None and '"spent":"0' in row.document and "1" in _spent(row)


def _spent(row: StoredEnrollment) -> str:
    return row.document.partition('"spent":"')[2].partition('"')[0]


def _nowhere(_start: Start) -> bool:
    return False


def _begin(proof: str | None, code: str | None = None) -> Maker:
    def make(enroller: AsyncEnroller, start: Start, _place: int) -> Asking:
        shown = _shown(start, proof, code)
        return enroller.begin(USER, account_name=ACCOUNT, authenticator=_named(start), proof=shown)

    return make


def _named(start: Start) -> str | None:
    return "default" if _has_two(start) else None


def _shown(start: Start, proof: str | None, code: str | None) -> Any:
    if proof == "code":
        return start.codes[code or ""]
    return {"override": VOUCHED, "verification": start.verification}.get(proof or "")


def _disable(proof: str | None, code: str | None = None, name: str | None = None) -> Maker:
    def make(enroller: AsyncEnroller, start: Start, _place: int) -> Asking:
        return enroller.disable(USER, proof=_shown(start, proof, code), authenticator=name)

    return make


def _regenerate(proof: str | None, code: str | None = None) -> Maker:
    def make(enroller: AsyncEnroller, start: Start, _place: int) -> Asking:
        return enroller.regenerate_recovery_codes(USER, proof=_shown(start, proof, code))

    return make


def _verify(code: str) -> Maker:
    return lambda enroller, start, _place: enroller.verify(USER, start.codes[code])


def _confirm(code: str) -> Maker:
    return lambda enroller, start, _place: enroller.confirm(
        USER, start.codes[code], setup_id=start.setup_id
    )


def _confirm_own(enroller: AsyncEnroller, _start: Start, place: int) -> Asking:
    code = code_of(own_secret(place - 1), NOW)
    return enroller.confirm(USER, code, setup_id=own_setup_id(place - 1))


def _check(key: Callable[[Start], str]) -> Maker:
    return lambda enroller, start, _place: enroller.check_key_copy(
        USER, key(start), setup_id=start.setup_id
    )


def _rename(old: str, new: str) -> Maker:
    return lambda enroller, _start, _place: enroller.rename(USER, old, new)


_BASE: Final = (
    Asked("begin", "begin", _begin(None)),
    Asked("begin/now", "begin", _begin("code", "now"), "now", "code"),
    Asked("begin/override", "begin", _begin("override"), None, "override"),
    Asked("resume", "resume", lambda e, s, _: e.resume(USER, setup_id=s.setup_id)),
    Asked("confirm/staged", "confirm", _confirm("staged"), "staged"),
    Asked("confirm/wrong", "confirm", _confirm("wrong"), "wrong"),
    Asked("cancel", "cancel", lambda e, s, _: e.cancel(USER, setup_id=s.setup_id)),
    Asked("check_key_copy", "check_key_copy", _check(lambda start: start.key)),
    Asked("verify/now", "verify", _verify("now"), "now"),
    Asked("verify/wrong", "verify", _verify("wrong"), "wrong"),
    Asked("verify/recovery", "verify", _verify("recovery"), "recovery"),
    Asked("disable/now", "disable", _disable("code", "now"), "now", "code"),
    Asked("disable/override", "disable", _disable("override"), None, "override"),
    Asked("regenerate/now", "regenerate_recovery_codes", _regenerate("code", "now"), "now", "code"),
    Asked("rename", "rename", _rename("default", "phone")),
    Asked("erase", "erase", lambda e, s, _: e.erase(USER, proof=VOUCHED), None, "override"),
    Asked("status", "status", lambda e, s, _: e.status(USER)),
    Asked("purge", "purge_expired", lambda e, s, _: e.purge_expired()),
    Asked("reseal", "reseal", lambda e, s, _: e.reseal()),
)

_MORE: Final = (
    Asked("verify/next", "verify", _verify("next"), "next", where=_confirmed),
    Asked("verify/used", "verify", _verify("used"), "used", where=_confirmed),
    Asked("verify/recovery 2", "verify", _verify("recovery 2"), "recovery 2", where=_confirmed),
    Asked(
        "verify/recovery used", "verify", _verify("recovery used"), "recovery used",
        where=_has_spent,
    ),
    Asked(
        "verify/recovery wrong", "verify", _verify("recovery wrong"), "recovery wrong",
        where=_confirmed,
    ),
    Asked("verify/tablet", "verify", _verify("tablet"), "tablet", where=_has_two),
    Asked(
        "verify/staged", "verify", _verify("staged"), "staged",
        where=lambda start: _confirmed(start) and _has_setup(start),
    ),
    Asked("begin/next", "begin", _begin("code", "next"), "next", "code", _confirmed),
    Asked(
        "begin/recovery", "begin", _begin("code", "recovery"), "recovery", "code", _confirmed
    ),
    Asked("disable/none", "disable", _disable(None), where=_confirmed),
    Asked("disable/next", "disable", _disable("code", "next"), "next", "code", _confirmed),
    Asked(
        "disable/recovery", "disable", _disable("code", "recovery"), "recovery", "code",
        _confirmed,
    ),
    Asked(
        "disable/verification", "disable", _disable("verification"), None, "verification",
        _confirmed,
    ),
    Asked(
        "disable/one", "disable", _disable("override", None, "default"), None, "override",
        _has_two,
    ),
    Asked(
        "regenerate/none", "regenerate_recovery_codes", _regenerate(None), where=_confirmed
    ),
    Asked(
        "regenerate/next", "regenerate_recovery_codes", _regenerate("code", "next"), "next",
        "code", _confirmed,
    ),
    Asked(
        "regenerate/override", "regenerate_recovery_codes", _regenerate("override"), None,
        "override", _confirmed,
    ),
    Asked("confirm/next", "confirm", _confirm("staged next"), "staged next", where=_has_setup),
    Asked("confirm/skewed", "confirm", _confirm("skewed"), "skewed", where=_has_setup),
    Asked(
        "check_key_copy/wrong", "check_key_copy", _check(lambda start: "B" * 32),
        where=_has_setup,
    ),
    Asked("confirm/own", "confirm", _confirm_own, where=_nowhere, own=True),
)  # fmt: skip

REQUESTS: Final[Mapping[str, Asked]] = {one.name: one for one in (*_BASE, *_MORE)}
BASE: Final = tuple(one.name for one in _BASE)
"""Every verb, with a right code and a wrong one: these are set against each other everywhere."""


def requests_for(start: Start) -> tuple[str, ...]:
    """Return every request that says something of its own in this start."""
    return tuple(one.name for one in REQUESTS.values() if one.where(start))
