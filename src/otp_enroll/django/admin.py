"""The admin page: the status of an account, and the two things that a help desk may do about it.

It shows no secret, begins nothing, and changes no row itself: both acts go through the enroller
by an ``Override`` that names the member of staff and the reason. Attackers ask the help desk
first, so nothing here enrols a phone for somebody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from django import forms
from otp_enroll.core.proofs import MAX_REASON, Override
from otp_enroll.core.status import Status
from otp_enroll.display.setup import RecoveryCodes
from otp_enroll.django.conf import get_enroller
from otp_enroll.django.models import Enrollment
from otp_enroll.enroller import Enroller
from otp_enroll.errors import FailureError, RefusalError

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Enrollment]
else:
    ModelAdmin = admin.ModelAdmin


class ReasonForm(forms.Form):
    """Why it is done; the audit trail needs it.

    The reason goes into the event and into the admin's own log, and people will read it there.
    """

    reason = forms.CharField(label=_("Reason"), max_length=MAX_REASON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that a help desk may do.

    Each has a permission of its own: who may hand out codes need not be able to switch off.

    Attributes:
        name: The end of its address, and of its permission.
        title: What the link and the page say.
        warning: What the page says before it is done.
        done: What the page, and the admin log, say after it.
        perform: Do it, and return the codes to show, if there are any.
    """

    name: str
    title: Any  # like the next two a lazy text, in the language of its reader
    warning: Any
    done: Any
    perform: Callable[[Enroller, str, Override], RecoveryCodes | None]


ACTS: Final = (
    Act(
        name="renew_recovery_codes",
        title=_("Make new recovery codes"),
        warning=_(
            "The user's present recovery codes stop working. Be sure who asks for them: anyone"
            " who has a code gets in without the phone."
        ),
        done=_("Made new recovery codes."),
        perform=lambda enroller, user_id, proof: enroller.regenerate_recovery_codes(
            user_id, proof=proof
        ),
    ),
    Act(
        name="switch_off",
        title=_("Switch one-time passwords off"),
        warning=_("From then on the password alone lets in the user, or anyone else who has it."),
        done=_("Switched one-time passwords off."),
        perform=lambda enroller, user_id, proof: enroller.disable(user_id, proof=proof),
    ),
)


@admin.register(Enrollment)
class EnrollmentAdmin(ModelAdmin):
    """Accounts, to look at.

    Django's own forms would write a row past the enroller: no revision compared, no event, no
    proof. So nothing can be added, changed or deleted here, whatever permissions somebody has.
    """

    list_display = ("user_id", "state", "changed")
    list_filter: ClassVar = ("state",)
    search_fields = ("user_id__startswith",)  # "contains" would read the whole table
    ordering = ("user_id",)
    fields = readonly_fields = ("user_id", "status", "changed")  # never ``document``
    change_form_template = "admin/otp_enroll/enrollment.html"

    @admin.display(description=_("changed"), ordering="changed_at")
    def changed(self, row: Enrollment) -> datetime | None:
        """Return when the account last changed, if it ever did."""
        at = row.changed_at
        return datetime.fromtimestamp(at, tz=timezone.utc) if at else None

    @admin.display(description=_("status"))
    def status(self, row: Enrollment) -> str:
        """Return what the enroller says of the account.

        A row that cannot be read is said to be one: the page must open, to switch it off.
        """
        try:
            return _describe(get_enroller().status(row.user_id))
        except FailureError as failure:
            return failure.message

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Enrollment | None = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Enrollment | None = None) -> bool:
        return False

    @override
    def get_urls(self) -> list[URLPattern]:
        # Before Django's own, whose last pattern takes every path for the id of an object.
        ours = [
            path(
                f"<path:object_id>/{act.name}/",
                self.admin_site.admin_view(self._page_of(act)),
                name=f"otp_enroll_enrollment_{act.name}",
            )
            for act in ACTS
        ]
        return [*ours, *super().get_urls()]

    @override
    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["acts"] = [act for act in ACTS if _may(request, act)]
        return super().render_change_form(request, context, *args, **kwargs)

    def _page_of(self, act: Act) -> Callable[[HttpRequest, str], HttpResponse]:
        """Make the view of one act: GET asks for the reason, and POST does it."""

        # The enroller commits on a connection of its own. A transaction of the request would
        # keep SQLite from logging the act after it, or from doing it after the log entry.
        @transaction.non_atomic_requests
        def page(request: HttpRequest, object_id: str) -> HttpResponse:
            # admin_view lets in every member of staff; the permission is checked here, and not
            # by the link on the page, which is merely not shown (CWE-862).
            if not (self.has_view_permission(request) and _may(request, act)):
                raise PermissionDenied
            row = self.get_object(request, unquote(object_id))
            if row is None:
                return self._to("changelist")
            return self._answer(request, row, act)

        return page

    def _answer(self, request: HttpRequest, row: Enrollment, act: Act) -> HttpResponse:
        """Ask for the reason, or do the act and say so.

        A refusal, or a failure, is shown beside the form, and nothing is logged as done.
        """
        form = ReasonForm(request.POST if request.method == "POST" else None)
        context = {
            **self.admin_site.each_context(request),
            "title": act.title,
            "opts": self.opts,
            "original": row,
            "act": act,
            "form": form,
        }
        if not form.is_valid():
            return TemplateResponse(request, "admin/otp_enroll/act.html", context)
        reason = form.cleaned_data["reason"]
        proof = Override(actor=request.user.get_username(), reason=reason)
        try:
            context["codes"] = act.perform(get_enroller(), row.user_id, proof)
        except RefusalError as refusal:  # a failure is for whoever runs the site, as a 500
            form.add_error(None, refusal.message)
            return TemplateResponse(request, "admin/otp_enroll/act.html", context)
        # After the act: a log of what was then refused would be worse than a lost line.
        self.log_change(request, row, f"{act.done} {reason}")
        if context["codes"] is not None:
            # In this answer alone: nothing keeps them, and admin_view forbids to store it.
            return TemplateResponse(request, "admin/otp_enroll/codes.html", context)
        self.message_user(request, str(act.done), messages.SUCCESS)
        return self._to("change", quote(row.user_id))

    def _to(self, page: str, *args: str) -> HttpResponseRedirect:
        site = self.admin_site.name
        return HttpResponseRedirect(
            reverse(f"admin:otp_enroll_enrollment_{page}", args=args, current_app=site)
        )


def _may(request: HttpRequest, act: Act) -> bool:
    return request.user.has_perm(f"otp_enroll.{act.name}")  # type: ignore[union-attr]  # staff


def _describe(status: Status) -> str:
    """Write a status in lines, with what a help desk is asked: since when, how many, how long."""
    facts: list[Any] = [status.state]
    for authenticator in status.authenticators:
        confirmed, used = _at(authenticator.confirmed_at), _at(authenticator.last_used_at)
        facts.append(f"{authenticator.name}: confirmed {confirmed}, last used {used}")
    if status.recovery_codes_left is not None:
        facts.append(f"recovery codes left: {status.recovery_codes_left}")
    if status.setup_expires_at is not None:
        facts.append(f"setup under way until {_at(status.setup_expires_at)}")
    if status.locked:
        facts.append("codes are locked until an authenticator is set up again")
    if status.retry_at is not None:
        facts.append(f"codes wait until {_at(status.retry_at)}")
    if status.recovery_retry_at is not None:
        facts.append(f"recovery codes wait until {_at(status.recovery_retry_at)}")
    return "\n".join(facts)


def _at(time: datetime | None) -> str:
    """Write a time in UTC, which the log and the events have too."""
    return "never" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"
