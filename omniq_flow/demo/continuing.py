"""Finding the demo's run that was interrupted, or beginning a new one."""

from __future__ import annotations

import hashlib
import os
import platform
from itertools import count
from pathlib import Path

from omniq_flow.demo.library import Report, survey
from omniq_flow.runtime.index import live_page
from omniq_flow.runtime.keys import SHARDS, keyed_run_id
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.state import Head, head_of

LOOKED_AT = 1000


def begin_or_go_on(session: Session, folder: Path) -> tuple[Run[Report], bool]:
    """Return the demo's run on this server for a folder and the running Python, and whether it was begun before.

    A run that is under way is gone on with, else a new one is started. Its key is numbered, so that two demos that are started at the
    same time share one run. Each folder has a queue of its own, where no other run is before it.
    """
    root = os.fspath(folder)
    place = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    key = f"python-{platform.python_version()}-{place}-"
    for head in _under_way(session):
        if head.flow == survey.name and head.plan == survey.compiled.fingerprint and head.key.startswith(key):
            return survey.handle(head.id, session), True
    number = next(n for n in count(1) if not session.client.run(view(keyed_run_id(survey.name, f"{key}{n}"))).meta)
    return survey.opts(key=f"{key}{number}", queue=f"demo-{place}").start(root=root), False


def _under_way(session: Session) -> list[Head]:
    pages = session.client.run_many([live_page(shard, "", LOOKED_AT) for shard in range(SHARDS)])
    ids = [run_id for page in pages for run_id in page]
    found = session.client.run_many([view(run_id) for run_id in ids])
    heads = [head_of(run_id, raw) for run_id, raw in zip(ids, found, strict=True) if raw.meta]
    return sorted((head for head in heads if head.status == "running"), key=lambda head: -head.created_ms)
