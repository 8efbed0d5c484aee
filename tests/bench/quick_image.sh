#!/bin/sh
# Makes a node's image for Docker of this machine's own files, in seconds: as much of them as nodes and roles need. Only
# for benchmarks in a hurry; .ci/image makes the real one.
set -eu
cd "$(dirname "$0")/../.."

python=$(readlink -f /usr/bin/python3)
library=/usr/lib/python3/dist-packages
stdlib=$(echo "$python" | sed 's,/bin/,/lib/,')
tools="$python /bin/sh /usr/bin/env /bin/sleep /bin/true $(command -v ip) $(command -v ping)"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/opt/netlab" "$root/etc" "$root/tmp" "$root/run" "$root$library"
for link in bin sbin lib lib64; do
    [ ! -L "/$link" ] || ln -s "$(readlink "/$link")" "$root/$link"
done
# shellcheck disable=SC2086  # lists of paths
{
    for tool in $tools; do readlink -f "$tool"; done
    for tool in $tools "$stdlib"/lib-dynload/*.so; do ldd "$tool"; done | grep -o '/[^ ]*' | while read -r path; do
        readlink -f "$path"
        echo "$path" # a link to that, as a rule
    done
    echo "$stdlib"
} | sed 's,^/\(bin\|sbin\|lib\|lib64\)/,/usr/\1/,' | sort -u |
    tar --exclude=test --exclude=__pycache__/test --exclude=dist-packages --exclude='config-*' \
        -C / -cf - --files-from - 2>/dev/null | tar -C "$root" -xf -
ln -sf "$(basename "$python")" "$root/usr/bin/python3"
ln -sf "$(basename "$(readlink -f /bin/sh)")" "$root/usr/bin/sh"
cp -r bpf netlab roles topologies "$root/opt/netlab"
echo /opt/netlab >"$root$library/netlab.pth"
cp /etc/passwd /etc/group "$root/etc"
tar -C "$root" -cf - . | docker import --change 'CMD ["sleep", "infinity"]' - netlab-node:latest
