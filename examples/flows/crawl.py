"""An asyncio crawl of a small site, which this file serves itself on the loopback: fetch every page, read every page, join what they say.

    python examples/flows/crawl.py

`read` runs over the results of `fetch`: a fan-out over a fan-out. All fetches wait on one event loop, none in a thread.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urljoin, urlsplit

from omniq_flow import flow, step, worker

SLOW_S = 0.2
TITLE = re.compile(r"<title>(.*?)</title>")
LINK = re.compile(r'href="([^"#]+)"')


@dataclass(frozen=True)
class Response:
    """What a server answered."""

    url: str
    status: int
    html: str


@dataclass(frozen=True)
class Page:
    """What a page says of itself and where it leads."""

    url: str
    status: int
    title: str
    links: list[str]


@dataclass(frozen=True)
class Site:
    """What all pages say together; a link is broken when its page is not there."""

    pages: int
    links: int
    most_linked: list[tuple[str, int]]
    broken: list[tuple[str, str]]


@step(retries=3, backoff=0.1, timeout=10)
async def sitemap(root: str) -> list[str]:
    response = await get(urljoin(root, "/sitemap.txt"))
    return [urljoin(root, path) for path in response.html.split()]


@step(retries=3, backoff=0.1, timeout=10)
async def fetch(url: str) -> Response:
    return await get(url)


@step
def read(response: Response) -> Page:
    title = TITLE.search(response.html)
    links = [urljoin(response.url, link) for link in LINK.findall(response.html)]
    return Page(response.url, response.status, title[1] if title else "", links)


@step
def survey(pages: list[Page]) -> Site:
    there = {page.url for page in pages if page.status == HTTPStatus.OK}
    linked = Counter(link for page in pages for link in page.links)
    broken = [(page.url, link) for page in pages for link in page.links if link not in there]
    return Site(len(there), linked.total(), linked.most_common(3), broken)


@flow
def crawl(root: str) -> Site:
    return survey(read.map(fetch.map(sitemap(root))))


async def get(url: str) -> Response:
    """Fetch a page over plain HTTP/1.0: one request, one answer, closed."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return Response(url, int(head.split()[1]), body)


def site() -> dict[str, str]:
    """Return a small encyclopaedia by path; its pages name each other, and one names a page that was never written."""
    towns = {"Aalto": "Brno Cork", "Brno": "Cork Derby", "Cork": "Aalto Eger", "Derby": "Eger", "Eger": "Faro Cork", "Faro": "Atlantis"}
    rivers = {"Rhine": "Derby Faro", "Svratka": "Brno Cork", "Lee": "Cork"}
    pages = {f"/{name.lower()}.html": page(name, links.split()) for name, links in (towns | rivers).items()}
    pages["/"] = page("Towns and rivers", [*towns, *rivers])
    pages["/sitemap.txt"] = "\n".join(path for path in pages)
    return pages


def page(title: str, names: list[str]) -> str:
    links = " ".join(f'<a href="/{name.lower()}.html">{name}</a>' for name in names)
    return f"<html><title>{title}</title><body><h1>{title}</h1>See {links}.</body></html>"


@contextmanager
def served(pages: dict[str, str]) -> Generator[str]:
    """Serve pages on a free port of the loopback, each after a pause, and give the site's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(SLOW_S)
            found = pages.get(self.path)
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            self.end_headers()
            self.wfile.write((found or "not here").encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the standard library gives it
            """Say nothing: the crawler tells what it found."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # the crawler comes with all its requests at once

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, name="site")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def show(found: Site, root: str) -> None:
    print(f"{found.pages} pages, {found.links} links")
    for url, count in found.most_linked:
        print(f"  {count} links lead to {url.removeprefix(root)}")
    for url, link in found.broken:
        print(f"  broken: {url.removeprefix(root)} leads to {link.removeprefix(root)}, which is not there")


def main() -> None:
    with served(site()) as root, worker(crawl):
        run = crawl.start(root=root)
        found = run.result(timeout=60)
        fetched = next(node for node in run.nodes() if node.name == "fetch")
    print(run.graph())
    print()
    show(found, root)
    if fetched.began_ms is not None and fetched.ended_ms is not None:
        waits = (fetched.total or 0) * SLOW_S * 1000
        print(f"  fetched in {fetched.ended_ms - fetched.began_ms} ms what takes {waits:.0f} ms one after the other")


if __name__ == "__main__":
    main()
