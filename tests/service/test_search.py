"""Appearances over all scans, and scans by what is in them."""

import unicodedata
from datetime import UTC, datetime

import pytest
from review_app import ReviewApp


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    app = ReviewApp(tmp_path_factory.mktemp("search"))
    yield app
    app.close()


@pytest.fixture(scope="module")
def scans(review):
    """Three scans of alice's and one of bob's, some judged by Ann and Ben."""
    add = review.add_scan
    made = {
        "old": add("alice", "Бахмут 100%.mp4", [("tank", 0.9, 1.0), ("humvee", 0.4, 5.0)], at=day("2026-01-10T12:00")),
        "new": add("alice", "market_day.mp4", [("tank", 0.6, 1.0), ("tank", 0.3, 9.0)], at=day("2026-02-20T23:30")),
        "empty": add("alice", "nothing.mp4", [], at=day("2026-03-01T00:00")),
        "running": add("alice", "running.mp4", [("mlrs", 0.7, 2.0)], state="running", at=day("2026-03-02T00:00")),
        "bob": add("bob", "bobs.mp4", [("tank", 0.99, 1.0)], pictures=[1]),
    }

    def judge(client, name, number, verdict, **more):
        url = f"/v1/scans/{made[name]}/appearances/{number}/verdict"
        assert client.put(url, json={"verdict": verdict, **more}).status_code == 200

    with review.client(review.key("alice", note="Ann")) as ann, review.client(review.key("alice", note="Ben")) as ben:
        judge(ann, "old", 1, "confirmed", note="Танк Т-72 at the bridge")
        judge(ben, "old", 1, "confirmed")
        judge(ann, "old", 2, "wrong", note="50% of a truck")
        judge(ann, "new", 1, "other_class", **{"class": "mlrs"})
        judge(ben, "new", 1, "other_class", **{"class": "howitzer"})
    return made


@pytest.fixture(scope="module")
def alice(review, scans):
    with review.client(review.key("alice", ("read",))) as client:
        yield client


def found(client, scans, **params):
    names = {scan_id: name for name, scan_id in scans.items()}
    answer = client.get("/v1/search", params=params)
    assert answer.status_code == 200, answer.text
    return [(names[each["scan"]["id"]], each["number"]) for each in answer.json()["items"]]


EVERYTHING = [("running", 1), ("new", 1), ("new", 2), ("old", 1), ("old", 2)]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, EVERYTHING),
        ({"class": "tank"}, [("new", 1), ("new", 2), ("old", 1)]),
        ({"class": ["humvee", "mlrs"]}, [("running", 1), ("old", 2)]),
        ({"class": "spoon"}, []),
        ({"min_confidence": 0.6}, [("running", 1), ("new", 1), ("old", 1)]),
        ({"name": "MARKET"}, [("new", 1), ("new", 2)]),
        ({"name": "бАХМУТ"}, [("old", 1), ("old", 2)]),
        ({"name": "100%"}, [("old", 1), ("old", 2)]),
        ({"name": "t_day"}, [("new", 1), ("new", 2)]),
        ({"name": "m_rket"}, []),
        ({"note": "ТАНК"}, [("old", 1)]),
        ({"note": "50%"}, [("old", 2)]),
        ({"verdict": "confirmed"}, [("old", 1)]),
        ({"verdict": ["wrong", "other_class"]}, [("new", 1), ("old", 2)]),
        ({"state": "unreviewed"}, [("running", 1), ("new", 2)]),
        ({"state": "single"}, [("old", 2)]),
        ({"state": "agreed"}, [("old", 1)]),
        ({"state": "disagreed"}, [("new", 1)]),
        ({"state": ["agreed", "disagreed"]}, [("new", 1), ("old", 1)]),
        ({"state": "running"}, [("running", 1)]),
        ({"state": ["done", "unreviewed"]}, [("new", 2)]),
        ({"since": "2026-02-20"}, [("running", 1), ("new", 1), ("new", 2)]),
        ({"until": "2026-02-20"}, [("new", 1), ("new", 2), ("old", 1), ("old", 2)]),
        ({"until": "2026-02-20T23:00:00Z"}, [("old", 1), ("old", 2)]),
        ({"since": "2026-02-20T23:00:00-01:00"}, [("running", 1)]),
        ({"class": "tank", "verdict": "wrong"}, []),
    ],
)
def test_filters(alice, scans, params, expected):
    assert found(alice, scans, **params) == expected


