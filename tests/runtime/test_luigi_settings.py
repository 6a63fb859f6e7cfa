"""Luigi's settings: the project's defaults, and values that luigi.cfg and the command line must not have."""

from collections.abc import Sequence
from pathlib import Path

import luigi
import pytest

from tasks.errors import SettingError
from tasks.runtime.luigi_settings import DEFAULTS, refuse_empty, refuse_empty_settings, set_defaults


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the current folder's luigi.cfg, which does not exist yet; Luigi has read no other."""
    monkeypatch.chdir(tmp_path)
    parser = luigi.configuration.LuigiConfigParser
    monkeypatch.setattr(parser, "_instance", None)
    monkeypatch.setattr(parser, "_config_paths", ["luigi.cfg"])
    return tmp_path / "luigi.cfg"


def setting(section: str, key: str) -> str:
    found: str = luigi.configuration.get_config().get(section, key)
    return found


@pytest.mark.usefixtures("config")
def test_defaults_hold_without_a_file() -> None:
    set_defaults()
    assert {key: setting("core", key) for key in DEFAULTS["core"]} == DEFAULTS["core"]
    assert luigi.interface.core().local_scheduler
    assert luigi.worker.worker().check_complete_on_run
    assert luigi.retcodes.retcode().task_failed == 30


def test_a_file_overrides_single_defaults(config: Path) -> None:
    config.write_text("[core]\nlocal_scheduler=false\n[worker]\nkeep-alive=false\n")
    with pytest.warns(DeprecationWarning, match="with dashes"):
        set_defaults()
    with pytest.warns(DeprecationWarning, match="with dashes"):
        assert setting("worker", "keep_alive") == "false"
    assert setting("core", "local_scheduler") == "false"
    assert setting("core", "no_lock") == "true"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[RetrainFlowers]\ndataset=/a%b", "dataset in [RetrainFlowers] of {} cannot be read"),
        ("[RetrainFlowers]\ndataset=%(gone)s", "dataset in [RetrainFlowers] of {} cannot be read"),
        ("[RetrainFlowers]\ndataset=${NO_SUCH_VARIABLE}", "dataset in [RetrainFlowers] of {} cannot be read"),
        ("[core]\nlog_level=%", "Write %% for a per cent sign"),
        ("dataset=/a", "no section headers"),
        ("[core]\nx=1\nx=2", "already exists"),
        ("[core]\nlocal_scheduler=perhaps", "A parameter of Luigi's [core] has a value that it cannot take"),
        ("[retcode]\ntask_failed=many", "A parameter of Luigi's [retcode] has a value that it cannot take"),
        ("[core]\nworkers=0", "--workers is 0; it takes a whole number of at least 1"),
    ],
)
def test_value_that_cannot_be_read_ends_the_program_with_an_error(
    config: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    config.write_text(text)
    with pytest.raises(SystemExit) as ended:
        set_defaults()
    assert ended.value.code == SettingError.exit_code
    assert message.format(config) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--dataset", ""], "--dataset"),
        (["Task", "--dataset="], "--dataset"),
        (["--views", "2", "--weights", "", "--seed", "1"], "--weights"),
        (["predict", "", "photo.jpg"], "An argument"),
        ([""], "An argument"),
    ],
)
def test_empty_word_is_refused_by_the_name_of_its_option(words: Sequence[str], name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is empty"):
        refuse_empty(words)


@pytest.mark.parametrize("words", [[], ["Task", "--flag", "--of-params={}", "--x", "a=", "--y==", "-"]])
def test_other_words_are_accepted(words: Sequence[str]) -> None:
    refuse_empty(words)


class Bake(luigi.Task):
    """A task with a parameter."""

    cake: luigi.Parameter[str] = luigi.Parameter(default="sponge")


def test_parameter_that_is_empty_in_the_file_is_refused(config: Path) -> None:
    refuse_empty_settings(Bake())
    config.write_text("[Bake]\ncake=\n")
    luigi.configuration.LuigiConfigParser.reload()
    with pytest.raises(SettingError, match=r"cake in \[Bake\] of luigi.cfg is empty"):
        refuse_empty_settings(Bake())
