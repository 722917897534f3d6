"""Where a server is, read from a URL or from parts, and shown without its password."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from omniq_flow.errors import BadUrl
from omniq_flow.wire.names import check_number

TLS_BY_SCHEME = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
SCHEMES = "redis://, rediss://, valkey://, valkeys:// or unix://"
DEFAULT_PORT = 6379
HIGHEST_DB = 65_535

_HOST = re.compile(r"(\[[0-9a-fA-F:.]*\]|[^:/?#\[\]]*)(:\d+)?(/\d*)?(?![^?#])")
_SOCKET = re.compile(r"/[^?#]*")


@dataclass(frozen=True)
class Address:
    """One server and the login for it; `str()` of it never holds the password."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    tls_options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Refuse ports and databases that cannot be."""
        check_number(self.port, "port", 1, 65_535)
        check_number(self.db, "database", 0, HIGHEST_DB)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}" + (f"?db={self.db}" if self.db else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.db}"


def parse_address(url: str) -> Address:
    """Read a server's URL.

    `redis://[[user]:password@]host[:port][/db]`, `valkey://` likewise, `rediss://` and `valkeys://` over TLS,
    `unix://[[user]:password@]/path/to/socket[?db=N]`. Options: `db`, `username`, `password`, and for TLS `ssl_ca_certs`, `ssl_certfile`,
    `ssl_keyfile`, `ssl_cert_reqs` (required, optional or none), `ssl_check_hostname` (true or false). Anything else raises BadUrl, whose
    message never shows a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except (AttributeError, TypeError, ValueError):
        # The parser's own words quote what it could not read, which may be a piece of a password.
        raise BadUrl(
            f"cannot read the URL {redacted(url)}: expected {SCHEMES}, then [user:password@]host[:port][/db]; "
            "write special characters in a password percent-encoded (/ as %2F, @ as %40, # as %23)"
        ) from None
    if parts.scheme not in {*TLS_BY_SCHEME, "unix"}:
        raise BadUrl(f"the URL {redacted(url)} must begin with {SCHEMES}")
    if parts.fragment or "@" in parts.query:
        # What looks like options or a fragment may be the rest of a password, so none of it is shown.
        raise BadUrl(f"the URL {redacted(url)} holds a '#' or '?' before an '@': in a password, write # as %23, ? as %3F and @ as %40")
    if parts.scheme == "unix":
        return _unix(parts, url)
    tls = TLS_BY_SCHEME[parts.scheme]
    options = _options(parts, url, tls=tls)
    return Address(
        host=unquote(parts.hostname or "localhost"),
        port=DEFAULT_PORT if port is None else _in_url("port", port, 1, 65_535, url),
        db=_path_db(parts, options, url),
        username=_login(parts.username, options, "username"),
        password=_login(parts.password, options, "password"),
        tls=tls,
        tls_options=tuple(sorted(options.items())),
    )


def redacted(url: object) -> str:
    """Return `url` fit for a message: no login, no options, and nothing that could be a piece of a password written without its host."""
    if not isinstance(url, str):
        return f"<{type(url).__name__}>"
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "(no scheme)"
    login, _, place = rest.rpartition("@")
    found = (_SOCKET if scheme == "unix" else _HOST).match(place)
    clear = found.group() if found else ""
    cut = "" if place[len(clear) :].startswith(("?", "#")) or clear == place else "..."
    return f"{scheme}://{'***@' if login else ''}{clear}{cut}"


def _unix(parts: SplitResult, url: str) -> Address:
    _, _, host = parts.netloc.rpartition("@")
    if host or not parts.path.startswith("/"):
        raise BadUrl(f"the URL {redacted(url)} needs an absolute path: unix:///path/to/socket, with three slashes")
    options = _options(parts, url, tls=False)
    return Address(
        path=unquote(parts.path),
        db=int(options.pop("db", 0)),
        username=_login(parts.username, options, "username"),
        password=_login(parts.password, options, "password"),
    )


def _path_db(parts: SplitResult, options: dict[str, Any], url: str) -> int:
    text = unquote(parts.path).strip("/")
    chosen = int(options.pop("db", 0))
    if not text:
        return chosen
    if not (text.isascii() and text.isdigit()):
        raise BadUrl(f"the URL {redacted(url)} must end with a database number, as in /0")
    return _in_url("database", int(text), 0, HIGHEST_DB, url)


def _login(given: str | None, options: dict[str, Any], name: str) -> str | None:
    other = options.pop(name, None)
    return unquote(given) if given else other


def _in_url(what: str, number: int, low: int, high: int, url: str) -> int:
    if not low <= number <= high:
        raise BadUrl(f"the {what} in the URL {redacted(url)} must be {low} to {high}, not {number}")
    return number


def _switch(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]


def _demand(text: str) -> str:
    return {"required": "required", "optional": "optional", "none": "none"}[text.lower()]


def _db(text: str) -> int:
    number = int(text)
    if not 0 <= number <= HIGHEST_DB:
        raise ValueError
    return number


_ANY_OPTIONS: dict[str, Callable[[str], Any]] = {"db": _db, "username": str, "password": str}
_TLS_OPTIONS: dict[str, Callable[[str], Any]] = {
    "ssl_ca_certs": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_cert_reqs": _demand,
    "ssl_check_hostname": _switch,
}


def _options(parts: SplitResult, url: str, *, tls: bool) -> dict[str, Any]:
    readers = _ANY_OPTIONS | (_TLS_OPTIONS if tls else {})
    options: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in readers:
            hint = "; the ssl_ options need rediss:// or valkeys://" if name in _TLS_OPTIONS else ""
            raise BadUrl(f"the URL {redacted(url)} has an unknown option {name!r}; known are {', '.join(readers)}{hint}")
        try:
            options[name] = readers[name](text)
        except (KeyError, ValueError):
            raise BadUrl(f"the option {name!r} of the URL {redacted(url)} has a value that cannot be used") from None
    return options
