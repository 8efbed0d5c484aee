"""A client, three workers, and between them whoever spreads the requests: netlab's balancer, nginx or nftables.

All are labs of netlab with the same addresses; only what stands on `lb` differs.
"""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.contenders import LAB, NETLAB, run

WORKERS = 3
SERVERS = 5  # of each worker
PORT, COMPLETIONS = 8080, 9090
LB = "10.0.0.2"
BACKENDS = tuple(f"10.0.{number}.1" for number in range(1, WORKERS + 1))
DEADLINE_S = 20.0

TOPOLOGY = """
name: farm
nodes:
  client: {client}
  lb: {lb}
  worker: {worker}
links:
  - [client, lb]
  - [worker, lb]
"""
NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 8192; }}
stream {{
    upstream workers {{ {policy} {servers} }}
    server {{ listen {port} udp; proxy_pass workers; proxy_responses {responses}; proxy_timeout 60s; }}
}}
"""
NFTABLES = """
table ip spread {{
    chain incoming {{
        type nat hook prerouting priority dstnat
        udp dport {port} dnat to numgen inc mod {count} map {{ {choices} }}
    }}
}}
"""


def lacking(*tools: str) -> list[str]:
    """Return which of these are not installed, also where only root's PATH leads."""
    path = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
    return [tool for tool in tools if shutil.which(tool, path=path) is None]


@contextmanager
def lab(client: str = "{}", lb: str = "{}", worker: str = "{}") -> Iterator[None]:
    """Bring the lab up, with these settings of its nodes (YAML), and down again."""
    worker = (
        worker.replace("{", "{replicas: " + str(WORKERS) + ", ", 1) if worker != "{}" else f"{{replicas: {WORKERS}}}"
    )
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        file = Path(folder) / "farm.yml"
        file.write_text(TOPOLOGY.format(client=client, lb=lb, worker=worker))
        try:
            run(NETLAB, "up", "--lab", LAB, file)
            yield
        finally:
            run(NETLAB, "down", "--lab", LAB)


def balancer(queue: int, capacity: int = SERVERS, trace: int = 0) -> str:
    """Return the node `lb` that is netlab's balancer."""
    ports = f"service_port: {PORT}, completion_port: {COMPLETIONS}"
    args = f"{{{ports}, backends: worker, capacity: {capacity}}}"
    return f"{{role: balancer, args: {args}, xdp: {{program: balancer, define: {{QUEUE: {queue}, TRACE: {trace}}}}}}}"


@contextmanager
def process(node: str, *command: str, says: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run a command in a node; wait until it says so, if it is to; end it."""
    inside = ["ip", "netns", "exec", f"{LAB}.{node}", *command]
    running = subprocess.Popen(inside, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert running.stdout
    try:
        if says and running.stdout.readline().strip() != says:
            raise subprocess.CalledProcessError(running.wait(), inside)
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(DEADLINE_S)
        finally:
            running.kill()
            running.stdout.close()


@contextmanager
def nginx(policy: str, responses: int) -> Iterator[None]:
    """Run nginx's stream proxy on `lb`; a session ends after so many answers."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        servers = " ".join(f"server {address}:{PORT};" for address in BACKENDS)
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, policy=policy, servers=servers, port=PORT, responses=responses))
        with process("lb", "nginx", "-p", folder, "-c", str(config)):
            await_listener("lb")
            yield


def await_listener(node: str) -> None:
    """Wait until somebody listens on the service's port."""
    deadline = time.monotonic() + DEADLINE_S
    command = ["ip", "netns", "exec", f"{LAB}.{node}", "ss", "-Hlun", f"sport = :{PORT}"]
    while not subprocess.run(command, check=True, capture_output=True).stdout:
        if time.monotonic() > deadline:
            raise subprocess.CalledProcessError(1, command)
        time.sleep(0.01)


@contextmanager
def nftables() -> Iterator[None]:
    """Let nftables on `lb` send each new flow to the next worker."""
    choices = ", ".join(f"{number} : {address}" for number, address in enumerate(BACKENDS))
    rules = NFTABLES.format(port=PORT, count=WORKERS, choices=choices)
    with tempfile.NamedTemporaryFile("w", prefix="netlab-bench-", suffix=".nft") as file:
        file.write(rules)
        file.flush()
        run("ip", "netns", "exec", f"{LAB}.lb", "nft", "-f", file.name)
        yield
