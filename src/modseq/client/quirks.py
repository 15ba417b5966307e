"""Where known servers differ from the RFCs, as switches; detected where that is possible."""

from __future__ import annotations

from dataclasses import dataclass, replace

from modseq.client.results import ServerId


@dataclass(frozen=True, slots=True)
class Quirks:
    """
    What not to rely on.

    Attributes:
        no_enabled_reply: ENABLE answers OK without an ENABLED response: the OK is believed. Detected.
        no_qresync: QRESYNC is offered and does not work: synchronise by CONDSTORE and a difference of UIDs.
            Detected where SELECT with QRESYNC gets BAD.
        no_condstore: mod-sequences are wrong: compare all flags.
        wrong_vanished: VANISHED (EARLIER) is incomplete or names live messages: compare UIDs after it.
            One that does not agree with EXISTS is found out without this switch.
        zero_mod_seq: HIGHESTMODSEQ 0 stands for NOMODSEQ. On everywhere: 0 is no mod-sequence.
        claims_may_double: of two conditional STOREs of one keyword both may win: read again after a claim.
            Detected by the name of the server.

    """

    no_enabled_reply: bool = False
    no_qresync: bool = False
    no_condstore: bool = False
    wrong_vanished: bool = False
    zero_mod_seq: bool = True
    claims_may_double: bool = False

    def with_(self, **changes: bool) -> Quirks:
        """Return these switches with some changed."""
        return replace(self, **changes)


def detect(server: ServerId, capabilities: frozenset[str]) -> Quirks:
    """Return what is known of a server from what it says of itself."""
    return Quirks(
        claims_may_double="dovecot" in server.name,
        # Without ENABLE there is no way to switch QRESYNC on (RFC 7162 section 3.2.3).
        no_qresync="QRESYNC" in capabilities and not capabilities & {"ENABLE", "IMAP4REV2"},
    )
