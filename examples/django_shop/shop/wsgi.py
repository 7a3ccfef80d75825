"""What a WSGI server loads: it delivers for as long as it runs, and begins with what an earlier process left."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()

from shop.paging import flow  # noqa: E402 - the settings are loaded now

flow().start()
