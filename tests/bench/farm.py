"""A client, three workers, and between them whoever spreads the requests: netlab's balancer, nginx or nftables.

All are labs of netlab with the same addresses; only what stands on `lb` differs.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.contenders import NETLAB, run

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
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
NGINX = """
load_module {module};
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


def no_nginx() -> str:
    """Return why nginx cannot take part, or nothing."""
    return _missing("nginx", ("/usr/sbin/nginx", NGINX_MODULE), "nginx, libnginx-mod-stream")


def no_nftables() -> str:
    """Return why nftables cannot take part, or nothing."""
    return _missing("nftables", ("/usr/sbin/nft",), "nftables")


def _missing(name: str, files: tuple[str, ...], packages: str) -> str:
    return "" if all(os.path.exists(file) for file in files) else f"{name}: not installed (Debian packages {packages})"


@contextmanager
def lab(name: str, client: str = "{}", lb: str = "{}", worker: str = "{}") -> Iterator[None]:
    """Bring a lab up, with these settings of its nodes (YAML), and down again."""
    worker = (
        worker.replace("{", "{replicas: " + str(WORKERS) + ", ", 1) if worker != "{}" else f"{{replicas: {WORKERS}}}"
    )
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        file = Path(folder) / "farm.yml"
        file.write_text(TOPOLOGY.format(client=client, lb=lb, worker=worker))
        try:
            run(NETLAB, "up", "--lab", name, file)
            yield
        finally:
            run(NETLAB, "down", "--lab", name)


def balancer(queue: int, capacity: int = SERVERS, trace: int = 0) -> str:
    """Return the node `lb` that is netlab's balancer."""
    ports = f"service_port: {PORT}, completion_port: {COMPLETIONS}"
    args = f"{{{ports}, backends: worker, capacity: {capacity}}}"
    return f"{{role: balancer, args: {args}, xdp: {{program: balancer, define: {{QUEUE: {queue}, TRACE: {trace}}}}}}}"


@contextmanager
def process(lab: str, node: str, *command: str, says: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run a command in a node; wait until it says so, if it is to; end it."""
    inside = ["ip", "netns", "exec", f"{lab}.{node}", *command]
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
def nginx(lab: str, policy: str, responses: int) -> Iterator[None]:
    """Run nginx's stream proxy on `lb`; a session ends after so many answers."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        servers = " ".join(f"server {address}:{PORT};" for address in BACKENDS)
        config = Path(folder) / "nginx.conf"
        config.write_text(
            NGINX.format(
                module=NGINX_MODULE, folder=folder, policy=policy, servers=servers, port=PORT, responses=responses
            )
        )
        with process(lab, "lb", "nginx", "-p", folder, "-c", str(config)):
            await_listener(lab, "lb")
            yield


def await_listener(lab: str, node: str) -> None:
    """Wait until somebody listens on the service's port."""
    deadline = time.monotonic() + DEADLINE_S
    command = ["ip", "netns", "exec", f"{lab}.{node}", "ss", "-Hlun", f"sport = :{PORT}"]
    while not subprocess.run(command, check=True, capture_output=True).stdout:
        if time.monotonic() > deadline:
            raise subprocess.CalledProcessError(1, command)
        time.sleep(0.01)


@contextmanager
def nftables(lab: str) -> Iterator[None]:
    """Let nftables on `lb` send each new flow to the next worker."""
    choices = ", ".join(f"{number} : {address}" for number, address in enumerate(BACKENDS))
    rules = NFTABLES.format(port=PORT, count=WORKERS, choices=choices)
    with tempfile.NamedTemporaryFile("w", prefix="netlab-bench-", suffix=".nft") as file:
        file.write(rules)
        file.flush()
        run("ip", "netns", "exec", f"{lab}.lb", "nft", "-f", file.name)
        yield