def test_pages_have_no_gap_and_no_double(alice, scans):
    walked, cursor = [], None
    while True:
        page = alice.get("/v1/search", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        walked += [(each["scan"]["id"], each["number"]) for each in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert walked == [(scans[name], number) for name, number in EVERYTHING]
    assert alice.get("/v1/search", params={"cursor": "rubbish"}).status_code == 404


def test_an_item_says_where_it_is_and_what_was_said_of_it(alice, review, scans):
    (item,) = alice.get("/v1/search", params={"verdict": "confirmed"}).json()["items"]
    assert item["scan"]["name"] == "Бахмут 100%.mp4"
    assert item["scan"]["created_at"].startswith("2026-01-10T12:00")
    assert (item["class"], item["first_seen"], item["best"]["pts_s"]) == ("tank", "00:00:01.000", 1.5)
    assert [each["reviewer"] for each in item["verdicts"]] == ["Ann", "Ben"]
    assert item["review"]["state"] == "agreed"
    with review.client(review.key("bob")) as bob:
        (item,) = bob.get("/v1/search").json()["items"]
        assert bob.get(item["links"]["review"]).status_code == 200
        assert item["review"] is None


@pytest.mark.parametrize(
    "params",
    [
        {"since": "yesterday"},
        {"since": "2026-02-30"},
        {"until": "2026-02-20T10:00:00"},
        {"state": "open"},
        {"verdict": "maybe"},
        {"min_confidence": 2},
        {"limit": 0},
    ],
)
def test_filters_that_make_no_sense_are_refused(alice, params):
    assert alice.get("/v1/search", params=params).status_code == 422


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["running", "empty", "new", "old"]),
        ({"class": "humvee"}, ["old"]),
        ({"class": "humvee", "min_confidence": 0.5}, []),
        ({"min_confidence": 0.7}, ["running", "old"]),
        ({"reviewed": "true"}, ["empty", "old"]),
        ({"reviewed": "false"}, ["running", "new"]),
        ({"since": "2026-02-21"}, ["running", "empty"]),
        ({"until": "2026-01-10"}, ["old"]),
        ({"reviewed": "false", "state": "done"}, ["new"]),
    ],
)
def test_scans_by_what_is_in_them(alice, scans, params, expected):
    names = {scan_id: name for name, scan_id in scans.items()}
    items = alice.get("/v1/scans", params=params).json()["items"]
    assert [names[each["id"]] for each in items] == expected


def test_scans_count_their_classes_and_verdicts(alice, scans):
    items = {each["id"]: each for each in alice.get("/v1/scans").json()["items"]}
    counts = {name: (items[scans[name]]["classes"], items[scans[name]]["reviewed"]) for name in ("old", "new", "empty")}
    assert counts == {"old": ({"humvee": 1, "tank": 1}, 2), "new": ({"tank": 2}, 1), "empty": ({}, 0)}
    one = alice.get(f"/v1/scans/{scans['new']}").json()
    assert (one["classes"], one["reviewed"]) == ({"tank": 2}, 1)


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_names_and_notes_are_found_however_their_accents_are_written(review, stored, asked):
    """macOS writes the й of a file name as two characters, a keyboard as one."""
    written, word = unicodedata.normalize(stored, "Бойцы у моста.mp4"), unicodedata.normalize(asked, "БОЙЦЫ")
    owner = f"{stored}-{asked}".lower()
    scan_id = review.add_scan(owner, written)
    with review.client(review.key(owner)) as client:
        url = f"/v1/scans/{scan_id}/appearances/1/verdict"
        assert client.put(url, json={"verdict": "confirmed", "note": written}).status_code == 200
        for path, field in (("/v1/scans", "name"), ("/v1/search", "name"), ("/v1/search", "note")):
            items = client.get(path, params={field: word}).json()["items"]
            assert len(items) == 1, (path, field)
            assert client.get(path, params={field: "Тойцы"}).json()["items"] == []
