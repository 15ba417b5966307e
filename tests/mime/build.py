"""Messages built by hand for the tests, and a strategy of well-formed messages whose tree is known."""

from typing import NamedTuple

from hypothesis import strategies as st


def crlf(text: str) -> bytes:
    """The text with every line ended by CRLF."""
    return text.replace("\n", "\r\n").encode("latin-1")


class Leaf(NamedTuple):
    media: str
    body: bytes


class Multi(NamedTuple):
    media: str
    preamble: bytes
    children: tuple
    epilogue: bytes
    closed: bool


class Message(NamedTuple):
    content: object


_LINE = (
    st.text('abc -=(){}"\\:.\t', max_size=12).filter(lambda line: not line.startswith("--")).map(str.encode)
)
_TEXT = st.lists(_LINE, max_size=4).map(b"\r\n".join)
_LEAF = st.builds(Leaf, st.sampled_from(["text/plain", "text/html", "image/gif", "application/x-y"]), _TEXT)


def _more(inner):
    child = st.one_of(inner, st.builds(Message, inner))
    return st.builds(
        Multi,
        st.sampled_from(["multipart/mixed", "multipart/alternative", "multipart/digest"]),
        _TEXT,
        st.lists(child, min_size=1, max_size=3).map(tuple),
        _TEXT,
        st.booleans(),
    )


TREES = st.recursive(_LEAF, _more, max_leaves=8)
"""Trees of parts; messages occur only inside multiparts."""


def written(tree, header=b"Subject: test\r\n") -> bytes:
    """The octets of a message with this tree as its content."""
    return header + b"MIME-Version: 1.0\r\n" + _entity(tree, [0])


def _entity(tree, counter) -> bytes:
    if isinstance(tree, Leaf):
        return b"Content-Type: %b\r\n\r\n%b" % (tree.media.encode(), tree.body)
    if isinstance(tree, Message):
        return b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + _entity(tree.content, counter)
    counter[0] += 1
    boundary = b"b%d" % counter[0]  # b1 is a prefix of b10: only whole lines are delimiters
    out = [b'Content-Type: %b; boundary="%b"\r\n\r\n' % (tree.media.encode(), boundary)]
    if tree.preamble:
        out.append(tree.preamble + b"\r\n")
    out.extend(b"--%b\r\n%b\r\n" % (boundary, _entity(child, counter)) for child in tree.children)
    if tree.closed:
        out.append(b"--%b--\r\n%b" % (boundary, tree.epilogue))
    joined = b"".join(out)
    return joined if tree.closed else joined.removesuffix(b"\r\n")


def expected(tree):
    """Path, media type and octets (None where they hold parts) of every numbered part of the tree."""
    out = []
    _expect(tree, (), True, out)
    return sorted(out, key=lambda node: node[0])


def _expect(tree, path, is_content, out):
    if isinstance(tree, Multi):
        if path and not is_content:
            out.append((path, tree.media, None))
        for number, child in enumerate(tree.children, 1):
            _expect(child, (*path, number), False, out)
        return
    here = (*path, 1) if is_content else path
    if isinstance(tree, Message):
        out.append((here, "message/rfc822", None))
        _expect(tree.content, here, True, out)
    else:
        out.append((here, tree.media, tree.body))
