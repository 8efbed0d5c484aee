"""The balancer and its model side by side: each step is taken by both, and compared."""

import socket
from collections.abc import Sequence
from typing import Any

from tests.bpf import frames
from tests.bpf.claims import source_of
from tests.bpf.model import DEAF, HEARD, Expected, Model
from tests.bpf.rig import DROP, PASS, REDIRECT, SERVICE, Rig, address_of, completion

MANY = 3000  # flows, far below those that the program has room for: none is forgotten by itself


class Both:
    """A rig that was just reset, or begun again, and a model with the same settings."""

    def __init__(self, rig: Rig, capacity: Sequence[int], policy: str = "most-free", **settings: Any) -> None:
        self.rig = rig
        self.model = Model(capacity, policy, rig.now().queue, **settings)

    def arrive(self, frame: bytes, from_home: bool = True) -> Expected:
        """Let a frame come in, from where the backends live or from elsewhere; return what had to become of it."""
        if from_home:
            run = self.rig.program.test_run(frame)
        else:
            with self.rig.backends_elsewhere():
                run = self.rig.program.test_run(frame)
        expected = self.model.arrive(frame, run.packet, from_home)
        if expected.reason == HEARD:
            return self._heard(frame, run.verdict, run.packet)
        assert (run.verdict, run.packet) == (expected.verdict, expected.packet or run.packet), (expected, frame.hex())
        return expected

    def _heard(self, frame: bytes, verdict: int, packet: bytes) -> Expected:
        """Compare what became of a report: the model follows the threads that it has freed, within their bounds."""
        before, after = self.model.free[:], self.rig.threads()
        index = self.model.index_of[source_of(frame)]
        lacks = self.rig.overdue(index), self.rig.overload(index)
        must_carry, may_pass = self.model.believe(frame, after.free[index], *lacks, self.rig.is_absent(index))

        if packet != frame:
            assert (verdict, must_carry, packet) == (REDIRECT, False, frames.marked(frame, index + 1, packet)), (
                frame.hex()
            )
        else:
            assert verdict in ({REDIRECT} if must_carry else {PASS, DROP} if may_pass else {DROP}), frame.hex()
        assert 0 <= after.free[index] <= self.model.capacity[index] * (not self.model.absent[index])
        assert [*before[:index], *before[index + 1 :]] == [*after.free[:index], *after.free[index + 1 :]]
        return Expected(verdict, HEARD, packet)

    def leave(self, frame: bytes) -> None:
        """Let a frame out."""
        run, expected = self.rig.egress.test_run(frame), self.model.leave(frame)
        assert (run.verdict, run.packet) == (expected.verdict, expected.packet or run.packet), (expected, frame.hex())

    def answer(self, which: int) -> bytes:
        """Let a backend answer a request of one of the latest flows; return the frame if it goes on, or nothing."""
        if not self.model.flows:
            return b""
        source, to, port = self._latest(which)
        frame = frames.udp(b"answer", source, to, (SERVICE, port))
        return frame if self.arrive(frame).verdict == REDIRECT else b""

    def answer_in_fragments(self, which: int) -> int:
        """Let a backend answer a request at length, as `answer` does; return how many frames that takes."""
        if not self.model.flows:
            return 0
        source, to, port = self._latest(which)
        parts = frames.fragments(frames.udp(bytes(2000), source, to, (SERVICE, port)), 1000)
        for each in parts:
            run = self.arrive(each)
            if run.verdict == REDIRECT and run.packet:
                self.leave(run.packet)
        return len(parts)

    def weigh(self, *weights: int) -> None:
        self.model.weigh(*weights)
        self.rig.weigh(*weights)

    def begin(self, index: int) -> None:
        """Let a backend begin, by its index, as one that has joined."""
        there = self.rig.settings.backends[index]
        frame = bytes(completion(index + 1, version=4 if there.ipv4 else 6))
        self.model.begin(index)
        assert self.rig.run("begin_run", frame) == self.model.capacity[index]

    def look_after(self, index: int, is_well: bool) -> bool:
        """Let user space find that a backend is ill, or well; return whether that is counted."""
        there = self.rig.settings.backends[index]
        frame = bytes(completion(index + 1, version=4 if there.ipv4 else 6))
        news = self.model.readmit(index) if is_well else self.model.exclude(index)
        assert self.rig.run("readmit_run" if is_well else "exclude_run", frame) == news
        return news == 1

    def refuse(self, which: int) -> bool:
        """Let a backend's kernel refuse a request of one of the latest flows; return whether there is any."""
        if not self.model.flows:
            return False
        self.arrive(frames.refusal(*self._latest(which, is_waiting=True)))
        return True

    def _latest(self, which: int, is_waiting: bool = False) -> tuple[str, str, int]:
        """Return of one of the latest flows the backend's address, and the client's address and port."""
        waiting = [key for key, flow in self.model.flows.items() if flow.outstanding]
        latest = (waiting if is_waiting and waiting else list(self.model.flows))[-8:]
        client, port, index = latest[which % len(latest)]
        to = socket.inet_ntop(socket.AF_INET6, client)
        to = to.removeprefix("::ffff:") if "." in to else to
        return address_of(index + 1, 6 if ":" in to else 4), to, port

    def age(self) -> None:
        """Let all taken threads grow older; the model follows."""
        count = self.rig.run("age_run", bytes(14))
        free = self.rig.threads().free
        assert count == sum(free) - sum(self.model.free)
        self.model.free = free
        self.model.counters["expired"] += count

    def let_go(self, number: int, is_done: bool) -> int:
        """Let go of a request that is held: it is done, or is to wait again; return 2 if it is given up, else 1."""
        (slot,) = (slot for slot, held in self.rig.held().items() if held[0] == number)
        (client, port, index), became = self.model.let_go(number, is_done)
        claim = self.rig.claim(slot, number, client, port, index)
        assert self.rig.run("release_run" if is_done else "requeue_run", claim) == became
        return became

    def forget(self) -> None:
        """Compare what is known of the clients, and forget it."""
        assert self.rig.flows() == self.model.outstanding()
        self.rig.forget()
        self.model.forget()

    def compare(self) -> None:
        """Both have counted the same; the same threads are free, the same requests kept, and each slot is somewhere."""
        rig, model, now = self.rig, self.model, self.rig.threads()
        counts = {name: count.packets for name, count in rig.counts().items() if count.packets}
        heard = {name: count for name, count in counts.items() if name.startswith("REPORT_") and name not in DEAF}

        assert (now.free, now.counters) == (model.free, model.counters)
        assert [free + taken for free, taken in zip(now.free, now.taken, strict=True)] == list(model.capacity)
        held = rig.held()
        assert (rig.waiting(), dict(held.values())) == (model.waiting(), model.holders())
        assert sorted([*rig.queue().slots(), *held]) == list(range(rig.slots))
        assert [rig.is_absent(index) for index, _ in enumerate(model.absent)] == list(map(bool, model.absent))
        assert rig.kept() == len(model.queue) + len(held)
        others = {name: count for name, count in model.reasons.items() if name != HEARD}
        assert {name: count for name, count in counts.items() if name not in heard} == others
        assert sum(heard.values()) == model.reasons[HEARD]
        assert rig.carrier_counts() == model.carrier_reasons
        assert now.counters["received"] == sum(now.counters[name] for name in ("forwarded", "queued", "dropped"))
