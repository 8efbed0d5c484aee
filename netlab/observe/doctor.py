"""What this host has of all that netlab needs, what is missing, and the command that mends it.

Nothing is changed. Probes of the kernel make maps, programs and links in namespaces of their own, which go with them.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple

# What a finding means: all is well · netlab does not work · something that not every lab needs is not there · it could
# not be found out · a lab has left something behind.
GOOD, NEEDED, OPTIONAL, UNKNOWN, LEFT = "good", "missing", "optional", "unknown", "left"
_PACKAGES = {  # the module by which each is found
    "pyroute2": "pyroute2",
    "psutil": "psutil",
    "PyYAML": "yaml",
    "bcc": "bcc",
}
_EXTRAS = (  # the module, the extra that brings it, who needs it
    ("textual", "top", "`netlab top`"),
    ("nicegui", "web", "`netlab web`"),
    ("igraph", "web", "`netlab web`"),
    ("distributed", "cluster", "`netlab grade --cluster`"),
)
_INSTALL = "make install, in the folder of netlab's sources"
_APT = "apt-get install"
_COMMANDS = (  # name, Debian's package, who needs it; nobody but "" is everybody
    ("ip", "iproute2", ""),
    ("ping", "iputils-ping", "labs whose nodes ping each other"),
    ("ethtool", "ethtool", "people who look at offloads"),
    ("tcpdump", "tcpdump", "people who watch packets by hand"),
    ("nft", "nftables", "labs with `internet: true`"),
)
_FILE_SYSTEMS = ("tmpfs", "bpf", "tracefs")
_HEADERS = "/usr/include/linux/bpf.h"
_TYPES = "/sys/kernel/btf/vmlinux"
_IPV6 = "/proc/sys/net/ipv6"


class Finding(NamedTuple):
    """What was looked at, what was found, what that means (GOOD …), and what mends it ("" where nothing need be)."""

    subject: str
    found: str
    state: str = GOOD
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Yield a finding for each thing that netlab needs of a host."""
    yield _release()
    yield from _features()
    yield from _file_systems()
    yield from _libraries()
    yield from _commands()
    yield from _compilers()
    yield _docker()
    yield from _leftovers()


def _release() -> Finding:
    from netlab.programs import features

    here = os.uname().release
    if features.version(here) >= features.LEAST:
        return Finding("Linux", here)
    wanted = ".".join(map(str, features.LEAST))
    return Finding("Linux", here, NEEDED, f"boot Linux {wanted} or newer; Debian 12 has it")


def _features() -> Iterator[Finding]:
    """Yield what the kernel can do. Only root may try that."""
    from netlab.programs import features

    if os.geteuid():
        yield Finding("kernel features", "only root may try them", UNKNOWN, "sudo netlab doctor")
        return
    for feature in features.FEATURES:
        since = "Linux {}.{} has it".format(*feature.since)
        try:
            has = feature.is_there()
        except OSError as error:
            yield Finding(feature.name, f"cannot be tried: {error.strerror}", UNKNOWN)
            continue
        yield Finding(feature.name, "there") if has else Finding(feature.name, "not there", NEEDED, since)


def _file_systems() -> Iterator[Finding]:
    known = {line.split()[-1] for line in files.read("/proc/filesystems").decode().splitlines()}
    for name in _FILE_SYSTEMS:
        yield _there(f"file system {name}", name in known, "a kernel that is built with it, as Debian's are")
    has_groups = not known.isdisjoint(("cgroup", "cgroup2"))
    yield _there("control groups", has_groups, "a kernel that is built with them, as Debian's are")
    types = "a kernel with CONFIG_DEBUG_INFO_BTF, as Debian's are"
    yield _there("types of the kernel (BTF)", os.path.exists(_TYPES), types, OPTIONAL)
    yield _there("IPv6", os.path.isdir(_IPV6), "boot without ipv6.disable=1", OPTIONAL)


def _libraries() -> Iterator[Finding]:
    from netlab.kernel import seccomp
    from netlab.observe import packet_filter

    for name, module in _PACKAGES.items():
        mend = f"{_APT} python3-bpfcc" if name == "bcc" else _INSTALL
        yield _there(f"Python package {name}", importlib.util.find_spec(module) is not None, mend)
    for name, extra, who in _EXTRAS:
        mend = f"{sys.executable} -m pip install 'netns-lab[{extra}]'"
        yield _for_some(f"Python package {name}", importlib.util.find_spec(name) is not None, who, mend)
    yield _for_some("libseccomp", _loads(seccomp.library), "untrusted labs, and `grade`", f"{_APT} libseccomp2")
    filters = _loads(packet_filter.library)
    yield _for_some("libpcap", filters, "filters of `capture` and `follow`", f"{_APT} libpcap0.8")


def _loads(library: Callable[[], object]) -> bool:
    try:
        library()
    except HostError:
        return False
    return True


def _commands() -> Iterator[Finding]:
    if os.geteuid() and not shutil.which("sudo"):
        yield Finding("sudo", "not there", NEEDED, f"{_APT} sudo, or be root")
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    for name, package, who in _COMMANDS:
        at = shutil.which(name, path=folders)
        if at:
            yield Finding(name, at)
        else:
            found = f"not there; needed by {who}" if who else "not there"
            yield Finding(name, found, OPTIONAL if who else NEEDED, f"{_APT} {package}")


def _compilers() -> Iterator[Finding]:
    from netlab.programs import cache, clang

    yield _there("headers for programs", os.path.exists(_HEADERS), f"{_APT} linux-libc-dev")
    try:
        yield Finding("clang", clang.find())
    except NetlabError:
        found = "not there; needed by sources of libbpf's dialect"
        yield Finding("clang", found, OPTIONAL, f"{_APT} clang libbpf-dev")
    if problem := cache.problem():
        yield Finding("compiled programs", problem, OPTIONAL, f"rm -r {paths.cache_folder()}")


def _docker() -> Finding:
    from netlab.runtime import engine

    where = engine.address()
    if engine.answers(where):
        return Finding("Docker engine", where)
    return Finding(
        "Docker engine", f"none at {where}; needed by `runtime: docker`", OPTIONAL, f"{_APT} docker.io, or start it"
    )


def _leftovers() -> Iterator[Finding]:
    from netlab.lab import removal
    from netlab.record import store

    for lab in removal.labs_with_leftovers():
        if lab in store.labs() and store.is_complete(lab):
            yield Finding(f"lab {lab}", "is up")
        else:
            yield Finding(f"lab {lab}", "something is left of it", LEFT, f"sudo netlab down {lab}")


def _there(subject: str, is_there: bool, mend: str, otherwise: str = NEEDED) -> Finding:
    return Finding(subject, "there") if is_there else Finding(subject, "not there", otherwise, mend)


def _for_some(subject: str, is_there: bool, who: str, mend: str) -> Finding:
    return Finding(subject, "there") if is_there else Finding(subject, f"not there; needed by {who}", OPTIONAL, mend)
