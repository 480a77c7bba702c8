"""Files of ours, and htmx from its wheel; nothing ever comes from another server."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from litestar import Response, get
from litestar.exceptions import NotFoundException

from services.ui.pages.rendering import PageRequest, PathId

TYPES = {
    "dormice.css": "text/css",
    "live.js": "text/javascript",
    "live-worker.js": "text/javascript",
    "page.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "favicon.svg": "image/svg+xml",
}
HTMX = "htmx.min.js"


@get("/static/{name:str}", include_in_schema=False, sync_to_thread=False)
def static_file(request: PageRequest, name: PathId) -> Response[bytes]:
    """Return a file that every page uses; a browser asks whether it is still the same."""
    if name not in TYPES:
        raise NotFoundException
    data, tag = _file(name)
    headers = {"Cache-Control": "no-cache", "ETag": tag, "X-Content-Type-Options": "nosniff"}
    if request.headers.get("if-none-match") == tag:
        return Response(b"", status_code=304, headers=headers)
    return Response(data, media_type=TYPES[name], headers=headers)


@cache
def _file(name: str) -> tuple[bytes, str]:
    """Without Django: the wheel is only a folder that holds htmx."""
    htmx = files("js_lib_htmx") / "static" / "htmx"
    folder = htmx if name == HTMX else files("services.ui") / "static"
    data = (folder / name).read_bytes()
    return data, f'"{sha256(data).hexdigest()[:16]}"'
