"""Every path that netlab owns: names, and functions that put them together. This module reads and makes nothing.

A lab owns its folder, /run/netlab/LAB, and everything in it; docs/architecture.md shows who may read what. Elsewhere it
has names in /run/netns and /etc/netns, control groups, and a trace instance. Each of these shows whose it is.
"""

import os

from netlab.errors import UsageError

PACKAGE = os.path.dirname(os.path.abspath(__file__))
TEMPLATES = os.path.join(PACKAGE, "templates")  # of `netlab new`
IMPORTED_FROM = os.path.dirname(PACKAGE)  # what goes on sys.path

LABS = "/run/netlab"
GRADES = "/run/netlab-grade"  # what `netlab grade` plays, a folder for each that is at work
RUN_NETNS, ETC_NETNS = "/run/netns", "/etc/netns"  # where `ip netns` looks for namespaces, and for their files
CACHE_VARIABLE = "NETLAB_CACHE"  # another folder for compiled programs; empty: nothing is kept
SIZE_VARIABLE = "NETLAB_SIZE"
_CACHE = "/var/cache/netlab"

# ---- in a lab's folder -----------------------------------------------------------------------------------------------

RECORD, ENVIRONMENT, STATUS = "lab.json", "env.json", "status.json"
COMPLETE = "up"
STEPS, CHANGING = "steps.json", "changing"  # what stands; a change that is being made, or was cut off
NETNS, ETC, BPF, TRACING, PROGRAMS, LOGS, COMPILER = "netns", "etc", "bpf", "tracing", "programs", "logs", "compiler"
PINNED = "pinned"
SUPERVISOR, SUPERVISOR_LOG, PROCESSES = "supervisor", "supervisor.log", "processes"
SOCKET = "supervisor.sock"
# What programs print, what goes wrong with XDP, and what programs have put into maps of events.
TRACE_LOG, XDP_LOG, EVENTS_LOG = "trace.log", "xdp.log", "events.log"
HAPPENINGS_LOG = "happenings.log"
GROUP = "group"
TAKEN = "take.json"  # what the supervisor is to take from `apply`
NFTABLES = "nftables"  # the lab's table on the host, as nft has listed it: what `nft -f` loads again
OUTSIDE = "outside"  # the host's own namespace, for a node that is the host; not beside those that `down` empties
MIDDLE = "_middle"  # what the namespace in the middle of impaired links is called, in netns/ and so on; no node is
LINKS = "links.json"  # what links do to packets as it was set last, if it was set since `up`
OWN, SPACES = "own", "spaces"  # what nodes have of the file system for themselves, and the namespaces that show it
ROOMS = "rooms"  # the first process of each untrusted node's room
ROOM_BASE, SHOWN = "room/base", "room/shown"  # what rooms are made on; the copy of the topology's folder in them
LAYOUTS = "layouts"
_CODE = "code"
CONTAINERS, BACK = "containers", "docker"  # BACK is a symlink that leads back to the folder
BASHRC = "bashrc"
LINKS_DOWN, FAULTS = "links_down", "faults"  # what links have lost that are down; what faults are in force

# ---- beside it -------------------------------------------------------------------------------------------------------

_FORWARDING = ".forwarding."

# ---- elsewhere on the machine ----------------------------------------------------------------------------------------

MARK = "netlab."  # begins the names of labs' own control groups, of their mounts' sources and of their trace instances
LIMITS = "netlab"  # the control group above LAB/NODE

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST = 63
_NAME_LETTERS = _LETTERS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")


def is_label(name: str) -> bool:
    """Say whether a name can be a lab's: a DNS label in lower case."""
    return 0 < len(name) <= _LONGEST and _LETTERS.issuperset(name) and "-" not in (name[0], name[-1])


def is_name(name: str) -> bool:
    """Say whether a node or a process can have this name; `label_of` makes a DNS label of it."""
    return 0 < len(name) <= _LONGEST and _NAME_LETTERS.issuperset(name) and is_label(label_of(name))


def label_of(name: str) -> str:
    """Return the DNS label that is made of the name of a node, where one must be."""
    return name.lower().replace("_", "-")


def folder_of(lab: str) -> str:
    """Return the lab's folder, whether or not it exists; UsageError if the name is no DNS label."""
    if not is_label(lab):
        raise UsageError(
            f"{lab!r} is no name for a lab: expected letters a-z, digits and inner hyphens, {_LONGEST} at most"
        )
    return f"{LABS}/{lab}"


def lock(lab: str) -> str:
    """Return the lab's lock, which is beside its folder."""
    return f"{folder_of(lab)}.lock"


def forwarding(netns: int) -> str:
    """Return what says how a network namespace of the host forwarded before labs; no lab's name begins with a dot."""
    return f"{LABS}/{_FORWARDING}{netns}"


def is_forwarding(name: str) -> bool:
    """Say whether a file beside the labs' folders is such a one, its lock, or what is left of writing one."""
    return name.startswith(_FORWARDING)


def host_lock() -> str:
    """Return the lock of whoever chooses networks beside the host's own, or changes what the host forwards."""
    return f"{LABS}/{_FORWARDING}lock"


def netns_name(lab: str, node: str) -> str:
    """Return the name by which `ip netns` knows a node."""
    return f"{lab}.{node}"


