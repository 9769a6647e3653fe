"""The page of the server: static files without external resources, which call the API as other clients do."""

from importlib.resources import files

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FILES = {
    "/": ("index.html", "text/html"),
    "/page/page.css": ("page.css", "text/css"),
    "/page/page.js": ("page.js", "text/javascript"),
    "/page/api.js": ("api.js", "text/javascript"),
    "/page/tokens.js": ("tokens.js", "text/javascript"),
}
"""File names and media types by path."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers of all files: the page runs its own scripts alone, and asks no other server."""


def page_routes() -> list[BaseRoute]:
    """The routes of the page and its files.

    Example:

    >>> from textrnn.server.page import page_routes
    >>> [route.path for route in page_routes()][:2]
    ['/', '/page/page.css']
    """
    return [_route(path, *file) for path, file in FILES.items()]


def _route(path, name, media_type):
    content = files(__name__).joinpath(name).read_bytes()

    async def answer(request):
        return Response(content, headers=HEADERS, media_type=media_type)

    return Route(path, answer)
