"""Which view answers what: a change is a POST, and pages are for the signed-in, save a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles.views import serve
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import path
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import RedirectView

from django_app import help_desk, refusals, security, sign_in
from django_app.web import visit

View = Callable[[Any], HttpResponse]
anyone = login_not_required


def by_method(**answers: View) -> View:
    """Answer each method by a view of its own: a link or an image can send no POST."""

    @sensitive_post_parameters()  # Django's reports of failures show neither code nor password
    def view(request: HttpRequest) -> HttpResponse:
        method = "GET" if request.method == "HEAD" else request.method or ""
        if method in answers:
            return answers[method](request)
        page = visit(request).refused("missing", 405)
        return HttpResponseNotAllowed(list(answers), page.html)

    return view


urlpatterns = [
    path("", anyone(by_method(GET=sign_in.start))),
    path("sign-in", anyone(by_method(GET=sign_in.ask_password, POST=sign_in.check_password))),
    path("sign-in/code", anyone(by_method(GET=sign_in.ask_code, POST=sign_in.check_code))),
    path("sign-out", anyone(by_method(POST=sign_in.sign_out))),
    path("language", anyone(by_method(POST=sign_in.choose_language))),
    path("security", by_method(GET=security.show_state)),
    path("security/recovered", by_method(GET=sign_in.ask_for_phone)),
    path("security/begin", by_method(POST=security.begin)),
    path("security/setup", by_method(GET=security.show_setup)),
    path("security/setup/sheet", by_method(POST=security.show_sheet)),
    path("security/setup/check", by_method(POST=security.check_copy)),
    path("security/setup/confirm", by_method(POST=security.confirm)),
    path("security/setup/cancel", by_method(POST=security.cancel)),
    path("security/recovery-codes", by_method(POST=security.renew_codes)),
    path("security/disable", by_method(POST=security.disable)),
    path("security/rename", by_method(POST=security.rename)),
    path("help-desk", by_method(GET=help_desk.show_desk)),
    path("help-desk/recovery-codes", by_method(POST=help_desk.desk_codes)),
    path("help-desk/disable", by_method(POST=help_desk.desk_disable)),
    # The admin's own sign-in asks for no code: it would be a way around the second factor.
    path("admin/login/", anyone(RedirectView.as_view(url="/sign-in"))),
    path("admin/", admin.site.urls),
    # For one person at a desk; elsewhere the web server in front, or WhiteNoise, sends files.
    path("static/<path:path>", anyone(serve), {"insecure": True}),
]

handler400 = refusals.bad_request
handler403 = refusals.forbidden
handler404 = refusals.missing
handler500 = refusals.broken
