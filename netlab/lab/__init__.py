"""The life of one lab: up, down, reload, commands in its nodes, and whether it is as planned."""
