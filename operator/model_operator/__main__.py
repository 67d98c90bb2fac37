"""The program: wait for the Lease, then watch and give turns until told to stop or the Lease is lost."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from model_operator.cluster import ApiError, Cluster
from model_operator.handlers import watch
from model_operator.kinds import MODEL_DEPLOYMENT
from model_operator.lease import Leadership
from model_operator.metrics import LEADER, RECONCILE_SECONDS, RECONCILES, serve
from model_operator.reconcile import Reconciler
from model_operator.render import Chart
from model_operator.settings import Settings, SettingsInvalid
from model_operator.tokens import Tokens
from model_operator.workqueue import Key, WorkQueue

log = logging.getLogger("model_operator")

LOST = 4
"""Exit code when the Lease is lost or watching has ended: Kubernetes starts a new process, which waits for its turn."""


def main() -> int:
    """Run until stopped; returns the exit code."""
    try:
        settings = Settings.read()
    except SettingsInvalid as error:
        sys.stderr.write(f"model-operator: {error}\n")
        return 2
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # it has no signals here, and says so
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        return Operator(settings, stopping).run()
    except ApiError as error:
        sys.stderr.write(f"model-operator: {error}\n")
        return 1


class Operator:
    """One process: a candidate for the Lease, and the one that acts once it holds it."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._cluster = Cluster()
        identity = settings.identity or f"{socket.gethostname()}-{os.getpid()}"
        self._lease = Leadership(self._cluster, (settings.namespace, settings.name), identity, settings.lease_seconds)
        self._chart = Chart(settings.chart, settings.helm)
        self._failed = False

    def run(self) -> int:
        """Wait, act, let go."""
        server = serve(self._settings.host, self._settings.port, lambda: not self._failed)
        try:
            if not self._win():
                return 0
            LEADER.set(1)
            code = asyncio.run(self._lead())
            self._lease.release()
            return code
        finally:
            LEADER.set(0)
            server.shutdown()

    def _win(self) -> bool:
        log.info("waiting for lease %s/%s", self._settings.namespace, self._settings.name)
        while not self._lease.attempt():
            if self._stopping.wait(self._settings.lease_seconds / 5):
                return False
        while not self._cluster.serves(MODEL_DEPLOYMENT):
            log.warning("the cluster has no %s: apply k8s/crd, or set crds.install", MODEL_DEPLOYMENT.api_version)
            if self._stopping.wait(self._settings.lease_seconds / 5) or not self._lease.attempt():
                return False
        log.info("leading, with chart %s (%s)", self._chart.version, self._chart.hash)
        return not self._stopping.is_set()

    async def _lead(self) -> int:
        """Give turns until stopped, until the Lease is lost or until watching ends; returns the exit code."""
        settings, loop = self._settings, asyncio.get_running_loop()
        tokens = Tokens.of(self._cluster, settings.namespace, f"{settings.name}-key")
        reconciler = Reconciler(self._cluster, self._chart, tokens, settings.resync_seconds)
        queue, over = WorkQueue(loop.time), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, over.set)
        if self._stopping.is_set():  # told between winning the Lease and listening here
            over.set()

        def notice(key: Key) -> None:
            loop.call_soon_threadsafe(queue.add, key)

        def ended() -> None:
            self._failed = True
            loop.call_soon_threadsafe(over.set)

        watch(settings.watch, notice, ended)
        with ThreadPoolExecutor(settings.workers, "turn") as threads:

            async def turn(key: Key) -> float | None:
                return await loop.run_in_executor(threads, self._timed, reconciler, key)

            tasks = [asyncio.create_task(queue.work(turn, _complain)) for _ in range(settings.workers)]
            tasks.append(asyncio.create_task(self._renew()))
            await over.wait()
            for task in tasks:
                task.cancel()
        return LOST if self._failed else 0

    async def _renew(self) -> None:
        """Renew the Lease as long as it is certainly ours; then end, in the middle of turns, which may end anywhere."""
        while True:
            if not (await asyncio.to_thread(self._lease.attempt) or self._lease.held):
                break
            await asyncio.sleep(self._settings.lease_seconds / 5)
        log.error("the lease is lost: stopping, so that two operators never act")
        logging.shutdown()
        os._exit(LOST)

    def _timed(self, reconciler: Reconciler, key: Key) -> float | None:
        if not self._lease.held:
            return self._settings.lease_seconds / 5  # it may be renewed yet, and the wish must not be lost
        began = time.perf_counter()
        try:
            again = reconciler.turn(key)
        except Exception:
            RECONCILES.labels("failed").inc()
            raise
        RECONCILES.labels("done").inc()
        RECONCILE_SECONDS.observe(time.perf_counter() - began)
        return again


def _complain(key: Key, error: Exception) -> None:
    if isinstance(error, ApiError) and error.status == 409:
        log.info("%s/%s: written by somebody else meanwhile; looking again", *key)
        return
    expected = isinstance(error, ApiError)
    log.error("%s/%s: the turn failed: %s", *key, error, exc_info=None if expected else error)


if __name__ == "__main__":
    sys.exit(main())
