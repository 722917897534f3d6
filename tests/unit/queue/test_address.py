from __future__ import annotations

from typing import Any

import pytest

from omniq_flow.errors import BadUrl, OutOfRange
from omniq_flow.queue.address import Address, Sentinels, parse_address, redacted
from omniq_flow.queue.connect import find_address


@pytest.mark.parametrize(
    "url,expected",
    [
        ("redis://", Address()),
        ("redis://example", Address(host="example")),
        ("valkey://example:7000", Address(host="example", port=7000)),
        ("redis://example/3", Address(host="example", db=3)),
        ("redis://example?db=3", Address(host="example", db=3)),
        ("redis://:p%40ss%2Fword@example", Address(host="example", password="p@ss/word")),
        ("redis://alice:secret@example:1/2", Address(host="example", port=1, db=2, username="alice", password="secret")),
        ("redis://example?username=alice&password=s%20x", Address(host="example", username="alice", password="s x")),
        ("redis://[::1]:6380/1", Address(host="::1", port=6380, db=1)),
        ("rediss://example", Address(host="example", tls=True)),
        ("redis://bücher.example.", Address(host="bücher.example.")),
        (f"redis://{'x' * 63}.example", Address(host=f"{'x' * 63}.example")),
        ("valkeys://example:6380", Address(host="example", port=6380, tls=True)),
        ("rediss://h?ssl_check_hostname=false", Address(host="h", tls=True, tls_options=(("ssl_check_hostname", False),))),
        ("unix:///run/valkey.sock", Address(path="/run/valkey.sock")),
        ("unix:///run/a%20b.sock?db=4", Address(path="/run/a b.sock", db=4)),
        ("unix://alice:secret@/run/s", Address(path="/run/s", username="alice", password="secret")),
        ("  redis://example  ", Address(host="example")),
        (
            "redis+sentinel://one,two:7/mymaster",
            Address(host="one", port=26379, sentinels=Sentinels((("one", 26379), ("two", 7)), "mymaster")),
        ),
        (
            "rediss+sentinel://me:p%40ss@[::1]:5/svc.a/3?sentinel_username=guard&sentinel_password=x",
            Address(
                host="::1",
                port=5,
                db=3,
                username="me",
                password="p@ss",
                tls=True,
                sentinels=Sentinels((("::1", 5),), "svc.a", "guard", "x"),
            ),
        ),
    ],
)
def test_a_url_names_a_server(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    "url,hint",
    [
        ("", "must begin with"),
        ("localhost:6379", "must begin with"),
        ("http://example", "must begin with"),
        ("redis://example:port", "percent-encoded"),
        ("redis://example:70000", "percent-encoded"),
        ("redis://example:0", "port"),
        ("redis://a..b:6379", "the host in the URL redis://a..b:6379"),
        ("redis://a%2E%2Eb/1", "1 to 63 characters between its dots"),
        (f"rediss://{'x' * 64}.example", "1 to 63 characters between its dots"),
        (f"redis+sentinel://one,{'é' * 60}:7/mymaster", "1 to 63 characters between its dots"),
        ("redis://[::1", "percent-encoded"),
        ("redis://:pa/ss@example", "percent-encoded"),
        ("redis://:pa#ss@example", "#"),
        ("redis://example/orders", "database number"),
        ("redis://example/70000", "database"),
        ("redis://example?db=x", "'db'"),
        ("redis://example?db=-1", "'db'"),
        ("redis://example?retries=1", "'retries'"),
        ("redis://example?ssl_certfile=x", "rediss://"),
        ("rediss://example?ssl_cert_reqs=maybe", "'ssl_cert_reqs'"),
        ("unix://run/valkey.sock", "three slashes"),
        ("unix://", "three slashes"),
        ("redis+sentinel://one:1,two:2", "name the service"),
        ("redis+sentinel://one:1,/mymaster", "percent-encoded"),
        ("redis+sentinel://:pa/ss@one/mymaster", "percent-encoded"),
        ("redis+sentinel://one:0/mymaster", "port"),
        ("redis+sentinel://one/mymaster/x", "name the service"),
        ("redis+sentinel://one/mymaster?sentinel_db=1", "'sentinel_db'"),
        ("http+sentinel://one/mymaster", "expected redis+sentinel"),
        (None, "NoneType"),
        (7, "int"),
    ],
)
def test_an_unreadable_url_is_refused_with_the_rule(url: str, hint: str) -> None:
    with pytest.raises(BadUrl) as refusal:
        parse_address(url)
    assert hint in str(refusal.value)


@pytest.mark.parametrize("port", [0, 70_000, -1, True, "6379"])
def test_parts_are_checked_too(port: int) -> None:
    with pytest.raises(OutOfRange, match="port"):
        Address(port=port)


@pytest.mark.parametrize("host", ["a..b", "x" * 64, ".a", "\u00ad", 5, b"localhost"])
def test_a_host_that_cannot_be_looked_up_is_refused_as_a_part_too(host: Any) -> None:
    with pytest.raises(BadUrl, match="no host that can be looked up"):
        find_address(host=host)


@pytest.mark.parametrize(
    "url",
    ["redis://h:1/0", "redis://[::1]:6380/1", "rediss://h:6379/0", "unix:///run/s", "unix:///run/s?db=2"],
)
def test_an_address_shows_as_the_url_it_came_from(url: str) -> None:
    assert str(parse_address(url)) == url


@pytest.mark.parametrize(
    "url,shown",
    [
        ("redis://alice:hush@h:1/0", "redis://***@h:1/0"),
        ("redis://h:1/0?password=hush", "redis://h:1/0"),
        ("redis://:pa/hu@sh@h/0", "redis://***@h/0"),
        ("redis://:hush", "redis://..."),
        ("redis://host:hush", "redis://..."),
        ("redis://[::1]:2", "redis://[::1]:2"),
        ("hush", "(no scheme)"),
        ("redis+sentinel://alice:hush@one:1,two:2/mymaster", "redis+sentinel://***@one:1..."),
        ("redis+sentinel://host:hush", "redis+sentinel://..."),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_no_picture_of_an_address_holds_the_password() -> None:
    for url in ("redis://alice:hush@h", "redis+sentinel://alice:hush@h/svc?sentinel_password=hush"):
        address = parse_address(url)
        assert "hush" not in f"{address} {address!r}"
        assert address.secret
