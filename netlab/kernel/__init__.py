"""Linux, as netlab needs it: system calls, netlink, sysctls, files, processes and their ends."""
