"""IMAPClient (PyPI): what it sends is an ordinary session with CONDSTORE."""

from imapclient import IMAPClient

from clients_support import PASSWORD


def test_two_sessions_see_each_other(served, mails):
    with IMAPClient(served.host, port=served.port, ssl=False) as one:
        one.login("ann", PASSWORD)
        one.select_folder("INBOX")
        for mail in mails:
            one.append("INBOX", mail, flags=[rb"\Flagged"])
        assert one.search("FLAGGED") == list(range(1, 21))
        with IMAPClient(served.host, port=served.port, ssl=False) as two:
            two.login("ann", PASSWORD)
            selected = two.select_folder("INBOX")
            assert selected[b"EXISTS"] == 20
            assert selected[b"HIGHESTMODSEQ"] >= 20
            before = selected[b"HIGHESTMODSEQ"]
            one.add_flags([3, 5], [b"\\Seen", b"$Work"])
            one.delete_messages([7])
            one.expunge()
            two.noop()
            changed = two.fetch(two.search("ALL"), ["FLAGS"], [f"CHANGEDSINCE {before}"])
            assert sorted(changed) == [3, 5]
            assert b"$Work" in changed[3][b"FLAGS"]
            assert two.search(["UNSEEN"]) == [n for n in range(1, 21) if n not in (3, 5, 7)]
            fetched = two.fetch(
                [9], ["BODY.PEEK[]", "ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE"]
            )
            assert fetched[9][b"BODY[]"] == mails[8]
            assert fetched[9][b"ENVELOPE"].subject == b"Letter 9"
            two.create_folder("Work/Grün")
            two.move([9], "Work/Grün")
            one.noop()
            assert 9 not in one.search("ALL")
            assert "Work/Grün" in [name for _, _, name in one.list_folders()]
            status = one.folder_status("Work/Grün", ["MESSAGES", "UNSEEN"])
            assert status[b"MESSAGES"] == 1


def test_idle_tells_at_once(served, mails):
    with (
        IMAPClient(served.host, port=served.port, ssl=False) as one,
        IMAPClient(served.host, port=served.port, ssl=False) as two,
    ):
        for client in (one, two):
            client.login("ann", PASSWORD)
            client.select_folder("INBOX")
        one.idle()
        two.append("INBOX", mails[0])
        told = one.idle_check(timeout=10)
        assert (1, b"EXISTS") in told
        one.idle_done()
