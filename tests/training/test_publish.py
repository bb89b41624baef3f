from training.publish import MAX_BYTES, shortcomings

GOOD = {
    "single": {"top1": 99.0, "background": 100.0},
    "place": {"place": 99.0},
    "pair": {"both": 90.0},
}


def test_a_good_small_model_has_no_shortcomings(tmp_path):
    (tmp_path / "weights").write_bytes(b"x")
    assert shortcomings(GOOD, tmp_path) == []


def test_each_missed_bar_is_named(tmp_path):
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    figures = GOOD | {"single": {"top1": 94.9, "background": 90.0}, "pair": {"both": 69.0}}
    found = shortcomings(figures, tmp_path)
    assert len(found) == 4
    assert "94.9" in found[0]
