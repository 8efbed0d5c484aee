"""Threads that enter one namespace after the other, and send requests to the kernel there."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from netlab.errors import HostError, NetlabError
from netlab.kernel import sysctls
from netlab.kernel.netlink import Channel
from netlab.kernel.syscalls import in_threads, setns
from netlab.network.messages import Messages
from netlab.plan.steps import AddBridge
from netlab.plan.switch_steps import SetVlans

# Features that a kernel may lack, by the kind of step that needs them.
_FILTERING = "VLAN filtering of bridges (CONFIG_BRIDGE_VLAN_FILTERING) is needed"
_VLANS: dict[type, str] = {AddBridge: _FILTERING, SetVlans: _FILTERING}
THREADS_FROM = 100  # nodes; the kernel makes one link at a time, so a second thread saves little: a tenth, from here on

Request = tuple[object, bytes]  # a step, whose text names it, and the message that does it
_Work = TypeVar("_Work")


class Visitor:
    """One thread of `visit_all`. The thread stays in the node that it has entered last."""

    def __init__(self, messages: Messages, netns_path: Callable[[str], str]) -> None:
        self.messages = messages
        self.sysctls = sysctls.Sysctls()
        self._netns_path = netns_path

    def close(self) -> None:
        """Release what the thread holds."""
        self.sysctls.close()

    def enter(self, node: str) -> Channel:
        """Move the calling thread into the node, and return a channel to it."""
        self.move(node)
        try:
            return Channel()
        except OSError as error:
            raise _refused(node, error) from error

    def move(self, node: str) -> None:
        """Move the calling thread into the node."""
        descriptor = self.open(node)
        try:
            setns(descriptor)
        except OSError as error:
            raise _refused(node, error) from error
        finally:
            os.close(descriptor)

    def open(self, node: str) -> int:
        """Return a descriptor of a node's namespace."""
        try:
            return os.open(self._netns_path(node), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NetlabError(f"cannot open the namespace of node {node}: {error}") from error


def _refused(node: str, error: OSError) -> NetlabError:
    return NetlabError(f"cannot enter the namespace of node {node}: {error}")


def visit_all(
    visit: Callable[[Visitor, _Work], None],
    works: Sequence[_Work],
    messages: Messages,
    netns_path: Callable[[str], str],
) -> None:
    """Call `visit` for each of these, in new threads: the calling thread stays in its own namespace."""
    if works:
        count = 2 if len(works) >= THREADS_FROM else 1
        in_threads(count, partial(_visit_all, visit, messages, netns_path), works)


def _visit_all(
    visit: Callable[[Visitor, _Work], None],
    messages: Messages,
    netns_path: Callable[[str], str],
    works: Iterator[_Work],
) -> None:
    """Do what one thread does."""
    visitor = Visitor(messages, netns_path)
    try:
        for work in works:
            visit(visitor, work)
    finally:
        visitor.close()


def request(channel: Channel, requests: Sequence[Request]) -> None:
    """Send these requests; NetlabError names the step that the kernel refuses."""
    try:
        refusal = channel.request([message for _, message in requests])
    except OSError as error:
        raise failed(requests[0][0], str(error)) from error
    if refusal:
        words = f" ({refusal.words})" if refusal.words else ""
        if refusal.errno == errno.EOPNOTSUPP and (what := _VLANS.get(type(requests[refusal.position][0]))):
            raise HostError(
                f"{failed(requests[refusal.position][0], what)}: this kernel, {os.uname().release}, lacks it"
            )
        raise failed(requests[refusal.position][0], f"{os.strerror(refusal.errno)}{words}")


def offload(channel: Channel, step: object, interface: str, values: Sequence[tuple[int, int]]) -> None:
    """Set an interface's offloads, as ethtool's commands and values; NetlabError names the step."""
    for command, value in values:
        try:
            channel.ethtool(interface, command, value)
        except OSError as error:
            raise failed(step, os.strerror(error.errno or 0)) from error


def failed(step: object, reason: str) -> NetlabError:
    """Return the error that says which step was refused, as the command that would do it, and why."""
    return NetlabError(f"cannot `{'; '.join(str(step).splitlines())}`: {reason}")
