"""What is tried on each kernel: features by name, and the tests that show them.

The short form is for every run of continuous integration, and has twenty minutes for all kernels, by software
emulation if need be; the whole form adds to it. The first check that loads compiles for those that come after it.
"""

from typing import NamedTuple


class Feature(NamedTuple):
    """A row of the table: its name, the tests of the short form, and those that the whole form adds."""

    name: str
    short: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    def tests(self, is_short: bool) -> tuple[str, ...]:
        """Return the tests of a form, as pytest names them: files, or FILE::TEST."""
        return self.short if is_short else (*self.short, *self.more)

    def has(self, test: str) -> bool:
        """Say whether a test, by its whole name, is one of this feature's."""
        return any(test == one or test.startswith((f"{one}::", f"{one}[")) for one in self.tests(is_short=False))


_LAB = "tests/lab/test_"
FEATURES = (
    Feature("what netlab needs of a kernel", ("tests/unit/programs/test_features.py::test_this_kernel_has_it",)),
    Feature("every program loads, with trace and without", (f"{_LAB}every_program.py",)),
    Feature(
        "programs that nobody trusts build in a room, and get no further",
        tuple(
            f"{_LAB}rooms.py::test_{name}" for name in ("the_process_has_nothing", "a_compiler_is_found_by_any_name")
        ),
        (f"{_LAB}rooms.py",),
    ),
    Feature("the three demos meet all their claims", (f"{_LAB}demo.py::test_all_claims_hold",)),
    Feature(
        "DNS through the balancer",
        (f"{_LAB}dns.py::test_answers_come_from_the_address_that_was_asked",),
        (f"{_LAB}dns.py",),
    ),
    Feature("servers that die, or answer in fragments", more=(f"{_LAB}servers.py",)),
    Feature(
        "`reload` and `stats`",
        (f"{_LAB}dns.py::test_a_reload_between_two_questions",),
        (f"{_LAB}reload.py", f"{_LAB}several_programs.py"),
    ),
    Feature(
        "what goes wrong with XDP is counted and named",
        (f"{_LAB}xdp_errors.py::test_each_loss_has_its_reason",),
        (f"{_LAB}xdp_errors.py",),
    ),
    Feature(
        "limits of CPU and memory",
        (
            f"{_LAB}limits.py::test_a_busy_loop_gets_its_share",
            f"{_LAB}limits.py::test_who_takes_too_much_memory_is_killed",
        ),
        (f"{_LAB}limits.py",),
    ),
    Feature(
        "untrusted labs: rooms, their few rights, and bounded processes",
        more=(
            *(
                f"{_LAB}trust.py::test_{name}"
                for name in (
                    "a_process_and_a_command_have_the_same_few_rights",
                    "nothing_of_the_machine_can_be_changed",
                    "a_lab_that_was_killed_leaves_nothing",
                    "no_file_of_the_host_is_seen",
                    "memory_is_bounded",
                )
            ),
            f"{_LAB}limits.py::test_there_are_no_more_processes_than_the_limit",
        ),
    ),
    Feature(
        "links that lose, flip, double, delay and limit; netem, and netlab's process in its place",
        tuple(
            f"{_LAB}impairments.py::test_{name}"
            for name in (
                "ten_runs_lose_the_same_packets",
                "a_corrupted_packet_fails_its_checksum",
                "doubled_packets_come_twice",
                "chosen_packets_overtake",
                "tcp_gets_the_rate",
                "a_delay_is_met",
                "jitter_spreads_and_keeps_the_order",
            )
        ),
        (f"{_LAB}impairments.py", f"{_LAB}impaired_links.py", "tests/bpf/test_impairments.py"),
    ),
    Feature(
        "programs that tell of their packets: `capture --verdicts`",
        (
            "tests/bpf/test_verdict_code.py::test_a_packet_is_told_with_verdict_and_reason",
            "tests/bpf/test_verdict_code.py::test_what_has_no_room_is_counted",
        ),
        ("tests/bpf/test_verdict_code.py", f"{_LAB}verdicts.py"),
    ),
    Feature("packets: dropper", more=("tests/bpf/test_dropper.py",)),
    Feature(
        "packets: balancer", more=("tests/bpf/test_cases.py", "tests/bpf/test_ipv6.py", "tests/bpf/test_weights.py")
    ),
    Feature("requests that are held and sent again", more=("tests/bpf/test_holding.py", f"{_LAB}retry.py")),
    Feature("healing of totals", more=("tests/bpf/test_healing.py", f"{_LAB}healing.py")),
    Feature("loading, pins and errors of programs", more=(f"{_LAB}programs.py", f"{_LAB}compiled_once.py")),
    Feature("links, namespaces and sysctls", more=(f"{_LAB}links.py", f"{_LAB}netns.py", f"{_LAB}sysctls.py")),
    Feature(
        "maps that are filled and shown, programs, `lab.h`",
        more=(f"{_LAB}maps.py", f"{_LAB}program_view.py", f"{_LAB}lab_header.py"),
    ),
    Feature(
        "ready objects, and libbpf's dialect",
        (f"{_LAB}objects.py::test_a_source_and_its_object_are_loaded",),
        (f"{_LAB}objects.py", f"{_LAB}libbpf.py", f"{_LAB}libbpf_demo.py"),
    ),
    Feature("tc programs, by tcx or by clsact", more=(f"{_LAB}tc.py",)),
    Feature("switches with spanning trees and VLANs", more=(f"{_LAB}switches.py",)),
    Feature("the host as a node, NAT to the outside", more=(f"{_LAB}outside.py",)),
    Feature("labs with daemons: OSPF, BGP, RIP, DNS, VRRP, NAT, a TCP balancer, EVPN", more=(f"{_LAB}real_labs.py",)),
    Feature("trace", more=(f"{_LAB}trace.py",)),
    Feature("IPv6", more=(f"{_LAB}ipv6.py",)),
    Feature("`up` and `down`, interrupted and stopped", more=(f"{_LAB}stopping.py", f"{_LAB}supervisor.py")),
    Feature("processes started and stopped in a lab that runs", more=(f"{_LAB}socket.py", f"{_LAB}restarting.py")),
)


def chosen(is_short: bool) -> list[str]:
    """Return all tests of a form, each once; a file stands for all that is in it."""
    names = dict.fromkeys(test for feature in FEATURES for test in feature.tests(is_short))
    return [name for name in names if name.partition("::")[0] == name or name.partition("::")[0] not in names]


def feature_of(test: str) -> str:
    """Return the name of the feature that a test, by its whole name, belongs to: of the first that has it."""
    named = [each for each in FEATURES if test.partition("[")[0] in (*each.short, *each.more)]
    return (named or [each for each in FEATURES if each.has(test)])[0].name
