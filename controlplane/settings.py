"""Django's settings; the only reader of the environment."""

from pathlib import Path

import dj_database_url

from controlplane.environment import env_flag, env_number, env_secret, env_text
from controlplane.lib.clock import GridClock

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
VAR_DIR = Path(env_text("TIAODU_VAR", str(BASE_DIR / "var")))
FIXTURES_DIR = BASE_DIR / "fixtures"

# --- what this process is -------------------------------------------------------------------
DEMO = env_flag("TIAODU_DEMO")
DEBUG = env_flag("TIAODU_DEBUG")
SECRET_KEY = env_secret("TIAODU_SECRET_KEY", "insecure-development-key" if DEBUG else "")
if not SECRET_KEY:
    # commands that serve nobody (tests, checks) may run without; `deploy` checks refuse it
    SECRET_KEY = "unset-secret-key-for-commands-that-serve-nobody"  # noqa: S105
ALLOWED_HOSTS = env_text("TIAODU_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],testserver").split(",")
CSRF_TRUSTED_ORIGINS = [url for url in env_text("TIAODU_TRUSTED_ORIGINS").split(",") if url]
ROOT_URLCONF = "controlplane.urls"
ASGI_APPLICATION = "controlplane.asgi.application"

# --- grid time ------------------------------------------------------------------------------
GRID_CLOCK = GridClock(
    anchor_real_s=env_number("TIAODU_CLOCK_ANCHOR_REAL", 0.0),
    anchor_grid_s=env_number("TIAODU_CLOCK_ANCHOR_GRID", 0.0),
    rate=env_number("TIAODU_CLOCK_RATE", 1.0),
)
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True
LANGUAGE_CODE = "en"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
USE_I18N = True

# --- apps -----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "controlplane.apps.ControlPlaneConfig",
    "controlplane.auth.apps.GridAuthConfig",
    "monitoring",
    "forecasting",
    "scheduling",
    "dash_app",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "controlplane.outage.OutageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- stores ---------------------------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        env_text("DATABASE_URL", "postgres://tiaodu@127.0.0.1:5432/tiaodu")
    )
}
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    "connect_timeout": 2,
    "application_name": "tiaodu",
    # statements whose values travel apart, those of telemetry, are planned once a connection
    "prepare_threshold": 5,
    "options": "-c lock_timeout=5s -c idle_in_transaction_session_timeout=60s",
}
if env_flag("TIAODU_DB_POOL"):
    # a page asks several small questions at once: reconnecting would cost more than they do
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": 12,
        "timeout": 2,
        # else a pool that found the database away rests longer and longer when it is back
        "reconnect_timeout": 1,
    }
    # a page or a push that takes this long helps nobody, and holds a connection
    DATABASES["default"]["OPTIONS"]["options"] += " -c statement_timeout=15s"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env_text("REDIS_URL")
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": "tiaodu"},
        }
    }
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 1},
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- people and security --------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/grid/"
LOGOUT_REDIRECT_URL = "/login/"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_COOKIES = env_flag("TIAODU_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_COOKIES else 0
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# --- API ------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "controlplane.auth.authentication.ProviderKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["controlplane.auth.permissions.MayViewGrid"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["controlplane.lib.bodies.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "controlplane.lib.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tiaodu",
    "DESCRIPTION": "Observe, forecast, plan, agree on and dispatch the load of a compute grid.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["controlplane.auth.permissions.MayViewGrid"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

# --- background work ------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "memory://"

# --- files ----------------------------------------------------------------------------------
STATIC_URL = "/static/"
# without collected files, whitenoise finds them in the packages
STATIC_ROOT = VAR_DIR / "static" if (VAR_DIR / "static").is_dir() else None
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600

# --- the grid -------------------------------------------------------------------------------
SUPERVISOR_STATUS = env_text("TIAODU_SUPERVISOR_STATUS")
ENGINE_TOKEN = env_secret("TIAODU_ENGINE_TOKEN")
DEMO_PASSWORD = env_secret("TIAODU_DEMO_PASSWORD")
PLAN_INTERVAL_S = env_number("TIAODU_PLAN_INTERVAL_S", 3600.0)
PLAN_RISK_QUANTILE = env_number("TIAODU_PLAN_RISK_QUANTILE", 0.9)
DECISION_WINDOW_S = env_number("TIAODU_DECISION_WINDOW_S", 900.0)
REQUIRE_DURABLE = env_flag("TIAODU_REQUIRE_DURABLE", default=True)
METRICS_DIR = env_text("PROMETHEUS_MULTIPROC_DIR")
METRICS_ADDRESSES = env_text("TIAODU_METRICS_ADDRESSES", "127.0.0.1,::1").split(",")
WATCH_FLUSH_S = env_number("TIAODU_WATCH_FLUSH_S", 5.0)
INGEST_AT_ONCE = env_number("TIAODU_INGEST_AT_ONCE", 4.0)
RETENTION_DAYS = env_number("TIAODU_RETENTION_DAYS", 90.0)
EXTERNAL_URL = env_text("TIAODU_WEB_URL", "http://localhost:8000").rstrip("/")
WEBHOOK_PORTS = [int(port) for port in env_text("TIAODU_WEBHOOK_PORTS", "80,443,8443").split(",")]
WEBHOOK_TRUSTED_TARGETS = [
    pair for pair in env_text("TIAODU_WEBHOOK_TRUSTED_TARGETS").split(",") if pair
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "controlplane.lib.logs.KeyValueFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env_text("TIAODU_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
    },
}
