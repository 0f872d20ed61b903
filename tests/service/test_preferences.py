import pytest
from review_app import ReviewApp

DEFAULTS = {
    "blur": 24,
    "grey": True,
    "sound": False,
    "thumbnail_px": 200,
    "warn": True,
    "break_minutes": 25,
    "language": "en",
    "threshold": None,
}


@pytest.fixture
def review(tmp_path):
    app = ReviewApp(tmp_path)
    yield app
    app.close()


def test_settings_are_each_keys_own_and_outlive_its_rotation(review):
    from service.access.keys import rotate_key

    key = review.key("alice", ("read",))
    with review.client(key) as ann, review.client(review.key("alice")) as ben, review.client() as local:
        assert ann.get("/v1/preferences").json() == DEFAULTS
        mine = {**DEFAULTS, "blur": 40, "language": "ar", "threshold": 0.3}
        assert ann.put("/v1/preferences", json={"blur": 40, "language": "ar"}).status_code == 200
        assert ann.put("/v1/preferences", json={"threshold": 0.3}).json() == mine
        assert ben.get("/v1/preferences").json() == local.get("/v1/preferences").json() == DEFAULTS
        assert local.put("/v1/preferences", json=mine).json() == mine
    with review.client(rotate_key(review.database, key.split("_")[1])) as ann:
        assert ann.get("/v1/preferences").json() == mine
        assert ann.put("/v1/preferences", json={"threshold": None}).json()["threshold"] is None


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"blur": -1}, "blur"),
        ({"blur": 1000}, "blur"),
        ({"blur": "24"}, "blur"),
        ({"grey": "no"}, "grey"),
        ({"thumbnail_px": 5000}, "thumbnail_px"),
        ({"break_minutes": 0.5}, "break_minutes"),
        ({"language": "../../etc/passwd"}, "language"),
        ({"language": "<b>"}, "language"),
        ({"threshold": 1.5}, "threshold"),
        ({"theme": "light"}, "theme"),
        ([], "dict"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_change_nothing(review, body, word):
    with review.client() as client:
        refused = client.put("/v1/preferences", json=body)
        assert refused.status_code == 422
        assert word in refused.json()["detail"]
        assert client.get("/v1/preferences").json() == DEFAULTS


def test_settings_of_another_version_are_left_out(review):
    from service.store.tables import PreferenceRow

    with review.database.write() as session:
        session.add(PreferenceRow(reviewer_id="local", document={"theme": "light", "blur": 30}, changed_at=0.0))
    with review.client() as client:
        assert client.get("/v1/preferences").json() == {**DEFAULTS, "blur": 30}
