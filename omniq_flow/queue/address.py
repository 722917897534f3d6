"""Where a server is, read from a URL or from parts, and shown without its password."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from omniq_flow.errors import BadUrl
from omniq_flow.wire.names import check_number, shown

TLS_BY_SCHEME = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
SENTINEL = "+sentinel"
SCHEMES = "redis://, rediss://, valkey://, valkeys://, unix:// or redis+sentinel://"
DEFAULT_PORT = 6379
SENTINEL_PORT = 26_379
HIGHEST_DB = 65_535

_HOST_RULE = "a name has 1 to 63 characters between its dots"
_HOST = re.compile(r"(\[[0-9a-fA-F:.]*\]|[^:/?#\[\]]*)(:\d+)?(/\d*)?(?![^?#])")
_SOCKET = re.compile(r"/[^?#]*")
_MEMBER = r"(\[[0-9a-fA-F:.]+\]|[^:/?#\[\],]+)(?::(\d+))?"
_MEMBERS = re.compile(rf"{_MEMBER}(?:,{_MEMBER})*(?![^/?#])")
_FIRST_MEMBER = re.compile(rf"{_MEMBER}(?![^,/?#])")
_SERVICE = re.compile(r"/([A-Za-z0-9._-]+)(?:/(\d*))?")


@dataclass(frozen=True)
class Sentinels:
    """The Sentinels that know which server is the primary of a service, and the login for them."""

    members: tuple[tuple[str, int], ...]
    service: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return ",".join(f"{_bracketed(host)}:{port}" for host, port in self.members) + f"/{self.service}"


@dataclass(frozen=True)
class Address:
    """One server, or the Sentinels that know it, and the login for it; `str()` of it never holds a password."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    tls_options: tuple[tuple[str, Any], ...] = ()
    sentinels: Sentinels | None = None

    @property
    def secret(self) -> bool:
        """Whether a password belongs to it."""
        return bool(self.password or (self.sentinels and self.sentinels.password))

    def __post_init__(self) -> None:
        """Refuse hosts, ports and databases that cannot be."""
        if not _may_be_host(self.host):
            raise BadUrl(f"{shown(self.host)} is no host that can be looked up: {_HOST_RULE}")
        check_number(self.port, "port", 1, 65_535)
        check_number(self.db, "database", 0, HIGHEST_DB)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}" + (f"?db={self.db}" if self.db else "")
        scheme = "rediss" if self.tls else "redis"
        if self.sentinels is not None:
            return f"{scheme}{SENTINEL}://{self.sentinels}/{self.db}"
        return f"{scheme}://{_bracketed(self.host)}:{self.port}/{self.db}"


def parse_address(url: str) -> Address:
    """Read a server's URL.

    `redis://[[user]:password@]host[:port][/db]`, `valkey://` likewise, `rediss://` and `valkeys://` over TLS,
    `unix://[[user]:password@]/path/to/socket[?db=N]`. Options: `db`, `username`, `password`, and for TLS `ssl_ca_certs`, `ssl_certfile`,
    `ssl_keyfile`, `ssl_cert_reqs` (required, optional or none), `ssl_check_hostname` (true or false). Anything else raises BadUrl, whose
    message never shows a password.

    Under Sentinels: `redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/service[/db]`, `rediss+sentinel://` with TLS to all of
    them. The login is that of the servers; the Sentinels' own is given by the options `sentinel_username` and `sentinel_password`.
    """
    if SENTINEL in str(url).partition(":")[0]:
        return _under_sentinels(url.strip())
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
        host=_host_in_url(unquote(parts.hostname or "localhost"), url),
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
    found = (_SOCKET if scheme == "unix" else _FIRST_MEMBER if scheme.endswith(SENTINEL) else _HOST).match(place)
    clear = found.group() if found else ""
    cut = "" if place[len(clear) :].startswith(("?", "#")) or clear == place else "..."
    return f"{scheme}://{'***@' if login else ''}{clear}{cut}"


def _under_sentinels(url: str) -> Address:
    """Read a URL that urlsplit cannot: it takes one host only."""
    scheme, _, rest = url.partition("://")
    plain = scheme.lower().removesuffix(SENTINEL)
    login, _, place = rest.rpartition("@")
    found = _MEMBERS.match(place)
    if plain not in TLS_BY_SCHEME or found is None or re.search("[/?#]", login):
        raise BadUrl(
            f"cannot read the URL {redacted(url)}: expected redis{SENTINEL}:// or rediss{SENTINEL}://, "
            "then [user:password@]host[:port],host[:port]/service[/db]; "
            "write special characters in a password percent-encoded (/ as %2F, ? as %3F, @ as %40, # as %23)"
        )
    path, _, query = place[found.end() :].partition("?")
    named = _SERVICE.fullmatch(path)
    if named is None:
        raise BadUrl(
            f"the URL {redacted(url)} must name the service that the Sentinels watch, and may name a database: /mymaster or /mymaster/0"
        )
    tls = TLS_BY_SCHEME[plain]
    parts = SplitResult(plain, f"{login}@" if login else "", f"/{named[2] or ''}", query, "")
    options = _options(parts, url, tls=tls, more=_SENTINEL_OPTIONS)
    members = [
        (_host_in_url(_unbracketed(unquote(host)), url), _in_url("port", int(port), 1, 65_535, url) if port else SENTINEL_PORT)
        for host, port in re.findall(_MEMBER, found.group())
    ]
    username, password = options.pop("sentinel_username", None), options.pop("sentinel_password", None)
    return Address(
        host=members[0][0],
        port=members[0][1],
        db=_path_db(parts, options, url),
        username=_login(parts.username, options, "username"),
        password=_login(parts.password, options, "password"),
        tls=tls,
        tls_options=tuple(sorted(options.items())),
        sentinels=Sentinels(tuple(members), named[1], username, password),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _unbracketed(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")


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


def _host_in_url(host: str, url: str) -> str:
    if not _may_be_host(host):
        raise BadUrl(f"the host in the URL {redacted(url)} cannot be looked up: {_HOST_RULE}")
    return host


def _may_be_host(host: object) -> bool:
    """Tell whether the system's look-up takes it, which encodes it so and raises an error of its own where it cannot."""
    if not isinstance(host, str):
        return False
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


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
_SENTINEL_OPTIONS: dict[str, Callable[[str], Any]] = {"sentinel_username": str, "sentinel_password": str}
_TLS_OPTIONS: dict[str, Callable[[str], Any]] = {
    "ssl_ca_certs": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_cert_reqs": _demand,
    "ssl_check_hostname": _switch,
}


def _options(parts: SplitResult, url: str, *, tls: bool, more: dict[str, Callable[[str], Any]] | None = None) -> dict[str, Any]:
    readers = _ANY_OPTIONS | (_TLS_OPTIONS if tls else {}) | (more or {})
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
