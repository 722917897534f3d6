"""The worker: where turns, executor and duties are put together."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from omniq_flow.errors import QueueError, SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient, alone
from omniq_flow.queue.cancelling import cut_off
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.operations import Ending
from omniq_flow.runtime.session import Session
from omniq_flow.worker.appetite import Appetite
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.duty import LONGEST_PAUSE_S, Duty
from omniq_flow.worker.executor import Executor
from omniq_flow.worker.given_back import GivenBack
from omniq_flow.worker.hand import Hand
from omniq_flow.worker.isolation import Isolation
from omniq_flow.worker.janitor import Janitor
from omniq_flow.worker.leases import Leases
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.plans import Plans
from omniq_flow.worker.presence import Presence
from omniq_flow.worker.processes import Processes
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.reaper import Reaper
from omniq_flow.worker.rest import nothing_left
from omniq_flow.worker.served import Served
from omniq_flow.worker.sleeper import Sleeper
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.timers import Timers
from omniq_flow.worker.turns import OneServerTurns, Turns
from omniq_flow.worker.untold import Untold

log = logging.getLogger("omniq_flow.worker")

LEAVING_S = 5.0


class Worker:
    """Serves flows on the running loop until it is stopped.

    ``own_process`` says that this process is there for the worker alone, so that whatever its steps need comes with ``options.modules``.
    """

    def __init__(self, session: Session, flows: Iterable[Flow[..., Any]], options: WorkerOptions, *, own_process: bool = False) -> None:
        lease_ms = round(options.lease * 1000)
        self._appetite = Appetite(options.concurrency)
        self.options = options
        # Lease tokens begin with it, so that a lease tells whose it is (see _one_server).
        self._identity = os.urandom(6).hex()
        self.name = f"{socket.gethostname()}:{os.getpid()}:{self._identity}"
        self.served = Served(flows, lease_ms)
        self.queues = sorted(options.queues or self.served.queues())
        self._client: AsyncOmniqClient = session.aclient()
        self._processes = Processes(options.modules)
        suspects = Processes(options.modules) if own_process else None
        self.executor = Executor(self._client, self.served, self._processes, done=self._done, freed=self._stir, suspects=suspects)
        self._quarantine = Quarantine(self._client, self.served)
        self._session, self._lease_ms, self._own_process = session, lease_ms, own_process
        self._slots = SlotTurns(self._client, self.served, lease_ms, self._quarantine, hold=True)
        self._hands = [Hand(self._slots)]
        self._hand_clients: list[AsyncOmniqClient] = []
        self._isolation = Isolation(self.served, options.lease, self.wake, in_processes=own_process)
        self._sleeper = Sleeper(self._client, self.queues, self.wake)
        self._timers = Timers(self._client, self.queues, self.wake)
        self.janitor = Janitor(self._client, self.served, self._quarantine, options.janitor, self.name)
        leases = Leases(self._client, self._held, lease_ms, self._isolation.lost)
        self._duties: tuple[Duty, ...] = (
            Plans(self._client, self.served),
            self._sleeper,
            self._timers,
            Reaper(self._client, self.queues, lease_ms, self.wake, leases.catch_up),
            leases,
            Presence(self._client, self.queues, self.name, self.served.plans),
            self.janitor,
        )
        self._untold = Untold(self._stir)
        self._given_back = GivenBack(self.served.plans)
        self._stopping = asyncio.Event()
        self._drained = asyncio.timeout(None)
        self._cut_off = False
        self._turn = 0

    async def run(self) -> None:
        """Work until ``stop`` was called and what runs is done, or (burst) until nothing is left.

        Raises SetupError when the server cannot be used at the beginning; later it waits for the server to come back. ``stop`` works from
        the first contact on.
        """
        if not await self._contact():
            log.info("worker %s was stopped before the server answered", self.name)
            return
        if await self._session.aone_server():
            self._hand_clients = [alone(self._client) for _ in range(self._appetite.hands)]
            self._hands = [Hand(self._one_server(client, name)) for client, name in zip(self._hand_clients, "ab", strict=False)]
            self.janitor.one_server = True
        for duty in self._duties:
            duty.start()
        log.info("worker %s serves %s on queue %s", self.name, ", ".join(flow.name for flow in self.served.flows), ", ".join(self.queues))
        try:
            async with self._drained:
                self._limit()
                await self._work()
        except TimeoutError:
            if not self._drained.expired():
                raise
            log.warning("worker %s leaves: what runs did not end within %g s", self.name, self.options.drain)
        finally:
            await self._leave()

    def stop(self) -> None:
        """Claim nothing more and leave once what runs is done, at the latest after ``drain`` seconds."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._limit()
        self._stir()

    def wake(self) -> None:
        """Look for jobs now."""
        self._appetite.crave()
        self._stir()

    def _one_server(self, client: AsyncOmniqClient, hand: str) -> Turns:
        # A lease token's part before the first dot is the worker's.
        identity = f"{self._identity}.{hand}"
        return OneServerTurns(client, self.served, self._lease_ms, self._quarantine, self._slots, hold=True, identity=identity)

    async def _contact(self) -> bool:
        """Check the server; False when a stop came first."""
        check, stop = asyncio.ensure_future(self._client.check()), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((check, stop), return_when=asyncio.FIRST_COMPLETED)
            if not check.done():
                return False
            check.result()
            return True
        finally:
            await cut_off(check, stop)

    def _limit(self) -> None:
        if self._stopping.is_set():
            with suppress(RuntimeError):  # the work has not begun, or is over
                self._drained.reschedule(asyncio.get_running_loop().time() + self.options.drain)

    async def _work(self) -> None:
        hands = [asyncio.ensure_future(self._serve(hand)) for hand in self._hands]
        try:
            done, _ = await asyncio.wait(hands, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            self._cut_off = True
            await cut_off(*hands)

    async def _serve(self, hand: Hand) -> None:
        """Take turns with one hand, until there will be nothing more to do."""
        trouble = 0.1
        # The flag besides the cancel: where that gets lost, no further turn must begin.
        while not (self._cut_off or self._over()):
            hand.stirred.clear()
            suspect, room = self._due_suspect(hand), self._room(hand)
            if not (suspect or self._called_for(hand, room)):
                if hand is self._hands[0] and hand.free:
                    if await self._nothing_left():
                        return
                    self._rest(room)
                await hand.stirred.wait()
                continue
            try:
                if suspect:
                    await self._face(suspect)
                else:
                    await self._take(hand, room)
            except Exception as error:
                if isinstance(error, SetupError):
                    log.warning("no turn possible, again in %.1f s: %s", trouble, error)
                else:
                    log.exception("a turn failed, again in %.1f s", trouble)
                with suppress(TimeoutError):
                    async with asyncio.timeout(trouble):
                        await self._stopping.wait()
                if self._stopping.is_set():
                    await asyncio.sleep(min(trouble, 0.5))
                trouble = min(trouble * 2, LONGEST_PAUSE_S)
            else:
                trouble = 0.1

    def _called_for(self, hand: Hand, room: int) -> bool:
        """Whether the hand is to take a turn now. The first one does at once, another one beside it when there is enough for both."""
        if not hand.free:
            return True
        if all(each.free for each in self._hands):
            return hand is self._hands[0] and self._appetite.worth_a_turn(room=room, untold=len(self._untold))
        return self._appetite.worth_another(room=room, untold=len(self._untold))

    def _room(self, hand: Hand) -> int:
        """Return how many jobs the hand may claim now."""
        if self._stopping.is_set() or self._isolation.closed:
            return 0
        claiming = sum(each.room for each in self._hands if each is not hand)
        return self._appetite.room(taken=self.executor.busy + claiming, untold=len(self._untold))

    async def _take(self, hand: Hand, room: int) -> None:
        batch = self._untold.take() if hand.free else hand.batch
        if self._appetite.flooded or self._untold:
            self._stir(others=True)  # there may be enough for another hand, beside this one's turn
        turned = await hand.take(batch, self._turned_queues(), room, self._appetite.news)
        self._untold.owe(turned.owed)
        self._untold.put_off(turned.troubled)
        for claimed in turned.jobs:
            self.executor.begin(claimed)
        self._appetite.fed(len(turned.jobs), room=room, news=hand.news, told=len(batch))
        for one in turned.returned:
            self._given_back.note(one)
        self._timers.note(turned.rest_ms)
        self._stir()  # what is too little for another hand is enough for the first one now
        if turned.suspect is not None:
            self._appetite.crave()
            await self._keep(turned.suspect)
        if turned.jobs:
            await asyncio.sleep(0)  # the next turn tells at once of the steps that wait for nothing

    async def _keep(self, suspect: Claimed) -> None:
        """Hold a suspect; where one is held already, which another hand met at the same time, give it back."""
        if self._isolation.held is None:
            self._isolation.hold(suspect, busy=self._busy())
        else:
            await self._give_back(suspect, 0)

    async def _give_back(self, suspect: Claimed, delay_ms: int) -> None:
        with suppress(QueueError):  # its lease was lost meanwhile: it is left already
            await self._client.release(queue=suspect.queue, job_id=suspect.job, lease_token=suspect.attempt.token, delay_ms=delay_ms)

    @property
    def _at_work(self) -> bool:
        """Whether a suspect would run beside something.

        What was abandoned counts where a suspect may have a process instead: elsewhere it would wait for what may never return.
        """
        return bool(self.executor.busy if self._own_process else self.executor.running)

    def _busy(self) -> bool:
        """Whether anything runs, or may be about to."""
        return self._at_work or any(each.room for each in self._hands)

    def _due_suspect(self, hand: Hand) -> Claimed | None:
        """Return the suspect that is to be begun or passed on now: by the first hand, once the others have told and claimed."""
        if self._isolation.held is None or hand is not self._hands[0] or not hand.free:
            return None
        if self._untold or not all(each.free for each in self._hands):
            return None
        if self._stopping.is_set():
            return self._isolation.held
        return self._isolation.due(busy=self._at_work)

    async def _face(self, suspect: Claimed) -> None:
        """Begin a suspect, alone or apart, or leave it to others. Raises SetupError when the server is away: it is still held then."""
        if self._stopping.is_set() or self._isolation.pass_on_ms:
            await self._give_back(suspect, self._isolation.pass_on_ms)
            self._isolation.let_go(suspect)
        else:
            turned = await self._hands[0].turns.begin(suspect)
            self._isolation.let_go(suspect)
            for claimed in turned.jobs:
                self.executor.begin(claimed, apart=self._isolation.begun(claimed, busy=self._at_work))
            for one in turned.returned:
                self._given_back.note(one)
        self._appetite.crave()

    def _held(self) -> list[Claimed]:
        """Return all jobs whose leases are to be kept: those that run, wait to run, or ended and could not tell it yet.

        A turn may have begun jobs long before it returns: where another queue's server is mute, or much is to be delivered.
        """
        suspects = [self._isolation.held, *(hand.turned.suspect for hand in self._hands)]
        beginning = [claimed for hand in self._hands for claimed in hand.turned.jobs]
        telling = [job.claimed for hand in self._hands for job in hand.batch]
        untold = [job.claimed for job in self._untold.all]
        return self.executor.running + beginning + telling + untold + [suspect for suspect in suspects if suspect]

    def _rest(self, room: int) -> None:
        """Let the sleeper listen, but only with room for a job: a busy worker must not take another one's wake-up."""
        if room > 0 and not self._stopping.is_set():
            self._sleeper.idle.set()
        else:
            self._sleeper.cut()

    def _turned_queues(self) -> list[str]:
        """Return the queues, each first in its turn."""
        self._turn = (self._turn + 1) % len(self.queues)
        return self.queues[self._turn :] + self.queues[: self._turn]

    def _settled(self) -> bool:
        telling = any(hand.at_work or hand.batch for hand in self._hands)
        return not (telling or self._untold.all or self.executor.running or self._isolation.held)

    def _over(self) -> bool:
        return self._stopping.is_set() and self._settled()

    async def _nothing_left(self) -> bool:
        if not self.options.burst or not self._settled():
            return False
        try:
            return await nothing_left(self._client, self.queues, self._given_back) and self._settled()
        except SetupError as error:
            log.warning("cannot see whether anything is left: %s", error)
            return False

    def _done(self, claimed: Claimed, ending: Ending) -> None:
        self._isolation.ended(claimed)
        self._untold.add(Finished(claimed, ending))

    def _stir(self, *, others: bool = False) -> None:
        """Let the first hand see whether there is something to do, and others where it is at work."""
        first, *rest = self._hands
        first.stirred.set()
        if others or not first.free:
            for hand in rest:
                hand.stirred.set()

    async def _leave(self) -> None:
        for duty in self._duties:
            try:
                async with asyncio.timeout(LEAVING_S):
                    await duty.stop()
            except (SetupError, TimeoutError) as error:
                log.warning("%s could not take its leave: %s", duty.name, str(error) or "the server does not answer")
        await self.executor.close()
        await self._processes.close()
        for client in self._hand_clients:
            await client.aclose()
        log.info("worker %s left", self.name)
