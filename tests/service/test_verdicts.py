"""Verdicts: who gives them, how they are taken back, and what two reviewers make of one another."""

import pytest
from review_app import ReviewApp
from sqlalchemy import func, select

from service.store.tables import JudgementRow, VerdictRow


@pytest.fixture
def review(tmp_path):
    app = ReviewApp(tmp_path)
    yield app
    app.close()


@pytest.fixture
def scan(review):
    return review.add_scan("alice", found=[("tank", 0.9, 1.0), ("humvee", 0.8, 5.0), ("tank", 0.7, 9.0)])


def judge(client, scan, number, verdict, **more):
    answer = client.put(f"/v1/scans/{scan}/appearances/{number}/verdict", json={"verdict": verdict, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def in_force(client, scan):
    return {
        (each["appearance"], each["reviewer"]): each["verdict"]
        for each in client.get(f"/v1/scans/{scan}/verdicts").json()["items"]
    }


def test_a_verdict_is_given_and_read_back(review, scan):
    with review.client(review.key("alice", note="Ann")) as ann:
        given = judge(ann, scan, 2, "other_class", **{"class": "tank", "note": "tracks, not wheels"})
        assert given["at"] > 1.7e9
        document = ann.get(f"/v1/scans/{scan}/verdicts").json()
    assert document["items"] == [given]
    assert {name: value for name, value in given.items() if name != "at"} == {
        "appearance": 2,
        "reviewer": "Ann",
        "verdict": "other_class",
        "class": "tank",
        "note": "tracks, not wheels",
        "mine": True,
    }
    assert document["summary"] == {"2": {"state": "single", "verdict": "other_class", "class": "tank", "reviewers": 1}}
    assert "verdict" in review.audit(scan)


def test_the_newest_verdict_counts_and_undo_goes_back_through_the_history(review, scan):
    url = f"/v1/scans/{scan}/appearances/1/verdict"
    with review.client(review.key("alice")) as ann:
        for verdict in ("unsure", "wrong", "confirmed"):
            judge(ann, scan, 1, verdict, note=verdict)
        assert in_force(ann, scan) == {(1, "alice"): "confirmed"}
        assert ann.delete(url).json()["verdict"] == "wrong"
        judge(ann, scan, 1, "confirmed")
        assert ann.delete(url).json()["note"] == "wrong"
        assert ann.delete(url).json()["verdict"] == "unsure"
        for _ in range(2):
            assert ann.delete(url).status_code == 204
        assert ann.get(f"/v1/scans/{scan}/verdicts").json() == {"items": [], "summary": {}}
        judge(ann, scan, 1, "wrong")
        assert in_force(ann, scan) == {(1, "alice"): "wrong"}
    with review.database.read() as session:
        rows = list(session.scalars(select(VerdictRow).order_by(VerdictRow.id)))
    assert [row.verdict for row in rows] == [
        "unsure",
        "wrong",
        "confirmed",
        None,
        "confirmed",
        None,
        None,
        None,
        "wrong",
    ]


def test_two_reviewers_agree_or_disagree_and_undo_their_own_alone(review, scan):
    with (
        review.client(review.key("alice", note="Ann")) as ann,
        review.client(review.key("alice", note="Ben")) as ben,
    ):
        judge(ann, scan, 1, "confirmed")
        judge(ben, scan, 1, "wrong", note="a rock")
        judge(ann, scan, 2, "other_class", **{"class": "tank"})
        judge(ben, scan, 2, "other_class", **{"class": "mlrs"})
        judge(ann, scan, 3, "confirmed")
        judge(ben, scan, 3, "confirmed")
        summary = ann.get(f"/v1/scans/{scan}/verdicts").json()["summary"]
        assert {number: each["state"] for number, each in summary.items()} == {
            "1": "disagreed",
            "2": "disagreed",
            "3": "agreed",
        }
        assert (summary["1"]["verdict"], summary["3"]["verdict"]) == (None, "confirmed")
        mine = {each["reviewer"] for each in ben.get(f"/v1/scans/{scan}/verdicts").json()["items"] if each["mine"]}
        assert mine == {"Ben"}
        assert ben.delete(f"/v1/scans/{scan}/appearances/1/verdict").status_code == 204
        assert in_force(ben, scan)[1, "Ann"] == "confirmed"
        assert ann.get(f"/v1/scans/{scan}/verdicts").json()["summary"]["1"]["state"] == "single"


def test_reviewers_of_one_name_are_told_apart_and_a_rotated_key_is_the_same_reviewer(review, scan):
    from service.access.keys import rotate_key

    old = review.key("alice")
    with review.client(old) as one, review.client(review.key("alice")) as two:
        judge(one, scan, 1, "confirmed")
        judge(two, scan, 1, "wrong")
        items = one.get(f"/v1/scans/{scan}/verdicts").json()["items"]
        assert [each["reviewer"].startswith("alice (") for each in items] == [True, True]
        assert len({each["reviewer"] for each in items}) == 2
    fresh = rotate_key(review.database, rotate_key(review.database, old.split("_")[1]).split("_")[1])
    with review.client(fresh) as one:
        judge(one, scan, 1, "wrong")
        assert one.get(f"/v1/scans/{scan}/verdicts").json()["summary"]["1"] == {
            "state": "agreed",
            "verdict": "wrong",
            "class": None,
            "reviewers": 2,
        }


def test_who_may_read_but_not_review_looks_and_does_not_judge(review, scan):
    with review.client(review.key("alice", ("read",))) as looker:
        assert looker.get(f"/v1/scans/{scan}/verdicts").status_code == 200
        url = f"/v1/scans/{scan}/appearances/1/verdict"
        for refused in (looker.put(url, json={"verdict": "wrong"}), looker.delete(url)):
            assert refused.status_code == 403
            assert "'review'" in refused.json()["detail"]
    with review.client(review.key("alice", ("read", "review"))) as reviewer:
        judge(reviewer, scan, 1, "wrong")
        assert reviewer.delete(f"/v1/scans/{scan}").status_code == 403


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "verdict"),
        ({"verdict": "maybe"}, "verdict"),
        ({"verdict": "other_class"}, "class"),
        ({"verdict": "other_class", "class": "spoon"}, "spoon"),
        ({"verdict": "other_class", "class": "tank"}, "confirmed"),
        ({"verdict": "wrong", "class": "tank"}, "other_class"),
        ({"verdict": "wrong", "note": "x" * 2001}, "note"),
        ({"verdict": "wrong", "colour": "red"}, "colour"),
    ],
)
def test_a_verdict_that_makes_no_sense_is_refused_with_a_reason(review, scan, body, word):
    with review.client(review.key("alice")) as ann:
        refused = ann.put(f"/v1/scans/{scan}/appearances/1/verdict", json=body)
        assert refused.status_code == 422
        assert word in refused.json()["detail"]
        assert in_force(ann, scan) == {}


