"""Django's commands for this project: ``python examples/django_app/manage.py check``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app.settings")
    execute_from_command_line(sys.argv)
