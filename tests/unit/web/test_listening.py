"""Where browsers are served."""

import socket

import pytest

from netlab.errors import NetlabError, UsageError
from netlab.web import listening
from netlab.web.doors import Keys


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(NetlabError, match=f"port {port} of 127.0.0.1 is in use: choose another with --port"):
            listening.bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.name.invalid", "a" * 80])
def test_a_host_that_is_not_this_machine_is_said(host: str) -> None:
    with pytest.raises(UsageError, match=f"--host {host}.*expected an address"):
        listening.bind(host, 0)


def test_the_addresses_have_the_keys() -> None:
    with listening.bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        both = listening.addresses(bound, Keys("one", "two"))
        only = listening.addresses(bound, Keys("one", ""))

    assert {"look": f"http://127.0.0.1:{port}/?key=one"} == only
    assert {"look and change": f"http://127.0.0.1:{port}/?key=two", **only} == both


def test_an_address_of_all_interfaces_is_this_hosts_name() -> None:
    with listening.bind("0.0.0.0", 0) as bound:  # noqa: S104 - it is closed at once
        (address,) = listening.addresses(bound, Keys("one", "")).values()

    assert address.startswith(f"http://{socket.gethostname()}:")
