"""Chinese and English: which one is spoken, that nothing is left out, and that programs get neither."""

import ast
import io
import re
import string
from gettext import GNUTranslations
from pathlib import Path

import pytest
from google.rpc import code_pb2
from rich.cells import cell_len
from typer.main import get_command

from scripts import catalog
from taxcontrol.v1.error_reason_pb2 import ErrorReason
from taxcontrol.v1.invoice_pb2 import Invoice
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.failure import advice, sentence
from taxctl.help_text import texts
from taxctl.main import app
from taxctl.reasons import TOLD
from taxctl.words import Language, chosen, language, tr, use
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_reversal import OWNER
from tests.taxctl.test_usage import commands
from tests.taxctl.tty import COLUMNS, on_terminal

PO = catalog.PO.read_bytes()
CHINESE = re.compile("[一-鿿]")
# The gateway answers these with a code that says by itself that a later try may pass.
CODES = {
    "IN_PROGRESS": code_pb2.ABORTED,
    "OVERLOADED": code_pb2.RESOURCE_EXHAUSTED,
    "RATE_LIMITED": code_pb2.RESOURCE_EXHAUSTED,
    "SHUTTING_DOWN": code_pb2.UNAVAILABLE,
    "HSM_UNAVAILABLE": code_pb2.UNAVAILABLE,
    "LEDGER_UNAVAILABLE": code_pb2.UNAVAILABLE,
    "AUTHORITY_UNAVAILABLE": code_pb2.UNAVAILABLE,
}


def places(text: str) -> list[str]:
    """The names of the places that are filled."""
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})


def pairs() -> list[tuple[str, str]]:
    """Every text with its translation, those for one and for many alike."""
    found = []
    for message in catalog.messages(PO):
        ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
        strings = (message.string,) if isinstance(message.string, str) else message.string
        found += [(str(one), str((strings or ("",))[0])) for one in ids]
    return found


def words(data: bytes) -> dict[object, str]:
    """What a compiled catalog holds, its header left out."""
    held = dict(GNUTranslations(io.BytesIO(data))._catalog)  # type: ignore[attr-defined]
    return {key: value for key, value in held.items() if key}


@pytest.mark.parametrize(
    ("arguments", "environment", "spoken"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ([], {"LANG": "en_GB", "LC_MESSAGES": "zh_TW"}, "zh"),
        ([], {"LANG": "zh_CN", "LC_ALL": "", "LC_MESSAGES": ""}, "zh"),
        (["--lang", "en"], {"LANG": "zh_CN"}, "en"),
        (["stock", "show", "--lang=zh"], {}, "zh"),
        (["--lang", "en", "top", "--lang", "zh"], {}, "zh"),
        (["--lang", "fr"], {"LANG": "zh_CN"}, "zh"),
        (["get", "--", "--lang", "zh"], {}, "en"),
    ],
)
def test_the_command_line_decides_and_then_the_locale(
    arguments: list[str], environment: dict[str, str], spoken: str
) -> None:
    assert chosen(arguments, environment) == spoken


def test_the_catalog_is_complete() -> None:
    missing = [text for text, translation in pairs() if not translation]
    fuzzy = [message.id for message in catalog.messages(PO) if message.fuzzy]

    assert missing == []
    assert fuzzy == []


def test_the_catalog_is_what_the_texts_are() -> None:
    assert catalog.source(catalog.fresh(PO)) == PO


def test_the_compiled_catalog_is_that_of_its_source() -> None:
    assert words(catalog.MO.read_bytes()) == words(catalog.compiled(PO))


def test_every_place_of_a_text_is_in_its_translation() -> None:
    wrong = [(one, zh) for one, zh in pairs() if "{" in one and _filled(one) != _filled(zh)]

    assert wrong == []


def _filled(text: str) -> list[str] | list[object]:
    # Help names forms such as {code}-{number}, which are no places; they stay as they are as well.
    try:
        return places(text)
    except ValueError:
        return sorted(re.findall(r"\{[^}]*\}", text))


def test_chinese_is_chinese() -> None:
    same = {one for one, zh in pairs() if one == zh}

    assert same == {"%"}
    assert all(CHINESE.search(zh) for one, zh in pairs() if one not in {*same, "{used} of {most}"})


@pytest.mark.parametrize("spoken", list(Language))
def test_every_reason_has_a_sentence_and_an_advice(spoken: Language) -> None:
    use(spoken)
    try:
        for value in ErrorReason.values():
            if not value:
                continue
            name = ErrorReason.Name(value).removeprefix("ERROR_REASON_")
            code = CODES.get(name, code_pb2.FAILED_PRECONDITION)
            failure = Failure(code=code, reason=value, message="in English")
            told = (sentence(failure), advice(failure))
            assert value in TOLD, name
            assert all(told), name
            assert all(map(CHINESE.search, told)) is (spoken is Language.ZH), name
    finally:
        use(Language.EN)


