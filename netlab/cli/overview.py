"""What `netlab help` says: all verbs in groups, and examples of each."""

from netlab.cli.verbs import VERBS

# Every verb is in one group, in the order in which a newcomer meets them.
GROUPS = {
    "A lab comes and goes": ("up", "down", "apply", "reload", "validate", "export", "new"),
    "Work in it": ("exec", "shell", "run", "start", "stop", "restart", "balancer"),
    "Break it": ("kill", "pause", "resume", "link", "fault"),
    "See what happens": (
        "list",
        "status",
        "top",
        "graph",
        "logs",
        "trace",
        "timeline",
        "events",
        "capture",
        "follow",
        "stats",
        "programs",
        "maps",
        "web",
    ),
    "Judge it": ("test", "wait", "demo", "grade"),
    "This tool": ("doctor", "schema", "completion", "help", "version"),
}
# Lines that work as they stand: with topologies/partb.yml up where they need a lab, and otherwise in any folder.
EXAMPLES = {
    "up": ("up topologies/pair.yml", "up mine.yml --set nodes.client.args.count=5", "up mine.yml --dry-run"),
    "apply": ("apply mine.yml", "apply mine.yml --dry-run"),
    "down": ("down", "down mine", "down --all"),
    "exec": ("exec client ping -c 3 lb", "exec --lab partb worker1 ip -s link"),
    "shell": ("shell worker1",),
    "run": ("run client --count 3",),
    "start": ("start worker1",),
    "stop": ("stop worker1 worker2",),
    "restart": ("restart worker1",),
    "kill": ("kill worker1", "kill worker1 --signal TERM"),
    "pause": ("pause worker1",),
    "resume": ("resume worker1",),
    "link": ("link show", "link client-lb set delay=20ms loss=1%", "link client-lb down", "link reset"),
    "fault": ("fault run", "fault run faults.yml --keep", "fault restore"),
    "status": ("status", "status --wide", "status partb --watch", "status --json"),
    "logs": ("logs", "logs worker1 worker2 -n 20", "logs -f"),
    "trace": ("trace -n 20", "trace -f"),
    "timeline": ("timeline --since 30s", "timeline -f --grep queued", "timeline --save run.jsonl"),
    "events": ("events --since 30s", "events -f --interval 1", "events --format json"),
    "top": ("top", "top partb"),
    "capture": (
        "capture --verdicts",
        "capture client lb:eth1 udp port 8080 --for 5",
        "capture --verdicts -w run.pcapng",
    ),
    "follow": ("follow udp port 8080", "follow host client and tcp --for 10"),
    "stats": ("stats", "stats --all", "stats --format prometheus"),
    "maps": ("maps", "maps lb backends", "maps lb --watch"),
    "programs": ("programs", "programs lb --for 5"),
    "balancer": ("balancer drain worker2", "balancer weight worker1 3", "balancer policy round-robin"),
    "reload": ("reload lb", "reload lb --define LIMIT=5"),
    "list": ("list",),
    "graph": ("graph --save lab.svg", "graph topologies/partb.yml --format mermaid"),
    "web": ("web", "web partb --port 9000", "web --replay evidence"),
    "validate": ("validate topologies/partb.yml",),
    "new": ("new dropper mine", "new partb exercise"),
    "export": ("export compose topologies/partb.yml",),
    "test": ("test", "test topologies/pair.yml --junit results.xml"),
    "wait": ("wait --for 'ping: [client, lb]'", "wait --for 'stats: [lb, queue_depth], is: 0' --timeout 60"),
    "demo": ("demo parta", "demo partb-high mine.yml --save evidence"),
    "grade": ("grade partb-high submissions/*", "grade parta submissions/* -j 2 --save marks --seed 7"),
    "doctor": ("doctor", "doctor --json"),
    "schema": ("schema",),
    "completion": ("completion bash", "completion fish"),
    "help": ("help up",),
    "version": ("version",),
}


def text() -> str:
    """Return the list of all verbs, a line each."""
    width = max(map(len, VERBS)) + 2
    lines = ["usage: netlab VERB [OPTION ...]", ""]
    for group, verbs in GROUPS.items():
        lines += [group, *(f"  {verb:<{width}}{VERBS[verb].help}" for verb in verbs), ""]
    lines += ["`netlab help VERB` tells all of a verb, with examples. A first lab: sudo netlab up topologies/pair.yml"]
    return "\n".join(lines)


def examples(verb: str) -> str:
    """Return what `--help` of a verb ends with."""
    return "Examples:\n" + "\n".join(f"  netlab {line}" for line in EXAMPLES[verb])
