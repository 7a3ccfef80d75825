"""The settings of the shop; those of notifyflow may come from the environment, too."""

import os
from pathlib import Path

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only for trying it")
ALLOWED_HOSTS = ["127.0.0.1", "shop.example.com"]
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"

NOTIFYFLOW = {
    "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{Path.home() / 'pages.db'}",
    **{name: value for name, value in os.environ.items() if name.startswith("NOTIFYFLOW_")},
}
