"""The API server's HTTP. The only file that knows of aiohttp, of threads and of TLS."""

import asyncio
import json
import ssl
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import NamedTuple

from aiohttp import web

from tests.helm.chart import Manifest
from tests.kubernetes import discovery
from tests.kubernetes.calls import Call, Right, call
from tests.kubernetes.faults import Fault
from tests.kubernetes.kinds import REVIEW, Key
from tests.kubernetes.objects import Objects
from tests.kubernetes.refusals import NotFound, Refusal
from tests.kubernetes.rights import Rights, User, acting, user
from tests.kubernetes.schemas import Schemas
from tests.kubernetes.selecting import selected
from tests.kubernetes.verbs import Verbs

_ALL_IN = {"k8s.io/initial-events-end": "true"}
# A release's Secret may hold a megabyte.
_MAX_BYTES = 16 << 20


class Asked(NamedTuple):
    method: str
    path: str  # with its query
    user: str


class Answering:
    def __init__(self, objects: Objects, schemas: Schemas, minor: str) -> None:
        self.objects = objects
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self._rights = Rights(objects)
        self._verbs = Verbs(objects, schemas, self._rights)
        self._minor = minor

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return web.json_response(refusal.status(), status=refusal.code)
        except ConnectionError:
            raise
        except Exception as error:  # helm would hide what is wrong with us
            traceback.print_exc()
            raise web.HTTPInternalServerError(text=repr(error)) from error

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        who = acting(user(request.headers.get("Authorization", "")), request.headers)
        asked = call(
            request.method,
            request.path,
            request.query,
            content_type=request.content_type,
            body=await request.read(),
        )
        if asked is None:
            return self._told(request.path)
        self.asked.append(Asked(request.method, request.path_qs, who.name))
        if asked.resource == REVIEW:
            return web.json_response(self._reviewed(asked, who), status=201)
        self._rights.demand(who, asked.right)
        for fault in self.faults:
            fault.meets(asked)
        if asked.verb == "watch":
            return await self._watch(request, asked)
        status, manifest = self._verbs.answer(asked, who)
        return web.json_response(manifest, status=status)

    def _told(self, path: str) -> web.Response:
        found = discovery.told(path.rstrip("/"), self._minor)
        if found is None:
            raise NotFound("the server could not find the requested resource")
        grouped = found.get("kind") == "APIGroupDiscoveryList"
        kind = discovery.AGGREGATED if grouped else "application/json"
        return web.Response(body=json.dumps(found), headers={"Content-Type": kind})

    def _reviewed(self, asked: Call, who: User) -> Manifest:
        """What `kubectl auth can-i` asks."""
        spec = asked.document["spec"]
        about = spec.get("resourceAttributes", {})
        plural = f"{about.get('resource', '')}/{about.get('subresource', '')}".removesuffix("/")
        places = (about.get("namespace", ""), about.get("name", ""))
        right = Right(about.get("verb", ""), about.get("group", ""), plural, *places)
        kind = {"apiVersion": REVIEW.group_version, "kind": REVIEW.kind, "metadata": {}}
        return {**kind, "spec": spec, "status": {"allowed": self._rights.may(who, right)}}

    async def _watch(self, request: web.Request, asked: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        initial = asked.query.get("sendInitialEvents") == "true"
        since = 0 if initial else int(asked.query.get("resourceVersion") or 0)
        ends = time.monotonic() + float(asked.query.get("timeoutSeconds", 300))

        def wants(key: Key, manifest: Manifest) -> bool:
            same = key.resource == asked.resource
            here = asked.key.namespace in ("", key.namespace)
            return same and here and selected(manifest, asked.query)

        with self.objects.watched(wants, since) as queue:
            if initial:
                while not queue.empty():
                    await response.write(_line(queue.get_nowait().line()))
                await response.write(_line(self._bookmark(asked)))
            while (left := ends - time.monotonic()) > 0:
                try:
                    event = await asyncio.wait_for(queue.get(), left)
                except TimeoutError:
                    break
                await response.write(_line(event.line()))
        return response

    def _bookmark(self, asked: Call) -> Manifest:
        """All that was there has been told."""
        kind = {"apiVersion": asked.resource.group_version, "kind": asked.resource.kind}
        about = {"resourceVersion": str(self.objects.version), "annotations": _ALL_IN}
        return {"type": "BOOKMARK", "object": {**kind, "metadata": about}}


def _line(told: Manifest) -> bytes:
    return json.dumps(told).encode() + b"\n"


@contextmanager
def served(answering: Answering, certificate: Path, key: Path) -> Iterator[str]:
    """On a free port of this machine, in a thread."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loop, ports, ended = asyncio.new_event_loop(), Queue[int](), asyncio.Event()
    thread = Thread(
        target=lambda: loop.run_until_complete(_serve(answering, context, ports, ended))
    )
    thread.start()
    try:
        yield f"https://127.0.0.1:{ports.get(timeout=10)}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


async def _serve(
    answering: Answering, context: ssl.SSLContext, ports: Queue[int], ended: asyncio.Event
) -> None:
    app = web.Application(client_max_size=_MAX_BYTES)
    app.router.add_route("*", "/{path:.*}", answering.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    ports.put(runner.addresses[0][1])
    await ended.wait()
    await runner.cleanup()
