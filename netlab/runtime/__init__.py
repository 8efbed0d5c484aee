"""Where nodes live: network namespaces, containers, control groups, and the ways into them."""
