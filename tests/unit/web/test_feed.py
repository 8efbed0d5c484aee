"""Events of a lab become moments."""

import pytest

from netlab.observe.events import Event
from netlab.web.feed import moment_of
from netlab.web.moments import Linked, Moment, Rate, Rated, Told

RATES = {"rx_packets_s": 2.0, "tx_packets_s": 1.0, "rx_bits_s": 4.0, "tx_bits_s": 3.0, "lost_s": 5.0}


@pytest.mark.parametrize(
    ("event", "moment"),
    [
        (Event(1, "rates", "mine", "a", {"interface": "eth0", **RATES}), Rated(1, "a:eth0", Rate(1, 2, 3, 4, 5))),
        (Event(2, "link", "mine", "a", {"interface": "eth0", "state": "down"}), Linked(2, "a:eth0", "down")),
        (
            Event(3, "exited", "mine", "a", {"process": "a/b", "text": "exited with code 0"}),
            Told(3, "a/b", "a", "note", "exited with code 0", life="exited"),
        ),
        (
            Event(4, "fault", "mine", "", {"about": None, "text": "link a-b down"}),
            Told(4, "", "", "fault", "link a-b down"),
        ),
        (Event(5, "counts", "mine", "a", {"program": "a"}), None),
    ],
)
def test_each_kind_is_what_the_page_shows(event: Event, moment: Moment | None) -> None:
    found = moment_of(event)

    assert moment == (found._replace(event=None) if isinstance(found, Told) else found)
