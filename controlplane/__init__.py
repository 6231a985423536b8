"""The control plane's frame: settings, routes, sockets, background loops and the runtime."""
