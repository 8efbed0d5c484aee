"""Which ends of links are one broadcast domain."""

from netlab.topology.bridged import Joined, Port, common, domains


def port(
    switch: str, vlan: int = 0, *vlans: int, filters: bool = True, tags: tuple[int, ...] = ()
) -> dict[int, tuple[str, int]]:
    return domains(switch, Port(vlan, vlans), filters=filters, tags=tags)


def test_a_port_that_says_nothing_is_in_the_first_vlan() -> None:
    assert port("s") == {0: ("s", 1)}
    assert port("s", 10) == {0: ("s", 10)}


def test_a_trunk_drops_frames_without_a_tag_unless_it_has_a_vlan_for_them() -> None:
    assert port("s", 0, 10, 20) == {10: ("s", 10), 20: ("s", 20)}
    assert port("s", 5, 10) == {0: ("s", 5), 10: ("s", 10)}


def test_a_switch_that_does_not_filter_hands_tags_on() -> None:
    assert port("s", filters=False, tags=(10,)) == {0: ("s", 0), 10: ("s", 10)}


def test_a_link_joins_what_both_ends_carry() -> None:
    trunk, other = port("s", 1, 10, 20), port("t", 7, 20, 30)

    assert common(trunk, other) == [(("s", 1), ("t", 7)), (("s", 20), ("t", 20))]
    assert common(port("s", 0, 10), port("t", 0, 20)) == []


def test_what_is_joined_has_one_leader() -> None:
    joined = Joined()

    assert joined.join(("a", 0), ("b", 0))
    assert joined.join(("c", 0), ("b", 0))
    assert not joined.join(("a", 0), ("c", 0))
    assert joined.leader(("a", 0)) == joined.leader(("b", 0)) == ("c", 0)
    assert joined.leader(("d", 0)) == ("d", 0)
