"""What the scan page draws from agrees with the report."""

from service_server import upload, wait_for


def test_the_outline_is_the_report_in_columns(server, humvee):
    with server.client() as client:
        scan = wait_for(client, upload(client, humvee)["id"])["id"]
        outline = client.get(f"/v1/scans/{scan}/outline").raise_for_status().json()
        appearances = client.get(f"/v1/scans/{scan}/appearances").json()["items"]
        assert outline["number"] == [each["number"] for each in appearances]
        assert outline["id"] == [each["id"] for each in appearances]
        names = [outline["classes"][place] for place in outline["class_index"]]
        assert names == [each["class"] for each in appearances]
        for column in ("confidence", "first_seen_s", "last_seen_s", "peak_s"):
            assert outline[column] == [each[column] for each in appearances]
        assert outline["best_pts_s"] == [each["best"]["pts_s"] for each in appearances]
        assert outline["pictured"] == [1] * len(appearances)
        whole = client.get(f"/v1/scans/{scan}/appearances/1").raise_for_status().json()
        assert whole == appearances[0]
        assert client.get(f"/v1/scans/{scan}/appearances/99").status_code == 404


def test_weak_finds_are_not_those_of_the_report(server, humvee):
    with server.client() as client:
        scan = wait_for(client, upload(client, humvee, threshold=0.99)["id"])["id"]
        assert client.get(f"/v1/scans/{scan}/outline").json()["number"] == []
        weak = client.get(f"/v1/scans/{scan}/weak").raise_for_status().json()
        assert weak["count"] == len(weak["items"])
        surest = max(weak["items"], key=lambda each: each["confidence"])
        assert surest["class"] == "humvee" and surest["confidence"] > 0.5
        assert surest["first_seen_s"] == surest["boxes"][0][0] <= surest["best_pts_s"] <= surest["boxes"][-1][0]

        reported = wait_for(client, upload(client, humvee)["id"])["id"]
        left = client.get(f"/v1/scans/{reported}/weak").json()["items"]
        assert all(each["class"] != "humvee" or each["confidence"] < 0.3 for each in left)


def test_strangers_learn_nothing(server):
    with server.client() as client:
        for route in ("outline", "weak", "appearances/1"):
            assert client.get(f"/v1/scans/{'0' * 32}/{route}").status_code == 404
