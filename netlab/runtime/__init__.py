"""Where nodes live: network namespaces, containers, control groups, and ways into them."""
