"""The routing core: gRPC in front, backends behind. Admits, routes, tries and settles calls."""
