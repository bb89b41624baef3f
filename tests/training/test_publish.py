import json

from training.publish import MAX_BYTES, publish_companions, shortcomings

GOOD = {
    "single": {"top1": 99.0, "background": 100.0, "least": 60.0},
    "place": {"place": 99.0},
    "pair": {"both": 90.0},
    "colour": {"both": 60.0, "kinds": {"held out": {"both": 75.0}}},
    "vae": {"psnr": 29.0},
}


def test_a_good_small_model_has_no_shortcomings(tmp_path):
    (tmp_path / "weights").write_bytes(b"x")
    assert shortcomings(GOOD, tmp_path) == []


def test_each_missed_bar_is_named(tmp_path):
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    single = {"top1": 94.9, "background": 90.0, "least": 40.0}
    colour = {"kinds": {"held out": {"both": 60.0}}}
    figures = GOOD | {"single": single, "pair": {"both": 69.0}, "colour": colour}
    found = shortcomings(figures, tmp_path)
    assert len(found) == 6
    assert "94.9" in found[0]


def test_only_companions_that_reached_their_bars_are_copied(tmp_path):
    for name, good in (("fine", True), ("poor", False)):
        folder = tmp_path / "work/companions" / name
        folder.mkdir(parents=True)
        (folder / "train.json").write_text(json.dumps({"good": good}))
    stale = tmp_path / "target/gone"
    stale.mkdir(parents=True)
    copied = publish_companions(tmp_path / "work", tmp_path / "target")
    assert [path.name for path in copied] == ["fine"]
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["fine"]
    assert (copied[0] / "train.json").is_file()
