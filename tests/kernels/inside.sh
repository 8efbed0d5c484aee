#!/bin/sh
# In the virtual machine, as root: run the tests of a form (short or whole) by netlab's own interpreter.
set -eu
cd "$(dirname "$0")/../.."
here=$PWD
mkdir /run/host /run/out
# machine.py has the devices. Without a cache each start of Python asks the host for hundreds of files.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /run/host
mount -t 9p -o trans=virtio,version=9p2000.L out /run/out
exec >>/run/out/lines 2>>/run/out/talk
for folder in /usr "$here"; do
    mount --bind "/run/host$folder" "$folder"
done
cd "$here"
ip link set lo up
# On an emulated processor everything takes ten times as long, and more on a busy machine.
exec env PYTHONDONTWRITEBYTECODE=1 NETLAB_TEST_PATIENCE=1200 .venv/bin/python -m tests.kernels.inside "$1"
