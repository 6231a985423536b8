"""Celery's application of beat: it knows the tasks by name only, so it needs no Django.

Beat would otherwise hold every estimator and plotting library in memory to send six names.
"""

from celery import Celery

from controlplane.environment import env_text
from controlplane.schedule import celery_settings

app = Celery("tiaodu-beat", broker=env_text("REDIS_URL", "memory://"), set_as_current=False)
app.conf.update(celery_settings())