def test_the_reasons_that_may_pass_say_when() -> None:
    failure = Failure(code=code_pb2.ABORTED, reason=ErrorReason.Value("ERROR_REASON_IN_PROGRESS"))
    failure.retry_delay.FromMilliseconds(1500)
    use(Language.ZH)
    try:
        assert advice(failure) == "1.5 秒后以同一请求号重试"
    finally:
        use(Language.EN)


@pytest.mark.parametrize("command", [*commands()], ids=" ".join)
def test_help_is_chinese_and_fits_eighty_columns(fake: FakeGateway, command: list[str]) -> None:
    ran = Terminal(fake.target).run(*command, "--lang", "zh", "--help")

    assert ran.code == 0
    assert "退出码：" in "".join(ran.out.split())
    assert "Options" not in ran.out
    assert "Show this message" not in ran.out
    assert not any("\uf8ff" in line for line in ran.out.splitlines())
    assert max(map(cell_len, ran.out.splitlines())) <= COLUMNS


def test_a_command_is_english_again_after_a_chinese_one(console: Terminal) -> None:
    chinese = console.run("--lang", "zh", "stock", "show", "--help")
    english = console.run("stock", "show", "--help")

    assert "用法：" in chinese.out
    assert not CHINESE.search(english.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["void", f"{OWNER}/1-2", "--yes"], "taxctl: 缺少选项 '--reason'"),
        (["nonsense"], "taxctl: 没有这个命令 'nonsense'"),
        (["get", "--colour"], "taxctl: 没有这个选项：--colour"),
        (["issue"], "taxctl: 缺少参数 'PATH'"),
        (["get"], "taxctl: 请给出发票 NAME 或 --request-id"),
    ],
)
def test_faults_of_usage_are_chinese(console: Terminal, arguments: list[str], said: str) -> None:
    ran = console.run(*arguments, "--lang", "zh")

    assert ran.code == 2
    assert ran.err.startswith(said)


def test_a_refusal_is_chinese_with_what_to_do(console: Terminal) -> None:
    ran = console.run("get", f"{OWNER}/{'1' * 12}-{'1' * 8}", "--lang", "zh")

    assert ran.code == 1
    assert "INVOICE_NOT_FOUND: 没有这张发票" in ran.err
    assert "请核对发票名" in ran.err


def test_json_is_the_same_in_any_language(fake: FakeGateway, console: Terminal) -> None:
    name = fake.books.issue(1)
    # So a plan has a sentence of ours in it: why it is likely to be refused.
    fake.books.invoices[name].state = Invoice.STATE_REVERSED
    commands_ = (
        ["get", name],
        ["stock", "show", OWNER],
        ["upload", "status", OWNER],
        ["reverse", name, "--dry-run", "--request-id", "mine"],
        ["device", "list"],
        ["get", f"{name}9"],
    )
    for command in commands_:
        english = console.run(*command, "--json")
        chinese = console.run(*command, "--json", "--lang", "zh")
        assert chinese.out == english.out
        assert english.out


def test_chinese_tables_stand_under_each_other(fake: FakeGateway) -> None:
    shown = on_terminal("stock", "show", OWNER, target=fake.target, LC_ALL="zh_CN.UTF-8")

    head, *rows = [line for line in shown.lines if line.strip()]
    assert head.split()[:3] == ["开票点", "票种", "剩余"]
    end = cell_len(head[: head.index("剩余") + 2])
    for row in rows:
        assert cell_len(row[: re.search(r"026\s+\d+", row).end()]) == end  # type: ignore[union-attr]
    assert max(map(cell_len, shown.lines)) <= COLUMNS


def test_the_question_is_chinese_and_takes_a_chinese_yes(fake: FakeGateway) -> None:
    command = ["upload", "pause", OWNER, "--reason", "检修", "--lang", "zh"]

    shown = on_terminal(*command, target=fake.target, typed="是\n".encode())

    assert shown.code == 0
    assert f"暂停 taxpayers/{OWNER} 的上传，直至恢复？ [y/N]" in shown.text
    assert fake.mailroom.paused is not None


def test_sentences_are_not_put_together_from_pieces_in_a_translation_call() -> None:
    """What is translated is one text of the source: an f-string would never be found."""
    wrong = [
        f"{path.name}:{node.lineno}"
        for path in sorted(Path(catalog.SOURCES).glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("tr", "mark", "tr_n")
        and any(isinstance(one, ast.JoinedStr) for one in node.args)
    ]

    assert wrong == []


def test_the_whole_tree_of_commands_has_help_in_the_catalog() -> None:
    known = {one for one, _ in pairs()}

    assert {text for text in texts(get_command(app)) if text} <= known
    assert language() is Language.EN
    assert tr("") == ""
