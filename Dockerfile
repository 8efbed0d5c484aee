# `node`: what the nodes of a lab are in Docker mode. `dev`: a container for eBPF development (docs/docker.md).
#
#   docker build --target node -t netlab-node .
#   docker build --target dev -t netlab-dev .
#
# Any Debian 12 or newer will do as BASE. Where no registry can be reached, `make image` and `make image-dev` build the
# same from a base of their own (.ci/image), which has the packages already: then nothing here needs a network.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS node
# .ci/image reads these lists from here, so each is on one line.
ARG NODE_PACKAGES="python3 iproute2 iputils-ping tcpdump"
RUN dpkg --status $NODE_PACKAGES >/dev/null 2>&1 || { apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $NODE_PACKAGES \
    && rm -rf /var/lib/apt/lists/*; }
COPY bpf /opt/netlab/bpf
COPY topologies /opt/netlab/topologies
COPY roles /opt/netlab/roles
COPY netlab /opt/netlab/netlab
# Roles import netlab's modules; a line in a .pth file is how Debian's python3, of whatever version, finds them.
RUN echo /opt/netlab >/usr/lib/python3/dist-packages/netlab.pth \
    && python3 -m compileall -q /opt/netlab/netlab /opt/netlab/roles
ARG VERSION=unknown
ARG CONTENTS=unknown
LABEL org.opencontainers.image.title="netlab node" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="GPL-2.0-or-later" \
    netlab.contents="${CONTENTS}"
CMD ["sleep", "infinity"]

FROM node AS dev
ARG DEV_PACKAGES="python3-bpfcc bpftool clang llvm linux-libc-dev libbpf-dev make ethtool python3-pyroute2 python3-psutil python3-yaml"
RUN dpkg --status $DEV_PACKAGES >/dev/null 2>&1 || { apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $DEV_PACKAGES \
    && rm -rf /var/lib/apt/lists/*; }
# What bcc takes for the kernel's source, so that it needs no headers of the running kernel: netlab's own small tree,
# and the system's user-space headers under the names that bcc looks for. clang finds <asm/types.h> by the last line.
RUN kernel=/usr/src/netlab-headers asm=/usr/include/$(uname -m)-linux-gnu/asm \
    && cp -r /opt/netlab/bpf/kernel $kernel \
    && for path in /usr/include/linux/* /usr/include/asm-generic $asm; do \
        to=$kernel/include/uapi/${path#/usr/include/} && [ "$path" != $asm ] || to=$kernel/include/uapi/asm; \
        [ -e "$to" ] || ln -s "$path" "$to"; \
    done \
    && ln -s $asm /usr/include/asm \
    && printf '#!/bin/sh\nexec python3 -P -m netlab "$@"\n' >/usr/local/bin/netlab && chmod 755 /usr/local/bin/netlab
ENV BCC_KERNEL_SOURCE=/usr/src/netlab-headers
LABEL org.opencontainers.image.title="netlab eBPF development"
WORKDIR /work
CMD ["bash"]
