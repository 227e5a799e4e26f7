"""The worker: claims jobs, runs them, keeps its leases alive, and leaves in good order."""

import asyncio
import logging
import signal
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import SystemRandom

from bartizan.backbone.jobs.types import Claimed, Outcome, Wish

from .desk import Jobs

log = logging.getLogger(__name__)
_JITTER = SystemRandom()
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LAST_WORDS = 5.0
"""Seconds that cancelled handlers get to clean up, and that the last outcomes get to be written."""


class Worker:
    """Does jobs until it is told to stop: ``await Worker(bz.jobs).run()``."""

    def __init__(
        self, jobs: Jobs, *, concurrency: int | None = None, queues: Sequence[str] | None = None
    ) -> None:
        """Run up to ``concurrency`` jobs at once, of the ``queues`` named or of all."""
        self._jobs = jobs
        self._exchange = jobs.exchange
        self._settings = jobs.settings
        self._concurrency = concurrency or self._settings.concurrency
        self._only = queues
        self._queues: list[str] = sorted(queues or self._exchange.queues())
        self._after = ""
        self._running: dict[str, tuple[Claimed, asyncio.Task[None]]] = {}
        self._lost: set[str] = set()
        self._outcomes: list[Outcome] = []
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._one = asyncio.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._upkeep_at = 0.0

    async def run(self, *, signals: bool = False) -> None:
        """Work until ``stop``; with ``signals``, also until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        if signals:
            for number in _SIGNALS:
                loop.add_signal_handler(number, self.stop)
        self._jobs.wakers.add(self._news.set)
        await self._jobs.schedules.publish()
        heart = asyncio.create_task(self._beat())
        failures = 0
        try:
            while not self._stopping.is_set():
                self._news.clear()
                try:
                    worked = await self._turn()
                    failures = 0
                except Exception:
                    # The database may be away. Outcomes are kept; come back more and more slowly.
                    failures += 1
                    log.exception("a worker could not reach its table, %d times in a row", failures)
                    await self._rest(min(self._settings.poll * 2**failures, self._settings.lease))
                    continue
                await (asyncio.sleep(0) if worked else self._rest(self._patience()))
        finally:
            self._jobs.wakers.discard(self._news.set)
            await self._drain()
            for number in _SIGNALS if signals else ():
                loop.remove_signal_handler(number)
            heart.cancel()
            self._close()

    def stop(self) -> None:
        """Claim no more; finish what runs within the grace period and give the rest back."""
        self._stopping.set()
        self._news.set()

    async def run_pending(self) -> int:
        """Do every job that is due now, and those that they add; give how many attempts were made."""
        made = 0
        await self._jobs.schedules.publish()
        while True:
            self._upkeep_at = 0.0
            await self._turn()
            if not self._running and not self._outcomes:
                self._close()
                return made
            made += len(self._running)
            if self._running:
                await asyncio.wait([task for _, task in self._running.values()])

    async def _turn(self, *, claim: bool = True) -> bool:
        loop = asyncio.get_running_loop()
        if claim and loop.time() >= self._upkeep_at:
            wait, queues = await self._exchange.upkeep()
            often = min(1.0, self._settings.lease / 10)
            self._upkeep_at = loop.time() + max(0.0, often if wait is None else min(wait, often))
            if self._only is None:
                self._queues = sorted({*self._exchange.queues(), *queues})
        claim = claim and not self._stopping.is_set()  # it may have been told while it looked after the table
        want = max(0, self._concurrency - len(self._running)) if claim else 0
        outcomes, self._outcomes = self._outcomes, []
        if not (want or outcomes):
            return False
        try:
            async with self._one:
                turn = await self._exchange.turn(outcomes, self._wish(want))
        except BaseException:
            self._outcomes = outcomes + self._outcomes
            raise
        if turn.fenced:
            log.warning("%d outcomes came too late: the leases had ended", turn.fenced)
        for job in turn.claimed:
            task = asyncio.create_task(self._work(job), name=f"job {job.id}")
            self._running[job.id] = (job, task)
        # Go on after the last organization served; those before it come when the end is reached.
        lanes = {job.lane for job in turn.claimed}
        if lanes:
            self._after = max({lane for lane in lanes if lane <= self._after} or lanes)
        self._queues = self._queues[1:] + self._queues[:1]
        if turn.busy:
            await asyncio.sleep(_JITTER.uniform(0.002, 0.01))
        return turn.busy or bool(turn.claimed) or bool(self._outcomes)

    def _wish(self, want: int) -> Wish:
        # A quarter of the places is kept from whoever has the rest, so that nobody can fill this worker.
        limit = max(1, self._concurrency - max(1, self._concurrency // 4))
        held = Counter(job.lane for job, _ in self._running.values())
        full = [lane for lane, count in held.items() if count >= limit]
        share = limit - max((count for count in held.values() if count < limit), default=0)
        return Wish(queues=self._queues, want=want, after=self._after, share=share, full=full)

    async def _work(self, job: Claimed) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._exchange.attempt(job, self._pool())
        except asyncio.CancelledError:
            if job.id not in self._lost:  # not the job's fault: it gets its attempt back
                outcome = Outcome(job=job, state="ready", attempts=job.attempts - 1)
        finally:
            self._running.pop(job.id, None)
        if outcome is not None and job.id not in self._lost:
            self._outcomes.append(outcome)
        self._lost.discard(job.id)
        self._news.set()

    async def _beat(self) -> None:
        lease = self._settings.lease
        loop = asyncio.get_running_loop()
        alive = loop.time()
        while True:
            await asyncio.sleep(lease / 3)
            held = dict(self._running)
            waiting = list(self._outcomes)
            tokens = {job.lease_token for job, _ in held.values()} | {
                done.job.lease_token for done in waiting
            }
            began = loop.time()
            kept: set[str] = set()
            try:
                if tokens:
                    async with asyncio.timeout(lease / 3), self._one:
                        kept = await self._exchange.renew(sorted(tokens))
                alive = began
            except Exception:
                log.exception("a worker could not renew its leases")
                if began - alive < lease * 2 / 3:
                    continue
            for job_id, (job, task) in held.items():
                # Cancelled, or another worker's by now; compare the claim, for it may have come back to us.
                if job_id not in kept and self._running.get(job_id, (None,))[0] is job:
                    self._lost.add(job_id)
                    task.cancel()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds * _JITTER.uniform(0.8, 1.0)):
                await self._news.wait()
        except TimeoutError:
            return

    def _patience(self) -> float:
        due = self._upkeep_at - asyncio.get_running_loop().time()
        return max(0.001, min(self._settings.poll, due))

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.grace
        while self._running and loop.time() < end:
            self._news.clear()
            await self._flush()
            if self._running:
                await self._rest(min(self._settings.poll, end - loop.time()))
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_WORDS)
        end = loop.time() + _LAST_WORDS
        while self._outcomes and loop.time() < end:
            await self._flush()

    async def _flush(self) -> None:
        try:
            await self._turn(claim=False)
        except Exception:
            log.exception("a stopping worker could not write what became of its jobs")
            await asyncio.sleep(0.2)

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="job")
        return self._threads

    def _close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
