"""The machine that runs pickles: what it does not know it refuses by name, and nothing costs more memory than it is."""

import pickle
import pickletools
import re
import tracemalloc
from pathlib import Path

import pytest

import tasks
from tasks.backbone.torch_weights import read_torch_weights
from tasks.errors import BackboneError
from tests.backbone.torch_files import (
    ORDERED_DICT,
    REBUILD,
    START,
    STOP,
    Window,
    code,
    pickles,
    state_dict,
    storage_of,
    write,
)


def test_every_opcode_but_those_of_tensors_is_refused_by_its_name(tmp_path: Path) -> None:
    taken = set(b"\x80.NJKM\x8aX)\x85\x86\x87(t]ae}suqrhjcQRb") | {0x88, 0x89}
    assert len(taken) == 30
    names = {ord(known.code): known.name for known in pickletools.opcodes}
    for opcode in set(range(256)) - taken:
        with pytest.raises(BackboneError, match=f"pickle opcode {names.get(opcode, f'0x{opcode:02x}')} at byte 2, "):
            read_torch_weights(write(tmp_path, START, bytes([opcode]), bytes(50)))


W = Window("s", 4, (4,), (1,))
#: Pickles and the reasons why each is refused.
HOSTILE = {
    "a memo of 2 GB": (START + ORDERED_DICT + b")Rr\xff\xff\xff\x07N.", "leaves values over"),
    "a text of 4 GB": (START + b"X\xff\xff\xff\xff", "a text in it is 4,294,967,295 bytes long"),
    "a text that is no UTF-8": (START + b"X\x01\x00\x00\x00\xff.", "no UTF-8"),
    "a key of tuples in each other": (START + b"})" + b"\x85" * 50_000 + b"Ns.", "keys that are no texts"),
    "a million lists": (START + b"]" * 1_000_000, "more than 100,000 opcodes"),
    "a list in itself": (START + b"]q\x00h\x00a.", "something else than tensors"),
    "a dict in itself": (START + b"}q\x00" + code("a") + b"h\x00s.", "something else than tensors"),
    "a value that was not kept": (START + b"h\x07.", "recalls what it has not kept"),
    "nothing": (START + STOP, "lacks a value"),
    "no mark": (START + b"t.", "lacks a mark"),
    "nothing to keep": (START + b"q\x00.", "lacks a value"),
    "an open mark": (START + b"(N.", "leaves values over"),
    "a name without an end": (START + b"c" + b"x" * 10_000, "a name in it has no end"),
    "a call of a tuple": (START + b"))R.", "no Builder where one must be"),
    "arguments that are none": (START + REBUILD + b"NR.", "no tuple where one must be"),
    "a tensor of nothing": (START + REBUILD + b")R.", "not described as one"),
    "a dict of something": (START + ORDERED_DICT + b"N\x85R.", "made of something"),
    "a storage of nothing": (START + b")Q.", "where a plain storage should be"),
    "a storage without a kind": (START + code(("storage", "s", "s", "cpu", 1, None)) + b"Q.", "not described as one"),
    "attributes of a list": (START + b"]}b.", "no dict where one must be"),
    "too many sizes": (state_dict({"w": Window("s", 4, (1,) * 65, (1,) * 65)}), "65 dimensions"),
    "sizes and no strides": (state_dict({"w": Window("s", 4, (1,), ())}), "1 dimensions and 0 strides"),
    "a size of 0": (state_dict({"w": Window("s", 4, (0,), (1,))}), "a size that cannot be"),
    "a size that is a truth": (state_dict({"w": W}).replace(code((4,)), code((True,))), "a size that cannot be"),
    "sizes whose product overflows": (state_dict({"w": Window("s", 4, (2**62, 4), (0, 0))}), "reaches beyond"),
    "a value repeated 10^12 times": (state_dict({"w": Window("s", 4, (10**12,), (0,))}), "reaches beyond"),
    "a stride of 2^70": (state_dict({"w": Window("s", 4, (1,), (2**70,))}), "reaches beyond"),
    "an offset of 2^1000": (state_dict({"w": Window("s", 4, (1,), (1,), 2**1000)}), "reaches beyond"),
    "two kinds of one storage": (
        state_dict({"w": W, "v": W._replace(kind=b"torch\nLongStorage\n")}),
        "describe the same storage differently",
    ),
    "a storage that is not there": (state_dict({"w": W._replace(storage="t")}), "not those of its tensors"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_state_dict_is_refused_without_memory_for_what_it_claims(tmp_path: Path, what: str) -> None:
    state, cause = HOSTILE[what]
    path = write(tmp_path, *pickles(state, ["s"]), storage_of([0, 1, 2, 3]))
    tracemalloc.start()
    try:
        with pytest.raises(BackboneError, match=f"legacy format .*{cause}"):
            read_torch_weights(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_no_source_of_ours_unpickles_or_loads_what_is_not_safe() -> None:
    folder = Path(tasks.__file__).parent.parent
    sources = {path: path.read_text() for name in ("tasks", "pipeline") for path in (folder / name).rglob("*.py")}
    # The names of the opcodes are taken from it, and nothing else.
    own = folder / "tasks" / "backbone" / "plain_pickle.py"
    found = {path for path, text in sources.items() if re.search(r"^\s*(import|from) pickle\b", text, re.MULTILINE)}
    # What a cluster's own nodes send back comes from programs that run as this user, and not from a file.
    assert {path for path in found if path.parent.name != "cluster"} == {own}
    assert set(re.findall(r"\bpickle\.(\w+)", sources[own])) <= {name for name in vars(pickle) if name.isupper()}
    for text in sources.values():
        assert not re.search(r"allow_pickle=True|safe_mode=False|enable_unsafe_deserialization|\b(dill|joblib)\b", text)
