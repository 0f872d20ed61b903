"""Signing a browser in, and what other sites' pages are refused."""

import pytest
from review_app import ReviewApp

from service.access.browser import COOKIE


@pytest.fixture
def review(tmp_path):
    app = ReviewApp(tmp_path)
    yield app
    app.close()


@pytest.fixture
def guarded(tmp_path):
    """Nobody gets in without a key."""
    app = ReviewApp(tmp_path, allow_anonymous=False)
    yield app
    app.close()


def sign_in(client, key):
    answer = client.post("/v1/session", json={"key": key})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_browser_signs_in_reads_and_signs_out(guarded):
    key = guarded.key("alice", note="Alice A.")
    with guarded.client() as browser:
        assert browser.get("/v1/scans").status_code == 401
        answer = browser.post("/v1/session", json={"key": key})
        cookie = answer.headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
        assert answer.headers["Cache-Control"] == "no-store"
        assert key.split("_", 2)[2] not in cookie
        assert browser.get("/v1/scans").status_code == 200
        known = browser.get("/v1/session").json()
        assert (known["owner"], known["reviewer"], known["csrf"]) == ("alice", "Alice A.", answer.json()["csrf"])
        assert known["scopes"] == ["read", "review", "write"]
        kept = browser.cookies[COOKIE]
        assert browser.delete("/v1/session", headers={"X-CSRF-Token": known["csrf"]}).status_code == 204
        assert COOKIE not in browser.cookies
        assert browser.get("/v1/scans", headers={"Cookie": f"{COOKIE}={kept}"}).status_code == 401
    assert guarded.audit() == ["sign-in", "sign-out"]


def test_a_wrong_key_signs_nobody_in(guarded):
    with guarded.client() as browser:
        answer = browser.post("/v1/session", json={"key": "ord_000000000000_" + "A" * 43})
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
        assert browser.post("/v1/session", json={}).status_code == 422


@pytest.mark.parametrize(
    ("base_url", "headers", "is_secure"),
    [
        ("http://127.0.0.1:8008", {}, False),
        ("http://localhost:8008", {}, False),
        ("http://ordnance.example", {}, True),
        ("https://ordnance.example", {}, True),
        ("http://127.0.0.1:8008", {"X-Forwarded-For": "203.0.113.9"}, True),
    ],
)
def test_the_cookie_travels_over_tls_only_but_for_plain_http_on_this_machine(guarded, base_url, headers, is_secure):
    with guarded.client(base_url=base_url) as browser:
        answer = browser.post("/v1/session", json={"key": guarded.key("alice")}, headers=headers)
        assert ("Secure" in answer.headers["Set-Cookie"]) is is_secure


@pytest.mark.parametrize("given", [None, "", "0" * 64, "ü"])
def test_what_changes_something_needs_the_csrf_token(guarded, given):
    with guarded.client() as browser:
        csrf = sign_in(browser, guarded.key("alice"))["csrf"]
        scan = guarded.add_scan("alice")
        headers = {} if given is None else {"X-CSRF-Token": given.encode()}
        refused = browser.delete(f"/v1/scans/{scan}", headers=headers)
        assert refused.status_code == 403
        assert "X-CSRF-Token" in refused.json()["detail"]
        assert browser.delete(f"/v1/scans/{scan}", headers={"X-CSRF-Token": csrf}).status_code == 204


def test_a_csrf_token_is_of_one_session(guarded):
    key = guarded.key("alice")
    with guarded.client() as one, guarded.client() as other:
        first, second = sign_in(one, key)["csrf"], sign_in(other, key)["csrf"]
        assert first != second
        assert other.delete("/v1/session", headers={"X-CSRF-Token": first}).status_code == 403


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_sites_page_is_refused_with_cookie_and_token(guarded, headers):
    with guarded.client() as browser:
        csrf = sign_in(browser, guarded.key("alice"))["csrf"]
        scan = guarded.add_scan("alice")
        refused = browser.delete(f"/v1/scans/{scan}", headers={**headers, "X-CSRF-Token": csrf})
        assert refused.status_code == 403
        assert browser.get("/v1/scans", headers=headers).status_code == 403
        assert browser.post("/v1/session", json={"key": guarded.key("bob")}, headers=headers).status_code == 403
        own = {"Origin": "http://127.0.0.1:8008", "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": csrf}
        assert browser.delete(f"/v1/scans/{scan}", headers=own).status_code == 204


@pytest.mark.parametrize("headers", [*FOREIGN, {"Host": "evil.example"}, {"Host": "evil.example:8008"}, {"Host": "["}])
def test_a_keyless_server_refuses_other_sites_and_other_names_for_itself(review, headers):
    scan = review.add_scan()
    with review.client() as client:
        for method, path in (("GET", "/v1/scans"), ("DELETE", f"/v1/scans/{scan}"), ("GET", "/v1/session")):
            assert client.request(method, path, headers=headers).status_code in (401, 403)
        assert client.delete(f"/v1/scans/{scan}").status_code == 204


def test_a_keyless_server_on_loopback_needs_no_sign_in(review):
    with review.client() as client:
        known = client.get("/v1/session").json()
        assert (known["owner"], known["reviewer"], known["csrf"], known["needs_key"]) == ("local", "local", None, False)
        stale = {"Cookie": f"{COOKIE}=gone"}
        assert client.get("/v1/session", headers=stale).json()["owner"] == "local"
        assert client.delete("/v1/session").status_code == 204


def test_a_session_ends_with_its_key_and_after_its_hours(guarded, tmp_path):
    from sqlalchemy import func, select, update

    from service.access.keys import revoke_key
    from service.store.removal import tidy
    from service.store.tables import SessionRow

    key = guarded.key("alice")
    with guarded.client() as browser:
        sign_in(browser, key)
        revoke_key(guarded.database, key.split("_")[1])
        assert browser.get("/v1/scans").status_code == 401
    with guarded.client() as browser:
        sign_in(browser, guarded.key("alice"))
        with guarded.database.write() as session:
            session.execute(update(SessionRow).values(expires_at=1.0))
        gone = browser.get("/v1/scans")
        assert gone.status_code == 401
        assert "sign in again" in gone.json()["detail"]
    tidy(guarded.settings, guarded.database, guarded.context.blobs, lambda _: None)
    with guarded.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SessionRow)) == 0


def test_the_cookie_is_in_no_file_of_the_store(guarded):
    with guarded.client() as browser:
        sign_in(browser, guarded.key("alice"))
        cookie = browser.cookies[COOKIE].encode()
        for path in guarded.settings.store.rglob("*"):
            if path.is_file():
                assert cookie not in path.read_bytes()


def test_a_session_has_the_scopes_of_its_key_and_no_more(guarded):
    scan = guarded.add_scan("alice")
    with guarded.client() as browser:
        csrf = sign_in(browser, guarded.key("alice", ("read",)))["csrf"]
        assert browser.get(f"/v1/scans/{scan}").status_code == 200
        assert browser.delete(f"/v1/scans/{scan}", headers={"X-CSRF-Token": csrf}).status_code == 403
