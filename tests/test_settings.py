"""``--set KEY=VALUE``: values are YAML, and go to whoever has the option."""

from typing import Any

import pytest

from genzoo.errors import InvalidConfig, InvalidOption
from genzoo.settings import assign, parse_settings

OWNERS = {"model": ["width", "levels"], "trainer": ["lr", "levels"], "loop": ["batch_size"]}


@pytest.mark.parametrize(
    ("setting", "value"),
    [("a=3", 3), ("a=1e-3", 0.001), ("a=true", True), ("a=null", None), ("a=", None), ("a=[1,2]", [1, 2]),
     ("a=b=c", "b=c"), ("a=60s", "60s"), ("a={x: 1}", {"x": 1}), ("a='3'", "3")],
)  # fmt: skip
def test_values_are_yaml(setting: str, value: Any) -> None:
    assert parse_settings([setting]) == {"a": value}


def test_a_later_setting_wins() -> None:
    assert parse_settings(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}


@pytest.mark.parametrize("setting", ["a", "=3", "a=[1", "a=${b}", "a=${oc.env:SECRET}", "a={x: ['${oc.env:SECRET}']}"])
def test_what_is_no_setting_is_one_line(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hush")
    with pytest.raises(InvalidConfig) as caught:
        parse_settings([setting])
    assert str(caught.value).startswith("--set ") and setting in str(caught.value) and "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_setting_goes_to_whoever_has_the_option() -> None:
    given = {"width": 3, "lr": 0.1, "batch_size": 64}
    assert assign(given, OWNERS) == {"model": {"width": 3}, "trainer": {"lr": 0.1}, "loop": {"batch_size": 64}}


def test_a_prefix_says_whose_option_is_meant() -> None:
    assert assign({"trainer.levels": 3}, OWNERS)["trainer"] == {"levels": 3}
    with pytest.raises(InvalidOption, match=r"option 'levels' is ambiguous: say model\.levels= or trainer\.levels="):
        assign({"levels": 3}, OWNERS)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("widht", "unknown option 'widht'; did you mean 'width'? (allowed: width, levels, lr, batch_size)"),
        ("trainer.width", "unknown option 'trainer.width' (allowed: lr, levels)"),
        ("sampler.width", "unknown option 'sampler.width'"),
    ],
)
def test_an_option_that_nobody_has_is_refused_with_the_nearest(key: str, told: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        assign({key: 1}, OWNERS)
    assert str(caught.value).startswith(told)
