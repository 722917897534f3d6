"""Whatever stands in a URL, no message about it shows the password."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from omniq_flow.errors import BadUrl
from omniq_flow.queue.address import parse_address, redacted

SECRET = "hush-hush"
text = st.text(st.characters(codec="utf-8"), max_size=12)
tail = st.sampled_from(
    [
        "h",
        "h:1",
        "h:x",
        "h/0",
        "h/db",
        "h:99999",
        "[::1",
        "h?db=x",
        "h?y=1",
        "h#f",
        "",
        "/run/s",
        "h,i:2/svc",
        "h/svc/0",
        "h,/svc",
        "h..i",
        "h,i..j/svc",
    ]
)
scheme = st.sampled_from(["redis", "rediss", "valkey", "redis+sentinel", "unix", "http", ""])


@given(scheme=scheme, before=text, after=text, tail=tail)
@example(scheme="redis", before="/", after="", tail="h")
@example(scheme="redis", before="", after="#", tail="h")
@example(scheme="redis", before="[", after="", tail="h")
@example(scheme="redis", before="?", after="", tail="h")
@example(scheme="redis", before="@..", after="/", tail="h")
def test_a_refused_url_never_shows_its_password(scheme: str, before: str, after: str, tail: str) -> None:
    url = f"{scheme}://alice:{before}{SECRET}{after}@{tail}"
    try:
        shown = str(parse_address(url))
    except BadUrl as error:
        shown = str(error)
    assert SECRET not in shown


no_at = text.map(lambda value: value.replace("@", ""))


@given(scheme=scheme, before=no_at, after=no_at)
@example(scheme="redis", before="1/", after="")
@example(scheme="redis", before="/", after="")
def test_a_password_without_its_host_is_not_taken_for_a_place(scheme: str, before: str, after: str) -> None:
    assert SECRET not in redacted(f"{scheme}://:{before}{SECRET}{after}")


@given(password=text, user=text)
def test_an_encoded_login_arrives_as_it_was(password: str, user: str) -> None:
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    for url in (f"redis://{login}@example", f"redis+sentinel://{login}@example/service"):
        address = parse_address(url)
        assert (address.username or "", address.password or "") == (user, password)
