"""Every error that omniq_flow raises on purpose, as one tree.

OmniqError
├── SetupError                 the server, the connection or the installation is not fit for use
│   ├── BadUrl                 the URL cannot be read
│   ├── ServerUnreachable      nobody answers, or the connection was lost and stayed lost
│   ├── AuthenticationFailed   the server refuses the user or the password
│   ├── ServerTooOld           older than Redis 7.0 or Valkey 7.2
│   ├── UnsafeEviction         the eviction policy could drop queue keys
│   ├── ServerRefused          the server answered with an error (out of memory, read only, ...)
│   ├── EmbeddedServerError    the embedded server cannot be started here
│   └── MissingExtra           an optional package is not installed (also an ImportError)
├── InputError                 refused at the border, nothing was changed
│   ├── InvalidName            queue, flow and step names
│   ├── InvalidId              gids, job ids, run keys, completion keys
│   ├── OutOfRange             a number that is negative, absurd or of the wrong kind
│   ├── UnknownLane
│   ├── BatchTooLarge
│   ├── NotStructured          a payload that is no dict, list, dataclass or model (also a TypeError)
│   ├── NotSerialisable        a value that JSON cannot carry, or of another type than declared
│   └── TooLarge               a value over the size limit
├── QueueError                 the server refused an operation; the keyspace is as before
│   ├── JobNotFound            NO_JOB
│   ├── JobActive              ACTIVE: a leased job cannot be removed
│   ├── JobNotActive           NOT_ACTIVE: no lease is held on the job
│   ├── JobNotFailed           NOT_FAILED
│   ├── LaneMismatch           LANE_MISMATCH: the job is in another lane
│   ├── NotInLane              NOT_IN_LANE
│   ├── TokenRequired          TOKEN_REQUIRED
│   ├── TokenMismatch          TOKEN_MISMATCH: the lease passed to somebody else
│   ├── CounterExists          ALREADY_INIT
│   └── CounterNotFound        NO_COUNTER
├── DefinitionError            a step or a flow is written in a way that cannot work
│   ├── TraceError             if, for, len, ==, ... on a reference while tracing
│   ├── ArgumentError          a missing, unknown or surplus argument
│   ├── TypeMismatch           what one step yields is not what the next one takes
│   └── ForeignReference       a reference that belongs to another flow
├── RunError
│   ├── RunNotFound
│   ├── KeyConflict            the key names a run that was started with other arguments
│   ├── PartlyStarted          start_many came to an end before all runs were started; tells which were
│   ├── RunFailed              a step failed for good; shows step, arguments and remote traceback
│   ├── RunCancelled
│   └── ResultTimeout          the run did not end in time (also a TimeoutError); it goes on
└── StepError                  raised for or inside a step
    ├── StepTimeout            the attempt outlived its timeout
    └── StepCrashed            the worker died too often under this step
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class OmniqError(Exception):
    """Catch this to catch every error that omniq_flow raises on purpose."""


class SetupError(OmniqError):
    """The server, the connection to it or the installation is not fit for use."""


class BadUrl(SetupError, ValueError):
    """The URL cannot be read."""


class ServerUnreachable(SetupError, ConnectionError):
    """Nobody answers at the address, or the connection was lost and stayed lost."""


class AuthenticationFailed(SetupError):
    """The server refuses the user name or the password."""


class ServerTooOld(SetupError):
    """The server is older than Redis 7.0 or Valkey 7.2."""


class UnsafeEviction(SetupError):
    """The server's eviction policy could drop keys of a queue or a run."""


class ServerRefused(SetupError):
    """The server answered with an error of its own (out of memory, read only, loading, ...)."""


class EmbeddedServerError(SetupError):
    """The embedded server cannot be started on this machine."""


class MissingExtra(SetupError, ImportError):
    """An optional package is not installed; the message has the command that installs it."""


class InputError(OmniqError, ValueError):
    """A value was refused at the border; nothing was changed."""


class InvalidName(InputError):
    """A queue, flow or step name outside ``[A-Za-z0-9._-]{1,128}``."""


class InvalidId(InputError):
    """A gid, job id, run key or completion key that is empty, too long or holds braces or control characters."""


class OutOfRange(InputError):
    """A number that is negative, absurd or of the wrong kind."""


class UnknownLane(InputError):
    """A lane that does not exist."""


class BatchTooLarge(InputError):
    """More items than one call may carry."""


class NotStructured(InputError, TypeError):
    """A payload that is neither a dict or list nor a dataclass, model or Struct."""


class NotSerialisable(InputError):
    """A value that JSON cannot carry, or that is not of the declared type."""


class TooLarge(InputError):
    """A value over the size limit."""


class QueueError(OmniqError):
    """The server refused an operation; the keyspace is as it was before."""

    code = ""


class JobNotFound(QueueError):
    """There is no job with this id."""

    code = "NO_JOB"


class JobActive(QueueError):
    """The job is leased; a leased job cannot be removed."""

    code = "ACTIVE"


class JobNotActive(QueueError):
    """No lease is held on the job: it was finished, reaped, or never reserved."""

    code = "NOT_ACTIVE"


class JobNotFailed(QueueError):
    """Only failed jobs can be retried."""

    code = "NOT_FAILED"


class LaneMismatch(QueueError):
    """The job is in another lane than the one named."""

    code = "LANE_MISMATCH"


class NotInLane(QueueError):
    """The lane does not hold the job."""

    code = "NOT_IN_LANE"


class TokenRequired(QueueError):
    """The lease token is missing."""

    code = "TOKEN_REQUIRED"


class TokenMismatch(QueueError):
    """The lease passed to another worker; this one must drop the job."""

    code = "TOKEN_MISMATCH"


class CounterExists(QueueError):
    """The completion key is open under another owner or with another count."""

    code = "ALREADY_INIT"


class CounterNotFound(QueueError):
    """There is no open counter under this completion key."""

    code = "NO_COUNTER"


class DefinitionError(OmniqError):
    """A step or a flow is written in a way that cannot work."""


class TraceError(DefinitionError):
    """A reference was used as if it were the value that exists only at run time."""


class ArgumentError(DefinitionError, TypeError):
    """A step or a flow was given a missing, unknown or surplus argument."""


class TypeMismatch(DefinitionError, TypeError):
    """What one step yields is not what the next one takes."""


class ForeignReference(DefinitionError):
    """A reference that belongs to another flow, or to none."""


class RunError(OmniqError):
    """Something about a run."""


class RunNotFound(RunError, LookupError):
    """No run with this id is kept."""


class KeyConflict(RunError):
    """The key names a run that was started with other arguments."""


class PartlyStarted(RunError):
    """Not all runs of a ``start_many`` were started: ``runs`` has the handles of those that surely were, by their places.

    ``__cause__`` is what went wrong. The others may be started by another call; with keys all may be, it gives the same runs.
    """

    runs: Mapping[int, Any] = MappingProxyType({})


class RunFailed(RunError):
    """A step of the run failed for good; ``node`` and ``index`` say which child, ``failure`` what is recorded of it."""

    run_id: str = ""
    node: str = ""
    index: int | None = None
    failure: object = None


class RunCancelled(RunError):
    """The run was cancelled before it ended."""


class ResultTimeout(RunError, TimeoutError):
    """The run did not end in time; it goes on."""


class StepError(OmniqError):
    """Something went wrong with one attempt of a step."""


class StepTimeout(StepError, TimeoutError):
    """The attempt outlived the step's timeout."""


class StepCrashed(StepError):
    """Worker processes died under this step more often than its crash budget allows."""
