"""Broken topologies: a good one with one thing changed, and files that were never good.

`python tests/unit/broken.py FOLDER` writes each into a file of its own, to be tried by hand or by another program.
"""

import os
import shutil
import sys
from collections.abc import Iterator

ROLES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "ok")

GOOD = """\
name: good
description: Two hosts on a switch, and three servers behind one that spreads.
message: It is up.
runtime: netns
nodes:
  client:
    role: caller
    after: [lb, worker]
    args: {target: "lb:8080", count: 30, interval: 0.1, sleep: [0.2, 0.5]}
  lb:
    role: spread
    args: {service_port: 8080, policy: most-free, backends: worker}
    xdp: {program: pass, function: entry, define: {QUEUE: 1024}, interfaces: [eth0], mode: native}
  worker:
    replicas: 3
    role: server
    args: {port: 8080, threads: 5, balancer: "lb:9090"}
  sw:
    kind: switch
  h1:
    command: [sleep, 60]
    autostart: true
    sysctls: {net.ipv4.tcp_ecn: 1}
    env: {GREETING: hello}
    limits: {cpu: 0.5, memory: 64M}
    image: debian
    routes: [{to: 10.9.0.0/16, via: 10.5.0.1}]
  h2:
links:
  - [client, lb]
  - [worker, lb]
  - endpoints: [{node: h1, interface: lan, address: 10.5.0.2/24, mac: "02:00:00:00:00:01"}, sw]
    subnet: 10.5.0.0/24
    mtu: 1400
  - [{node: h2, address: [10.5.0.3, "fd00:5::3/64"]}, sw]
checks:
  - {ping: [h1, h2]}
"""

