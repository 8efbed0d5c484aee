"""Which program of a file is the one to attach."""

import pytest

from netlab.programs.build import Refused, choose_entry, refuse_other_kind
from netlab.programs.loader import Job
from netlab.topology.hooks import EGRESS, INGRESS, XDP


@pytest.mark.parametrize(
    ("candidates", "wanted", "stem", "entry"),
    [
        (["a", "b"], "b", "a", "b"),
        (["a", "b"], "", "b", "b"),
        (["other", "my_drop"], "", "my-drop", "my_drop"),
        (["other", "xdp_prog"], "", "drop", "xdp_prog"),
        (["other", "xdp"], "", "drop", "xdp"),
        (["other"], "", "drop", "other"),
        (["other", "egress_devmap", "look_run"], "", "drop", "other"),
        (["look_run"], "", "drop", "look_run"),
        (["other", "drop_run"], "", "drop_run", "drop_run"),
        (["other", "look_run"], "look_run", "drop", "look_run"),
    ],
)
def test_the_entry_follows_the_convention(candidates: list[str], wanted: str, stem: str, entry: str) -> None:
    """The function asked for, or named like the file, or by a usual name, or the only one."""
    assert entry == choose_entry(candidates, wanted, stem, others=candidates)


@pytest.mark.parametrize(
    ("candidates", "wanted"), [(["look_run"], ""), (["a", "b"], "c"), ([], "c"), (["a", "b"], ""), ([], "")]
)
def test_no_entry_is_guessed(candidates: list[str], wanted: str) -> None:
    """Where the convention does not decide, nothing is attached."""
    with pytest.raises(Refused) as refused:
        choose_entry(candidates, wanted, "drop")

    assert all(name in refused.value.text for name in candidates if name != "look_run")


@pytest.mark.parametrize(
    ("hook", "names", "entry"),
    [
        (INGRESS, ["tc_ingress", "tc_egress"], "tc_ingress"),
        (EGRESS, ["tc_ingress", "tc_egress"], "tc_egress"),
        (EGRESS, ["ingress", "egress"], "egress"),
        (INGRESS, ["other", "tc"], "tc"),
        (INGRESS, ["handle_egress", "handle_ingress_pkt", "other"], "handle_ingress_pkt"),
    ],
)
def test_usual_names_are_those_of_the_hook(hook: str, names: list[str], entry: str) -> None:
    assert entry == choose_entry(names, "", "stem", hook=hook)
    with pytest.raises(Refused, match="say which one"):
        choose_entry(names, "", "stem", hook=XDP)


@pytest.mark.parametrize(
    ("hook", "function", "own", "others", "said"),
    [
        (XDP, "", [], ["a", "b"], "has no program for XDP; a() and b() take a struct __sk_buff *, as for tc: give it"),
        (
            XDP,
            "b",
            ["a"],
            ["b"],
            "attaches b() as a program for XDP; it takes a struct __sk_buff *, as for tc: give it",
        ),
        (EGRESS, "", [], ["a"], "has no program for tc; a() takes a struct xdp_md *, as for XDP: give it under `xdp:`"),
    ],
)
def test_a_program_of_the_other_kind_is_refused(
    hook: str, function: str, own: list[str], others: list[str], said: str
) -> None:
    """With the key that takes it; a file may have programs of both kinds."""
    job = Job("lab", "a", "/a.c", "/pins", "/work", function, hook=hook)
    with pytest.raises(Refused) as refused:
        refuse_other_kind(job, own, others)

    assert refused.value.text.startswith(said)
    refuse_other_kind(job._replace(function=""), ["a"], ["b"])
