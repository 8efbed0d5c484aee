"""All cases of the balancer's packet table."""

from tests.bpf import cases_absent, cases_backends, cases_fragments, cases_replies, cases_requests
from tests.bpf.cases_passed import PASSED

MORE = (*cases_requests.PARTS, *cases_backends.PARTS, *cases_replies.PARTS, *cases_fragments.PARTS, *cases_absent.PARTS)
CASES = [*PASSED, *(case for part in MORE for case in part())]
ELSEWHERE = {  # reasons that take more than a packet and a state, and where they are shown
    "REPORT_REQUEST_LOST": "test_healing.py",
}
