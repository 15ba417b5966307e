"""Where known servers differ from the RFCs, as switches; detected where that is possible."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quirks:
    """
    What not to rely on.

    Attributes:
        no_enabled_reply: ENABLE answers OK without an ENABLED response: believe the OK.
        no_qresync: QRESYNC is offered and wrong: synchronise by CONDSTORE and a difference of UIDs.
        no_condstore: mod-sequences are wrong: compare all flags.
        wrong_vanished: VANISHED (EARLIER) is incomplete, or names live messages: check it by UID SEARCH.
        zero_mod_seq: HIGHESTMODSEQ 0 stands for NOMODSEQ.
        claims_may_double: of two conditional STOREs of one keyword both may win: read again after the claim.

    """

    no_enabled_reply: bool = False
    no_qresync: bool = False
    no_condstore: bool = False
    wrong_vanished: bool = False
    zero_mod_seq: bool = True
    claims_may_double: bool = False
