"""A Docker engine, used through its SDK, whose errors become netlab's. The only user of that library."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from netlab.errors import HostError, NetlabError, UsageError
from netlab.topology.model import NODE_IMAGE

THREADS = 8  # requests that an engine does at a time without becoming slower
_DEFAULT = "unix:///var/run/docker.sock"
_PATIENCE = "DOCKER_CLIENT_TIMEOUT"  # how long one request may take, as for docker-compose
_PATIENCE_S = 60
_LISTEN_S = 1.0
_REMOVE_S, _REMOVE_INTERVAL_S = 30.0, 0.2


def address() -> str:
    """Return the address of the chosen engine: DOCKER_HOST, as for the engine's own client."""
    return os.environ.get("DOCKER_HOST") or _DEFAULT


@contextmanager
def connected(where: str) -> Iterator[Any]:
    """Connect to the engine at an address; a refusal is a NetlabError, and HostError if no engine answers."""
    patience_s = _patience_s()
    import docker
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        settings = docker.utils.kwargs_from_env(environment={**os.environ, "DOCKER_HOST": where})
        client = docker.APIClient(**settings, version="auto", timeout=patience_s, num_pools=THREADS)
    except (DockerException, RequestException) as error:
        raise HostError(
            f"no Docker engine answers at {where}: start one (systemctl start docker, or dockerd), install one "
            f"(on Debian: apt-get install docker.io), or name another in DOCKER_HOST ({_innermost(error)})"
        ) from None
    try:
        yield client
    except APIError as error:
        raise NetlabError(f"the Docker engine refuses: {error.explanation or error}") from error
    except (DockerException, RequestException) as error:
        raise NetlabError(f"the Docker engine at {where} does not answer any more: {_innermost(error)}") from error
    finally:
        client.close()


def _patience_s() -> int:
    """Return how many seconds a request may stay without an answer; UsageError if that is no number."""
    text = os.environ.get(_PATIENCE) or str(_PATIENCE_S)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise UsageError(f"{_PATIENCE} is {text!r}: expected a number of seconds, such as {_PATIENCE_S}")
    return int(text)


def answers(where: str) -> bool:
    """Say whether an engine listens at its address, without its SDK; not whether this user may use it."""
    if not where.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_LISTEN_S)
        try:
            client.connect(where.removeprefix("unix://"))
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def check_image(client: Any, image: str, nodes: Sequence[str]) -> None:
    """Raise HostError, with the command that builds it, if an image for these nodes is missing."""
    from docker.errors import ImageNotFound

    try:
        client.inspect_image(image)
    except ImageNotFound:
        who = f"{nodes[0]}{f' and {len(nodes) - 1} more' if nodes[1:] else ''}"
        way = "make image builds it" if image == NODE_IMAGE else f"docker pull {image}, or build it"
        raise HostError(f"there is no image {image}, which {who} should be made of: {way}") from None


def check_running(client: Any, container: str, node: str) -> None:
    """Raise NetlabError, with its output, if a container has ended as soon as it was started."""
    about = client.inspect_container(container)
    if about["State"]["Running"]:
        return
    said = client.logs(container, tail=3).decode(errors="replace").strip()
    raise NetlabError(
        f"the container of {node} has ended at once, with exit code {about['State']['ExitCode']}; "
        f"an image for nodes needs `sleep`, and {about['Config']['Image']} says: {said or 'nothing'}"
    )


def has(client: Any, container: str, path: str) -> bool:
    """Say whether a container has anything at a path."""
    from docker.errors import NotFound

    try:
        stream, _ = client.get_archive(container, path)
    except NotFound:
        return False
    stream.close()
    return True


def text_of(client: Any, container: str, path: str) -> str:
    """Return the text of a file of a container; "" if it has none."""
    import io
    import tarfile

    if not has(client, container, path):
        return ""
    stream, _ = client.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        member = archive.next()
        file = archive.extractfile(member) if member else None
        return file.read().decode(errors="replace") if file else ""


def remove(client: Any, container: str) -> None:
    """Remove a container, running or not, with its anonymous volumes; a container that is gone is no error.

    An engine may refuse to remove one that it is just starting, or that another removes: it is asked again for a while.
    """
    from docker.errors import APIError, NotFound

    until = time.monotonic() + _REMOVE_S
    while True:
        try:
            client.remove_container(container, v=True, force=True)
        except NotFound:
            pass
        except APIError:
            if time.monotonic() < until:
                time.sleep(_REMOVE_INTERVAL_S)
                continue
            raise
        return


def _innermost(error: BaseException) -> str:
    """Return the innermost reason, without the layers that repeat it."""
    while inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = inner
    return str(error)
