"""Values and pure rules: no bytes from the network, no sockets, no SQL, no clock."""