# What stands in GOOD, and what it is changed to: each of these alone is a mistake.
CHANGES: tuple[tuple[str, str], ...] = (
    # The topology as a whole.
    ("name: good\n", ""),
    ("name: good", "name:"),
    ("name: good", "name: Good"),
    ("name: good", "name: good_lab"),
    ("name: good", "name: -good"),
    ("name: good", "name: good-"),
    ("name: good", "name: good.lab"),
    ("name: good", "name: ''"),
    ("name: good", "name: ' good'"),
    ("name: good", "name: göod"),
    ("name: good", f"name: {'x' * 64}"),
    ("name: good", "name: [good]"),
    ("name: good", "name: {good: lab}"),
    ("name: good", "nmae: good"),
    ("name: good", "name: good\nname: better"),
    ("name: good", "name: ../../etc"),
    ("name: good", "name: good\nversion: 1"),
    ("name: good", "name: good\n1: 2"),
    ("name: good", "name: good\n: 2"),
    ("name: good", "name: good\n[a, b]: 2"),
    ("name: good", "name: good\n{a: b}: 2"),
    ("name: good", "name: !!python/object/apply:os.system [id]"),
    ("name: good", "name: !!python/name:os.system good"),
    ("name: good", "name: !lab good"),
    ("name: good", "name: *nothing"),
    ("name: good", "name: &a good\nother: *b"),
    ("name: good", "<<: good"),
    ("name: good", "<<: [{name: good}, 5]"),
    ("runtime: netns", "runtime: lxc"),
    ("runtime: netns", "runtime: nets"),
    ("runtime: netns", "runtime: [netns]"),
    ("runtime: netns", "runtime: null"),
    ("message: It is up.", "message: [It, is, up]"),
    ("message: It is up.", 'message: "\\e[2J"'),
    ("message: It is up.", 'message: "\\0"'),
    ("message: It is up.", "message: true"),
    ("description: Two", "description: {Two: hosts}\nlinsk: Two"),
    ("description: Two", "description: a: Two"),
    ("checks:\n  - {ping: [h1, h2]}", "checks: {ping: [h1, h2]}"),
    ("checks:\n  - {ping: [h1, h2]}", "checks: [ping]"),
    ("checks:\n  - {ping: [h1, h2]}", "checks: 5"),
    # Nodes and their names.
    ("  h2:\n", "  h2: 5\n"),
    ("  h2:\n", "  h2: []\n"),
    ("  h2:\n", "  h2: host\n"),
    ("  h2:\n", "  h2:\n  h2:\n"),
    ("  h2:\n", "  h2:\n  h1: {}\n"),
    ("  h2:\n", "  h2:\n  worker2:\n"),
    ("  h2:\n", "  h2:\n  w: {replicas: 1}\n  w1: {replicas: 1}\n"),
    ("  h2:\n", "  h2:\n  a: {replicas: 12}\n  a1: {replicas: 2}\n"),
    ("  h2:\n", "  h2:\n  Upper:\n"),
    ("  h2:\n", "  h2:\n  under_score:\n"),
    ("  h2:\n", "  h2:\n  dotted.name:\n"),
    ("  h2:\n", "  h2:\n  'with space':\n"),
    ("  h2:\n", "  h2:\n  '../up':\n"),
    ("  h2:\n", "  h2:\n  ünï:\n"),
    ("  h2:\n", "  h2:\n  '':\n"),
    ("  h2:\n", "  h2:\n  5:\n"),
    ("  h2:\n", "  h2:\n  0x1f:\n"),
    ("  h2:\n", "  h2:\n  localhost:\n"),
    ("  h2:\n", f"  h2:\n  {'n' * 64}:\n"),
    ("  h2:\n", f"  h2:\n  {'n' * 62}: {{replicas: 10}}\n"),
    ("  h2:\n", "  h2: {role: caller\n"),
    ("  h2:\n", "  h2: {image: two words}\n"),
    ("  h2:\n", "  h2: {image: --privileged}\n"),
    ("  h2:\n", "  h2: {args: {count: 1}}\n"),
    ("  h2:\n", "  h2: {after: client}\n"),
    ("  h2:\n", "  h2: {autostart: false}\n"),
    ("  h2:\n", "  h2: {knid: host}\n"),
    ("kind: switch", "kind: router"),
    ("kind: switch", "kind: swich"),
    ("kind: switch", "kind: [switch]"),
    ("kind: switch", "kind: switch\n    role: caller"),
    ("kind: switch", "kind: switch\n    command: [sleep, 1]"),
    ("kind: switch", "kind: switch\n    xdp: pass"),
    ("kind: switch", "kind: switch\n    routes: []"),
    ("kind: switch", "kind: switch\n    env: {A: b}"),
    ("kind: switch", "kind: switch\n    replicas: 2"),
    ("replicas: 3", "replicas: 0"),
    ("replicas: 3", "replicas: -3"),
    ("replicas: 3", "replicas: 1001"),
    ("replicas: 3", "replicas: 3.0"),
    ("replicas: 3", "replicas: three"),
    ("replicas: 3", "replicas: true"),
    ("replicas: 3", "replicas: 03"),
    ("replicas: 3", "replicas: 1e3"),
    ("replicas: 3", "replicas: .inf"),
    ("replicas: 3", "replicas: 99999999999999999999999999999999999999999999999999"),
    ("replicas: 3", "replicas:"),
    ("replicas: 3", "replica: 3"),
    # Roles, commands and their options.
    ("role: caller", "role: calelr"),
    ("role: caller", "role: ''"),
    ("role: caller", "role: roles/none.py"),
    ("role: caller", "role: roles/caller"),
    ("role: caller", "role: ../../../../etc/passwd"),
    ("role: caller", "role: [caller]"),
    ("role: caller", "role: true"),
    ("role: caller", "role: roles"),
    ("role: caller", "role: bpf/pass.c"),
    ("role: caller", "role: caller\n    command: [true]"),
    ("role: caller", "rle: caller"),
    ("command: [sleep, 60]", "command: sleep 60"),
    ("command: [sleep, 60]", "command: []"),
    ("command: [sleep, 60]", "command: ['', 60]"),
    ("command: [sleep, 60]", "command: [sleep, [60]]"),
    ("command: [sleep, 60]", "command: [sleep, null]"),
    ("command: [sleep, 60]", "command: {sleep: 60}"),
    ("command: [sleep, 60]", 'command: [sleep, "6\\00"]'),
    ("command: [sleep, 60]", "command: [sleep, 60]\n    args: {count: 1}"),
    ("autostart: true", "autostart: yes"),
    ("autostart: true", "autostart: 1"),
    ("autostart: true", "autostart: 'true'"),
    ("count: 30", "count: many"),
    ("count: 30", "count: -1"),
    ("count: 30", "count: 3.5"),
    ("count: 30", "count: [1, 2]"),
    ("count: 30", "count: []"),
    ("count: 30", "count: {a: 1}"),
    ("count: 30", "count: null"),
    ("count: 30", "count: true"),
    ("count: 30", "count: 1_000"),
    ("count: 30", "count: ٣"),
    ("count: 30", "conut: 30"),
    ("count: 30", "--count: 30"),
    ("count: 30", "count: 30, payload: 1473"),
    ("count: 30", "count: 30, verbose: loud"),
    ("count: 30", "count: 30, greeting: -h"),
    ("interval: 0.1", "interval: .nan"),
    ("interval: 0.1", "interval: .inf"),
    ("interval: 0.1", "interval: 1e999"),
    ("interval: 0.1", "interval: 1:30"),
    ("interval: 0.1", "interval: -0.1"),
    ("sleep: [0.2, 0.5]", "sleep: [0.2, 0.5, 1]"),
    ("sleep: [0.2, 0.5]", "sleep: []"),
    ("sleep: [0.2, 0.5]", "sleep: [0.2, [0.5]]"),
    ("sleep: [0.2, 0.5]", "sleep: [a, b]"),
    ('target: "lb:8080", ', ""),
    ('target: "lb:8080"', 'target: "lb"'),
    ('target: "lb:8080"', 'target: "lb:"'),
    ('target: "lb:8080"', 'target: ":8080"'),
    ('target: "lb:8080"', 'target: "lb:0"'),
    ('target: "lb:8080"', 'target: "lb:65536"'),
    ('target: "lb:8080"', 'target: "lb:http"'),
    ('target: "lb:8080"', 'target: "lbb:8080"'),
    ('target: "lb:8080"', 'target: "worker4:8080"'),
    ('target: "lb:8080"', 'target: "sw:8080"'),
    ('target: "lb:8080"', 'target: "10.0.0.256:8080"'),
    ('target: "lb:8080"', 'target: "fd00::1:8080:"'),
    ('target: "lb:8080"', 'target: "[fd00::g]:8080"'),
    ('target: "lb:8080"', "target: 8080"),
    ('target: "lb:8080"', "target: {lb: 8080}"),
    ("args: {port: 8080", "args: {port: 0"),
    ("args: {port: 8080", "args: {port: 65536"),
    ("args: {port: 8080", "args: {port: http"),
    ("args: {port: 8080", "args: {port: 0x10000"),
    ("threads: 5", "threads: 0"),
    ("service_port: 8080", "service_port: 8080, service-port: 8081"),
    ("service_port: 8080", "service_port: -8080"),
    ("policy: most-free", "policy: least-free"),
    ("policy: most-free", "policy: [most-free]]"),
    ("policy: most-free", "policy: [most-free, random]"),
    (", backends: worker", ""),
    ("backends: worker", "backends: wroker"),
    ("backends: worker", "backends: [worker1, worker9]"),
    ("backends: worker", "backends: sw"),
    ("backends: worker", "backends: []"),
    ("args: {service_port", "args: [service_port], arg: {service_port"),
    # The order of starting.
    ("after: [lb, worker]", "after: [lb, wroker]"),
    ("after: [lb, worker]", "after: [client]"),
    ("after: [lb, worker]", "after: [h2]"),
    ("after: [lb, worker]", "after: [sw]"),
    ("after: [lb, worker]", "after: [[lb]]"),
    ("after: [lb, worker]", "after: {lb: worker}"),
    ("after: [lb, worker]", "after: [lb, null]"),
    ("role: spread", "role: spread\n    after: client"),
    ("role: server", "role: server\n    after: [worker1]"),
    ("role: server", "role: server\n    after: [client]"),
    ("autostart: true", "autostart: false\n  h3: {command: [true], after: [h1]}"),
    (
        "  h2:\n",
        "  h2:\n  a: {role: anything, after: b}\n  b: {role: anything, after: c}\n  c: {role: anything, after: a}\n",
    ),
    # Programs.
    ("program: pass", "program: pas"),
    ("program: pass", "program: pass.c"),
    ("program: pass", "program: bpf/none.c"),
    ("program: pass", "program: bpf/pass"),
    ("program: pass", "program: [pass]"),
    ("program: pass", "program:"),
    ("program: pass", "prog: pass"),
    ("function: entry", "function: 1entry"),
    ("function: entry", "function: entry()"),
    ("function: entry", "function: ''"),
    ("define: {QUEUE: 1024}", "define: {QUEUE SIZE: 1024}"),
    ("define: {QUEUE: 1024}", "define: {1QUEUE: 1024}"),
    ("define: {QUEUE: 1024}", "define: {QUEUE: 1.5}"),
    ("define: {QUEUE: 1024}", "define: {QUEUE: true}"),
    ("define: {QUEUE: 1024}", "define: {QUEUE: [1]}"),
    ("define: {QUEUE: 1024}", "define: {QUEUE: }"),
    ("define: {QUEUE: 1024}", "define: {QUEUE: 18446744073709551616}"),
    ("define: {QUEUE: 1024}", "define: [QUEUE]"),
    ("define: {QUEUE: 1024}", 'define: {QUEUE: "1\\n#include </etc/passwd>"}'),
    ("interfaces: [eth0]", "interfaces: [eth9]"),
    ("interfaces: [eth0]", "interfaces: []"),
    ("interfaces: [eth0]", "interfaces: [[eth0]]"),
    ("mode: native", "mode: offload"),
    ("mode: native", "mode: nativ"),
    ("xdp: {program", "xdp: [program, {program"),
    ("command: [sleep, 60]", "xdp: 5"),
    ("  h2:\n", "  h2:\n  lonely: {xdp: pass}\n"),
    ("  - [client, lb]", "  - {endpoints: [client, lb], mtu: 9000}"),
    # Sysctls, environment, limits, routes.
    ("net.ipv4.tcp_ecn: 1", "kernel.panic: 1"),
    ("net.ipv4.tcp_ecn: 1", "net: 1"),
    ("net.ipv4.tcp_ecn: 1", "net..tcp_ecn: 1"),
    ("net.ipv4.tcp_ecn: 1", "net/ipv4/tcp_ecn: 1"),
    ("net.ipv4.tcp_ecn: 1", "net.../../kernel/panic: 1"),
    ("net.ipv4.tcp_ecn: 1", "net.//.kernel.panic: 1"),
    ("net.ipv4.tcp_ecn: 1", "net.ipv4.tcp_ecn: [1]"),
    ("net.ipv4.tcp_ecn: 1", "net.ipv4.tcp_ecn: true"),
    ("net.ipv4.tcp_ecn: 1", "net.ipv4.tcp_ecn:"),
    ("env: {GREETING: hello}", "env: {GREETING=: hello}"),
    ("env: {GREETING: hello}", "env: {'': hello}"),
    ("env: {GREETING: hello}", "env: {GREETING: [hello]}"),
    ("env: {GREETING: hello}", "env: {GREETING: }"),
    ("env: {GREETING: hello}", "env: [GREETING=hello]"),
    ("env: {GREETING: hello}", "env: {NETLAB_NODE: h2}"),
    ("cpu: 0.5", "cpu: 0"),
    ("cpu: 0.5", "cpu: -1"),
    ("cpu: 0.5", "cpu: half"),
    ("cpu: 0.5", "cpu: .nan"),
    ("cpu: 0.5", "cores: 1"),
    ("memory: 64M", "memory: 64 M"),
    ("memory: 64M", "memory: 64MB"),
    ("memory: 64M", "memory: 0"),
    ("memory: 64M", "memory: -64M"),
    ("memory: 64M", "memory: 6.4M"),
    ("memory: 64M", "memory: lots"),
    ("limits: {cpu: 0.5, memory: 64M}", "limits: 64M"),
    ("to: 10.9.0.0/16", "to: 10.9.0.1/16"),
    ("to: 10.9.0.0/16", "to: 10.9.0.0/33"),
    ("to: 10.9.0.0/16", "to: 10.9.0.0/255.255.0.0"),
    ("to: 10.9.0.0/16", "to: everywhere"),
    ("to: 10.9.0.0/16", "to: fd00:9::/64"),
    ("to: 10.9.0.0/16, ", ""),
    ("via: 10.5.0.1", "via: 10.5.1.1"),
    ("via: 10.5.0.1", "via: sw"),
    ("via: 10.5.0.1", "via: 10.5.0.1/24"),
    ("via: 10.5.0.1", "via: fd00:5::1"),
    ("via: 10.5.0.1", "gateway: 10.5.0.1"),
    ("via: 10.5.0.1}]", "via: 10.5.0.1}, {to: 10.9.0.0/16, via: 10.5.0.3}]"),
    ("routes: [{to: 10.9.0.0/16, via: 10.5.0.1}]", "routes: {to: 10.9.0.0/16, via: 10.5.0.1}"),
    ("routes: [{to: 10.9.0.0/16, via: 10.5.0.1}]", "routes: [default]"),
    # Links.
    ("  - [client, lb]", "  - [client]"),
    ("  - [client, lb]", "  - [client, lb, worker]"),
    ("  - [client, lb]", "  - []"),
    ("  - [client, lb]", "  - client"),
    ("  - [client, lb]", "  - client: lb"),
    ("  - [client, lb]", "  - [client, lbb]"),
    ("  - [client, lb]", "  - [client, client]"),
    ("  - [client, lb]", "  - [client, null]"),
    ("  - [client, lb]", "  - [client, [lb]]"),
    ("  - [client, lb]", "  - [client, {nod: lb}]"),
    ("  - [client, lb]", "  - [Client, lb]"),
    ("  - [client, lb]", "  - [client, worker4]"),
    ("  - [client, lb]", "  - {endpoints: [client]}"),
    ("  - [client, lb]", "  - {endpoint: [client, lb]}"),
    ("  - [client, lb]", "  - {endpoints: client}"),
    ("  - [client, lb]", "  - {}"),
    ("  - [client, lb]", "  -"),
    ("  - [worker, lb]", "  - [worker, worker]"),
    ("  - [worker, lb]", "  - [worker, worker2]"),
    ("  - [worker, lb]", "  - [{node: worker, address: 10.6.0.1/24}, lb]"),
    ("  - [worker, lb]", "  - [{node: worker, mac: '02:00:00:00:00:07'}, lb]"),
    ("  - [worker, lb]", "  - [worker, {node: lb, interface: lan}]"),
    ("  - [worker, lb]", "  - {endpoints: [worker, lb], subnet: 10.6.0.0/24}"),
    ("  h2:\n", "  h2: {replicas: 2}\n"),
    ("interface: lan", "interface: eth1}, h2]\n  - [{node: h1"),
    ("interface: lan", "interface: lan, interface: wan"),
    ("interface: lan", "interface: sixteencharacter"),
    ("interface: lan", "interface: la n"),
    ("interface: lan", "interface: la/n"),
    ("interface: lan", "interface: lo"),
    ("interface: lan", "interface: .."),
    ("interface: lan", "interface: ''"),
    ("interface: lan", "interface: eth%d"),
    ("interface: lan", "interface: lan:1"),
    ("interface: lan", "interface: all"),
    ("interface: lan", "interface: [lan]"),
    ("mtu: 1400", "mtu: 67"),
    ("mtu: 1400", "mtu: 65536"),
    ("mtu: 1400", "mtu: 1279"),
    ("mtu: 1400", "mtu: big"),
    ("mtu: 1400", "mtu: 1400.0"),
    ('"02:00:00:00:00:01"', '"02:00:00:00:00"'),
    ('"02:00:00:00:00:01"', '"02:00:00:00:00:0g"'),
    ('"02:00:00:00:00:01"', '"01:00:00:00:00:01"'),
    ('"02:00:00:00:00:01"', '"00:00:00:00:00:00"'),
    ('"02:00:00:00:00:01"', '"ff:ff:ff:ff:ff:ff"'),
    ('"02:00:00:00:00:01"', "020000000001"),
    ("[{node: h2, address", '[{node: h2, mac: "02:00:00:00:00:01", address'),
    # Addresses.
    ("address: 10.5.0.2/24", "address: 10.5.0.2/16"),
    ("address: 10.5.0.2/24", "address: 10.5.0.0/24"),
    ("address: 10.5.0.2/24", "address: 10.5.0.255"),
    ("address: 10.5.0.2/24", "address: 10.5.0.3"),
    ("address: 10.5.0.2/24", "address: 10.5.1.2"),
    ("address: 10.5.0.2/24", "address: 10.5.0.02"),
    ("address: 10.5.0.2/24", "address: 10.5.0"),
    ("address: 10.5.0.2/24", "address: 10.5.0.2/33"),
    ("address: 10.5.0.2/24", "address: 10.5.0.2/"),
    ("address: 10.5.0.2/24", "address: h1"),
    ("address: 10.5.0.2/24", "address: 10.5"),
    ("address: 10.5.0.2/24", "address: [10.5.0.2, 10.5.0.4]"),
    ("address: 10.5.0.2/24", "address: []"),
    ("address: 10.5.0.2/24", "address: {ip: 10.5.0.2}"),
    ("address: 10.5.0.2/24", "address: 'fd00:6::1'"),
    ("address: 10.5.0.2/24", "address: 'fd00:5::/64'"),
    ("address: 10.5.0.2/24", "address: 'fd00:5::3'"),
    ("address: 10.5.0.2/24", "address: 'fe80::1%eth0'"),
    (", sw]\n    subnet", ", {node: sw, address: 10.5.0.9}]\n    subnet"),
    ("subnet: 10.5.0.0/24", "subnet: 10.5.0.1/24"),
    ("subnet: 10.5.0.0/24", "subnet: 10.5.0.0"),
    ("subnet: 10.5.0.0/24", "subnet: 10.5.0.0/31"),
    ("subnet: 10.5.0.0/24", "subnet: 10.6.0.0/24"),
    ("subnet: 10.5.0.0/24", "subnet: 127.0.0.0/24"),
    ("subnet: 10.5.0.0/24", "subnet: 224.0.0.0/24"),
    ("subnet: 10.5.0.0/24", "subnet: 0.0.0.0/0"),
    ("subnet: 10.5.0.0/24", "subnet: [10.5.0.0/24, 10.6.0.0/24]"),
    ("subnet: 10.5.0.0/24", "subnet: [10.5.0.0/24, 'fe80::/64']"),
    ("subnet: 10.5.0.0/24", "subnet: [10.5.0.0/24, 'fd00:6::/64']"),
    ("subnet: 10.5.0.0/24", "subnet: any"),
    ("  - [client, lb]", "  - {endpoints: [client, lb], subnet: 10.5.0.128/25}"),
    ("  - [client, lb]", "  - {endpoints: [client, lb], subnet: 10.0.0.0/8}"),
    ("  - [client, lb]", "  - {endpoints: [client, lb], subnet: 10.7.0.0/32}"),
    ("  - [client, lb]", "  - {endpoints: [client, lb], subnet: 'fd00:5::/48'}"),
    ("  - [client, lb]", "  - [{node: client, address: 10.5.0.77/32}, lb]"),
    ("  - [client, lb]", "  - [{node: client, address: 10.7.0.1}, lb]"),
    ("  - [client, lb]", "  - [{node: client, address: 10.7.0.1/24}, {node: lb, address: 10.8.0.1/24}]"),
    ("  - [client, lb]", "  - [client, lb]\n  - [sw, sw2]"),
)
# These need more than one change.
CHANGES_TWICE: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("  h2:\n", "  h2:\n  s2: {kind: switch}\n"),
        ("  - [client, lb]", "  - [client, lb]\n  - [s2, sw]\n  - [sw, s2]"),
    ),
    (("mode: native", "mode: nativ"), ("policy: most-free", "polcy: most-free")),
    (("links:", "link:"), ("nodes:", "node:")),
    (("subnet: 10.5.0.0/24\n    ", ""), ("address: 10.5.0.2/24", "address: 10.5.0.2")),
    (("interface: lan", "interface: br0"), ("{node: h1", "h1, {node: sw"), (", sw]\n    subnet", "]\n    subnet")),
)

