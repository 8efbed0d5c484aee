"""What becomes of a packet that no rule knows, as nft and iptables list their rules."""

from typing import Any

import pytest

from netlab.network import filter_rules

COUNTER: dict[str, Any] = {"counter": {"packets": 0, "bytes": 0}}
REJECT: dict[str, Any] = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
ESTABLISHED: dict[str, Any] = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "established"}}
DROP, ACCEPT, RETURN = ({verb: None} for verb in ("drop", "accept", "return"))
COMMENT = {"xt": {"type": "match", "name": "comment"}}


def nft(**chains: list[list[dict[str, Any]]]) -> bool:
    rules = [
        {"family": "inet", "table": "t", "chain": name, "expr": expr}
        for name, exprs in chains.items()
        for expr in exprs
    ]
    return filter_rules.drops_all(filter_rules.of_nft(rules)["inet", "t"], "fwd")


def to(verb: str, chain: str) -> dict[str, Any]:
    return {verb: {"target": chain}}


@pytest.mark.parametrize(
    ("chains", "drops"),
    [
        ({"fwd": [[ESTABLISHED, ACCEPT], [COUNTER, REJECT]]}, True),  # as firewalld's
        ({"fwd": [[ESTABLISHED, DROP]]}, False),
        ({"fwd": [[ACCEPT], [DROP]]}, False),
        ({"fwd": [[to("jump", "last")]], "last": [[{"log": {"prefix": "x"}}, DROP]]}, True),
        ({"fwd": [[to("jump", "last")], [DROP]], "last": [[RETURN], [ACCEPT]]}, True),
        ({"fwd": [[to("jump", "last")], [DROP]], "last": [[ACCEPT]]}, False),
        ({"fwd": [[to("goto", "last")], [DROP]], "last": [[RETURN]]}, False),
        ({"fwd": [[ESTABLISHED, to("jump", "last")]], "last": [[DROP]]}, False),
        ({"fwd": [[COMMENT, COUNTER, {"xt": {"type": "target", "name": "REJECT"}}]]}, True),
        ({"fwd": [[{"xt": {"type": "match", "name": "u32"}}, DROP]]}, False),
        ({"fwd": [[{"xt": None}, DROP]]}, False),
        ({"fwd": [[to("jump", "fwd")]]}, False),
    ],
)
def test_rules_of_nft(chains: dict[str, list[list[dict[str, Any]]]], drops: bool) -> None:
    assert drops == nft(**chains)


@pytest.mark.parametrize(
    ("rules", "drops"),
    [
        ("-P FORWARD DROP", True),
        ("-P FORWARD ACCEPT", False),
        ("-P FORWARD ACCEPT\n-A FORWARD -i eth0 -j DROP", False),
        (
            "-P FORWARD ACCEPT\n-A FORWARD -i eth0 -j ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited",
            True,
        ),
        ('-P FORWARD ACCEPT\n-N SUB\n-A FORWARD -m comment --comment "all else" -j SUB\n-A SUB -j DROP', True),
        ("-P FORWARD DROP\n-N SUB\n-A FORWARD -g SUB\n-A SUB -j RETURN", True),
        ("-P FORWARD DROP\n-A FORWARD -j ACCEPT", False),
        ("-P FORWARD ACCEPT\n-A FORWARD -j LOG --log-prefix x", False),
    ],
)
def test_rules_of_iptables(rules: str, drops: bool) -> None:
    chains, policies = filter_rules.of_iptables(rules.splitlines())

    assert drops == filter_rules.drops_all(chains, "FORWARD", policies["FORWARD"])
