"""What the server or the connection to it says, put into our own errors, so that no user meets one of redis-py."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Final, TypeAlias

import redis
import redis.exceptions

from omniq_flow.errors import AuthenticationFailed, InputError, OmniqError, ServerRefused, ServerUnreachable

_CODE = re.compile(r"[A-Z][A-Z0-9]+")

# What each refusal means and what to do about it, by the first word of the server's answer.
_REFUSALS = {
    "OOM": "its memory is full (maxmemory): nothing was changed; free memory or raise the limit with CONFIG SET maxmemory",
    "READONLY": "it is a replica and takes no writes: connect to the primary, or wait until the failover is over",
    "LOADING": "it is still loading its data: try again in a moment",
    "MASTERDOWN": "it is a replica that lost its primary: connect to the primary, or wait until the failover is over",
    "CLUSTERDOWN": "its cluster is not whole: wait until every slot is served again",
    "TRYAGAIN": "a slot of its cluster is being moved key by key: try again when the move is over",
    "SPLIT": "a slot of its cluster is being moved key by key, and a script met half of it: try again when the move is over",
    "MOVED": "it is a node of a cluster that keeps this key elsewhere",
    "ASK": "it is a node of a cluster that keeps this key elsewhere",
    "BUSY": "a script keeps it busy: wait, or end the script with SCRIPT KILL",
    "MISCONF": "it cannot write its data to disk and takes no writes: see the server's log",
    "NOREPLICAS": "too few replicas are in touch with it (min-replicas-to-write): it takes no writes",
}
_MAX_CLIENTS = "max number of clients reached"
_PASSING = frozenset(_REFUSALS) - {"MOVED", "ASK"} | {"MAXCLIENTS"}
# What servers say, with or without a "Script" before it, in the middle of a script of ours while a slot of their cluster is moved key by
# key, or while the cluster is not whole.
_SCRIPT_SAYS = {
    "ttempted to access a non local key in a cluster node": "SPLIT",
    "ttempted to execute a write command while the cluster is down and readonly": "CLUSTERDOWN",
    "ttempted to execute a command while the cluster is down": "CLUSTERDOWN",
}

# redis-py's errors about clusters as a whole have a root of their own.
ServerError: TypeAlias = redis.RedisError | redis.exceptions.RedisClusterException
SERVER_ERRORS: Final = (redis.RedisError, redis.exceptions.RedisClusterException)


def translate(error: ServerError, address: str = "the server") -> OmniqError:
    """Return the error of ours that says what `error` says; `address` is named in it and must not hold a password.

    AuthenticationFailed, ServerUnreachable (nobody answers, the connection was lost, no answer in time), InputError (a value that cannot be
    sent), and ServerRefused with what to do for everything else that the server itself answered.
    """
    text = str(error)
    code = refusal_code(error)
    if isinstance(error, (redis.AuthenticationError, redis.AuthenticationWrongNumberOfArgsError)):
        return _login_failed(text, address)
    if code == "MAXCLIENTS":
        return ServerRefused(f"{address} takes no more connections ({_MAX_CLIENTS}): raise maxclients or close idle clients")
    if code == "NOPERM":
        return ServerRefused(f"{address} refused: {text}; the user needs the ACL ~* &* +@all, or at least its queues' keys and EVALSHA")
    if code in _REFUSALS:
        return ServerRefused(f"{address} refused: {_REFUSALS[code]} ({code})")
    if isinstance(error, (redis.exceptions.ClusterError, redis.exceptions.RedisClusterException)):
        return ServerUnreachable(f"{address} cannot serve this now ({text.rstrip('. ')}): are its primaries up and all slots served?")
    if isinstance(error, redis.TimeoutError):
        return ServerUnreachable(f"no answer from {address} in time ({text.rstrip('.')}): is the server up and not overloaded?")
    if isinstance(error, redis.ConnectionError):
        return ServerUnreachable(f"no connection to {address} ({_short(text)}): is the server running there?")
    if isinstance(error, redis.InvalidResponse):
        return ServerUnreachable(f"what answers at {address} does not speak the protocol of Redis: check host and port")
    if isinstance(error, redis.DataError):
        return InputError(f"a value cannot be sent to {address}: {text}")
    return ServerRefused(f"{address} refused: {text}")


def refusal_code(error: ServerError) -> str:
    """Return the first word of the server's answer (`OOM`, `READONLY`, ...), or "" when the server did not answer."""
    text = str(error)
    if isinstance(error, redis.exceptions.SlotNotCoveredError):
        return "CLUSTERDOWN"
    if type(error) is redis.exceptions.ClusterError:
        return "TRYAGAIN"  # redirects went round until redis-py gave up: the ends of an open slot point at each other
    if text == _MAX_CLIENTS:
        return "MAXCLIENTS"
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if not isinstance(error, redis.ResponseError):
        return ""
    for said, code in _SCRIPT_SAYS.items():
        if said in text:
            return code
    # A script hands on an error of its commands behind an ERR of its own.
    words = text.removeprefix("ERR ").split(" ", 1)
    found = _CODE.fullmatch(words[0].rstrip(":"))
    return found.group() if found else "ERR"


def passes(error: OmniqError) -> bool:
    """Tell whether trying the same again later may succeed without anyone changing a setting: lost connections, failovers, full memory."""
    if isinstance(error, ServerUnreachable):
        return True
    return isinstance(error, ServerRefused) and isinstance(error.__cause__, SERVER_ERRORS) and refusal_code(error.__cause__) in _PASSING


def tells_damage(error: OmniqError) -> bool:
    """Tell whether the server refuses because of what keys hold: one is of a wrong kind, or a script of ours broke on what it read."""
    cause = error.__cause__
    if not (isinstance(error, ServerRefused) and isinstance(cause, redis.ResponseError)):
        return False
    code = refusal_code(cause)
    return code == "WRONGTYPE" or (code == "ERR" and str(cause).removeprefix("ERR ").startswith("user_script:"))


class typed_errors:  # noqa: N801 - read as a statement: with typed_errors(address): ...
    """Raise translated errors in place of redis-py's inside a `with` block, around sync calls and around awaits alike."""

    __slots__ = ("address",)

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        """Nothing is opened: the block costs next to nothing where no error comes."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(error, SERVER_ERRORS):
            raise translate(error, self.address) from error


_CODES: tuple[tuple[type[redis.RedisError], str], ...] = (
    (redis.OutOfMemoryError, "OOM"),
    (redis.ReadOnlyError, "READONLY"),
    (redis.BusyLoadingError, "LOADING"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.AskError, "ASK"),
    (redis.exceptions.NoScriptError, "NOSCRIPT"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
)


def _login_failed(text: str, address: str) -> AuthenticationFailed:
    if "required" in text.lower():
        return AuthenticationFailed(f"{address} asks for a password: give it as password=..., or in the URL as :password@ before the host")
    if "without any password configured" in text:
        return AuthenticationFailed(f"{address} has no password set, but one was given: leave it out")
    return AuthenticationFailed(f"{address} refuses this user name and password")


def _short(text: str) -> str:
    """Keep the reason of "Error 111 connecting to localhost:1. Connection refused."; the address is named by the message around it."""
    _, _, reason = text.rpartition(". " if text.startswith("Error") and ". " in text else "\n")
    return (reason or text).rstrip(". \n")
