"""Hardware: what the processor says of itself."""

from pathlib import Path

import pytest

from tasks.bottleneck.hardware import find_hardware

CPUINFO = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx512f {}\nbugs\t\t: avx512_bf16_bug\n"


@pytest.mark.parametrize(
    ("flags", "bfloat16"), [("avx512_bf16 avx512_vnni", True), ("amx_bf16", True), ("avx512_vnni", False)]
)
def test_bfloat16_is_what_the_processor_s_flags_say(tmp_path: Path, flags: str, bfloat16: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(CPUINFO.format(flags))
    assert find_hardware(cpuinfo).bfloat16 is bfloat16


def test_a_system_that_does_not_say_has_none(tmp_path: Path) -> None:
    assert not find_hardware(tmp_path / "nothing").bfloat16
