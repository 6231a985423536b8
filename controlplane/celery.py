"""Celery's application of the workers.

Every loop finds its work in the database; the schedule only gives time. A tick that was lost, or
that came twice, changes nothing but the moment at which the work is found.
"""

import os

from celery import Celery

from controlplane.schedule import celery_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

app = Celery("tiaodu")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(celery_settings())
app.autodiscover_tasks(["monitoring", "forecasting", "scheduling"])
