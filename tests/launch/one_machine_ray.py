"""A real Ray on this machine alone: a head without places and some nodes with one each. For tests.

    python tests/launch/one_machine_ray.py NODES

Prints its address and the process of each node, as JSON, and ends when its standard input does.
"""

from __future__ import annotations

import json
import sys

from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(int(sys.argv[1]))]
    raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]  # each starts the workers of its node
    print(json.dumps({"address": cluster.address, "nodes": raylets}), flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
