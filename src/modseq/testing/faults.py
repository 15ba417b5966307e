"""What a test can let go wrong, by method call."""

from __future__ import annotations

from modseq.testing.hosts import Host
from modseq.testing.quirks import Quirk
from modseq.testing.stage import Stage


class Faults:
    """
    Faults of one server. Each lasts until `heal` unless its description says otherwise.

    Where a mailbox is named, it is one of the server's first user unless `user` says otherwise.
    """

    def __init__(self, host: Host, user: str) -> None:
        self._host = host
        self._user = user

    def heal(self) -> None:
        """
        Let nothing go wrong any more.

        What happened stays: a UIDVALIDITY that was reset, history that was forgotten.
        """
        self._host.call(Stage.heal)

    # --- what the client knew is worth nothing -------------------------------------------------

    def reset_uid_validity(self, mailbox: str = "INBOX", *, user: str | None = None) -> int:
        """
        Give a mailbox a new UIDVALIDITY, as a rebuilt one has: the same messages under new UIDs.

        Sessions that have it selected are sent away with BYE at their next command, idle ones at once. Returns
        the new value.

        RFC: 3501 section 2.3.1.1
        """
        return self._host.call(Stage.reset_uid_validity, user or self._user, mailbox)

    def forget_history(
        self, mailbox: str = "INBOX", *, up_to: int | None = None, user: str | None = None
    ) -> None:
        """
        Forget which messages were expunged, up to a mod-sequence or (None) until now.

        A client that comes back from before is told of every UID that it may know and that is not there.

        RFC: 7162 section 3.2.6
        """
        self._host.call(Stage.forget_history, user or self._user, mailbox, up_to)

    # --- connections ---------------------------------------------------------------------------

    def drop_connections(self) -> None:
        """Break off all connections now, without BYE."""
        self._host.call(Stage.drop_connections)

    def drop_after(self, octets: int, *, each: bool = False) -> None:
        """
        Break a connection off once the server has sent so many more octets, wherever in a response that is.

        Args:
            octets: counted over all connections; the one that sends the last of them is cut, and then the
                fault is over.
            each: every connection, open now or later, is cut after so many octets of its own.

        """
        if octets < 0:
            raise ValueError("a number of octets is 0 or more")
        if each:
            self._host.call(Stage.set_plan, drop_each_octets=octets)
        else:
            self._host.call(Stage.set_plan, drop_octets=octets)

    def refuse_connections(
        self, times: int = 1, *, reply: str = "* BYE [UNAVAILABLE] Come back later"
    ) -> None:
        """Answer the next connections with BYE instead of a greeting; so many, then it is over."""
        self._host.call(Stage.refuse_connections, reply, times)

    def bye(self, reason: str = "The server stops") -> None:
        """
        Say BYE to all connections and close them, behind the reply to a command that runs.

        RFC: 3501 section 7.1.5
        """
        self._host.call(Stage.say_bye, reason)

    # --- time ----------------------------------------------------------------------------------

    def answer_slowly(
        self, seconds: float = 0.0, *, command: str = "", octets_per_second: float | None = None
    ) -> None:
        """
        Let commands wait before they run, or responses drip.

        Args:
            seconds: how long each command waits; 0 ends it.
            command: only commands of this name, `UID FETCH` apart from `FETCH`; "" for all others.
            octets_per_second: how fast responses leave; None for at once.

        """
        self._host.call(Stage.slow_command, command.upper(), seconds)
        self._host.call(Stage.set_plan, octets_per_second=octets_per_second)

    def lose_wakeups(self) -> None:
        """
        Wake no session by a change: IDLE learns of it at its next look, after `idle_poll_seconds` (1 here).

        RFC: 2177 section 3
        """
        self._host.call(Stage.set_plan, wakeups_lost=True)

    def delay_wakeups(self, seconds: float) -> None:
        """Wake sessions so much later than the change."""
        self._host.call(Stage.set_plan, wakeup_delay_seconds=seconds)

    # --- refusals ------------------------------------------------------------------------------

    def refuse_capability(self, *words: str) -> None:
        """
        Be a server without some capabilities: neither advertised nor understood.

        Commands that rely on one get BAD, and ENABLE passes it over. `LITERAL+` alone is only hidden.
        Raises ValueError for a word that the server does not advertise at all.

        RFC: 3501 section 6.1.1, 7.2.1
        """
        self._host.call(Stage.refuse_capabilities, words)

    def refuse_command(
        self, name: str, reply: str = "NO [UNAVAILABLE] Try again later", *, times: int | None = 1
    ) -> None:
        """
        Answer commands without running them.

        Args:
            name: `FETCH` also means `UID FETCH`; `UID FETCH` means itself.
            reply: what follows the tag.
            times: how many of them; None for all.

        """
        self._host.call(Stage.refuse_command, name.upper(), reply, times)

    def fill_disk(self, room: int = 0) -> None:
        """
        Run out of disk once messages of so many more octets are stored: every change is then refused.

        RFC: 5530 section 3
        """
        self._host.call(Stage.set_plan, disk_octets=room)

    def behave_like(self, *quirks: Quirk) -> None:
        """Get some things wrong from now on, as some servers do."""
        self._host.call(Stage.behave_like, quirks)