def test_appearances_that_are_not_there_or_may_change_are_not_judged(review, scan):
    running = review.add_scan("alice", name="running.mp4", state="running")
    stopped = review.add_scan("alice", name="stopped.mp4", state="cancelled")
    with review.client(review.key("alice")) as ann:
        body = {"verdict": "wrong"}
        assert ann.put(f"/v1/scans/{scan}/appearances/4/verdict", json=body).status_code == 404
        refused = ann.put(f"/v1/scans/{running}/appearances/1/verdict", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        judge(ann, stopped, 1, "wrong")


def test_verdicts_go_with_their_scan(review, scan):
    with review.client(review.key("alice")) as ann:
        judge(ann, scan, 1, "wrong")
        assert ann.delete(f"/v1/scans/{scan}").status_code == 204
        assert ann.get(f"/v1/scans/{scan}/verdicts").status_code == 404
    with review.database.read() as session:
        for table in (VerdictRow, JudgementRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0


def test_a_keyless_server_has_one_reviewer_called_local(review):
    scan = review.add_scan()
    with review.client() as client:
        assert judge(client, scan, 1, "confirmed")["reviewer"] == "local"


def test_a_note_with_markup_and_any_script_comes_back_as_it_was_written(review, scan):
    note = "<script>alert(1)</script> دبابة \u202e 🛡"
    with review.client(review.key("alice")) as ann:
        judge(ann, scan, 1, "wrong", note=f"  {note}\x00\n")
        answer = ann.get(f"/v1/scans/{scan}/verdicts")
    assert answer.json()["items"][0]["note"] == note
    assert answer.headers["Content-Type"] == "application/json"


def test_verdicts_given_at_once_are_all_in_the_history(review, scan):
    from concurrent.futures import ThreadPoolExecutor

    key = review.key("alice")

    def ask(verdict):
        with review.client(key) as client:
            return judge(client, scan, 1, verdict)["verdict"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, ["wrong", "confirmed", "unsure"] * 4))
    with review.database.read() as session:
        newest = session.scalars(select(VerdictRow).order_by(VerdictRow.id.desc())).first()
        assert session.scalar(select(func.count()).select_from(VerdictRow)) == 12
        (judgement,) = session.scalars(select(JudgementRow))
    assert (judgement.verdict_id, judgement.verdict) == (newest.id, newest.verdict)
