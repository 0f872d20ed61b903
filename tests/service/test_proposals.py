"""Verdicts on another scan of the same clip are proposed, taken over by who wants to, and taken back."""

import pytest
from review_app import ReviewApp

OTHER_PLAN = [
    ("tank", 0.8, 1.5),
    ("tank", 0.7, 9.0),
    ("howitzer", 0.6, 5.5),
    ("humvee", 0.5, 20.0),
    ("tank", 0.5, 40.0),
]


@pytest.fixture
def review(tmp_path):
    app = ReviewApp(tmp_path)
    yield app
    app.close()


@pytest.fixture
def scans(review):
    """An earlier scan of a clip, and another one that saw much the same; each appearance is in view for two seconds."""
    found = [("tank", 0.9, 1.0), ("humvee", 0.8, 5.0), ("tank", 0.7, 9.0), ("humvee", 0.7, 20.0), ("tank", 0.6, 30.0)]
    return review.add_scan("alice", found=found), review.add_scan("alice", found=OTHER_PLAN)


def judge(client, scan, number, verdict, **more):
    client.put(f"/v1/scans/{scan}/appearances/{number}/verdict", json={"verdict": verdict, **more}).raise_for_status()


def proposed(client, scan):
    items = client.get(f"/v1/scans/{scan}/proposals").raise_for_status().json()["items"]
    return {each["appearance"]: (each["verdict"], each["class"]) for each in items}


def in_force(client, scan):
    return {
        (each["appearance"], each["reviewer"]): each["verdict"]
        for each in client.get(f"/v1/scans/{scan}/verdicts").json()["items"]
    }


def test_verdicts_fit_by_time_place_and_class(review, scans):
    earlier, later = scans
    with review.client(review.key("alice", note="Ann")) as ann:
        assert proposed(ann, later) == {}
        judge(ann, earlier, 1, "confirmed", note="the turret is seen")
        judge(ann, earlier, 2, "other_class", **{"class": "howitzer"})
        judge(ann, earlier, 3, "wrong")
        judge(ann, earlier, 5, "confirmed")
        assert proposed(ann, later) == {1: ("confirmed", None), 2: ("wrong", None), 3: ("confirmed", None)}
        first = ann.get(f"/v1/scans/{later}/proposals").json()["items"][0]
        said = first["said"][0]
        assert first["note"] == "the turret is seen"
        assert (said["scan"], said["appearance"], said["reviewer"], said["mine"]) == (earlier, 1, "Ann", True)
        assert 0.5 < said["overlap"] < 1
        judge(ann, earlier, 4, "other_class", **{"class": "tank"})
        assert proposed(ann, later)[4] == ("other_class", "tank")


def test_nothing_is_taken_over_unasked_and_only_what_was_shown(review, scans):
    earlier, later = scans
    with review.client(review.key("alice", note="Ann")) as ann, review.client(review.key("alice", note="Ben")) as ben:
        for number, verdict in ((1, "confirmed"), (3, "wrong"), (4, "unsure")):
            judge(ann, earlier, number, verdict)
        assert len(proposed(ben, later)) == 3
        assert in_force(ben, later) == {}
        judge(ben, later, 1, "unsure")
        judge(ann, earlier, 4, "confirmed")
        wanted = [{"appearance": 1, "verdict": "confirmed"}, {"appearance": 2, "verdict": "wrong"}]
        wanted += [{"appearance": 4, "verdict": "unsure"}, {"appearance": 5, "verdict": "confirmed"}]
        taken = ben.post(f"/v1/scans/{later}/proposals", json={"items": wanted}).raise_for_status().json()["items"]
        assert [(each["appearance"], each["verdict"], each["mine"]) for each in taken] == [(2, "wrong", True)]
        assert in_force(ann, later) == {(1, "Ben"): "unsure", (2, "Ben"): "wrong"}
        assert review.audit(later).count("take-over") == 1
        back = ben.post(f"/v1/scans/{later}/verdicts/take-back", json={"appearances": [1, 2]}).raise_for_status()
        assert back.json() == {"items": []}
        assert in_force(ann, later) == {}
        assert proposed(ben, later)[2] == ("wrong", None)


def test_reviewers_who_disagree_propose_nothing(review, scans):
    earlier, later = scans
    with review.client(review.key("alice", note="Ann")) as ann, review.client(review.key("alice", note="Ben")) as ben:
        judge(ann, earlier, 1, "confirmed")
        judge(ben, earlier, 1, "wrong")
        item = ann.get(f"/v1/scans/{later}/proposals").json()["items"][0]
        assert (item["appearance"], item["verdict"]) == (1, None)
        assert [(each["reviewer"], each["verdict"]) for each in item["said"]] == [
            ("Ann", "confirmed"),
            ("Ben", "wrong"),
        ]
        judge(ben, earlier, 1, "confirmed")
        assert proposed(ann, later) == {1: ("confirmed", None)}


def test_the_scan_judged_last_counts(review, scans):
    earlier, later = scans
    third = review.add_scan("alice", found=OTHER_PLAN)
    with review.client(review.key("alice")) as ann:
        judge(ann, earlier, 1, "confirmed")
        judge(ann, third, 1, "wrong")
        assert proposed(ann, later) == {1: ("wrong", None)}
        assert proposed(ann, earlier) == {1: ("wrong", None)}


def test_other_clips_owners_and_scans_that_run_have_no_part(review, scans):
    earlier, later = scans
    other_clip = review.add_scan("alice", found=OTHER_PLAN, clip=b"another")
    of_bob = review.add_scan("bob", found=OTHER_PLAN)
    running = review.add_scan("alice", found=OTHER_PLAN, state="running")
    reader = review.key("alice", scopes=("read",))
    with review.client(review.key("alice")) as ann, review.client(review.key("bob")) as bob:
        judge(ann, earlier, 1, "confirmed")
        assert proposed(ann, other_clip) == {}
        assert proposed(bob, of_bob) == {}
        assert bob.get(f"/v1/scans/{later}/proposals").status_code == 404
        assert ann.get(f"/v1/scans/{running}/proposals").status_code == 409
    with review.client(reader) as looking:
        assert proposed(looking, later) == {1: ("confirmed", None)}
        body = {"items": [{"appearance": 1, "verdict": "confirmed"}]}
        assert looking.post(f"/v1/scans/{later}/proposals", json=body).status_code == 403
        assert looking.post(f"/v1/scans/{later}/verdicts/take-back", json={"appearances": [1]}).status_code == 403
