"""What actors act on: the store in its present state, the clock, the run, and the story of all that happened so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from omniq_flow.doctor.queue_facts import JobFacts, jobs_in
from omniq_flow.doctor.snapshot import hash_at
from omniq_flow.queue import operations
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operation import Operation
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.keys import live_index, run_base, shard_of
from omniq_flow.runtime.look import look
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.shapes import DEFAULT_QUEUE, Shapes
from omniq_flow.runtime.starting import new_run
from omniq_flow.runtime.talk import Talk
from omniq_flow.testing.invariants import Watch
from omniq_flow.testing.memory import Memory, State, Step
from omniq_flow.testing.schedule import Schedule
from omniq_flow.testing.store import Command
from omniq_flow.testing.story import Story, call_name, reply_told, state_told
from omniq_flow.testing.surroundings import Clock, Surroundings, tells_time, timed
from omniq_flow.testing.verdict import Broken, End

T = TypeVar("T")

BEGINNING_MS: Final = 1_800_000_000_000
KEEP_MS: Final = 3_600_000
ENDED: Final = frozenset({"succeeded", "failed"})


def changes(before: State, after: State) -> list[str]:
    """Return the keys that differ, but for the indexes of runs: those hold when a run was listed last."""
    names = before.texts.keys() | after.texts.keys()
    return sorted(name for name in names if before.texts.get(name) != after.texts.get(name) and not name.startswith("{runs:"))


class Stage:
    """One run of one flow on a store that remembers. Every command that changes something is held against the rules."""

    def __init__(
        self,
        memory: Memory,
        flow: Flow[..., Any],
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        *,
        one_server: bool,
        lease_ms: int,
    ) -> None:
        memory.forget()
        self.memory, self.flow, self.one_server, self.lease_ms = memory, flow, one_server, lease_ms
        self.clock = Clock(BEGINNING_MS)
        self.state: State = memory.nothing
        self.story, self.schedule = Story(), Schedule()
        self.sent: list[Command] = []
        queue = flow.options.queue or DEFAULT_QUEUE
        self.shapes = Shapes(flow.compiled, queue, lease_ms)
        self.queues = sorted(self.shapes.queues)
        with self.clock.shown(), Surroundings("the starting process").around():
            bound = flow.compiled.bind(arguments, keywords)
            self.run = new_run(flow.compiled, self.shapes, bound, key="the run", queue=queue, keep_ms=KEEP_MS)
        self._watch = Watch(self.run.id, flow.compiled.plan, self.shapes.queues)
        self._base = run_base(self.run.id)

    # What happens.

    def execute(self, who: str, words: Command, options: Mapping[str, Any] | None = None) -> Any:
        """Send a command and return its reply, or the error that the server answered. Raises Broken when it breaks something."""
        if words[0] == "TIME":
            return divmod(self.clock.now_ms * 1000, 1_000_000)
        step = self.peek(words, options)
        self.state = step.after
        self.sent.append(words)
        self.story.point(who, call_name(words), reply_told(words, step.reply).replace(self.run.id, "R"))
        if step.breach:
            raise self.broken(step.breach)
        if tells_time(words):
            raise self.broken(f"{who} tells the server the time by its own clock, which may be wrong")
        return step.reply

    def execute_again(self, who: str, words: Command, options: Mapping[str, Any]) -> Any:
        """Send a command that was the last one once more, as a client does after a lost reply. Raises Broken when it changes anything."""
        before = self.state
        reply = self.execute(who, words, options)
        if changed := changes(before, self.state):
            raise self.broken(f"{call_name(words)} changed {', '.join(changed)} when it came a second time")
        return reply

    def peek(self, words: Command, options: Mapping[str, Any] | None = None, state: State | None = None) -> Step:
        """Return what a command would lead to, without sending it; ``breach`` says what it would break."""
        before = state or self.state
        step = self.memory.send(before, timed(words, self.clock.now_ms), options or {}, self.clock.now_ms)
        if step.breach is None:
            step.breach = self._watch.breach(before.texts, step.after.texts, words) if step.after is not before else ""
        return step

    def tick(self, by_ms: int) -> None:
        """Let the clock go on."""
        self.clock.now_ms += by_ms
        self.state = self.memory.later(self.state, by_ms)

    def pass_time(self, who: str) -> None:
        """Let every lease run out and every delay be over, reap and promote."""
        self.tick(self.lease_ms + 1000)
        self.story.fault("time passes: every lease has run out, every delay is over")
        for queue in self.queues:
            self.execute(who, operations.reap_expired(queue, call=Call(f"{who} reaps", 1)).by_digest())
        due = [score for queue in self.queues for score in hash_at(self.state.texts, f"{{{queue}}}:delayed").values()]
        if due:
            self.tick(max(0, *(int(float(score)) - self.clock.now_ms for score in due)))
            for queue in self.queues:
                self.execute(who, operations.promote_delayed(queue, call=Call(f"{who} promotes", 1)).by_digest())

    def broken(self, what: str) -> Broken:
        """Return the error that tells this course."""
        self.story.state(self.told())
        return Broken(what, self.story, self.schedule)

    # What is there.

    def jobs(self) -> list[JobFacts]:
        """Return the jobs that wait, are leased or are delayed."""
        every = [job for queue in self.queues for job in jobs_in(self.state.texts, queue)]
        return [job for job in every if job.state in {"wait", "active", "delayed"}]

    def status(self) -> str:
        """Return the run's status, empty before it exists."""
        return hash_at(self.state.texts, f"{self._base}:meta").get("status", "")

    def over(self) -> bool:
        """Tell whether the run has ended and no job of it is left; a cancelled one is to be retried."""
        return self.status() in ENDED and not self.jobs()

    def listed(self) -> bool:
        """Tell whether the run is listed among those that live."""
        return self.run.id in hash_at(self.state.texts, live_index(shard_of(self.run.id)))

    def told(self) -> str:
        """Return in one line where the run and its jobs are."""
        return state_told(self.state.texts, self.run.id, self.flow.compiled.plan, self.queues)

    def end(self) -> End:
        """Return how the run has ended. Raises Broken when it leaves behind what should be gone."""
        for name, key in self.state.keys.items():
            if name.startswith(self._base.encode()) and key.lives_ms < 0:
                raise self.broken(f"the run has ended, and {name.decode()} has no end")
        if self.listed():
            raise self.broken("the run has ended, and is listed as live after a janitor has looked")
        status = self.status()
        if status == "succeeded":
            return End(status, self.outcome().decode())
        failed = hash_at(self.state.texts, f"{self._base}:meta").get("failed", "")
        return End(status, hash_at(self.state.texts, f"{self._base}:fails").get(failed, "").partition(',"message"')[0])

    def outcome(self) -> bytes:
        """Return the run's value as JSON, as its handle gets it; raises RunFailed and RunCancelled."""
        run = self.handle()
        seen = self.ask(look(run.id, self.shapes.compiled.plan))
        result = self.ask(run._outcome(seen))  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # the talk of result(), over the memory
        assert result is not None  # noqa: S101  # nobody retries it in between
        return result

    def handle(self) -> Run[Any]:
        """Return a handle of the run, to hold its talks with."""
        session = Session("unix:///nowhere", one_server=self.one_server)
        return Run(self.run.id, session, decode=self.flow.compiled.returns.decode, shapes_of=lambda _queue: self.shapes)

    def ask(self, talk: Talk[T]) -> T:
        """Hold a talk that only reads, with the state as it is."""
        try:
            operation: Operation[Any] = next(talk)
            while True:
                operation = talk.send(operation.decode(self.peek(operation.by_digest()).reply))
        except StopIteration as stop:
            value: T = stop.value
            return value
