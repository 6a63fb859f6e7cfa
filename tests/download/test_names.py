"""Names in both forms of Unicode: macOS decomposes them, others do not, and no file is lost."""

from pathlib import Path
from unicodedata import normalize

from tests.download.archive_files import EVERY_PACK, Pack, extracted, refusal

COMPOSED, DECOMPOSED = normalize("NFC", "rosé/Blüte"), normalize("NFD", "rosé/Blüte")


@EVERY_PACK
def test_decomposed_names_are_extracted_as_they_are(tmp_path: Path, pack: Pack) -> None:
    names = [normalize("NFD", name) for name in ("rosé/Blüte 1.jpg", "rosé/Blüte 2.jpg", "Löwenzahn/é.jpg")]
    files = {name: name.encode() for name in names}
    assert extracted(tmp_path, pack([*files.items()])) == (files, [])


@EVERY_PACK
def test_a_folder_in_both_forms_becomes_one_with_a_note(tmp_path: Path, pack: Pack) -> None:
    files, notes = extracted(tmp_path, pack([(f"{COMPOSED}/1.jpg", b"1"), (f"{DECOMPOSED}/2.jpg", b"2")]))
    assert files == {f"{COMPOSED}/1.jpg": b"1", f"{COMPOSED}/2.jpg": b"2"}
    assert len(notes) == 1
    assert "2 of its folders come in both forms of Unicode" in notes[0]
    assert "'rosé'" in notes[0]


@EVERY_PACK
def test_one_file_in_both_forms_of_its_folder_is_refused(tmp_path: Path, pack: Pack) -> None:
    text = refusal(tmp_path, pack([(f"{COMPOSED}/é.jpg", b"1"), (f"{DECOMPOSED}/é.jpg", b"2")]))
    assert "have one name in two forms of Unicode (NFC, NFD)" in text
