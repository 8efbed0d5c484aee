"""What is in the middle of impaired links: interfaces, queues and the program, as the kernel has them; and changes."""

import os
from typing import Self

from netlab.errors import NetlabError
from netlab.kernel import sysctls
from netlab.kernel.netlink import Channel
from netlab.network import queue_messages as queues
from netlab.network.queue_messages import Link, Netem, Queue, Tbf
from netlab.programs.impairment_maps import MiddleProgram

# Interfaces where packets are held up: a pair for each direction with netem, one for the process that does it else.
# Their indexes are far above those of links: twice that of the target, and one more; 0 stands for all targets.
_STAGES_FROM = 1 << 28
ALL_TARGETS = 0
_STAGE, _STAGE_END = "hold", "go"
_MTU = 65535
_MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")  # nobody asks for them
_LO, _MISSING_KIND = 1, 2  # ENOENT: the kernel has no such queue
_QUIET = [(f"net.ipv6.conf.{which}.disable_ipv6", "1") for which in ("all", "default")]


class Middle:
    """The middle that the calling thread has entered. Changes are collected until they are sent."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.program: MiddleProgram | None = None
        self._messages: list[tuple[str, bytes]] = []
        try:
            self.look()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self.channel.close()
        if self.program:
            self.program.close()

    def look(self) -> None:
        """Ask the kernel what is there."""
        links = [queues.read_link(answer) for answer in self.channel.ask_all(queues.ask_links())]
        self.links = {link.name: link for link in links}
        self.indexes = {link.index for link in links}
        found = [queues.read_queue(answer) for answer in self.channel.ask_all(queues.ask_queues())]
        self.hooked = {index for index, queue in found if queue.kind == queues.CLSACT}
        self.queues: dict[int, Queue] = {index: each for index, each in found if each.kind not in queues.NO_QUEUES}
        if self.program is None:
            self.program = next(filter(None, map(self.attached, sorted(self.hooked))), None)

    def link(self, name: str) -> Link:
        """Return an interface by its name; NetlabError if it is not there."""
        if name not in self.links:
            raise NetlabError(f"the middle of the links has no interface {name}: is it a link of this lab?")
        return self.links[name]

    def attached(self, index: int) -> MiddleProgram | None:
        """Return the program of the middle if it is attached to an interface."""
        for answer in self.channel.ask_all(queues.ask_filters(index)):
            if (number := queues.read_filter(answer)) and (found := MiddleProgram.find(number)):
                return found
        return None

    def has_netem(self) -> bool:
        """Say whether this kernel can hold packets up by itself: it is asked to, at an interface without packets."""
        refusal = self.channel.request([queues.add_netem(_LO, Netem(0, 0, 1))])
        if refusal is None:
            self.channel.request([queues.remove_queue(_LO)])
        return refusal is None or refusal.errno != _MISSING_KIND

    def limit(self, link: Link, tbf: Tbf) -> None:
        """Let packets leave an interface at this rate."""
        there = self.queues.get(link.index)
        changes = there is not None and there.tbf is not None
        if not (there and there.tbf and there.tbf.is_as(tbf)):
            what = f"limit the rate of what leaves by {link.name}"
            self._messages.append((what, queues.add_tbf(link.index, tbf, changes=changes)))

    def hold(self, netns: str, target: Link, netem: Netem, *, is_as_set: bool) -> None:
        """Hold packets to a target up by netem, at a pair of interfaces that is made if need be."""
        index = stage_of(target.index)
        self.add_stage(netns, target.index)
        there = index in self.queues
        if not (there and is_as_set):
            what = f"hold up what leaves by {target.name}"
            self._messages.append((what, queues.add_netem(index, netem, changes=there)))

    def add_stage(self, netns: str, target: int) -> None:
        """Make the pair of interfaces where packets to a target are held up, unless it is there."""
        from netlab.network.messages import Messages  # it loads pyroute2, which only labs with delays need
        from netlab.plan.steps import Interface

        index = stage_of(target)
        if index in self.indexes:
            return
        quiet = sysctls.Sysctls()  # an interface that speaks by itself would have its words carried over the link
        quiet.write_all("in the middle", _QUIET)
        quiet.close()
        names = (stage_name(target), f"{_STAGE_END}{target}")
        ends = [
            Interface("", name, index + place, mac, _MTU, (), "", "", "")
            for place, (name, mac) in enumerate(zip(names, _MACS, strict=True))
        ]
        what, messages = f"make the interface {names[0]}", Messages()
        descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._messages.append((what, messages.veth(ends[0], ends[1], descriptor)))
            self._messages.append((what, messages.up(index + 1)))
            self.send()
        finally:
            os.close(descriptor)
        self.indexes |= {index, index + 1}

    def attach(self, index: int, program: MiddleProgram) -> None:
        """Run the program on what comes in at an interface, unless it does so already."""
        if index in self.hooked and (there := self.attached(index)):
            there.close()
            return
        what = "run the program of impairments"
        if index not in self.hooked:
            self._messages.append((what, queues.add_hook(index)))
            self.hooked.add(index)
        self._messages.append((what, queues.add_filter(index, program.program.fd)))

    def detach(self, index: int) -> None:
        """Remove all filters of an interface."""
        if index in self.hooked:
            self._messages.append(("remove the program of impairments", queues.remove_hook(index)))
            self.hooked.remove(index)

    def free(self, index: int) -> None:
        """Remove the queue of an interface."""
        if index in self.queues:
            self._messages.append(("remove a limit of a rate", queues.remove_queue(index)))
            del self.queues[index]

    def stages(self) -> set[int]:
        """Return the indexes of the interfaces where packets are held up."""
        return {index for index in self.indexes if index >= _STAGES_FROM and not (index - _STAGES_FROM) % 2}

    def remove_stage(self, target: int) -> None:
        """Remove the interfaces where packets to a target are held up; packets that are there go, too."""
        if stage_of(target) in self.indexes:
            self.remove_link(stage_of(target))

    def remove_link(self, index: int) -> None:
        """Remove an interface with its other end."""
        from netlab.network.messages import Messages

        self._messages.append(("remove an interface", Messages().no_link(index)))

    def send(self) -> None:
        """Make the changes that were collected; NetlabError names what the kernel refuses."""
        messages, self._messages = self._messages, []
        if refusal := self.channel.request([message for _, message in messages]):
            words = f" ({refusal.words})" if refusal.words else ""
            raise NetlabError(f"cannot {messages[refusal.position][0]}: {os.strerror(refusal.errno)}{words}")


def stage_name(target: int) -> str:
    """Return the name of the interface where packets to a target are held up."""
    return f"{_STAGE}{target}"


def stage_of(target: int) -> int:
    """Return the index of the interface where packets are held up; of its other end it is one more."""
    return _STAGES_FROM + 2 * target
