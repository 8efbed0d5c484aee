#!/bin/sh
# In the virtual machine, as root: run the tests of a form (short or whole) by netlab's own interpreter. A second word is
# the patience of each test, in seconds, on an emulated processor, which takes ten times as long for everything.
set -eu
cd "$(dirname "$0")/../.."
here=$PWD
mkdir /run/host /run/out
# machine.py has the devices. Without a cache each start of Python asks the host for hundreds of files.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /run/host
mount -t 9p -o trans=virtio,version=9p2000.L out /run/out
exec >>/run/out/lines 2>>/run/out/talk
# Not /usr as a whole: virtme-ng has put the kernel's modules in /usr/lib/modules.
for folder in /usr/*/ /usr/lib/*/ "$here"; do
    case $folder in
    /usr/lib/ | /usr/lib/modules/) ;;
    *) [ -h "${folder%/}" ] || mount --bind "/run/host$folder" "$folder" ;;
    esac
done
cd "$here"
ip link set lo up
export PYTHONDONTWRITEBYTECODE=1
[ -z "${2-}" ] || export NETLAB_TEST_PATIENCE="$2"
exec .venv/bin/python -m tests.kernels.inside "$1"
