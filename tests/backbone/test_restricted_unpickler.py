"""The restricted unpickler refuses all but tensors, and allocates no memory that a hostile file only claims."""

import pickle
import pickletools
import re
import tracemalloc
from pathlib import Path
from pickletools import UP_TO_NEWLINE

import pytest

import tasks
from tasks.backbone.restricted_unpickler import _OPCODES
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


@pytest.mark.parametrize("opcode", sorted({known.name for known in pickletools.opcodes} - _OPCODES))
def test_every_opcode_but_those_of_tensors_is_refused_by_its_name(tmp_path: Path, opcode: str) -> None:
    (known,) = (known for known in pickletools.opcodes if known.name == opcode)
    argument = b"0\n0\n" if known.arg and known.arg.n == UP_TO_NEWLINE else bytes(50)
    argument = b"''\n" if opcode == "STRING" else argument
    with pytest.raises(BackboneError, match=f"pickle opcode {opcode} at byte 2"):
        read_torch_weights(write(tmp_path, START, known.code.encode("latin-1"), argument))


def test_bytes_that_are_no_opcode_are_refused(tmp_path: Path) -> None:
    for code_ in set(range(256)) - {ord(known.code) for known in pickletools.opcodes}:
        with pytest.raises(BackboneError, match=r"at position 2, opcode .* unknown"):
            read_torch_weights(write(tmp_path, START, bytes([code_]), bytes(50)))


W = Window("s", 4, (4,), (1,))


def called(name: str) -> bytes:
    """A pickle that calls something by its name."""
    return START + b"c" + name.replace(" ", "\n").encode() + b"\n)R" + STOP


