"""Enrollments in a Django project: put ``"otp_enroll.django"`` in ``INSTALLED_APPS``.

It brings a table with its migration, four stores, an admin page, two commands and system checks.
The stores need an alias of their own in ``DATABASES``: Django has one connection for each alias
and thread, and what a code has cost must outlast a view that rolls back.
"""

from otp_enroll.extras import name_missing_extra

try:
    import django
except ImportError as missing:
    raise name_missing_extra(__name__, "django") from missing
else:
    del django  # the modules of this room import from it
