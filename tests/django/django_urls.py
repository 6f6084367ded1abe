"""The pages of the test project, and its enroller."""

from __future__ import annotations

from django.contrib import admin
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django_site import USER, make_enroller

from otp_enroll.errors import EnrollmentError

enroller = make_enroller()


def login(request: HttpRequest) -> HttpResponse:
    """Judge a code, after what the request asks for, and fail if the code is refused."""
    with connection.cursor() as cursor:
        if "writes" in request.POST:
            cursor.execute("INSERT INTO note VALUES ('written before')")
        if "reads" in request.POST:
            cursor.execute("SELECT * FROM note")
    try:
        enroller.verify(USER, request.POST["code"])
    except EnrollmentError as refusal:
        # Rolls a transaction of the request back, as an exception would, and answers.
        connection.set_rollback(True)
        return HttpResponse(type(refusal).__name__)
    if "writes_later" in request.POST:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO note VALUES ('written after')")
    if "fails" in request.POST:
        raise ValueError("a bug in the view")
    return HttpResponse("accepted")


@transaction.non_atomic_requests
def login_without_a_transaction(request: HttpRequest) -> HttpResponse:
    """Do the same where each statement commits by itself."""
    return login(request)


urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", login),
    path("non-atomic-login/", login_without_a_transaction),
]
