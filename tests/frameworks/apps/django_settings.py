"""Django without a database; both sites of it share this."""

from __future__ import annotations

import django
from django.conf import settings


def configure(*, urls):
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
        USE_TZ=True,
    )
    django.setup()
