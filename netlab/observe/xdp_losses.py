"""What the kernel has lost with XDP in a lab: how many frames, where, and why."""

from netlab.observe.stats import XdpLoss
from netlab.programs import xdp_errors, xdp_places, xdp_reasons
from netlab.record.model import LabRecord


def read(lab: LabRecord) -> tuple[XdpLoss, ...]:
    """Return all losses, most frames first; none in a lab in which they are not counted."""
    nodes = xdp_places.nodes(lab)
    found: dict[tuple[str, ...], XdpLoss] = {}
    for error, counted in xdp_errors.counts(lab.folder).items():
        where, why = xdp_places.place_of(nodes, error), xdp_reasons.reason(error)
        words = xdp_reasons.words(error, where.target)
        loss = XdpLoss(*where[:3], why.name, where.target, counted.frames, counted.detail, words)
        same = found.setdefault((*where, words), loss)  # as by bpf_redirect and by a devmap
        if same is not loss:
            found[*where, words] = same._replace(frames=same.frames + loss.frames)
    return tuple(sorted(found.values(), key=lambda loss: (-loss.frames, loss)))
