"""Settings of decoding: what they refuse, and their key."""

from typing import Any

import pytest

from tasks.decode.settings import DecodeSettings
from tasks.errors import SettingError


@pytest.mark.parametrize(
    "settings", [{"size": 0}, {"size": 30}, {"resampling": "nearest"}, {"encoding": "gif"}, {"crop": "left"}]
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        DecodeSettings(**{"size": 20, "resize": 24, **settings})


def test_each_setting_reaches_the_key() -> None:
    base: dict[str, Any] = {"size": 20, "resize": 24}
    changes: list[dict[str, Any]] = [{}, {"size": 21}, {"resize": 25}, {"resampling": "lanczos"}]
    changes += [{"encoding": "png"}, {"crop": "stretch"}]
    assert len({DecodeSettings(**(base | change)).key for change in changes}) == len(changes)
    assert DecodeSettings(20, 24).key == DecodeSettings(20, 24, "bicubic", "jpeg").key