HORRORS: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\n  \n",
    "comment": b"# nothing\n",
    "dashes": b"---\n",
    "null": b"null\n",
    "text": b"hello world\n",
    "number": b"42\n",
    "list": b"- name: good\n- nodes: {a: }\n",
    "empty-mapping": b"{}\n",
    "no-nodes": b"name: lab\n",
    "empty-nodes": b"name: lab\nnodes: {}\n",
    "null-nodes": b"name: lab\nnodes:\n",
    "list-nodes": b"name: lab\nnodes: [a, b]\n",
    "text-nodes": b"name: lab\nnodes: a b\n",
    "text-links": b"name: lab\nnodes: {a: , b: }\nlinks: a b\n",
    "mapping-links": b"name: lab\nnodes: {a: , b: }\nlinks: {a: b}\n",
    "null-links": b"name: lab\nnodes: {a: , b: }\nlinks:\n",
    "json-cut": b'{"name": "lab", "nodes": {"a": {',
    "tab": b"name: lab\nnodes:\n\ta:\n",
    "bracket": b"name: lab\nnodes: [a, b\n",
    "brace": b"name: lab\nnodes: {a: }}\n",
    "quote": b"name: 'lab\nnodes: {a: }\n",
    "indent": b"name: lab\nnodes:\n  a:\n   role: x\n  b:\n   c\n d:\n",
    "colon": b"name: lab: good\nnodes: {a: }\n",
    "at": b"name: @lab\nnodes: {a: }\n",
    "percent": b"%YAML 9.9\n---\nname: lab\n",
    "directive": b"%TAG ! tag:example.com,2000:\nname: lab\n",
    "two-documents": b"name: lab\nnodes: {a: }\n---\nname: lab2\nnodes: {b: }\n",
    "second-empty": b"name: lab\nnodes: {a: }\n---\n",
    "latin-1": "name: lab\ndescription: Gr\u00f6\u00dfe\nnodes: {a: }\n".encode("latin-1"),
    "utf-16": "name: lab\nnodes: {a: }\n".encode("utf-16"),
    "utf-16-plain": "name: lab\nnodes: {a: }\n".encode("utf-16-le"),
    "utf-32": "name: lab\nnodes: {a: }\n".encode("utf-32"),
    "overlong": b"name: \xc0\xae\xc0\xae\n",
    "surrogate": b"name: \xed\xa0\x80\n",
    "escape": b"name: \x1b[31mlab\n",
    "delete": b"name: la\x7fb\n",
    "nul": b"name: lab\0\nnodes: {a: }\n",
    "nul-escaped": b'name: "lab\\0"\nnodes: {a: }\n',
    "bell-key": b'"na\\ame": lab\nnodes: {a: }\n',
    "elf": b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00>\x00",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "zeros": bytes(4096),
    "every-byte": bytes(range(256)) * 16,
    "ten-megabytes": b"name: lab\n" + b"# padding padding padding padding\n" * 300_000,
    "a-megabyte-of-keys": b"".join(b"k%d: v\n" % number for number in range(90_000)),
    "a-megabyte-of-one-word": b"x" * 1_000_000,
    "a-megabyte-of-digits": b"name: " + b"9" * 1_000_000,
    "half-a-million-values": b"[" + b"a," * 500_000 + b"]",
    "brackets": b"[" * 100_000,
    "braces": b"{a: " * 100_000,
    "brackets-closed": b"[" * 900 + b"]" * 900,
    "dash-dash-dash": b"- " * 500_000,
    "question-marks": b"? " * 300_000,
    "deep-mapping": b"".join(b" " * depth + b"a:\n" for depth in range(1000)),
    "laughs": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (97 + level, 97 + level, b", ".join([b"*%c" % (96 + level)] * 9)) for level in range(1, 9)
    ),
    "laughs-in-keys": b"a: &a {k: v, l: v}\n"
    + b"".join(b"%c: &%c {k: *%c, l: *%c}\n" % (97 + n, 97 + n, 96 + n, 96 + n) for n in range(1, 25)),
    "merged-laughs": b"a: &a {k: v}\n" + b"b: {<<: [" + b"*a, " * 1000 + b"*a]}\n",
    "recursive": b"name: lab\nnodes: &n\n  a: *n\n",
    "recursive-list": b"&a [*a]\n",
    "recursive-merge": b"name: lab\nnodes: &n\n  <<: *n\n",
    "unknown-alias": b"name: *lab\n",
    "alias-as-root": b"*lab\n",
    "python": b"!!python/object/apply:os.system ['true']\n",
    "python-deep": b"name: lab\nnodes: {a: !!python/object/new:tuple [1]}\n",
    "binary-tag": b"name: !!binary bGFi\nnodes: {a: }\n",
    "set-tag": b"name: lab\nnodes: !!set {a, b}\n",
    "timestamp": b"name: 2001-12-14t21:59:43.10-05:00\nnodes: {a: }\n",
    "long-keys": b"name: lab\nnodes: {" + b"n" * 1020 + b": }\n",
    "long-text": b"name: " + b"lab " * 10_000 + b"\nnodes: {a: }\n",
    "newline-name": b'name: "lab\\nlab"\nnodes: {a: }\n',
    "many-nodes": b"name: lab\nnodes:\n" + b"".join(b"  %c: {replicas: 1000}\n" % (97 + n) for n in range(5)),
    "very-many-nodes": b"name: lab\nnodes:\n" + b"".join(b"  n%d:\n" % n for n in range(30_000)),
    "many-links": b"name: lab\nnodes: {a: {replicas: 1000}, b: }\nlinks:\n" + b"  - [a, b]\n" * 30,
    "many-bad-links": b"name: lab\nnodes: {a: , b: }\nlinks:\n" + b"  - [nowhere, neither]\n" * 3000,
    "many-ports": b"name: lab\nnodes:\n  a: {replicas: 1000}\n  b: {replicas: 24}\n  s: {kind: switch}\n"
    b"links: [[a, s], [b, s]]\n",
    "loop-of-switches": b"name: lab\nnodes: {a: {kind: switch}, b: {kind: switch}, c: {kind: switch}}\n"
    b"links: [[a, b], [b, c], [c, a]]\n",
    "long-circle": b"name: lab\nnodes:\n"
    + b"".join(b"  n%d: {command: ['true'], after: n%d}\n" % (n, (n + 1) % 2000 + 0) for n in range(2000))
    .replace(b"n0:", b"n0x:")
    .replace(b"after: n0}", b"after: n0x}"),
    "compose-file": b"version: '3'\nservices:\n  web:\n    image: nginx\n    ports: ['80:80']\n",
    "kathara": b'pc1[0]="A"\npc2[0]="A"\n',
    "python-source": b"import os\nprint('hello')\n",
    "html": b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
    "ini": b"[lab]\nname = lab\n",
    "toml": b'name = "lab"\n[nodes.a]\nrole = "x"\n',
    "windows": b"name: lab\r\nnodse:\r\n  a:\r\n",
    "old-mac": b"name: lab\rnodse:\r  a:\r",
    "byte-order-mark": b"\xef\xbb\xbfnmae: lab\nnodes: {a: }\n",
}


def changed() -> Iterator[tuple[str, bytes]]:
    """Yield every way of breaking GOOD, each with a name."""
    for changes in (*((change,) for change in CHANGES), *CHANGES_TWICE):
        text = GOOD
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        yield " ".join(new.strip() or f"without {old.strip()}" for old, new in changes), text.encode()


def broken() -> Iterator[tuple[str, bytes]]:
    """Yield every broken topology with its name."""
    yield from changed()
    yield from HORRORS.items()


def main(folder: str) -> None:
    """Write every broken topology into `folder`, beside the roles and the program that they name."""
    shutil.copytree(ROLES, folder, dirs_exist_ok=True)
    with open(os.path.join(folder, "good.yml"), "w", encoding="utf-8") as file:
        file.write(GOOD)
    for number, (_, content) in enumerate(broken()):
        with open(os.path.join(folder, f"broken-{number:03}.yml"), "wb") as binary:
            binary.write(content)


if __name__ == "__main__":
    main(sys.argv[1])