#: Windows that do not fit the storage of four values, and the reasons.
WINDOWS = {
    "a size of 5": (Window("s", 4, (5,), (1,)), "reaches beyond"),
    "strides beyond the end": (Window("s", 4, (2, 2), (3, 1)), "reaches beyond"),
    "an offset at the end": (Window("s", 4, (1,), (1,), offset=4), "reaches beyond"),
    "an offset below 0": (Window("s", 4, (1,), (1,), offset=-1), "reaches beyond"),
    "a stride below 0": (Window("s", 4, (2,), (-1,), offset=3), "reaches beyond"),
    "a size below 0": (Window("s", 4, (-2,), (1,), offset=3), "a size that cannot be"),
    "a size of 0": (Window("s", 4, (0,), (1,)), "a size that cannot be"),
    "too few strides": (Window("s", 4, (2, 2), (1,)), "2 dimensions and 1 strides"),
    "sizes and no strides": (Window("s", 4, (1,), ()), "1 dimensions and 0 strides"),
    "too many sizes": (Window("s", 4, (1,) * 65, (1,) * 65), "65 dimensions"),
    "sizes whose product overflows": (Window("s", 4, (2**62, 4), (0, 0)), "reaches beyond"),
    "a value repeated 10^12 times": (Window("s", 4, (10**12,), (0,)), "reaches beyond"),
    "a stride of 2^70": (Window("s", 4, (1,), (2**70,)), "reaches beyond"),
    "an offset of 2^1000": (Window("s", 4, (1,), (1,), 2**1000), "reaches beyond"),
    "a longer storage": (Window("s", 5, (4,), (1,)), "has 4 values where 5 are announced"),
    "a shorter storage": (Window("s", 3, (3,), (1,)), "has 4 values where 3 are announced"),
    "a storage of length -1": (Window("s", -1, (4,), (1,)), "reaches beyond"),
    "a storage that is not there": (Window("t", 4, (4,), (1,)), "not those of its tensors"),
    "another type": (Window("s", 4, (4,), (1,), kind=b"torch\nDoubleStorage\n"), "DoubleStorage"),
}
#: A tuple of twice the same tuple, 60 levels deep: its hash would take years.
DOUBLING_TUPLES = b")" + b"".join(b"q%ch%c\x86" % (place, place) for place in range(60))
#: Pickles and the reasons why each is refused.
HOSTILE = {
    "a memo of 2 GB": (START + ORDERED_DICT + b")Rr\xff\xff\xff\x07N.", "more than 100,000 opcodes or values"),
    "a text of 4 GB": (START + b"X\xff\xff\xff\xff", "expected 4294967295 bytes"),
    "a text that is no UTF-8": (START + b"X\x01\x00\x00\x00\xff.", "codec can't decode"),
    "a key of tuples in each other": (START + b"})" + b"\x85" * 50_000 + b"Ns.", "a key of a dict is not a string"),
    "a key of 2^60 tuples": (START + b"}" + DOUBLING_TUPLES + b"Ns.", "a key of a dict is not a string"),
    "a dict of 2^60 tuples": (
        START + ORDERED_DICT + DOUBLING_TUPLES + b"N\x86\x85\x85R.",
        "takes 1 positional argument",
    ),
    "a million lists": (START + b"]" * 1_000_000, "more than 100,000 opcodes"),
    "a list in itself": (START + b"]q\x00h\x00a.", "something other than tensors"),
    "a dict in itself": (START + b"}q\x00" + code("a") + b"h\x00s.", "something other than tensors"),
    "a value that was not kept": (START + b"h\x07.", "Memo value not found"),
    "nothing": (START + STOP, "stack underflow"),
    "no mark": (START + b"t.", "could not find MARK"),
    "nothing to keep": (START + b"q\x00.", "stack underflow"),
    "an open mark": (START + b"(N.", "something other than tensors"),
    "a name without an end": (START + b"c" + b"x" * 10_000, "no newline found"),
    "a call of a tuple": (START + b"))R.", "'tuple' object is not callable"),
    "arguments that are none": (START + REBUILD + b"NR.", "argument list must be a tuple"),
    "a tensor of nothing": (START + REBUILD + b")R.", "not described as one"),
    "a dict of something": (START + ORDERED_DICT + b"N\x85R.", "takes 1 positional argument"),
    "a storage of nothing": (START + b")Q.", "where a plain storage should be"),
    "a storage without a kind": (
        START + code(("storage", "s", "s", "cpu", 1, None)) + b"Q.",
        "a plain storage should be",
    ),
    "attributes of a list": (START + b"]}b.", "no attribute"),
    "a size that is a truth": (state_dict({"w": W}).replace(code((4,)), code((True,))), "a size that cannot be"),
    "two kinds of one storage": (
        state_dict({"w": W, "v": W._replace(kind=b"torch\nLongStorage\n")}),
        "describe the same storage differently",
    ),
    "a list in a state dict": (pickle.dumps({"w": [1]}, 2), "something other than tensors"),
    "a dict in a state dict": (pickle.dumps({"w": {"deeper": 1}}, 2), "something other than tensors"),
    "a list of a number": (pickle.dumps([1], 2), "something other than tensors"),
    "a text": (pickle.dumps("text", 2), "something other than tensors"),
    **{f"a window with {name}": (state_dict({"w": window}), cause) for name, (window, cause) in WINDOWS.items()},
    **{
        f"a call of {name}": (called(name), "which no tensor needs")
        for name in (
            *("torch.nn.modules.linear Linear", "torch nn.Linear", "torch load", "torch._utils _rebuild_tensor"),
            *("numpy load", "collections OrderedDict.fromkeys", "tasks.errors PipelineError"),
        )
    },
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
    own = folder / "tasks" / "backbone" / "restricted_unpickler.py"
    found = {path for path, text in sources.items() if re.search(r"^\s*(import|from) pickle\b", text, re.MULTILINE)}
    # The nodes of a cluster send pickles too; these come from programs of this user, and not from a file.
    assert {path for path in found if path.parent.name != "cluster"} == {own}
    assert re.findall(r"\bpickle\.(\w+)", sources[own].partition('"""\n')[2]) == ["Unpickler"]
    for text in sources.values():
        assert not re.search(r"allow_pickle=True|safe_mode=False|enable_unsafe_deserialization|\b(dill|joblib)\b", text)
