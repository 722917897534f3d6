"""What more primaries do: fan-outs in six queues on clusters of one, two and three of them, and whether the work is shared evenly.

The queues' slots lie evenly among the primaries, as those of many queues with any names do; runs lie where their ids put them.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Final

from catalogue import SIDES
from crew import Crew
from figure_files import keep
from homes import Home
from machine import server_name, surroundings
from redis.crc import key_slot
from stand import DURABLE, PATIENCE_S

from omniq_flow.testing.clusters import SLOTS, RunningCluster, start_cluster
from omniq_flow.testing.servers import Kind

PRIMARIES: Final = (1, 2, 3)
QUEUES: Final = 6
WORKERS: Final = 2
RUNS: Final = 60
CHILDREN: Final = 200


def run(kind: Kind, repeats: int) -> bool:
    """Measure each size of cluster, and on the largest one what a single queue costs its primary."""
    for count in PRIMARIES:
        told = _cluster(kind, count, even_queues(QUEUES), repeats)
        keep("cluster", ["primaries", str(count)], told)
        _print(f"{count} primaries", told)
    told = _cluster(kind, PRIMARIES[-1], even_queues(1), repeats)
    keep("cluster", ["one_queue"], told)
    _print("one queue only", told)
    keep("cluster", ["ran"], surroundings() | {"workers": WORKERS, "queues": QUEUES})
    return True


def _cluster(kind: Kind, count: int, queues: Sequence[str], repeats: int) -> dict[str, Any]:
    side, steps = SIDES["ours"], RUNS * CHILDREN
    with start_cluster(kind, *DURABLE, primaries=count) as cluster:
        crew = Crew(f"{count} primaries", {"BENCHMARK_PORT": str(cluster.primaries[0].port), "BENCHMARK_QUEUES": ",".join(queues)})
        try:
            worker = side.command(Home(side).interpreter, "worker", "fan", cluster.url)
            for _ in range(WORKERS):
                crew.add_worker([*worker, *(word for queue in queues for word in ("--queue", queue))])
            crew.start_client(side.command(Home(side).interpreter, "client", "fan", cluster.url))
            crew.ask("fans", (QUEUES, 20), PATIENCE_S)
            before, workers_before = _spent(cluster), crew.worker_cpu_s()
            seconds = [crew.ask("fans", (RUNS, CHILDREN), PATIENCE_S)["seconds"] for _ in range(repeats)]
            spent = [
                (cpu - cpu_before, sent - sent_before)
                for (cpu, sent), (cpu_before, sent_before) in zip(_spent(cluster), before, strict=True)
            ]
            worked = crew.worker_cpu_s() - workers_before
        finally:
            crew.close()
        in_all_s = sum(cpu_s for cpu_s, _ in spent)
        return {
            "median": round(steps / statistics.median(seconds)),
            "least": round(steps / max(seconds)),
            "most": round(steps / min(seconds)),
            "server_us": round(in_all_s / steps / repeats * 1e6, 1),
            "worker_us": round(worked / steps / repeats * 1e6, 1),
            "bytes": round(sum(sent for _, sent in spent) / steps / repeats),
            "cpu_shares": [round(cpu_s / in_all_s, 3) for cpu_s, _ in spent],
            "server": server_name(cluster.primaries[0]),
        }


def _print(what: str, told: dict[str, Any]) -> None:
    shares = ", ".join(f"{share:.0%}" for share in told["cpu_shares"])
    print(
        f"  {what}: {told['median']:,} steps/s ({told['least']:,} to {told['most']:,}); us a step: servers {told['server_us']}, workers "
        f"{told['worker_us']}; {told['bytes']:,} bytes; shares of the servers' work: {shares}",
        flush=True,
    )


def even_queues(count: int) -> list[str]:
    """Return names of queues, one in each of so many equal parts of all slots."""
    names: dict[int, str] = {}
    number = 0
    while len(names) < count:
        name = f"q{number}"
        names.setdefault(key_slot(name.encode()) * count // SLOTS, name)
        number += 1
    return [names[part] for part in sorted(names)]


def _spent(cluster: RunningCluster) -> list[tuple[float, int]]:
    """Return the processor time that each primary has taken, and the bytes that it has read and written."""
    spent = []
    for node in cluster.primaries:
        with node.client() as client:
            cpu: dict[str, Any] = client.info("cpu")
            traffic: dict[str, Any] = client.info("stats")
        spent.append((cpu["used_cpu_user"] + cpu["used_cpu_sys"], traffic["total_net_input_bytes"] + traffic["total_net_output_bytes"]))
    return spent
