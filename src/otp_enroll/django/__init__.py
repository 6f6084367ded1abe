"""Enrollments in a Django project: put ``"otp_enroll.django"`` in ``INSTALLED_APPS``."""

from otp_enroll.extras import name_missing_extra

try:
    import django
except ImportError as missing:
    raise name_missing_extra(__name__, "django") from missing
else:
    del django  # the modules of this room import from it
