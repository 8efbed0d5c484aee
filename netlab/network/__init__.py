"""The network of a lab, made in namespaces that exist already."""
