"""What tests of labs need, netlab's own and those of whoever uses it; nothing else in netlab knows of it."""