def middle_end(number: int) -> str:
    """Return what the middle's interface is called that is beside an end of a link, by the end's number from 0.

    l3a is beside the first end of the third link, l3b beside the second.
    """
    return f"l{number // 2 + 1}{'ab'[number % 2]}"


def space(folder: str, node: str, kind: str) -> str:
    """Return where a node's namespace of a kind, `mnt` or `uts`, is mounted; no node's name has a dot."""
    return f"{folder}/{SPACES}/{node}.{kind}"


def own_files(folder: str, node: str) -> str:
    """Return the folder with what a node has of the file system for itself."""
    return f"{folder}/{OWN}/{node}"


def process_key(node: str, name: str) -> str:
    """Return what a node's process is called: NODE where it has the node's own name, else NODE/NAME.

    Nobody else in the lab has this key: no name of a node or a process holds a slash.
    """
    return node if name == node else f"{node}/{name}"


def program_key(node: str, name: str, *, is_only: bool) -> str:
    """Return what a node's program is called: NODE if it is the only one there, else NODE/NAME."""
    return node if is_only else f"{node}/{name}"


def is_program_name(name: str) -> bool:
    """Say whether one of several programs of a node can have this name, which is in its key and in names of files."""
    return 0 < len(name) <= _LONGEST and _NAME_LETTERS.issuperset(name) and "-" not in (name[0], name[-1])


def node_of(key: str) -> str:
    """Return the node of the process or program that is called so."""
    return key.partition("/")[0]


def log(folder: str, process: str) -> str:
    """Return the file with what a process, by its key, printed: NODE.log or NODE.NAME.log, as no name holds a dot."""
    return f"{folder}/{LOGS}/{process.replace('/', '.')}.log"


def source(folder: str, program: str, path: str) -> str:
    """Return where a program, by its key and its path, is kept as it was loaded last: NODE.c, NODE.NAME.c or NODE.o."""
    return f"{folder}/{PROGRAMS}/{program.replace('/', '.')}{os.path.splitext(path)[1] or '.c'}"


def trace_instance(folder: str, mark: str) -> str:
    """Return a lab's trace instance, in the tracefs of its folder; its name is the lab's mark."""
    return f"{folder}/{TRACING}/instances/{mark}"


def compile_lock(work_folder: str, number: int) -> str:
    """Return the file that a compiler locks while it works."""
    return f"{work_folder}/compile.{number}"


def pin_lock(work_folder: str) -> str:
    """Return the file that is locked while maps are looked for, or made, that programs of a node share."""
    return f"{work_folder}/pins"


def shared_pins(pin_folder: str, node: str) -> str:
    """Return the folder with maps that programs of a node share by their names (LIBBPF_PIN_BY_NAME): NODE_.

    `pin_folder` is that of one of these programs. Each has a name, so none has the folder NODE_.
    """
    return f"{os.path.dirname(pin_folder)}/{node}_"


def pins(folder: str, program: str) -> str:
    """Return the folder with a program's pins, by its key: NODE, or NODE=NAME, as a BPF file system takes no dots.

    No name has the sign.
    """
    return f"{folder}/{BPF}/{program.replace('/', '=')}"


def passing_pins(folder: str, node: str) -> str:
    """Return the folder with the pins of the program that only passes, which a node has for its neighbours."""
    return f"{folder}/{BPF}/_{node}"


def xdp_errors(folder: str) -> str:
    """Return the folder with the pins of what counts errors of XDP; the pins of no program are called so."""
    return f"{folder}/{BPF}/=errors"


def map_pins(pin_folder: str) -> str:
    """Return the folder with the maps among a program's pins."""
    return f"{pin_folder}/maps"


def map_pin(pin_folder: str, name: str) -> str:
    """Return where a map is pinned."""
    return f"{map_pins(pin_folder)}/{name}"


def program_pins(pin_folder: str) -> str:
    """Return the folder with the functions among a program's pins, each of which the kernel takes for a program."""
    return f"{pin_folder}/programs"


def program_pin(pin_folder: str, name: str) -> str:
    """Return where a function of a program is pinned."""
    return f"{program_pins(pin_folder)}/{name}"


def successor_pins(pin_folder: str) -> str:
    """Return the folder with the pins of a new build of a program, until it has replaced the old one."""
    return f"{pin_folder}/reload"


def code(folder: str) -> str:
    """Return the folder with the instructions of what is loaded, by the kernel's numbers of programs."""
    return f"{folder}/{_CODE}"


def telling(folder: str) -> str:
    """Return the file that is locked by whoever lets the programs of a lab tell of their packets."""
    return f"{folder}/telling"


def layouts(pin_folder: str) -> str:
    """Return what says how the maps of a program are laid out: beside bpf/, whose file system takes no files."""
    above, name = os.path.split(pin_folder)
    return f"{os.path.dirname(above)}/{LAYOUTS}/{name}.json"


def successor_layouts(pin_folder: str) -> str:
    """Return what says so of a new build, while it takes the place of the old one; no name has a dot."""
    return f"{layouts(pin_folder).removesuffix('.json')}.reload.json"


def cache_folder() -> str:
    """Return the folder, "" if nothing is kept; UsageError if the variable is no absolute path."""
    found = os.environ.get(CACHE_VARIABLE, _CACHE)
    if found and not found.startswith("/"):
        raise UsageError(
            f"{CACHE_VARIABLE} is {found!r}: expected the absolute path of a folder, or nothing to keep nothing"
        )
    return found
