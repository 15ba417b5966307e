"""
What is inside one message: header fields, ENVELOPE, BODYSTRUCTURE, sections, decoded text.

Everything here is a pure function of bytes. `scan` reads a message once, when it is delivered, and returns
what the store keeps beside it: the ENVELOPE, BODY and BODYSTRUCTURE values ready to be sent, and a packed
table of parts from which `section` answers any BODY[...] without parsing MIME again.

Nothing here raises on bad mail: whatever the octets are, they have some structure that clients accept.
"""
