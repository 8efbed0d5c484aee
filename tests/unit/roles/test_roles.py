"""The roles as processes of their own, over loopback: what they send, what they print, what they survive."""

import os
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

import pytest

from netlab.role import STAMPED, ready, say
from netlab.testing.waiting import PATIENCE_S
from tests.checkout import ROOT


class Role:
    """A running role, whose lines can be waited for."""

    def __init__(self, name: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, f"{ROOT}/roles/{name}.py", *options],
            env={**os.environ, "PYTHONPATH": ROOT}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))

    def wait(self, pattern: str, count: int = 1) -> "re.Match[str]":
        """Return the last of `count` lines that match, which may all have been printed before."""
        end = time.monotonic() + PATIENCE_S
        while len(found := [match for line in self.lines if (match := re.fullmatch(pattern, line))]) < count:
            try:
                self.lines.append(self._queue.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"no line {pattern!r} among {self.lines}")
        return found[count - 1]

    def end(self) -> int:
        return self.process.wait(PATIENCE_S)


Starter = Callable[..., Role]


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start roles, and end them with the test."""
    roles: list[Role] = []

    def starter(name: str, *options: str) -> Role:
        roles.append(Role(name, *options))
        return roles[-1]

    yield starter
    for role in roles:
        role.process.kill()
        role.process.wait()
        role.reader.join(PATIENCE_S)
        if role.process.stdout:
            role.process.stdout.close()


def listener(family: int = socket.AF_INET) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind(("localhost" if family == socket.AF_INET else "::1", 0))
    made.settimeout(PATIENCE_S)
    return made


def port_of(made: socket.socket) -> int:
    port: int = made.getsockname()[1]
    return port


def free_port() -> int:
    with listener() as made:
        return port_of(made)


# The client.


def test_the_client_prints_what_it_sends(start: Starter) -> None:
    with listener() as service:
        where = f"127.0.0.1:{port_of(service)}"
        client = start("client", "--target", where, "--count", "3", "--interval", "0", "--sleep", "1")
        assert client.end() == 0
        received = [service.recv(2000) for _ in range(3)]

    client.wait(r"sent 3 requests in \d+\.\d{3} s")
    assert [b"1"] * 3 == received
    assert ["ready", *(f'request #{number} to {where}: "1" (1 byte)' for number in (1, 2, 3))] == client.lines[:4]


def test_sleep_times_of_a_range_are_within_it_and_repeatable(start: Starter) -> None:
    def draws(*options: str) -> list[bytes]:
        with listener() as service:
            target = ("--target", f"localhost:{port_of(service)}")
            assert start("client", *target, "--interval", "0", "--count", "20", *options).end() == 0
            return [service.recv(2000) for _ in range(20)]

    one, same = (draws("--sleep", "0.2", "0.5", "--seed", "7") for _ in range(2))
    other, tiny = draws("--sleep", "0.2", "0.5"), draws("--sleep", "0.0004", "0.0006")

    assert one == same != other
    assert all(0.2 <= float(text) <= 0.5 and len(text) <= 5 for text in one)
    assert len(set(one)) > 10
    assert all(0.0004 <= float(text) <= 0.0006 for text in tiny)


@pytest.mark.parametrize(
    ("sleep", "text"), [("1", b"1"), ("0.25", b"0.25"), ("10", b"10"), ("1e-3", b"0.001"), ("0", b"0")]
)
def test_one_digit_is_one_byte_and_no_number_has_noise(start: Starter, sleep: str, text: bytes) -> None:
    with listener() as service:
        start("client", "--target", f"127.0.0.1:{port_of(service)}", "--count", "1", "--sleep", sleep)
        assert text == service.recv(2000)


def test_padding(start: Starter) -> None:
    with listener() as service:
        target = ("--target", f"127.0.0.1:{port_of(service)}")
        client = start("client", *target, "--count", "1", "--sleep", "0.25", "--payload", "1472")
        assert b"0.25" + b" " * 1468 == service.recv(2000)
        client.wait(r'request #1 to \S+: "0\.25" \(1472 bytes\)')
        start("client", *target, "--count", "1", "--sleep", "0.25", "--payload", "3")
        assert service.recv(2000) == b"0.25"


def test_requests_leave_on_schedule(start: Starter) -> None:
    with listener() as service:
        client = start("client", "--target", f"127.0.0.1:{port_of(service)}", "--count", "11", "--interval", "0.02")
        client.end()

    took = float(client.wait(r"sent 11 requests in (\S+) s")[1])
    assert took >= 0.2


def test_a_client_that_nobody_hears_goes_on(start: Starter) -> None:
    client = start("client", "--target", f"127.0.0.1:{free_port()}", "--count", "20", "--interval", "0.001")

    assert client.end() == 0
    client.wait("refused: nobody listens .*")
    client.wait("sent 20 requests in .*")


def test_a_client_says_which_request_could_not_be_sent(start: Starter) -> None:
    client = start("client", "--target", "127.255.255.255:9", "--count", "2", "--interval", "0")
    assert client.end() == 1
    client.wait(r"client: cannot reach 127\.255\.255\.255: Permission denied")


@pytest.mark.parametrize("name", ["no-such-node.invalid", "x" * 70])
@pytest.mark.parametrize("role", ["client", "worker"])
def test_a_name_that_does_not_resolve(start: Starter, role: str, name: str) -> None:
    option = "--target" if role == "client" else "--balancer"
    failing = start(role, option, f"{name}:8080", *(("--port", str(free_port())) if role == "worker" else ()))

    assert failing.end() == 1
    failing.wait(rf"{role}: cannot (reach|find) {name}: .+")
    assert len(failing.lines) == 1


def test_ctrl_c_ends_the_client_with_its_sum(start: Starter) -> None:
    with listener() as service:
        client = start("client", "--target", f"127.0.0.1:{port_of(service)}", "--interval", "1000")
        client.wait("request #1 .*")
        client.process.send_signal(signal.SIGINT)
        assert client.end() == 130

    client.wait("sent [01] requests? in .*")  # the line about a request comes before it


def test_the_client_speaks_ipv6(start: Starter) -> None:
    with listener(socket.AF_INET6) as service:
        client = start("client", "--target", f"[::1]:{port_of(service)}", "--count", "1", "--sleep", "2")
        assert service.recv(100) == b"2"
        client.wait(r'request #1 to \[::1\]:\d+: "2" \(1 byte\)')


# The worker.


class Bench:
    """A worker, its balancer, and a client to send what we like."""

    def __init__(self, start: Starter, *options: str) -> None:
        self.balancer = listener()
        self.client = listener()
        self.port = free_port()
        where = ("--port", str(self.port), "--balancer", f"localhost:{port_of(self.balancer)}")
        self.worker = start("worker", *where, *options)
        self.worker.wait("ready")

    def send(self, data: bytes) -> None:
        self.client.sendto(data, ("127.0.0.1", self.port))

    def completions(self, count: int) -> list[tuple[bytes, tuple[str, int]]]:
        return [self.balancer.recvfrom(2000) for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.balancer.close()
        self.client.close()


def test_the_worker_prints_sleeps_and_completes(start: Starter) -> None:
    with Bench(start, "--threads", "1") as bench:
        me = f"127.0.0.1:{port_of(bench.client)}"
        bench.send(b"0.25")
        begun = time.monotonic()
        bench.send(b"0.1")
        completions = bench.completions(2)
        slept_s = time.monotonic() - begun
        bench.worker.wait("finished .*", 2)

    assert [
        "ready",
        f'received #1 from {me}: "0.25" (4 bytes), thread 1 sleeps 0.25 s',
        "finished #1: thread 1 slept 0.25 s, 0.25 s so far; all threads 0.25 s so far",
        f'received #2 from {me}: "0.1" (3 bytes), thread 1 sleeps 0.1 s',
        "finished #2: thread 1 slept 0.1 s, 0.35 s so far; all threads 0.35 s so far",
    ] == bench.worker.lines
    assert slept_s >= 0.3
    assert [(b"0.25", ("127.0.0.1", bench.port)), (b"0.35", ("127.0.0.1", bench.port))] == completions


def test_five_threads_serve_five_requests_at_a_time(start: Starter) -> None:
    with Bench(start) as bench:
        for _ in range(10):
            bench.send(b"0.3")
        bench.completions(10)
        bench.worker.wait("finished .*", 10)

    kinds = [line.split()[0] for line in bench.worker.lines[1:]]
    assert kinds[:5] == ["received"] * 5  # and nothing has ended yet
    threads = [line.split("thread ")[1].split()[0] for line in bench.worker.lines[1:6]]
    assert sorted(threads) == ["1", "2", "3", "4", "5"]
    totals = [float(line.rsplit("threads ", 1)[1].split()[0]) for line in bench.worker.lines if line[0] == "f"]
    assert totals == sorted(totals)
    assert totals[-1] == 3.0


@pytest.mark.parametrize(
    ("data", "shown", "verdict"),
    [
        (b"0" + b" " * 1471, '"0" (1472 bytes)', "sleeps 0 s"),
        (b"0.001\0\0", '"0.001\\u0000\\u0000" (7 bytes)', "sleeps 0.001 s"),
        (b"0\n", '"0\\n" (2 bytes)', "sleeps 0 s"),
        (b".01", '".01" (3 bytes)', "sleeps 0.01 s"),
        (b"", '"" (0 bytes)', "refuses: not a number"),
        (b"abc", '"abc" (3 bytes)', "refuses: not a number"),
        (b"0 0", '"0 0" (3 bytes)', "refuses: not a number"),
        (b"1_0", '"1_0" (3 bytes)', "refuses: not a number"),
        (b"nan", '"nan" (3 bytes)', "refuses: not a number"),
        (b"inf", '"inf" (3 bytes)', "refuses: not a number"),
        (b"0x1", '"0x1" (3 bytes)', "refuses: not a number"),
        (b"-1", '"-1" (2 bytes)', "refuses: negative"),
        (b"3601", '"3601" (4 bytes)', "refuses: longer than 3600 s"),
        (b"9" * 1400, '"' + "9" * 64 + '"... (1400 bytes)', "refuses: not a number"),
        (b"\xff\x1b[2J\"'\\", '"\\u00ff\\u001b[2J\\"\'\\\\" (8 bytes)', "refuses: not a number"),
        ("\u0661".encode(), '"\\u00d9\\u00a1" (2 bytes)', "refuses: not a number"),
        # whose bytes as the test's name would be too long for the environment of what it starts
        pytest.param(bytes(range(256)) * 200, None, "refuses: not a number", id="every byte"),
    ],
)
def test_any_data_is_shown_and_completed(start: Starter, data: bytes, shown: str | None, verdict: str) -> None:
    with Bench(start, "--threads", "1") as bench:
        bench.send(data)
        bench.send(b"0")
        bench.completions(2)
        bench.worker.wait("finished #2.*")

    about, _, rest = bench.worker.lines[1].partition(", thread 1 ")
    assert verdict == rest
    if shown is not None:
        assert shown == about.partition(": ")[2]


def test_every_packet_is_completed_exactly_once(start: Starter) -> None:
    with Bench(start, "--threads", "8") as bench:
        for at in range(200):
            bench.send(b"0" if at % 2 else b"garbage")
        bench.completions(200)
        bench.worker.process.send_signal(signal.SIGTERM)
        assert bench.worker.end() == 0
        bench.worker.wait("stopped: received 200, completed 200, slept 0 s")
        bench.balancer.setblocking(False)
        with pytest.raises(BlockingIOError):
            bench.balancer.recv(1)

    numbers = {line.split()[1] for line in bench.worker.lines if line.startswith("received")}
    assert {f"#{number}" for number in range(1, 201)} == numbers


def test_the_worker_ends_at_once(start: Starter) -> None:
    with Bench(start) as bench:
        bench.send(b"0")
        bench.send(b"3600")
        bench.worker.wait("received .* sleeps 3600 s")
        bench.worker.wait("finished .*")
        bench.worker.process.send_signal(signal.SIGTERM)

        assert bench.worker.end() == 0

    bench.worker.wait("stopped: received 2, completed 1, slept 0 s")


def test_a_balancer_that_is_not_there_does_not_stop_the_worker(start: Starter) -> None:
    with Bench(start) as bench:
        bench.balancer.close()
        for _ in range(20):
            bench.send(b"0.001")
        bench.worker.wait("finished .*", 20)


def test_a_worker_without_a_balancer_sends_nothing(start: Starter) -> None:
    port = free_port()
    worker = start("worker", "--port", str(port))
    worker.wait("ready")
    with listener() as client:
        client.sendto(b"0", ("127.0.0.1", port))
        worker.wait("finished #1.*")
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)


REPORT = struct.Struct("!4sIIIQ4I")


class Report(NamedTuple):
    """What a worker reports, bpf/balancer/report.h, without digests."""

    magic: bytes
    received: int
    completed: int
    listed: int
    incarnation: int
    hears: int
    marker: int
    sent: int
    before: int

    def mark(self, number: int, sent: int) -> bytes:
        """Return the marker that the balancer makes of it, with something behind."""
        return REPORT.pack(*self._replace(magic=b"NLM1", marker=number, sent=sent)) + b"digests"


class Reporting(Bench):
    """The same, and where the worker reports to."""

    def __init__(self, start: Starter, *options: str) -> None:
        self.reports = listener()
        super().__init__(start, "--report", f"localhost:{port_of(self.reports)}", *options)

    def until(self, condition: Callable[[Report], bool]) -> Report:
        """Wait for a report."""
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            if condition(report := Report(*REPORT.unpack_from(self.reports.recv(2000)))):
                return report
        pytest.fail("no such report comes")

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.reports.close()


def test_a_worker_reports_what_came_before_a_marker(start: Starter) -> None:
    """Which is neither printed, nor counted, nor completed; the last one is in every report."""
    with Reporting(start, "--threads", "1") as bench:
        first = bench.until(lambda report: True)
        assert first == Report(b"NLR1", 0, 0, 0, first.incarnation, 1, 0, 0, 0)
        bench.send(b"0")
        bench.send(first.mark(4, 9))
        bench.send(b"0")
        assert bench.until(lambda report: report.marker == 4)[-3:] == (4, 9, 1)
        assert bench.until(lambda report: report.completed == 2)[-3:] == (4, 9, 1)
        bench.completions(2)
        bench.worker.wait("finished #2.*")
        bench.balancer.setblocking(False)
        with pytest.raises(BlockingIOError):
            bench.balancer.recv(1)

    assert [line.split()[0] for line in bench.worker.lines] == ["ready", *["received", "finished"] * 2]


@pytest.mark.parametrize("forged", ["another's", "none", "cut short"])
def test_a_marker_that_the_balancer_has_not_sent_is_a_request(start: Starter, forged: str) -> None:
    """Only the balancer knows the incarnation."""
    with Reporting(start) as bench:
        first = bench.until(lambda report: True)
        marker = first.mark(1, 5)
        bench.send(
            {
                "another's": first._replace(incarnation=first.incarnation ^ 1).mark(1, 5),
                "none": b"NLM1",
                "cut short": marker[: REPORT.size - 1],
            }[forged]
        )

        assert bench.until(lambda report: report.completed == 1)[-3:] == (0, 0, 0)
        bench.worker.wait('received #1 from .*: "NLM1.* refuses: not a number')


def test_a_worker_that_does_not_report_knows_no_markers(start: Starter) -> None:
    with Bench(start) as bench:
        bench.send(Report(b"", 0, 0, 0, 0, 1, 0, 0, 0).mark(1, 5))
        bench.completions(1)


def test_an_incarnation_cannot_be_guessed(start: Starter) -> None:
    """Not from the time: that of two workers which start one after the other has nothing in common."""
    with Reporting(start) as one, Reporting(start) as other:
        found = [each.until(lambda report: True).incarnation for each in (one, other)]

    assert 0 not in found
    assert found[0] >> 40 != found[1] >> 40


def test_requests_are_counted_in_the_order_in_which_they_come(start: Starter) -> None:
    """Whichever thread reads a marker: all requests before it are counted then, and none behind it."""
    with Reporting(start, "--threads", "16") as bench:
        first = bench.until(lambda report: True)
        told: dict[int, int] = {}
        for number in range(1, 1001):
            bench.send(b"0")
            bench.send(first.mark(number, number))
            while not number % 25 and len(told) < number:  # no more at a time than a socket holds
                report = bench.until(lambda report: report.marker > len(told))
                told[report.marker] = report.before

    assert told == {number: number for number in range(1, 1001)}


def test_a_worker_hears_ipv6_too(start: Starter) -> None:
    with Bench(start) as bench, listener(socket.AF_INET6) as client:
        client.sendto(b"0", ("::1", bench.port))
        bench.worker.wait(rf"received #1 from \[::1\]:{port_of(client)}: .*")
        bench.completions(1)


def test_a_port_in_use_is_an_error_in_words(start: Starter) -> None:
    with listener() as other:
        worker = start("worker", "--port", str(port_of(other)))
        assert worker.end() == 1
        worker.wait(r"worker: cannot listen on port \d+: Address already in use")


@pytest.mark.parametrize("redirect", [">&-", "| true"])
def test_roles_outlive_their_reader(redirect: str) -> None:
    """A closed stdout, and one that nobody reads any more, stop neither role."""
    port = free_port()
    with listener() as balancer:
        environment = {**os.environ, "PYTHONPATH": ROOT, "PYTHON": sys.executable, "ROLES": f"{ROOT}/roles"}
        worker = f'"$PYTHON" "$ROLES/worker.py" --port {port} --balancer 127.0.0.1:{port_of(balancer)}'
        client = f'"$PYTHON" "$ROLES/client.py" --target 127.0.0.1:{port} --count 200 --interval 0.02 --sleep 0'
        script = f"{{ {worker} & echo $! >&3; wait; }} 3>&2 {redirect}"
        serving = subprocess.Popen(["sh", "-c", script], env=environment, stderr=subprocess.PIPE, text=True)
        assert serving.stderr
        pid = int(serving.stderr.readline())
        sending = subprocess.Popen(["sh", "-c", f"{client} {redirect}"], env=environment, start_new_session=True)
        try:
            for _ in range(20):
                balancer.recv(100)
        finally:
            os.kill(pid, signal.SIGTERM)
            serving.wait(PATIENCE_S)
            serving.stderr.close()
            os.killpg(sending.pid, signal.SIGTERM)
            sending.wait(PATIENCE_S)


@pytest.mark.parametrize(
    ("role", "options", "message"),
    [
        ("client", [], "required: --target"),
        ("client", ["--target", "lb"], "--target"),
        ("client", ["--target", "lb:1", "--payload", "65508"], "--payload"),
        ("client", ["--target", "lb:1", "--sleep", "-1"], "--sleep"),
        ("client", ["--target", "lb:1", "--sleep", "1", "2", "3"], "--sleep"),
        ("worker", ["--threads", "0"], "--threads"),
        ("worker", ["--port", "70000"], "--port"),
        ("worker", ["--speed", "1"], "--speed"),
    ],
)
def test_a_wrong_command_line_is_refused(start: Starter, role: str, options: list[str], message: str) -> None:
    wrong = start(role, *options)

    assert wrong.end() == 2
    wrong.wait(f".*{message}.*")


def test_ready_is_said_to_who_waits_for_it(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The supervisor hears its word, with a stamp; a person who runs a role in the foreground reads another."""
    ready()
    monkeypatch.setenv(STAMPED, "1")
    ready()
    alone, supervised = capfd.readouterr().out.splitlines()

    assert "ready" == alone
    assert re.fullmatch(r"@\d+ READY", supervised)


def test_what_a_line_says_is_behind_it_as_data(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The supervisor gets both, with the size of the second; a person reads the line."""
    say("FIN: seq 5", "Fin", seq=5)
    monkeypatch.setenv(STAMPED, "1")
    say("FIN: seq 5", "Fin", seq=5)
    alone, supervised = capfd.readouterr().out.splitlines()

    assert "FIN: seq 5" == alone
    assert re.fullmatch(r'@\d+=38 FIN: seq 5\{"event": "Fin", "values": \{"seq": 5\}\}', supervised)
