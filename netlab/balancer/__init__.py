"""The one place that knows the balancer's maps: sets them up, heals, changes and reads them."""

from typing import TYPE_CHECKING

from netlab.balancer.counters import Count, Snapshot, counts, has_balancer, snapshot
from netlab.balancer.discovery import carried, expand, find, own_lab, own_program
from netlab.balancer.healer import Healer
from netlab.balancer.health_checks import Checks, Patience, Rule, command, question
from netlab.balancer.holds import Heard, Keeper, Listener
from netlab.balancer.layout import BY_REPLIES, BY_REPORTS, POLICIES
from netlab.balancer.own_requests import OwnRequests
from netlab.balancer.reports import Reporter, absent, reporters
from netlab.balancer.settings import Backend, Interface, Settings, set_up

if TYPE_CHECKING:
    from netlab.record.model import LabRecord as LabRecord
    from netlab.record.model import ProgramRecord as ProgramRecord

__all__ = [
    "BY_REPLIES",
    "BY_REPORTS",
    "POLICIES",
    "Backend",
    "Checks",
    "Count",
    "Healer",
    "Heard",
    "Interface",
    "Keeper",
    "Listener",
    "OwnRequests",
    "Patience",
    "Reporter",
    "Rule",
    "Settings",
    "Snapshot",
    "absent",
    "carried",
    "command",
    "counts",
    "expand",
    "find",
    "has_balancer",
    "own_lab",
    "own_program",
    "question",
    "reporters",
    "set_up",
    "snapshot",
]
