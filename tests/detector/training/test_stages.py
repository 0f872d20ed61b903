from __future__ import annotations

import pytest

from detector.errors import BadOption, DataError
from detector.training.built_set import Picture
from detector.training.config import Stage, TrainingConfig
from detector.training.listing import epoch_of
from detector.training.stages import plan_stages

CONFIG = TrainingConfig.model_validate(
    {
        "name": "tiny",
        "start": "start/none.pt",
        "classes": ["tank"],
        "input_size": 160,
        "stages": [
            {"name": "first", "sets": ["photos"], "epochs": 3, "input_size": 64},
            {"name": "second", "sets": ["photos", "synthetic"], "epochs": 8, "input_size": 64},
        ],
    }
)


def picture(file: str, set_name: str = "photos", *classes: str, digest: str = "0" * 64) -> Picture:
    return Picture(file, set_name, "train", digest, classes, "x/y")


PHOTOS = [picture("a.jpg", "photos", "tank"), picture("b.jpg")]
ALL = [*PHOTOS, picture("s.jpg", "synthetic", "tank")]


def test_a_stage_whose_part_is_missing_is_an_error_that_names_the_command() -> None:
    with pytest.raises(DataError, match="synthetic come from `ordnance dataset synthetic`") as caught:
        plan_stages(CONFIG, PHOTOS)
    assert "the stages second learn" in str(caught.value)


def test_it_is_left_out_with_a_reason_where_that_is_asked_for() -> None:
    plan = plan_stages(CONFIG, PHOTOS, leave_out_missing=True)
    assert [stage.name for stage in plan.run] == ["first"]
    assert plan.left_out == {"second": "the data set has no picture of synthetic"}


def test_nothing_to_train_is_an_error_all_the_same() -> None:
    with pytest.raises(DataError, match="synthetic"):
        plan_stages(CONFIG, PHOTOS, names=["second"], leave_out_missing=True)


def test_going_without_is_proposed_only_where_something_is_left_to_train() -> None:
    with pytest.raises(DataError, match="or go without these stages with --leave-out-missing"):
        plan_stages(CONFIG, PHOTOS)
    with pytest.raises(DataError, match="or give settings of your own with --config"):
        plan_stages(CONFIG, PHOTOS, names=["second"])


def test_epochs_hold_for_every_stage() -> None:
    assert [stage.epochs for stage in plan_stages(CONFIG, ALL).run] == [3, 8]
    assert [stage.epochs for stage in plan_stages(CONFIG, ALL, epochs=1).run] == [1, 1]


def test_stages_are_chosen_by_name() -> None:
    assert [stage.name for stage in plan_stages(CONFIG, PHOTOS, names=["first"]).run] == ["first"]
    with pytest.raises(BadOption, match="'third' is no stage of tiny; use first, second"):
        plan_stages(CONFIG, ALL, names=["third"])


def test_a_hard_negative_is_repeated_from_the_stages_score_up() -> None:
    stage = Stage(name="x", sets=("photos",), epochs=1, input_size=64, repeat_hard=4, hard_score=0.5)
    pictures = [*PHOTOS, picture("c.jpg")]
    assert epoch_of(stage, pictures, {"b.jpg": 0.6, "c.jpg": 0.4}) == {"a.jpg": 1, "b.jpg": 4, "c.jpg": 1}


def test_a_stage_that_goes_without_empty_pictures_keeps_the_hard_ones() -> None:
    stage = Stage(name="x", sets=("photos",), epochs=1, input_size=64, keep_empty=0.0, repeat_hard=2)
    assert epoch_of(stage, [*PHOTOS, picture("c.jpg")], {"b.jpg": 0.9}) == {"a.jpg": 1, "b.jpg": 2}


def test_a_settings_file_with_a_part_that_takes_objects_of_none_is_refused() -> None:
    part = {"name": "c", "kind": "composites", "count": 1, "seed": 1, "classes": ["tank"], "objects_of": ["scenes-1"]}
    with pytest.raises(ValueError, match="takes objects of 'scenes-1', which is no earlier part"):
        TrainingConfig.model_validate({**CONFIG.model_dump(), "synthetic": [part]})


def test_an_average_that_would_have_no_effect_is_refused() -> None:
    first, second = (stage.model_dump(exclude_defaults=True) for stage in CONFIG.stages)
    settings = CONFIG.model_dump(exclude_defaults=True)
    with pytest.raises(ValueError, match="'second' is averaged with 'first' but keeps all it learned"):
        TrainingConfig.model_validate({**settings, "stages": [first, {**second, "averaged_with": "first"}]})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": ["tank", "humvees"]}, "'humvees' is no weapon class; use some of tow_launcher, tank"),
        ({"classes": ["tank", "soldier"]}, "'soldier' is no weapon class"),
        ({"classes": ["tank", "tank"]}, "a class is named twice"),
        ({"classes": []}, "at least 1 item"),
        ({"input_size": 128}, "greater than or equal to 160"),
        ({"second_view": {"longer_side": 160, "from_score": 0.2, "modell": "other"}}, "Extra inputs are not permitted"),
        ({"second_view": {"longer_side": 192, "from_score": 0.2}}, "the second view is larger than the input"),
        ({"second_view": {"longer_side": 160, "from_score": 0.2, "model": "tiny"}}, "names the model itself"),
    ],
)
def test_settings_that_no_model_can_have_are_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TrainingConfig.model_validate({**CONFIG.model_dump(exclude_defaults=True), **changed})


def test_a_stage_that_has_had_enough_of_a_class_that_is_not_learned_is_refused() -> None:
    settings = CONFIG.model_dump(exclude_defaults=True)
    settings["stages"][0]["common"] = ["tanks"]
    with pytest.raises(ValueError, match="'first' has had enough of 'tanks', which is none of the classes"):
        TrainingConfig.model_validate(settings)
