"""Serves the control room's own styles, scripts and map, by name and with a hash in the address.

They hold no data of the grid and the login page needs some of them, so they need no login.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

ASSETS_DIR = Path(__file__).resolve().parent / "assets"
MAP_NAME = "provinces.geojson"
# plotly.js always asks for a world map; ours is empty, since only our own provinces are drawn
TOPOJSON_URL = "/grid/assets/topo/"
_SERVED = {".css", ".js", ".svg", ".json"}
YEAR_S = 31_536_000


@dataclass(frozen=True)
class Asset:
    """One file as it goes over the wire.

    Attributes:
        plain: its bytes.
        compressed: the same, gzip.
        digest: eight hexadecimal digits of its hash, for its address.
        mimetype: its media type.
    """

    plain: bytes
    compressed: bytes
    digest: str
    mimetype: str


def asset_url(name: str) -> str:
    """Return the address of an asset; it changes with the content, so browsers may keep it.

    Raises:
        KeyError: there is no such asset.
    """
    return f"/grid/assets/{name}?v={_known_assets()[name].digest}"


@require_safe
def serve_asset(request: HttpRequest, name: str) -> HttpResponse:
    """Answer with one asset."""
    asset = _known_assets().get(name.rpartition("/")[2])
    if asset is None:
        raise Http404
    response = HttpResponse(content_type=asset.mimetype)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.content = asset.compressed
        response["Content-Encoding"] = "gzip"
    else:
        response.content = asset.plain
    patch_vary_headers(response, ["Accept-Encoding"])
    may_keep = request.GET.get("v") == asset.digest
    response["Cache-Control"] = f"public, max-age={YEAR_S}, immutable" if may_keep else "no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _known_assets() -> dict[str, Asset]:
    # while developing, files change under a running server
    return _read_assets() if settings.DEBUG else _read_assets_once()


@lru_cache(maxsize=1)
def _read_assets_once() -> dict[str, Asset]:
    return _read_assets()


def _read_assets() -> dict[str, Asset]:
    files = {file.name: file for file in ASSETS_DIR.iterdir() if file.suffix in _SERVED}
    files[MAP_NAME] = settings.FIXTURES_DIR / "china" / MAP_NAME
    return {name: _read_asset(file) for name, file in files.items()}


def _read_asset(file: Path) -> Asset:
    plain = file.read_bytes()
    kind = "application/geo+json" if file.suffix == ".geojson" else mimetypes.guess_type(file)[0]
    return Asset(
        plain=plain,
        compressed=gzip.compress(plain, 9, mtime=0),
        digest=hashlib.sha256(plain).hexdigest()[:8],
        mimetype=kind or "application/octet-stream",
    )
