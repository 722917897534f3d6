"""What more primaries do: fan-outs in six queues on clusters of one, two and three of them, and whether the work is shared evenly.

The queues' slots lie evenly among the primaries, as those of many queues with any names do; runs lie where their ids put them.
"""

from __future__ import annotations

import statistics
from typing import Any, Final

from catalogue import SIDES
from crew import Crew
from figure_files import keep
from homes import Home
from machine import server_name, surroundings
from redis.crc import key_slot
from stand import DURABLE, PATIENCE_S

from omniq_flow.testing.clusters import SLOTS, RunningCluster, start_cluster
from omniq_flow.testing.servers import Kind, RunningServer

PRIMARIES: Final = (1, 2, 3)
QUEUES: Final = 6
WORKERS: Final = 2
RUNS: Final = 60
CHILDREN: Final = 200


def run(kind: Kind, repeats: int) -> bool:
    """Measure each size of cluster."""
    for count in PRIMARIES:
        told = _cluster(kind, count, repeats)
        keep("cluster", ["primaries", str(count)], told)
        keep("cluster", ["ran"], surroundings() | {"server": told.pop("server"), "workers": WORKERS, "queues": QUEUES})
        shares = ", ".join(f"{share:.0%}" for share in told["cpu_shares"])
        print(
            f"  {count} primaries: {told['median']:,} steps/s ({told['least']:,} to {told['most']:,}); us a step: servers "
            f"{told['server_us']}, workers {told['worker_us']}; shares of the servers' work: {shares}",
            flush=True,
        )
    return True


def _cluster(kind: Kind, count: int, repeats: int) -> dict[str, Any]:
    side, steps = SIDES["ours"], RUNS * CHILDREN
    queues = even_queues(QUEUES)
    with start_cluster(kind, *DURABLE, primaries=count) as cluster:
        crew = Crew(f"{count} primaries", {"BENCHMARK_PORT": str(cluster.primaries[0].port), "BENCHMARK_QUEUES": ",".join(queues)})
        try:
            worker = side.command(Home(side).interpreter, "worker", "fan", cluster.url)
            for _ in range(WORKERS):
                crew.add_worker([*worker, *(word for queue in queues for word in ("--queue", queue))])
            crew.start_client(side.command(Home(side).interpreter, "client", "fan", cluster.url))
            crew.ask("fans", (QUEUES, 20), PATIENCE_S)
            before, workers_before = _cpu_s(cluster), crew.worker_cpu_s()
            seconds = [crew.ask("fans", (RUNS, CHILDREN), PATIENCE_S)["seconds"] for _ in range(repeats)]
            spent = [after - was for after, was in zip(_cpu_s(cluster), before, strict=True)]
            worked = crew.worker_cpu_s() - workers_before
        finally:
            crew.close()
        return {
            "median": round(steps / statistics.median(seconds)),
            "least": round(steps / max(seconds)),
            "most": round(steps / min(seconds)),
            "server_us": round(sum(spent) / steps / repeats * 1e6, 1),
            "worker_us": round(worked / steps / repeats * 1e6, 1),
            "cpu_shares": [round(each / sum(spent), 3) for each in spent],
            "server": server_name(cluster.primaries[0]),
        }


def even_queues(count: int) -> list[str]:
    """Return names of queues, one in each of so many equal parts of all slots."""
    names: dict[int, str] = {}
    number = 0
    while len(names) < count:
        name = f"q{number}"
        names.setdefault(key_slot(name.encode()) * count // SLOTS, name)
        number += 1
    return [names[part] for part in sorted(names)]


def _cpu_s(cluster: RunningCluster) -> list[float]:
    return [_one_cpu_s(node) for node in cluster.primaries]


def _one_cpu_s(node: RunningServer) -> float:
    with node.client() as client:
        said: dict[str, Any] = client.info("cpu")
    return float(said["used_cpu_user"] + said["used_cpu_sys"])
